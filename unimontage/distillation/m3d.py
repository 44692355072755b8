"""Distillation by matching distributions: synthetic windows move towards the real ones, which then take their place."""

import copy
import math

import numpy as np
import torch
from torch import Tensor, nn

from unimontage.distillation.nearest import nearest_unique
from unimontage.distillation.pca import Windows, read
from unimontage.errors import UserError

BATCH, SAMPLED = 256, 64  # real and synthetic windows of a step
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the Gaussian kernels, in mean squared distances
SHORTEST = 32  # samples that leave something after both poolings


class RandomFeatures(nn.Module):
    """A small EEGNet with the weights it was born with: windows (B, C, T) to features (B, 32).

    Notes
    -----
    Lawhern et al. 2018 with F1 = 4 temporal and F2 = 8 separable filters. There is no batch norm: in a network that has
    seen no data it does nothing, and the features of a window must not depend on the others of its batch.
    """

    def __init__(self, channels: int, n_times: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, (1, 64), padding=(0, 32), bias=False),
            nn.Conv2d(4, 8, (channels, 1), groups=4, bias=False),
            nn.ELU(),
            nn.AvgPool2d((1, 4)),
            nn.Conv2d(8, 8, (1, 16), padding=(0, 8), groups=8, bias=False),
            nn.Conv2d(8, 8, 1, bias=False),
            nn.ELU(),
            nn.AvgPool2d((1, 8)),
            nn.Flatten(),
            nn.Linear(8 * (((n_times + 1) // 4 + 1) // 8), 32),
        )
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, 32) of windows x (B, C, T)."""
        return self.layers(x[:, None])


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two sets of features.

    Parameters
    ----------
    a, b : Tensor, shapes (n, d), (m, d)

    Returns
    -------
    Tensor, shape ()
        Mean K(a, a) - 2 mean K(a, b) + mean K(b, b), at least 0 up to rounding; K is the sum of five Gaussian kernels.

    Notes
    -----
    Gretton et al. 2012; widths of the kernels as in Zhang et al. 2024: the mean squared distance of all pairs, times a
    quarter to four.
    """
    both = torch.cat([a, b])
    length = both.square().sum(1)
    squared = (length[:, None] + length - 2 * both @ both.T).clamp(min=0)  # (n + m, n + m)
    width = squared.detach().sum() / (len(both) * (len(both) - 1))
    kernel = sum(torch.exp(-squared / (width * factor).clamp(min=1e-12)) for factor in WIDTHS)
    n = len(a)
    return kernel[:n, :n].mean() - 2 * kernel[:n, n:].mean() + kernel[n:, n:].mean()


def match_moments(
    windows: Windows, positions: np.ndarray, n: int, *, iterations: int = 5, seed: int = 0, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the real windows next to synthetic ones that match the distribution of all.

    Parameters
    ----------
    windows : callable
        Windows (m, C, T) at positions (m,).
    positions : ndarray of int, shape (N,)
        Windows that may be chosen.
    n : int
        How many, at most N.
    iterations : int
        Passes over the real windows, at least 1. Five are published; the method was made for thousands.
    seed : int
        Of the first synthetic windows, networks, samples and augmentations.
    device : str
        Where torch computes.

    Returns
    -------
    index : ndarray of int64, shape (n,)
        Positions of the chosen windows, all different.
    distance : ndarray of float64, shape (n,)
        From each to its synthetic window, in features.

    Raises
    ------
    UserError
        Windows are too short or not finite, or there are no passes.

    Notes
    -----
    Zhang et al. 2024 (M3D), as EEG-DLite adapts it to windows without labels. The published method keeps the synthetic
    windows; a selection is a list of real ones, so here each synthetic window gives way to the real window nearest to
    it in the features of one more random network. A step sees 64 of the synthetic windows, and only the moments of Adam
    that belong to them move.
    """
    if iterations < 1:
        raise UserError(f"m3d: {iterations} passes", expected="at least 1", mend="iterations: 5")
    generator = torch.Generator().manual_seed(seed)
    shape = windows(positions[:1]).shape[1:]
    if shape[1] < SHORTEST:
        raise UserError(f"m3d: windows of {shape[1]} samples", expected=f"{SHORTEST} or more")
    draw = np.random.default_rng(seed)
    synthetic = nn.Embedding.from_pretrained(
        _scaled(windows, draw.choice(positions, n, replace=False)).flatten(1).clamp(-1, 1), freeze=False, sparse=True
    ).to(device)
    optimiser = torch.optim.SparseAdam(synthetic.parameters(), lr=1e-3)
    least, best = math.inf, copy.deepcopy(synthetic.weight.data)
    for _ in range(iterations):
        features = _random_features(shape, generator).to(device)
        losses = []
        order = draw.permutation(positions)
        for first in range(0, len(order), BATCH):
            real = _augment(_scaled(windows, order[first : first + BATCH]), generator).to(device)
            sampled = torch.randperm(n, generator=generator)[:SAMPLED]
            made = _augment(synthetic(sampled.to(device)).unflatten(1, shape), generator)
            loss = mmd(features(made), features(real))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        if np.mean(losses) < least:
            least, best = float(np.mean(losses)), synthetic.weight.data.clone()
    return _nearest_real(windows, positions, best, _random_features(shape, generator).to(device), shape)


def _nearest_real(
    windows: Windows, positions: np.ndarray, synthetic: Tensor, features: RandomFeatures, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    parts = [positions[first : first + BATCH] for first in range(0, len(positions), BATCH)]
    real = torch.cat([features(_scaled(windows, part).to(synthetic.device)) for part in parts])  # (N, 32)
    made = torch.cat([features(rows.unflatten(1, shape)) for rows in synthetic.split(BATCH)])  # (n, 32)
    index, distance = nearest_unique(made.cpu().numpy(), real.cpu().numpy())
    return positions[index], distance


def _random_features(shape: tuple[int, int], generator: torch.Generator) -> RandomFeatures:
    """A fresh network, without touching torch's own generator for good."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        return RandomFeatures(*shape)


def _scaled(windows: Windows, positions: np.ndarray) -> Tensor:
    """Windows (n, C, T) with mean 0 and standard deviation 1 over channels and samples."""
    x = torch.from_numpy(np.array(read(windows, positions), dtype=np.float32))
    return (x - x.mean((1, 2), keepdim=True)) / (x.std((1, 2), keepdim=True) + 1e-8)


def _augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Scale the windows (n, C, T), each by its own factor of 1/1.2 to 1.2, or add noise of 0.05 of their deviation."""
    if torch.rand((), generator=generator) < 0.5:
        factor = 1 / 1.2 + (1.2 - 1 / 1.2) * torch.rand((len(x), 1, 1), generator=generator)
        return x * factor.to(x.device)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    return x + 0.05 * x.detach().std((1, 2), keepdim=True) * noise
