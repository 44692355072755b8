"""From a rule to a stage: a typed request, a log, and one line for the user when the input is bad."""

import logging
import os
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from unimontage.errors import Interrupted, UserError
from unimontage.stages.meter import Meter
from unimontage.stages.record import write_record

logger = logging.getLogger("unimontage")


class Request(BaseModel):
    """What a rule asks of its stage: the rule's named inputs, outputs and params, checked and closed."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    code: str
    """Fingerprint of the code that answers the request."""


def run(stage: Callable[[Any], None], snakemake: Any) -> None:
    """Call a stage with the request that its rule states, and write the record of the job when it is done.

    A :class:`UserError` becomes one line in the log and on the screen, and exit status 1; so does an
    :class:`Interrupted`, with status 75, after which Snakemake's next attempt goes on from what was kept.

    Parameters
    ----------
    stage : callable
        Takes one argument, ``request``, a subclass of :class:`Request`.
    snakemake : object
        The rule's side of the script: named inputs, outputs and params, log and threads.
    """
    log = Path(snakemake.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.FileHandler(log, mode="w")],
        force=True,
    )
    meter = Meter()
    try:
        request = build(stage, snakemake)
        stage(request)
        write_record(request, snakemake, meter.read(snakemake.resources.get("gpu", 0)))
    except UserError as error:
        logger.error("%s", error)
        print(f"\n{snakemake.rule}: {error}\n", file=sys.stderr, flush=True)
        sys.exit(1)
    except Interrupted as stop:
        logger.warning("%s", stop)
        print(f"\n{snakemake.rule}: {stop}\n", file=sys.stderr, flush=True)
        sys.exit(os.EX_TEMPFAIL)
    except Exception:
        logger.exception("rule %s failed", snakemake.rule)
        raise


def build(stage: Callable[[Any], None], snakemake: Any) -> Request:
    """The typed request of a stage from a rule's named parts."""
    kind = typing.get_type_hints(stage)["request"]
    values: dict[str, Any] = {}
    for part in (snakemake.input, snakemake.output, snakemake.params):
        values |= {name: list(value) if isinstance(value, list) else value for name, value in part.items()}
    if "threads" in kind.model_fields:
        values["threads"] = snakemake.threads
    gpus = snakemake.resources.get("gpu", 0)
    if "gpus" in kind.model_fields:
        values["gpus"] = gpus
    elif gpus > 1:
        one = f"set-resources: {{{snakemake.rule}: {{gpu: 1}}}}"
        raise UserError(f"{gpus} GPUs for rule {snakemake.rule}", expected="one, it cannot use more", mend=one)
    if "nodes" in kind.model_fields:
        values["nodes"] = snakemake.resources.get("nodes", 1)
    if "deadline" in kind.model_fields:
        values["deadline"] = _deadline(snakemake.resources)
    return kind.model_validate(values)


def _deadline(resources: Any) -> float | None:
    """Unix time at which SLURM ends this job: the run time that the rule asked for, from now; None elsewhere."""
    runtime_min = resources.get("runtime")
    return time.time() + 60 * runtime_min if runtime_min and "SLURM_JOB_ID" in os.environ else None
