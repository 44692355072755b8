"""TUAB: recordings of the Temple University Hospital that a neurologist called normal or abnormal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from unimontage.datasets import tuh
from unimontage.datasets.assembly import leave_out
from unimontage.datasets.facts import Finding, Recording, Task
from unimontage.datasets.tuh import EVAL, TRAIN, TwinPatient
from unimontage.datasets.twin import TwinSpec, begin

FINDINGS = ("normal", "abnormal")
SEGMENT_S = 10.0


def _group_of(path: PurePath) -> str | None:
    return tuh.group_of_division(path, FINDINGS)


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    return (("**/*.edf",),)


FACTS = replace(
    tuh.FACTS,
    key="tuab",
    title="Temple University Hospital Abnormal EEG Corpus (TUAB)",
    citation=(
        "Lopez de Diego S. Automated interpretation of abnormal adult electroencephalograms. MSc thesis, Temple "
        "University, 2017. " + tuh.CITATION
    ),
    how_to_obtain=tuh.HOW_TO_OBTAIN.format("tuh_eeg_abnormal"),
    subjects=(*TRAIN, *EVAL),
    trials=120,
    tasks={"pathology": Task("pathology", FINDINGS, ("abnormal",))},
    files=_files,
    trial_s=SEGMENT_S,
    official=tuh.official_division,
    group_of=_group_of,
)

SLOWING = {"normal": 0.0, "abnormal": 1.0}


def sittings(root: Path, subject: str) -> tuple[str, ...]:
    """Recordings that the folder holds of a group of patients, ``patient-rest``; none is no error."""
    return tuh.recordings(FACTS, root, subject)


def read(root: Path, subject: str, session: str) -> Recording:
    """Open one recording and divide it into segments of 10 s.

    Parameters
    ----------
    root : Path
        Folder above ``train`` and ``eval``, however deep these are.
    subject, session : str
        Group of patients, and one of its `sittings`.

    Returns
    -------
    Recording
        Not loaded. Label column ``abnormal``, 0 or 1, the same for all segments: it is said of the whole recording. A
        rest of less than a segment at the end is ``unfinished``.

    Raises
    ------
    UserError
        For a truncated file, an unknown sampling rate, and a file without EEG.
    """
    path = tuh.find(FACTS, root, subject, session)
    raw, missing = tuh.open_signal(path, FACTS, leave_out(FACTS.key, subject))
    length = raw.n_times / raw.info["sfreq"]
    k = np.arange(int(length // SEGMENT_S))
    abnormal = float("abnormal" in path.relative_to(root).parts)
    trials = pd.DataFrame({"trial": k + 1, "onset_s": k * SEGMENT_S, "duration_s": SEGMENT_S, "abnormal": abnormal})
    return Recording(raw, trials, missing, {"unfinished": int(length > len(k) * SEGMENT_S)})


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic patients of each group: normal, abnormal, and one who is both on different days.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        ``trial_s`` is the length of a recording, a minute where it is None.

    Returns
    -------
    list of Path
        Files written, the marker included. Groups of even number have the flat folders of version 3 of the corpus, the
        others the nested ones of version 2.
    """
    written = [begin(root, FACTS, spec)]
    for group in subjects:
        groups = EVAL if group in EVAL else TRAIN
        nested = int(group[-2:]) % 2 == 1
        patients = tuh.draw_patients(FACTS.key, group, groups, spec, digits=8 if nested else 0)
        for i, patient in enumerate(patients):
            for day, finding in enumerate((FINDINGS, FINDINGS[:1], FINDINGS[1:])[i % 3], start=1):
                path = _twin_path(root, "eval" if groups is EVAL else "train", finding, patient, day, nested)
                rate = (250.0, 256.0, 512.0)[i % 3]
                slowing = SLOWING[finding] if spec.structured else 0.0
                eeg = tuh.twin_signal(patient, spec, f"s{day:03d}", rate, slowing)
                written.append(tuh.write_recording(path, eeg, rate))
    return written


def _twin_path(root: Path, division: str, finding: str, patient: TwinPatient, day: int, nested: bool) -> Path:
    folder = root / "edf" / division / finding / "01_tcp_ar"
    if nested:
        folder = folder / "000" / patient.name / f"s{day:03d}_2013_08_15"
    return folder / f"{patient.name}_s{day:03d}_t000.edf"


def check(root: Path, subject: str) -> list[Finding]:
    """Compare the headers of a group's files with the facts."""
    return tuh.check_recordings(FACTS, root, subject)
