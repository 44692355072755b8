"""DREAMS sleep spindles: half an hour of one channel from the nights of six patients, with sleep stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unimontage.datasets.assembly import UV, leave_out
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording
from unimontage.datasets.hypnogram import (
    DREAMS_DIGITS,
    EPOCH_S,
    Hypnogram,
    check_scoring,
    fit,
    from_majority,
    read_lines,
    stage_task,
)
from unimontage.datasets.night import draw_night
from unimontage.datasets.sleep_simulation import SleepRig, draw_sleeper, simulate_night
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator, read_marker
from unimontage.errors import UserError
from unimontage.montage.names import canonical

# Derivation and rate of each excerpt. The stages of excerpts 7 and 8 of the release do not fit their signals: one is
# coded the other way round, the other has no relation to the slow waves.
EXCERPTS = {
    "excerpt1": ("C3-A1", 100.0),
    "excerpt2": ("CZ-A1", 200.0),
    "excerpt3": ("C3-A1", 50.0),
    "excerpt4": ("CZ-A1", 200.0),
    "excerpt5": ("CZ-A1", 200.0),
    "excerpt6": ("CZ-A1", 200.0),
}
CENTRAL = "CZ"
"""What the one channel is called in every excerpt, so that all share a montage; in two of them it is C3."""
EXCERPT_S, TOLERANCE_S = 1800.0, 5.0  # one excerpt is 140 samples longer
SCORED_S = 5.0  # a stage is written every 5 s, though judged for 20 s

FOLDERS = ("", "DatabaseSpindles/")


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    return tuple((f"{folder}{subject}.txt", f"{folder}Hypnogram_{subject}.txt") for folder in FOLDERS)


FACTS = DatasetFacts(
    key="dreams",
    title="DREAMS Sleep Spindles Database",
    access=Access.OPEN,
    license="CC-BY-NC-ND-3.0 (text in the archive)",
    citation=(
        "Devuyst S, Dutoit T, Stenuit P, Kerkhofs M. Automatic sleep spindles detection: overview and development of a "
        "standard proposal assessment method. IEEE EMBC 2011:1713-1716."
    ),
    url="https://doi.org/10.5281/zenodo.2650142",
    how_to_obtain="take DatabaseSpindles from https://doi.org/10.5281/zenodo.2650142 and unpack it",
    sfreq_hz=200.0,
    channels=(CENTRAL,),
    subjects=tuple(EXCERPTS),
    sessions=("1",),
    trials=round(EXCERPT_S / EPOCH_S),
    tasks={"stages": stage_task()},
    unit="uV",
    amplitude_uv=(1.0, 500.0),
    files=_files,
    trial_s=EPOCH_S,
    continuous=True,
    rates_hz=(50.0, 100.0, 200.0),
)

CODES = ("5", "3", "2", "1", "4")  # of STAGES


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one excerpt.

    Parameters
    ----------
    root : Path
        Folder that holds ``excerpt1.txt``, or the one above it.
    subject, session : str

    Returns
    -------
    Recording
        One channel, which is called CZ although it is C3 in two excerpts. Loaded, a text file being hardly readable by
        parts. Label column ``stage``: 0 W, 1 N1, 2 N2, 3 N3, 4 REM, what most of an epoch has.

    Raises
    ------
    UserError
        For missing or truncated files, another channel than the excerpt's, and an unknown stage.
    """
    import mne

    mend = leave_out(FACTS.key, subject)
    signal, scoring = locate(FACTS, subject, root, (session,))
    derivation, rate = EXCERPTS[subject]
    channel = canonical(derivation)
    data = _read_signal(signal, channel, mend)
    seconds = len(data) / rate
    if abs(seconds - EXCERPT_S) > TOLERANCE_S and read_marker(root) is None:
        raise UserError(
            f"{signal.name} has {len(data)} samples, {seconds:g} s at {rate:g} Hz",
            expected=f"{EXCERPT_S:g} s",
            mend=mend,
        )
    raw = mne.io.RawArray(data[None] * UV, mne.create_info([CENTRAL], rate, "eeg"), verbose="ERROR")
    trials, dropped = fit(_hypnogram(scoring), seconds, mend)
    return Recording(raw, trials, dropped=dropped)


def _read_signal(path: Path, channel: str, mend: str) -> np.ndarray:
    """Samples (T,) in microvolt, below a line that names the channel."""
    heading, *values = read_lines(path) or [""]
    if canonical(heading.strip("[]")) != channel:
        raise UserError(f"{path.name} begins with {heading!r}", expected=f"the channel {channel}", mend=mend)
    try:
        return np.array(values, dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{path.name}: {error}", expected="one number a line", mend=mend) from error


def _hypnogram(path: Path) -> Hypnogram:
    return from_majority(read_lines(path)[1:], DREAMS_DIGITS, round(EPOCH_S / SCORED_S), path.name)


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic excerpts, of half an hour unless the specification says how long a night is.

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
        signal, scoring = (root / name for name in FACTS.files(subject)[0])
        derivation, rate = EXCERPTS[subject]
        rig = SleepRig((derivation,), rate, band_hz=(0.2, min(40.0, 0.45 * rate)))
        stages = draw_night(spec.hours(usual=EXCERPT_S / 3600), rng)
        data = np.concatenate(list(simulate_night(rig, draw_sleeper(rig, rng), stages, rng, spec.structured)), axis=1)
        lines = [f"{value:12.4f}" for value in data[0]]
        signal.write_text("\n".join([f"[{derivation}]", *lines, ""]), encoding="ascii")
        codes = [CODES[stage] for stage in np.repeat(stages, round(EPOCH_S / SCORED_S))]
        scoring.write_text("\n".join(["[Hypnogram]", *codes, ""]), encoding="ascii")
        written += [signal, scoring]
    return written


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts; a text file without a header is read whole.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If files are missing.
    """
    signal, scoring = locate(FACTS, subject, root)
    derivation, rate = EXCERPTS[subject]
    channel = canonical(derivation)
    try:
        seconds = len(_read_signal(signal, channel, "")) / rate
    except UserError as error:
        return [Finding(signal.name, "signal", error.what, f"{channel} at {rate:g} Hz", False)]
    as_published = abs(seconds - EXCERPT_S) <= TOLERANCE_S or read_marker(root) is not None
    return [
        Finding(signal.name, "length", f"{seconds:g} s at {rate:g} Hz", f"{EXCERPT_S:g} s", as_published),
        check_scoring(scoring.name, lambda: fit(_hypnogram(scoring), seconds, "")),
    ]
