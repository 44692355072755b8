"""Random views of single-channel windows, a whole batch at a time.

Each operation is a pair: ``draw_*`` takes random numbers from an explicit generator, ``apply_*`` is a pure function of
them. An operation that is not to touch a row draws its neutral value there (factor 1, sigma 0, length 0), so that the
batch never has to be split.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from unimontage.sharing import drawn, repeated


class AugmentationOptions(Protocol):
    """What is read from the configuration; any object with these attributes will do."""

    crop_min: float  # shortest crop, share of the window
    scale_low: float
    scale_high: float
    noise_max: float  # largest noise, in standard deviations of the segment
    mask_max: float  # longest mask, share of the window
    probability: float  # of scaling, of noise, of masking; the crop is always made


class Crop(NamedTuple):
    """Share of the window kept, and where it begins (0 to 1 - scale); shape (B,) each."""

    start: Tensor
    scale: Tensor


class Noise(NamedTuple):
    """Standard deviation relative to the segment's, shape (B,), and unit noise, shape (B, T)."""

    sigma: Tensor
    unit: Tensor


class Mask(NamedTuple):
    """First masked sample and number of masked samples; int64, shape (B,) each."""

    start: Tensor
    length: Tensor


def two_views(x: Tensor, generator: Generator, config: AugmentationOptions) -> tuple[Tensor, Tensor]:
    """Two independent random views of every window.

    Parameters
    ----------
    x : Tensor, shape (B, T)
        One channel a row, z-scored, float32 or float64, T >= 2.
    generator : torch.Generator
        Drawn from on its own device; on the CPU it gives the same views whatever device ``x`` is on.
    config : AugmentationOptions
        Limits and probability.

    Returns
    -------
    tuple of Tensor, shape (B, T) each
    """
    with repeated(2):
        first, second = augment(x.repeat(2, 1), generator, config).chunk(2)
    return first, second


def augment(x: Tensor, generator: Generator, config: AugmentationOptions) -> Tensor:
    """One random view of every row of x, shape (B, T): crop, then scale, noise and mask, each with the probability."""
    crop = draw_crop(x, generator, config.crop_min)
    factor = draw_scale(x, generator, config.scale_low, config.scale_high, config.probability)
    noise = draw_noise(x, generator, config.noise_max, config.probability)
    mask = draw_mask(x, generator, config.mask_max, config.probability)
    return apply_mask(apply_noise(apply_scale(apply_crop(x, crop), factor), noise), mask)


def draw_crop(x: Tensor, generator: Generator, minimum: float) -> Crop:
    """Scale uniform in (minimum, 1), start uniform in what is left."""
    scale = _uniform(x, generator, minimum, 1.0)
    return Crop(_uniform(x, generator, 0.0, 1.0) * (1.0 - scale), scale)


def apply_crop(x: Tensor, crop: Crop) -> Tensor:
    """Stretch each row's crop back to T samples by linear interpolation.

    Output sample t is read at ``(T - 1) start + scale t``: the crop's ends fall on the window's first and last sample.
    """
    last = x.shape[1] - 1
    grid = torch.arange(last + 1, device=x.device, dtype=x.dtype)
    place = torch.addcmul((crop.start * last)[:, None], crop.scale[:, None], grid)  # (B, T), in samples
    left = place.floor().clamp_(0, last - 1)
    share = place.sub_(left)  # of the right neighbour
    index = left.long()
    return x.gather(1, index).lerp_(x.gather(1, index.add_(1)), share)


def draw_scale(x: Tensor, generator: Generator, low: float, high: float, probability: float) -> Tensor:
    """Amplitude factor, shape (B,): uniform in (low, high) with the probability, else 1."""
    factor = _uniform(x, generator, low, high)
    return torch.where(_chosen(x, generator, probability), factor, torch.ones_like(factor))


def apply_scale(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply each row by its factor."""
    return x * factor[:, None]


def draw_noise(x: Tensor, generator: Generator, maximum: float, probability: float) -> Noise:
    """Noise of relative standard deviation uniform in (0, maximum) with the probability, else 0."""
    sigma = _uniform(x, generator, 0.0, maximum) * _chosen(x, generator, probability)
    like = {"generator": generator, "device": generator.device, "dtype": x.dtype}
    return Noise(sigma, drawn(lambda n: torch.randn(n, x.shape[1], **like), len(x)).to(x.device))


def apply_noise(x: Tensor, noise: Noise) -> Tensor:
    """Add noise in proportion to each row's own standard deviation (divisor T)."""
    variance = (x - x.mean(1, keepdim=True)).square_().mean(1, keepdim=True)  # a sixth of the time of torch.var
    return torch.addcmul(x, noise.sigma[:, None] * variance.sqrt(), noise.unit)


def draw_mask(x: Tensor, generator: Generator, maximum: float, probability: float) -> Mask:
    """Mask of at most ``maximum`` of the window with the probability, else of length 0; start uniform where it fits."""
    samples = x.shape[1]
    longest = int(maximum * samples)
    length = (_uniform(x, generator, 0.0, 1.0) * (longest + 1)).long().clamp_(max=longest)
    length = length * _chosen(x, generator, probability)
    start = (_uniform(x, generator, 0.0, 1.0) * (samples - length + 1)).long()
    return Mask(torch.minimum(start, samples - length), length)  # a product rounded up would run over the end


def apply_mask(x: Tensor, mask: Mask) -> Tensor:
    """Set each row's masked samples to zero, its mean."""
    sample = torch.arange(x.shape[1], device=x.device)
    end = (mask.start + mask.length)[:, None]
    return x.masked_fill((sample >= mask.start[:, None]) & (sample < end), 0.0)


def _uniform(x: Tensor, generator: Generator, low: float, high: float) -> Tensor:
    """One number a row, uniform in [low, high), on the device of x."""
    like = {"generator": generator, "device": generator.device, "dtype": x.dtype}
    return drawn(lambda n: torch.rand(n, **like), len(x)).mul_(high - low).add_(low).to(x.device)


def _chosen(x: Tensor, generator: Generator, probability: float) -> Tensor:
    """True with the probability, one draw a row."""
    return _uniform(x, generator, 0.0, 1.0) < probability
