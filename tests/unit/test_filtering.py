import mne
import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.signal.filtering import condition, piece_starts, rational, resample_pieces

RATES = [(old, new) for old in (128, 160, 200, 500, 1000) for new in (128, 100, 200) if old != new]
NOTHING = {"highpass_hz": None, "lowpass_hz": None, "notch_hz": None, "resample_hz": None}


def raw_of(*pieces, sfreq_hz=200.0, names=("FZ", "CZ")):
    """Pieces (C, S) in volt, joined as the readers join trials."""
    info = mne.create_info(list(names), sfreq_hz, "eeg")
    return mne.concatenate_raws([mne.io.RawArray(piece, info, verbose="ERROR") for piece in pieces], verbose="ERROR")


def tone(frequency, sfreq_hz, seconds, phase=0.3):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * sfreq_hz)) / sfreq_hz + phase)


def noise(samples, channels=2, seed=0):
    return np.random.default_rng(seed).normal(0, 2e-5, (channels, samples))


@pytest.mark.parametrize(("old", "new"), RATES)
def test_tones_survive_resampling_in_amplitude_and_time(old, new):
    frequencies = [1, 4, 10, 20, 30, 40, 45]
    signal = np.stack([tone(f, old, 20) for f in frequencies])
    out = resample_pieces(signal, [0], old, new)
    # Half a percent of the amplitude at every sample leaves room for 18 microseconds of shift at 45 Hz, no more.
    truth = np.stack([tone(f, new, 20) for f in frequencies])
    inner = slice(2 * new, -2 * new)
    assert out.shape == truth.shape
    assert np.abs(out - truth)[:, inner].max() < 0.005


def test_what_lies_above_the_new_nyquist_does_not_fold_back():
    out = resample_pieces(np.stack([tone(f, 1000, 10) for f in (70, 90, 200, 450)]), [0], 1000, 128)
    assert np.abs(out[:, 256:-256]).max() < 1e-3


def test_joined_trials_do_not_drift_when_their_lengths_do_not_divide():
    # 1,003 samples are 128.384 new ones: rounding piece by piece would be 15 samples off after the fortieth.
    pieces = [np.full((2, 1003), float(n)) for n in range(40)]
    out = condition(raw_of(*pieces, sfreq_hz=1000.0), **NOTHING | {"resample_hz": 128})
    assert out.n_times == round(40 * 1003 * 0.128)
    values = out.get_data()[0]
    changes = np.flatnonzero(np.abs(np.diff(values)) > 0.5) + 1
    np.testing.assert_array_equal(changes, np.floor(np.arange(1, 40) * 1003 * 0.128 + 0.5))
    np.testing.assert_array_equal(piece_starts(out)[1:], changes)


@pytest.mark.parametrize("resample_hz", [None, 128.0])
def test_nothing_of_one_piece_reaches_into_the_next(resample_hz):
    quiet, loud = np.zeros((2, 3000)), noise(3000) * 100
    steps = {"highpass_hz": 0.5, "lowpass_hz": 45.0, "notch_hz": 50.0, "resample_hz": resample_hz}
    out = condition(raw_of(quiet, loud, quiet), **steps)
    first, second = piece_starts(out)[1:]
    data = out.get_data()
    assert not data[:, :first].any()
    assert not data[:, second:].any()
    assert data[:, first:second].any()


def test_a_piece_is_filtered_alike_alone_and_joined():
    alone = condition(raw_of(noise(3000)), **NOTHING | {"highpass_hz": 0.5, "lowpass_hz": 45})
    joined = condition(raw_of(noise(2500, seed=1), noise(3000)), **NOTHING | {"highpass_hz": 0.5, "lowpass_hz": 45})
    np.testing.assert_allclose(joined.get_data()[:, 2500:], alone.get_data(), atol=1e-15)


def test_the_filter_keeps_the_band_and_its_phase_and_removes_the_rest():
    kept, removed = tone(10, 200, 30), 3 + tone(52, 200, 30) + tone(80, 200, 30)
    out = condition(raw_of(np.tile(kept + removed, (2, 1))), **NOTHING | {"highpass_hz": 0.5, "lowpass_hz": 40})
    np.testing.assert_allclose(out.get_data()[0, 1000:-1000], kept[1000:-1000], atol=0.01)


def test_the_notch_removes_the_mains_alone():
    kept = tone(40, 200, 30)
    raw = raw_of(np.tile(kept + tone(50, 200, 30), (2, 1)))
    out = condition(raw, **NOTHING | {"notch_hz": 50})
    np.testing.assert_allclose(out.get_data()[0, 1400:-1400], kept[1400:-1400], atol=0.01)


def test_the_recording_passed_in_is_left_as_it_is_and_positions_bads_and_marks_travel_along():
    raw = raw_of(noise(4000), noise(4000))
    raw.set_montage("colin27_1005", match_case=False)
    raw.info["bads"] = ["CZ"]
    raw.annotations.append(3.0, 1.0, "cue")
    before = raw.get_data()
    out = condition(raw, highpass_hz=1.0, lowpass_hz=40.0, notch_hz=None, resample_hz=128)
    np.testing.assert_array_equal(raw.get_data(), before)
    assert raw.info["sfreq"] == 200
    assert out.info["sfreq"] == 128
    assert out.info["bads"] == ["CZ"]
    assert "cue" in out.annotations.description
    positions = [r.get_montage().get_positions()["ch_pos"]["FZ"] for r in (raw, out)]
    np.testing.assert_allclose(*positions)


def test_a_cropped_recording_keeps_its_joints_in_place():
    raw = raw_of(noise(2000), noise(2000)).crop(tmin=4.0)
    assert piece_starts(raw).tolist() == [0, 1200]
    out = condition(raw, **NOTHING | {"resample_hz": 100})
    assert piece_starts(out).tolist() == [0, 600]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lowpass_hz": 100.0}, "lowpass_hz 100 does not fit a rate of 200 Hz; expected less than 100 Hz"),
        ({"lowpass_hz": 55.0, "resample_hz": 100.0}, "lowpass_hz 55 does not fit a rate of 100 Hz.*higher resample_hz"),
        ({"notch_hz": 100.0}, "notch_hz 100 does not fit"),
        ({"highpass_hz": 45.0, "lowpass_hz": 45.0}, "highpass_hz 45 is not below lowpass_hz 45"),
        ({"sfreq_hz": 128.0}, "sub-01: the file is sampled at 200 Hz; expected 128 Hz"),
        ({"resample_hz": 127.9700001}, "200 Hz cannot be resampled to"),
    ],
)
def test_steps_that_do_not_fit_the_rate_are_errors(change, match):
    with pytest.raises(UserError, match=match):
        condition(raw_of(noise(4000)), where="sub-01", **NOTHING | change)


def test_a_piece_shorter_than_the_filter_is_an_error_and_the_mend_works():
    raw = raw_of(noise(4000), noise(800))
    steps = {"lowpass_hz": 45.0, "notch_hz": None, "resample_hz": None}
    with pytest.raises(UserError, match=r"sub-01: 1 of 2 joined pieces.*first piece 2, shortest 4.00 s") as caught:
        condition(raw, highpass_hz=0.5, where="sub-01", **steps)
    mended = float(caught.value.mend.split(" or ")[1])
    assert 0.5 < mended < 1
    assert condition(raw, highpass_hz=mended, where="sub-01", **steps).n_times == 4800
    assert condition(raw, highpass_hz=None, where="sub-01", **steps).n_times == 4800


def test_rates_are_reduced_to_whole_numbers():
    assert rational(1000.0, 128.0) == rational(500.0, 64.0)
    assert (rational(160.0, 200.0).numerator, rational(160.0, 200.0).denominator) == (5, 4)
