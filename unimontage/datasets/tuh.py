"""Temple University Hospital EEG: what its corpora share, and any tree of their recordings without labels.

The corpora name patients in ways that nobody knows without the files, so their subjects are groups of patients here.
"""

from __future__ import annotations

import datetime
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import leave_out
from unimontage.datasets.edf import Track, open_edf, stream_edf
from unimontage.datasets.edf_header import ANNOTATIONS, Header, read_header
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, electrodes
from unimontage.datasets.simulation import Person, Rig, draw_person, revisit, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError
from unimontage.montage.names import SYNONYMS

if TYPE_CHECKING:
    import mne

LABELS = electrodes("FP1 FP2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 A1 A2 FZ CZ PZ T1 T2")
# T1 and T2 lie before and below T3 and T4: the sites that the 10-10 system calls FT9 and FT10.
SITES = SYNONYMS | {"T1": "FT9", "T2": "FT10"}
CHANNELS = tuple(SITES.get(label, label) for label in LABELS)
_SIGNAL = re.compile(r"(?:EEG )?([A-Z0-9]+)-(?:REF|LE)")  # against an average reference, or against linked ears

RATES_HZ = (250.0, 200.0, 256.0, 400.0, 500.0, 512.0, 1000.0)
TRAIN = tuple(f"train{i:02d}" for i in range(80))
EVAL = tuple(f"eval{i:02d}" for i in range(16))
EVERY_RECORDING = "all"  # the one session of the facts
VALIDATION_OF = 5  # every so manieth group of the training patients validates

LICENSE = "research use after registration with the Neural Engineering Data Consortium, no redistribution"
HOW_TO_OBTAIN = "fill in the form at https://isip.piconepress.com/projects/tuh_eeg/ and copy {} with rsync"
CITATION = "Obeid I, Picone J. The Temple University Hospital EEG data corpus. Frontiers in Neuroscience 10:196, 2016."


def patient_of(path: PurePath) -> str:
    """Patient that a file belongs to.

    Its name begins with the patient's (``aaaaaaar_s001_t000.edf``, ``00002275_00000001.edf``); where it does not, the
    folder has the patient's (``eval/032/bckg_032_a_.edf``).
    """
    named = re.match(r"(\d{8}|[a-z]{8})_", path.name)
    return named[1] if named else re.sub("[^A-Za-z0-9]", "", path.parent.name or path.stem)


def session_of(path: PurePath) -> str:
    """Name of a recording: its patient, then what else the file's name says, in letters, digits and hyphens."""
    patient, words = patient_of(path), re.findall("[A-Za-z0-9]+", path.stem)
    if patient in words:
        words.remove(patient)
    return "-".join([patient, *words])


def group_by_hash(patient: str, groups: Sequence[str]) -> str:
    """Group of a patient, the same on every machine and whoever else is there."""
    return groups[zlib.crc32(patient.encode()) % len(groups)]


def group_of_division(path: PurePath, kinds: Sequence[str] = ()) -> str | None:
    """Group of a file of a corpus that is divided into ``train`` and ``eval``.

    Parameters
    ----------
    path : PurePath
        Relative to the root.
    kinds : sequence of str
        Folders of which one must be on the way, if any are given.

    Returns
    -------
    str or None
        None for a file outside of these folders.
    """
    folders = path.parts[:-1]
    if kinds and not set(kinds) & set(folders):
        return None
    division = next((groups for name, groups in (("train", TRAIN), ("eval", EVAL)) if name in folders), None)
    return division and group_by_hash(patient_of(path), division)


def official_division(subject: str, session: str, trial: int) -> str:
    """``eval`` tests; of the training patients, a fifth of the groups validates.

    The published validation patients were drawn from a set without an order and cannot be had again.
    """
    if subject in EVAL:
        return "test"
    return "val" if TRAIN.index(subject) % VALIDATION_OF == VALIDATION_OF - 1 else "train"


def recordings(facts: DatasetFacts, root: Path, subject: str) -> tuple[str, ...]:
    """Names of a group's recordings, sorted; looked for on disk."""
    _tree.cache_clear()
    return tuple(sorted(name for name, (group, _) in _tree(facts.group_of, Path(root)).items() if group == subject))


def find(facts: DatasetFacts, root: Path, subject: str, session: str) -> Path:
    """File of a recording.

    Raises
    ------
    UserError
        If the group has no such recording.
    """
    if session not in _tree(facts.group_of, Path(root)):
        _tree.cache_clear()
    group, path = _tree(facts.group_of, Path(root)).get(session, (None, None))
    if group != subject or not path.is_file():
        raise UserError(
            f"{facts.key} subject {subject} has no recording {session} in {root}", expected="one that is on disk"
        )
    return path


@lru_cache(maxsize=4)  # a walk through the 70,000 files of the largest corpus takes longer than reading one of them
def _tree(group_of: Callable[[PurePath], str | None], root: Path) -> dict[str, tuple[str, Path]]:
    """Group and path of every recording by name."""
    found: dict[str, tuple[str, Path]] = {}
    for path in sorted(root.glob("**/*.edf")):
        inside = path.relative_to(root)
        group, name = group_of(inside), session_of(inside)
        if group is None:
            continue
        if name in found:
            raise UserError(
                f"{root}: {found[name][1]} and {path} are both called {name}",
                expected="each recording once",
                mend="point `root` to one version of the corpus",
            )
        found[name] = group, path
    return found


def names_of(labels: Sequence[str], channels: Sequence[str], where: str, mend: str) -> dict[str, str]:
    """Labels in a file of the channels that it holds, in the order of `channels`.

    Raises
    ------
    UserError
        If an electrode is there twice, or none is.
    """
    found: dict[str, str] = {}
    for label in labels:
        match = _SIGNAL.fullmatch(label.upper())
        site = SITES.get(match[1], match[1]) if match else None
        if site in found and site in channels:
            raise UserError(f"{where} holds {site} twice ({found[site]}, {label})", expected="each once", mend=mend)
        if site:
            found[site] = label
    names = {found[channel]: channel for channel in channels if channel in found}
    if not names:
        others = ", ".join(label for label in labels if label != ANNOTATIONS)
        raise UserError(
            f"{where} holds no EEG ({others})", expected="labels such as EEG FP1-REF or EEG FP1-LE", mend=mend
        )
    return names


def open_signal(path: Path, facts: DatasetFacts, mend: str) -> tuple[mne.io.BaseRaw, tuple[str, ...]]:
    """Open the EEG of a recording, leaving the samples on disk, and name the channels that it lacks.

    Raises
    ------
    UserError
        For a truncated file, a rate that the facts do not know, and a file without EEG.
    """
    names = names_of(read_header(path, mend).labels, facts.known_channels, path.name, mend)
    raw = open_edf(path, names, facts, mend)
    return raw, tuple(channel for channel in facts.channels if channel not in raw.ch_names)


def _group_of(path: PurePath) -> str | None:
    return group_by_hash(patient_of(path), GROUPS)


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    return (("**/*.edf",),)


GROUPS = tuple(f"group{i:02d}" for i in range(80))

FACTS = DatasetFacts(
    key="tuh",
    title="Temple University Hospital EEG, any corpus, without labels",
    access=Access.REQUEST,
    license=LICENSE,
    citation=CITATION,
    url="https://isip.piconepress.com/projects/tuh_eeg/",
    how_to_obtain=HOW_TO_OBTAIN.format("any of its corpora"),
    sfreq_hz=RATES_HZ[0],
    channels=CHANNELS,
    subjects=GROUPS,
    sessions=(EVERY_RECORDING,),
    trials=1,
    tasks={},
    unit="uV",
    amplitude_uv=(1.0, 1000.0),
    files=_files,
    trial_s=1200.0,
    rates_hz=RATES_HZ,
    grouped=True,
    group_of=_group_of,
)

RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=20.0, band_hz=(0.1, 100.0), line_hz=60.0)
EEG_LIMIT_UV = 5000.0
PATIENTS_PER_GROUP = 3
AUXILIARY = ("EEG EKG1-REF", "EEG ROC-REF", "EEG LOC-REF", "EEG 26-REF", "PHOTIC-REF", "IBI", "BURSTS")
USUAL_TWIN_S = 60.0


def sittings(root: Path, subject: str) -> tuple[str, ...]:
    """Recordings that the folder holds of a group of patients, ``patient-rest``; none is no error."""
    return recordings(FACTS, root, subject)


def read(root: Path, subject: str, session: str) -> Recording:
    """Open one recording.

    Parameters
    ----------
    root : Path
        Folder above the EDF files, however deep they are.
    subject, session : str
        Group of patients, and one of its `sittings`.

    Returns
    -------
    Recording
        Not loaded. One trial without labels, which is all of it.

    Raises
    ------
    UserError
        For a truncated file, an unknown sampling rate, and a file without EEG.
    """
    raw, missing = open_signal(find(FACTS, root, subject, session), FACTS, leave_out(FACTS.key, subject))
    length = raw.n_times / raw.info["sfreq"]
    return Recording(raw, pd.DataFrame({"trial": [1], "onset_s": [0.0], "duration_s": [length]}), missing)


def check(root: Path, subject: str) -> list[Finding]:
    """Compare the headers of a group's files with the facts."""
    return check_recordings(FACTS, root, subject)


def check_recordings(facts: DatasetFacts, root: Path, subject: str) -> list[Finding]:
    """Compare the headers of a group's EDF files with the facts; more channels than these may be there."""
    paths = [path for path in locate(facts, subject, root) if path.suffix == ".edf"]
    return [finding for path in paths for finding in _check_header(path, facts)]


def _check_header(path: Path, facts: DatasetFacts) -> list[Finding]:
    try:
        header = read_header(path, "")
        names = names_of(header.labels, facts.channels, path.name, "")
    except UserError as error:
        return [Finding(path.name, "header", error.what, "an EDF header", False)]
    lacking = [channel for channel in facts.channels if channel not in names.values()]
    size, least = path.stat().st_size, header.expected_bytes or 0
    return [
        Finding(path.name, "size", f"{size} bytes", f"at least {least} bytes", size >= least),
        Finding(
            path.name,
            "channels",
            f"{len(names)}" + (f" (lacks {', '.join(lacking)})" if lacking else ""),
            f"the {len(facts.channels)} of {facts.key}",
            not lacking,
        ),
        _check_rates(path.name, header, names, facts),
    ]


def _check_rates(where: str, header: Header, names: Iterable[str], facts: DatasetFacts) -> Finding:
    rates = sorted({header.sfreq_hz(header.labels.index(label)) for label in names})
    known = sorted(facts.known_rates_hz)
    found = f"{', '.join(f'{rate:g}' for rate in rates)} Hz"
    expected = f"one of {', '.join(f'{rate:g}' for rate in known)} Hz"
    return Finding(where, "rate", found, expected, len(rates) == 1 and rates[0] in known)


@dataclass(frozen=True)
class TwinPatient:
    """A synthetic patient of a group."""

    name: str
    person: Person


def draw_patients(key: str, group: str, groups: Sequence[str], spec: TwinSpec, digits: int = 0) -> list[TwinPatient]:
    """Patients whose names' hashes point to a group.

    Parameters
    ----------
    key : str
        Dataset, for its random streams.
    group : str
    groups : sequence of str
        All that a patient might belong to.
    spec : TwinSpec
    digits : int
        Names of so many digits; 0: eight letters.
    """
    rng = generator(spec, key, group)
    alphabet, length = (list("0123456789"), digits) if digits else (list("abcdefghijklmnopqrstuvwxyz"), 8)
    names: list[str] = []
    while len(names) < PATIENTS_PER_GROUP:
        name = "".join(rng.choice(alphabet, length))
        if name not in names and group_by_hash(name, groups) == group:
            names.append(name)
    return [TwinPatient(name, draw_person(RIG, "clinic", generator(spec, key, name))) for name in names]


def twin_seconds(spec: TwinSpec) -> int:
    """Length of a recording of a twin in whole seconds."""
    return max(1, round(spec.trial_s or USUAL_TWIN_S))


def twin_signal(patient: TwinPatient, spec: TwinSpec, name: str, sfreq_hz: float, slowing: float = 0.0) -> np.ndarray:
    """EEG (C, T) of one recording at some rate, in microvolts; `slowing` is the state, 0 in a healthy brain."""
    rng = generator(spec, "tuh", patient.name, name)
    rig = Rig(CHANNELS, sfreq_hz, RIG.background_uv, RIG.band_hz, RIG.line_hz)
    return simulate(rig, revisit(patient.person, rng), round(twin_seconds(spec) * sfreq_hz), (slowing,), rng)


def write_recording(
    path: Path, eeg: np.ndarray, sfreq_hz: float, *, reference: str = "REF", without: Sequence[str] = ()
) -> Path:
    """Write EEG (C, T) as a file of the corpora, with signals beside it that are no EEG.

    Parameters
    ----------
    path : Path
    eeg : ndarray, shape (C, T)
        Microvolts, of :data:`CHANNELS`.
    sfreq_hz : float
    reference : {"REF", "LE"}
    without : sequence of str
        Channels that this file lacks.
    """
    kept = [i for i, channel in enumerate(CHANNELS) if channel not in without]
    labels = [f"EEG {LABELS[i]}-{reference}" for i in kept]
    tracks = [Track(label, sfreq_hz, "uV", EEG_LIMIT_UV) for label in (*labels, *AUXILIARY)]
    others = np.random.default_rng(zlib.crc32(path.name.encode())).normal(0, 20, (len(AUXILIARY), eeg.shape[1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    start = datetime.datetime(2010, 1, 1, 9)
    stream_edf(path, tracks, 1, round(eeg.shape[1] / sfreq_hz), start, [[*eeg[kept], *others]])
    return path


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic patients in the nested folders of the corpora, one of each group against linked ears.

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
        for i, patient in enumerate(draw_patients(FACTS.key, group, GROUPS, spec)):
            reference, folder = (("LE", "02_tcp_le"), ("REF", "01_tcp_ar"))[min(i, 1)]
            rate = (250.0, 256.0, 400.0)[i % 3]
            for token in ("t000", "t001"):
                path = root / "edf" / patient.name[:3] / patient.name / "s001_2010" / folder
                path /= f"{patient.name}_s001_{token}.edf"
                eeg = twin_signal(patient, spec, token, rate)
                written.append(write_recording(path, eeg, rate, reference=reference))
    return written
