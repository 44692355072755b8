"""SEED-V: 62-channel EEG of 16 people who watched 15 film clips of five emotions in each of 3 sessions."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import leave_out
from unimontage.datasets.cnt import open_cnt, read_cnt_header, stream_cnt
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, Task
from unimontage.datasets.seed import CHANNELS
from unimontage.datasets.simulation import Person, Rig, crossfaded, draw_person, revisit, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator, read_marker
from unimontage.errors import UserError
from unimontage.montage.names import canonical

EMOTIONS = ("disgust", "fear", "sad", "neutral", "happy")
NOT_EEG = ("M1", "M2", "VEO", "HEO", "ECG")

# Recording date of each subject's three sessions: the file of session s is <subject>_<s>_<date>.cnt.
DATES = {
    "1": ("20180804", "20180810", "20180808"),
    "2": ("20180416", "20180419", "20180425"),
    "3": ("20180414", "20180419", "20180424"),
    "4": ("20180414", "20180417", "20180501"),
    "5": ("20180719", "20180728", "20180723"),
    "6": ("20180713", "20180731", "20180802"),
    "7": ("20180411", "20180418", "20180422"),
    "8": ("20180717", "20180802", "20180726"),
    "9": ("20180724", "20180804", "20180728"),
    "10": ("20180507", "20180524", "20180626"),
    "11": ("20180510", "20180508", "20180522"),
    "12": ("20180515", "20180508", "20180517"),
    "13": ("20180720", "20180806", "20180725"),
    "14": ("20180420", "20180423", "20180427"),
    "15": ("20180724", "20180807", "20180730"),
    "16": ("20180805", "20180815", "20180813"),
}
REPAIRED = ("7", "1")  # subject and session whose original file has a damaged header; the release holds a second one

# Seconds of a recording at which the clips begin and end, and what they should make the viewer feel (id of EMOTIONS).
STARTS = {
    "1": (30, 132, 287, 555, 773, 982, 1271, 1628, 1730, 2025, 2227, 2435, 2667, 2932, 3204),
    "2": (30, 299, 548, 646, 836, 1000, 1091, 1392, 1657, 1809, 1966, 2186, 2333, 2490, 2741),
    "3": (30, 353, 478, 674, 825, 908, 1200, 1346, 1451, 1711, 2055, 2307, 2457, 2726, 2888),
}
ENDS = {
    "1": (102, 228, 524, 742, 920, 1240, 1568, 1697, 1994, 2166, 2401, 2607, 2901, 3172, 3359),
    "2": (267, 488, 614, 773, 967, 1059, 1331, 1622, 1777, 1908, 2153, 2302, 2428, 2709, 2817),
    "3": (321, 418, 643, 764, 877, 1147, 1284, 1418, 1679, 1996, 2275, 2425, 2664, 2857, 3066),
}
LABELS = {
    "1": (4, 1, 3, 2, 0, 4, 1, 3, 2, 0, 4, 1, 3, 2, 0),
    "2": (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
    "3": (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
}
SESSIONS, CLIPS = tuple(STARTS), 15
SHORTEST = tuple(
    float(min(ENDS[session][clip] - STARTS[session][clip] for session in SESSIONS)) for clip in range(CLIPS)
)

FOLDERS = ("EEG_raw/", "SEED-V/EEG_raw/", "")


def file_name(subject: str, session: str, *, repaired: bool = False) -> str:
    """Name of a session's file."""
    return f"{subject}_{session}_{DATES[subject][int(session) - 1]}{'_repaired' if repaired else ''}.cnt"


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    sessions = tuple(sessions or SESSIONS)
    tries = (True, False) if REPAIRED[0] == subject and REPAIRED[1] in sessions else (False,)
    return tuple(
        tuple(folder + file_name(subject, s, repaired=repaired and (subject, s) == REPAIRED) for s in sessions)
        for repaired in tries
        for folder in FOLDERS
    )


def _official(subject: str, session: str, trial: int) -> str:
    """Of the 15 clips of every session five train, five validate and five test."""
    return ("train", "val", "test")[(trial - 1) // 5]


FACTS = DatasetFacts(
    key="seed_v",
    title="SJTU Emotion EEG Dataset for five emotions (SEED-V)",
    access=Access.REQUEST,
    license="academic use under the SEED licence agreement, no redistribution",
    citation=(
        "Liu W, Qiu J-L, Zheng W-L, Lu B-L. Comparing recognition performance and robustness of multimodal deep "
        "learning models for multimodal emotion recognition. IEEE Trans. Cognitive and Developmental Systems "
        "14(2):715-729, 2022."
    ),
    url="https://bcmi.sjtu.edu.cn/home/seed/seed-v.html",
    how_to_obtain="sign the licence agreement at https://bcmi.sjtu.edu.cn/home/seed/ and unpack EEG_raw of SEED-V",
    sfreq_hz=1000.0,
    channels=CHANNELS,
    subjects=tuple(DATES),
    sessions=SESSIONS,
    trials=CLIPS,
    tasks={"emotion": Task("emotion", EMOTIONS, ("emotion",))},
    unit="uV",
    amplitude_uv=(2.0, 1000.0),
    files=_files,
    trial_s=SHORTEST,
    official=_official,
)

RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=20.0, band_hz=(0.1, 200.0), line_hz=50.0)
OVERLAP = 500  # samples that stretches of a twin run into each other

# State (valence, arousal) in which a film leaves the viewer.
MOODS = ((-0.8, 0.1), (-1.0, 1.0), (-0.6, -0.8), (0.1, -0.2), (1.0, 0.6))


def read(root: Path, subject: str, session: str) -> Recording:
    """Open one session of 15 film clips with pauses between them.

    Parameters
    ----------
    root : Path
        Folder that holds ``EEG_raw``, or that folder itself.
    subject, session : str

    Returns
    -------
    Recording
        Not loaded. Label column ``emotion``: 0 disgust, 1 fear, 2 sad, 3 neutral, 4 happy.

    Raises
    ------
    UserError
        For missing, truncated or damaged files, another sampling rate, a missing channel, and a recording that ends
        before the last clip.
    """
    (path,) = locate(FACTS, subject, root, (session,))
    mend = _mend(path, subject, session)
    header = read_cnt_header(path, mend)
    _check_rate(path.name, header.sfreq_hz, mend)
    raw = open_cnt(path, _names(header.labels, path.name, mend), mend)
    trials = _trials(session, _twin_trial_s(root))
    end, length = trials["onset_s"].iloc[-1] + trials["duration_s"].iloc[-1], raw.n_times / FACTS.sfreq_hz
    if length < end:
        raise UserError(f"{path.name} ends after {length:g} s", expected=f"clips up to second {end:g}", mend=mend)
    return Recording(raw, trials)


def _mend(path: Path, subject: str, session: str) -> str:
    repaired = file_name(subject, session, repaired=True)
    if (subject, session) == REPAIRED and path.name != repaired:
        return f"put {repaired} of the release beside it: the header of this file was distributed damaged"
    return leave_out(FACTS.key, subject)


def _check_rate(where: str, rate: float, mend: str) -> None:
    if rate != FACTS.sfreq_hz:
        raise UserError(f"{where} is sampled at {rate:g} Hz", expected=f"{FACTS.sfreq_hz:g} Hz", mend=mend)


def _names(labels: Sequence[str], where: str, mend: str) -> dict[str, str]:
    """Label in the file -> channel, in the order of the facts; what else the file holds is left aside."""
    found = {canonical(label): label for label in labels}
    lacking = [channel for channel in CHANNELS if channel not in found]
    if lacking:
        raise UserError(
            f"{where} lacks {', '.join(lacking)}", expected=f"the {len(CHANNELS)} channels of {FACTS.key}", mend=mend
        )
    return {found[channel]: channel for channel in CHANNELS}


def _twin_trial_s(root: Path) -> float | None:
    """Length of the clips of a twin that has shorter ones than the release."""
    marker = read_marker(root)
    return marker["spec"]["trial_s"] if marker else None


def _trials(session: str, trial_s: float | None) -> pd.DataFrame:
    """Trial table; the release keeps the times of the clips beside the recordings, the same for all people."""
    starts, ends = np.array(STARTS[session], dtype=float), np.array(ENDS[session], dtype=float)
    if trial_s is not None:  # each clip after a pause of a second
        starts = 1.0 + np.arange(CLIPS) * (trial_s + 1.0)
        ends = starts + trial_s
    labels = np.array(LABELS[session], dtype=float)
    columns = {"trial": np.arange(1, CLIPS + 1), "onset_s": starts, "duration_s": ends - starts, "emotion": labels}
    return pd.DataFrame(columns)


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic sessions as the release would hold them, the repaired file beside a damaged one.

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
    (root / FOLDERS[0]).mkdir(exist_ok=True)
    for subject in subjects:
        person = draw_person(RIG, "emotion", generator(spec, FACTS.key, subject))
        for session in spec.sessions or SESSIONS:
            trials = _trials(session, spec.trial_s)
            day = revisit(person, generator(spec, FACTS.key, subject, session))
            # One second after the last clip, and the overlap of the last stretch.
            seconds = int(trials["onset_s"].iloc[-1] + trials["duration_s"].iloc[-1]) + 1
            path = root / FOLDERS[0] / file_name(subject, session, repaired=(subject, session) == REPAIRED)
            start = datetime.datetime.strptime(DATES[subject][int(session) - 1], "%Y%m%d")
            samples = round(seconds * FACTS.sfreq_hz)
            stretches = _with_others(_stretches(day, trials, samples, subject, session, spec), spec, subject, session)
            stream_cnt(path, (*CHANNELS, *NOT_EEG[:4]), round(FACTS.sfreq_hz), samples, start, stretches)
            written.append(path)
            if (subject, session) == REPAIRED:
                damaged = path.with_name(file_name(subject, session))
                damaged.write_bytes(path.read_bytes()[:600])
                written.append(damaged)
    return written


def _stretches(
    day: Person, trials: pd.DataFrame, samples: int, subject: str, session: str, spec: TwinSpec
) -> Iterator[np.ndarray]:
    """Pauses and clips in turn, joined without jumps."""
    bounds = np.rint(FACTS.sfreq_hz * trials[["onset_s", "duration_s"]].to_numpy().cumsum(axis=1)).astype(int)
    edges = [0, *bounds.ravel(), samples]
    # Pauses before, between and after the clips are neutral.
    moods = [(0.0, 0.0), *(mood for label in trials["emotion"] for mood in (MOODS[int(label)], (0.0, 0.0)))]

    def pieces() -> Iterator[np.ndarray]:
        for i, (length, mood) in enumerate(zip(np.diff(edges), moods, strict=True)):
            rng = generator(spec, FACTS.key, subject, session, str(i))
            yield simulate(RIG, day, length + OVERLAP, mood if spec.structured else (0.0, 0.0), rng)

    return crossfaded(pieces(), OVERLAP)


def _with_others(stretches: Iterator[np.ndarray], spec: TwinSpec, subject: str, session: str) -> Iterator[np.ndarray]:
    """The EEG with mastoids and eyes below it."""
    rng = generator(spec, FACTS.key, subject, session, "others")
    for eeg in stretches:
        yield np.concatenate([eeg, 20 * rng.standard_normal((4, eeg.shape[1]), dtype=np.float32)])


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts, reading headers only.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If files are missing.
    """
    trial_s = _twin_trial_s(root)
    paths = zip(SESSIONS, locate(FACTS, subject, root), strict=True)
    return [finding for session, path in paths for finding in _check_session(path, session, trial_s)]


def _check_session(path: Path, session: str, trial_s: float | None) -> list[Finding]:
    try:
        header = read_cnt_header(path, "")
    except UserError as error:
        return [Finding(path.name, "header", error.what, "a Neuroscan CNT header", False)]
    last = _trials(session, trial_s).iloc[-1]
    end = last["onset_s"] + last["duration_s"]
    names = {canonical(label) for label in header.labels} - set(NOT_EEG)
    differing = sorted(names ^ set(CHANNELS))
    found = f"{len(names)}" + (f" (differing: {', '.join(differing)})" if differing else "")
    rate = Finding(path.name, "rate", f"{header.sfreq_hz:g} Hz", f"{FACTS.sfreq_hz:g} Hz", header.sfreq_hz == 1000)
    length = Finding(path.name, "length", f"{header.duration_s:g} s", f"at least {end:g} s", header.duration_s >= end)
    return [Finding(path.name, "channels", found, f"the {len(CHANNELS)} of {FACTS.key}", not differing), rate, length]
