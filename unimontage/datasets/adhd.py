"""EEG of children with and without ADHD: 19 channels while they count cartoon figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets.assembly import join, leave_out, load_matlab, matlab_shapes
from unimontage.datasets.facts import Access, DatasetFacts, Finding, Recording, Task, electrodes
from unimontage.datasets.simulation import Rig, draw_person, simulate
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec, begin, generator
from unimontage.errors import UserError

CHANNELS = electrodes("FP1 FP2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 FZ CZ PZ")
GROUPS = {"Control": "v107 v108 v109 v110 v111 v112 v113 v114", "ADHD": "v10p v12p v14p v15p v173 v177 v179 v181"}
CHILDREN = {child: group for group, names in GROUPS.items() for child in names.split()}
TYPICAL_S = 130.0


def _files(subject: str, sessions: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
    group = CHILDREN[subject]
    return ((f"{group}/{subject}.mat",), *((f"{group}_part{part}/{subject}.mat",) for part in (1, 2)))


FACTS = DatasetFacts(
    key="adhd",
    title="EEG Data for ADHD and Control Children (sixteen of its 121 recordings)",
    access=Access.OPEN,
    license="CC-BY-4.0, as its page states",
    citation=(
        "Nasrabadi AM, Allahverdy A, Samavati M, Mohammadi MR. EEG data for ADHD / control children. IEEE DataPort, "
        "2020."
    ),
    url="https://doi.org/10.21227/rzfh-zn36",
    how_to_obtain="take it from https://doi.org/10.21227/rzfh-zn36 (free account) and unpack it",
    sfreq_hz=128.0,
    channels=CHANNELS,
    subjects=tuple(CHILDREN),
    sessions=("1",),
    trials=1,
    tasks={"diagnosis": Task("diagnosis", ("control", "adhd"), ("adhd",))},
    unit="raw",  # whole numbers whose scale is not stated; read as microvolt
    amplitude_uv=(20.0, 2000.0),
    files=_files,
    trial_s=TYPICAL_S,
)

RIG = Rig(CHANNELS, FACTS.sfreq_hz, background_uv=120.0, band_hz=(0.5, 60.0), offset_uv=150.0)


def read(root: Path, subject: str, session: str) -> Recording:
    """Read one child: the whole recording is one trial.

    Parameters
    ----------
    root : Path
        Folder that holds ``ADHD`` and ``Control``, or ``ADHD_part1`` and so on.
    subject, session : str

    Returns
    -------
    Recording
        Label column ``adhd``: 0 control, 1 ADHD.

    Raises
    ------
    UserError
        For a missing or damaged file, or another number of channels.
    """
    mend = leave_out(FACTS.key, subject)
    (path,) = locate(FACTS, subject, root, (session,))
    content = load_matlab(path, mend, [subject])
    data = content.get(subject)
    if data is None or data.ndim != 2 or data.shape[1] != len(CHANNELS):
        found = "nothing" if data is None else f"an array of shape {data.shape}"
        raise UserError(f"{path.name} holds {found} as {subject}", expected="samples by 19 channels", mend=mend)
    raw = join([data.T], FACTS)
    trials = {"trial": [1], "onset_s": [0.0], "duration_s": [raw.n_times / FACTS.sfreq_hz]}
    return Recording(raw, pd.DataFrame(trials | {"adhd": [float(CHILDREN[subject] == "ADHD")]}))


def write_twin(root: Path, subjects: Sequence[str], spec: TwinSpec) -> list[Path]:
    """Write synthetic children as MATLAB files.

    Parameters
    ----------
    root : Path
    subjects : sequence of str
    spec : TwinSpec
        With ``labels="random"`` the groups differ in nothing but the folder.

    Returns
    -------
    list of Path
        Files written, the marker included.
    """
    from scipy.io import savemat

    written = [begin(root, FACTS, spec)]
    for subject in subjects:
        rng = generator(spec, FACTS.key, subject)
        person = draw_person(RIG, "arithmetic", rng)
        load = float(CHILDREN[subject] == "Control" and spec.structured)
        signal = simulate(RIG, person, round((spec.trial_s or TYPICAL_S) * FACTS.sfreq_hz), (load,), rng)
        path = root / FACTS.files(subject)[0][0]
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {subject: np.rint(signal.T).astype(np.int16)})
        written.append(path)
    return written


def check(root: Path, subject: str) -> list[Finding]:
    """Compare a child's file with the facts, its samples unread.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    (path,) = locate(FACTS, subject, root)
    shape = matlab_shapes(path, "").get(subject, ())
    return [Finding(path.name, "channels", f"{shape[1:]}", "(19,)", shape[1:] == (len(CHANNELS),))]
