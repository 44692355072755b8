"""What a neural tokenizer gives back of a patch: its amplitude and its phase spectrum."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

EPSILON = 1e-8  # a constant window has no deviation to divide by


class SpectrumLoss(NamedTuple):
    """Mean squared error of each half, shape ()."""

    amplitude: Tensor
    phase: Tensor


def standardised(x: Tensor) -> Tensor:
    """Z-score each window with one mean and one deviation over all that it holds.

    Parameters
    ----------
    x : Tensor, shape (B, ...)
        One window a row.

    Returns
    -------
    Tensor, shape (B, ...), float32
        Finite for a constant window, too.
    """
    x = x.float()
    inside = tuple(range(1, x.ndim))
    centred = x - x.mean(inside, keepdim=True)
    return centred / (centred.square().mean(inside, keepdim=True).sqrt() + EPSILON)


def spectrum_targets(x: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and phase of every patch, each z-scored over channels, patches and frequencies of a window.

    Parameters
    ----------
    x : Tensor, shape (B, C, P, S)
        Patches of S samples.

    Returns
    -------
    amplitude, phase : Tensor, shape (B, C * P, S), float32
        Channel by channel, as tokens are ordered. All S frequencies: the second half mirrors the first.

    Notes
    -----
    Jiang et al. 2024, section 2.2. Computed in float32 even under autocast.
    """
    with torch.autocast(x.device.type, enabled=False):
        spectrum = torch.fft.fft(x.float(), dim=3)  # (B, C, P, S)
        return standardised(spectrum.abs()).flatten(1, 2), standardised(spectrum.angle()).flatten(1, 2)


def spectrum_loss(amplitude: Tensor, phase: Tensor, x: Tensor) -> SpectrumLoss:
    """How far predicted spectra are from those of the patches.

    Parameters
    ----------
    amplitude, phase : Tensor, shape (B, C * P, S)
        Predictions, in the order of :func:`spectrum_targets`.
    x : Tensor, shape (B, C, P, S)
        The patches.

    Returns
    -------
    SpectrumLoss
        Predicting the mean of everything costs 1 in each half.
    """
    wanted = spectrum_targets(x)
    found = (amplitude.float(), phase.float())
    return SpectrumLoss(*(nn.functional.mse_loss(f, w) for f, w in zip(found, wanted, strict=True)))
