"""The corpora of Temple University Hospital: groups of patients, their recordings, events and findings."""

import collections
import json
import logging
import shutil
from pathlib import PurePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unimontage.config.data import Preprocessing
from unimontage.datasets import clinical, load, tuab, tuev, tuh
from unimontage.datasets.sources import locate
from unimontage.datasets.twin import TwinSpec
from unimontage.errors import UserError
from unimontage.stages.preprocess import PreprocessRequest, preprocess
from unimontage.windows import WindowPool, WindowStore

SHORT = TwinSpec(trial_s=12.0)
KEYS = ("tuab", "tuev", "tuh")
GROUP = {"tuab": "train04", "tuev": "train02", "tuh": "group07"}
RATE = 250.0


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Twins written once for the whole module, by dataset and group."""
    folders = {}

    def write(key, group=None):
        group = group or GROUP[key]
        if (key, group) not in folders:
            folders[key, group] = tmp_path_factory.mktemp(key) / "twin"
            load(key).write_twin(folders[key, group], [group], SHORT)
        return folders[key, group]

    return write


@pytest.fixture
def twin(written, tmp_path):
    """A copy of a twin that the test may damage."""
    return lambda key, group=None: shutil.copytree(written(key, group), tmp_path / key)


def recording(root, seconds=20, rate=RATE, folder="edf/train", name="aaaaaaar_00000001", rows=None, **options):
    """A file of one patient, with annotations if there are rows; its group in TUEV, and its name."""
    eeg = 20 * np.random.default_rng(0).standard_normal((len(tuh.CHANNELS), round(seconds * rate)))
    path = tuh.write_recording(root / folder / name[:8] / f"{name}.edf", eeg, rate, **options)
    if rows is not None:
        path.with_suffix(".rec").write_text(rows)
    return tuev.FACTS.group_of(path.relative_to(root)), tuh.session_of(path)


def run(root, key, group, length_s=5.0, **changes):
    """Preprocess a group and open what was written."""
    (root / "source.json").write_text(json.dumps({"root": str(root), "synthetic": True, "files": []}))
    request = {
        "code": "c", "source": root / "source.json", "dataset": key, "subject": group, "sessions": ("all",),
        "channels": tuh.CHANNELS, "length_s": length_s, "step_s": length_s, "windows": root / "w.h5",
        "preprocessing": Preprocessing(highpass_hz=None, lowpass_hz=40.0, resample_hz=200.0),
        "quality": root / "q.json",
    }  # fmt: skip
    preprocess(PreprocessRequest(**request | changes))
    return WindowStore.open(root / "w.h5"), json.loads((root / "q.json").read_text())["sessions"]


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=8), st.integers(0, 99), st.integers(0, 9))
def test_all_recordings_of_a_patient_are_in_one_group_whatever_the_layout(patient, session, token):
    name = f"{patient}_s{session:03d}_t{token:03d}.edf"
    flat = PurePath(f"edf/train/normal/01_tcp_ar/{name}")
    nested = PurePath(f"v2.0.0/edf/train/abnormal/01_tcp_ar/000/{patient}/s{session:03d}_2013_08_15/{name}")
    group = tuab.FACTS.group_of(flat)
    assert group == tuab.FACTS.group_of(nested)
    assert group in tuab.FACTS.subjects
    assert group.startswith("train")
    assert tuh.patient_of(flat) == patient
    assert tuh.session_of(nested) == f"{patient}-s{session:03d}-t{token:03d}"


def test_groups_do_not_change_between_machines_or_versions():
    assert tuab.FACTS.group_of(PurePath("train/normal/aaaaaaar_s001_t000.edf")) == "train72"
    assert tuev.FACTS.group_of(PurePath("edf/eval/032/bckg_032_a_.edf")) == "eval02"


def test_groups_are_of_about_equal_size():
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 8)) for _ in range(16_000)]
    counts = collections.Counter(tuh.group_by_hash(name, tuh.EVAL) for name in names)
    assert len(counts) == 16
    assert 850 < min(counts.values()) <= max(counts.values()) < 1150


@pytest.mark.parametrize(
    ("path", "session"),
    [
        ("eval/032/bckg_032_a_.edf", "032-bckg-a"),
        ("eval/032/bckg_032_a_1.edf", "032-bckg-a-1"),
        ("train/00002275/00002275_00000001.edf", "00002275-00000001"),
    ],
)
def test_recordings_are_named_by_their_patient_first(path, session):
    assert tuh.session_of(PurePath(path)) == session
    assert session.split("-")[0] == tuh.patient_of(PurePath(path))


def test_what_lies_outside_of_the_folders_belongs_to_no_group():
    assert tuev.FACTS.group_of(PurePath("edf/dev/aaaaaaar/aaaaaaar_00000001.edf")) is None
    assert tuab.FACTS.group_of(PurePath("edf/train/aaaaaaar_s001_t000.edf")) is None
    assert tuh.FACTS.group_of(PurePath("aaaaaaar_s001_t000.edf")) in tuh.GROUPS


@pytest.mark.parametrize("key", KEYS)
def test_a_recording_of_a_twin_is_eeg_in_volts_with_trials_inside_it(written, key):
    module, root = load(key), written(key)
    sessions = module.sittings(root, GROUP[key])
    assert len({name.split("-")[0] for name in sessions}) == tuh.PATIENTS_PER_GROUP
    assert len(sessions) > tuh.PATIENTS_PER_GROUP
    for session in sessions:
        found = module.read(root, GROUP[key], session)
        assert tuple(found.raw.ch_names) == module.FACTS.channels
        assert found.missing == ()
        assert not found.raw.preload
        assert 5e-6 < np.median(found.raw.get_data().std(axis=1)) < 2e-4
        ends = found.trials["onset_s"] + found.trials["duration_s"]
        assert len(found.trials)
        assert found.trials["onset_s"].min() >= 0
        assert ends.max() <= found.raw.n_times / found.raw.info["sfreq"]
        for task in module.FACTS.tasks.values():
            assert set(task.targets(found.trials)) <= set(range(len(task.classes)))


@pytest.mark.parametrize("key", KEYS)
def test_a_group_without_patients_has_no_files_and_that_is_no_error(written, key):
    module, root = load(key), written(key)
    other = module.FACTS.subjects[0]
    assert module.sittings(root, other) == ()
    assert locate(module.FACTS, other, root) == []
    files = locate(module.FACTS, GROUP[key], root)
    assert len(files) == len(module.sittings(root, GROUP[key])) * (2 if key == "tuev" else 1)


@pytest.mark.parametrize("key", KEYS)
def test_a_folder_without_any_patient_is_refused(tmp_path, key):
    facts = load(key).FACTS
    with pytest.raises(UserError, match=rf"{key}: no file in .* belongs to the dataset \(0 have such a name\)"):
        locate(facts, facts.subjects[0], tmp_path)


def test_two_versions_of_a_corpus_under_one_root_are_refused(twin):
    root = twin("tuab")
    shutil.copytree(root / "edf", root / "v3.0.0" / "edf")
    with pytest.raises(UserError, match=r"are both called .* expected each recording once.*one version"):
        tuab.sittings(root, "train04")


def test_a_recording_that_is_not_there_is_named(written):
    with pytest.raises(UserError, match="train04 has no recording zzzzzzzz-s001-t000"):
        tuab.read(written("tuab"), "train04", "zzzzzzzz-s001-t000")


@pytest.mark.parametrize("reference", ["REF", "LE"])
def test_both_references_and_old_names_lead_to_the_same_channels(tmp_path, reference):
    recording(tmp_path, reference=reference)
    group = tuh.FACTS.group_of(PurePath("aaaaaaar_00000001.edf"))
    found = tuh.read(tmp_path, group, "aaaaaaar-00000001")
    assert tuple(found.raw.ch_names) == tuh.CHANNELS
    assert {"T7", "T8", "P7", "P8", "FT9", "FT10"} <= set(tuh.CHANNELS)
    assert found.trials[["onset_s", "duration_s"]].to_numpy().tolist() == [[0.0, 20.0]]


def test_an_electrode_with_two_references_is_refused():
    with pytest.raises(UserError, match=r"x\.edf holds T7 twice \(EEG T3-REF, EEG T3-LE\)"):
        tuh.names_of(["EEG T3-REF", "EEG T3-LE"], tuh.CHANNELS, "x.edf", "")


def test_a_file_without_eeg_is_refused():
    with pytest.raises(UserError, match=r"x\.edf holds no EEG \(PHOTIC-REF, EEG 26-REF, IBI\)"):
        tuh.names_of(["PHOTIC-REF", "EEG 26-REF", "IBI"], tuh.CHANNELS, "x.edf", "")


def test_a_truncated_file_is_refused(tmp_path):
    group, session = recording(tmp_path, rows="0,1,2,6\n")
    path = tuh.find(tuev.FACTS, tmp_path, group, session)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"is truncated.*exclude: \[train72\]"):
        tuev.read(tmp_path, group, session)


def test_an_unknown_rate_is_refused(tmp_path):
    group, session = recording(tmp_path, rate=173.0, rows="0,1,2,6\n")
    with pytest.raises(UserError, match="is sampled at 173 Hz"):
        tuev.read(tmp_path, group, session)


# TUEV


@pytest.mark.parametrize(
    ("rows", "onsets", "classes", "moved"),
    [
        ("13,10.0,11.0,6\n", [8.0], [5], 0),
        ("0,0.5,1.5,1\n", [0.0], [0], 1),
        ("0,19.0,20.0,2\n", [15.0], [1], 1),
        ("4,19.5,20.5,4\n", [15.0], [3], 1),  # the stop is beyond the end
        ("1,2.0,3.0,3\n2,2.0,3.0,3\n\n", [0.0, 0.0], [2, 2], 0),
        ("", [], [], 0),
    ],
)
def test_every_row_is_a_window_of_five_seconds_inside_the_recording(tmp_path, rows, onsets, classes, moved):
    group, session = recording(tmp_path, rows=rows)
    found = tuev.read(tmp_path, group, session)
    assert found.trials["onset_s"].tolist() == onsets
    assert (found.trials["duration_s"] == 5).all()
    assert tuev.FACTS.tasks["event"].targets(found.trials).tolist() == classes
    assert found.notes == {"moved": moved}
    assert found.dropped == {"after_signal": 0, "short": 0}


def test_events_after_the_end_and_in_short_recordings_are_counted(tmp_path):
    group, session = recording(tmp_path, rows="0,30,31,6\n0,10,11,6\n")
    found = tuev.read(tmp_path, group, session)
    assert found.trials["trial"].tolist() == [2]
    assert found.dropped == {"after_signal": 1, "short": 0}
    group, session = recording(tmp_path, seconds=4, name="aaaaaaar_00000002", rows="0,1,2,6\n0,2,3,6\n")
    found = tuev.read(tmp_path, group, session)
    assert found.trials.empty
    assert found.dropped == {"after_signal": 0, "short": 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,1,2,7\n", "line 1 is 0,1,2,7; expected .* code of 1 to 6"),
        ("0,1,2,6\n0,5,4,6\n", "line 2 is 0,5,4,6"),
        ("0,1,2\n", "cannot be read as annotations"),
        ("channel,start,stop,label\n", "cannot be read as annotations"),
        (None, r"aaaaaaar_00000001\.rec is missing"),
    ],
)
def test_damaged_annotations_are_refused_in_one_line(tmp_path, rows, message):
    group, session = recording(tmp_path, rows=rows)
    with pytest.raises(UserError, match=message) as error:
        tuev.read(tmp_path, group, session)
    assert "\n" not in str(error.value)


def test_twins_of_both_parts_are_named_as_in_the_release(written):
    files = [path.name for path in written("tuev", "eval03").rglob("*.edf")]
    assert all(name.split("_")[0] in tuev.EVENTS and name.split("_")[2] == "a" for name in files)
    letters, digits = ([p.name for p in written("tuev", group).rglob("*.rec")] for group in ("train02", "train03"))
    assert all(name[:8].isalpha() for name in letters)
    assert all(name[:8].isdigit() for name in digits)


def test_events_stand_out_of_the_background_and_not_with_random_labels(tmp_path):
    peaks = {}
    for labels in ("structured", "random"):
        root = tmp_path / labels
        tuev.write_twin(root, ["train02"], TwinSpec(trial_s=60.0, labels=labels))
        values = collections.defaultdict(list)
        for session in tuev.sittings(root, "train02"):
            found = tuev.read(root, "train02", session)
            data = found.raw.get_data(picks=["T7", "T8"]) * 1e6
            for onset, event in zip(found.trials["onset_s"], found.trials["event"], strict=True):
                middle = slice(round((onset + 2) * RATE), round((onset + 3) * RATE))
                values[tuev.EVENTS[int(event)]].append(np.abs(data[:, middle]).max())
        peaks[labels] = {name: np.median(each) for name, each in values.items()}
    assert set(peaks["structured"]) == set(tuev.EVENTS)
    assert min(peaks["structured"][name] for name in ("spsw", "gped", "pled")) > 1.3 * peaks["structured"]["bckg"]
    assert peaks["random"]["spsw"] < 1.3 * peaks["random"]["bckg"]


def test_an_annotation_names_one_of_the_22_derivations():
    assert len(set(clinical.DERIVATIONS)) == 22
    assert clinical.DERIVATIONS.index("T4-A2") == 13
    sites = {site for pair in clinical.DERIVATIONS for site in pair.split("-")}
    assert sites <= set(tuh.LABELS)


# TUAB


def test_segments_have_the_label_of_their_folder_and_the_rest_is_counted(written):
    root = written("tuab")
    for session in tuab.sittings(root, "train04"):
        found = tuab.read(root, "train04", session)
        path = tuh.find(tuab.FACTS, root, "train04", session)
        assert found.trials["abnormal"].unique() == [float("/abnormal/" in path.as_posix())]
        assert found.trials["onset_s"].tolist() == [0.0]
        assert found.dropped == {"unfinished": 1}


def test_a_patient_may_be_normal_on_one_day_and_abnormal_on_another(written):
    root = written("tuab")
    labels = collections.defaultdict(set)
    for session in tuab.sittings(root, "train04"):
        labels[session.split("-")[0]] |= set(tuab.read(root, "train04", session).trials["abnormal"])
    assert sorted(map(sorted, labels.values())) == [[0.0], [0.0, 1.0], [1.0]]


def test_both_versions_of_the_tree_are_read(written):
    flat, nested = (list(written("tuab", group).rglob("*.edf")) for group in ("train04", "eval01"))
    assert {path.parent.name for path in flat} == {"01_tcp_ar"}
    assert all(path.parent.parent.name == path.name[:8] for path in nested)
    assert len(tuab.sittings(written("tuab", "eval01"), "eval01")) == len(nested) == 4


# Windows of groups


def test_windows_of_a_group_are_named_by_patient(twin):
    root = twin("tuev")
    store, quality = run(root, "tuev", "train02")
    rows = [window.split("/") for window in store.table["window"]]
    assert {row[0] for row in rows} == {"tuev"}
    assert all(row[1] == row[2].split("-")[0] for row in rows)
    assert store.table["session"].tolist() == [row[2] for row in rows]
    assert len({row[1] for row in rows}) == tuh.PATIENTS_PER_GROUP
    assert store.signal.shape == (len(rows), 23, 1000)
    assert all("moved" in entry["notes"] for entry in quality.values())
    pool = WindowPool.of([store])
    assert set(pool.scale) == set(pool.domain) == {f"train02/{name}" for name in quality}


@pytest.mark.parametrize("key", KEYS)
def test_an_empty_group_is_an_empty_store_with_the_columns_of_the_others(twin, caplog, key):
    root, module = twin(key), load(key)
    full, _ = run(root, key, GROUP[key])
    shutil.move(root / "w.h5", root / "full.h5")
    full = WindowStore.open(root / "full.h5")
    with caplog.at_level(logging.INFO, "unimontage"):
        empty, quality = run(root, key, module.FACTS.subjects[0])
    assert "no patient of this group" in caplog.text
    assert quality == {}
    assert empty.signal.shape == (0, *full.signal.shape[1:])
    assert list(empty.table.columns) == list(full.table.columns)
    for stores in ([empty, full], [full, empty]):
        pool = WindowPool.of(stores)
        assert pool.ids.tolist() == full.table["window"].tolist()
        assert np.array_equal(pool.windows(np.array([0])), full.signal[:1])
        assert set(pool.scale) == set(pool.missing) == set(pool.domain)
    assert WindowPool.of([empty]).windows(np.array([], dtype=int)).shape == empty.signal.shape


def test_recordings_that_are_too_short_or_lack_a_channel_are_counted_one_by_one(tmp_path):
    group, good = recording(tmp_path, rows="0,9,10,6\n")
    _, lacking = recording(tmp_path, name="aaaaaaar_00000002", rows="0,9,10,6\n0,2,3,1\n", without=("FT9", "FT10"))
    _, short = recording(tmp_path, seconds=4, name="aaaaaaar_00000003", rows="0,1,2,6\n")
    store, quality = run(tmp_path, "tuev", group)
    assert store.table["session"].tolist() == [good]
    assert quality[lacking]["dropped"]["lacking_channels"] == 2
    assert quality[lacking]["missing"] == ["FT9", "FT10"]
    assert quality[short]["dropped"]["short"] == 1
    assert set(WindowPool.of([store]).missing) == {f"{group}/{good}"}
    without = tuple(name for name in tuh.CHANNELS if name not in ("FT9", "FT10"))
    store, _ = run(tmp_path, "tuev", group, channels=without)
    assert store.table["session"].tolist() == [good, lacking, lacking]


def test_a_recording_shorter_than_a_window_gives_none_and_others_go_on(tmp_path):
    recording(tmp_path, seconds=8, name="aaaaaaar_00000001")
    _, long = recording(tmp_path, seconds=30, name="aaaaaaar_00000002")
    group = tuh.FACTS.group_of(PurePath("aaaaaaar_00000001.edf"))
    store, quality = run(tmp_path, "tuh", group, length_s=11.0, step_s=4.0)
    assert store.table["session"].unique().tolist() == [long]
    assert len(store.table) == 5
    assert quality["aaaaaaar-00000001"]["dropped"] == {"shorter_than_a_window": 1}
    assert quality["aaaaaaar-00000001"]["windows"] == 0
