"""TUEV: events of one second in recordings of the Temple University Hospital, marked channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from unimontage.datasets import tuh
from unimontage.datasets.assembly import leave_out
from unimontage.datasets.clinical import DERIVATIONS, draw_events, event_signal
from unimontage.datasets.edf_header import read_header
from unimontage.datasets.facts import Finding, Recording, Task
from unimontage.datasets.tuh import EVAL, TRAIN
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError

EVENTS = ("spsw", "gped", "pled", "eyem", "artf", "bckg")  # codes 1 to 6 of the annotations
WINDOW_S, BEFORE_S = 5.0, 2.0  # an event with two seconds on either side
COLUMNS = ("channel", "start_s", "stop_s", "code")


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    return (("**/*.edf", "**/*.rec"),)


def _group_of(path: PurePath) -> str | None:
    return tuh.group_of_division(path)


FACTS = replace(
    tuh.FACTS,
    key="tuev",
    title="Temple University Hospital EEG Events Corpus (TUEV)",
    citation=(
        "Harati A, Golmohammadi M, Lopez S, Obeid I, Picone J. Improved EEG event classification using differential "
        "energy. IEEE Signal Processing in Medicine and Biology Symposium, 2015. " + tuh.CITATION
    ),
    how_to_obtain=tuh.HOW_TO_OBTAIN.format("tuh_eeg_events"),
    subjects=(*TRAIN, *EVAL),
    trials=200,
    tasks={"event": Task("event", EVENTS, ("event",))},
    files=_files,
    trial_s=WINDOW_S,
    official=tuh.official_division,
    group_of=_group_of,
)


def sittings(root: Path, subject: str) -> tuple[str, ...]:
    """Recordings that the folder holds of a group of patients, ``patient-rest``; none is no error."""
    return tuh.recordings(FACTS, root, subject)


def read(root: Path, subject: str, session: str) -> Recording:
    """Open one recording; every row of its annotations is a trial of 5 s.

    Parameters
    ----------
    root : Path
        Folder above ``train`` and ``eval``, however deep these are.
    subject, session : str
        Group of patients, and one of its `sittings`.

    Returns
    -------
    Recording
        Not loaded. Label column ``event``: 0 spike and slow wave, 1 generalised and 2 lateralised periodic discharges,
        3 eye movement, 4 artefact, 5 background. An event that is marked on several channels is as many trials. What
        would reach beyond an end of the recording is ``moved`` inside and noted; ``after_signal`` begins too late for
        that, and in a recording of less than 5 s all are ``short``.

    Raises
    ------
    UserError
        For a truncated file, an unknown sampling rate, a file without EEG, and annotations that are missing or damaged.
    """
    mend = leave_out(FACTS.key, subject)
    path = tuh.find(FACTS, root, subject, session)
    raw, missing = tuh.open_signal(path, FACTS, mend)
    events = read_events(path.with_suffix(".rec"), mend)
    trials, dropped, moved = _trials(events, raw.n_times / raw.info["sfreq"])
    return Recording(raw, trials, missing, dropped, {"moved": moved})


def read_events(path: Path, mend: str) -> pd.DataFrame:
    """Rows of a ``.rec`` file: ``channel`` (a derivation of two electrodes), ``start_s``, ``stop_s``, ``code``.

    Raises
    ------
    UserError
        If the file is missing or holds anything else.
    """
    if not path.is_file():
        raise UserError(f"{path.name} is missing", expected=f"the annotations beside {path.stem}.edf", mend=mend)
    rows = [line.split(",") for line in path.read_text(encoding="latin1").splitlines() if line.strip()]
    try:
        values = np.array(rows, dtype=float).reshape(-1, len(COLUMNS))
    except ValueError as error:
        raise UserError(
            f"{path.name} cannot be read as annotations ({error})",
            expected="lines of channel, start, stop and code such as 13,90.4,91.4,6",
            mend=mend,
        ) from error
    events = pd.DataFrame(values, columns=list(COLUMNS))
    odd = ~events["code"].isin(range(1, len(EVENTS) + 1)) | ~(events["stop_s"] > events["start_s"])
    if odd.any():
        row = int(np.argmax(odd))
        raise UserError(
            f"{path.name}: line {row + 1} is {','.join(rows[row])}",
            expected=f"a stop after the start, and a code of 1 to {len(EVENTS)} ({', '.join(EVENTS)})",
            mend=mend,
        )
    return events


def _trials(events: pd.DataFrame, length_s: float) -> tuple[pd.DataFrame, dict[str, int], int]:
    """Trial table, what is no trial by reason, and how many trials were moved into the recording."""
    wished = events["start_s"].to_numpy() - BEFORE_S
    onset = np.clip(wished, 0.0, max(0.0, length_s - WINDOW_S))
    late = events["start_s"].to_numpy() >= length_s
    kept = np.full(len(events), length_s >= WINDOW_S) & ~late
    table = pd.DataFrame(
        {
            "trial": np.arange(1, len(events) + 1),  # the line in the file
            "onset_s": onset,
            "duration_s": WINDOW_S,
            "event": events["code"].to_numpy() - 1.0,
        }
    )
    dropped = {"after_signal": int(late.sum()), "short": int((~kept & ~late).sum())}
    return table[kept].reset_index(drop=True), dropped, int((kept & (onset != wished)).sum())


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic patients with events, named as the two parts of the corpus name theirs.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        ``trial_s`` is the length of a recording, a minute where it is None.

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    written = [begin(root, FACTS, spec)]
    for group in subjects:
        tested = group in EVAL
        # The training patients of version 2.0.1 have letters for names, those of version 2.0.0 had digits.
        digits = 3 if tested else (0, 8)[int(group[-2:]) % 2]
        for patient in tuh.draw_patients(FACTS.key, group, EVAL if tested else TRAIN, spec, digits):
            for number in (1, 2):
                rng = generator(spec, FACTS.key, patient.name, str(number))
                events = draw_events(tuh.twin_seconds(spec), rng)
                eeg = tuh.twin_signal(patient, spec, str(number), FACTS.sfreq_hz)
                if spec.structured:
                    eeg = eeg + event_signal(events, tuh.CHANNELS, eeg.shape[1], FACTS.sfreq_hz, rng)
                path = _twin_path(root, patient.name, number, tested, EVENTS[events[0].kind])
                written += [tuh.write_recording(path, eeg, FACTS.sfreq_hz), path.with_suffix(".rec")]
                lines = [
                    f"{DERIVATIONS.index(pair)},{event.start_s:.1f},{event.start_s + 1:.1f},{event.kind + 1}\n"
                    for event in events
                    for pair in event.derivations
                ]
                path.with_suffix(".rec").write_text("".join(lines), encoding="ascii")
    return written


def _twin_path(root: Path, patient: str, number: int, tested: bool, first: str) -> Path:
    if tested:
        return root / "edf" / "eval" / patient / f"{first}_{patient}_a_{number if number > 1 else ''}.edf"
    return root / "edf" / "train" / patient / f"{patient}_{number:08d}.edf"


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a group's headers and annotations with the facts, reading no signals."""
    findings = tuh.check_recordings(FACTS, root, subject)
    return findings + [_check_events(tuh.find(FACTS, root, subject, name)) for name in sittings(root, subject)]


def _check_events(path: Path) -> Finding:
    where, expected = path.with_suffix(".rec").name, "inside the recording"
    try:
        last = read_events(path.with_suffix(".rec"), "")["stop_s"].max()
        length = read_header(path, "").duration_s
    except UserError as error:
        return Finding(where, "events", error.what, expected, False)
    # Some events of the release end a little after the signal.
    return Finding(where, "events", f"up to {last:g} s of {length:g} s", expected, not last > length + 1)
