"""DREAMER: 14-channel EEG of 23 people who watched 18 film clips and rated each."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import join, leave_out, load_matlab
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, electrodes, rating_tasks
from unimontage.datasets.simulation import Person, Rig, draw_person, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, film_moods, generator, read_marker
from unimontage.errors import UserError
from unimontage.montage.names import canonical_channels

CHANNELS = electrodes("AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4")  # Emotiv EPOC order
FILE = "DREAMER.mat"
SCORES = {"valence": "ScoreValence", "arousal": "ScoreArousal", "dominance": "ScoreDominance"}  # integers 1 to 5

# Clips run from 65 to 393 s with a mean near 199 s; the release does not list the lengths, so these are the twin's.
CLIP_SECONDS = (199, 65, 178, 393, 120, 150, 213, 240, 176, 260, 305, 142, 188, 97, 225, 331, 134, 166)

FACTS = DatasetFacts(
    key="dreamer",
    title="DREAMER: EEG and ECG signals for emotion recognition from low-cost devices",
    access=Access.REQUEST,
    license="academic use, access on request",
    citation=(
        "Katsigiannis S, Ramzan N. DREAMER: a database for emotion recognition through EEG and ECG signals from "
        "wireless low-cost off-the-shelf devices. IEEE J. Biomedical and Health Informatics 22(1):98-107, 2018."
    ),
    url="https://zenodo.org/record/546113",
    how_to_obtain="request access at https://zenodo.org/record/546113 and download DREAMER.mat",
    sfreq_hz=128.0,
    channels=CHANNELS,
    subjects=tuple(str(i) for i in range(1, 24)),
    sessions=("1",),
    trials=18,
    tasks=rating_tasks(3.0),
    unit="uV",
    amplitude_uv=(1.0, 1500.0),
    files=lambda subject, sessions=None: ((FILE,),),
    trial_s=tuple(float(seconds) for seconds in CLIP_SECONDS),
    strict_folds=6,
)

RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=15.0, band_hz=(0.0, 45.0), line_hz=50.0, offset_uv=15.0)
PEDESTAL_UV = 4250.0  # the headset's constant offset; filtering removes it
TWIN_BASELINE_S = 2.0  # 61 s in the release; no step of the workflow reads it


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one subject: 18 film clips of unequal length, joined. The neutral baseline clips are left out.

    The file holds all 23 subjects and is read whole (several GB of memory for the original).

    Parameters
    ----------
    root : Path
        Folder that holds ``DREAMER.mat``.
    subject, session : str

    Returns
    -------
    Recording
        Label columns ``valence``, ``arousal``, ``dominance``, from 1 to 5. The offset of about 4250 uV is left in.

    Raises
    ------
    UserError
        For a missing, truncated or differently built file.
    """
    path = locate(FACTS, subject, root, (session,))[0]
    mend = leave_out(FACTS.key, subject)
    clips, scores = _subject(_open(path, mend), subject, path.name, mend)
    samples = np.array([len(clip) for clip in clips])
    return Recording(join((clip.T for clip in clips), FACTS), _table(samples, scores))


def _open(path: Path, mend: str) -> np.ndarray:
    """The outer struct."""
    variables = load_matlab(path, mend)
    if "DREAMER" not in variables:
        names = ", ".join(name for name in variables if not name.startswith("__"))
        raise UserError(f"{path.name} holds {names or 'nothing'}", expected="a struct DREAMER", mend=mend)
    return variables["DREAMER"]


def _field(struct: np.ndarray, name: str, where: str, mend: str) -> Any:
    """A field of a 1x1 struct."""
    if struct.dtype.names is None or name not in struct.dtype.names or struct.size != 1:
        raise UserError(f"{where} has no field {name}", expected="the structure of DREAMER 1.0", mend=mend)
    return struct[name].item()


def _subject(
    release: np.ndarray, subject: str, where: str, mend: str
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Clips (M, 14) in the order of the facts, and scores (18,) by name."""
    order = _channel_order(release, where, mend)
    people = _field(release, "Data", where, mend).ravel()
    number = int(subject)
    if len(people) < number or people[number - 1].dtype.names is None:
        raise UserError(
            f"{where} holds no data of subject {subject}", expected=f"{len(FACTS.subjects)} subjects", mend=mend
        )
    where = f"{where}, subject {subject}"
    person = people[number - 1]
    cell = _field(_field(person, "EEG", where, mend), "stimuli", where, mend).ravel()
    scores = {name: np.ravel(_field(person, field, where, mend)).astype(np.float64) for name, field in SCORES.items()}
    counts = {"clips": len(cell)} | {SCORES[name]: len(values) for name, values in scores.items()}
    if set(counts.values()) != {FACTS.trials}:
        found = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise UserError(f"{where}: labels do not match trials ({found})", expected=f"{FACTS.trials} each", mend=mend)
    for index, clip in enumerate(cell, start=1):
        if clip.ndim != 2 or clip.shape[1] != len(CHANNELS):
            raise UserError(
                f"{where}: clip {index} has shape {clip.shape}",
                expected=f"(samples, {len(CHANNELS)} channels)",
                mend=mend,
            )
    return [clip[:, order] for clip in cell], scores


def _channel_order(release: np.ndarray, where: str, mend: str) -> list[int]:
    """Column of each channel of the facts; also holds the rate against the facts."""
    rate = float(np.ravel(_field(release, "EEG_SamplingRate", where, mend))[0])
    if rate != FACTS.sfreq_hz:
        raise UserError(f"{where} is sampled at {rate:g} Hz", expected=f"{FACTS.sfreq_hz:g} Hz", mend=mend)
    cells = _field(release, "EEG_Electrodes", where, mend).ravel()
    names = canonical_channels((str(np.ravel(cell)[0]) for cell in cells), where)
    if sorted(names) != sorted(CHANNELS):
        odd = sorted(set(names) ^ set(CHANNELS))
        raise UserError(
            f"{where} has {len(names)} electrodes (differing: {', '.join(odd)})",
            expected=", ".join(CHANNELS),
            mend=mend,
        )
    return [names.index(channel) for channel in CHANNELS]


def _table(samples: np.ndarray, scores: dict[str, np.ndarray]) -> pd.DataFrame:
    times = {
        "trial": np.arange(1, len(samples) + 1),
        "onset_s": (np.cumsum(samples) - samples) / FACTS.sfreq_hz,
        "duration_s": samples / FACTS.sfreq_hz,
    }
    return pd.DataFrame(times | scores)


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write a synthetic ``DREAMER.mat``; subjects that were not asked for are empty cells.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        ``trial_s`` is the mean clip length; clips stay unequal.

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    from scipy.io import savemat

    marker = begin(root, FACTS, spec)
    moods = film_moods(FACTS.trials, generator(spec, FACTS.key, "films"))
    people = np.empty((1, len(FACTS.subjects)), dtype=object)
    for index, subject in enumerate(FACTS.subjects):
        people[0, index] = _twin_subject(subject, moods, spec) if subject in subjects else np.empty((0, 0))
    electrodes_cell = np.empty((1, len(CHANNELS)), dtype=object)
    electrodes_cell[0] = CHANNELS
    release = {
        "Data": people,
        "EEG_SamplingRate": FACTS.sfreq_hz,
        "ECG_SamplingRate": 256.0,
        "EEG_Electrodes": electrodes_cell,
        "noOfSubjects": float(len(FACTS.subjects)),
        "noOfVideoSequences": float(FACTS.trials),
        "Disclaimer": "Synthetic stand-in; no person was recorded.",
    }
    savemat(root / FILE, {"DREAMER": release})
    return [marker, root / FILE]


def clip_samples(spec: TwinSpec) -> np.ndarray:
    """Samples of each clip of a twin, shape (18,)."""
    seconds = np.array(CLIP_SECONDS, dtype=float)
    if spec.trial_s:
        # Keep the clips unequal, but none so short that it holds no window.
        seconds = spec.trial_s * (0.8 + 0.4 * (seconds - seconds.min()) / np.ptp(seconds))
    return np.round(seconds * FACTS.sfreq_hz).astype(int)


def _twin_subject(subject: str, moods: np.ndarray, spec: TwinSpec) -> dict[str, Any]:
    person = draw_person(RIG, "emotion", generator(spec, FACTS.key, subject))
    scores = _scores(moods, generator(spec, FACTS.key, subject, "scores"))
    stimuli, baseline = (np.empty((FACTS.trials, 1), dtype=object) for _ in range(2))
    for trial, samples in enumerate(clip_samples(spec)):
        rng = generator(spec, FACTS.key, subject, str(trial + 1))
        state = (scores[trial, :2] - 3) / 2 if spec.structured else (0.0, 0.0)
        stimuli[trial, 0] = _clip(person, samples, state, rng)
        baseline[trial, 0] = _clip(person, round(TWIN_BASELINE_S * FACTS.sfreq_hz), (0.0, 0.0), rng)
    columns = {field: scores[:, [i]].astype(np.uint8) for i, field in enumerate(SCORES.values())}
    return {"Age": "25", "Gender": "female", "EEG": {"baseline": baseline, "stimuli": stimuli}} | columns


def _clip(person: Person, samples: int, state: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    return simulate(RIG, person, int(samples), state, rng).T.astype(np.float64) + PEDESTAL_UV


def _scores(moods: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Integer scores (18, 3): 1 to 3 for films of low, 4 or 5 for films of high valence or arousal."""
    low, high = rng.integers(1, 4, moods.shape), rng.integers(4, 6, moods.shape)
    scores = np.where(moods > 0, high, low)
    dominance = np.clip(np.round(3 + 0.6 * (scores[:, 0] - 3) + 0.8 * rng.standard_normal(len(moods))), 1, 5)
    return np.column_stack([scores, dominance.astype(int)])


@lru_cache(maxsize=1)
def _open_once(path: Path, changed_ns: int) -> np.ndarray:
    """One load for the checks of all subjects; `changed_ns` keeps a replaced file from being missed."""
    return _open(path, "")


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's part of the file with the facts.

    The file has no header apart from its content, so it is loaded, once for all subjects.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If the file is missing.
    """
    path = locate(FACTS, subject, root)[0]
    name = f"{path.name} subject {subject}"
    try:
        release = _open_once(path, path.stat().st_mtime_ns)
        if read_marker(root) and not _field(release, "Data", path.name, "").ravel()[int(subject) - 1].size:
            return []  # a twin holds only the subjects that were asked for
        clips, scores = _subject(release, subject, path.name, "")
    except UserError as error:
        return [Finding(name, "structure", error.what, error.expected or "", False)]
    offset = float(np.median([clip.mean() for clip in clips]))
    amplitude = float(np.median([np.median(clip.std(axis=0)) for clip in clips]))
    values = np.concatenate(list(scores.values()))
    low, high = FACTS.amplitude_uv
    return [
        Finding(name, "structure", f"{len(clips)} clips, {len(CHANNELS)} channels", f"{FACTS.trials} clips", True),
        Finding(name, "offset", f"{offset:.0f} uV", "2000 to 7000 uV", 2000 <= offset <= 7000),
        Finding(name, "amplitude", f"{amplitude:.3g} uV", f"{low:g} to {high:g} uV", low <= amplitude <= high),
        Finding(
            name, "scores", f"{values.min():g} to {values.max():g}", "1 to 5", bool(np.isin(values, range(1, 6)).all())
        ),
    ]
