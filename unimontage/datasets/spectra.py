"""Coloured noise by its spectrum, and how a source spreads over the scalp."""

from __future__ import annotations

import numpy as np

SPREAD_M = 0.04  # Gaussian kernel of volume conduction
BAND_KNOTS_HZ = (2.0, 5.0, 10.0, 18.0, 28.0, 45.0)
FLAT_BELOW_HZ = 0.3


def spread(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weight (A, B) with which electrodes at `a` (A, 3) see sources at `b` (B, 3), positions in metres."""
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return np.exp(-0.5 * (distance / SPREAD_M) ** 2)


def grid(samples: int, sfreq_hz: float) -> tuple[int, np.ndarray]:
    """Length of a fast transform of at least so many samples, and its frequencies."""
    from scipy.fft import next_fast_len

    n = next_fast_len(samples, real=True)
    return n, np.fft.rfftfreq(n, 1 / sfreq_hz)


def pass_band(frequencies: np.ndarray, band_hz: tuple[float, float]) -> np.ndarray:
    """Butterworth-like amplitude response of fourth order."""
    low, high = band_hz
    response = 1 / np.sqrt(1 + (frequencies / high) ** 8)
    if low:
        response *= 1 / np.sqrt(1 + (low / np.maximum(frequencies, 1e-3)) ** 8)
    return response


def hats(frequencies: np.ndarray) -> np.ndarray:
    """Linear interpolation over log frequency from the band knots: (B, F)."""
    knots, at = np.log(BAND_KNOTS_HZ), np.log(np.maximum(frequencies, 1e-3))
    return np.stack([np.interp(at, knots, row) for row in np.eye(len(knots))]).astype(np.float32)


def unit_rms(shape: np.ndarray, n: int) -> np.ndarray:
    """Scale an amplitude spectrum (..., F) so that complex normal noise times it has unit RMS in time."""
    energy = (shape[..., 1:] ** 2).sum(axis=-1, keepdims=True)
    return (shape * (n / 2) / np.sqrt(energy)).astype(np.float32)


def to_time(spectrum: np.ndarray, n: int, samples: int) -> np.ndarray:
    """Signals (rows, samples) without offset of a spectrum (rows, F); frequencies beyond its last are silent."""
    from scipy.fft import irfft

    spectrum[:, 0] = 0
    return irfft(spectrum, n=n, axis=1)[:, :samples]
