"""One training loop, and what it needs: devices, schedules, checkpoints, loggers."""
