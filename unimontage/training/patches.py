"""Batches for models that read one-second patches: windows of any montages, each batch of one montage."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unimontage.sharing import share
from unimontage.training.folds import require_complete
from unimontage.training.residence import PROCESSOR, readers
from unimontage.windows import WindowPool, WindowStore


class Batch(NamedTuple):
    """Windows of one montage.

    Attributes
    ----------
    x : Tensor, shape (B, C, T)
        Microvolt.
    channels : tuple of str
        Electrodes.
    total : int
        Windows of the whole batch; B is this process's share of them.
    """

    x: Tensor
    channels: tuple[str, ...]
    total: int


class PatchCorpus:
    """Windows grouped by electrodes and length: a batch never mixes montages, even of equally many channels.

    Parameters
    ----------
    stores : sequence of WindowStore
        One a subject, of any datasets.
    windows : sequence of str
        Ids of the windows that may be seen.
    batch : int
        Windows in a batch.
    interleave : bool
        Mix the batches of all montages within an epoch; otherwise one montage comes after the other.
    seed : int
        Seed of the order.
    device : torch.device
        Windows live in its memory where they fit.
    """

    def __init__(
        self,
        stores: Sequence[WindowStore],
        windows: Sequence[str],
        *,
        batch: int,
        interleave: bool,
        seed: int,
        device: torch.device = PROCESSOR,
    ) -> None:
        self._pools = WindowPool.alike(stores)
        for pool in self._pools:
            require_complete(pool)
        self._readers = readers(self._pools, device)
        self._rows = [np.flatnonzero(pool.ids.isin(windows)) for pool in self._pools]
        self._batch, self._interleave, self._seed = batch, interleave, seed
        counts = [-(-len(rows) // batch) for rows in self._rows]  # the last batch of a montage may be smaller
        self._slots = np.repeat(np.arange(len(counts)), counts)  # montage of every batch of an epoch
        self._places = np.concatenate([np.arange(count) for count in counts])

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def windows(self) -> int:
        """Windows in all."""
        return sum(len(rows) for rows in self._rows)

    def batch_at(self, step: int) -> Batch:
        """The batch of a step, counted over epochs; a function of the step alone."""
        epoch, slot = divmod(step, len(self._slots))
        if self._interleave:
            slot = np.random.default_rng([self._seed, 4, epoch]).permutation(len(self._slots))[slot]
        group, place = self._slots[slot], self._places[slot]
        order = np.random.default_rng([self._seed, 1, epoch, group]).permutation(self._rows[group])
        chosen = np.sort(order[place * self._batch : (place + 1) * self._batch])
        own = chosen[share(len(chosen))]
        return Batch(self._readers[group].windows(own), self._pools[group].channels, len(chosen))
