"""The jobs of a run as Snakemake plans them, with what they ask for and where they leave their traces."""

import contextlib
import io
import logging
import math
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unimontage.errors import UserError

TRIGGERS = ("params", "input", "software-env", "mtime")
"""What makes a job due, as in the profiles."""


@dataclass(frozen=True)
class Asked:
    """What one attempt of a job asks of the batch system, on each of its nodes."""

    partition: str | None
    account: str | None
    memory_mb: int
    runtime_min: int
    threads: int
    gpus: int
    model: str | None
    """Of the GPUs, where one is asked for."""
    tmpdir: str | None


@dataclass(frozen=True)
class PlannedJob:
    """A job of a run.

    Attributes
    ----------
    rule : str
        Its rule.
    gpus, runtime_min : int
        What its first attempt asks for.
    outputs : tuple of Path
        Files that it makes.
    benchmark, log : Path
        Where its time and memory, and what it said, are found afterwards.
    due : bool
        Whether it has yet to run, or to run again.
    attempts : tuple of Asked
        What each attempt asks for that the profile allows.
    """

    rule: str
    gpus: int
    runtime_min: int
    outputs: tuple[Path, ...]
    benchmark: Path
    log: Path
    due: bool
    attempts: tuple[Asked, ...] = ()


@dataclass(frozen=True)
class Planned:
    """A run as Snakemake plans it: its jobs, all rules of the workflow, and the configuration as it was read."""

    jobs: list[PlannedJob]
    rules: frozenset[str]
    config: dict


def planned_jobs(configs: Sequence[Path]) -> list[PlannedJob]:
    """The jobs of :func:`planned`, as the rules state them."""
    return planned(configs).jobs


def planned(configs: Sequence[Path], profile: Namespace | None = None) -> Planned:
    """Plan a run of the workflow in this folder without starting it.

    Parameters
    ----------
    configs : sequence of Path
        Configuration files, later ones winning; none for the demo.
    profile : Namespace, optional
        What a profile says, from :func:`unimontage.dag.profile.read_profile`; its resources and threads count.

    Raises
    ------
    UserError
        Snakemake cannot plan it; says why.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.enums import RerunTrigger
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    told = io.StringIO()
    try:
        quiet = OutputSettings(dryrun=True, quiet={Quietness.ALL})
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), SnakemakeApi(quiet) as api:
            settings = ConfigSettings(configfiles=list(configs))
            flow = api.workflow(ResourceSettings(**_resources(profile)), settings, snakefile=Path("Snakefile"))
            triggers = frozenset(RerunTrigger.parse_choice(name) for name in TRIGGERS)
            flow.dag(DAGSettings(rerun_triggers=triggers)).execute_workflow(executor="dryrun")
            inside = flow._workflow  # the API prints the plan and does not give it
            attempts = 1 + (profile.retries if profile else 0)
            jobs = [_job(job, inside.dag.needrun(job), attempts) for job in inside.dag.jobs if job.benchmark]
            return Planned(jobs, frozenset(rule.name for rule in inside.rules), dict(inside.config))
    except (WorkflowError, OSError) as error:
        lines = [line.strip() for line in told.getvalue().splitlines() if line.strip()] or [str(error)]
        raise UserError(f"Snakemake cannot plan this run: {lines[-1]}") from error
    finally:
        logging.getLogger("snakemake").handlers.clear()


def _resources(profile: Namespace | None) -> dict[str, object]:
    """Options that decide what a job asks for; a plan has all the processors that its jobs want."""
    if profile is None:
        return {"cores": os.cpu_count()}
    said = {"overwrite_threads": profile.set_threads, "overwrite_resources": profile.set_resources}
    return {"cores": sys.maxsize, "default_resources": profile.default_resources, **said}


def _job(job: object, due: bool, attempts: int) -> PlannedJob:
    asked = []
    for attempt in range(attempts, 0, -1):  # down to the first, at which the job is left
        job.attempt = attempt
        asked.insert(0, _asked(job.resources))
    return PlannedJob(
        rule=job.rule.name,
        gpus=asked[0].gpus,
        runtime_min=asked[0].runtime_min,
        outputs=tuple(Path(path) for path in job.output),
        benchmark=Path(job.benchmark),
        log=Path(job.log[0]),
        due=due,
        attempts=tuple(asked),
    )


def _asked(resources: object) -> Asked:
    return Asked(
        partition=resources.get("slurm_partition"),
        account=resources.get("slurm_account"),
        memory_mb=resources.get("mem_mb", 0),
        runtime_min=resources.get("runtime", 0),
        threads=resources.get("_cores", 1),
        gpus=math.ceil(resources.get("gpu", 0) / resources.get("nodes", 1)),
        model=resources.get("gpu_model"),
        tmpdir=resources.get("tmpdir"),
    )
