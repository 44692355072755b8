"""Losses of an autoencoder of patches: give back what went in, and do not make everything alike."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Among = Literal["within_window", "between_samples"]


def instance_discrimination(u: Tensor, v: Tensor, among: Among) -> Tensor:
    """Cost of tokens that resemble the tokens of other instances.

    Parameters
    ----------
    u, v : Tensor, shape (B, N, D)
        Projections of each window's N tokens before and after the encoder. Normalised here.
    among : {"within_window", "between_samples"}
        What an instance is. ``within_window``: a patch among the N of its window. ``between_samples``: a window among
        the B of the batch, patch number by patch number.

    Returns
    -------
    Tensor, shape ()
        ``log sum_(i != j) exp(u_i . v_j)``, averaged over windows or over patch numbers; between
        ``log(n (n - 1)) - 1`` and ``log(n (n - 1)) + 1`` for n instances.

    Raises
    ------
    ValueError
        If there is one instance only, which has nothing to differ from.

    Notes
    -----
    The instance discrimination constraint of the cross-reconstruction transformer (Zhang et al. 2022) that EEG-DLite
    takes over. The EEG-DLite paper compares samples of the batch, its code the patches of one window.
    """
    if among == "between_samples":
        u, v = u.transpose(0, 1), v.transpose(0, 1)  # (N, B, D)
    n = u.shape[1]
    if n < 2:
        raise ValueError(f"instance discrimination '{among}' needs two instances or more, found {n}")
    with torch.autocast(u.device.type, enabled=False):
        u, v = (nn.functional.normalize(t.float(), dim=2) for t in (u, v))
        likeness = u @ v.transpose(1, 2)  # (groups, n, n)
        itself = torch.eye(n, dtype=torch.bool, device=u.device)
        return likeness.masked_fill(itself, float("-inf")).flatten(1).logsumexp(1).mean()
