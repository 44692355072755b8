"""The jobs of a run as Snakemake plans them, with what they ask for and where they leave their traces."""

import contextlib
import io
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unimontage.errors import UserError

TRIGGERS = ("params", "input", "software-env", "mtime")
"""What makes a job due, as in the profiles."""


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
    """

    rule: str
    gpus: int
    runtime_min: int
    outputs: tuple[Path, ...]
    benchmark: Path
    log: Path
    due: bool


def planned_jobs(configs: Sequence[Path]) -> list[PlannedJob]:
    """Plan a run of the workflow in this folder without starting it.

    Parameters
    ----------
    configs : sequence of Path
        Configuration files, later ones winning; none for the demo.

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
            flow = api.workflow(ResourceSettings(cores=os.cpu_count()), settings, snakefile=Path("Snakefile"))
            triggers = frozenset(RerunTrigger.parse_choice(name) for name in TRIGGERS)
            flow.dag(DAGSettings(rerun_triggers=triggers)).execute_workflow(executor="dryrun")
            dag = flow._workflow.dag  # the API prints the plan and does not give it
            return [_job(job, dag.needrun(job)) for job in dag.jobs if job.benchmark]
    except (WorkflowError, OSError) as error:
        lines = [line.strip() for line in told.getvalue().splitlines() if line.strip()] or [str(error)]
        raise UserError(f"Snakemake cannot plan this run: {lines[-1]}") from error
    finally:
        logging.getLogger("snakemake").handlers.clear()


def _job(job: object, due: bool) -> PlannedJob:
    asked = job.resources
    return PlannedJob(
        rule=job.rule.name,
        gpus=asked.get("gpu", 0),
        runtime_min=asked.get("runtime", 0),
        outputs=tuple(Path(path) for path in job.output),
        benchmark=Path(job.benchmark),
        log=Path(job.log[0]),
        due=due,
    )
