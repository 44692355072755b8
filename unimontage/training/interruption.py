"""Stopping before the end: when the batch system says so, or when the time of the job is nearly over."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

TOLD, LATE = "told to stop", "the time of the job is nearly over"
MARGIN_S = 120.0
"""Seconds before the end of a job that are kept free for a last checkpoint, and for a clock that started late."""


class Interruption:
    """Notices SIGTERM while it is entered, and when a job's time is nearly over.

    Parameters
    ----------
    deadline : float or None
        Unix time at which the job ends; None where nothing ends it.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self._deadline, self._told, self._before = deadline, False, signal.SIG_DFL

    def __enter__(self) -> Interruption:
        """Listen, in the main thread, where alone Python can."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signal back."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._before)

    def reason(self) -> str | None:
        """Why to stop now; None while there is no reason."""
        if self._told:
            return TOLD
        if self._deadline is not None and time.time() > self._deadline - MARGIN_S:
            return LATE
        return None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._told = True
