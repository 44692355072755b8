"""Notice when an encoder starts to give the same answer to every segment."""

from __future__ import annotations

from torch import Tensor, nn


def embedding_spread(z: Tensor) -> Tensor:
    """How much of the unit sphere a batch of embeddings uses.

    Parameters
    ----------
    z : Tensor, shape (N, D)
        Embeddings or projections of N different segments.

    Returns
    -------
    Tensor, shape ()
        Standard deviation of each dimension of z / |z|, averaged over dimensions, times sqrt(D): 0 when every
        embedding is the same (collapsed), 1 when they fill all directions evenly, never more than 1. Below 0.1,
        stop the run.

    Notes
    -----
    Chen & He 2021, section 4.1, where the healthy value is written as 1 / sqrt(D).
    """
    unit = nn.functional.normalize(z.detach().float(), dim=1)  # (N, D)
    return unit.std(dim=0, correction=0).mean() * z.shape[1] ** 0.5
