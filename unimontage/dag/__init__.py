"""What the rules need to build the DAG, and nothing heavy: no torch, no mne, no file of data."""
