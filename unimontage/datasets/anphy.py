"""ANPHY-Sleep: one night of 29 healthy people with 83 channels at 1000 Hz."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import leave_out
from unimontage.datasets.edf import Track, open_edf, stream_edf
from unimontage.datasets.edf_header import check_signals, read_header
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, electrodes
from unimontage.datasets.hypnogram import (
    ANPHY_LETTERS,
    EPOCH_S,
    Hypnogram,
    check_scoring,
    fit,
    from_stretches,
    read_lines,
    stage_task,
)
from unimontage.datasets.night import draw_night
from unimontage.datasets.sleep_simulation import SleepRig, draw_sleeper, simulate_night
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError
from unimontage.montage.names import KNOWN, canonical, canonical_channels

CHANNELS = electrodes("F3 F4 C3 C4 P3 P4 O1 O2 FZ CZ PZ")  # a symmetric choice of the 10-20 system
# The owners publish no list of the 83; a reader takes the electrodes that a file's header names.
HIGH_DENSITY = electrodes(
    """FP1 FPZ FP2 AF7 AF5 AF3 AF1 AFZ AF2 AF4 AF6 AF8 F9 F7 F5 F3 F1 FZ F2 F4 F6 F8 F10 FT9 FT7 FC5 FC3 FC1 FCZ FC2 FC4
    FC6 FT8 FT10 T9 T7 C5 C3 C1 CZ C2 C4 C6 T8 T10 TP9 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 TP10 P9 P7 P5 P3 P1 PZ P2 P4
    P6 P8 P10 PO9 PO7 PO5 PO3 PO1 POZ PO2 PO4 PO6 PO8 PO10 I1 O1 OZ O2 I2"""
)
NOT_EEG = ("ChEMG1", "ChEMG2", "RLEG-", "RLEG+", "LLEG-", "LLEG+", "ECG1", "EOG1", "ECG2", "EOG2")
STRAY = {"EPCTL06": ("C1-",)}  # a second C1 that one file carries

FOLDERS = ("", "ANPHY-Sleep/")


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    """The signal, and the scoring, whose name goes on after the subject's in some copies."""
    return tuple((f"{folder}{subject}/{subject}.edf", f"{folder}{subject}/{subject}*.txt") for folder in FOLDERS)


FACTS = DatasetFacts(
    key="anphy",
    title="ANPHY-Sleep",
    access=Access.OPEN,
    license="open access; terms at the OSF page",
    citation=(
        "Wei X, Avigdor T, Ho A, et al. ANPHY-Sleep: an open sleep database from healthy adults using high-density "
        "scalp electroencephalogram. Scientific Data 11:896, 2024."
    ),
    url="https://doi.org/10.17605/OSF.IO/R26FH",
    how_to_obtain="download the folders EPCTL01 to EPCTL29 from https://osf.io/r26fh/",
    sfreq_hz=1000.0,
    channels=CHANNELS,
    subjects=tuple(f"EPCTL{i:02d}" for i in range(1, 30)),
    sessions=("1",),
    trials=900,
    tasks={"stages": stage_task()},
    unit="uV",
    amplitude_uv=(1.0, 500.0),
    files=_files,
    trial_s=EPOCH_S,
    continuous=True,
    available=HIGH_DENSITY,
)

RIG = SleepRig(HIGH_DENSITY, FACTS.sfreq_hz, band_hz=(0.1, 70.0), line_hz=60.0)
EEG_LIMIT_UV = 1000.0
RECORD_S = 1
START = datetime.datetime(2019, 3, 12, 22, 15)
CODES = ("W", "N1", "N2", "N3", "R")  # of STAGES


def read(root: Path, subject: str, session: str) -> Recording:
    """Open one night: every channel that is an electrode by its name.

    Parameters
    ----------
    root : Path
        Folder that holds ``EPCTL01``, ``EPCTL02``, ..., or the one above it.
    subject, session : str

    Returns
    -------
    Recording
        Not loaded, channels in the order of the file. Label column ``stage``: 0 W, 1 N1, 2 N2, 3 N3, 4 REM.

    Raises
    ------
    UserError
        For missing, ambiguous or truncated files, an unknown stage, and a scoring that does not fit the signal.
    """
    mend = leave_out(FACTS.key, subject)
    signal, scoring = locate(FACTS, subject, root, (session,))
    names = _eeg(read_header(signal, mend).labels, signal.name)
    raw = open_edf(signal, names, FACTS, mend)
    trials, dropped = fit(_hypnogram(scoring, mend), raw.n_times / FACTS.sfreq_hz, mend)
    missing = tuple(name for name in FACTS.channels if name not in raw.ch_names)
    return Recording(raw, trials, missing, dropped)


def _eeg(labels: Sequence[str], where: str) -> dict[str, str]:
    """Labels of electrodes, with their channels; muscles, eyes, heart and a stray copy are none by their names."""
    chosen = [label for label in labels if canonical(label) in KNOWN]
    if not chosen:
        raise UserError(f"{where} holds no EEG", expected=f"electrodes such as {', '.join(CHANNELS[:3])}")
    return dict(zip(chosen, canonical_channels(chosen, where), strict=True))


def _hypnogram(path: Path, mend: str) -> Hypnogram:
    """Lines of stage, onset and duration in seconds."""
    rows = [line.split() for line in read_lines(path)]
    try:
        codes, onsets, durations = zip(
            *((code, float(onset), float(length)) for code, onset, length in rows), strict=True
        )
    except ValueError as error:
        raise UserError(
            f"{path.name} has {len(rows)} lines, not all of which are a stage and two numbers ({error})",
            expected="lines of stage, onset and duration in seconds",
            mend=mend,
        ) from error
    return from_stretches(onsets, durations, codes, ANPHY_LETTERS, path.name)


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic nights with all channels, half a minute of lights at either end.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    written = [begin(root, FACTS, spec)]
    for subject in subjects:
        rng = generator(spec, FACTS.key, subject)
        folder = root / subject
        folder.mkdir(exist_ok=True)
        signal, scoring = folder / f"{subject}.edf", folder / f"{subject}.txt"
        stages = np.concatenate([[0], draw_night(spec.hours(), rng), [0]])
        eeg = simulate_night(RIG, draw_sleeper(RIG, rng), stages, rng, spec.structured)
        stray = STRAY.get(subject, ())
        labels = (*(_spelling(name) for name in HIGH_DENSITY), *stray, *NOT_EEG)
        tracks = [Track(label, FACTS.sfreq_hz, "uV", EEG_LIMIT_UV) for label in labels]
        pieces = _with_others(eeg, len(stray), rng)
        stream_edf(signal, tracks, RECORD_S, round(len(stages) * EPOCH_S), START, pieces)
        codes = ["L", *(CODES[stage] for stage in stages[1:-1]), "L"]
        lines = [f"{code}\t{i * EPOCH_S:g}\t{EPOCH_S:g}" for i, code in enumerate(codes)]
        scoring.write_text("\n".join(lines) + "\n", encoding="ascii")
        written += [signal, scoring]
    return written


def _with_others(signal: Iterator[np.ndarray], strays: int, rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    for eeg in signal:
        others = 20 * rng.standard_normal((strays + len(NOT_EEG), eeg.shape[1]), dtype=np.float32)
        yield [*eeg, *others]


def _spelling(channel: str) -> str:
    """The file's name of a channel: Fp1, Fz, FC3."""
    return channel.replace("FP", "Fp").replace("Z", "z")


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts, reading the header and the scoring only.

    The channels are the ones the dataset is usually used with: which others there are is for each file to say.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If files are missing or ambiguous.
    """
    signal, scoring = locate(FACTS, subject, root)
    header = check_signals(signal, signal.name, FACTS, lambda labels: _usual(labels, signal.name), CHANNELS)
    if not all(finding.agrees for finding in header):
        return header
    return [*header, check_scoring(scoring.name, lambda: _check_fit(signal, scoring))]


def _usual(labels: Sequence[str], where: str) -> dict[str, str]:
    return {label: name for label, name in _eeg(labels, where).items() if name in CHANNELS}


def _check_fit(signal: Path, scoring: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    return fit(_hypnogram(scoring, ""), read_header(signal, "").duration_s, "")
