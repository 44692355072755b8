"""Power in the classical frequency bands, for whole batches of windows."""

import math
from collections.abc import Mapping

import numpy as np
from scipy import fft

from unimontage.errors import UserError

BANDS: dict[str, tuple[float, float]] = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 14.0),
    "beta": (14.0, 31.0),
    "gamma": (31.0, 45.0),
}
"""Hertz, lower edge included and upper edge not: the differential entropy bands of SEED, gamma cut below the mains."""
SLEEP_BANDS: dict[str, tuple[float, float]] = {
    "delta": (0.5, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 12.0),
    "sigma": (12.0, 16.0),
    "beta": (16.0, 30.0),
    "gamma": (30.0, 50.0),
}
"""Hertz: the bands of sleep, in which spindles (sigma) are apart. Of gamma a low-pass at 40 Hz leaves little."""
SLEEP_BANDS_WITHOUT_GAMMA = {name: edges for name, edges in SLEEP_BANDS.items() if name != "gamma"}
FLOOR_UV2 = 1e-12
"""Least power of which a logarithm is taken: a channel that was kept although it is flat has none."""


def band_power(signal: np.ndarray, sfreq_hz: float, bands: Mapping[str, tuple[float, float]] = BANDS) -> np.ndarray:
    """Power of each channel in each band, by one Hann-windowed Fourier transform.

    Parameters
    ----------
    signal : ndarray, shape (N, C, T)
        Windows, in microvolt.
    sfreq_hz : float
        Sampling rate.
    bands : mapping of name to (low, high)
        Bands in Hz; a bin at ``high`` belongs to the next band.

    Returns
    -------
    ndarray, shape (N, C, B)
        Squared microvolt: over all bins the powers add up to the variance (Parseval), of a sinusoid
        of amplitude a to a^2 / 2.

    Raises
    ------
    UserError
        A band reaches beyond Nyquist or holds no bin of so short a window.
    """
    T = signal.shape[-1]
    members = band_bins(T, sfreq_hz, bands).astype(signal.dtype)  # (bins, B)
    taper = np.hanning(T + 1)[:-1].astype(signal.dtype)  # periodic
    centred = signal - signal.mean(axis=-1, keepdims=True)  # a Hann window would leak the offset into the first bin
    spectrum = np.abs(fft.rfft(centred * taper, axis=-1)) ** 2  # (N, C, bins)
    return spectrum @ members * (2 / (T * np.sum(taper**2)))  # (N, C, B); 2: the negative frequencies


def differential_entropy(
    signal: np.ndarray, sfreq_hz: float, bands: Mapping[str, tuple[float, float]] = BANDS
) -> np.ndarray:
    """Differential entropy of each channel in each band, in nats: 0.5 log(2 pi e sigma^2).

    Parameters
    ----------
    signal, sfreq_hz, bands
        As for :func:`band_power`.

    Returns
    -------
    ndarray, shape (N, C, B)
        Entropy of a Gaussian of the band's power, floored at 1e-12 squared microvolt.

    Raises
    ------
    UserError
        As for :func:`band_power`.

    Notes
    -----
    Duan, Zhu, Lu 2013 (differential entropy feature for EEG-based emotion classification), eq. 1 and 2.
    """
    power = band_power(signal, sfreq_hz, bands)
    return 0.5 * np.log(2 * math.pi * math.e * np.maximum(power, FLOOR_UV2))


def band_bins(T: int, sfreq_hz: float, bands: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Which bin of the Fourier transform of a window belongs to which band.

    Parameters
    ----------
    T : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.
    bands : mapping of name to (low, high)
        Bands in Hz; a bin at ``high`` belongs to the next band.

    Returns
    -------
    ndarray of bool, shape (T // 2 + 1, B)

    Raises
    ------
    UserError
        A band reaches beyond Nyquist or holds no bin of so short a window.
    """
    frequency = np.arange(T // 2 + 1) * (sfreq_hz / T)  # (bins,)
    edges = np.array(list(bands.values()), dtype=np.float64)  # (B, 2)
    # A window of 1/3 s must not lose the bin at 3 Hz to rounding.
    low, high = edges[:, 0] - 1e-9, edges[:, 1] - 1e-9
    members = (frequency[:, None] >= low) & (frequency[:, None] < high)
    for (name, (lowest, highest)), bins in zip(bands.items(), members.sum(axis=0).tolist(), strict=True):
        if highest > sfreq_hz / 2:
            raise UserError(
                f"band {name} ({lowest:g}-{highest:g} Hz) reaches beyond {sfreq_hz / 2:g} Hz, half the sampling rate",
                expected="bands below the Nyquist frequency",
                mend="leave the band out, or a higher resample_hz",
            )
        if not bins:
            raise UserError(
                f"band {name} ({lowest:g}-{highest:g} Hz) holds no frequency of a window of {T / sfreq_hz:g} s",
                expected=f"windows of at least {1 / (highest - lowest):.3g} s",
                mend="windows: {length_s: 1.0}",
            )
    return members
