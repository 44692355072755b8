"""Memory and time as functions of the attempt: a job that ran out of either gets more on its next try."""

from collections.abc import Callable
from typing import Any


def gigabytes(amount: float) -> Callable[[Any, int], int]:
    """Memory in MB, ``amount`` GB at the first attempt and as much more at each further one."""

    def mem_mb(wildcards: Any, attempt: int) -> int:
        return int(amount * 1000 * attempt)

    return mem_mb


def minutes(amount: int) -> Callable[[Any, int], int]:
    """Run time in minutes, ``amount`` at the first attempt and as much more at each further one."""

    def runtime(wildcards: Any, attempt: int) -> int:
        return amount * attempt

    return runtime
