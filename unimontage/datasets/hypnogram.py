"""From what a scorer wrote to the stage of each 30-s epoch of a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.facts import Finding, Task
from unimontage.errors import UserError

STAGES = ("W", "N1", "N2", "N3", "REM")
EPOCH_S = 30.0
LONGEST_MISMATCH = 120  # epochs: an hour by which signal and scoring may differ at either end
TOLERANCE_S = 1e-3  # far below a sample of any EEG; onsets are written with fewer digits than that

# What scorers write -> a stage of the AASM rules, or the reason why an epoch has none. Stages 3 and 4 of Rechtschaffen
# and Kales are N3 (Iber et al. 2007).
SLEEP_EDF_TEXTS = {
    "Sleep stage W": "W", "Sleep stage 1": "N1", "Sleep stage 2": "N2", "Sleep stage 3": "N3", "Sleep stage 4": "N3",
    "Sleep stage R": "REM", "Movement time": "movement", "Sleep stage ?": "unscored",
}  # fmt: skip
ISRUC_DIGITS = {"0": "W", "1": "N1", "2": "N2", "3": "N3", "5": "REM"}
ANPHY_LETTERS = {"W": "W", "N1": "N1", "N2": "N2", "N3": "N3", "R": "REM", "L": "lights"}
DREAMS_DIGITS = {
    "5": "W", "4": "REM", "3": "N1", "2": "N2", "1": "N3", "0": "N3", "-1": "movement", "-2": "unscored",
    "-3": "unscored",
}  # fmt: skip


@dataclass(frozen=True)
class Hypnogram:
    """Consecutive epochs as scored.

    Parameters
    ----------
    where : str
        The file, for errors.
    names : ndarray of str, shape (E,)
        A stage of `STAGES`, or the reason why there is none.
    first : int
        Place of the first epoch, 0 being the one that begins with the signal; negative where scoring began earlier.
    """

    where: str
    names: np.ndarray
    first: int = 0

    @property
    def stage(self) -> np.ndarray:
        """Index into `STAGES` as float, NaN where an epoch has none; shape (E,)."""
        found = self.names[:, None] == np.array(STAGES)  # (E, stages)
        return np.where(found.any(axis=1), found.argmax(axis=1), np.nan)

    def at(self, trials: pd.Series) -> np.ndarray:
        """Stage at each trial number, NaN where there is none; shape (rows,)."""
        place = trials.to_numpy() - 1 - self.first
        inside = (place >= 0) & (place < len(self.names))
        return np.where(inside, self.stage[np.clip(place, 0, len(self.names) - 1)], np.nan)


def stage_task(name: str = "stages", column: str = "stage") -> Task:
    """The five-stage question, asked of one scorer's column."""
    return Task(name, STAGES, (column,))


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without surrounding blanks; empty ones at the end are left out."""
    return [line.strip() for line in path.read_text(encoding="latin1").rstrip().splitlines()]


def from_codes(codes: Sequence[str], vocabulary: Mapping[str, str], where: str, line: int = 1) -> Hypnogram:
    """One code an epoch, the first epoch beginning with the signal.

    Parameters
    ----------
    codes : sequence of str
    vocabulary : mapping
        Code -> stage or reason.
    where : str
        The file, for errors.
    line : int
        Line of the first code in it.

    Raises
    ------
    UserError
        For a code that the vocabulary lacks.
    """
    return Hypnogram(where, _translate(codes, vocabulary, where, lambda i: f"line {line + i}"))


def from_majority(codes: Sequence[str], vocabulary: Mapping[str, str], per_epoch: int, where: str) -> Hypnogram:
    """Codes at a finer step than an epoch: each epoch takes the name most of its codes have, ``unscored`` in a tie.

    Parameters
    ----------
    codes : sequence of str
        After a line of heading; what is left over at the end, shorter than an epoch, counts for nothing.
    vocabulary : mapping
        Code -> stage or reason.
    per_epoch : int
    where : str

    Raises
    ------
    UserError
        For a code that the vocabulary lacks.
    """
    names = _translate(codes, vocabulary, where, lambda i: f"line {2 + i}")
    kinds = np.unique(names)
    pieces = names[: len(names) // per_epoch * per_epoch].reshape(-1, per_epoch)  # (E, per_epoch)
    votes = (pieces[:, :, None] == kinds).sum(axis=1)  # (E, kinds)
    tie = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return Hypnogram(where, np.where(tie, "unscored", kinds[votes.argmax(axis=1)]))


def from_stretches(
    onsets_s: Sequence[float],
    durations_s: Sequence[float],
    codes: Sequence[str],
    vocabulary: Mapping[str, str],
    where: str,
) -> Hypnogram:
    """Stretches of time with a code each: an epoch takes that of the stretch its middle lies in.

    A stretch with a stage counts for more than one without, and an epoch in no stretch is ``unscored``.

    Parameters
    ----------
    onsets_s, durations_s : sequence of float
        Relative to the first sample of the signal.
    codes : sequence of str
    vocabulary : mapping
        Code -> stage or reason.
    where : str
        The file, for errors.

    Raises
    ------
    UserError
        For a code that the vocabulary lacks, for stages that overlap, and for an empty list.
    """
    onsets, durations = np.asarray(onsets_s, dtype=float), np.asarray(durations_s, dtype=float)
    names = _translate(codes, vocabulary, where, lambda i: f"onset {onsets[i]:g} s")
    order = np.argsort(onsets, kind="stable")
    onsets, ends, names = onsets[order], (onsets + durations)[order], names[order]
    staged = np.isin(names, STAGES)
    if not (ends > onsets).any():
        raise UserError(f"{where} holds no scored stretch", expected="stages with a duration", mend="copy it again")
    overlap = np.flatnonzero(onsets[staged][1:] < ends[staged][:-1] - 1.0)
    if len(overlap):
        raise UserError(
            f"{where}: two stages overlap at {onsets[staged][1:][overlap[0]]:g} s", expected="one stage at a time"
        )
    first = min(0, int(np.floor(onsets[0] / EPOCH_S)))
    middles = (np.arange(first, int(np.ceil((ends.max() - TOLERANCE_S) / EPOCH_S))) + 0.5) * EPOCH_S  # (E,)
    scored = _lookup(middles, onsets[staged], ends[staged], names[staged])
    others = _lookup(middles, onsets[~staged], ends[~staged], names[~staged])
    return Hypnogram(where, np.where(scored != "", scored, np.where(others != "", others, "unscored")), first)


def _translate(
    codes: Sequence[str], vocabulary: Mapping[str, str], where: str, place: Callable[[int], str]
) -> np.ndarray:
    unknown = next((i for i, code in enumerate(codes) if code not in vocabulary), None)
    if unknown is not None:
        raise UserError(
            f"{where}, {place(unknown)}: {codes[unknown]!r} is no known stage",
            expected=f"one of {', '.join(vocabulary)}",
            mend="restore the original file, or leave the subject out",
        )
    return np.array([vocabulary[code] for code in codes], dtype=np.str_)


def _lookup(at: np.ndarray, onsets: np.ndarray, ends: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Name of the stretch that holds each time, empty where none does."""
    kept = ends > onsets
    onsets, ends, names = onsets[kept], ends[kept], names[kept]
    if not len(onsets):
        return np.full(len(at), "")
    index = np.searchsorted(onsets, at, side="right") - 1
    return np.where((index >= 0) & (at < ends[index]), names[index], "")


def fit(hypnogram: Hypnogram, signal_s: float, mend: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Trial table of the scored epochs that lie in the signal, and what was left out.

    Parameters
    ----------
    hypnogram : Hypnogram
    signal_s : float
        Length of the signal.
    mend : str
        What to do about a broken file.

    Returns
    -------
    trials : DataFrame
        ``trial`` (place of the epoch, from 1), ``onset_s``, ``duration_s``, ``stage``.
    dropped : dict of str to int
        Epochs by reason: those of the vocabulary; ``unscored`` also where the signal has no score; ``before_signal``
        and ``after_signal``, scored epochs that lie outside; ``unfinished``, one that the signal ends in.

    Raises
    ------
    UserError
        If no scored epoch lies in the signal, or signal and scoring differ by more than an hour at an end.
    """
    stage = hypnogram.stage
    epoch = hypnogram.first + np.arange(len(stage))
    start, scored = epoch * EPOCH_S, ~np.isnan(stage)
    before, after = epoch < 0, start > signal_s - TOLERANCE_S
    unfinished = ~after & (start + EPOCH_S > signal_s + TOLERANCE_S)
    kept = scored & ~before & ~after & ~unfinished
    unnamed = int((signal_s + TOLERANCE_S) // EPOCH_S) - (hypnogram.first + len(stage))  # epochs after the last score
    dropped = Counter(hypnogram.names[~scored & ~before & ~after].tolist())
    dropped.update(unscored=max(0, unnamed), unfinished=int((scored & unfinished).sum()))
    dropped.update(before_signal=int((scored & before).sum()), after_signal=int((scored & after).sum()))
    _check_overlap(hypnogram.where, signal_s, kept, dropped, unnamed, mend)
    trials = pd.DataFrame({"trial": epoch[kept] + 1, "onset_s": start[kept], "duration_s": EPOCH_S})
    return trials.assign(stage=stage[kept]), {reason: count for reason, count in sorted(dropped.items()) if count}


def _check_overlap(
    where: str, signal_s: float, kept: np.ndarray, dropped: Mapping[str, int], unnamed: int, mend: str
) -> None:
    signal = f"the signal of {signal_s / EPOCH_S:.1f} epochs"
    if not kept.any():
        raise UserError(f"{where}: no scored epoch lies in {signal}", expected="a scoring of this recording", mend=mend)
    gaps = {
        "the scoring begins {} epochs before": dropped["before_signal"],
        "the scoring ends {} epochs after": dropped["after_signal"],
        "the scoring ends {} epochs before the end of": unnamed,
    }
    for text, count in gaps.items():
        if count > LONGEST_MISMATCH:
            raise UserError(
                f"{where}: {text.format(count)} {signal}",
                expected=f"a scoring of this recording, to within {LONGEST_MISMATCH} epochs",
                mend=mend,
            )


def check_scoring(name: str, score: Callable[[], tuple[pd.DataFrame, dict[str, int]]]) -> Finding:
    """What `fit` makes of a file, or why it makes nothing."""
    try:
        trials, dropped = score()
    except UserError as error:
        return Finding(name, "scoring", error.what, "stages of this recording", False)
    counts = trials["stage"].astype(int).value_counts()
    found = ", ".join(f"{counts.get(i, 0)} {stage}" for i, stage in enumerate(STAGES))
    left_out = "".join(f", {count} {reason.replace('_', ' ')}" for reason, count in dropped.items())
    return Finding(name, "epochs", f"{found}{left_out}", "stages of this recording", True)


def crop_wake(trials: pd.DataFrame, minutes: float) -> tuple[pd.DataFrame, int]:
    """Keep so much wake before the first and after the last epoch of sleep.

    Parameters
    ----------
    trials : DataFrame
        Scored epochs of one night, as a reader returns them.
    minutes : float
        At least 0. An epoch stays if it lies within this time of sleep as a whole.

    Returns
    -------
    trials : DataFrame
        A copy with the rows that stay.
    dropped : int
        Epochs left out.

    Raises
    ------
    UserError
        For a night without sleep.
    """
    sleep = trials["stage"].to_numpy() > 0
    if not sleep.any():
        raise UserError(
            f"none of the {len(trials)} scored epochs is sleep",
            expected="a night with sleep, to crop the wake around it",
            mend="`preprocessing: {crop_wake_min: null}` keeps all of it, `exclude` leaves the subject out",
        )
    onset = trials["onset_s"].to_numpy()
    end = onset + trials["duration_s"].to_numpy()
    margin = 60 * minutes + TOLERANCE_S
    kept = (onset >= onset[sleep][0] - margin) & (end <= end[sleep][-1] + margin)
    return trials[kept].reset_index(drop=True), int((~kept).sum())
