"""Contrast two views of a segment against every other view in the batch (SimCLR)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def nt_xent(za: Tensor, zb: Tensor, temperature: float = 0.1) -> Tensor:
    """Normalised-temperature cross entropy between two views of the same segments.

    Parameters
    ----------
    za, zb : Tensor, shape (N, D)
        Projections of the two views; row i of both belongs to segment i. Normalised here.
    temperature : float
        Softmax temperature, > 0.

    Returns
    -------
    Tensor, shape ()
        Mean loss over the 2N anchors, in nats.

    Notes
    -----
    Chen et al. 2020, eq. 1. Every other view in the batch is a negative, so a batch must not hold two channels of one
    window: neighbouring electrodes are near copies of each other. Computed in float32 or better even under autocast:
    a similarity in bfloat16, divided by a small temperature, is off by several hundredths of a nat.
    """
    with torch.autocast(za.device.type, enabled=False):
        z = torch.cat([za, zb])
        z = nn.functional.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)  # (2N, D)
        similarity = z @ z.T / temperature  # (2N, 2N)
        similarity.fill_diagonal_(float("-inf"))  # an anchor is no candidate for itself
        positive = torch.arange(len(z), device=z.device).roll(len(za))  # i <-> i + N
        return nn.functional.cross_entropy(similarity, positive)


class NTXent(nn.Module):
    """NT-Xent on top of a two-layer projector that is thrown away after pre-training.

    Parameters
    ----------
    d : int
        Width of the encoder's embedding.
    temperature : float
        Softmax temperature, > 0.
    hidden : int, optional
        Width of the hidden layer; d by default.
    projection : int
        Width of the space the views are compared in.
    """

    def __init__(self, d: int, *, temperature: float = 0.1, hidden: int | None = None, projection: int = 64) -> None:
        super().__init__()
        self.temperature = temperature
        hidden = hidden or d
        self.projector = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, projection))

    def forward(self, ha: Tensor, hb: Tensor) -> Tensor:
        """Loss of two views' embeddings, each of shape (N, d), row by row of the same segment; shape ()."""
        return nt_xent(self.projector(ha), self.projector(hb), self.temperature)
