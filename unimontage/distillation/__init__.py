"""Which windows to pre-train on: outlier scores, diversity, and the selections they compete with."""
