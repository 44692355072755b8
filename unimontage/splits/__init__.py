"""Protocols that divide windows into folds, the files that record them, and the audit that looks for leaks."""
