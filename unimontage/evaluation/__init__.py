"""Scores, intervals and tests, all computed from saved predictions."""
