"""Pre-train one EEG model over many datasets."""

__version__ = "0.1.0"
