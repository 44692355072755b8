import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.signal.bands import BANDS, band_power, differential_entropy


def tones(*frequencies, sfreq_hz=128, seconds=1.0, amplitude=10.0):
    time = np.arange(round(seconds * sfreq_hz)) / sfreq_hz
    return np.stack([amplitude * np.sin(2 * np.pi * f * time + 0.7) for f in frequencies])[None]  # (1, C, T)


def test_a_tone_has_half_its_squared_amplitude_in_its_own_band():
    power = band_power(tones(2.5, 6, 11, 20, 38, seconds=4), 128)
    assert power.shape == (1, 5, 5)
    np.testing.assert_allclose(np.diagonal(power[0]), 50, rtol=1e-6)
    assert (power[0].sum(axis=1) - np.diagonal(power[0]) < 1e-6).all()


def test_bands_that_cover_everything_add_up_to_the_variance():
    noise = np.random.default_rng(0).normal(0, 15, (64, 3, 4000))
    whole = band_power(noise, 128, {"low": (0.01, 20), "high": (20, 64)}).sum(axis=-1)
    np.testing.assert_allclose(whole.mean(), 225, rtol=0.01)


def test_neighbouring_bands_share_no_frequency():
    split = band_power(tones(7, 8, 9), 128, {"theta": (4, 8), "alpha": (8, 14)})
    joined = band_power(tones(7, 8, 9), 128, {"both": (4, 14)})
    np.testing.assert_allclose(split.sum(axis=-1), joined[..., 0])


def test_an_offset_leaks_into_no_band():
    np.testing.assert_allclose(band_power(tones(10) + 5000, 128), band_power(tones(10), 128), atol=1e-6)


def test_differential_entropy_is_that_of_a_gaussian_of_the_power_of_the_band():
    signal = np.random.default_rng(1).normal(0, 20, (7, 4, 256))
    np.testing.assert_allclose(
        differential_entropy(signal, 128), 0.5 * np.log(2 * np.pi * np.e * band_power(signal, 128)), rtol=1e-12
    )


def test_a_dead_channel_has_a_finite_entropy():
    assert np.isfinite(differential_entropy(np.zeros((2, 3, 128), dtype=np.float32), 128)).all()


def test_windows_from_a_read_only_file_are_taken(recwarn):
    signal = tones(3)
    signal.flags.writeable = False
    assert band_power(signal, 128).shape == (1, 1, 5)
    assert not recwarn


def test_a_band_beyond_nyquist_and_one_without_a_bin_are_errors():
    with pytest.raises(UserError, match=r"band gamma \(31-45 Hz\) reaches beyond 40 Hz"):
        band_power(np.ones((1, 1, 80)), 80)
    with pytest.raises(UserError, match=r"band delta \(1-4 Hz\) holds no frequency of a window of 0.2 s"):
        band_power(np.ones((1, 1, 40)), 200)


def test_real_closed_eyes_show_more_alpha_over_the_occiput(realdata):
    mne = pytest.importorskip("mne")

    def occipital(run):
        raw = mne.io.read_raw_edf(realdata / f"physionet_eegmmidb/S001/S001R{run}.edf", verbose="ERROR")
        data = raw.get_data(picks=["O1..", "Oz..", "O2.."])[:, : 60 * 160] * 1e6
        return band_power(data.reshape(3, 30, 320).swapaxes(0, 1), 160).mean(axis=(0, 1))  # (B,)

    ratio = dict(zip(BANDS, occipital("02") / occipital("01"), strict=True))
    assert ratio["alpha"] > 3
    assert max(ratio, key=ratio.get) == "alpha"
