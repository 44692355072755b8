"""What benchmarks share: ways that take turns, ratios within a round, and results that say where they are from."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "numpy", "scipy", "numba", "scikit-learn", "mne", "pyod", "h5py", "torch-geometric", "snakemake")


class Finding(NamedTuple):
    """What one comparison found.

    Attributes
    ----------
    stage : str
        The work, and its size.
    peer : str
        What does the same work another way; or ``limit``, for a share of a whole that is to be small.
    values : list of float
        The ratio of every round, peer / this; or the value that has a limit.
    goal : float
        What the median is to reach: at least, or at most where the peer is ``limit``.
    equal : str
        How equal the results are, measured.
    bound : float or None
        This, as a multiple of the shortest time that the machine allows; None where nobody knows it.
    """

    stage: str
    peer: str
    values: list[float]
    goal: float
    equal: str = ""
    bound: float | None = None


def take_turns(ways: Mapping[str, Callable[[], object]], rounds: int, repeats: int = 1) -> pd.DataFrame:
    """Seconds of a call of each way by the clock: a row a round, a column a way.

    Every way is called once before. The order is turned round from round to round. A round calls a way several times
    where ``repeats`` says so, and counts the mean.
    """
    for way in ways.values():
        way()
    rows = []
    for number in range(rounds):
        row = {}
        for name in list(ways) if number % 2 == 0 else list(ways)[::-1]:
            start = time.perf_counter()
            for _ in range(repeats):
                ways[name]()
            row[name] = (time.perf_counter() - start) / repeats
        rows.append(row)
    return pd.DataFrame(rows)


def keep(name: str, findings: Sequence[Finding], **about: Any) -> None:
    """Write findings and the machine they were made on to ``results/<name>.json``, and print them."""
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": machine(), "about": about, "findings": [finding._asdict() for finding in findings]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    for finding in findings:
        median = statistics.median(finding.values)
        print(f"{finding.stage} | {finding.peer} | {median:.3g} | goal {finding.goal:g} | {finding.equal}", flush=True)


def machine() -> dict[str, Any]:
    """Processor, cores, memory, load and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "load": round(os.getloadavg()[0], 1),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
