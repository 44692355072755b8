"""Pull two views of a segment together without negatives (SimSiam)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def simsiam(p1: Tensor, z2: Tensor, p2: Tensor, z1: Tensor) -> Tensor:
    """Symmetric negative cosine between one view's prediction and the other view's projection.

    Parameters
    ----------
    p1, p2 : Tensor, shape (N, D)
        Predictions of view 1 and view 2.
    z2, z1 : Tensor, shape (N, D)
        Projections of view 2 and view 1; no gradient flows into them.

    Returns
    -------
    Tensor, shape ()
        Mean over the batch, from -1 (agreement) to 1.

    Notes
    -----
    Chen & He 2021, eq. 2 and 4. The stopped gradient is what keeps the embedding from collapsing to one point.
    """
    with torch.autocast(p1.device.type, enabled=False):
        p1, z2, p2, z1 = (t.to(torch.promote_types(t.dtype, torch.float32)) for t in (p1, z2, p2, z1))
        first = nn.functional.cosine_similarity(p1, z2.detach(), dim=1)  # (N,)
        second = nn.functional.cosine_similarity(p2, z1.detach(), dim=1)  # (N,)
        return -0.5 * (first + second).mean()


class SimSiam(nn.Module):
    """SimSiam's projector and predictor, their widths scaled to the embedding.

    Parameters
    ----------
    d : int
        Width of the encoder's embedding.

    Notes
    -----
    Chen & He 2021, section 3, has 2048 -> 2048 and a bottleneck of a quarter; here d -> 4d and a bottleneck of d. The
    two views pass the batch norms one after the other, so that neither sees the other's statistics. A training batch
    needs at least two segments. Watch :func:`unimontage.objectives.collapse.embedding_spread` of the embedding.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        wide = 4 * d
        self.projector = nn.Sequential(
            nn.Linear(d, wide, bias=False),  # a batch norm follows and would remove the bias
            nn.BatchNorm1d(wide),
            nn.ReLU(),
            nn.Linear(wide, wide, bias=False),
            nn.BatchNorm1d(wide),
            nn.ReLU(),
            nn.Linear(wide, wide, bias=False),
            nn.BatchNorm1d(wide, affine=False),  # without a learnt scale that could shrink every output to zero
        )
        self.predictor = nn.Sequential(nn.Linear(wide, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, wide))

    def forward(self, ha: Tensor, hb: Tensor) -> Tensor:
        """Loss of two views' embeddings, each of shape (N, d), row by row of the same segment; shape ()."""
        za, zb = self.projector(ha), self.projector(hb)  # (N, 4d)
        return simsiam(self.predictor(za), zb, self.predictor(zb), za)
