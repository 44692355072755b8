"""The corpus that pre-training draws single-channel segments from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from unimontage.montage.schema import Vocabulary
from unimontage.sharing import share
from unimontage.signal.normalise import Normaliser, group_codes
from unimontage.training.residence import PROCESSOR, Reader, readers
from unimontage.windows import WindowPool, WindowStore


class Segments(NamedTuple):
    """Single-channel segments of one sampling rate.

    Attributes
    ----------
    x : Tensor, shape (B, T)
        Z-scored by subject-session and channel.
    channel : Tensor, shape (B,)
        Index of the electrode in the vocabulary.
    rate : Tensor, shape (B,)
        Index of the sampling rate, from 1.
    window : ndarray, shape (B,)
        Position of each segment's window in the corpus.
    total : int
        Segments of this rate in the whole batch; B is this process's share of them.
    """

    x: Tensor
    channel: Tensor
    rate: Tensor
    window: np.ndarray
    total: int


@dataclass(frozen=True)
class _Source:
    """The part of a corpus that shares electrodes and rate."""

    reader: Reader
    rows: np.ndarray  # (n,) windows of the pool that pre-training may see
    session: np.ndarray  # (N,) row of each window's session in the statistics; -1 where none of it may be seen
    mean: np.ndarray  # (sessions, C) float32
    deviation: np.ndarray  # (sessions, C) float32
    positions: np.ndarray  # (c,) channels that the vocabulary holds
    vocabulary: np.ndarray  # (c,) their indices
    rate: int


class SegmentCorpus:
    """Windows of many subjects, datasets, montages and rates; batches hold at most one channel of any window.

    Neighbouring electrodes of one window are near copies of each other, so two of them would be false negatives of each
    other in a contrastive batch.

    Parameters
    ----------
    stores : sequence of WindowStore
        One a subject.
    windows : sequence of str
        Ids of the windows that pre-training may see.
    vocabulary : Vocabulary
        Electrodes; others are left out.
    rates : sequence of float
        Sampling rates in Hz, ascending.
    device : torch.device
        Windows live in its memory where they fit.
    """

    def __init__(
        self,
        stores: Sequence[WindowStore],
        windows: Sequence[str],
        vocabulary: Vocabulary,
        rates: Sequence[float],
        device: torch.device = PROCESSOR,
    ) -> None:
        allowed = pd.Index(windows)
        seen = [store for store in stores if store.table["window"].isin(allowed).any()]  # a choice may leave some out
        pools = WindowPool.alike(seen)
        parts = zip(pools, readers(pools, device), strict=True)
        self._sources = [_source(pool, reader, allowed, vocabulary, rates) for pool, reader in parts]
        sizes = [len(source.rows) for source in self._sources]
        self._of = np.repeat(np.arange(len(sizes)), sizes)
        self._row = np.concatenate([source.rows for source in self._sources])

    def __len__(self) -> int:
        return len(self._row)

    def epoch_order(self, epoch: int, size: int, seed: int) -> np.ndarray:
        """Windows of an epoch in random order, each once; shape (min(size, N),)."""
        return np.random.default_rng([seed, 1, epoch]).permutation(len(self))[:size]

    def segments(self, windows: np.ndarray, rng: np.random.Generator) -> list[Segments]:
        """One random channel of each window, grouped by sampling rate.

        Parameters
        ----------
        windows : ndarray, shape (B,)
            Positions in the corpus.
        rng : np.random.Generator
            Draws the channels.

        Returns
        -------
        list of Segments
            One for each rate that occurs, ascending; of each, this process's share.
        """
        draws, of = rng.random(len(windows)), self._of[windows]
        alike: dict[int, list[np.ndarray]] = {}
        for index in np.unique(of):
            alike.setdefault(self._sources[index].rate, []).append(np.flatnonzero(of == index))
        found = []
        for rate in sorted(alike):
            group = np.concatenate(alike[rate])  # montage by montage
            own, parts = group[share(len(group))], []
            for index in np.unique(of[own]):
                source, here = self._sources[index], own[of[own] == index]
                choice = (draws[here] * len(source.positions)).astype(np.intp)
                x = _gather(source, self._row[windows[here]], source.positions[choice])
                parts.append((x, source.vocabulary[choice], windows[here]))
            found.append(_segments(parts, rate, len(group)))
        return found


def _source(
    pool: WindowPool, reader: Reader, allowed: pd.Index, vocabulary: Vocabulary, rates: Sequence[float]
) -> _Source:
    seen = pool.ids.isin(allowed)
    session, mean, deviation, first = np.full(len(seen), -1), [], [], 0
    for store in pool.stores:
        own, sessions = slice(first, first + len(store.signal)), store.table["session"].to_numpy()
        rows = np.flatnonzero(seen[own])
        known = Normaliser.fit(store.signal, rows, sessions)
        place = group_codes(sessions[rows], known.groups, "normalisation statistics")
        session[first + rows] = sum(map(len, mean)) + place
        mean.append(known.mean)
        deviation.append(known.deviation)
        first = own.stop
    indices = vocabulary.index(pool.channels)
    positions = np.flatnonzero(indices)
    rate = list(rates).index(pool.sfreq_hz) + 1
    tables = (np.concatenate(parts).astype(np.float32) for parts in (mean, deviation))
    return _Source(reader, np.flatnonzero(seen), session, *tables, positions, indices[positions], rate)


def _gather(source: _Source, rows: np.ndarray, positions: np.ndarray) -> Tensor:
    """Segments (B, T) of given windows and channels, z-scored and clipped."""
    x = source.reader.segments(rows, positions)  # (B, T)
    where = source.session[rows], positions
    mean, deviation = (
        torch.from_numpy(table[where]).to(x.device)[:, None] for table in (source.mean, source.deviation)
    )
    return ((x - mean) / deviation).clamp_(-Normaliser.clip, Normaliser.clip)


def _segments(parts: list[tuple[Tensor, np.ndarray, np.ndarray]], rate: int, total: int) -> Segments:
    x, channel, window = zip(*parts, strict=True)
    index = torch.from_numpy(np.concatenate(channel))
    return Segments(torch.cat(x), index, torch.full_like(index, rate), np.concatenate(window), total)
