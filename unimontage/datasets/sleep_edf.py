"""Sleep-EDF: the cassette recordings, two nights and the days around them of 78 healthy people, with two channels."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import leave_out
from unimontage.datasets.edf import Track, open_edf, read_stretches, stream_edf
from unimontage.datasets.edf_header import check_signals, read_header
from unimontage.datasets.facts import Access, DatasetFacts, Download, Finding, Recording
from unimontage.datasets.hypnogram import (
    EPOCH_S,
    SLEEP_EDF_TEXTS,
    Hypnogram,
    check_scoring,
    fit,
    from_stretches,
    stage_task,
)
from unimontage.datasets.night import draw_night
from unimontage.datasets.sleep_simulation import SleepRig, another_night, draw_sleeper, simulate_night
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError

CHANNELS = ("FPZ-CZ", "PZ-OZ")  # differences of two electrodes, as recorded
LABELS = {"EEG Fpz-Cz": "FPZ-CZ", "EEG Pz-Oz": "PZ-OZ"}
SESSIONS = ("1", "2")

# Numbers 39, 68, 69, 78 and 79 were never given; of three people one night was lost.
SUBJECTS = tuple(f"SC4{i:02d}" for i in range(83) if i not in {39, 68, 69, 78, 79})
ABSENT = (("SC413", "2"), ("SC436", "1"), ("SC452", "1"))

FOLDERS = ("sleep-cassette/", "sleep-edf-database-expanded-1.0.0/sleep-cassette/", "")


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    """A recording and a scoring a night; letters for recorder and scorer follow the six characters of the night."""
    nights = [f"{subject}{session}" for session in sessions or SESSIONS if (subject, session) not in ABSENT]
    kinds = ("PSG", "Hypnogram")
    return tuple(tuple(f"{folder}{night}*-{kind}.edf" for night in nights for kind in kinds) for folder in FOLDERS)


FACTS = DatasetFacts(
    key="sleep_edf",
    title="PhysioNet Sleep-EDF Database Expanded 1.0.0, sleep cassette",
    access=Access.OPEN,
    license="ODC-By-1.0",
    citation=(
        "Kemp B, Zwinderman AH, Tuk B, Kamphuisen HAC, Oberye JJL. Analysis of a sleep-dependent neuronal feedback "
        "loop: the slow-wave microcontinuity of the EEG. IEEE Trans. Biomedical Engineering 47(9):1185-1194, 2000; "
        "Goldberger AL et al. PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23):e215-e220, 2000."
    ),
    url="https://physionet.org/content/sleep-edfx/1.0.0/",
    how_to_obtain="the workflow downloads it from https://physionet.org/files/sleep-edfx/1.0.0/",
    sfreq_hz=100.0,
    channels=CHANNELS,
    subjects=SUBJECTS,
    sessions=SESSIONS,
    trials=2700,
    tasks={"stages": stage_task()},
    unit="uV",
    amplitude_uv=(1.0, 500.0),
    files=_files,
    trial_s=EPOCH_S,
    download=Download("https://physionet.org/files/sleep-edfx/1.0.0/", dict, "SHA256SUMS.txt"),
    continuous=True,
    absent=ABSENT,
)

RIG = SleepRig(CHANNELS, FACTS.sfreq_hz, band_hz=(0.2, 40.0))
TRACKS = (
    *(Track(label, 100.0, "uV", 500.0, "Ag-AgCl electrodes", "HP:0.5Hz LP:100Hz") for label in LABELS),
    Track("EOG horizontal", 100.0, "uV", 1000.0, "Ag-AgCl electrodes"),
    Track("Resp oro-nasal", 1.0, "", 2048.0),
    Track("EMG submental", 1.0, "uV", 50.0),
    Track("Temp rectal", 1.0, "DegC", 50.0),
    Track("Event marker", 1.0, "", 2048.0),
)
RECORD_S = 30
START = datetime.datetime(1989, 4, 24, 16, 13)
DAY_SHARE = 0.25  # of the night's length, awake before it and after it
MOVEMENT_SHARE = 0.003  # of epochs
UNSCORED_TAIL_S = 2 * 3600.0  # the last entry of the release's scorings outlasts the signal
STAGE_TEXTS = ("Sleep stage W", "Sleep stage 1", "Sleep stage 2", "Sleep stage 3", "Sleep stage R")
SCORERS = "CHJPUVW"


def read(root: Path, subject: str, session: str) -> Recording:
    """Open one night.

    Parameters
    ----------
    root : Path
        Folder that holds ``sleep-cassette``, or that folder itself.
    subject, session : str

    Returns
    -------
    Recording
        Not loaded. Label column ``stage``: 0 W, 1 N1, 2 N2, 3 N3 (stages 3 and 4), 4 REM.

    Raises
    ------
    UserError
        For a night that the dataset lacks; for missing, ambiguous or truncated files; if scoring and signal do not
        begin together or do not fit.
    """
    mend = leave_out(FACTS.key, subject)
    signal, scoring = locate(FACTS, subject, root, (session,))
    _check_signals_there(signal, mend)
    raw = open_edf(signal, LABELS, FACTS, mend)
    trials, dropped = fit(_hypnogram(signal, scoring, mend), raw.n_times / FACTS.sfreq_hz, mend)
    return Recording(raw, trials, dropped=dropped)


def _check_signals_there(path: Path, mend: str) -> None:
    lacking = [label for label in LABELS if label not in read_header(path, mend).labels]
    if lacking:
        raise UserError(f"{path.name} lacks {', '.join(lacking)}", expected=" and ".join(LABELS), mend=mend)


def _hypnogram(signal: Path, scoring: Path, mend: str) -> Hypnogram:
    starts = [read_header(path, mend).start for path in (signal, scoring)]
    if starts[0] != starts[1]:
        raise UserError(
            f"{scoring.name} begins at {starts[1]}, {signal.name} at {starts[0]}",
            expected="a scoring that begins with its recording",
            mend=mend,
        )
    return from_stretches(*read_stretches(scoring, mend), SLEEP_EDF_TEXTS, scoring.name)


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic nights, each with a quarter of its length awake on either side.

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
    folder = root / FOLDERS[0]
    folder.mkdir(exist_ok=True)
    for subject in subjects:
        sleeper = draw_sleeper(RIG, generator(spec, FACTS.key, subject))
        for session in [s for s in FACTS.sessions_of(subject) if s in (spec.sessions or SESSIONS)]:
            rng = generator(spec, FACTS.key, subject, session)
            stages = _day_and_night(spec.hours(), rng)
            night = another_night(sleeper, rng)
            signal = simulate_night(RIG, night, stages, rng, spec.structured)
            start = START + datetime.timedelta(days=int(session))
            scorer = SCORERS[rng.integers(len(SCORERS))]
            psg, hypnogram = (folder / f"{subject}{session}E{end}.edf" for end in ("0-PSG", f"{scorer}-Hypnogram"))
            stream_edf(psg, TRACKS, RECORD_S, len(stages), start, _with_others(signal, rng))
            _write_hypnogram(hypnogram, stages, start, rng)
            written += [psg, hypnogram]
    return written


def _day_and_night(hours: float, rng: np.random.Generator) -> np.ndarray:
    day = np.zeros(round(DAY_SHARE * hours * 3600 / EPOCH_S), dtype=np.int64)
    return np.concatenate([day, draw_night(hours, rng), day])


def _with_others(signal: Iterator[np.ndarray], rng: np.random.Generator) -> Iterator[list[np.ndarray]]:
    """EEG and the signals beside it: eyes, breath, chin, temperature, marker."""
    for eeg in signal:
        seconds = eeg.shape[1] // round(FACTS.sfreq_hz)
        slow = rng.standard_normal((4, seconds)) * [[300.0], [0.5], [0.02], [0.0]] + [[0.0], [3.0], [36.8], [900.0]]
        yield [*eeg, 20 * rng.standard_normal(eeg.shape[1], dtype=np.float32), *slow]


def _write_hypnogram(path: Path, stages: np.ndarray, start: datetime.datetime, rng: np.random.Generator) -> None:
    """An EDF+ file of annotations alone, one a stretch of equal stages."""
    import edfio

    texts = np.array(STAGE_TEXTS)[stages].astype("U16")
    texts[(stages == 3) & np.repeat(rng.random(len(stages) // 10 + 1) < 0.4, 10)[: len(stages)]] = "Sleep stage 4"
    texts[rng.random(len(texts)) < MOVEMENT_SHARE] = "Movement time"
    first = np.flatnonzero(np.r_[True, texts[1:] != texts[:-1]])
    lengths = np.diff([*first, len(texts)])
    marks = [
        edfio.EdfAnnotation(i * EPOCH_S, n * EPOCH_S, str(texts[i])) for i, n in zip(first, lengths, strict=True)
    ] + [edfio.EdfAnnotation(len(texts) * EPOCH_S, UNSCORED_TAIL_S, "Sleep stage ?")]
    about = edfio.Recording(startdate=start.date())
    edfio.Edf([], annotations=marks, recording=about, starttime=start.time()).write(path)


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts, reading headers and scorings only.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If files are missing or ambiguous.
    """
    findings, paths = [], locate(FACTS, subject, root)
    for signal, scoring in zip(paths[::2], paths[1::2], strict=True):
        header = check_signals(signal, signal.name, FACTS, _eeg, CHANNELS)
        findings += header
        if all(finding.agrees for finding in header):
            findings.append(check_scoring(scoring.name, lambda s=signal, h=scoring: _check_fit(s, h)))
    return findings


def _eeg(labels: Sequence[str]) -> dict[str, str]:
    return {label: LABELS[label] for label in labels if label in LABELS}


def _check_fit(signal: Path, scoring: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    return fit(_hypnogram(signal, scoring, ""), read_header(signal, "").duration_s, "")
