"""Devices: a GPU of the job's own when there is one, else the processor."""

import fcntl
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment

PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed"}
_held: list[IO] = []
"""Lock of the GPU that this process has; the kernel frees it when the process ends, however it ends."""


def open_device(threads: int, precision: str = "auto") -> Fabric:
    """Lightning Fabric on one device.

    Parameters
    ----------
    threads : int
        Threads that the processor may use.
    precision : {"auto", "float32", "bf16"}
        auto: bf16 autocast on a GPU, float32 on the processor.

    Returns
    -------
    Fabric
        One GPU if there is any, else the processor.
    """
    torch.set_num_threads(max(1, threads))
    gpu = torch.cuda.is_available()
    chosen = PRECISIONS.get(precision) or PRECISIONS["bf16" if gpu else "float32"]
    devices = [own_gpu(torch.cuda.device_count())] if gpu else 1
    alone = LightningEnvironment()  # one process, whatever a batch system's variables say
    return Fabric(accelerator="cuda" if gpu else "cpu", devices=devices, precision=chosen, plugins=[alone])


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
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    folder = Path(tempfile.gettempdir()) / f"unimontage-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    for index, name in enumerate(visible.split(",")[:count]):
        lock = (folder / name.strip().replace("/", "-")).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        return index
    return os.getpid() % count
