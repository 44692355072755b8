"""Steps that several readers share: join pieces, open MATLAB files, word the remedy."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unimontage.datasets.facts import DatasetFacts
from unimontage.errors import UserError

if TYPE_CHECKING:
    import mne

UV = 1e-6  # volts


def leave_out(key: str, subject: str) -> str:
    """What to do about a broken file: fetch it again or do without the subject."""
    return f"copy the file again, or leave the subject out with `datasets: {{{key}: {{exclude: [{subject}]}}}}`"


def respell(raw: mne.io.BaseRaw, names: Mapping[str, str]) -> mne.io.BaseRaw:
    """Rename channels, from the labels of their file to canonical names, and keep the labels with the recording."""
    raw.rename_channels(dict(names))
    raw.info["temp"] = {name: label for label, name in names.items()}  # mne's place for what no file format holds
    return raw


def labels_of(raw: mne.io.BaseRaw) -> dict[str, str]:
    """What the file calls each channel, by canonical name; empty where a format or a reader has no labels."""
    return dict(raw.info.get("temp") or {})


def join(pieces: Iterable[np.ndarray], facts: DatasetFacts) -> mne.io.BaseRaw:
    """Concatenate pieces of one session; mne's boundary annotations stop filters and resampling at the edges.

    Parameters
    ----------
    pieces : iterable of ndarray, shape (C, T)
        Microvolts, C as in ``facts.channels``.
    facts : DatasetFacts

    Returns
    -------
    mne.io.BaseRaw
        Volts.
    """
    import mne

    info = mne.create_info(list(facts.channels), facts.sfreq_hz, "eeg")
    volts = (np.asarray(piece, dtype=np.float64) * UV for piece in pieces)
    return mne.concatenate_raws([mne.io.RawArray(v, info.copy(), verbose="ERROR") for v in volts], verbose="ERROR")


def load_matlab(path: Path, mend: str, variables: Sequence[str] | None = None) -> dict[str, Any]:
    """Read a MATLAB file of version 4 to 7.

    Raises
    ------
    UserError
        If the file is no such file or stops early.
    """
    from scipy.io import loadmat

    with _damage(path, mend):
        return loadmat(path, variable_names=variables)


def matlab_shapes(path: Path, mend: str) -> dict[str, tuple[int, ...]]:
    """Shape of each variable of a MATLAB file, its content unread; raises as `load_matlab` does."""
    from scipy.io import whosmat

    with _damage(path, mend):
        return {name: shape for name, shape, _ in whosmat(path)}


@contextmanager
def _damage(path: Path, mend: str) -> Iterator[None]:
    """Say what is wrong with a MATLAB file; scipy reports damage as whatever its parser trips over."""
    from scipy.io.matlab import MatReadError

    try:
        yield
    except NotImplementedError as error:
        raise UserError(
            f"{path.name} is a MATLAB 7.3 (HDF5) file",
            expected="the original file, version 5 or 7",
            mend="restore the original file, or save it in MATLAB with -v7",
        ) from error
    except (MatReadError, ValueError, TypeError, OSError, EOFError, KeyError, IndexError, zlib.error) as error:
        raise UserError(
            f"{path.name} cannot be read as a MATLAB file ({path.stat().st_size} bytes; {error})",
            expected="a complete MATLAB file; this one is truncated or damaged",
            mend=mend,
        ) from error
