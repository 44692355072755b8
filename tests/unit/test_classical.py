import mne
import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.models.classical import PIPELINES, CalibratedSVM, band_pass, build_pipeline

SFREQ_HZ, CHANNELS = 128.0, ("F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
SPATIAL = ("csp_lda", "tangent_space")


def planted(windows=60, seed=0, gain=4.0, classes=2):
    """Noise whose 11 Hz rhythm is stronger over one channel in each class: (N, C, T) in microvolt, (N,)."""
    rng = np.random.default_rng(seed)
    y = np.arange(windows) % classes
    signal = rng.normal(0, 10, (windows, len(CHANNELS), 128))
    phase = rng.uniform(0, 2 * np.pi, (windows, 1))
    rhythm = 10 * np.sin(2 * np.pi * 11 * np.arange(128) / SFREQ_HZ + phase)  # (N, T)
    signal[np.arange(windows), 2 + y] += gain * rhythm
    return signal.astype(np.float32), y


def build(name, **options):
    return build_pipeline(name, sfreq_hz=SFREQ_HZ, channels=CHANNELS, seed=0, **options)


def here(y, domain="S1/1"):
    return np.full(len(y), domain)


def accuracy(pipeline, signal, y, domains):
    return np.mean(pipeline.predict(signal, domains) == y)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("recentre", [False, True])
@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_learns_a_rhythm_over_one_channel(name, recentre, classes):
    train, y = planted(90, classes=classes)
    test, truth = planted(60, seed=1, classes=classes)
    pipeline = build(name, recentre=recentre).fit(train, y, here(y))
    probabilities = pipeline.predict_proba(test, here(truth))
    assert pipeline.classes_.tolist() == list(range(classes))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert accuracy(pipeline, test, truth, here(truth)) > 0.9


@pytest.mark.parametrize("name", PIPELINES)
def test_labels_without_meaning_are_not_learned(name):
    train, y = planted(60, gain=0)
    test, truth = planted(200, seed=1, gain=0)
    assert abs(accuracy(build(name).fit(train, y, here(y)), test, truth, here(truth)) - 0.5) < 0.15


@pytest.mark.parametrize("name", PIPELINES)
def test_two_fits_give_the_same_probabilities(name):
    train, y = planted()
    test, truth = planted(seed=1)
    first, second = (build(name).fit(train, y, here(y)).predict_proba(test, here(truth)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", SPATIAL)
def test_an_average_reference_and_an_interpolated_channel_do_no_harm(name):
    train, y = planted()
    test, truth = planted(seed=1)

    def deficient(signal):
        signal = signal.copy()
        signal[:, 7] = (signal[:, 5] + signal[:, 6]) / 2
        return (signal - signal.mean(axis=1, keepdims=True)).astype(np.float32)

    for recentre in (False, True):
        pipeline = build(name, recentre=recentre).fit(deficient(train), y, here(y))
        assert accuracy(pipeline, deficient(test), truth, here(truth)) > 0.9


def moved(signal):
    """The same windows of another head: other gains, and some of each channel in the others."""
    gains = np.diag([1, 1, 5, 0.2, 1, 1, 3, 0.5])  # F3 F4 C3 C4 P3 P4 O1 O2
    mixing = np.eye(len(CHANNELS)) + 0.05
    return (gains @ mixing @ signal).astype(np.float32)


@pytest.mark.parametrize("name", PIPELINES)
def test_recentring_carries_a_classifier_over_to_a_subject_it_has_not_seen(name):
    train, y = planted(100, gain=2.0)
    test, truth = planted(100, seed=1, gain=2.0)
    scores = {}
    for recentre in (False, True):
        pipeline = build(name, recentre=recentre).fit(train, y, here(y))
        scores[recentre] = accuracy(pipeline, moved(test), truth, here(truth, "S2/1"))
    assert scores[False] < 0.7
    assert scores[True] > 0.9


@pytest.mark.parametrize("name", PIPELINES)
def test_the_centre_of_a_known_domain_is_not_moved_by_test_windows(name):
    train, y = planted()
    test, truth = planted(seed=1)
    pipeline = build(name, recentre=True).fit(train, y, here(y))
    together = pipeline.predict_proba(test, here(truth))
    alone = np.concatenate([pipeline.predict_proba(test[i : i + 1], here(truth)[:1]) for i in range(5)])
    np.testing.assert_allclose(alone, together[:5], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", PIPELINES)
def test_domains_do_not_depend_on_each_other_at_prediction(name):
    train, y = planted()
    test, truth = planted(seed=1)
    pipeline = build(name, recentre=True).fit(train, y, here(y))
    alone = pipeline.predict_proba(test, here(truth, "S2/1"))
    both = pipeline.predict_proba(np.concatenate([moved(test), test]), np.r_[here(truth, "S3/1"), here(truth, "S2/1")])
    np.testing.assert_allclose(both[len(test) :], alone, rtol=1e-4, atol=1e-6)


def test_unlabelled_windows_move_the_centre_and_nothing_else():
    train, y = planted()
    unlabelled = np.where(np.arange(len(y)) < 40, y, -1)
    centred = build("band_power", recentre=True).fit(train, unlabelled, here(y))
    np.testing.assert_allclose(
        centred.centres_["S1/1"], build("band_power", recentre=True).fit(train, y, here(y)).centres_["S1/1"]
    )
    assert centred.classes_.tolist() == [0, 1]
    plain = build("band_power").fit(train, unlabelled, here(y)).predict_proba(train, here(y))
    without = build("band_power").fit(train[:40], y[:40], here(y)[:40]).predict_proba(train, here(y))
    np.testing.assert_array_equal(plain, without)


def test_probabilities_of_the_svm_are_calibrated_where_they_can_be():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    features = rng.normal(size=(2000, 2)) + 0.8 * y[:, None]
    probability = CalibratedSVM().fit(features[:1000], y[:1000]).predict_proba(features[1000:])[:, 1]
    truth = y[1000:]
    for low in (0.1, 0.3, 0.5, 0.7):
        bin_ = (probability >= low) & (probability < low + 0.2)
        assert abs(truth[bin_].mean() - probability[bin_].mean()) < 0.12


@pytest.mark.parametrize("classes", [2, 3])
def test_one_window_a_class_is_enough_for_the_svm(classes):
    features = 10.0 * np.eye(classes)
    machine = CalibratedSVM().fit(features, np.arange(classes))
    np.testing.assert_allclose(machine.predict_proba(features).sum(axis=1), 1)
    assert machine.predict(features).tolist() == list(range(classes))


def test_the_band_pass_keeps_mu_in_place_and_removes_what_lies_around():
    time = np.arange(512) / SFREQ_HZ
    kept, removed = np.sin(2 * np.pi * 12 * time), np.sin(2 * np.pi * 2 * time) + np.sin(2 * np.pi * 50 * time)
    out = band_pass((kept + removed)[None, None], SFREQ_HZ, (8.0, 30.0))
    np.testing.assert_allclose(out[0, 0, 128:-128], kept[128:-128], atol=0.02)


def test_names_options_bands_and_labels_that_cannot_work_are_errors():
    train, y = planted(4)
    with pytest.raises(UserError, match=r"no pipeline 'csp'; .*mend: pipeline: csp_lda"):
        build("csp")
    with pytest.raises(UserError, match="band_power has no option 'kernel'; expected bands"):
        build("band_power", kernel="rbf")
    with pytest.raises(UserError, match=r"csp_lda: band_hz 8 to 30 does not fit a rate of 50 Hz"):
        build_pipeline("csp_lda", sfreq_hz=50, channels=CHANNELS, seed=0)
    with pytest.raises(UserError, match="tangent_space on 1 channel"):
        build_pipeline("tangent_space", sfreq_hz=128, channels=["CZ"], seed=0)
    with pytest.raises(UserError, match=r"training windows of 1 class\(es\): \[1\]"):
        build("band_power").fit(train, np.ones(4, dtype=int), here(y))


def imagined_fists(folder, subject):
    """Trials (N, 64, 480) of left (0) and right (1) fist, 0.5 to 3.5 s after the cue, in microvolt."""
    windows, labels = [], []
    for run in ("R04", "R08", "R12"):
        raw = mne.io.read_raw_edf(folder / subject / f"{subject}{run}.edf", verbose="ERROR")
        data = raw.get_data() * 1e6
        for mark in raw.annotations:
            if mark["description"] in ("T1", "T2"):
                start = round((mark["onset"] + 0.5) * 160)
                windows.append(data[:, start : start + 480])
                labels.append(int(mark["description"] == "T2"))
    return np.stack(windows), np.array(labels)


@pytest.mark.parametrize("name", SPATIAL)
def test_real_imagined_fists_are_told_apart_in_trials_left_out(realdata, name):
    signal, y = imagined_fists(realdata / "physionet_eegmmidb", "S002")
    order = np.random.default_rng(0).permutation(len(y))
    correct = []
    for fold in np.array_split(order, 5):
        rest = np.setdiff1d(order, fold)
        pipeline = build_pipeline(name, sfreq_hz=160.0, channels=[str(c) for c in range(64)], seed=0)
        correct.append(pipeline.fit(signal[rest], y[rest], here(rest)).predict(signal[fold], here(fold)) == y[fold])
    assert np.concatenate(correct).mean() > 0.75
