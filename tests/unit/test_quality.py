import mne
import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.signal.quality import ChannelReport, check_amplitude, handle_bad_channels, inspect_channels

NAMES = ("FP1", "FP2", "F3", "FZ", "F4", "C3", "CZ", "C4", "P3", "PZ", "P4", "O1", "OZ", "O2", "T7", "T8")
SFREQ_HZ = 128.0


def smooth(seconds=30, seed=0, sd_uv=20.0):
    """Channels (C, S) whose neighbours resemble each other, as on a head."""
    from unimontage.montage.positions import positions_3d

    places = positions_3d(NAMES)
    near = np.exp(-np.square(places[:, None] - places[None]).sum(axis=-1) / 0.1**2)
    sources = np.random.default_rng(seed).normal(0, 1, (len(NAMES), round(seconds * SFREQ_HZ)))
    data = near @ sources
    return sd_uv * data / data.std()


def raw_of(data_uv, names=NAMES):
    return mne.io.RawArray(data_uv / 1e6, mne.create_info(list(names), SFREQ_HZ, "eeg"), verbose="ERROR")


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


def test_a_sound_recording_passes_every_policy_unchanged():
    raw = raw_of(smooth())
    for policy in ("stop", "interpolate", "keep"):
        assert handle_bad_channels(raw, inspect(smooth()), policy, "sub-01") is raw


def test_stop_names_every_bad_channel_and_why():
    report = ChannelReport(flat=("F3",), nan=("CZ",), clipped=("O1", "O2"), median_sd_uv=20)
    with pytest.raises(UserError, match=r"sub-01: bad channels: NaN CZ; flat F3; clipped O1, O2; .*interpolate"):
        handle_bad_channels(raw_of(smooth()), report, "stop", "sub-01")


def test_flat_and_clipped_channels_may_be_kept_but_never_nan():
    raw = raw_of(smooth())
    kept = ChannelReport(flat=("F3",), nan=(), clipped=("O1",), median_sd_uv=20)
    assert handle_bad_channels(raw, kept, "keep", "sub-01") is raw
    with pytest.raises(UserError, match="bad channels: NaN CZ;"):
        handle_bad_channels(raw, ChannelReport(("F3",), ("CZ",), (), 20), "keep", "sub-01")


def test_interpolation_restores_a_dead_channel_from_its_neighbours_and_touches_no_other():
    truth = smooth()
    broken = truth.copy()
    broken[6] = np.nan
    raw = raw_of(broken)
    out = handle_bad_channels(raw, inspect(broken), "interpolate", "sub-01")
    data = out.get_data() * 1e6
    assert np.corrcoef(data[6], truth[6])[0, 1] > 0.9
    np.testing.assert_allclose(np.delete(data, 6, axis=0), np.delete(truth, 6, axis=0), rtol=1e-9)
    assert np.isnan(raw.get_data()[6]).all()
    assert out.info["bads"] == []


def test_a_good_channel_without_a_position_does_not_hinder_interpolation_but_a_bad_one_does():
    names = (*NAMES[:-1], "X7")
    broken = smooth()
    broken[6] = 0
    raw = raw_of(broken, names)
    out = handle_bad_channels(raw, ChannelReport(("CZ",), (), (), 20), "interpolate", "sub-01")
    assert out.get_data()[6].std() > 0
    with pytest.raises(UserError, match="no position for bad channels X7"):
        handle_bad_channels(raw, ChannelReport(("X7",), (), (), 20), "interpolate", "sub-01")


def test_a_montage_that_is_mostly_dead_is_not_interpolated():
    report = ChannelReport(flat=NAMES[:9], nan=(), clipped=(), median_sd_uv=20)
    with pytest.raises(UserError, match="cannot be interpolated, bad: flat FP1"):
        handle_bad_channels(raw_of(smooth()), report, "interpolate", "sub-01")


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
