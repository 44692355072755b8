"""Writing a window store part by part, without ever holding its signal in memory."""

import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.windows.atomic import beside, sweep, to_disk, writing
from unimontage.windows.scale import scales
from unimontage.windows.signal import restored, rounded
from unimontage.windows.store import KEYS, plain, table_hash


class WindowWriter:
    """A window store that grows by windows; the file appears whole on :meth:`finish`, or not at all.

    Use it as a context manager: leaving it without :meth:`finish` removes what was written.

    Parameters
    ----------
    path : Path or str
        Where to.
    channels : sequence of str, length C
        Canonical electrode names.
    samples : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.

    Notes
    -----
    HDF5 crashes when it cannot flush to a full disk. It lays out the file in memory, with a hole where the samples are,
    and the samples and what surrounds them are written as ordinary bytes.
    """

    def __init__(self, path: Path | str, *, channels: Sequence[str], samples: int, sfreq_hz: float) -> None:
        self._path, self._aside = Path(path), beside(Path(path))
        self._channels, self._samples, self._sfreq_hz = list(channels), samples, float(sfreq_hz)
        self._steps: dict[int, np.ndarray] = {}
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            sweep(self._path)
            self._file = self._aside.open("wb", buffering=0)  # nothing is left to be flushed when it is closed

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self._channels)

    def __enter__(self) -> "WindowWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._aside.unlink(missing_ok=True)  # renamed already where all went well

    def write(self, first: int, windows: np.ndarray) -> np.ndarray:
        """Write consecutive windows, in any order of the parts.

        Parameters
        ----------
        first : int
            Row of the first of them.
        windows : ndarray, shape (n, C, T)
            Microvolt; a channel that the recording lacks is NaN throughout.

        Returns
        -------
        ndarray, shape (n, C, T), float32
            The windows as they will be read back, see :func:`~unimontage.windows.signal.rounded`.

        Raises
        ------
        UserError
            The windows have another shape than the store's, or the disk is full.
        ValueError
            A channel is NaN in places, or infinite.
        """
        if windows.shape[1:] != (len(self._channels), self._samples):
            raise UserError(
                f"{self._path}: windows of {windows.shape[1]} channels and {windows.shape[2]} samples",
                expected=f"{len(self._channels)} and {self._samples}",
            )
        numbers, self._steps[first] = rounded(windows)
        self._put(_start() + first * self._window_bytes, numbers)
        return restored(numbers, self._steps[first])

    @property
    def _rows(self) -> int:
        return sum(map(len, self._steps.values()))

    def finish(self, table: pd.DataFrame, attributes: Mapping[str, Any]) -> None:
        """Write what describes the windows and give the file its name.

        Parameters
        ----------
        table : DataFrame, N rows
            Columns of :data:`~unimontage.windows.store.KEYS` first, then the labels.
        attributes : mapping
            What else travels with the windows; JSON values only.

        Raises
        ------
        UserError
            The table does not fit the windows, an id stands twice, or the disk is full.
        """
        if len(table) != self._rows or tuple(table.columns[: len(KEYS)]) != KEYS:
            raise UserError(
                f"{self._path}: {self._rows} windows, {len(table)} table rows",
                expected="one row a window and the store's own columns",
            )
        if table["window"].duplicated().any():
            raise UserError(
                f"{self._path}: window {table['window'][table['window'].duplicated()].iloc[0]} stands twice"
            )
        table = plain(table)
        everything = dict(attributes) | {
            "channels": self._channels,
            "sfreq_hz": self._sfreq_hz,
            "unit": "uV",
            "table_hash": table_hash(table),
        }
        frame = _Frame(_start() if self._rows else 0, self._rows * self._window_bytes)
        with h5py.File(frame, "w") as file:
            reserved = _reserve(file, (self._rows, len(self._channels), self._samples))
            # Without windows there is no place of the samples.
            assert reserved == (_start() if self._rows else None), (
                "HDF5 placed the samples elsewhere than in a new store"
            )
            for name, values in table.items():
                file.create_dataset(
                    f"table/{name}", data=_fixed(values) if values.dtype == object else values.to_numpy()
                )
            steps = [self._steps[first] for first in sorted(self._steps)]
            none = np.empty((0, len(self._channels)), dtype="<f4")
            file.create_dataset("step_uv", data=np.concatenate([none, *steps]))
            # Data sets, not HDF5 attributes, which hold 64 kB at most.
            file.create_dataset("columns", data=np.bytes_(json.dumps(list(table.columns))))
            file.create_dataset("attributes", data=np.bytes_(json.dumps(everything)))
        self._put(0, frame.before.getbuffer())
        self._put(frame.stop, frame.after.getbuffer())
        with writing(self._path):
            self._file.close()
            to_disk(self._aside)
            self._aside.replace(self._path)

    @property
    def _window_bytes(self) -> int:
        return 2 * len(self._channels) * self._samples

    def _put(self, place: int, data: np.ndarray | memoryview) -> None:
        left = memoryview(data).cast("B")
        with writing(self._path):
            self._file.seek(place)
            while left:  # an unbuffered file takes 2 GB at a time
                left = left[self._file.write(left) :]


def write_windows(
    path: Path | str,
    signal: np.ndarray,
    table: pd.DataFrame,
    *,
    channels: Sequence[str],
    sfreq_hz: float,
    attributes: Mapping[str, Any],
) -> None:
    """Write a window store from windows in memory; the file appears whole or not at all.

    Parameters
    ----------
    path : Path or str
        Where to.
    signal : ndarray, shape (N, C, T)
        Microvolt.
    table : DataFrame, N rows
        Columns of :data:`~unimontage.windows.store.KEYS` first, then the labels.
    channels : sequence of str, length C
        Canonical electrode names.
    sfreq_hz : float
        Sampling rate.
    attributes : mapping
        What else travels with the windows; JSON values only. The scale of each session is added.

    Raises
    ------
    UserError
        The parts do not fit each other, an id stands twice, or the disk is full.
    """
    if len(table) != len(signal) or len(channels) != signal.shape[1] or tuple(table.columns[: len(KEYS)]) != KEYS:
        raise UserError(
            f"{path}: {signal.shape} samples, {len(table)} table rows, {len(channels)} channel names",
            expected="one row a window, one name a channel and the store's own columns",
        )
    with WindowWriter(path, channels=channels, samples=signal.shape[2], sfreq_hz=sfreq_hz) as writer:
        stored = writer.write(0, signal)
        scale = {"scale": scales(stored, table["session"].to_numpy(dtype=object))}
        writer.finish(table, scale | dict(attributes))


class _Frame(io.RawIOBase):
    """A file in memory with a hole of ``size`` bytes from ``start`` on, which nobody reads or writes."""

    def __init__(self, start: int, size: int) -> None:
        self.start, self.stop = start, start + size
        self.before, self.after = io.BytesIO(), io.BytesIO()
        self._place = self._end = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = (0, self._place, self._end)[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: memoryview) -> int:
        count = self._part().readinto(buffer)
        self._place += count
        return count

    def write(self, data: memoryview) -> int:
        count = self._part().write(data)
        self._place += count
        self._end = max(self._end, self._place)
        return count

    def truncate(self, size: int | None = None) -> int:
        self._end = self._place if size is None else size
        written = self.after.seek(0, io.SEEK_END)
        self.after.write(bytes(max(0, self._end - self.stop - written)))
        return self._end

    def _part(self) -> io.BytesIO:
        part, place = (self.before, self._place) if self._place < self.start else (self.after, self._place - self.stop)
        if place < 0:
            raise ValueError(f"byte {self._place} lies among the samples")
        part.seek(place)
        return part


@cache
def _start() -> int:
    """Byte of a store at which its samples begin, the same for all."""
    with h5py.File(io.BytesIO(), "w") as file:
        return _reserve(file, (1, 1, 1))


def _reserve(file: h5py.File, shape: tuple[int, int, int]) -> int | None:
    """Create the signal, whose samples HDF5 gives room and never touches; the byte at which they begin, if any do."""
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_layout(h5py.h5d.CONTIGUOUS)
    options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    options.set_obj_track_times(False)  # the same windows are the same bytes
    space = h5py.h5s.create_simple(shape)
    return h5py.h5d.create(file.id, b"signal", h5py.h5t.STD_I16LE, space, options).get_offset()


def _fixed(values: pd.Series) -> np.ndarray:
    """Text of fixed width: HDF5 keeps text of any length in a heap, and reads a damaged heap for ever."""
    return np.char.encode(values.to_numpy(dtype=str), "utf-8")
