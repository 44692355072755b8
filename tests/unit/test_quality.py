import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.errors import UserError
from unimontage.montage.positions import positions_3d
from unimontage.signal.quality import ChannelReport, Inspection, Spread, check_amplitude, inspect_channels, repair

NAMES = ("FP1", "FP2", "F3", "FZ", "F4", "C3", "CZ", "C4", "P3", "PZ", "P4", "O1", "OZ", "O2", "T7", "T8")
SFREQ_HZ = 128.0


def smooth(seconds=30, seed=0, sd_uv=20.0):
    """Channels (C, S) whose neighbours resemble each other, as on a head."""
    places = positions_3d(NAMES)
    near = np.exp(-np.square(places[:, None] - places[None]).sum(axis=-1) / 0.1**2)
    sources = np.random.default_rng(seed).normal(0, 1, (len(NAMES), round(seconds * SFREQ_HZ)))
    data = near @ sources
    return sd_uv * data / data.std()


def inspect(data_uv):
    return inspect_channels(data_uv, NAMES, SFREQ_HZ)


def test_a_sound_recording_has_no_findings_and_its_own_amplitude():
    data = smooth()
    report = inspect(data)
    assert report.bad == ()
    assert report.median_sd_uv == pytest.approx(np.median(data.std(axis=1)))


@pytest.mark.parametrize("step_uv", [0.1, 1.0, 5.0])
def test_quantised_eeg_is_neither_flat_nor_clipped(step_uv):
    assert inspect(np.round(smooth() / step_uv) * step_uv).bad == ()


def test_channels_that_stand_still_are_flat():
    data = smooth()
    data[2] = 7.0
    data[5, : data.shape[1] // 3] = data[5, 0]
    data[7] = np.random.default_rng(0).normal(0, 0.001, data.shape[1])
    assert inspect(data).flat == ("F3", "C3", "C4")


def test_the_zero_padding_at_the_end_of_a_file_makes_no_channel_flat():
    data = smooth()
    data[:, -data.shape[1] // 10 :] = 0
    assert inspect(data).bad == ()


def test_a_saturated_amplifier_is_clipped():
    data = smooth()
    data[3] = np.clip(data[3] + 40 * np.sin(np.arange(data.shape[1]) / 200), -60, 45)
    assert inspect(data).clipped == ("FZ",)


def test_a_single_nan_marks_its_channel_and_leaves_the_amplitude_finite():
    data = smooth()
    data[4, 100] = np.nan
    data[6, 100] = np.inf
    report = inspect(data)
    assert report.nan == ("F4", "CZ")
    assert report.bad == ("F4", "CZ")
    assert np.isfinite(report.median_sd_uv)


def test_a_recording_without_any_signal_has_no_amplitude():
    report = inspect(np.zeros((16, 500)))
    assert len(report.flat) == 16
    with pytest.raises(UserError, match="nan uV"):
        check_amplitude(report.median_sd_uv, 1, 100, "sub-01")


@pytest.mark.parametrize(
    ("sd", "match"),
    [
        (2e-5, "sub-01: .* 2e-05 uV, a factor 1e.06 too small: volts were read as microvolts"),
        (2e7, "a factor 1e.06 too large: microvolts were read as volts"),
        (2e-2, "millivolts were read as microvolts"),
        (900.0, "implausible for EEG; expected 1 to 100 uV"),
    ],
)
def test_an_amplitude_in_the_wrong_unit_is_recognised(sd, match):
    with pytest.raises(UserError, match=match):
        check_amplitude(sd, 1, 100, "sub-01")


def test_a_plausible_amplitude_passes():
    check_amplitude(20.0, 1, 100, "sub-01")


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3840), max_size=5), st.integers(0, 2**31))
def test_slices_of_any_length_give_the_findings_of_the_whole(cuts, seed):
    data = faulty(seed)
    whole, epochs = inspect(data), np.arange(0, 3840, 384)[:, None] + [0, 384]
    for given_epochs in (None, epochs):
        inspection = Inspection(NAMES, SFREQ_HZ, given_epochs)
        for part in np.split(data, sorted(cuts), axis=1):
            inspection.add(part)
        report = inspection.report()
        assert (report.flat, report.nan, report.clipped) == (whole.flat, whole.nan, whole.clipped)
        assert report.median_sd_uv == pytest.approx(whole.median_sd_uv, rel=1e-9)
    assert inspection.still_epochs().tolist() == [False] * 4 + [True] + [False] * 5


def faulty(seed):
    """Channels with every fault there is, and the fifth of ten epochs still in all of them."""
    data = np.round(smooth(seed=seed) / 0.1) * 0.1
    data[1, 400:1500] = 3.0
    data[3] = np.clip(data[3] + 40 * np.sin(np.arange(3840) / 200), -60, 45)
    data[5, 3839] = np.nan
    data[7] = np.clip(data[7], 0, None)
    data[:, 4 * 384 : 5 * 384] = 1.0
    return data


def test_the_faults_of_the_faulty_recording_are_found():
    report = inspect(faulty(0))
    assert (report.flat, report.nan, report.clipped) == (("FP2",), ("C3",), ("FZ", "C4"))


def test_hours_without_any_signal_are_no_fault_of_a_channel_in_a_continuous_recording():
    data, epochs = smooth(), np.array([[0, 1920], [1920, 2880], [2880, 3840]])
    data[:, 1900:] = 0.0
    data[2, 100:1900] = 5.0
    assert len(inspect(data).flat) == 16
    inspection = Inspection(NAMES, SFREQ_HZ, epochs)
    inspection.add(data)
    assert inspection.report().flat == ("F3",)
    assert inspection.still_epochs().tolist() == [False, True, True]


def test_an_epoch_beyond_the_recording_is_not_taken_for_a_still_one():
    inspection = Inspection(NAMES, SFREQ_HZ, np.array([[0, 3840], [3840, 7680]]))
    inspection.add(np.zeros((16, 3840)))
    assert inspection.still_epochs().tolist() == [True, False]


def test_a_recording_that_stands_still_from_beginning_to_end_is_flat():
    inspection = Inspection(NAMES, SFREQ_HZ, np.array([[0, 3840]]))
    inspection.add(np.ones((16, 3840)))
    assert len(inspection.report().flat) == 16


@given(st.lists(st.integers(0, 500), max_size=4), st.floats(-1e6, 1e6))
def test_the_spread_of_slices_is_that_of_the_whole(cuts, offset):
    data = np.random.default_rng(0).normal(0, 20, (3, 500)) + offset + np.arange(500)
    spread = Spread(3)
    for part in np.split(data, sorted(cuts), axis=1):
        spread.add(part)
    np.testing.assert_allclose(spread.sd(), data.std(axis=1), rtol=1e-8)


def test_a_sound_recording_passes_every_policy_unchanged():
    for policy in ("stop", "interpolate", "keep"):
        assert repair(NAMES, inspect(smooth()), policy, "sub-01") is None


def test_stop_names_every_bad_channel_and_why():
    report = ChannelReport(flat=("F3",), nan=("CZ",), clipped=("O1", "O2"), median_sd_uv=20)
    with pytest.raises(UserError, match=r"sub-01: bad channels: NaN CZ; flat F3; clipped O1, O2; .*interpolate"):
        repair(NAMES, report, "stop", "sub-01")


def test_flat_and_clipped_channels_may_be_kept_but_never_nan():
    kept = ChannelReport(flat=("F3",), nan=(), clipped=("O1",), median_sd_uv=20)
    assert repair(NAMES, kept, "keep", "sub-01") is None
    with pytest.raises(UserError, match="bad channels: NaN CZ;"):
        repair(NAMES, ChannelReport(("F3",), ("CZ",), (), 20), "keep", "sub-01")


def test_interpolation_restores_a_dead_channel_from_its_neighbours_and_touches_no_other():
    truth = smooth()
    data = truth.copy()
    data[6] = np.nan
    repair(NAMES, inspect(data), "interpolate", "sub-01").apply(data)
    assert np.corrcoef(data[6], truth[6])[0, 1] > 0.9
    np.testing.assert_array_equal(np.delete(data, 6, axis=0), np.delete(truth, 6, axis=0))


def test_interpolation_is_that_of_mne():
    data, bad = smooth(), ["CZ", "O1"]
    raw = mne.io.RawArray(data, mne.create_info(list(NAMES), SFREQ_HZ, "eeg"), verbose="ERROR")
    template = mne.channels.make_standard_montage("colin27_1005").get_positions()
    landmarks = {key: template[key] for key in ("nasion", "lpa", "rpa", "coord_frame")}
    places = dict(zip(NAMES, positions_3d(NAMES), strict=True))
    raw.set_montage(mne.channels.make_dig_montage(ch_pos=places, **landmarks), verbose="ERROR")
    raw.info["bads"] = bad
    repair(NAMES, ChannelReport((), tuple(bad), (), 20), "interpolate", "sub-01").apply(data)
    np.testing.assert_allclose(data, raw.interpolate_bads(verbose="ERROR").get_data(), atol=1e-9)


def test_a_good_channel_without_a_position_does_not_hinder_interpolation_but_a_bad_one_does():
    names, data = (*NAMES[:-1], "X7"), smooth()
    data[6] = 0
    repair(names, ChannelReport(("CZ",), (), (), 20), "interpolate", "sub-01").apply(data)
    assert data[6].std() > 0
    with pytest.raises(UserError, match="no position for bad channels X7"):
        repair(names, ChannelReport(("X7",), (), (), 20), "interpolate", "sub-01")


def test_a_montage_that_is_mostly_dead_is_not_interpolated():
    report = ChannelReport(flat=NAMES[:9], nan=(), clipped=(), median_sd_uv=20)
    with pytest.raises(UserError, match="cannot be interpolated, bad: flat FP1"):
        repair(NAMES, report, "interpolate", "sub-01")


@pytest.mark.parametrize(
    "file",
    ["physionet_eegmmidb/S001/S001R01.edf", "physionet_eegmmidb/S003/S003R08.edf", "physionet_eegmat/Subject00_2.edf"],
)
def test_real_recordings_have_no_findings_and_microvolts(realdata, file):
    raw = mne.io.read_raw_edf(realdata / file, verbose="ERROR")
    names = [name for name in raw.ch_names if "ECG" not in name]
    report = inspect_channels(raw.get_data(picks=names) * 1e6, names, raw.info["sfreq"])
    assert report.bad == ()
    check_amplitude(report.median_sd_uv, 1, 200, file)
