"""Remove one frequency band from each window of a batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from unimontage.signal.bands import band_bins


def mask_band(x: Tensor, band: Tensor, bands: Mapping[str, tuple[float, float]], sfreq_hz: float) -> Tensor:
    """Set the Fourier coefficients of one band to zero, on all channels of a window alike.

    Parameters
    ----------
    x : Tensor, shape (B, C, T)
        Windows, float32 or float64.
    band : Tensor of int64, shape (B,)
        Which band each window loses, counted in the order of ``bands``.
    bands : mapping of name to (low, high)
        Bands in Hz, lower edge included and upper edge not.
    sfreq_hz : float
        Sampling rate.

    Returns
    -------
    Tensor, shape (B, C, T)

    Raises
    ------
    UserError
        A band reaches beyond Nyquist or holds no bin of so short a window.
    """
    bins = torch.from_numpy(band_bins(x.shape[2], sfreq_hz, bands)).to(x.device)  # (F, bands)
    lost = bins.T[band].unsqueeze(1)  # (B, 1, F)
    return torch.fft.irfft(torch.fft.rfft(x).masked_fill(lost, 0.0), n=x.shape[2])
