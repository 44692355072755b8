"""Readers on twins in the native format: what they return, and how they refuse broken files."""

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from unimontage import datasets
from unimontage.datasets import deap, dreamer, eegmat, eegmmidb, seed
from unimontage.datasets.edf import Signals, write_edf
from unimontage.datasets.pickles import load_arrays, write_arrays
from unimontage.datasets.twin import MARKER, TwinSpec
from unimontage.errors import UserError

SHORT = TwinSpec(trial_s=2.0, sessions=("1",))
KEYS = ("deap", "dreamer", "eegmat", "eegmmidb", "seed")


def rewrite(path, **changes):
    """Change variables of a MATLAB file; None removes one."""
    variables = {name: value for name, value in loadmat(path).items() if not name.startswith("__")} | changes
    savemat(path, {name: value for name, value in variables.items() if value is not None})


@pytest.mark.parametrize("key", KEYS)
def test_a_recording_is_eeg_in_volts_with_a_trial_table_inside_it(twin, key):
    facts = datasets.facts(key)
    recording = datasets.load(key).read(twin(key), facts.subjects[0], "1")
    raw, trials = recording.raw, recording.trials
    assert tuple(raw.ch_names) == facts.channels
    assert set(raw.get_channel_types()) == {"eeg"}
    assert raw.info["sfreq"] == facts.sfreq_hz
    assert 1e-6 < np.median(raw.get_data().std(axis=1)) < 1e-3
    assert trials["trial"].tolist() == list(range(1, facts.trials + 1))
    assert trials.columns[:3].tolist() == ["trial", "onset_s", "duration_s"]
    assert (trials.dtypes.iloc[1:] == np.float64).all()
    ends = (trials["onset_s"] + trials["duration_s"]).to_numpy()
    assert (ends[:-1] <= trials["onset_s"].to_numpy()[1:] + 1e-6).all()
    assert ends[-1] <= raw.n_times / facts.sfreq_hz + 1e-6
    for task in facts.tasks.values():
        assert set(task.targets(trials)) == set(range(len(task.classes)))


@pytest.mark.parametrize(
    ("key", "pieces"), [("deap", 40), ("dreamer", 18), ("eegmat", 2), ("eegmmidb", 3), ("seed", 15)]
)
def test_filters_stop_at_the_edges_of_what_was_recorded_apart(twin, key, pieces):
    facts = datasets.facts(key)
    raw = datasets.load(key).read(twin(key), facts.subjects[0], "1").raw
    assert list(raw.annotations.description).count("EDGE boundary") == pieces - 1


@pytest.mark.parametrize("key", KEYS)
def test_missing_files_are_named_with_the_way_to_obtain_them(tmp_path, key):
    facts = datasets.facts(key)
    with pytest.raises(UserError) as error:
        datasets.load(key).read(tmp_path, facts.subjects[0], "1")
    text = str(error.value)
    assert "\n" not in text
    assert facts.files(facts.subjects[0], ("1",))[0][0] in text
    assert facts.how_to_obtain in text
    assert f"datasets: {{{key}: {{root: FOLDER}}}}" in text


# SEED


@pytest.mark.parametrize("layout", ["older zip", "newer release", "bare folder"])
def test_seed_is_found_in_each_layout(twin, layout):
    root = twin("seed", "10")
    if layout == "newer release":
        (root / "SEED_EEG").mkdir()
        (root / "Preprocessed_EEG").rename(root / "SEED_EEG" / "Preprocessed_EEG")
    if layout == "bare folder":
        (root / MARKER).rename(root / "Preprocessed_EEG" / MARKER)
        root = root / "Preprocessed_EEG"
    assert len(seed.read(root, "10", "1").trials) == 15


def test_seed_trials_are_ordered_by_number_not_by_place_or_name(twin):
    root = twin("seed")
    path = root / "Preprocessed_EEG" / "1_20131027.mat"
    variables = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    first = next(value for name, value in variables.items() if name.endswith("_eeg1"))
    savemat(path, dict(reversed(variables.items())))
    raw = seed.read(root, "1", "1").raw
    assert np.allclose(raw.get_data(stop=first.shape[1]) * 1e6, first)


def test_seed_labels_are_shifted_from_minus_one(twin):
    labels = seed.read(twin("seed"), "1", "1").trials["emotion"]
    assert labels.tolist() == [label + 1 for label in seed.CLIP_LABELS]


def test_seed_with_a_trial_missing_is_refused(twin):
    root = twin("seed", "2")
    path = root / "Preprocessed_EEG" / "2_20140404.mat"
    last = next(name for name in loadmat(path) if name.endswith("_eeg15"))
    rewrite(path, **{last: None})
    with pytest.raises(UserError, match=r"2_20140404\.mat has 14 trials.*`datasets: \{seed: \{exclude: \[2\]\}\}`"):
        seed.read(root, "2", "1")


def test_seed_with_other_channels_is_refused(twin):
    root = twin("seed")
    path = root / "Preprocessed_EEG" / "1_20131027.mat"
    third = next(name for name in loadmat(path) if name.endswith("_eeg3"))
    rewrite(path, **{third: np.zeros((66, 401))})
    with pytest.raises(UserError, match=r"trial 3 has shape \(66, 401\); expected \(62 channels, samples\)"):
        seed.read(root, "1", "1")


def test_unmarked_seed_of_another_length_is_refused_because_its_rate_must_differ(twin):
    root = twin("seed")
    (root / MARKER).unlink()
    with pytest.raises(UserError, match=r"trial 1 has 401 samples; expected 47001 at 200 Hz"):
        seed.read(root, "1", "1")


@pytest.mark.parametrize("label", [np.ones((1, 14)), np.full((1, 15), 2), np.zeros((0, 0))])
def test_seed_labels_that_do_not_match_the_trials_are_refused(twin, label):
    root = twin("seed")
    rewrite(root / "Preprocessed_EEG" / "label.mat", label=label)
    with pytest.raises(UserError, match=r"label\.mat has .* do not match the trials"):
        seed.read(root, "1", "1")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_truncated_matlab_file_is_said_to_be_truncated(twin, share):
    root = twin("seed")
    path = root / "Preprocessed_EEG" / "1_20131027.mat"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"1_20131027\.mat (cannot be read as a MATLAB file|has \d+ trials)"):
        seed.read(root, "1", "1")


# DEAP


def test_the_deap_baseline_is_in_no_trial(twin):
    trials = deap.read(twin("deap"), "s01", "1").trials
    assert np.allclose(trials["onset_s"], 3 + 5 * np.arange(40))
    assert (trials["duration_s"] == 2).all()


def test_both_forms_of_deap_give_the_same_recording(twin):
    root = twin("deap")
    python = root / "data_preprocessed_python" / "s01.dat"
    first = deap.read(root, "s01", "1")
    (root / "data_preprocessed_matlab").mkdir()
    savemat(root / "data_preprocessed_matlab" / "s01.mat", load_arrays(python, ""))
    python.unlink()
    second = deap.read(root, "s01", "1")
    assert np.array_equal(first.raw.get_data(), second.raw.get_data())
    assert first.trials.equals(second.trials)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, r: (d[:38], r), r"s01\.dat has 38 trials \(data: \(38, 40, 640\), labels: \(40, 4\)\)"),
        (lambda d, r: (d, r[:39]), r"s01\.dat has labels that do not match its trials"),
        (lambda d, r: (d[:, :32], r), r"s01\.dat has arrays of an unknown shape \(data: \(40, 32, 640\)"),
        (lambda d, r: (d[:, :, :384], r), r"s01\.dat has arrays of an unknown shape"),
    ],
)
def test_deap_of_another_shape_is_refused(twin, change, message):
    root = twin("deap")
    path = root / "data_preprocessed_python" / "s01.dat"
    content = load_arrays(path, "")
    write_arrays(path, dict(zip(("data", "labels"), change(content["data"], content["labels"]), strict=True)))
    with pytest.raises(UserError, match=message + r".*expected .*8064.*`datasets: \{deap: \{exclude: \[s01\]\}\}`"):
        deap.read(root, "s01", "1")


def test_unmarked_deap_must_have_the_real_length(twin):
    root = twin("deap")
    (root / MARKER).unlink()
    with pytest.raises(UserError, match="unknown shape"):
        deap.read(root, "s01", "1")


# DREAMER


def test_the_pedestal_of_dreamer_is_left_for_the_filter(twin):
    raw = dreamer.read(twin("dreamer"), "1", "1").raw
    assert abs(raw.get_data().mean() * 1e6 - 4250) < 50


def test_dreamer_clips_are_unequal(twin):
    assert dreamer.read(twin("dreamer"), "1", "1").trials["duration_s"].nunique() > 5


def test_the_access_chain_everyone_uses_works_on_the_twin(twin):
    release = loadmat(twin("dreamer", "3") / "DREAMER.mat")
    clip = release["DREAMER"][0, 0]["Data"][0, 2]["EEG"][0, 0]["stimuli"][0, 0][4, 0]
    assert clip.shape == (dreamer.clip_samples(SHORT)[4], 14)


def test_a_subject_that_the_file_does_not_hold_is_refused(twin):
    with pytest.raises(UserError, match=r"DREAMER\.mat holds no data of subject 2"):
        dreamer.read(twin("dreamer", "1"), "2", "1")


@pytest.fixture
def release(twin):
    """The struct of a twin, and a function that writes a changed copy of it back."""
    path = twin("dreamer") / "DREAMER.mat"
    struct = loadmat(path)["DREAMER"]

    def write(**fields):
        content = {name: struct[name][0, 0] for name in struct.dtype.names}
        savemat(path, {"DREAMER": content | fields})
        return path.parent

    return struct, write


def test_dreamer_electrodes_in_another_order_are_taken_by_name(release):
    struct, write = release
    before = dreamer.read(write(), "1", "1").raw.get_data()
    electrodes = struct["EEG_Electrodes"][0, 0][:, ::-1]
    after = dreamer.read(write(EEG_Electrodes=electrodes), "1", "1").raw.get_data()
    assert np.array_equal(after, before[::-1])


def test_dreamer_at_another_rate_is_refused(release):
    with pytest.raises(UserError, match=r"DREAMER\.mat is sampled at 256 Hz; expected 128 Hz"):
        dreamer.read(release[1](EEG_SamplingRate=256.0), "1", "1")


def test_dreamer_with_an_unknown_electrode_is_refused(release):
    struct, write = release
    electrodes = struct["EEG_Electrodes"][0, 0].copy()
    electrodes[0, 3] = np.array(["XX9"])
    with pytest.raises(UserError, match="channel 'XX9' is no known electrode"):
        dreamer.read(write(EEG_Electrodes=electrodes), "1", "1")


def test_dreamer_scores_that_do_not_match_the_clips_are_refused(release):
    struct, write = release
    people = struct["Data"][0, 0]
    people[0, 0]["ScoreArousal"][0, 0] = people[0, 0]["ScoreArousal"][0, 0][:17]
    with pytest.raises(UserError, match=r"subject 1: labels do not match trials \(18 clips, .*17 ScoreArousal"):
        dreamer.read(write(Data=people), "1", "1")


def test_dreamer_without_its_struct_is_refused(tmp_path):
    savemat(tmp_path / "DREAMER.mat", {"EEG": np.zeros(3)})
    with pytest.raises(UserError, match=r"DREAMER\.mat holds EEG; expected a struct DREAMER"):
        dreamer.read(tmp_path, "1", "1")


# EDF


def replace_run(path, labels=None, sfreq_hz=160.0, marks=((0.0, 1.0, "T1"), (1.0, 1.0, "T2"))):
    """Overwrite a run of EEGMMIDB with noise."""
    labels = labels or [channel.capitalize().ljust(4, ".") for channel in eegmmidb.CHANNELS]
    data = 20 * np.random.default_rng(0).standard_normal((len(labels), int(4 * sfreq_hz)))
    write_edf(path, sfreq_hz, [Signals(labels, data, "uV", limit=8092.0)], marks)


def test_imagined_fists_are_read_from_the_annotations_of_three_runs(twin):
    trials = eegmmidb.read(twin("eegmmidb"), "S001", "1").trials
    assert trials["run"].tolist() == [4.0] * 15 + [8.0] * 15 + [12.0] * 15
    assert trials["onset_s"].iloc[0] == pytest.approx(2.0)
    assert trials["onset_s"].iloc[15] == pytest.approx(60 + 2.0)
    assert set(np.bincount(trials["imagined_fist"].astype(int))) <= set(range(21, 25))


@pytest.mark.parametrize(("drop", "message"), [(0, "truncated"), (100, "truncated"), (-50, "header"), (-256, "header")])
def test_a_truncated_edf_file_is_refused_where_mne_would_only_warn(twin, drop, message):
    root = twin("eegmmidb")
    path = root / "S001" / "S001R08.edf"
    kept = path.stat().st_size - drop - 1 if drop >= 0 else -drop
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        UserError, match=rf"S001R08\.edf .*{message}.*`datasets: \{{eegmmidb: \{{exclude: \[S001\]\}}\}}`"
    ):
        eegmmidb.read(root, "S001", "1")


def test_an_edf_file_at_another_rate_is_refused(twin):
    root = twin("eegmmidb")
    replace_run(root / "S001" / "S001R12.edf", sfreq_hz=128.0)
    with pytest.raises(UserError, match=r"S001R12\.edf is sampled at 128 Hz; expected 160 Hz"):
        eegmmidb.read(root, "S001", "1")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["Fc5.", "Cz..", "Cz"], "electrode CZ occurs 2 times"),
        (["Fc5.", "Qz.."], "channel 'Qz..' is no known electrode"),
        (["Fc5.", "Cz.."], r"S001R04\.edf has 2 EEG channels \(lacks FC3"),
    ],
)
def test_an_edf_file_with_other_channels_is_refused(twin, labels, message):
    root = twin("eegmmidb")
    replace_run(root / "S001" / "S001R04.edf", labels=labels)
    with pytest.raises(UserError, match=message):
        eegmmidb.read(root, "S001", "1")


def test_channels_of_an_edf_file_are_taken_by_name(twin):
    root = twin("eegmmidb")
    before = eegmmidb.read(root, "S001", "1").raw.get_data("CZ", stop=640)
    labels = [channel.capitalize().ljust(4, ".") for channel in eegmmidb.CHANNELS]
    replace_run(root / "S001" / "S001R04.edf")
    ordered = eegmmidb.read(root, "S001", "1").raw.get_data(stop=640)
    replace_run(root / "S001" / "S001R04.edf", labels=labels[::-1])
    reversed_labels = eegmmidb.read(root, "S001", "1").raw.get_data(stop=640)
    assert np.allclose(ordered, reversed_labels[::-1])
    assert not np.allclose(before, ordered[eegmmidb.CHANNELS.index("CZ")])


@pytest.mark.parametrize("marks", [[], [(0.0, 1.0, "T0"), (1.0, 1.0, "T1")]])
def test_a_run_without_both_kinds_of_trial_is_refused(twin, marks):
    root = twin("eegmmidb")
    replace_run(root / "S001" / "S001R04.edf", marks=marks)
    with pytest.raises(UserError, match=r"S001R04\.edf: labels do not match trials"):
        eegmmidb.read(root, "S001", "1")


def test_a_trial_that_outlasts_its_run_ends_with_it(twin):
    root = twin("eegmmidb")
    replace_run(root / "S001" / "S001R04.edf", marks=[(0.0, 1.0, "T1"), (3.0, 4.1, "T2")])
    assert eegmmidb.read(root, "S001", "1").trials["duration_s"].iloc[1] == pytest.approx(1.0)


def test_arithmetic_has_one_trial_a_file_and_neither_heart_nor_ears(twin):
    recording = eegmat.read(twin("eegmat"), "Subject00", "1")
    assert recording.trials[["onset_s", "duration_s", "arithmetic"]].to_numpy().tolist() == [[0, 2, 0], [2, 2, 1]]
    assert len(recording.raw.ch_names) == 19


# Real files


def test_real_imagined_fists_are_read(realdata):
    recording = eegmmidb.read(realdata / "physionet_eegmmidb", "S001", "1")
    trials = recording.trials
    assert len(trials) == 45
    assert recording.raw.n_times == 3 * 125 * 160
    assert trials["onset_s"].iloc[[0, 15, 30]].tolist() == pytest.approx([4.2, 129.2, 254.2])
    assert (trials["duration_s"] == 4.1).all()
    # Run 4 of S001 begins right, left, left, right by its annotations.
    assert trials["imagined_fist"].head(4).tolist() == [1, 0, 0, 1]
    assert 20e-6 < np.median(recording.raw.get_data().std(axis=1)) < 200e-6


def test_real_arithmetic_is_read_even_where_the_rest_is_shorter(realdata):
    recording = eegmat.read(realdata / "physionet_eegmat", "Subject04", "1")
    assert recording.trials["duration_s"].tolist() == [170.0, 62.0]
    assert recording.raw.ch_names[6] == "T7"
    assert 5e-6 < np.median(recording.raw.get_data().std(axis=1)) < 50e-6
