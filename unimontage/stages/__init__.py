"""One function a rule: read files, call the pure core, write files."""
