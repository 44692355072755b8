"""Power in the classical frequency bands, for whole batches of windows."""

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unimontage.errors import UserError

Array = TypeVar("Array", np.ndarray, Tensor)

BANDS: dict[str, tuple[float, float]] = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 14.0),
    "beta": (14.0, 31.0),
    "gamma": (31.0, 45.0),
}
"""Hertz, lower edge included and upper edge not: the differential entropy bands of SEED, gamma cut below the mains."""
FLOOR_UV2 = 1e-12
"""Least power of which a logarithm is taken: a channel that was kept although it is flat has none."""


def band_power(signal: Array, sfreq_hz: float, bands: Mapping[str, tuple[float, float]] = BANDS) -> Array:
    """Power of each channel in each band, by one Hann-windowed Fourier transform.

    Parameters
    ----------
    signal : ndarray or Tensor, shape (N, C, T)
        Windows, in microvolt.
    sfreq_hz : float
        Sampling rate.
    bands : mapping of name to (low, high)
        Bands in Hz; a bin at ``high`` belongs to the next band.

    Returns
    -------
    ndarray or Tensor, shape (N, C, B)
        Squared microvolt, as the input is: over all bins the powers add up to the variance (Parseval), of a sinusoid
        of amplitude a to a^2 / 2.

    Raises
    ------
    UserError
        A band reaches beyond Nyquist or holds no bin of so short a window.
    """
    x = _tensor(signal)
    T = x.shape[-1]
    members = _members(T, sfreq_hz, bands).to(x)  # (bins, B)
    taper = torch.hann_window(T, dtype=x.dtype, device=x.device)
    centred = x - x.mean(dim=-1, keepdim=True)  # a Hann window would leak the offset into the first bin
    spectrum = torch.fft.rfft(centred * taper, dim=-1).abs().square()  # (N, C, bins)
    power = spectrum @ members * (2 / (T * taper.square().sum()))  # (N, C, B); 2: the negative frequencies
    return power if isinstance(signal, Tensor) else power.numpy()


def differential_entropy(signal: Array, sfreq_hz: float, bands: Mapping[str, tuple[float, float]] = BANDS) -> Array:
    """Differential entropy of each channel in each band, in nats: 0.5 log(2 pi e sigma^2).

    Parameters
    ----------
    signal, sfreq_hz, bands
        As for :func:`band_power`.

    Returns
    -------
    ndarray or Tensor, shape (N, C, B)
        Entropy of a Gaussian of the band's power, floored at 1e-12 squared microvolt.

    Raises
    ------
    UserError
        As for :func:`band_power`.

    Notes
    -----
    Duan, Zhu, Lu 2013 (differential entropy feature for EEG-based emotion classification), eq. 1 and 2.
    """
    power = band_power(_tensor(signal), sfreq_hz, bands)
    entropy = 0.5 * torch.log(2 * math.pi * math.e * power.clamp_min(FLOOR_UV2))
    return entropy if isinstance(signal, Tensor) else entropy.numpy()


def _tensor(signal: np.ndarray | Tensor) -> Tensor:
    """The same memory as a tensor, or a copy where it may not be written to (windows that are read from a file)."""
    return signal if isinstance(signal, Tensor) else torch.from_numpy(np.require(signal, requirements="W"))


def _members(T: int, sfreq_hz: float, bands: Mapping[str, tuple[float, float]]) -> Tensor:
    """Which bin belongs to which band; shape (bins, B), 0 and 1."""
    frequency = torch.arange(T // 2 + 1, dtype=torch.float64) * (sfreq_hz / T)  # (bins,)
    edges = torch.tensor(list(bands.values()), dtype=torch.float64)  # (B, 2)
    # A window of 1/3 s must not lose the bin at 3 Hz to rounding.
    low, high = edges[:, 0] - 1e-9, edges[:, 1] - 1e-9
    members = (frequency[:, None] >= low) & (frequency[:, None] < high)
    for (name, (lowest, highest)), bins in zip(bands.items(), members.sum(dim=0).tolist(), strict=True):
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
