"""One HDF5 file a subject: windows in microvolt, the table that describes them, and where they came from."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.windows.signal import StoredSignal

KEYS = ("window", "session", "trial", "start_s", "start_sample", "digest")
"""Columns of a window table that are no labels."""


@dataclass(frozen=True)
class WindowStore:
    """The windows of one subject.

    Attributes
    ----------
    signal : StoredSignal, shape (N, C, T), float32
        Microvolt; read from the file only where it is indexed. N may be 0, in the store of a group without patients.
    table : DataFrame, N rows
        ``window`` (id ``dataset/subject/session/trial/k``), ``session``, ``trial``, ``start_s`` within the trial,
        ``start_sample`` within the session, ``digest`` of the content with its landmarks, then one column a label.
    channels : tuple of str
        Canonical electrode names, in the order of axis 1.
    sfreq_hz : float
        Sampling rate of axis 2.
    attributes : dict
        Dataset, subject, whether synthetic, hashes of table and source files, preprocessing; ``scale``: by session, the
        median and robust standard deviation of every channel; ``missing``: by session, the channels that hold NaN.
    """

    signal: StoredSignal | np.ndarray
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
                signal = StoredSignal(_mapped(path, file["signal"]), _mapped(path, file["step_uv"]))
                columns = json.loads(bytes(file["columns"][()]))
                table = pd.DataFrame({name: _column(file["table"][name]) for name in columns})
                attributes = json.loads(bytes(file["attributes"][()]))
                return cls(signal, table, tuple(attributes["channels"]), float(attributes["sfreq_hz"]), attributes)
        except FileNotFoundError as error:
            mend = f"run the same command again, with {path} after the word snakemake"
            raise UserError(f"{path} is missing", mend=mend) from error
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} is not a readable window store: {error}",
                expected="an HDF5 file written by rule preprocess",
                mend=f"rm {path} and run the same command again",
            ) from error


def _mapped(path: Path | str, data: h5py.Dataset) -> np.ndarray:
    if not data.size:  # no bytes, so nothing to map
        return np.empty(data.shape, dtype=data.dtype)
    return np.memmap(path, dtype=data.dtype, mode="r", offset=data.id.get_offset(), shape=data.shape)


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """A table with text as objects, whatever text type pandas prefers."""
    return pd.DataFrame({n: c.astype(object) if c.dtype.kind not in "iufb" else c for n, c in table.items()})


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
