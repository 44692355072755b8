"""The random views of SeqCLR for windows of several channels, a whole batch at a time.

As in :mod:`unimontage.signal.augment`, ``choose`` and ``draw`` take all random numbers and the ``apply_*`` are pure
functions of them; an operation that is not to touch a window has its neutral value there (factor 1, shift 0, ...).
What is drawn for a window holds for all its channels: channels shifted or masked apart would no longer tell where a
wave comes from.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from unimontage.sharing import drawn, everyone, own

SCALE = (0.5, 2.0)  # amplitude factor
SHIFT_S = 1.0  # largest circular shift, either way
OFFSET_UV = 10.0  # largest constant added, either way
MASK_S = 1.0  # longest stretch of zeros
NOISE = 0.2  # largest standard deviation of the noise, in units of the signal
STOP_HZ = (2.8, 47.5)  # centre of the band-stop
STOP_WIDTH_HZ = 2.5
OPERATIONS = 6  # scale, shift, offset, mask, noise, band-stop
NOISY = 4  # which of them is noise
A_VIEW = 2  # different operations that make a view


class View(NamedTuple):
    """What happens to each window of a batch; shape (B,) each.

    Attributes
    ----------
    factor : Tensor
        Amplitude factor; 1 for none.
    shift : Tensor of int64
        Samples that the window is turned to the right; 0 for none.
    offset : Tensor
        Constant added, in units of the signal; 0 for none.
    start, length : Tensor of int64
        First sample set to zero and how many; length 0 for none.
    sigma : Tensor
        Standard deviation of the noise, in units of the signal; 0 for none.
    centre_hz : Tensor
        Middle of the band that is removed; infinite for none.
    """

    factor: Tensor
    shift: Tensor
    offset: Tensor
    start: Tensor
    length: Tensor
    sigma: Tensor
    centre_hz: Tensor


def seqclr_view(x: Tensor, generator: Generator, sfreq_hz: float, *, microvolt: float | Tensor = 0.1) -> Tensor:
    """One random view of every window: two different operations out of six, drawn for each window.

    Parameters
    ----------
    x : Tensor, shape (B, C, T)
        Windows scaled to about unit deviation, float32 or float64.
    generator : torch.Generator
        Drawn from on its own device.
    sfreq_hz : float
        Sampling rate.
    microvolt : float or Tensor of shape (B,)
        How many units of x one microvolt is: 1 / s where a recording was divided by s microvolt. A tenth is what
        sleep EEG of a common deviation of 10 microvolt has.

    Returns
    -------
    Tensor, shape (B, C, T)

    Notes
    -----
    Mohsenvand et al. 2020, table 1, with the ranges of MTSSRL-MD, table 8, there in samples at 100 Hz. The operations
    follow each other as in the table: scale, shift, offset, mask, noise, band-stop; a constant may as well be added
    before the window is turned.
    """
    every = choose(everyone(len(x)), generator)  # (6, rows of the whole batch)
    chosen = own(every, dim=1).to(x.device)  # (6, B)
    view = draw(x, chosen, generator, sfreq_hz, microvolt=microvolt)
    _, shifted, _, masked, noisy, stopped = chosen
    unit = _unit_noise(x, every[NOISY], generator)
    x = apply_gain(x, view.factor, view.offset)  # a copy
    x = _apply(apply_shift, x, shifted, view.shift)
    x = _apply(apply_mask, x, masked, view.start, view.length)
    x = _apply(partial(apply_noise, unit=unit), x, noisy, view.sigma)
    return _apply(partial(apply_band_stop, sfreq_hz=sfreq_hz), x, stopped, view.centre_hz)


def _apply(operation: Callable[..., Tensor], x: Tensor, chosen: Tensor, *parameters: Tensor) -> Tensor:
    """Windows after an operation that does nothing to those it was not chosen for; in place, or of all of them anew."""
    if not _only_chosen(x):
        return operation(x, *parameters)
    rows = chosen.nonzero().squeeze(1)
    if len(rows):  # a Fourier transform of nothing is an error
        x.index_copy_(0, rows, operation(*(each.index_select(0, rows) for each in (x, *parameters))))
    return x


def _unit_noise(x: Tensor, noisy: Tensor, generator: Generator) -> Tensor:
    """Noise of unit deviation for as many windows as :func:`_apply` works on.

    Parameters
    ----------
    noisy : Tensor of bool, shape (N,)
        Windows that get noise, of the whole batch that x (B, C, T) is a share of.
    """
    like = {"generator": generator, "device": generator.device, "dtype": x.dtype}
    if not _only_chosen(x):
        return drawn(lambda n: torch.randn(n, *x.shape[1:], **like), len(x)).to(x.device)
    unit = torch.randn(int(noisy.sum()), *x.shape[1:], **like)  # drawing is the dearest part of a view
    place = noisy.cumsum(0) - 1
    return unit[own(place)[own(noisy)]]


def _only_chosen(x: Tensor) -> bool:
    """Whether to work on the chosen windows alone. To count those on a GPU the processor would have to wait for it."""
    return x.device.type == "cpu"


def choose(windows: int, generator: Generator) -> Tensor:
    """Which two of the operations each window gets, in their order; bool, shape (6, windows)."""
    lots = torch.rand(OPERATIONS, windows, generator=generator, device=generator.device)
    return lots.argsort(0).argsort(0) < A_VIEW


def draw(x: Tensor, chosen: Tensor, generator: Generator, sfreq_hz: float, *, microvolt: float | Tensor) -> View:
    """How the chosen operations turn out; arguments as in :func:`seqclr_view`, chosen as of :func:`choose`."""
    B, T = len(x), x.shape[2]
    like = {"generator": generator, "device": generator.device, "dtype": x.dtype}
    lots = drawn(lambda n: torch.rand(OPERATIONS + 1, n, **like), B, dim=1).to(x.device)
    scaled, shifted, offset, masked, noisy, stopped = chosen
    furthest, longest = min(round(SHIFT_S * sfreq_hz), T), min(round(MASK_S * sfreq_hz), T)
    length = _integer(lots[3], longest) * masked
    return View(
        factor=torch.where(scaled, _between(lots[0], *SCALE), 1.0),
        shift=(_integer(lots[1], 2 * furthest) - furthest) * shifted,
        offset=_between(lots[2], -OFFSET_UV, OFFSET_UV) * microvolt * offset,
        start=torch.minimum((lots[6] * (T - length + 1)).long(), T - length),  # a product rounded up would run over
        length=length,
        sigma=_between(lots[4], 0.0, NOISE) * noisy,
        centre_hz=torch.where(stopped, _between(lots[5], *STOP_HZ), math.inf),
    )


def apply_gain(x: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """Multiply each window by its factor and add its constant."""
    return torch.addcmul(offset[:, None, None], x, factor[:, None, None])


def apply_shift(x: Tensor, shift: Tensor) -> Tensor:
    """Turn each window to the right: what leaves at the end comes in at the beginning."""
    T = x.shape[2]
    source = (torch.arange(T, device=x.device) - shift[:, None]) % T  # (B, T)
    return x.gather(2, source.unsqueeze(1).expand(x.shape))


def apply_mask(x: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """Set a stretch of each window to zero."""
    sample = torch.arange(x.shape[2], device=x.device)
    inside = (sample >= start[:, None]) & (sample < (start + length)[:, None])  # (B, T)
    return x.masked_fill(inside.unsqueeze(1), 0.0)


def apply_noise(x: Tensor, sigma: Tensor, unit: Tensor) -> Tensor:
    """Add unit noise (B, C, T) times each window's deviation."""
    return torch.addcmul(x, sigma[:, None, None], unit)


def apply_band_stop(x: Tensor, centre_hz: Tensor, sfreq_hz: float) -> Tensor:
    """Remove 2.5 Hz around each window's centre by one Fourier transform; an infinite centre leaves it untouched."""
    T = x.shape[2]
    frequency = torch.arange(T // 2 + 1, device=x.device, dtype=x.dtype) * (sfreq_hz / T)  # (F,)
    stop = (frequency - centre_hz[:, None]).abs() <= STOP_WIDTH_HZ / 2  # (B, F)
    filtered = torch.fft.irfft(torch.fft.rfft(x).masked_fill(stop.unsqueeze(1), 0.0), n=T)
    return torch.where(centre_hz.isfinite()[:, None, None], filtered, x)


def _between(lot: Tensor, low: float, high: float) -> Tensor:
    """A lot of [0, 1) stretched to [low, high)."""
    return lot * (high - low) + low


def _integer(lot: Tensor, largest: int) -> Tensor:
    """A lot of [0, 1) as one of 0, 1, ..., largest."""
    return (lot * (largest + 1)).long().clamp_(max=largest)
