"""Memory and time as functions of the attempt: a job that ran out of either gets more on its next try."""

from collections.abc import Callable
from typing import Any

MOST = 3
"""The last attempt that gets more: further ones follow preemptions, and would wait for ever larger nodes."""


def gigabytes(amount: float) -> Callable[[Any, int], int]:
    """Memory in MB, ``amount`` GB at the first attempt and as much more at the second and the third."""

    def mem_mb(wildcards: Any, attempt: int) -> int:
        return int(amount * 1000 * min(attempt, MOST))

    return mem_mb


def minutes(amount: int, each: int = 0) -> Callable[[Any, int], int]:
    """Run time in minutes, with ``each`` more for each subject of the job; more at the second and the third attempt."""

    def runtime(wildcards: Any, attempt: int) -> int:
        subjects = wildcards.subjects.count("+") + 1 if each else 0
        return (amount + each * subjects) * min(attempt, MOST)

    return runtime
