"""DEAP: 32-channel EEG of 32 people who watched 40 one-minute music videos and rated each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import join, leave_out, load_matlab
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, electrodes, rating_tasks
from unimontage.datasets.pickles import load_arrays, write_arrays
from unimontage.datasets.simulation import Rig, crossfade, draw_person, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, film_moods, generator, read_marker
from unimontage.errors import UserError

CHANNELS = electrodes(
    """FP1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 OZ PZ FP2 AF4 FZ F4 F8 FC6 FC2 CZ C4 T8 CP6 CP2 P4 P8 PO4
    O2"""
)  # rows 1-32 of a trial (Geneva order); rows 33-40 are peripheral
ROWS = 40
RATINGS = ("valence", "arousal", "dominance", "liking")  # columns of `labels`, 1 to 9
BASELINE_S = 3.0
VIDEO_S = 60.0

FOLDERS = {"data_preprocessed_python": "dat", "data_preprocessed_matlab": "mat"}


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    return tuple((f"{folder}/{subject}.{suffix}",) for folder, suffix in FOLDERS.items())


FACTS = DatasetFacts(
    key="deap",
    title="DEAP: a Database for Emotion Analysis using Physiological Signals (preprocessed)",
    access=Access.REQUEST,
    license="academic use under the DEAP end user licence agreement, no redistribution",
    citation=(
        "Koelstra S, Muhl C, Soleymani M, Lee J-S, Yazdani A, Ebrahimi T, Pun T, Nijholt A, Patras I. DEAP: a database "
        "for emotion analysis using physiological signals. IEEE Trans. Affective Computing 3(1):18-31, 2012."
    ),
    url="https://www.eecs.qmul.ac.uk/mmv/datasets/deap/",
    how_to_obtain=(
        "sign the agreement at https://www.eecs.qmul.ac.uk/mmv/datasets/deap/download.html and unpack "
        "data_preprocessed_python or data_preprocessed_matlab"
    ),
    sfreq_hz=128.0,
    channels=CHANNELS,
    subjects=tuple(f"s{i:02d}" for i in range(1, 33)),
    sessions=("1",),
    trials=40,
    tasks=rating_tasks(5.0),
    unit="uV",
    amplitude_uv=(0.5, 500.0),
    files=_files,
    trial_s=VIDEO_S,
)

SAMPLES = round((BASELINE_S + VIDEO_S) * FACTS.sfreq_hz)  # 8064
BASELINE = round(BASELINE_S * FACTS.sfreq_hz)  # 384

# Band-passed, freed of eye movements and average-referenced by the owners.
RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=9.0, band_hz=(4.0, 45.0), artefacts=False, average_reference=True)
FADE_S = 0.25


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one subject: 40 pieces of 63 s, of which the first 3 s are baseline and belong to no trial.

    Parameters
    ----------
    root : Path
        Folder that holds ``data_preprocessed_python`` or ``data_preprocessed_matlab``.
    subject, session : str

    Returns
    -------
    Recording
        Label columns ``valence``, ``arousal``, ``dominance``, ``liking``, from 1 to 9.

    Raises
    ------
    UserError
        For missing, truncated or differently shaped files, and for a pickle that is more than arrays.
    """
    path = locate(FACTS, subject, root, (session,))[0]
    data, labels = _load(path, leave_out(FACTS.key, subject), synthetic=read_marker(root) is not None)
    raw = join(data[:, : len(CHANNELS)], FACTS)
    return Recording(raw, _table(data.shape[2], labels))


def _load(path: Path, mend: str, *, synthetic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Signals (40, 40, T) in microvolts and ratings (40, 4)."""
    content = load_arrays(path, mend) if path.suffix == ".dat" else load_matlab(path, mend, ("data", "labels"))
    if "data" not in content or "labels" not in content:
        raise UserError(
            f"{path.name} holds {', '.join(sorted(content)) or 'nothing'}", expected="`data` and `labels`", mend=mend
        )
    data, labels = content["data"], content["labels"]
    found = f"(data: {data.shape}, labels: {labels.shape})"
    expected = (
        f"data ({FACTS.trials} trials, {ROWS} channels, {SAMPLES} samples), labels ({FACTS.trials}, {len(RATINGS)})"
    )
    if data.ndim == 3 and len(data) != FACTS.trials:
        raise UserError(f"{path.name} has {len(data)} trials {found}", expected=expected, mend=mend)
    if labels.shape != (FACTS.trials, len(RATINGS)):
        raise UserError(f"{path.name} has labels that do not match its trials {found}", expected=expected, mend=mend)
    right_length = data.ndim == 3 and (data.shape[2] > BASELINE if synthetic else data.shape[2] == SAMPLES)
    if data.ndim != 3 or data.shape[1] != ROWS or not right_length:
        raise UserError(f"{path.name} has arrays of an unknown shape {found}", expected=expected, mend=mend)
    return data, np.asarray(labels, dtype=np.float64)


def _table(samples: int, labels: np.ndarray) -> pd.DataFrame:
    trials = np.arange(FACTS.trials)
    times = {
        "trial": trials + 1,
        "onset_s": (trials * samples + BASELINE) / FACTS.sfreq_hz,
        "duration_s": np.full(FACTS.trials, (samples - BASELINE) / FACTS.sfreq_hz),
    }
    return pd.DataFrame(times | dict(zip(RATINGS, labels.T, strict=True)))


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic subjects as the release's Python-2 pickles.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        ``trial_s`` shortens the video; the 3 s baseline stays.

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    written = [begin(root, FACTS, spec)]
    (root / "data_preprocessed_python").mkdir(exist_ok=True)
    moods = film_moods(FACTS.trials, generator(spec, FACTS.key, "films"))
    for subject in subjects:
        path = root / "data_preprocessed_python" / f"{subject}.dat"
        write_arrays(path, _twin_subject(subject, moods, spec))
        written.append(path)
    return written


def _twin_subject(subject: str, moods: np.ndarray, spec: TwinSpec) -> dict[str, np.ndarray]:
    person = draw_person(RIG, "emotion", generator(spec, FACTS.key, subject))
    ratings = _ratings(moods, generator(spec, FACTS.key, subject, "ratings"))
    video = round((spec.trial_s or VIDEO_S) * FACTS.sfreq_hz)
    fade = round(FADE_S * FACTS.sfreq_hz)
    data = np.empty((FACTS.trials, ROWS, BASELINE + video))
    for trial, rating in enumerate(ratings):
        rng = generator(spec, FACTS.key, subject, str(trial + 1))
        # Distance from the indifferent 5, so that a rating of exactly 5 leaves no trace.
        state = (rating[:2] - 5) / 4 if spec.structured else (0.0, 0.0)
        rest = simulate(RIG, person, BASELINE + fade, (0.0, 0.0), rng)
        watching = simulate(RIG, person, video + fade, state, rng)
        data[trial, : len(CHANNELS)] = crossfade([rest, watching], fade)
        data[trial, len(CHANNELS) :] = np.cumsum(rng.standard_normal((ROWS - len(CHANNELS), data.shape[2])), axis=1)
    return {"data": data, "labels": ratings}


def _ratings(moods: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Continuous ratings (40, 4) on the side of 5 that each film's mood says; one valence is exactly 5."""
    strength = rng.uniform(0.5, 4.0, (len(moods), 2))
    valence, arousal = (5 + moods * strength).T
    dominance = np.clip(5 + 0.6 * (valence - 5) + 1.2 * rng.standard_normal(len(moods)), 1, 9)
    liking = np.clip(valence + rng.standard_normal(len(moods)), 1, 9)
    ratings = np.round(np.stack([valence, arousal, dominance, liking], axis=1), 2)
    ratings[np.flatnonzero(moods[:, 0] < 0)[0], 0] = 5.0
    return ratings


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's file with the facts.

    A pickle has no header to speak of, so the arrays are loaded.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If the file is missing.
    """
    path = locate(FACTS, subject, root)[0]
    synthetic = read_marker(root) is not None
    try:
        data, labels = _load(path, "", synthetic=synthetic)
    except UserError as error:
        return [Finding(path.name, "arrays", error.what, error.expected or "", False)]
    amplitude = float(np.median(data[0, : len(CHANNELS)].std(axis=-1)))
    low, high = FACTS.amplitude_uv
    inside = bool(((labels >= 1) & (labels <= 9)).all())
    return [
        Finding(path.name, "arrays", f"{data.shape}, {labels.shape}", f"({FACTS.trials}, {ROWS}, {SAMPLES})", True),
        Finding(path.name, "amplitude", f"{amplitude:.3g} uV", f"{low:g} to {high:g} uV", low <= amplitude <= high),
        Finding(path.name, "ratings", f"{labels.min():g} to {labels.max():g}", "1 to 9", inside),
    ]
