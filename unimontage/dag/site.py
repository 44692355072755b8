"""What SLURM says of its site: partitions and their nodes, settings, accounts, and jobs that are alive."""

import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unimontage.errors import UserError

CLIENTS = ("sbatch", "squeue", "sinfo", "scontrol", "scancel")
DOWN = ("down", "drain", "fail", "maint", "unk", "power")
"""How the states begin in which a node takes no job."""


@dataclass(frozen=True)
class Node:
    """A node of a partition; GPUs by model, ``""`` where SLURM knows no model."""

    cpus: int
    memory_mb: int
    gpus: Mapping[str, int]
    up: bool


@dataclass(frozen=True)
class Partition:
    """A partition.

    Attributes
    ----------
    name : str
        Its name.
    up : bool
        Whether it takes jobs.
    limit_min : float
        Longest run time in minutes; infinity where there is no limit.
    preempt : str
        What happens to its jobs when others want their nodes, for example ``REQUEUE``.
    tier : int
        Partitions of a higher tier take nodes from it.
    nodes : tuple of Node
        Its nodes.
    """

    name: str
    up: bool
    limit_min: float
    preempt: str
    tier: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class LiveJob:
    """A job that SLURM has not forgotten: running, waiting or about to end."""

    number: str
    name: str
    state: str
    folder: str


def missing_clients() -> list[str]:
    """SLURM's commands that are not on the PATH."""
    return [name for name in CLIENTS if shutil.which(name) is None]


def partitions() -> dict[str, Partition]:
    """All partitions that SLURM shows, by name."""
    nodes = parse_nodes(_ask("sinfo", "-h", "-a", "-N", "-o", "%R|%c|%m|%G|%T"))
    return parse_partitions(_ask("scontrol", "show", "-a", "-o", "partition"), nodes)


def settings() -> dict[str, str]:
    """SLURM's settings, such as ``MinJobAge``."""
    pairs = (line.partition("=") for line in _ask("scontrol", "show", "config").splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def accounts() -> set[str]:
    """Accounts that this user may charge."""
    user = _ask("id", "-un").strip()
    return set(_ask("sacctmgr", "-n", "-P", "show", "associations", f"user={user}", "format=account").split())


def live_jobs(prefix: str, folder: Path | str) -> list[LiveJob]:
    """Jobs of this user that the plugin submitted from a folder: their names are a prefix and the number of a run."""
    plugins = re.compile(rf"{re.escape(prefix)}_?[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")
    return [
        job
        for job in parse_jobs(_ask("squeue", "--me", "-h", "-o", "%i|%j|%T|%Z"))
        if plugins.fullmatch(job.name) and os.path.realpath(job.folder) == os.path.realpath(folder)
    ]


def refuse_orphans(prefix: str, folder: Path | str) -> None:
    """Stop before jobs are submitted a second time while those of an earlier head still write.

    Raises
    ------
    UserError
        There are such jobs; holds the command that ends them.
    """
    found = live_jobs(prefix, folder)
    if found:
        raise orphans(found)


def orphans(jobs: list[LiveJob]) -> UserError:
    """What to say of jobs whose head is gone."""
    states = ", ".join(sorted({job.state.lower() for job in jobs}))
    return UserError(
        f"{len(jobs)} jobs of an earlier run of this folder are alive ({states}) and would write the same files",
        expected="none",
        mend=f"wait until they end, or scancel {' '.join(job.number for job in jobs)}",
    )


def parse_nodes(shown: str) -> dict[str, list[Node]]:
    """Nodes by partition from ``sinfo -h -N -o '%R|%c|%m|%G|%T'``."""
    nodes: dict[str, list[Node]] = {}
    for line in shown.splitlines():
        partition, cpus, memory, gres, state = line.split("|")
        up = not state.lower().startswith(DOWN)
        number = [int(text.rstrip("+")) for text in (cpus, memory)]
        nodes.setdefault(partition, []).append(Node(*number, parse_gpus(gres), up))
    return nodes


def parse_partitions(shown: str, nodes: Mapping[str, list[Node]]) -> dict[str, Partition]:
    """Partitions from ``scontrol show -o partition``, one a line."""
    found = {}
    for line in shown.splitlines():
        said = dict(part.split("=", 1) for part in line.split() if "=" in part)
        name = said["PartitionName"]
        found[name] = Partition(
            name=name,
            up=said["State"] == "UP",
            limit_min=minutes(said["MaxTime"]),
            preempt=said["PreemptMode"],
            tier=int(said["PriorityTier"]),
            nodes=tuple(nodes.get(name, ())),
        )
    return found


def parse_jobs(shown: str) -> list[LiveJob]:
    """Jobs from ``squeue -h -o '%i|%j|%T|%Z'``."""
    return [LiveJob(*line.split("|", 3)) for line in shown.splitlines() if line.count("|") >= 3]


def minutes(written: str) -> float:
    """A time limit of SLURM's in minutes: ``30``, ``30:00``, ``1:30:00``, ``2-0``, ``1-12:00:00`` or ``UNLIMITED``."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", written)
    if found is None:
        return math.inf
    days, first, second, third = (int(part or 0) for part in found.groups())
    if found[1] is not None:
        return days * 1440 + first * 60 + second + third / 60
    return first * 60 + second + third / 60 if found[4] is not None else first + second / 60


def parse_gpus(written: str) -> dict[str, int]:
    """GPUs by model from a node's generic resources, for example ``gpu:a100:4(S:0-1),shard:8``."""
    gpus: dict[str, int] = {}
    for model, count in re.findall(r"(?:^|,)gpu(?::([^:,()]+))?:(\d+)", written):
        gpus[model] = gpus.get(model, 0) + int(count)
    return gpus


def _ask(*command: str) -> str:
    """Output of a command.

    Raises
    ------
    UserError
        It is not there, fails, or does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        raise UserError(f"{command[0]}: {error.strerror}", mend="start where SLURM's commands are") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{command[0]} does not answer within a minute", mend="try again later") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise UserError(f"{' '.join(command)}: {said[-1]}", mend="ask the site whether SLURM is well")
    return done.stdout
