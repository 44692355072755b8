"""MoBI: 60-channel EEG of 8 people on a treadmill, with the angles of hips, knees and ankles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import UV, leave_out
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, Task, electrodes
from unimontage.datasets.simulation import Rig, draw_person, revisit, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.spectra import spread
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError
from unimontage.montage.names import canonical
from unimontage.montage.positions import positions_3d

if TYPE_CHECKING:
    import mne

# The cap's own names, in the order of the columns of the twin; real files are read by name.
CAP = electrodes(
    """FP1 FP2 F7 F3 FZ F4 F8 FC5 FC1 FC2 FC6 T7 C3 CZ C4 T8 TP9 CP5 CP1 CP2 CP6 TP10 P7 P3 PZ P4 P8 PO9 O1 OZ O2 PO10
    AF7 AF3 AF4 AF8 F5 F1 F2 F6 FT9 FT7 FC3 FC4 FT8 FT10 C5 C1 C2 C6 TP7 CP3 CPZ CP4 TP8 P5 P1 P2 P6 PO7 PO3 POZ PO4
    PO8"""
)
EYES = ("TP9", "TP10", "FT9", "FT10")  # these four were stuck to the face
MOVED = {"T7": "FCZ", "T8": "AFZ"}  # and these two put elsewhere on the scalp
CHANNELS = tuple(MOVED.get(name, name) for name in CAP if name not in EYES)

JOINTS = ("hip_right", "knee_right", "ankle_right", "hip_left", "knee_left", "ankle_left")
DECODED = tuple(f"{joint}_decoded" for joint in JOINTS)
LARGEST_DEG = 90.0  # targets are shares of a right angle
WINDOW_S, HOP_S = 2.0, 0.05
LIMIT_UV = 3276.7  # of 16 bits in steps of 0.1 microvolt
NAMES = "impedances-before.txt"
FOLDERS = ("", "MoBI/")
SESSIONS = ("T01", "T02", "T03")
RATE_TOLERANCE = 0.01
SAME_END_S = 1.0  # by which the two files of a session may differ in length


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    folders = [f"{subject}-{session}" for session in sessions or SESSIONS]
    names = [f"{folder}/{name}" for folder in folders for name in ("eeg.txt", "joints.txt", NAMES)]
    return tuple(tuple(parent + name for name in names) for parent in FOLDERS)


def _official(subject: str, session: str, trial: int) -> str:
    """Of the three walks the first trains, the second validates and the third tests.

    Windows overlap by 97.5 %, so no division may cut through a walk.
    """
    return {"T01": "train", "T02": "val", "T03": "test"}[session]


FACTS = DatasetFacts(
    key="mobi",
    title="Mobile brain-body imaging of treadmill walking with a brain-controlled avatar (MoBI)",
    access=Access.OPEN,
    license="open access at figshare; see the record for its licence",
    citation=(
        "He Y, Luu TP, Nathan K, Nakagome S, Contreras-Vidal JL. A mobile brain-body imaging dataset recorded during "
        "treadmill walking with a brain-computer interface. Scientific Data 5:180074, 2018."
    ),
    url="https://doi.org/10.6084/m9.figshare.c.3894013.v1",
    how_to_obtain="take the folders SL01-T01 to SL08-T03 from https://doi.org/10.6084/m9.figshare.c.3894013.v1",
    sfreq_hz=100.0,
    channels=CHANNELS,
    subjects=tuple(f"SL{i:02d}" for i in range(1, 9)),
    sessions=SESSIONS,
    trials=24_000,
    tasks={
        "joint_angles": Task("joint_angles", JOINTS, JOINTS, regression=True),
        "joint_angles_12": Task("joint_angles_12", JOINTS + DECODED, JOINTS + DECODED, regression=True),
    },
    unit="uV",
    amplitude_uv=(1.0, 1000.0),
    files=_files,
    trial_s=WINDOW_S,
    official=_official,
)

RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=20.0, band_hz=(0.1, 45.0), offset_uv=20.0)
USUAL_TWIN_S = 20 * 60.0

# Gait of a twin: the angle of each joint over a step, and what walking leaves in the EEG over the legs' motor cortex.
STEP_HZ = 0.7
AMPLITUDE_DEG = np.array([20.0, 30.0, 12.0, 20.0, 30.0, 12.0])
MIDDLE_DEG = np.array([10.0, 30.0, 5.0, 10.0, 30.0, 5.0])
PHASE = np.pi * np.array([0.0, 0.5, 0.9, 1.0, 1.5, 1.9])  # the left leg half a step later
WANDERING = 0.15  # standard deviation of the log of the pace
GAIT_SITES, GAIT_UV = ("C1", "C2"), 6.0
IMPEDANCE_LINES = 21  # before the table of electrodes


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one walk; every 50 ms one trial of 2 s ends.

    Parameters
    ----------
    root : Path
        Folder that holds ``SL01-T01`` and so on, or the one above it.
    subject, session : str

    Returns
    -------
    Recording
        Columns ``hip_right`` to ``ankle_left``: angle at the last sample of the trial, measured by goniometers, as a
        share of 90 degrees; ``..._decoded``: the same as the brain-computer interface decoded it from this EEG. Trials
        without all measured angles are counted as ``no_angles``; ``clipped_samples`` of the EEG and ``gaps`` in its
        time column are noted.

    Raises
    ------
    UserError
        For missing or damaged files, another sampling rate, a missing channel, and angles that do not fit the EEG.
    """
    mend = leave_out(FACTS.key, subject)
    signal, joints, names = locate(FACTS, subject, root, (session,))
    where = signal.parent.name
    eeg = _read_table(signal, 1 + len(CAP), 1, mend)
    rate, gaps = _rate(eeg[:, 0], f"{where}/{signal.name}", mend)
    picks = _columns(read_names(names, mend), f"{where}/{names.name}", mend)
    angles = _read_table(joints, 1 + len(JOINTS + DECODED), 2, mend)
    trials, unknown = _trials(eeg[:, 0], angles, where, mend)
    data = eeg[:, 1 + picks].T  # (C, T)
    clipped = int((np.abs(data) >= LIMIT_UV - 0.01).sum())
    notes = {"clipped_samples": clipped, "gaps": gaps}
    return Recording(_raw(data, rate), trials, dropped={"no_angles": unknown}, notes=notes)


def _raw(data_uv: np.ndarray, rate: float) -> mne.io.BaseRaw:
    import mne

    return mne.io.RawArray(data_uv * UV, mne.create_info(list(CHANNELS), rate, "eeg"), verbose="ERROR")


def _read_table(path: Path, columns: int, head: int, mend: str) -> np.ndarray:
    """Numbers (rows, columns) of a text file with tabs; one at the end of a line is no column."""
    where = f"{path.parent.name}/{path.name}"
    try:
        table = pd.read_csv(path, sep="\t", header=None, skiprows=head, skipinitialspace=True, dtype=float)
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{where} cannot be read ({reason})", expected=f"{columns} columns of numbers", mend=mend
        ) from error
    if table.shape[1] == columns + 1 and table[columns].isna().all():
        table = table.drop(columns=columns)
    if table.shape[1] != columns or len(table) < 2:
        raise UserError(
            f"{where} has {table.shape[1]} columns and {len(table)} rows",
            expected=f"{columns} columns, the first of them the time",
            mend=mend,
        )
    return table.to_numpy()


def _rate(time_s: np.ndarray, where: str, mend: str) -> tuple[float, int]:
    """Rate of the facts, if the time column agrees with it, and how often it jumps."""
    steps = np.diff(time_s)
    found = 1 / max(float(np.median(steps)), 1e-9)
    if not abs(found / FACTS.sfreq_hz - 1) < RATE_TOLERANCE:
        raise UserError(
            f"{where} is sampled at {found:.4g} Hz by its time column", expected=f"{FACTS.sfreq_hz:g} Hz", mend=mend
        )
    return FACTS.sfreq_hz, int((np.abs(steps * FACTS.sfreq_hz - 1) > 0.5).sum())


def read_names(path: Path, mend: str) -> tuple[str, ...]:
    """Names of the first 64 channels, from the table of impedances.

    Raises
    ------
    UserError
        If the file holds no such table.
    """
    lines = path.read_text(encoding="latin1").splitlines()
    head = next((i for i, line in enumerate(lines) if "PhysChn" in line and "Name" in line), len(lines))
    separator = "\t" if head < len(lines) and "\t" in lines[head] else None
    rows = [line.split(separator) for line in lines[head + 1 :] if line.strip()]
    names = [row[1].strip().upper() for row in rows if len(row) > 1][: len(CAP)]
    if len(names) < len(CAP):
        raise UserError(
            f"{path.parent.name}/{path.name} names {len(names)} channels",
            expected=f"a table of {len(CAP)} with columns PhysChn and Name",
            mend=mend,
        )
    return tuple(names)


def _columns(names: Sequence[str], where: str, mend: str) -> np.ndarray:
    """Columns of the EEG channels, in the order of the facts."""
    place = {MOVED.get(name, canonical(name)): i for i, name in enumerate(names) if name not in EYES}
    lacking = [channel for channel in CHANNELS if channel not in place]
    if lacking:
        raise UserError(
            f"{where} lacks {', '.join(lacking)}", expected=f"the {len(CHANNELS)} channels of {FACTS.key}", mend=mend
        )
    return np.array([place[channel] for channel in CHANNELS])


def _trials(time_s: np.ndarray, angles: np.ndarray, where: str, mend: str) -> tuple[pd.DataFrame, int]:
    """Trial table, and how many trials have no angle at their end."""
    if abs(angles[-1, 0] - time_s[-1]) > SAME_END_S or abs(angles[0, 0] - time_s[0]) > SAME_END_S:
        raise UserError(
            f"{where}: joints.txt runs from second {angles[0, 0]:g} to {angles[-1, 0]:g}, "
            f"eeg.txt from {time_s[0]:g} to {time_s[-1]:g}",
            expected="two files of one walk",
            mend=mend,
        )
    length, hop = round(WINDOW_S * FACTS.sfreq_hz), round(HOP_S * FACTS.sfreq_hz)
    start = np.arange(0, len(time_s) - length + 1, hop)  # (N,)
    end_s = time_s[start + length - 1]
    nearest = _nearest(angles[:, 0], end_s)
    values = angles[nearest, 1:] / LARGEST_DEG  # (N, 12)
    apart = np.abs(angles[nearest, 0] - end_s) > 1.5 / FACTS.sfreq_hz
    known = ~apart & np.isfinite(values[:, : len(JOINTS)]).all(axis=1)
    place = {"trial": np.arange(1, len(start) + 1), "onset_s": start / FACTS.sfreq_hz, "duration_s": WINDOW_S}
    table = pd.DataFrame(place | dict(zip(JOINTS + DECODED, values.T, strict=True)))
    return table[known].reset_index(drop=True), int((~known).sum())


def _nearest(sorted_s: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """Index of the time that is nearest to each wanted one."""
    after = np.clip(np.searchsorted(sorted_s, wanted_s), 1, len(sorted_s) - 1)
    return after - (wanted_s - sorted_s[after - 1] < sorted_s[after] - wanted_s)


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic walks in the text files of the release.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        ``trial_s`` is the length of a walk, 20 minutes where it is None. With random labels the EEG knows nothing of
        the gait.

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    written = [begin(root, FACTS, spec)]
    samples = round(max(WINDOW_S + 1, spec.trial_s or USUAL_TWIN_S) * FACTS.sfreq_hz)
    for subject in subjects:
        person = draw_person(RIG, "arithmetic", generator(spec, FACTS.key, subject))
        for session in spec.sessions or SESSIONS:
            rng = generator(spec, FACTS.key, subject, session)
            folder = root / f"{subject}-{session}"
            folder.mkdir(exist_ok=True)
            phase = _gait(samples, rng)
            state = (0.5,) if spec.structured else (0.0,)
            eeg = simulate(RIG, revisit(person, rng), samples, state, rng)
            if spec.structured:
                eeg = eeg + _walking(phase)
            angles = MIDDLE_DEG + AMPLITUDE_DEG * np.sin(phase[:, None] - PHASE)  # (T, 6)
            decoded = angles + 10 * rng.standard_normal(angles.shape)
            _write_eeg(folder / "eeg.txt", eeg, rng)
            _write_joints(folder / "joints.txt", np.concatenate([angles, decoded], axis=1))
            _write_names(folder / NAMES)
            written += [folder / name for name in ("eeg.txt", "joints.txt", NAMES)]
    return written


def _gait(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Phase of the step in radians, shape (T,); the pace wanders from second to second."""
    seconds = samples / FACTS.sfreq_hz
    knots = np.arange(int(seconds) + 2)
    pace = STEP_HZ * np.exp(WANDERING * rng.standard_normal(len(knots)))
    speed = np.interp(np.arange(samples) / FACTS.sfreq_hz, knots, pace)
    return 2 * np.pi * (np.cumsum(speed) / FACTS.sfreq_hz + rng.random())


def _walking(phase: np.ndarray) -> np.ndarray:
    """Slow potentials over each hemisphere that follow the step of the other leg, (C, T) in microvolts."""
    topography = spread(positions_3d(CHANNELS), positions_3d(GAIT_SITES))  # (C, 2)
    course = np.stack([np.sin(phase - np.pi), np.sin(phase)]) + 0.5 * np.stack([np.sin(2 * phase), np.cos(2 * phase)])
    return (GAIT_UV * topography @ course).astype(np.float32)


def _write_eeg(path: Path, eeg: np.ndarray, rng: np.random.Generator) -> None:
    place = {channel: row for row, channel in enumerate(CHANNELS)}
    rows = [place.get(MOVED.get(name, name)) if name not in EYES else None for name in CAP]
    eyes = 30 * rng.standard_normal((len(EYES), eeg.shape[1]), dtype=np.float32)
    others = iter(eyes)
    data = np.stack([next(others) if row is None else eeg[row] for row in rows])  # (64, T)
    _write_table(path, [f"EEG data, {len(CAP)} channels, microvolts"], np.clip(data.T, -LIMIT_UV, LIMIT_UV), "%.1f")


def _write_joints(path: Path, angles: np.ndarray) -> None:
    head = ["6 joints (GHR GKR GAR GHL GKL GAL PHR PKR PAR PHL PKL PAL)", "Joint Factor 1"]
    _write_table(path, head, angles, "%.4f")


def _write_table(path: Path, head: Sequence[str], values: np.ndarray, digits: str) -> None:
    """Time and values with a tab at the end of every line, as the release has them."""
    table = pd.DataFrame(values)
    table.insert(0, "time", [f"{i / FACTS.sfreq_hz:.2f}" for i in range(len(values))])
    table["end"] = ""
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write("".join(f"{line}\n" for line in head))
        table.to_csv(file, sep="\t", header=False, index=False, lineterminator="\n", float_format=digits)


def _write_names(path: Path) -> None:
    about = ["Impedances", *[""] * (IMPEDANCE_LINES - 2), "PhysChn\tName\tLabelSet\tImpedance"]
    rows = [
        f"{i}\t{' ' if name in EYES else ''}{name.replace('Z', 'z')}\tactiCAP\t{'---' if i % 9 == 0 else 5 + i % 7}"
        for i, name in enumerate(CAP, start=1)
    ]
    path.write_text("\n".join([*about, *rows]) + "\n", encoding="ascii")


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts, reading the names and the beginning of the tables.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If files are missing.
    """
    paths = locate(FACTS, subject, root)
    sessions = zip(paths[::3], paths[1::3], paths[2::3], strict=True)
    return [finding for session in sessions for finding in _check_session(*session)]


def _check_session(signal: Path, joints: Path, names: Path) -> list[Finding]:
    where = signal.parent.name
    try:
        _columns(read_names(names, ""), names.name, "")
        found, agrees = str(len(CHANNELS)), True
    except UserError as error:
        found, agrees = error.what, False
    findings = [Finding(f"{where}/{names.name}", "channels", found, f"the {len(CHANNELS)} of {FACTS.key}", agrees)]
    for path, head, columns in ((signal, 1, 1 + len(CAP)), (joints, 2, 1 + len(JOINTS + DECODED))):
        with path.open(encoding="latin1") as file:
            rows = [line.split("\t") for line, _ in zip(file, range(head + 100), strict=False)][head:]
        widths = sorted({len([value for value in row if value.strip()]) for row in rows})
        wide = ", ".join(map(str, widths)) or "none"
        findings.append(Finding(f"{where}/{path.name}", "columns", wide, str(columns), widths == [columns]))
    return findings
