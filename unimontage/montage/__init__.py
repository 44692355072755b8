"""Electrode names, positions, and the channel vocabulary shared by all datasets."""
