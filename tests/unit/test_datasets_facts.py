"""What is known of each dataset without touching a disk."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from unimontage import datasets
from unimontage.datasets import seed_v
from unimontage.datasets.facts import Access, Task
from unimontage.errors import UserError
from unimontage.montage.names import canonical_channels

KEYS = datasets.keys()
NIGHTS = ("anphy", "dreams", "isruc", "sleep_edf")
GROUPED = ("tuab", "tuev", "tuh")


def test_datasets_are_the_modules_that_state_facts():
    folder = Path(datasets.__file__).parent
    states = re.compile(r"^FACTS = (DatasetFacts\(|replace\(\n    tuh\.FACTS,)", re.MULTILINE)
    stating = [path.stem for path in folder.glob("*.py") if states.search(path.read_text())]
    assert datasets.keys() == tuple(sorted(stating))
    assert len(stating) >= 14


def test_an_unknown_dataset_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"no dataset 'dreemer'.*did you mean dreamer"):
        datasets.load("dreemer")


def test_facts_are_known_where_no_scientific_package_is_installed():
    code = (
        "import sys\n"
        "for name in ('mne', 'scipy', 'torch', 'h5py', 'edfio', 'pooch'): sys.modules[name] = None\n"
        "from unimontage import datasets\n"
        "assert len(datasets.keys()) >= 14\n"
        "assert all(datasets.facts(key).files(datasets.facts(key).subjects[0]) for key in datasets.keys())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("key", KEYS)
def test_facts_hold_together(key):
    facts = datasets.facts(key)
    assert facts.key == key
    assert canonical_channels(facts.channels, key) == facts.channels
    assert len(set(facts.subjects)) == len(facts.subjects)
    assert facts.download is None or facts.access is Access.OPEN
    assert set(facts.channels) <= set(facts.known_channels)
    assert canonical_channels(facts.known_channels, key) == facts.known_channels
    assert facts.sfreq_hz in facts.known_rates_hz
    assert facts.continuous == (key in NIGHTS)
    assert all(s in facts.subjects and session in facts.sessions for s, session in facts.absent)
    assert np.size(facts.trial_s) in (1, facts.trials)
    assert facts.grouped == (key in GROUPED) == hasattr(datasets.load(key), "sittings")
    assert facts.grouped == (facts.group_of is not None)
    for name, task in facts.tasks.items():
        assert task.name == name
        if task.regression:
            assert len(task.classes) == len(task.columns)
            continue
        assert len(task.classes) == (len(set(task.classes)) if task.threshold is None else 2 ** len(task.columns))


@pytest.mark.parametrize(
    ("key", "channels", "subjects", "sessions"),
    [
        ("seed", 62, 15, 3),
        ("deap", 32, 32, 1),
        ("dreamer", 14, 23, 1),
        ("eegmmidb", 64, 105, 1),
        ("eegmat", 19, 36, 1),
        ("sleep_edf", 2, 78, 2),
        ("isruc", 6, 100, 1),
        ("anphy", 11, 29, 1),
        ("dreams", 1, 6, 1),
        ("seed_v", 62, 16, 3),
        ("mobi", 60, 8, 3),
        ("tuev", 23, 96, 1),
        ("tuab", 23, 96, 1),
        ("tuh", 23, 80, 1),
    ],
)
def test_counts_are_the_published_ones(key, channels, subjects, sessions):
    facts = datasets.facts(key)
    assert (len(facts.channels), len(facts.subjects), len(facts.sessions)) == (channels, subjects, sessions)


def test_seed_files_carry_the_recording_dates_and_can_be_asked_for_by_session():
    files = datasets.facts("seed").files
    assert "Preprocessed_EEG/10_20131211.mat" in files("10")[0]
    assert files("6", ("2",))[0] == ("Preprocessed_EEG/6_20131016.mat", "Preprocessed_EEG/label.mat")


def test_seed_seconds_add_up_to_the_published_session():
    assert sum(datasets.facts("seed").trial_s) == 3394


def test_a_rating_on_the_threshold_is_low_unless_the_comparison_is_inclusive():
    task = datasets.facts("deap").tasks["valence"]
    trials = pd.DataFrame({"valence": [4.99, 5.0, 5.01, np.nan]})
    assert task.targets(trials).tolist() == [0, 0, 1, -1]
    assert task.targets(trials, inclusive=True).tolist() == [0, 1, 1, -1]


def test_the_first_rating_is_the_more_significant_bit_of_a_quadrant():
    task = datasets.facts("dreamer").tasks["va4"]
    trials = pd.DataFrame({"arousal": [1, 5, 1, 5, np.nan], "valence": [1, 1, 5, 5, 5]})
    targets = task.targets(trials)
    assert targets.tolist() == [0, 1, 2, 3, -1]
    assert [task.classes[t] for t in targets[:4]] == ["LVLA", "LVHA", "HVLA", "HVHA"]


def test_a_column_of_class_ids_is_taken_as_it_is_and_a_missing_label_is_none():
    task = Task("emotion", ("a", "b", "c"), ("emotion",))
    targets = task.targets(pd.DataFrame({"emotion": [2.0, 0.0, np.nan]}))
    assert targets.tolist() == [2, 0, -1]
    assert targets.dtype == np.int64


@pytest.mark.parametrize("value", [3.0, -1.0, 0.5])
def test_a_label_that_is_no_class_is_refused(value):
    task = Task("emotion", ("a", "b", "c"), ("emotion",))
    with pytest.raises(UserError, match="is no class; expected 0 to 2"):
        task.targets(pd.DataFrame({"emotion": [0.0, value]}))


def test_a_regression_gives_its_columns_as_they_are():
    task = Task("angles", ("hip", "knee"), ("hip", "knee"), regression=True)
    targets = task.targets(pd.DataFrame({"knee": [0.5, np.nan], "trial": [1, 2], "hip": [-0.25, 2.0]}))
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, [[-0.25, 0.5], [2.0, np.nan]])
    with pytest.raises(UserError, match="no column hip"):
        task.targets(pd.DataFrame({"knee": [0.5]}))


def test_a_dataset_may_have_no_task():
    assert [key for key in KEYS if not datasets.facts(key).tasks] == ["tuh"]


def test_the_seconds_of_seed_v_add_up_to_the_published_number_of_windows():
    seconds = {"train": 0, "val": 0, "test": 0}
    for session in seed_v.SESSIONS:
        for trial, (start, end) in enumerate(zip(seed_v.STARTS[session], seed_v.ENDS[session], strict=True), start=1):
            seconds[seed_v.FACTS.official("1", session, trial)] += end - start
    assert {role: 16 * count for role, count in seconds.items()} == {"train": 34_432, "val": 42_960, "test": 40_352}
    assert sorted(seed_v.LABELS["1"]) == sorted(seed_v.LABELS["2"]) == sorted(list(range(5)) * 3)


def test_a_fifth_of_the_training_groups_validates_and_the_eval_folder_tests():
    for key in ("tuev", "tuab"):
        facts = datasets.facts(key)
        roles = [facts.official(subject, "any-name", 1) for subject in facts.subjects]
        assert [roles.count(role) for role in ("train", "val", "test")] == [64, 16, 16]
        assert all(
            (role == "test") == subject.startswith("eval") for subject, role in zip(facts.subjects, roles, strict=True)
        )


def test_walks_are_divided_whole():
    official = datasets.facts("mobi").official
    assert [official("SL01", session, 7) for session in ("T01", "T02", "T03")] == ["train", "val", "test"]


def test_a_missing_column_is_named():
    with pytest.raises(UserError, match="no column arousal"):
        datasets.facts("deap").tasks["va4"].targets(pd.DataFrame({"valence": [1.0]}))


def test_the_nights_of_sleep_edf_are_those_that_mne_lists():
    records = Path(mne.datasets.__file__).parent / "sleep_physionet" / "age_records.csv"
    names = pd.read_csv(records)["fname"]
    facts = datasets.facts("sleep_edf")
    nights = {subject + session for subject in facts.subjects for session in facts.sessions_of(subject)}
    assert nights == set(names.str[:6])
    patterns = [pattern for subject in facts.subjects for pattern in facts.files(subject)[-1]]
    assert len(patterns) == len(names) == 306
    assert all(len(fnmatch.filter(names, pattern)) == 1 for pattern in patterns)


def test_a_session_that_does_not_exist_needs_no_file():
    facts = datasets.facts("sleep_edf")
    assert facts.sessions_of("SC413") == ("1",)
    assert facts.files("SC413") == facts.files("SC413", ("1",))


def test_the_first_twenty_people_of_sleep_edf_are_the_thirty_nine_nights_of_the_smaller_release():
    facts = datasets.facts("sleep_edf")
    assert facts.subjects[19] == "SC419"
    assert sum(len(facts.sessions_of(subject)) for subject in facts.subjects[:20]) == 39


def test_more_channels_may_be_asked_for_than_are_usual():
    facts = datasets.facts("anphy")
    assert len(set(facts.known_channels)) == 83
    assert datasets.facts("isruc").known_channels == datasets.facts("isruc").channels
