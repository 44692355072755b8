"""SEED: 62-channel EEG of 15 people who watched 15 film clips in each of 3 sessions."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import join, leave_out, load_matlab, matlab_shapes
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, Task, electrodes
from unimontage.datasets.simulation import Rig, draw_person, revisit, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator, read_marker
from unimontage.errors import UserError

CHANNELS = electrodes(
    """FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 T7 C5 C3 C1 CZ C2 C4 C6 T8 TP7
    CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 CB1 O1 OZ O2 CB2"""
)  # no names inside the files; this is the order of the release's channel-order.xlsx

# Recording date of each subject's three sessions: the file of session s is <subject>_<date>.mat.
DATES = {
    "1": ("20131027", "20131030", "20131107"),
    "2": ("20140404", "20140413", "20140419"),
    "3": ("20140603", "20140611", "20140629"),
    "4": ("20140621", "20140702", "20140705"),
    "5": ("20140411", "20140418", "20140506"),
    "6": ("20130712", "20131016", "20131113"),
    "7": ("20131027", "20131030", "20131106"),
    "8": ("20140511", "20140514", "20140521"),
    "9": ("20140620", "20140627", "20140704"),
    "10": ("20131130", "20131204", "20131211"),
    "11": ("20140618", "20140625", "20140630"),
    "12": ("20131127", "20131201", "20131207"),
    "13": ("20140527", "20140603", "20140610"),
    "14": ("20140601", "20140615", "20140627"),
    "15": ("20130709", "20131016", "20131105"),
}

# Film clips in order: length in seconds, and the label of label.mat (-1 negative, 0 neutral, 1 positive).
CLIP_SECONDS = (235, 233, 206, 238, 185, 195, 237, 216, 265, 237, 235, 233, 235, 238, 206)
CLIP_LABELS = (1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1)

FOLDERS = ("Preprocessed_EEG", "SEED_EEG/Preprocessed_EEG", ".")  # older zip, newer release, the bare folder


def file_name(subject: str, session: str) -> str:
    """Name of a session's file."""
    return f"{subject}_{DATES[subject][int(session) - 1]}.mat"


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    names = (*(file_name(subject, session) for session in sessions or ("1", "2", "3")), "label.mat")
    return tuple(tuple(name if folder == "." else f"{folder}/{name}" for name in names) for folder in FOLDERS)


FACTS = DatasetFacts(
    key="seed",
    title="SJTU Emotion EEG Dataset (SEED)",
    access=Access.REQUEST,
    license="academic use under the SEED licence agreement, no redistribution",
    citation=(
        "Zheng W-L, Lu B-L. Investigating critical frequency bands and channels for EEG-based emotion recognition with "
        "deep neural networks. IEEE Trans. Autonomous Mental Development 7(3):162-175, 2015."
    ),
    url="https://bcmi.sjtu.edu.cn/home/seed/",
    how_to_obtain="sign the licence agreement at https://bcmi.sjtu.edu.cn/home/seed/ and unpack Preprocessed_EEG",
    sfreq_hz=200.0,
    channels=CHANNELS,
    subjects=tuple(DATES),
    sessions=("1", "2", "3"),
    trials=len(CLIP_SECONDS),
    tasks={"emotion": Task("emotion", ("negative", "neutral", "positive"), ("emotion",))},
    unit="uV",
    amplitude_uv=(2.0, 1000.0),
    files=_files,
    trial_s=tuple(float(seconds) for seconds in CLIP_SECONDS),
)

RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=20.0, band_hz=(0.0, 75.0), line_hz=50.0, offset_uv=20.0)

# State (valence, arousal) in which a film leaves the viewer: frightening and funny films both excite.
MOODS = {-1: (-1.0, 0.4), 0: (0.0, -0.6), 1: (1.0, 0.4)}

_TRIAL_NAME = re.compile(r"_eeg(\d+)$")  # the initials before it differ from subject to subject


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one session: 15 film clips, joined in the order they were shown.

    Parameters
    ----------
    root : Path
        Folder that holds ``Preprocessed_EEG``, or that folder itself.
    subject, session : str

    Returns
    -------
    Recording
        Label column ``emotion``: 0 negative, 1 neutral, 2 positive.

    Raises
    ------
    UserError
        For missing, truncated or differently shaped files, and for labels that do not match the trials.
    """
    data, label_file = locate(FACTS, subject, root, (session,))
    mend = leave_out(FACTS.key, subject)
    trials = _trials(load_matlab(data, mend), data.name, mend)
    _check_lengths(trials, data.name, mend, synthetic=read_marker(root) is not None)
    labels = _labels(label_file, mend)
    samples = np.array([trial.shape[1] for trial in trials])
    return Recording(join(trials, FACTS), _table(samples, labels))


def _trials(variables: dict, where: str, mend: str) -> list[np.ndarray]:
    """Trials by number; the order of the variables in the file means nothing."""
    found = {int(m[1]): value for name, value in variables.items() if (m := _TRIAL_NAME.search(name))}
    expected = list(range(1, FACTS.trials + 1))
    if sorted(found) != expected:
        raise UserError(
            f"{where} has {len(found)} trials (numbers {', '.join(map(str, sorted(found))) or 'none'})",
            expected=f"variables <initials>_eeg1 to <initials>_eeg{FACTS.trials}",
            mend=mend,
        )
    for number in expected:
        shape = np.shape(found[number])
        if len(shape) != 2 or shape[0] != len(CHANNELS):
            raise UserError(
                f"{where}: trial {number} has shape {shape}",
                expected=f"({len(CHANNELS)} channels, samples)",
                mend=mend,
            )
    return [found[number] for number in expected]


def _check_lengths(trials: list[np.ndarray], where: str, mend: str, *, synthetic: bool) -> None:
    for number, trial in enumerate(trials, start=1):
        expected = _samples(number)
        # Some copies drop the first sample of each trial, which harms nothing.
        if not synthetic and abs(trial.shape[1] - expected) > 1:
            raise UserError(
                f"{where}: trial {number} has {trial.shape[1]} samples",
                expected=f"{expected} at {FACTS.sfreq_hz:g} Hz; another length means another sampling rate, other "
                "films or a truncated trial",
                mend=mend,
            )


def _labels(path: Path, mend: str) -> np.ndarray:
    """Class ids (trials,) from ``label.mat``, where -1 is negative and 1 is positive."""
    variables = load_matlab(path, mend)
    label = np.asarray(variables.get("label", ())).ravel()
    if len(label) != FACTS.trials or not np.isin(label, (-1, 0, 1)).all():
        raise UserError(
            f"{path.name} has {len(label)} labels with values {sorted({float(v) for v in label})}, which do not match "
            "the trials",
            expected=f"variable `label` with {FACTS.trials} values of -1, 0 or 1",
            mend="restore the original label.mat",
        )
    return label.astype(np.int64) + 1


def _table(samples: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "trial": np.arange(1, len(samples) + 1),
            "onset_s": (np.cumsum(samples) - samples) / FACTS.sfreq_hz,
            "duration_s": samples / FACTS.sfreq_hz,
            "emotion": labels.astype(np.float64),
        }
    )


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic subjects as the release would hold them.

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
    from scipy.io import savemat

    marker = begin(root, FACTS, spec)
    folder = root / FOLDERS[0]
    folder.mkdir(exist_ok=True)
    labels = np.array(CLIP_LABELS)
    if not spec.structured:
        labels = generator(spec, FACTS.key, "labels").permutation(labels)
    savemat(folder / "label.mat", {"label": labels[None].astype(np.int16)})
    written = [marker, folder / "label.mat"]
    for subject in subjects:
        for session in spec.sessions or FACTS.sessions:
            path = folder / file_name(subject, session)
            savemat(path, _twin_session(subject, session, spec))
            written.append(path)
    return written


def _twin_session(subject: str, session: str, spec: TwinSpec) -> dict[str, np.ndarray]:
    rng = generator(spec, FACTS.key, subject)
    initials = "".join(chr(97 + i) for i in rng.integers(0, 26, rng.integers(2, 4)))
    person = revisit(draw_person(RIG, "emotion", rng), generator(spec, FACTS.key, subject, session))
    variables = {}
    for number, (seconds, label) in enumerate(zip(CLIP_SECONDS, CLIP_LABELS, strict=True), start=1):
        state = MOODS[label] if spec.structured else (0.0, 0.0)
        samples = round((spec.trial_s or seconds) * FACTS.sfreq_hz) + 1
        rng = generator(spec, FACTS.key, subject, session, str(number))
        variables[f"{initials}_eeg{number}"] = simulate(RIG, person, samples, state, rng).astype(np.float64)
    return variables


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts, reading no signals.

    Returns
    -------
    list of Finding
        One entry a file and item.

    Raises
    ------
    UserError
        If files are missing.
    """
    synthetic = read_marker(root) is not None
    *files, label_file = locate(FACTS, subject, root)
    findings = [finding for path in files for finding in _check_session(path, synthetic)]
    try:
        labels = tuple(int(v) - 1 for v in _labels(label_file, ""))
    except UserError as error:
        return [*findings, Finding(label_file.name, "labels", error.what, f"{FACTS.trials} labels", False)]
    agrees = labels == CLIP_LABELS or synthetic
    return [*findings, Finding(label_file.name, "labels", str(labels), str(CLIP_LABELS), agrees)]


def _check_session(path: Path, synthetic: bool) -> list[Finding]:
    try:
        variables = matlab_shapes(path, "")
    except UserError as error:
        return [Finding(path.name, "file", error.what, "a MATLAB 5 or 7 file", False)]
    shapes = {int(m[1]): shape for name, shape in variables.items() if (m := _TRIAL_NAME.search(name))}
    channels = sorted({shape[0] for shape in shapes.values()})
    known = [n for n in sorted(shapes) if 1 <= n <= FACTS.trials and not synthetic]  # a twin may be shorter
    odd = [n for n in known if abs(shapes[n][-1] - _samples(n)) > 1]
    lengths = f"of trials {', '.join(map(str, odd))} differ" if odd else "as published"
    return [
        Finding(path.name, "trials", str(len(shapes)), str(FACTS.trials), len(shapes) == FACTS.trials),
        Finding(path.name, "channels", ", ".join(map(str, channels)), str(len(CHANNELS)), channels == [len(CHANNELS)]),
        Finding(path.name, "lengths", lengths, "as published", not odd),
    ]


def _samples(number: int) -> int:
    return round(CLIP_SECONDS[number - 1] * FACTS.sfreq_hz) + 1
