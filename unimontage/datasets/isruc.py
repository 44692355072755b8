"""ISRUC-Sleep, subgroup 1: one night of 100 patients with six channels, scored by two experts."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unimontage.datasets.assembly import leave_out, respell
from unimontage.datasets.edf import Track, open_edf, stream_edf
from unimontage.datasets.edf_header import check_signals, read_header
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording
from unimontage.datasets.hypnogram import (
    EPOCH_S,
    ISRUC_DIGITS,
    Hypnogram,
    check_scoring,
    fit,
    from_codes,
    read_lines,
    stage_task,
)
from unimontage.datasets.night import draw_night
from unimontage.datasets.sleep_simulation import SleepRig, draw_sleeper, simulate_night
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError

if TYPE_CHECKING:
    import mne

# Each electrode is measured against the opposite ear or mastoid, which the files call A1, A2 or M1, M2.
REFERENCES = {"F3": "A2", "C3": "A2", "O1": "A2", "F4": "A1", "C4": "A1", "O2": "A1"}
MASTOIDS = {"A1": "M1", "A2": "M2"}
_EXPECTED = f"{', '.join(f'{channel}-{ear}' for channel, ear in REFERENCES.items())}, or their electrodes by themselves"
WITHOUT_FRONTAL, UNIPOLAR = "8", "40"  # subjects recorded otherwise than the rest
LACKING = {WITHOUT_FRONTAL: ("F3", "F4")}

FOLDERS = ("", "subgroupI/", "group1/", "Subgroup_1/")


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    names = (f"{subject}.rec", f"{subject}_1.txt", f"{subject}_2.txt")
    return tuple(tuple(f"{folder}{subject}/{name}" for name in names) for folder in FOLDERS)


FACTS = DatasetFacts(
    key="isruc",
    title="ISRUC-Sleep, subgroup 1",
    access=Access.OPEN,
    license="open access; the site states no licence",
    citation=(
        "Khalighi S, Sousa T, Santos JM, Nunes U. ISRUC-Sleep: a comprehensive public dataset for sleep researchers. "
        "Computer Methods and Programs in Biomedicine 124:180-192, 2016."
    ),
    url="https://sleeptight.isr.uc.pt/",
    how_to_obtain="take 1.rar to 100.rar of subgroup I from https://sleeptight.isr.uc.pt/ and unpack them",
    sfreq_hz=200.0,
    channels=tuple(REFERENCES),
    subjects=tuple(str(i) for i in range(1, 101)),
    sessions=("1",),
    trials=870,
    tasks={"stages": stage_task(), "stages_expert_2": stage_task("stages_expert_2", "stage_2")},
    unit="uV",
    amplitude_uv=(1.0, 500.0),
    files=_files,
    trial_s=EPOCH_S,
    continuous=True,
)

RIG = SleepRig((*REFERENCES, "A1", "A2"), FACTS.sfreq_hz, band_hz=(0.2, 35.0), line_hz=50.0)
EEG_LIMIT_UV = 1000.0
RECORD_S = 1
START = datetime.datetime(2009, 5, 6, 22, 30)
CODES = ("0", "1", "2", "3", "5")  # of STAGES
UNFINISHED_S = 15  # that every fifth recording stops short of its last epoch
DISAGREEMENT = 0.12  # share of epochs in which the second expert sees what the first saw in the epoch before


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one night, the electrodes against the opposite mastoid.

    Parameters
    ----------
    root : Path
        Folder that holds ``1``, ``2``, ..., or the one above it.
    subject, session : str

    Returns
    -------
    Recording
        Label columns ``stage`` (first expert) and ``stage_2`` (second, NaN where there is no score): 0 W, 1 N1, 2 N2,
        3 N3, 4 REM. Loaded, because the suffix of the files keeps mne from reading them by parts.

    Raises
    ------
    UserError
        For missing or truncated files, electrodes recorded without a mastoid to refer them to, an unknown stage, and
        a scoring that does not fit the signal.
    """
    mend = leave_out(FACTS.key, subject)
    signal, first, second = locate(FACTS, subject, root, (session,))
    raw = _read_signal(signal, mend)
    trials, dropped = fit(_hypnogram(first), raw.n_times / FACTS.sfreq_hz, mend)
    trials["stage_2"] = _hypnogram(second).at(trials["trial"])
    missing = tuple(name for name in FACTS.channels if name not in raw.ch_names)
    return Recording(raw, trials, missing, dropped)


def _hypnogram(path: Path) -> Hypnogram:
    return from_codes(read_lines(path), ISRUC_DIGITS, path.name)


def _read_signal(path: Path, mend: str) -> mne.io.BaseRaw:
    import mne

    names, references = _montage(read_header(path, mend).labels, path.name, mend)
    ears = sorted(set(references.values()))
    raw = open_edf(path, names, FACTS, mend, others=ears)
    if not ears:
        return raw
    data = raw.get_data()  # (channels + ears, T)
    rows = {name: row for row, name in enumerate(raw.ch_names)}
    for channel, ear in references.items():
        data[rows[channel]] -= data[rows[ear]]
    info = mne.create_info(list(names), raw.info["sfreq"], "eeg")
    return respell(mne.io.RawArray(data[: len(names)], info, verbose="ERROR"), names)


def _montage(labels: Sequence[str], where: str, mend: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels of the EEG channels, and for those recorded unipolar the label of their reference.

    Returns
    -------
    names : dict
        Label -> channel, in the order of the facts. A channel that the file lacks is absent.
    references : dict
        Channel -> label of the ear or mastoid still to be subtracted.
    """
    spelt = {label.upper().replace(" ", ""): label for label in labels}
    names, references = {}, {}
    for channel, ear in REFERENCES.items():
        ears = (ear, MASTOIDS[ear])
        derived = [spelt[f"{channel}-{site}"] for site in ears if f"{channel}-{site}" in spelt]
        bare = [spelt[site] for site in ears if site in spelt]
        if derived:
            names[derived[0]] = channel
        elif channel in spelt:
            if not bare:
                what = f"{where} holds {channel} without an ear or mastoid, {' or '.join(ears)}"
                raise UserError(what, expected=_EXPECTED, mend=mend)
            names[spelt[channel]], references[channel] = channel, bare[0]
    if not names:
        raise UserError(f"{where} holds no EEG ({', '.join(labels)})", expected=_EXPECTED, mend=mend)
    return names, references


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic nights with the channel names of the release, which are not the same for all subjects.

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
        (root / subject).mkdir(exist_ok=True)
        signal, *scorings = (root / name for name in FACTS.files(subject)[0])
        stages = draw_night(spec.hours(), rng)
        second = np.where(rng.random(len(stages)) < DISAGREEMENT, np.r_[0, stages[:-1]], stages)
        eeg = simulate_night(RIG, draw_sleeper(RIG, rng), stages, rng, spec.structured)
        seconds = round(len(stages) * EPOCH_S) - (UNFINISHED_S if int(subject) % 5 == 0 else 0)
        stream_edf(signal, _tracks(subject), RECORD_S, seconds, START, _derived(eeg, subject, seconds, rng))
        for path, scored in zip(scorings, (stages, second), strict=True):
            path.write_text("\n".join(CODES[stage] for stage in scored) + "\n\n", encoding="ascii")
        written += [signal, *scorings]
    return written


def _derivations(subject: str) -> tuple[str, ...]:
    """EEG labels as the release has them for a subject."""
    if subject == UNIPOLAR:
        return RIG.derivations
    ears = {ear: ear if subject == WITHOUT_FRONTAL or int(subject) % 4 == 0 else MASTOIDS[ear] for ear in MASTOIDS}
    return tuple(f"{c}-{ears[ear]}" for c, ear in REFERENCES.items() if c not in LACKING.get(subject, ()))


def _tracks(subject: str) -> list[Track]:
    old = _derivations(subject)[0].endswith("A2")
    eyes = ("ROC", "LOC") if subject == UNIPOLAR else ("LOC-A2", "ROC-A1") if old else ("E1-M2", "E2-M1")
    rate = FACTS.sfreq_hz
    return [
        *(
            Track(label, rate, "uV", EEG_LIMIT_UV, filtering="HP:0.3Hz LP:35Hz N:50Hz")
            for label in _derivations(subject)
        ),
        *(Track(label, rate, "uV", EEG_LIMIT_UV) for label in (*eyes, "X1", "X2")),
        Track("SaO2" if old else "SpO2", 4.0, "%", 100.0),
    ]


def _derived(
    pieces: Iterator[np.ndarray], subject: str, seconds: int, rng: np.random.Generator
) -> Iterator[list[np.ndarray]]:
    """Signals of the file, up to so many seconds, from those of the electrodes."""
    rows = {site: row for row, site in enumerate(RIG.derivations)}
    for piece in pieces:
        length = min(seconds, piece.shape[1] // round(FACTS.sfreq_hz))
        seconds -= length
        eeg = piece[:, : length * round(FACTS.sfreq_hz)]
        if subject != UNIPOLAR:
            sites = [label.split("-")[0] for label in _derivations(subject)]
            eeg = np.stack([eeg[rows[site]] - eeg[rows[REFERENCES[site]]] for site in sites])
        others = 20 * rng.standard_normal((4, eeg.shape[1]), dtype=np.float32)
        yield [*eeg, *others, 96 + 0.5 * rng.standard_normal(4 * length)]


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a subject's files with the facts, reading the header and the scorings only.

    Returns
    -------
    list of Finding

    Raises
    ------
    UserError
        If files are missing.
    """
    signal, *scorings = locate(FACTS, subject, root)
    expected = [name for name in FACTS.channels if name not in LACKING.get(subject, ())]
    header = check_signals(signal, signal.name, FACTS, lambda labels: _montage(labels, signal.name, "")[0], expected)
    if not all(finding.agrees for finding in header):
        return header
    length = read_header(signal, "").duration_s
    return header + [check_scoring(path.name, lambda p=path: fit(_hypnogram(p), length, "")) for path in scorings]
