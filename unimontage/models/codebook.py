"""A codebook: directions that stand for all that point the same way."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from unimontage.sharing import gathered, summed

ITERATIONS = 10  # of k-means, at the start
ALIVE = 0.01  # share of the average use below which a code counts as unused


class Quantised(NamedTuple):
    """Codes in place of latents."""

    codes: Tensor  # (..., D), float32: unit length; the gradient passes straight through to the latents
    index: Tensor  # (...), int64
    commitment: Tensor  # (): mean squared difference of unit latents and their codes


class Codebook(nn.Module):
    """Replace each latent by the nearest of a number of unit vectors that follow the latents.

    Parameters
    ----------
    codes : int
        Number K of codes.
    d : int
        Dimension D of a code.
    decay : float
        Of the moving averages that codes and their use are, in (0, 1).
    revive : bool
        Move codes that have fallen out of use onto latents of the batch: a remedy against a codebook of which ever
        fewer codes are used. The published model goes without.

    Attributes
    ----------
    revived : Tensor, shape (), int64
        Codes that were moved so far.

    Notes
    -----
    Van den Oord et al. 2017 with the normalised codes of Peng et al. 2022 (BEiT v2), as LaBraM has it (Jiang et al.
    2024, section 2.2). The first training batch starts the codes: k-means by angle, 10 iterations. Codes are no
    parameters: they follow the latents and get no gradient. Computed in float32 even under autocast.
    """

    def __init__(self, codes: int, d: int, *, decay: float = 0.99, revive: bool = True) -> None:
        super().__init__()
        self.decay, self.revive = decay, revive
        self.register_buffer("codes", nn.functional.normalize(torch.randn(codes, d), dim=1))  # (K, D)
        self.register_buffer("count", torch.zeros(codes))  # (K,): latents a batch, averaged over batches
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("revived", torch.tensor(0))
        self._begun = False  # what ``started`` says, once it was asked: to ask a GPU is to wait for it

    def forward(self, z: Tensor) -> Quantised:
        """Quantise latents z (..., D) of any length; in training, let the codes follow them."""
        with torch.autocast(z.device.type, enabled=False):
            unit = nn.functional.normalize(z.float(), dim=-1)
            flat = unit.detach().reshape(-1, unit.shape[-1])  # (N, D)
            if self.training and not self._begun:
                if not self.started:
                    self._start(unit.detach())
                self._begun = True
            index = (flat @ self.codes.T).argmax(1)  # (N,)
            chosen = self.codes[index].view_as(unit)
            commitment = nn.functional.mse_loss(unit, chosen)
            straight = unit + (chosen - unit).detach()
        if self.training:
            self._follow(unit.detach(), index)
        return Quantised(straight, index.view(z.shape[:-1]), commitment)

    def usage(self) -> Tensor:
        """Share of the codes that recent training batches have used, between 0 and 1, shape (); 0 before training."""
        return self._alive().float().mean()

    def _alive(self) -> Tensor:
        return self.count > ALIVE * self.count.mean()  # (K,)

    @torch.no_grad()
    def _start(self, unit: Tensor) -> None:
        """K-means by angle on unit vectors (..., D); a code that nothing is nearest to stays where it is."""
        codes, flat, everyone = len(self.codes), unit.flatten(0, -2), gathered(unit).flatten(0, -2)
        copies = -(-codes // len(everyone))  # a batch smaller than the codebook is taken more than once
        order = torch.cat([torch.randperm(len(everyone), device=unit.device) for _ in range(copies)])
        self.codes.copy_(everyone[order[:codes]])
        for _ in range(ITERATIONS):
            means, count = self._means(flat, (flat @ self.codes.T).argmax(1))
            self.codes.copy_(means)
            self.count.copy_(count)
        self.started.fill_(True)

    @torch.no_grad()
    def _follow(self, unit: Tensor, index: Tensor) -> None:
        """Move the codes towards the mean directions of their latents (..., D)."""
        means, count = self._means(unit.flatten(0, -2), index)
        self.count.lerp_(count, 1.0 - self.decay)
        self.codes.copy_(nn.functional.normalize(self.codes.lerp(means, 1.0 - self.decay), dim=1))
        if self.revive:
            self._revive(unit)

    def _means(self, unit: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Mean direction (K, D) of the latents of each code (its own, where there are none), and their number (K,)."""
        sums = summed(torch.zeros_like(self.codes).index_add_(0, index, unit))
        count = summed(torch.zeros_like(self.count).index_add_(0, index, torch.ones_like(unit[:, 0])))
        pointing = (count > 0) & (sums.norm(dim=1) > 0)
        return torch.where(pointing[:, None], nn.functional.normalize(sums, dim=1), self.codes), count

    def _revive(self, unit: Tensor) -> None:
        dead = ~self._alive()  # (K,)
        everyone = gathered(unit).flatten(0, -2)
        # One for each code, used or not: to count those out of use the processor would wait for a GPU.
        chosen = everyone[torch.randint(len(everyone), dead.shape, device=unit.device)]  # (K, D)
        self.codes.copy_(torch.where(dead[:, None], chosen, self.codes))
        self.count.copy_(torch.where(dead, self.count.mean(), self.count))  # time to prove themselves
        self.revived += dead.sum()
