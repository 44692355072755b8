from fractions import Fraction

import mne
import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.signal.filtering import design, piece_starts, places, rational

NOTHING = {"highpass_hz": None, "lowpass_hz": None, "notch_hz": None, "resample_hz": None}


def raw_of(*pieces, sfreq_hz=200.0, names=("FZ", "CZ")):
    """Pieces (C, S) in volt, joined as the readers join trials."""
    info = mne.create_info(list(names), sfreq_hz, "eeg")
    return mne.concatenate_raws([mne.io.RawArray(piece, info, verbose="ERROR") for piece in pieces], verbose="ERROR")


def noise(samples, channels=2, seed=0):
    return np.random.default_rng(seed).normal(0, 2e-5, (channels, samples))


def gain(conditioning, frequency):
    """What becomes of a tone of so many hertz: its amplitude in the middle of a block."""
    size = conditioning.block(10**9)
    time = np.arange(size) / conditioning.rate_hz
    block = np.cos(2 * np.pi * frequency * (time - time[size // 2])).astype(np.float32)
    out = conditioning.apply(block)
    middle = round((size // 2 - conditioning.reach) * float(conditioning.ratio))
    return out[middle]


def test_the_response_is_that_of_the_filters_that_mne_designs():
    conditioning = design(200.0, [10_000], highpass_hz=0.5, lowpass_hz=45.0, notch_hz=50.0, resample_hz=None)
    taps = mne.filter.create_filter(None, 200.0, 0.5, 45.0, verbose="ERROR")
    notched = mne.filter.notch_filter(np.eye(1, 2001, 1000), 200.0, 50.0, verbose="ERROR")[0]
    for frequency in (0, 0.25, 0.4, 0.5, 2, 10, 44, 45, 49, 50, 50.5, 56, 70):
        expected = np.prod(
            [
                kernel @ np.cos(2 * np.pi * frequency * (np.arange(len(kernel)) - len(kernel) // 2) / 200)
                for kernel in (taps, notched)
            ]
        )
        assert gain(conditioning, frequency) == pytest.approx(expected, abs=1e-4), frequency


@pytest.mark.parametrize(("old", "new"), [(1000, 100), (500, 200), (128, 100), (50, 100), (125, 128)])
def test_a_block_is_whole_samples_at_both_rates_and_leaves_those_between_its_contexts(old, new):
    conditioning = design(float(old), [10**6], **NOTHING | {"lowpass_hz": 20.0, "resample_hz": float(new)})
    for samples in (1, 77, 1000, 10**6):
        size = conditioning.block(samples)
        kept = (size - 2 * conditioning.reach) * Fraction(new, old)
        assert kept.denominator == 1
        assert kept > 0
        assert (conditioning.reach * conditioning.ratio).denominator == 1
        assert conditioning.apply(np.zeros((3, size), dtype=np.float32)).shape == (3, int(kept))


def test_single_precision_stays_single_precision():
    conditioning = design(200.0, [10_000], highpass_hz=0.5, lowpass_hz=45.0, notch_hz=None, resample_hz=100.0)
    assert conditioning.apply(np.zeros((1, conditioning.block(100)), dtype=np.float32)).dtype == np.float32


def test_a_constant_becomes_what_the_filters_make_of_it():
    assert design(200.0, [10_000], **NOTHING | {"highpass_hz": 0.5}).offset_gain == pytest.approx(0, abs=1e-3)
    assert design(200.0, [10_000], **NOTHING | {"lowpass_hz": 40.0, "resample_hz": 100}).offset_gain == pytest.approx(1)
    assert design(200.0, [10_000], **NOTHING).offset_gain == 1


def test_a_cropped_recording_keeps_its_joints_in_place():
    raw = raw_of(noise(2000), noise(2000)).crop(tmin=4.0)
    assert piece_starts(raw).tolist() == [0, 1200]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lowpass_hz": 100.0}, "lowpass_hz 100 does not fit a rate of 200 Hz; expected less than 100 Hz"),
        (
            {"lowpass_hz": 55.0, "resample_hz": 100.0},
            r"lowpass_hz 55 does not fit a rate of 100 Hz.*higher resample_hz",
        ),
        ({"notch_hz": 100.0}, "notch_hz 100 does not fit"),
        ({"highpass_hz": 45.0, "lowpass_hz": 45.0}, "highpass_hz 45 is not below lowpass_hz 45"),
        ({"rates_hz": (128.0,)}, "sub-01: the file is sampled at 200 Hz; expected 128 Hz"),
        ({"rates_hz": (50.0, 100.0)}, "sub-01: the file is sampled at 200 Hz; expected 50 or 100 Hz"),
        ({"resample_hz": 127.9700001}, "200 Hz cannot be resampled to"),
    ],
)
def test_steps_that_do_not_fit_the_rate_are_errors(change, match):
    with pytest.raises(UserError, match=match):
        design(200.0, [4000], where="sub-01", **NOTHING | change)


def test_one_of_several_rates_on_disk_is_accepted():
    assert design(200.0, [4000], rates_hz=(50.0, 200.0), **NOTHING).new_hz == 200


def test_a_piece_shorter_than_the_filter_is_an_error_and_the_mend_works():
    steps = {"lowpass_hz": 45.0, "notch_hz": None, "resample_hz": None}
    with pytest.raises(UserError, match=r"sub-01: 1 of 2 joined pieces.*first piece 2, shortest 4.00 s") as caught:
        design(200.0, [4000, 800], highpass_hz=0.5, where="sub-01", **steps)
    mended = float(caught.value.mend.split(" or ")[1])
    assert 0.5 < mended < 1
    design(200.0, [4000, 800], highpass_hz=mended, where="sub-01", **steps)
    design(200.0, [4000, 800], highpass_hz=None, where="sub-01", **steps)


def test_a_piece_shorter_than_the_notch_is_an_error():
    with pytest.raises(UserError, match="shorter than the notch_hz filter"):
        design(200.0, [1000], **NOTHING | {"notch_hz": 50.0})


def test_rates_are_reduced_to_whole_numbers():
    assert rational(1000.0, 128.0) == rational(500.0, 64.0)
    assert (rational(160.0, 200.0).numerator, rational(160.0, 200.0).denominator) == (5, 4)


def test_each_sample_is_placed_for_itself():
    assert places(range(0, 41 * 1003, 1003), Fraction(16, 125))[-1] == round(40 * 1003 * 0.128)
    assert places([1, 3, 5], Fraction(1, 2)) == [1, 2, 3]
