"""Devices: one GPU when there is one, else the processor."""

import torch
from lightning_fabric import Fabric

PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed"}


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
    return Fabric(accelerator="cuda" if gpu else "cpu", devices=1, precision=chosen)
