"""One HDF5 file a subject: windows in microvolt, the table that describes them, and where they came from."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.windows.atomic import atomic

KEYS = ("window", "session", "trial", "start_s", "start_sample", "digest")


@dataclass(frozen=True)
class WindowStore:
    """The windows of one subject.

    Attributes
    ----------
    signal : np.memmap, shape (N, C, T), float32
        Microvolt; read from the file only where it is indexed.
    table : DataFrame, N rows
        ``window`` (id ``dataset/subject/session/trial/k``), ``session``, ``trial``, ``start_s`` within the trial,
        ``start_sample`` within the session, ``digest`` of the content, then one column a label.
    channels : tuple of str
        Canonical electrode names, in the order of axis 1.
    sfreq_hz : float
        Sampling rate of axis 2.
    attributes : dict
        Dataset, subject, whether synthetic, hashes of table and source files, preprocessing.
    """

    signal: np.ndarray
    table: pd.DataFrame
    channels: tuple[str, ...]
    sfreq_hz: float
    attributes: dict[str, Any]

    @classmethod
    def open(cls, path: Path | str) -> "WindowStore":
        """Open a store without reading its signal.

        Raises
        ------
        UserError
            The file is no window store, or it is damaged.
        """
        try:
            with h5py.File(path, "r") as file:
                signal = file["signal"]
                memory = np.memmap(
                    path, dtype=signal.dtype, mode="r", offset=signal.id.get_offset(), shape=signal.shape
                )
                columns = json.loads(bytes(file.attrs["columns"]))
                table = pd.DataFrame({name: _column(file["table"][name]) for name in columns})
                attributes = json.loads(bytes(file.attrs["attributes"]))
                return cls(memory, table, tuple(attributes["channels"]), float(attributes["sfreq_hz"]), attributes)
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing", mend="run the same command again") from error
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} is not a readable window store: {error}",
                expected="an HDF5 file written by rule preprocess",
                mend=f"rm {path} and run the same command again",
            ) from error


def _column(column: h5py.Dataset) -> np.ndarray:
    return column.asstr("utf-8")[()] if h5py.check_string_dtype(column.dtype) else column[()]


def table_hash(table: pd.DataFrame) -> str:
    """SHA-256 of a window table: ids, content digests and labels, in order."""
    digest = hashlib.sha256()
    for name in table.columns:
        values = table[name].to_numpy()
        digest.update(name.encode())
        digest.update("\0".join(values).encode() if values.dtype == object else values.tobytes())
    return digest.hexdigest()


def write_windows(
    path: Path | str,
    signal: np.ndarray,
    table: pd.DataFrame,
    *,
    channels: Sequence[str],
    sfreq_hz: float,
    attributes: Mapping[str, Any],
) -> None:
    """Write a window store; the file appears whole or not at all.

    Parameters
    ----------
    path : Path or str
        Where to.
    signal : ndarray, shape (N, C, T)
        Microvolt.
    table : DataFrame, N rows
        Columns of :data:`KEYS` first, then the labels.
    channels : sequence of str, length C
        Canonical electrode names.
    sfreq_hz : float
        Sampling rate.
    attributes : mapping
        What else travels with the windows; JSON values only.

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
    if table["window"].duplicated().any():
        raise UserError(f"{path}: window {table['window'][table['window'].duplicated()].iloc[0]} stands twice")
    everything = dict(attributes) | {
        "channels": list(channels),
        "sfreq_hz": float(sfreq_hz),
        "unit": "uV",
        "table_hash": table_hash(_plain(table)),
    }
    buffer = io.BytesIO()  # HDF5 itself cannot close a file on a full disk, and crashes when the process ends
    with h5py.File(buffer, "w") as file:
        file.create_dataset("signal", data=np.ascontiguousarray(signal, dtype=np.float32))
        group = file.create_group("table")
        for name, values in _plain(table).items():
            group.create_dataset(name, data=_fixed(values) if values.dtype == object else values.to_numpy())
        file.attrs["columns"] = np.bytes_(json.dumps(list(table.columns)))
        file.attrs["attributes"] = np.bytes_(json.dumps(everything))
    with atomic(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def _fixed(values: pd.Series) -> np.ndarray:
    """Text of fixed width: HDF5 keeps text of any length in a heap, and reads a damaged heap for ever."""
    return np.char.encode(values.to_numpy(dtype=str), "utf-8")


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with text as objects, whatever text type pandas prefers."""
    return pd.DataFrame({n: c.astype(object) if c.dtype.kind not in "iufb" else c for n, c in table.items()})
