"""EEGMAT: 19-channel EEG of 36 students at rest and during mental arithmetic."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import leave_out
from unimontage.datasets.edf import Signals, read_edf, write_edf
from unimontage.datasets.edf_header import check_header
from unimontage.datasets.facts import Access, DatasetFacts, Download, Finding, Recording, Task, electrodes
from unimontage.datasets.simulation import Rig, draw_person, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator

CHANNELS = electrodes("FP1 FP2 F3 F4 F7 F8 T7 T8 C3 C4 P7 P8 P3 P4 O1 O2 FZ CZ PZ")  # the files say T3 T4 T5 T6
NOT_EEG = ("EEG A2-A1", "ECG ECG")  # the derivation between the ears, and the heart
CONDITIONS = {"rest": 1, "arithmetic": 2}  # SubjectNN_1.edf, SubjectNN_2.edf
CONDITION_S = (182.0, 62.0)

# Some files of the release, hashed from an unmodified copy; the release's own list covers the rest.
SHA256 = {
    "Subject00_1.edf": "ac46d8c9905d6750c8f07235f2e0d96771882cad8af06a8e32d88cfd16c376ed",
    "Subject00_2.edf": "19476db6d5f2bcd40e417a7e1f2f9b276af05cf2c93a52a2be4d7524b4e9885c",
    "Subject01_1.edf": "e8c8bd03146127f6084e36282b20bf9236cd5e5459e8a9129b05963bdbbb461a",
    "Subject01_2.edf": "da7ad48824d5c92a5a12b90495f4ceca98dbc91fca1d3e85f009dbc640b32ca7",
    "Subject03_1.edf": "8f22c7eb40e2d2b2f61dadd874172f395fed9ca83c843e9d92b492ec2b3d4f41",
    "Subject03_2.edf": "d4792fe50ad51d7ad607caeaf3c24f2d19087cb96311c4c2cbdfdd6418f56cf0",
    "Subject04_1.edf": "0c96ec8a36767673772d35c1c8e8328c6a51f18e83b806f5776d02f388c65a73",
    "Subject04_2.edf": "4455d8e910ac8f5a18a5c050e2b544d147b092458cd135c04e3030f2ee63f90f",
    "Subject05_1.edf": "844f7c4c0868f64003f50d02ecd9db3a7e60cd51df66f9ad2a460e279001eaf8",
    "Subject05_2.edf": "651a9f1cbe3e85605ef6a8e3c13c8d8d130e1c41bb8ac23ac3c2fa9ab63665f7",
    "Subject06_1.edf": "cd5697ace53d4a824b7a89846a0a2e2ca40ec7ee661488551d44d6f2a301b5c1",
    "Subject06_2.edf": "206452b3d030ba9f04b43f2747bcd24ecd0466e7abe27676ad054428286cf24d",
    "Subject07_1.edf": "3991d7b4667065de53f80e5b40b69cee5c819f62c7352dca3b06ca5333fd1308",
    "Subject07_2.edf": "f8381e8f22a118f772e316bfb4c87f2a41581d9590a7c58f3b8c95c62a1789f1",
    "Subject08_1.edf": "02acf02d25d333fd9bc38b9b513b9f72072d5bd36b6ffa5a9a5be6f54fd9b853",
    "Subject08_2.edf": "461c2f9c95b5d1128e32bd1272e44b3d5366493f57d88092278b440a7b30d0df",
    "Subject09_1.edf": "68f2c002f30831ead8fc9418a24fe044419f430686beec62ddb46ab2c731036a",
    "Subject09_2.edf": "05d4449075a6e62d61737a939cf142b27f84b60a9bdad788fd87a9fc9737b3b9",
}


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    return (tuple(f"{subject}_{number}.edf" for number in CONDITIONS.values()),)


FACTS = DatasetFacts(
    key="eegmat",
    title="PhysioNet EEG During Mental Arithmetic Tasks 1.0.0",
    access=Access.OPEN,
    license="ODC-By-1.0",
    citation=(
        "Zyma I, Tukaev S, Seleznov I, Kiyono K, Popov A, Chernykh M, Shpenkov O. Electroencephalograms during mental "
        "arithmetic task performance. Data 4(1):14, 2019; Goldberger AL et al. PhysioBank, PhysioToolkit, and "
        "PhysioNet. Circulation 101(23):e215-e220, 2000."
    ),
    url="https://physionet.org/content/eegmat/1.0.0/",
    how_to_obtain="the workflow downloads it from https://physionet.org/files/eegmat/1.0.0/",
    sfreq_hz=500.0,
    channels=CHANNELS,
    subjects=tuple(f"Subject{i:02d}" for i in range(36)),
    sessions=("1",),
    trials=len(CONDITIONS),
    tasks={"arithmetic": Task("arithmetic", tuple(CONDITIONS), ("arithmetic",))},
    unit="uV",
    amplitude_uv=(1.0, 300.0),
    files=_files,
    trial_s=CONDITION_S,
    download=Download("https://physionet.org/files/eegmat/1.0.0/", lambda: SHA256, "SHA256SUMS.txt"),
)

# Filtered, notched and freed of eye movements by the owners.
RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=9.0, band_hz=(0.5, 45.0), artefacts=False)
FILTERING = "HP:0.500000Hz LP:45.000000Hz RF:50Hz"
OLD_NAMES = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one subject: the recording at rest and the one during serial subtraction, joined; each is one trial.

    Parameters
    ----------
    root : Path
        Folder that holds ``Subject00_1.edf``, ...
    subject, session : str

    Returns
    -------
    Recording
        Label column ``arithmetic``: 0 rest, 1 arithmetic.

    Raises
    ------
    UserError
        For missing or truncated files and wrong rates or channels.
    """
    import mne

    mend = leave_out(FACTS.key, subject)
    paths = locate(FACTS, subject, root, (session,))
    raws = [read_edf(path, FACTS, mend, drop=NOT_EEG).set_annotations(None) for path in paths]
    samples = np.array([raw.n_times for raw in raws])
    return Recording(mne.concatenate_raws(raws, verbose="ERROR"), _table(samples))


def _table(samples: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "trial": np.arange(1, len(samples) + 1),
            "onset_s": (np.cumsum(samples) - samples) / FACTS.sfreq_hz,
            "duration_s": samples / FACTS.sfreq_hz,
            "arithmetic": np.arange(len(samples), dtype=np.float64),
        }
    )


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic subjects as EDF files, with the table of participants beside them.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        With ``labels="random"`` rest and arithmetic differ in nothing but the file name.

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    marker, table = begin(root, FACTS, spec), root / "subject-info.csv"
    rows = ["Subject,Age,Gender,Recording year,Number of subtractions,Count quality"]
    written = [marker, table]
    for subject in subjects:
        rng = generator(spec, FACTS.key, subject)
        person = draw_person(RIG, "arithmetic", rng)
        subtractions = max(1.0, rng.normal(18, 7))
        rows.append(
            f"{subject},{rng.integers(17, 26)},{'FM'[rng.integers(2)]},2011,{subtractions:.2f},{int(subtractions > 12)}"
        )
        for load, (name, seconds) in enumerate(zip(FACTS.files(subject)[0], CONDITION_S, strict=True)):
            rng = generator(spec, FACTS.key, subject, name)
            # EDF records last a second.
            samples = round(max(1, round(spec.trial_s or seconds)) * FACTS.sfreq_hz)
            signal = simulate(RIG, person, samples, (float(load and spec.structured),), rng)
            _write_recording(root / name, signal, rng)
            written.append(root / name)
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return written


def _write_recording(path: Path, signal: np.ndarray, rng: np.random.Generator) -> None:
    names = [f"EEG {_spelling(channel)}" for channel in CHANNELS]
    others = 5 * rng.standard_normal((1, signal.shape[1])), 0.1 * rng.standard_normal((1, signal.shape[1]))
    ears, heart = (
        Signals([name], data, unit, filtering=FILTERING)
        for name, data, unit in zip(NOT_EEG, others, ("uV", "mV"), strict=True)
    )
    write_edf(path, FACTS.sfreq_hz, [Signals(names, signal, "uV", filtering=FILTERING), ears, heart], [])


def _spelling(channel: str) -> str:
    """The file's name of a channel: Fp1, Fz, T3."""
    return OLD_NAMES.get(channel, channel).capitalize()


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
    paths = locate(FACTS, subject, root)
    return [finding for path in paths for finding in check_header(path, path.name, FACTS, drop=NOT_EEG)]
