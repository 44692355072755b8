"""What a run will take, what of it is done, and what its rules should ask for: from the benchmarks of jobs that ran."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from unimontage.dag.failures import Failure, failures_text
from unimontage.dag.jobs import PlannedJob
from unimontage.errors import UserError

HOUR_S, GB = 3600.0, 1e9
ASKED, MEASURED = "asked", "measured"
MEMORY_FACTOR, TIME_FACTOR = 1.3, 2.0
"""Room above the largest that was measured."""
LEAST_MB, LEAST_MIN = 1000, 10
"""A job holds two Snakemakes of its own before it does anything."""
DONE, STARTED, FAILED, WAITING = STATES = ("done", "started", "failed", "waiting")
ERROR = " ERROR "
"""What the log of a job holds that failed."""


def benchmarks(runs: Iterable[Path]) -> dict[str, pd.DataFrame]:
    """Columns ``s``, ``max_rss`` (MB) and ``ended`` (Unix time) of the jobs that ran, by rule.

    Parameters
    ----------
    runs : iterable of Path
        Folders of runs, such as ``results/demo``.

    Raises
    ------
    UserError
        There is no such folder.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for run in runs:
        if not run.is_dir():
            raise UserError(f"{run} is no folder", expected="the folder of a run, for example results/demo")
        for path in (run / "benchmarks").rglob("*.jsonl"):
            told = json.loads(path.read_text().splitlines()[0]) | {"ended": path.stat().st_mtime}
            rows.setdefault(path.relative_to(run).parts[1], []).append(told)
    return {rule: pd.DataFrame(of_rule)[["s", "max_rss", "ended"]].astype(float) for rule, of_rule in rows.items()}


def forecast(jobs: Sequence[PlannedJob], measured: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Hours and disk of a run, rule by rule.

    Parameters
    ----------
    jobs : sequence of PlannedJob
        All jobs of the run, done or not.
    measured : mapping
        From :func:`benchmarks`, of this run or of one like it.

    Returns
    -------
    DataFrame
        One row a rule: ``rule, jobs, hours_each, hours, gpu_hours, disk_gb, source``. Where jobs of the rule were
        measured, ``hours_each`` is their mean; otherwise it is the run time that is asked for, an upper limit.
        ``disk_gb`` is the mean size of the rule's outputs that are there times all jobs; NaN where there are none.
    """
    rows = []
    for rule, own in _by_rule(jobs).items():
        known = measured.get(rule)
        each = (60.0 * own[0].runtime_min if known is None else known["s"].mean()) / HOUR_S
        sizes = [sum(path.stat().st_size for path in job.outputs) for job in own if _all_there(job)]
        rows.append(
            {
                **{"rule": rule, "jobs": len(own), "hours_each": each, "hours": each * len(own)},
                "gpu_hours": each * sum(job.gpus for job in own),
                "disk_gb": sum(sizes) / len(sizes) * len(own) / GB if sizes else math.nan,
                "source": ASKED if known is None else f"{MEASURED} {len(known)}",
            }
        )
    return pd.DataFrame(rows)


def progress(
    jobs: Sequence[PlannedJob], measured: Mapping[str, pd.DataFrame], failed: Collection[str] = ()
) -> pd.DataFrame:
    """What is done of a run, rule by rule; ``failed`` are logs of jobs that are known to have failed.

    Returns
    -------
    DataFrame
        One row a rule: ``rule, jobs, done, started, failed, waiting, hours_left``. ``started`` has a log and is not
        done: it runs, or was killed. ``hours_left`` is the time of what is not done, one job after the other; NaN where
        no job of the rule was measured.
    """
    rows = []
    for rule, own in _by_rule(jobs).items():
        states = pd.Series([state(job, failed) for job in own])
        counts = {name: int((states == name).sum()) for name in STATES}
        left = len(own) - counts[DONE]
        seconds = measured[rule]["s"].mean() if rule in measured else math.nan
        rows.append({"rule": rule, "jobs": len(own), **counts, "hours_left": left * seconds / HOUR_S if left else 0.0})
    return pd.DataFrame(rows)


def forecast_text(table: pd.DataFrame) -> str:
    """A forecast for the terminal."""
    total = table[["jobs", "hours", "gpu_hours"]].sum()
    lines = [_text(table, {"hours_each": 3, "hours": 1, "gpu_hours": 1, "disk_gb": 2}), ""]
    lines.append(f"{total['jobs']:.0f} jobs, {total['hours']:.1f} hours, {total['gpu_hours']:.1f} of them on a GPU")
    if (table["source"] == ASKED).any():
        lines.append("asked: not measured; the hours are what a job may take, not what it takes")
    return "\n".join(lines)


def progress_text(jobs: Sequence[PlannedJob], failed: Sequence[Failure] = ()) -> str:
    """What is done of a run, for the terminal: by rule, in all, what failed and why, and when it may end."""
    run = _run_of(jobs[0])
    measured = benchmarks([run] if run.is_dir() else [])
    known = {failure.log: failure for failure in failed}
    table, speed = progress(jobs, measured, known), side_by_side(measured)
    total, left = table[[*STATES, "jobs"]].sum(), table["hours_left"].sum(skipna=False)
    lines = [_text(table, {"hours_left": 2}), ""]
    lines.append(f"{total['jobs']} jobs: " + ", ".join(f"{total[name]} {name}" for name in STATES if total[name]))
    lost = [str(job.log) for job in jobs if state(job, known) == FAILED]
    lines += [failures_text([known[log]]) if log in known else f"failed: {log}" for log in lost]
    if left * speed > 0:
        lines.append(f"about {left / speed:.1f} hours more, if {speed:.1f} jobs go on side by side as they did so far")
    return "\n".join(lines)


def resources_text(measured: Mapping[str, pd.DataFrame]) -> str:
    """The block of a profile as YAML."""
    asked = resources(measured)
    lines = [f"  {rule}: {{mem_mb: {of['mem_mb']}, runtime: {of['runtime']}}}" for rule, of in asked.items()]
    return "\n".join(["set-resources:", *lines])


def _text(table: pd.DataFrame, digits: Mapping[str, int]) -> str:
    written = {name: f"{{:.{places}f}}".format for name, places in digits.items()}
    return table.to_string(index=False, formatters=written, na_rep="-")


def _run_of(job: PlannedJob) -> Path:
    """Folder of the run: the one in which a job's benchmark is under ``benchmarks``."""
    return next(folder.parent for folder in job.benchmark.parents if folder.name == "benchmarks")


def state(job: PlannedJob, failed: Collection[str] = ()) -> str:
    """Done, failed, started or waiting, by what a job has left behind and by the logs of those known to have failed."""
    if not job.due:
        return DONE
    if str(job.log) in failed:
        return FAILED
    if not job.log.exists():
        return WAITING
    return FAILED if ERROR in job.log.read_text(errors="replace") else STARTED


def side_by_side(measured: Mapping[str, pd.DataFrame]) -> float:
    """How many jobs of a run went on at the same time, on average; NaN where fewer than two are done.

    All seconds of its jobs by the time from the first one's beginning to the last one's end.
    """
    if sum(map(len, measured.values())) < 2:
        return math.nan
    jobs = pd.concat(measured.values())
    return jobs["s"].sum() / (jobs["ended"].max() - (jobs["ended"] - jobs["s"]).min())


def resources(measured: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, str]]:
    """Block ``set-resources`` of a profile: memory and time of each rule, with room above what was measured."""
    return {
        rule: {
            "mem_mb": f"{max(LEAST_MB, _up(MEMORY_FACTOR * table['max_rss'].max(), 500))} * attempt",
            "runtime": f"{max(LEAST_MIN, _up(TIME_FACTOR * table['s'].max() / 60, 10))} * attempt",
        }
        for rule, table in sorted(measured.items())
    }


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step


def _all_there(job: PlannedJob) -> bool:
    return all(path.exists() for path in job.outputs)


def _by_rule(jobs: Sequence[PlannedJob]) -> dict[str, list[PlannedJob]]:
    found: dict[str, list[PlannedJob]] = {}
    for job in jobs:
        found.setdefault(job.rule, []).append(job)
    return found
