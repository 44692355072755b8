"""EEGMMIDB: 64-channel EEG of 109 people who imagined closing the left or the right fist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import leave_out
from unimontage.datasets.edf import Signals, read_edf, write_edf
from unimontage.datasets.edf_header import check_header
from unimontage.datasets.facts import Access, DatasetFacts, Download, Finding, Recording, Task, electrodes
from unimontage.datasets.simulation import Person, Rig, crossfade, draw_person, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError

if TYPE_CHECKING:
    import mne

CHANNELS = electrodes(
    """FC5 FC3 FC1 FCZ FC2 FC4 FC6 C5 C3 C1 CZ C2 C4 C6 CP5 CP3 CP1 CPZ CP2 CP4 CP6 FP1 FPZ FP2 AF7 AF3 AFZ AF4 AF8 F7
    F5 F3 F1 FZ F2 F4 F6 F8 FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO3 POZ PO4 PO8 O1 OZ O2
    IZ"""
)
RUNS = (4, 8, 12)  # imagined fists; T1 and T2 mean other things in other runs
CODES = {"T1": 0.0, "T2": 1.0}  # left, right; T0 is rest
TRIALS_PER_RUN = 15
TRIAL_S, REST_S = 4.1, 4.2

# 88, 92 and 100 were recorded at 128 Hz, 104 has annotations that do not fit its signal.
FAULTY = frozenset({88, 92, 100, 104})


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    return (tuple(f"{subject}/{subject}R{run:02d}.edf" for run in RUNS),)


def _checksums() -> Mapping[str, str]:
    """SHA-256 of every file of the release, from the list that mne ships."""
    spec = find_spec("mne")  # found, not imported
    if spec is None or spec.origin is None:
        raise UserError("mne is not installed, and it carries the checksums of eegmmidb", mend="pip install mne")
    lines = (Path(spec.origin).parent / "data" / "eegbci_checksums.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if line.strip())


FACTS = DatasetFacts(
    key="eegmmidb",
    title="PhysioNet EEG Motor Movement/Imagery Dataset 1.0.0",
    access=Access.OPEN,
    license="ODC-By-1.0",
    citation=(
        "Schalk G, McFarland DJ, Hinterberger T, Birbaumer N, Wolpaw JR. BCI2000: a general-purpose brain-computer "
        "interface (BCI) system. IEEE Trans. Biomedical Engineering 51(6):1034-1043, 2004; Goldberger AL et al. "
        "PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23):e215-e220, 2000."
    ),
    url="https://physionet.org/content/eegmmidb/1.0.0/",
    how_to_obtain="the workflow downloads it from https://physionet.org/files/eegmmidb/1.0.0/",
    sfreq_hz=160.0,
    channels=CHANNELS,
    subjects=tuple(f"S{i:03d}" for i in range(1, 110) if i not in FAULTY),
    sessions=("1",),
    trials=TRIALS_PER_RUN * len(RUNS),
    tasks={"imagined_fist": Task("imagined_fist", ("left", "right"), ("imagined_fist",))},
    unit="uV",
    amplitude_uv=(3.0, 1000.0),
    files=_files,
    trial_s=TRIAL_S,
    download=Download("https://physionet.org/files/eegmmidb/1.0.0/", _checksums, "SHA256SUMS.txt"),
)

RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=22.0, band_hz=(0.0, 79.0), line_hz=60.0, offset_uv=5.0)
FADE_S = 0.25


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one subject: the three runs of imagined fists, joined; rest between trials stays in the signal.

    Parameters
    ----------
    root : Path
        Folder that holds ``S001``, ``S002``, ...
    subject, session : str

    Returns
    -------
    Recording
        Label columns ``imagined_fist`` (0 left, 1 right) and ``run``.

    Raises
    ------
    UserError
        For missing or truncated files, wrong rates or channels, and runs without both kinds of trial.
    """
    import mne

    mend = leave_out(FACTS.key, subject)
    raws, rows, start = [], [], 0
    for run, path in zip(RUNS, locate(FACTS, subject, root, (session,)), strict=True):
        raw = read_edf(path, FACTS, mend)
        rows += [(start / FACTS.sfreq_hz + onset, length, code, run) for onset, length, code in _cues(raw, path, mend)]
        start += raw.n_times
        raws.append(raw.set_annotations(None))
    return Recording(mne.concatenate_raws(raws, verbose="ERROR"), _table(rows))


def _cues(raw: mne.io.BaseRaw, path: Path, mend: str) -> list[tuple[float, float, float]]:
    """Onset and length in seconds, and class, of each imagined movement in a run."""
    marks = zip(raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True)
    end = raw.n_times / FACTS.sfreq_hz
    cues = [(onset, min(length, end - onset), CODES[code]) for onset, length, code in marks if code in CODES]
    if len({code for *_, code in cues}) < len(CODES):
        raise UserError(
            f"{path.name}: labels do not match trials ({len(cues)} annotations T1 or T2, not both kinds)",
            expected=f"about {TRIALS_PER_RUN} trials of both kinds",
            mend=mend,
        )
    return cues


def _table(rows: list[tuple[float, float, float, int]]) -> pd.DataFrame:
    trials = pd.DataFrame(rows, columns=["onset_s", "duration_s", "imagined_fist", "run"], dtype=np.float64)
    trials.insert(0, "trial", np.arange(1, len(trials) + 1))
    return trials


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic subjects as EDF+ files with annotations.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        ``trial_s`` also sets the rest between trials.

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    written = [begin(root, FACTS, spec)]
    for subject in subjects:
        person = draw_person(RIG, "fists", generator(spec, FACTS.key, subject))
        (root / subject).mkdir(exist_ok=True)
        for run, name in zip(RUNS, FACTS.files(subject)[0], strict=True):
            rng = generator(spec, FACTS.key, subject, str(run))
            _write_run(root / name, person, spec, rng, generator(spec, FACTS.key, subject, str(run), "labels"))
            written.append(root / name)
    return written


def _write_run(
    path: Path, person: Person, spec: TwinSpec, rng: np.random.Generator, label_rng: np.random.Generator
) -> None:
    """Rest and imagery in turn, 15 times; whole seconds, as EDF records are."""
    rest, imagery = (round((spec.trial_s or s) * FACTS.sfreq_hz) for s in (REST_S, TRIAL_S))
    fade = round(FADE_S * FACTS.sfreq_hz)
    count = TRIALS_PER_RUN
    right = label_rng.permutation(np.arange(count) < count // 2 + label_rng.integers(2))
    lengths = np.resize([rest, imagery], 2 * count)
    onsets = np.cumsum(lengths) - lengths
    padding = -lengths.sum() % round(FACTS.sfreq_hz)
    states = [(0.0, 0.0)] * (2 * count)
    if spec.structured:
        states[1::2] = [(0.0, 1.0) if r else (1.0, 0.0) for r in right]
    tails = [fade] * (2 * count - 1) + [fade + padding]
    pieces = (
        simulate(RIG, person, int(length) + tail, state, rng)
        for length, tail, state in zip(lengths, tails, states, strict=True)
    )
    codes = ["T0"] * (2 * count)
    codes[1::2] = ["T2" if r else "T1" for r in right]
    marks = [
        (onset / FACTS.sfreq_hz, length / FACTS.sfreq_hz, code)
        for onset, length, code in zip(onsets, lengths, codes, strict=True)
    ]
    names = [channel.capitalize().ljust(4, ".") for channel in CHANNELS]  # "Fc5.", "C3.."
    signals = Signals(
        names, crossfade(pieces, fade), "uV", limit=8092.0, transducer="BCI2000", filtering="HP:0Hz LP:0Hz N:0Hz"
    )
    write_edf(path, FACTS.sfreq_hz, [signals], marks)


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts, reading headers and annotations only.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If files are missing.
    """
    findings = []
    for name, path in zip(FACTS.files(subject)[0], locate(FACTS, subject, root), strict=True):
        header = check_header(path, name, FACTS)
        findings += header
        if all(finding.agrees for finding in header):
            findings.append(_check_annotations(path, name))
    return findings


def _check_annotations(path: Path, name: str) -> Finding:
    import mne

    codes = list(mne.read_annotations(path).description)
    counts = {code: codes.count(code) for code in ("T0", *CODES)}
    agrees = sum(counts[code] for code in CODES) == TRIALS_PER_RUN and all(counts.values())
    found = ", ".join(f"{count} {code}" for code, count in counts.items())
    return Finding(name, "trials", found, f"{TRIALS_PER_RUN} T1 and T2 together", agrees)
