"""What is known about a dataset before any of its files is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

import numpy as np

from unimontage.errors import UserError

if TYPE_CHECKING:
    import mne
    import pandas as pd


def electrodes(names: str) -> tuple[str, ...]:
    """Channel names in file order, written as one blank-separated text."""
    return tuple(names.split())


class Access(StrEnum):
    """How a researcher gets the files."""

    OPEN = "open"
    REQUEST = "request"


@dataclass(frozen=True)
class Task:
    """A question asked of each trial, answered from the trial table.

    Parameters
    ----------
    name : str
    classes : tuple of str
        Class names in the order of their ids.
    columns : tuple of str
        Trial-table columns the answer comes from. With a threshold, k columns give 2^k classes, the first column being
        the most significant bit.
    threshold : float, optional
        Ratings above it are high. Without one the single column already holds class ids.
    regression : bool
        The columns hold real-valued targets instead, and `classes` are the names of these targets.
    """

    name: str
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    threshold: float | None = None
    regression: bool = False

    def targets(self, trials: pd.DataFrame, inclusive: bool = False) -> np.ndarray:
        """Class of each row, or its real-valued targets.

        Parameters
        ----------
        trials : DataFrame
            Trial or window table with this task's columns.
        inclusive : bool
            Count a rating that equals the threshold as high. Published work uses both conventions.

        Returns
        -------
        ndarray of int64, shape (rows,)
            Class ids; -1 where a label is missing. Of a regression: float32, shape (rows, columns); NaN where a target
            is missing.

        Raises
        ------
        UserError
            If a column is absent or holds something that is no class id.
        """
        absent = [column for column in self.columns if column not in trials.columns]
        if absent:
            raise UserError(
                f"task {self.name}: the trial table has no column {', '.join(absent)}",
                expected=f"columns {', '.join(self.columns)}",
            )
        values = trials[list(self.columns)].to_numpy(dtype=np.float64)  # (rows, columns)
        if self.regression:
            return values.astype(np.float32)
        missing = np.isnan(values).any(axis=1)
        if self.threshold is not None:
            high = values >= self.threshold if inclusive else values > self.threshold
            weights = 2 ** np.arange(len(self.columns))[::-1]
            classes = high.astype(np.int64) @ weights
        else:
            classes = np.where(missing, 0, values[:, 0]).astype(np.int64)
            odd = ~missing & ((classes != values[:, 0]) | (classes < 0) | (classes >= len(self.classes)))
            if odd.any():
                raise UserError(
                    f"task {self.name}: label {values[odd, 0][0]:g} is no class",
                    expected=f"0 to {len(self.classes) - 1} ({', '.join(self.classes)})",
                )
        return np.where(missing, -1, classes).astype(np.int64)


def rating_tasks(threshold: float) -> dict[str, Task]:
    """Tasks of a valence-arousal-dominance questionnaire split at `threshold`.

    ``va4`` asks for the quadrant; in its class names V is valence, A arousal, H high, L low.
    """
    binary = {name: Task(name, ("low", "high"), (name,), threshold) for name in ("valence", "arousal", "dominance")}
    quadrants = Task("va4", ("LVLA", "LVHA", "HVLA", "HVHA"), ("valence", "arousal"), threshold)
    return binary | {"va4": quadrants}


@dataclass(frozen=True)
class Download:
    """Where openly licensed files are fetched from, and what they must hash to.

    Parameters
    ----------
    base_url : str
        Relative paths are appended to it; ends in ``/``.
    checksums : callable
        Relative path -> SHA-256 known without asking the server. Read lazily, because it may need an installed package.
    release_sums : str, optional
        The release's own checksum list, relative to `base_url`, for files that `checksums` does not know.
    """

    base_url: str
    checksums: Callable[[], Mapping[str, str]]
    release_sums: str | None = None


class Files(Protocol):
    """Which files a subject needs; see `DatasetFacts`."""

    def __call__(self, subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
        """Alternatives, each complete in itself."""
        ...


@dataclass(frozen=True)
class DatasetFacts:
    """Facts of one dataset, true of every copy of it.

    Parameters
    ----------
    key, title : str
    access : Access
    license, citation, url, how_to_obtain : str
        `how_to_obtain` is one sentence for a person without the files.
    sfreq_hz : float
        Sampling rate on disk; the commonest where `rates_hz` names several.
    channels : tuple of str
        Canonical EEG channel names in file order: those the dataset is usually used with.
    subjects, sessions : tuple of str
    trials : int
        Expected per session; of a continuous dataset, the epochs of a typical recording, which no file is held to.
    tasks : dict of str to Task
        The first is the default. Empty: recordings without labels, of use for pre-training only.
    unit : str
        Of the EEG on disk.
    amplitude_uv : tuple of float
        Plausible range of the median channel SD in microvolts, drifts removed; outside it the unit is wrong.
    files : callable
        (subject, sessions) -> alternatives, each a tuple of paths relative to the root; any one complete alternative is
        enough. Without sessions: those of all sessions. A path may be a pattern with ``*``, which exactly one file must
        match, where a file name holds something that is not known beforehand.
    trial_s : float or tuple of float
        Typical trial length in seconds, or that of each trial.
    download : Download, optional
    strict_folds : int
        Folds of the trial-grouped protocol within a subject.
    continuous : bool
        Trials are the consecutive epochs of a long recording. The number of a trial is then its epoch's place in time:
        epoch k covers ``trial_s`` seconds from (k - 1) ``trial_s`` on, counted from the first sample, so that epochs
        that were left out leave a gap in the numbers.
    available : tuple of str
        All channels that the files hold and that may be asked for; empty: `channels`.
    absent : tuple of (subject, session)
        Sessions that the dataset does not have.
    rates_hz : tuple of float
        Sampling rates on disk where files differ; empty: all have `sfreq_hz`.
    official : callable, optional
        (subject, session, trial) -> ``"train"``, ``"val"`` or ``"test"``: the division that comes with the dataset.
    grouped : bool
        Nobody knows the patients' names without the files, so each of `subjects` is a group of patients, and a patient
        belongs to the group that a hash of the name points to. `sessions` then holds one word that stands for all
        recordings; which there are, ``sittings(root, subject)`` of the dataset's module finds on disk. It names them
        ``patient-rest`` in letters, digits and hyphens. `files` is one alternative of patterns that any number of files
        may match, also none.
    group_of : callable, optional
        Of a grouped dataset: path of a file relative to the root -> the subject it belongs to, or None.
    """

    key: str
    title: str
    access: Access
    license: str
    citation: str
    url: str
    how_to_obtain: str
    sfreq_hz: float
    channels: tuple[str, ...]
    subjects: tuple[str, ...]
    sessions: tuple[str, ...]
    trials: int
    tasks: Mapping[str, Task]
    unit: str
    amplitude_uv: tuple[float, float]
    files: Files
    trial_s: float | tuple[float, ...]
    download: Download | None = None
    strict_folds: int = 5
    continuous: bool = False
    available: tuple[str, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()
    rates_hz: tuple[float, ...] = ()
    official: Callable[[str, str, int], str] | None = None
    grouped: bool = False
    group_of: Callable[[PurePath], str | None] | None = None

    @property
    def known_channels(self) -> tuple[str, ...]:
        """Channels that may be asked for."""
        return self.available or self.channels

    @property
    def known_rates_hz(self) -> tuple[float, ...]:
        """Sampling rates that a file may have."""
        return self.rates_hz or (self.sfreq_hz,)

    def sessions_of(self, subject: str) -> tuple[str, ...]:
        """Sessions that the dataset has of a subject."""
        return tuple(session for session in self.sessions if (subject, session) not in self.absent)


@dataclass
class Recording:
    """One session of one subject as a reader returns it.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        EEG channels only, canonical names, volts. Pieces that a file stores apart are concatenated with mne's boundary
        annotations, so that filters stop at the edges. That of a continuous dataset is not loaded where its format
        allows, and may hold more channels than the facts name.
    trials : DataFrame
        Columns ``trial`` (int from 1), ``onset_s`` (relative to the first sample of `raw`), ``duration_s``, then label
        columns as float.
    missing : tuple of str
        Channels of the facts that this recording lacks; `raw` does not hold them.
    dropped : dict of str to int
        Epochs or events of a recording that are no trial, counted by reason.
    notes : dict of str to int
        Counts of what was found in the recording and kept.
    """

    raw: mne.io.BaseRaw
    trials: pd.DataFrame
    missing: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One comparison of a user's file with the facts."""

    file: str
    item: str
    found: str
    expected: str
    agrees: bool = field(default=False)
