"""Where a training's windows live: on disk, or in the memory of the GPU where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from unimontage.windows import WindowPool
from unimontage.windows.signal import StoredSignal

SHARE = 0.5
"""Most of a GPU's free memory that windows may take; the rest is for the model."""


PROCESSOR = torch.device("cpu")


class Reader(Protocol):
    """Windows of a pool as tensors in microvolt, float32."""

    def windows(self, positions: np.ndarray) -> Tensor:
        """Whole windows (n, C, T) by their positions in the pool, shape (n,)."""
        ...

    def segments(self, positions: np.ndarray, channels: np.ndarray) -> Tensor:
        """One channel of each of some windows, (n, T); channels by their place, shape (n,)."""
        ...


@dataclass(frozen=True)
class OnDisk:
    """Windows that are read when they are needed."""

    pool: WindowPool

    def windows(self, positions: np.ndarray) -> Tensor:
        """Whole windows (n, C, T), on the processor."""
        return torch.from_numpy(self.pool.windows(positions))

    def segments(self, positions: np.ndarray, channels: np.ndarray) -> Tensor:
        """One channel (n, T) of each of some windows, on the processor."""
        return torch.from_numpy(self.pool.segments(positions, channels))


@dataclass(frozen=True)
class Resident:
    """Windows that were read once, in the 16 bits a sample of their stores.

    Attributes
    ----------
    numbers : Tensor, shape (N, C, T), int16
    step_uv : Tensor, shape (N, C)
    """

    numbers: Tensor
    step_uv: Tensor

    @classmethod
    def of(cls, pool: WindowPool, device: torch.device) -> Resident:
        """Read a pool, store by store, into the memory of a device."""
        shape = (len(pool.ids), len(pool.channels), pool.n_times)
        numbers = torch.empty(shape, dtype=torch.int16, device=device)
        step_uv = torch.empty(shape[:2], device=device)
        first = 0
        for store in pool.stores:
            here = slice(first, first + len(store.signal))
            numbers[here] = torch.from_numpy(np.array(store.signal.numbers))
            step_uv[here] = torch.from_numpy(np.array(store.signal.step_uv))
            first = here.stop
        return cls(numbers, step_uv)

    def windows(self, positions: np.ndarray) -> Tensor:
        """Whole windows (n, C, T), on the device."""
        rows = self._on_device(positions)
        return self.numbers[rows] * self.step_uv[rows].unsqueeze(2)

    def segments(self, positions: np.ndarray, channels: np.ndarray) -> Tensor:
        """One channel (n, T) of each of some windows, on the device."""
        where = self._on_device(positions), self._on_device(channels)
        return self.numbers[where] * self.step_uv[where].unsqueeze(1)

    def _on_device(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(index, dtype=np.int64)).to(self.numbers.device)


def readers(pools: Sequence[WindowPool], device: torch.device) -> list[Reader]:
    """A reader for each pool: resident where the device is a GPU and all of them fit into half of what is free on it.

    On a processor the operating system keeps the files in memory already.
    """
    stored = all(isinstance(store.signal, StoredSignal) for pool in pools for store in pool.stores)
    if device.type != "cuda" or not stored or size(pools) > SHARE * torch.cuda.mem_get_info(device)[0]:
        return [OnDisk(pool) for pool in pools]
    return [Resident.of(pool, device) for pool in pools]


def size(pools: Sequence[WindowPool]) -> int:
    """Bytes of some pools' windows, two a sample."""
    return sum(2 * len(pool.ids) * len(pool.channels) * pool.n_times for pool in pools)
