from fractions import Fraction

import mne
import numpy as np
import pytest
from scipy.signal import resample_poly

from unimontage.signal.filtering import anti_aliasing, design, piece_starts, places
from unimontage.signal.quality import Repair
from unimontage.signal.streaming import Reader, conditioned, windows_of

PAIRS = [
    *((1000, new) for new in (100, 128, 200)),
    *((500, new) for new in (100, 128, 200)),
    *((250, 100), (256, 100), (512, 128), (200, 128), (200, 100), (160, 100), (160, 128), (128, 100)),
    *((50, 100), (100, 128), (128, 200), (100, 100)),
]
NOTHING = {"highpass_hz": None, "lowpass_hz": None, "notch_hz": None, "resample_hz": None}


def raw_of(*pieces_uv, sfreq_hz=200.0):
    """Pieces (C, S), joined as the readers join trials."""
    info = mne.create_info([f"E{i}" for i in range(len(pieces_uv[0]))], sfreq_hz, "eeg")
    raws = [mne.io.RawArray(piece * 1e-6, info, verbose="ERROR") for piece in pieces_uv]
    return mne.concatenate_raws(raws, verbose="ERROR")


def noise(samples, channels=2, seed=0):
    """Microvolt, with drifts."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 20, (channels, samples)) + np.cumsum(rng.normal(0, 0.3, (channels, samples)), axis=1)


def tone(frequency, sfreq_hz, seconds, phase=0.3):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * sfreq_hz)) / sfreq_hz + phase)


def condition(raw, threads=1, **steps):
    """All of it, in microvolt."""
    starts = piece_starts(raw)
    chain = design(float(raw.info["sfreq"]), np.diff([*starts, raw.n_times]), **NOTHING | steps)
    return np.concatenate(list(conditioned(Reader(raw, raw.ch_names), starts, chain, threads)), axis=1)


def reference(raw, *, highpass_hz=None, lowpass_hz=None, notch_hz=None, resample_hz=None):
    """The same by mne and scipy, step after step in double precision."""
    out, joints = raw.copy(), piece_starts(raw)
    if highpass_hz is not None or lowpass_hz is not None:
        out.filter(highpass_hz, lowpass_hz, picks="all", fir_design="firwin", phase="zero", verbose="ERROR")
    if notch_hz is not None:
        out.notch_filter(notch_hz, picks="all", fir_design="firwin", phase="zero", verbose="ERROR")
    data = out.get_data() * 1e6
    if resample_hz is None:
        return data
    ratio = Fraction(int(resample_hz), int(raw.info["sfreq"]))
    bounds = [*joints, raw.n_times]
    ends, parts = places(bounds, ratio), []
    for piece in range(len(joints)):
        part = data[:, bounds[piece] : bounds[piece + 1]]
        new = resample_poly(
            part, ratio.numerator, ratio.denominator, axis=1, window=anti_aliasing(ratio), padtype="antireflect"
        )
        parts.append(new[:, : ends[piece + 1] - ends[piece]])
    return np.concatenate(parts, axis=1)


CHAINS = [
    (1000, {"highpass_hz": 0.3, "lowpass_hz": 40.0, "notch_hz": 50.0, "resample_hz": 100}),
    (512, {"highpass_hz": 0.5, "lowpass_hz": 45.0, "resample_hz": 128}),
    (500, {"notch_hz": 50.0, "resample_hz": 200}),
    (200, {"highpass_hz": 0.5, "lowpass_hz": 45.0, "notch_hz": 50.0, "resample_hz": 128}),
    (200, {"resample_hz": 128}),
    (128, {"highpass_hz": 1.0, "resample_hz": 100}),
    (128, {"highpass_hz": 0.5, "lowpass_hz": 45.0, "notch_hz": 50.0}),
    (50, {"highpass_hz": 0.3, "lowpass_hz": 20.0, "resample_hz": 100}),
]


@pytest.mark.parametrize(("rate", "steps"), CHAINS)
def test_one_pass_gives_what_mne_gives_step_by_step_at_the_edges_too(rate, steps):
    long, short = noise(rate * 300 + 13), noise(rate * 15 + 7, seed=1) + 4000
    raw = raw_of(long, short, long[:, : rate * 40], sfreq_hz=float(rate))
    out, expected = condition(raw, **steps), reference(raw, **steps)
    assert out.dtype == np.float32
    assert out.shape == expected.shape
    # The piece that stands 4 mV away from the others does so in steps of 0.0005 uV of single precision.
    assert np.abs(out - expected).max() < 0.01


def test_inside_a_recording_it_is_what_mne_resamples_in_one_transform():
    raw = raw_of(noise(1000 * 120), sfreq_hz=1000.0)
    out = condition(raw, highpass_hz=0.3, lowpass_hz=40.0, notch_hz=50.0, resample_hz=100)
    theirs = raw.copy().filter(0.3, 40.0, picks="all", verbose="ERROR").notch_filter(50.0, picks="all", verbose="ERROR")
    theirs.resample(100, npad=0, verbose="ERROR")  # with padding mne displaces the signal
    inside = slice(3000, -3000)  # in one transform the ends meet
    assert np.abs(out - theirs.get_data() * 1e6)[:, inside].max() < 0.01


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_tones_survive_in_amplitude_and_time(old, new):
    frequencies = [f for f in (1, 4, 10, 20, 30, 40, 48) if f <= 0.48 * min(old, new)]
    out = condition(raw_of(np.stack([tone(f, old, 600) for f in frequencies]), sfreq_hz=float(old)), resample_hz=new)
    truth = np.stack([tone(f, new, 600) for f in frequencies])
    assert out.shape == truth.shape
    edge = 2 * new  # a filter of a hundred samples of the lower rate reaches so far in from the ends
    # A ten thousandth of the amplitude at 48 Hz leaves room for 0.3 microseconds of displacement, at every sample of
    # ten minutes: there is no drift either.
    assert np.abs(out - truth)[:, edge:-edge].max() < 1e-4


@pytest.mark.parametrize(("old", "new"), [(1000, 128), (500, 200), (200, 128), (128, 100)])
def test_what_lies_above_the_new_nyquist_does_not_fold_back(old, new):
    frequencies = np.linspace(0.52 * new, 0.49 * old, 5)
    out = condition(raw_of(np.stack([tone(f, old, 30) for f in frequencies]), sfreq_hz=float(old)), resample_hz=new)
    assert np.abs(out[:, new:-new]).max() < 2e-5


def test_a_higher_rate_adds_nothing_above_the_old_nyquist():
    out = condition(raw_of(noise(50 * 600), sfreq_hz=50.0), highpass_hz=0.5, lowpass_hz=None, resample_hz=200)
    power = np.abs(np.fft.rfft(out[0] * np.hanning(out.shape[1]))) ** 2
    frequency = np.fft.rfftfreq(out.shape[1], 1 / 200)
    assert power[frequency > 27.5].sum() < 1e-8 * power.sum()


def test_joined_trials_do_not_drift_when_their_lengths_do_not_divide():
    # 1,003 samples are 128.384 new ones: rounding piece by piece would be 15 samples off after the fortieth.
    out = condition(raw_of(*(np.full((2, 1003), 10.0 * n) for n in range(40)), sfreq_hz=1000.0), resample_hz=128)
    assert out.shape == (2, round(40 * 1003 * 0.128))
    changes = np.flatnonzero(np.abs(np.diff(out[0])) > 5) + 1
    np.testing.assert_array_equal(changes, np.floor(np.arange(1, 40) * 1003 * 0.128 + 0.5))


@pytest.mark.parametrize("resample_hz", [None, 128.0])
def test_nothing_of_one_piece_reaches_into_the_next(resample_hz):
    quiet, loud = np.zeros((2, 3000)), noise(3000) * 100
    out = condition(
        raw_of(quiet, loud, quiet), highpass_hz=0.5, lowpass_hz=45.0, notch_hz=50.0, resample_hz=resample_hz
    )
    first, second = places([3000, 6000], Fraction(int(resample_hz or 200), 200))
    assert not out[:, :first].any()
    assert not out[:, second:].any()
    assert out[:, first:second].any()


def test_a_piece_of_a_few_samples_can_be_resampled():
    pieces = [np.full((2, n), 7.0) for n in (1, 2, 5, 30)]
    np.testing.assert_allclose(condition(raw_of(*pieces), resample_hz=100), 7, rtol=1e-5)


def test_threads_and_blocks_change_nothing():
    raw = raw_of(noise(400_000, channels=5), sfreq_hz=1000.0)
    steps = {"highpass_hz": 0.3, "lowpass_hz": 40.0, "resample_hz": 100}
    out = condition(raw, **steps)
    np.testing.assert_array_equal(condition(raw, threads=3, **steps), out)
    chain = design(1000.0, [400_000], **NOTHING | steps)
    assert sum(1 for _ in conditioned(Reader(raw, raw.ch_names), [0], chain)) > 2


def test_a_large_offset_costs_no_precision():
    data = noise(60_000)
    steps = {"highpass_hz": 0.5, "lowpass_hz": 40.0, "resample_hz": 100}
    plain, shifted = condition(raw_of(data), **steps), condition(raw_of(data + 2e5), **steps)  # 0.2 volt
    assert np.abs(plain - shifted).max() < 0.001


def test_an_offset_stays_where_no_highpass_takes_it_away():
    out = condition(raw_of(noise(10_000) + np.array([[0.0], [4250.0]])), lowpass_hz=40.0)
    assert np.median(out[1] - out[0]) == pytest.approx(4250, rel=0.02)


def test_a_reader_gives_channels_in_the_order_asked_for_and_mends_bad_ones():
    data = noise(1000, channels=3) + np.array([[0], [100], [200.0]])
    data[1, 300] = np.nan
    reader = Reader(raw_of(data), ("E2", "E1"))
    assert np.isnan(reader.read(0, 1000)[1, 300])
    reader.mend(Repair(np.array([1]), np.array([0]), np.array([[0.5]])))
    out = reader.read(200, 400) + reader.offset()[:, None]
    assert out.shape == (2, 200)
    np.testing.assert_allclose(out[0], data[2, 200:400], atol=1e-3)
    np.testing.assert_allclose(out[1], data[2, 200:400] / 2, atol=1e-3)
    assert sum(part.shape[1] for part in reader.slices()) == reader.samples == 1000


def test_windows_come_out_of_stretches_as_out_of_the_whole():
    data = np.arange(2000, dtype=np.float32).reshape(2, 1000)
    starts = np.array([900, 0, 10, 455, 450, 20, 980])
    stretches = np.split(data, [3, 450, 450, 460, 700], axis=1)
    found = np.full((len(starts), 2, 20), np.nan)
    for rows, windows in windows_of(stretches, starts, 20):
        assert np.isnan(found[rows]).all()
        found[rows] = windows
    np.testing.assert_array_equal(found[:, 0, 0], starts)
    np.testing.assert_array_equal(found, data[:, starts[:, None] + np.arange(20)].transpose(1, 0, 2))


@pytest.mark.parametrize("start", [-1, 981])
def test_a_window_beyond_the_signal_is_an_error(start):
    with pytest.raises(ValueError, match="window"):
        list(windows_of([np.zeros((2, 500)), np.zeros((2, 500))], np.array([10, start]), 20))
