"""Synthetic twins: native files, and structure between people, trials and classes."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.io import loadmat

from unimontage import datasets
from unimontage.datasets import deap, dreamer, eegmat, eegmmidb, seed
from unimontage.datasets.edf_header import read_header
from unimontage.datasets.pickles import load_arrays
from unimontage.datasets.simulation import RHYTHMS, Rig, crossfade, draw_person, revisit, simulate
from unimontage.datasets.twin import TwinSpec, begin, film_moods, generator, read_marker
from unimontage.errors import UserError

SHORT = TwinSpec(trial_s=2.0, sessions=("1",))
BANDS_HZ = ((4, 8), (8, 13), (13, 30), (30, 45))


def band_powers(signal, rate, bands=BANDS_HZ):
    """Log power (windows, channels x bands) of consecutive 1-s windows; nothing below 4 Hz enters."""
    count, width = signal.shape[1] // int(rate), int(rate)
    windows = signal[:, : count * width].reshape(len(signal), count, width)
    power = np.abs(np.fft.rfft(windows * np.hanning(width), axis=-1)) ** 2  # (C, N, F), 1 Hz apart
    features = [np.log(power[..., low:high].mean(axis=-1)) for low, high in bands]
    return np.concatenate(features).T


def nearest_neighbours_accuracy(features, labels, groups):
    """Accuracy of 5-NN with two classes, neighbours being sought outside the window's own group."""
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    squares = (z**2).sum(axis=1)
    distance = squares[:, None] + squares - 2 * z @ z.T
    distance[groups[:, None] == groups[None]] = np.inf
    votes = labels[np.argsort(distance, axis=1)[:, :5]].mean(axis=1)
    return ((votes > 0.5) == labels).mean()


@pytest.fixture(scope="module")
def leak():
    """Accuracies (people, 2) with random labels: neighbours from other windows, and from other trials."""
    accuracies = []
    for i in range(4):
        rng = np.random.default_rng(i)
        person = draw_person(seed.RIG, "emotion", rng)
        features = [band_powers(simulate(seed.RIG, person, 2000, (0, 0), rng), 200) for _ in range(16)]
        trials = np.repeat(np.arange(16), 10)
        labels = rng.permutation(np.arange(16) % 2)[trials]
        stacked = np.concatenate(features)
        windows = np.arange(len(trials))
        accuracies.append([nearest_neighbours_accuracy(stacked, labels, groups) for groups in (windows, trials)])
    return np.array(accuracies)


def test_windows_of_one_trial_betray_it_without_any_class_effect_or_slow_wave(leak):
    assert leak[:, 0].mean() > 0.7


def test_windows_of_other_trials_betray_nothing(leak):
    chance = 7 / 15  # of the other trials of a balanced set, a minority shares the label
    assert abs(leak[:, 1].mean() - chance) < 0.1


def test_imagining_a_fist_lowers_mu_power_over_the_opposite_hemisphere():
    rig = dataclasses.replace(eegmmidb.RIG, channels=("C3", "C4", "CZ", "OZ"))
    differences = []
    for i in range(10):
        rng = np.random.default_rng(i)
        person = draw_person(rig, "fists", rng)
        for state, sign in (((1, 0), 1), ((0, 1), -1)):
            trials = np.concatenate([simulate(rig, person, 640, state, rng) for _ in range(20)], axis=1)
            left, right, *_ = band_powers(trials, 160, bands=((9, 14),)).mean(axis=0)
            differences.append(sign * (right - left))
    assert np.sum(differences) / 10 < -0.1


def test_responses_are_shared_in_part_and_personal_in_part():
    responses = np.array([draw_person(eegmat.RIG, "arithmetic", np.random.default_rng(i)).response for i in range(200)])
    theta = responses[:, 0, list(RHYTHMS).index("theta")]
    assert theta.mean() == pytest.approx(0.4, abs=0.05)
    assert 0.1 < theta.std() < 0.25


def test_people_differ_in_gain_and_alpha_frequency_and_days_differ_less():
    people = [draw_person(seed.RIG, "emotion", np.random.default_rng(i)) for i in range(100)]
    gains = np.log([person.gain[0] for person in people])
    alpha = [person.hz[0] for person in people]
    days = np.log(revisit(people[0], np.random.default_rng(0)).gain / people[0].gain)
    assert 0.15 < gains.std() < 0.35
    assert 0.5 < np.std(alpha) < 1.1
    assert 0.04 < days.std() < 0.12


def test_the_background_falls_with_frequency_as_one_over_f():
    rig = Rig(seed.CHANNELS, 200.0, 20.0, (0.0, 75.0), artefacts=False)
    person = draw_person(rig, "emotion", np.random.default_rng(0))
    quiet = [simulate(rig, person, 4000, (0, 0), np.random.default_rng(i)) for i in range(8)]
    power = np.mean([np.abs(np.fft.rfft(signal, axis=1)) ** 2 for signal in quiet], axis=(0, 1))
    frequencies = np.fft.rfftfreq(4000, 1 / 200)
    ends = [power[(frequencies > low) & (frequencies < high)].mean() for low, high in ((1, 2), (40, 48))]
    assert np.log(ends[0] / ends[1]) / np.log(44 / 1.44) == pytest.approx(1.0, abs=0.25)


def test_neighbouring_electrodes_see_much_the_same():
    rig = Rig(seed.CHANNELS, 200.0, 20.0, (0.0, 75.0), artefacts=False)
    person = draw_person(rig, "emotion", np.random.default_rng(1))
    correlation = np.corrcoef(simulate(rig, person, 4000, (0, 0), np.random.default_rng(1)))
    site = {name: i for i, name in enumerate(seed.CHANNELS)}
    assert correlation[site["CZ"], site["C1"]] > 0.5 > abs(correlation[site["FP1"], site["O2"]])


def test_stretches_join_without_a_jump_or_a_loss_of_power():
    rng = np.random.default_rng(0)
    pieces = [rng.standard_normal((3, 1040)).astype(np.float32) + 5 * (i % 2) for i in range(10)]
    joined = crossfade(pieces, 40)
    assert joined.shape == (3, 10_000)
    assert np.array_equal(joined[:, :1000], pieces[0][:, :1000])
    assert joined[:, 1000:1040].std(axis=1).mean() > 0.9


def test_films_are_spread_evenly_over_the_quadrants():
    moods = film_moods(18, np.random.default_rng(0))
    counts = np.unique(moods, axis=0, return_counts=True)[1]
    assert sorted(counts) == [4, 4, 5, 5]


@pytest.mark.parametrize("key", ["deap", "dreamer", "eegmat", "eegmmidb", "seed"])
def test_a_subject_is_the_same_whoever_else_is_written_and_differs_by_seed(tmp_path, key):
    module, spec = datasets.load(key), TwinSpec(trial_s=1.0, sessions=("1",))
    first, second = module.FACTS.subjects[:2]
    module.write_twin(tmp_path / "one", [second], spec)
    module.write_twin(tmp_path / "two", [first, second], spec)
    module.write_twin(tmp_path / "other", [second], TwinSpec(seed=1, trial_s=1.0, sessions=("1",)))
    one, two, other = (module.read(tmp_path / name, second, "1") for name in ("one", "two", "other"))
    assert np.array_equal(one.raw.get_data(), two.raw.get_data())
    assert one.trials.equals(two.trials)
    assert not np.array_equal(one.raw.get_data(), other.raw.get_data())


@pytest.mark.parametrize("key", ["deap", "dreamer", "eegmat", "eegmmidb", "seed"])
def test_random_labels_leave_the_signal_as_if_nothing_had_been_felt(tmp_path, key, monkeypatch):
    states = []
    module = datasets.load(key)
    original = module.simulate

    def watch(rig, person, samples, state, rng):
        states.append(tuple(state))
        return original(rig, person, samples, state, rng)

    monkeypatch.setattr(module, "simulate", watch)
    module.write_twin(tmp_path, module.FACTS.subjects[:1], TwinSpec(trial_s=1.0, labels="random", sessions=("1",)))
    assert {value for state in states for value in state} == {0.0}
    trials = module.read(tmp_path, module.FACTS.subjects[0], "1").trials
    task = next(iter(module.FACTS.tasks.values()))
    assert set(task.targets(trials)) == set(range(len(task.classes)))


def test_the_marker_says_what_was_written(tmp_path):
    written = deap.write_twin(tmp_path, ["s01"], SHORT)
    content = json.loads((tmp_path / "SYNTHETIC.json").read_text())
    assert written[0] == tmp_path / "SYNTHETIC.json"
    assert content["synthetic"] is True
    assert (content["dataset"], content["seed"], content["spec"]["trial_s"]) == ("deap", 0, 2.0)
    assert read_marker(tmp_path) == content
    assert read_marker(tmp_path / "data_preprocessed_python") is None


def test_a_twin_is_not_written_among_real_files(tmp_path):
    (tmp_path / "s01.dat").write_bytes(b"real")
    with pytest.raises(UserError, match="holds files that are not synthetic"):
        begin(tmp_path, deap.FACTS, SHORT)
    assert not (tmp_path / "SYNTHETIC.json").exists()


def test_trials_too_short_to_draw_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"trials of 0\.1 s are too short.*twin: \{trial_s: 10\}"):
        begin(tmp_path / "new", deap.FACTS, TwinSpec(trial_s=0.1))
    assert not (tmp_path / "new").exists()


def test_streams_of_different_things_are_unrelated():
    draws = {generator(TwinSpec(seed=s), *names).random() for s in (0, 1) for names in (("a",), ("a", "b"), ("b", "a"))}
    assert len(draws) == 6


def test_seed_files_have_real_names_lengths_and_a_prefix_of_their_own(tmp_path):
    seed.write_twin(tmp_path, ["9", "10"], TwinSpec(trial_s=1.0))
    folder = tmp_path / "Preprocessed_EEG"
    assert {path.name for path in folder.iterdir()} == {
        "9_20140620.mat", "9_20140627.mat", "9_20140704.mat",
        "10_20131130.mat", "10_20131204.mat", "10_20131211.mat", "label.mat",
    }  # fmt: skip
    variables = loadmat(folder / "10_20131130.mat")
    prefixes = {name.partition("_eeg")[0] for name in variables if "_eeg" in name}
    other = {name.partition("_eeg")[0] for name in loadmat(folder / "9_20140620.mat") if "_eeg" in name}
    assert len(prefixes) == 1
    assert prefixes != other
    trial = variables[f"{prefixes.pop()}_eeg3"]
    assert trial.shape == (62, 201)
    assert trial.dtype == np.float64
    assert loadmat(folder / "label.mat")["label"].tolist() == [list(seed.CLIP_LABELS)]


def test_deap_ratings_are_continuous_within_bounds_and_one_is_exactly_five(tmp_path):
    deap.write_twin(tmp_path, ["s07"], SHORT)
    content = load_arrays(tmp_path / "data_preprocessed_python" / "s07.dat", "")
    ratings = content["labels"]
    assert content["data"].shape == (40, 40, 384 + 256)
    assert content["data"].dtype == np.float64
    assert ((ratings >= 1) & (ratings <= 9)).all()
    assert (ratings[:, 0] == 5.0).sum() == 1
    assert (ratings % 1 != 0).mean() > 0.5


def test_dreamer_scores_are_integers_with_threes_among_them(tmp_path):
    dreamer.write_twin(tmp_path, ["1", "2", "3"], SHORT)
    scores = np.concatenate([dreamer.read(tmp_path, s, "1").trials[["valence", "arousal"]] for s in "123"])
    assert set(np.unique(scores)) == {1, 2, 3, 4, 5}


def test_an_imagery_file_looks_like_the_real_one(tmp_path, realdata):
    eegmmidb.write_twin(tmp_path, ["S001"], TwinSpec())
    ours = read_header(tmp_path / "S001" / "S001R04.edf", "")
    theirs = read_header(realdata / "physionet_eegmmidb" / "S001" / "S001R04.edf", "")
    assert ours.labels == theirs.labels
    assert ours.units[:64] == theirs.units[:64]
    assert ours.samples[:64] == theirs.samples[:64]
    assert ours.physical_range[:64] == theirs.physical_range[:64]
    assert (ours.records, ours.record_s) == (theirs.records, theirs.record_s)


def test_an_arithmetic_file_looks_like_the_real_one(tmp_path, realdata):
    eegmat.write_twin(tmp_path, ["Subject00"], TwinSpec())
    for name in ("Subject00_1.edf", "Subject00_2.edf"):
        ours, theirs = read_header(tmp_path / name, ""), read_header(realdata / "physionet_eegmat" / name, "")
        assert ours.labels == theirs.labels
        assert ours.units[:21] == theirs.units[:21]
        assert ours.samples[:21] == theirs.samples[:21]
        assert ours.duration_s == theirs.duration_s
    header = (realdata / "physionet_eegmat" / "subject-info.csv").read_text().splitlines()[0]
    assert (tmp_path / "subject-info.csv").read_text().splitlines()[0] == header
