"""Devices: GPUs of the job's own when there are any, else the processor."""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy

from unimontage.errors import UserError

PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed"}
_held: list[IO] = []
"""Lock of the GPU that this process has; the kernel frees it when the process ends, however it ends."""


@dataclass(frozen=True)
class Layout:
    """Processes of a job: how many on each of how many nodes."""

    nodes: int = 1
    each: int = 1

    @classmethod
    def of(cls, gpus: int, nodes: int) -> "Layout":
        """One process a GPU, whether or not there are GPUs where the job runs; one where a job asks for none.

        Raises
        ------
        UserError
            The GPUs do not divide among the nodes.
        """
        each, rest = divmod(max(1, gpus), nodes)
        if rest or not each:
            raise UserError(
                f"{gpus} GPUs on {nodes} nodes",
                expected="as many on each node",
                mend=f"set-resources: {{pretrain: {{gpu: {nodes * max(1, each)}, nodes: {nodes}}}}}",
            )
        return cls(nodes, each)

    @property
    def processes(self) -> int:
        """Processes in all."""
        return self.nodes * self.each


def open_device(threads: int, precision: str = "auto", layout: Layout = Layout()) -> Fabric:
    """Lightning Fabric on one device, which is one of several where several processes share their batches.

    Parameters
    ----------
    threads : int
        Threads that the processor may use, for all processes of a node.
    precision : {"auto", "float32", "bf16"}
        auto: bf16 autocast on a GPU, float32 on the processor.
    layout : Layout
        Processes of the job. Where there are several, this is one of those that
        :func:`unimontage.training.ranks.launch` has started.

    Returns
    -------
    Fabric
        One GPU if there is any, else the processor.
    """
    torch.set_num_threads(max(1, threads // layout.each))
    gpu = torch.cuda.is_available()
    chosen = PRECISIONS.get(precision) or PRECISIONS["bf16" if gpu else "float32"]
    own = LightningEnvironment()  # processes that we have started, whatever a batch system's variables say
    options = {"accelerator": "cuda" if gpu else "cpu", "precision": chosen, "plugins": [own]}
    if layout.processes == 1:
        return Fabric(devices=[own_gpu(torch.cuda.device_count())] if gpu else 1, **options)
    together = DDPStrategy(broadcast_buffers=False, find_unused_parameters=True)  # an objective may leave some out
    fabric = Fabric(devices=layout.each, num_nodes=layout.nodes, strategy=together, **options)
    fabric.launch()
    return fabric


@cache
def own_gpu(count: int) -> int:
    """Index of a GPU that no other job of this user on this machine has.

    Snakemake rations GPUs by number and tells no job which is its own; a batch system shows a job its own alone. Where
    more jobs run than there are GPUs, the jobs that come late share.

    Parameters
    ----------
    count : int
        GPUs that this process sees.
    """
    return next(_free(visible_gpus(count)), os.getpid() % count)


def own_gpus(count: int, wanted: int) -> str:
    """Names of several GPUs for the processes of this job, as ``CUDA_VISIBLE_DEVICES`` has them; as :func:`own_gpu`.

    Parameters
    ----------
    count : int
        GPUs that this process sees.
    wanted : int
        GPUs that it needs. A batch system shows a job its own alone, so that none of them has to be free.

    Raises
    ------
    UserError
        There are not so many.
    """
    names = visible_gpus(count)
    alone = "SLURM_JOB_ID" in os.environ
    chosen = range(count)[:wanted] if alone else list(islice(_free(names), wanted))
    if len(chosen) < wanted:
        raise UserError(
            f"{len(chosen)} of {count} GPUs are free",
            expected=f"{wanted}",
            mend=f"set-resources: {{pretrain: {{gpu: {max(1, len(chosen))}}}}}",
        )
    return ",".join(names[index] for index in chosen)


def visible_gpus(count: int) -> list[str]:
    """Names of the GPUs that this process sees."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    return [name.strip() for name in visible.split(",")[:count]]


def _free(names: Sequence[str]) -> Iterator[int]:
    """Indices of GPUs that nobody has; each is this process's as soon as it is given out."""
    folder = Path(tempfile.gettempdir()) / f"unimontage-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    for index, name in enumerate(names):
        lock = (folder / name.replace("/", "-")).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        yield index
