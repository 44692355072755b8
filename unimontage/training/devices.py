"""Devices: one GPU when there is one, else the processor."""

import torch
from lightning_fabric import Fabric


def open_device(threads: int) -> Fabric:
    """Lightning Fabric on one device, with mixed precision where it pays.

    Parameters
    ----------
    threads : int
        Threads that the processor may use.

    Returns
    -------
    Fabric
        bf16 autocast on a GPU, plain float32 on the processor.
    """
    torch.set_num_threads(max(1, threads))
    gpu = torch.cuda.is_available()
    return Fabric(accelerator="cuda" if gpu else "cpu", devices=1, precision="bf16-mixed" if gpu else "32-true")
