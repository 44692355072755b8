"""Networks: tokenizers, the single-channel encoder, spatial layers, classifiers, and their weights on disk."""
