"""A recording of any length in little memory: read by slices, conditioned by blocks, cut into windows on the way."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from unimontage.signal.filtering import Conditioning, places
from unimontage.signal.quality import Repair
from unimontage.signal.windowing import gather

if TYPE_CHECKING:
    import mne

MICROVOLT = 1e6
SLICE = 2**16
"""Samples of a channel that are read at once for inspection."""
READ = 2**17
"""Samples of a channel that are read at once for conditioning, or a few more."""
LANES = 4
"""Rows that a transform works on at once."""


class Reader:
    """Slices of a recording in microvolt, each channel without its offset.

    Offsets, which reach 0.1 volt in DC-coupled recordings, are taken away in float64: float32 would round what is left.

    Parameters
    ----------
    raw : BaseRaw
        The recording in volt; what is not loaded stays on disk.
    channels : sequence of str, length C
        Channels to read, in this order.

    Attributes
    ----------
    samples : int
        Length of the recording.
    """

    def __init__(self, raw: "mne.io.BaseRaw", channels: Sequence[str]) -> None:
        self._raw, self._picks = raw, np.array([raw.ch_names.index(name) for name in channels])
        self.samples = int(raw.n_times)
        start = raw.get_data(self._picks, 0, min(self.samples, max(1, round(raw.info["sfreq"]))))  # (C, a second)
        self._offset = np.median(np.where(np.isfinite(start), start, 0.0), axis=1)  # (C,) volt
        self._repair: Repair | None = None

    def mend(self, repair: Repair | None) -> None:
        """From now on give bad channels as they follow from good ones."""
        self._repair = repair
        if repair is not None:
            repair.apply(self._offset)

    def offset(self) -> np.ndarray:
        """What was taken away from each channel, microvolt; shape (C,)."""
        return self._offset * MICROVOLT

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples ``start`` to ``stop`` in microvolt, less the offsets; shape (C, stop - start), float32."""
        volt = self._raw.get_data(self._picks, start, stop)
        out = np.empty(volt.shape, dtype=np.float32)
        np.subtract(volt, self._offset[:, None], out=out, casting="same_kind")
        out *= np.float32(MICROVOLT)
        if self._repair is not None:
            self._repair.apply(out)
        return out

    def slices(self) -> Iterator[np.ndarray]:
        """The whole recording, slice after slice."""
        for start in range(0, self.samples, SLICE):
            yield self.read(start, min(start + SLICE, self.samples))


def conditioned(
    reader: Reader, starts: Sequence[int], conditioning: Conditioning, threads: int = 1
) -> Iterator[np.ndarray]:
    """Filter and resample joined pieces each by itself, on one common time axis.

    Parameters
    ----------
    reader : Reader
        The recording.
    starts : sequence of int
        First sample of each piece, from 0 on; see :func:`~unimontage.signal.filtering.piece_starts`.
    conditioning : Conditioning
        What to do.
    threads : int
        Channels that are worked on at once.

    Yields
    ------
    ndarray, shape (C, samples), float32
        Microvolt, one stretch after the other; together as many samples as the recording lasts at the new rate. Sample
        n stands for the time n / new rate. A piece that starts between two new samples is moved to the nearer one.

    Notes
    -----
    A piece is continued beyond its ends by odd reflection. Symmetric filters keep that symmetry, so one pass gives what
    filtering, notch and resampling give one after the other, at the edges too.
    """
    bounds = [*starts, reader.samples]
    ends = places(bounds, conditioning.ratio)
    offset = (conditioning.offset_gain * reader.offset()).astype(np.float32)[:, None]  # (C, 1)
    with ThreadPoolExecutor(threads) as pool:
        spread = pool.map if threads > 1 else map
        for piece in range(len(starts)):
            left = ends[piece + 1] - ends[piece]
            for blocks in _blocks(reader.read, bounds[piece], bounds[piece + 1], conditioning):
                # A few channels after the other: their blocks and spectra stay in the processor's cache.
                few = math.ceil(LANES / blocks.shape[1])
                groups = [blocks[first : first + few] for first in range(0, len(blocks), few)]
                out = np.concatenate(list(spread(conditioning.apply, groups)))  # (C, B, new samples of a block)
                out = out.reshape(len(out), -1)[:, :left] + offset
                left -= out.shape[1]
                yield out


def _blocks(
    read: Callable[[int, int], np.ndarray], begin: int, end: int, conditioning: Conditioning
) -> Iterator[np.ndarray]:
    """Consecutive blocks of a piece, each with its context on both sides, several at a time; (C, B, N)."""
    reach, size = conditioning.reach, conditioning.block(end - begin)
    hop = size - 2 * reach
    most = LANES * math.ceil(READ / (LANES * hop))
    for start in range(begin, end, most * hop):
        count = min(most, math.ceil((end - start) / hop))
        first, last = start - reach, start + count * hop + reach
        data = read(max(first, begin), min(last, end))
        before, after = max(0, begin - first), min(max(0, last - end), reach)
        if before or after:
            data = np.pad(data, ((0, 0), (before, after)), mode="reflect", reflect_type="odd")
        if data.shape[1] < last - first:  # beyond all that a sample of the piece depends on
            data = np.pad(data, ((0, 0), (0, last - first - data.shape[1])))
        yield np.lib.stride_tricks.sliding_window_view(data, size, axis=1)[:, ::hop]


def windows_of(
    stretches: Iterable[np.ndarray], start_samples: np.ndarray, length: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut windows out of a signal that passes by.

    Parameters
    ----------
    stretches : iterable of ndarray, shape (C, any)
        The signal, one stretch after the other.
    start_samples : ndarray of int, shape (N,)
        First sample of each window, in any order.
    length : int
        Samples of a window.

    Yields
    ------
    rows : ndarray of int, shape (n,)
        Which windows.
    windows : ndarray, shape (n, C, length)
        Their samples, as soon as these have passed.

    Raises
    ------
    ValueError
        A window lies before the signal's first sample or beyond its last.
    """
    order = np.argsort(start_samples, kind="stable")
    starts = np.asarray(start_samples, dtype=np.int64)[order]
    held, origin, done = None, 0, 0
    for stretch in stretches:
        held = stretch if held is None else np.concatenate([held, stretch], axis=1)
        end = origin + held.shape[1]
        ready = int(np.searchsorted(starts, end - length, side="right"))
        if ready > done:
            yield order[done:ready], gather(held, starts[done:ready] - origin, length)
            done = ready
        needed = min(int(starts[done]), end) if done < len(starts) else end
        held, origin = held[:, needed - origin :], needed
    if done < len(starts):
        raise ValueError(f"a window of {length} samples at {starts[done]} in {origin + held.shape[1]} samples")
