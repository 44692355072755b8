"""Mix the channels of a window: attention over a complete graph, or convolution on a fixed one.

A montage has at most a few hundred nodes and every node sees every other, so both are written densely: no edge list,
and the largest tensor is one score per sample, head and pair of channels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from unimontage.errors import UserError

EDGE_FLOOR = 0.1  # a distance weight below this is no edge
CHUNK = 256  # windows whose correlations are held at once


class GraphAttentionLayer(nn.Module):
    """One graph attention layer on a complete graph with self-loops, heads side by side, without activation.

    Parameters
    ----------
    d : int
        Width of a node.
    heads, head_width : int
        The output has ``heads * head_width`` features.
    dropout : float
        Share of attention weights dropped in training.
    slope : float
        Negative slope of the leaky ReLU on the scores.

    Notes
    -----
    Velickovic et al. 2018, eq. 1 to 4: ``s_ij = LeakyReLU(a_target . W h_i + a_source . W h_j)``, softmax over j. The
    score is a sum of one number per node and one per node, so no pair of features is ever written out.
    """

    def __init__(self, d: int, heads: int, head_width: int, dropout: float = 0.0, slope: float = 0.2) -> None:
        super().__init__()
        self.heads, self.head_width, self.dropout, self.slope = heads, head_width, dropout, slope
        self.weight = nn.Linear(d, heads * head_width, bias=False)
        self.source = nn.Parameter(torch.empty(heads, head_width))
        self.target = nn.Parameter(torch.empty(heads, head_width))
        for parameter in (self.weight.weight, self.source, self.target):
            nn.init.xavier_uniform_(parameter)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mixed nodes (B, n, H * K) and attention weights (B, H, n, n), rows summing to 1, of nodes h (B, n, d)."""
        nodes = self.weight(h).unflatten(2, (self.heads, self.head_width))  # (B, n, H, K)
        weight = self.weight.weight.unflatten(0, (self.heads, self.head_width))  # (H, K, d)
        read = torch.einsum("shk,hkd->shd", torch.stack([self.target, self.source]), weight)  # a . W, before any node
        target, source = (h @ read.flatten(0, 1).T).unflatten(2, (2, self.heads)).permute(2, 0, 3, 1)  # (B, H, n) each
        scores = target.unsqueeze(3) + source.unsqueeze(2)  # (B, H, n, n): row i attends to column j
        attention = nn.functional.leaky_relu(scores, self.slope, inplace=True).softmax(-1)
        kept = nn.functional.dropout(attention, self.dropout, self.training).to(nodes.dtype)
        mixed = kept @ nodes.transpose(1, 2)  # (B, H, n, K)
        return mixed.transpose(1, 2).flatten(2), attention


class GraphAttention(nn.Module):
    """Graph attention layers, each with ELU, a residual path and a layer norm.

    Parameters
    ----------
    d : int
        Width of a node.
    layers, heads, head_width, dropout
        See :class:`GraphAttentionLayer`.

    Attributes
    ----------
    width : int
        Width of a node at the output, ``heads * head_width``. Where it differs from the input the residual path has
        a linear map.
    """

    def __init__(self, d: int, *, layers: int = 2, heads: int = 4, head_width: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        self.width = heads * head_width
        widths = [d] + [self.width] * (layers - 1)
        self.layers = nn.ModuleList(GraphAttentionLayer(w, heads, head_width, dropout) for w in widths)
        self.skips = nn.ModuleList(_skip(w, self.width) for w in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in widths)

    def forward(self, h: Tensor, *, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Mix the nodes of each sample.

        Parameters
        ----------
        h : Tensor, shape (B, n, d)
            Nodes, in any order: a permutation of them permutes the output.
        return_attention : bool
            Also return the last layer's attention.

        Returns
        -------
        Tensor, shape (B, n, width)
        Tensor, shape (B, n, n), only if asked for
            Attention of node i (row) to node j (column), averaged over heads, before dropout; rows sum to 1.
        """
        attention = None
        for layer, skip, norm in zip(self.layers, self.skips, self.norms, strict=True):
            mixed, attention = layer(h)
            h = norm(skip(h) + nn.functional.elu(mixed))
        return (h, attention.mean(1)) if return_attention else h


class GraphConvolution(nn.Module):
    """Graph convolution on one fixed graph, in the frame of :class:`GraphAttention`: only the mixing differs.

    Parameters
    ----------
    d : int
        Width of a node.
    adjacency : Tensor, shape (n, n)
        Symmetric weights >= 0 between the channels, in the order the nodes come in; self-loops are added here.
    layers, heads, head_width : int
        Depth, and width ``heads * head_width`` of a layer, as in the attention it is compared with.
    dropout : float
        Share of node features dropped before each layer in training.

    Notes
    -----
    Kipf & Welling 2017, eq. 2: ``h' = ELU(D^-1/2 (A + I) D^-1/2 h W)``. The graph is part of the weights on disk.
    """

    def __init__(
        self,
        d: int,
        adjacency: Tensor,
        *,
        layers: int = 2,
        heads: int = 4,
        head_width: int = 32,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.width, self.dropout = heads * head_width, dropout
        widths = [d] + [self.width] * (layers - 1)
        self.layers = nn.ModuleList(nn.Linear(w, self.width, bias=False) for w in widths)
        self.skips = nn.ModuleList(_skip(w, self.width) for w in widths)
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) for _ in widths)
        self.register_buffer("mixing", normalised_adjacency(adjacency).to(torch.get_default_dtype()))

    def forward(self, h: Tensor) -> Tensor:
        """Nodes of shape (B, n, width) of nodes h of shape (B, n, d), in the order of the adjacency."""
        if h.shape[1] != len(self.mixing):
            raise ValueError(f"{h.shape[1]} channels on a graph of {len(self.mixing)}")
        for layer, skip, norm in zip(self.layers, self.skips, self.norms, strict=True):
            mixed = self.mixing @ layer(nn.functional.dropout(h, self.dropout, self.training))  # (B, n, width)
            h = norm(skip(h) + nn.functional.elu(mixed))
        return h


def _skip(width_in: int, width_out: int) -> nn.Module:
    """Residual path: nothing where the widths agree, else a linear map."""
    return nn.Identity() if width_in == width_out else nn.Linear(width_in, width_out, bias=False)


def build_spatial(
    kind: str,
    d: int,
    *,
    layers: int = 2,
    heads: int = 4,
    head_width: int = 32,
    dropout: float = 0.3,
    adjacency: Tensor | None = None,
) -> nn.Module | None:
    """Build the spatial layer named ``kind``.

    Parameters
    ----------
    kind : str
        ``gat``, ``gcn_distance``, ``gcn_correlation`` or ``none``.
    d, layers, heads, head_width, dropout
        See :class:`GraphAttention`.
    adjacency : Tensor, shape (n, n), optional
        The graph of a ``gcn_*``, from :func:`distance_adjacency` or :func:`correlation_adjacency`.

    Returns
    -------
    nn.Module or None
        ``None`` for ``none``.
    """
    sizes = {"layers": layers, "heads": heads, "head_width": head_width, "dropout": dropout}
    if kind == "none":
        return None
    if kind == "gat":
        return GraphAttention(d, **sizes)
    if kind not in ("gcn_distance", "gcn_correlation"):
        raise UserError(
            f"spatial layer '{kind}' does not exist",
            expected="gat, gcn_distance, gcn_correlation or none",
            mend="spatial: gat",
        )
    if adjacency is None:
        raise ValueError(f"{kind} needs an adjacency")
    return GraphConvolution(d, adjacency, **sizes)


def distance_adjacency(positions: np.ndarray | Tensor) -> Tensor:
    """Weight two electrodes by how near they are.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Electrode positions; only relative distances matter, not the unit.

    Returns
    -------
    Tensor, shape (n, n), float64
        ``exp(-distance^2 / (2 sigma^2))``, sigma the mean distance of two electrodes; weights below 0.1 are 0, and so
        is the diagonal (the convolution adds its own self-loops).

    Raises
    ------
    UserError
        If a position is missing or all electrodes stand on one point.
    """
    points = torch.as_tensor(positions, dtype=torch.float64)
    distance = torch.cdist(points, points)  # (n, n)
    n = len(points)
    sigma = distance.sum() / (n * (n - 1)) if n > 1 else distance.sum()  # the diagonal adds nothing
    if not (torch.isfinite(sigma) and sigma > 0):
        raise UserError(
            f"{n} electrodes span no distance",
            expected="at least two finite, different positions",
            mend="spatial: gat, which needs no positions",
        )
    weight = torch.exp(-(distance**2) / (2 * sigma**2))
    weight[weight < EDGE_FLOOR] = 0
    return weight.fill_diagonal_(0)


def correlation_adjacency(windows: np.ndarray | Tensor) -> Tensor:
    """Weight two channels by how strongly they correlate within a window.

    Parameters
    ----------
    windows : array, shape (N, n, T)
        Windows of the training set only.

    Returns
    -------
    Tensor, shape (n, n), float64
        Absolute Pearson correlation, averaged over windows; zero diagonal. A channel that is flat in a window
        correlates with nothing there.
    """
    total = torch.zeros(windows.shape[1], windows.shape[1], dtype=torch.float64)
    for start in range(0, len(windows), CHUNK):
        block = torch.as_tensor(np.asarray(windows[start : start + CHUNK])).double()  # (N', n, T)
        unit = nn.functional.normalize(block - block.mean(-1, keepdim=True), dim=-1)
        total += (unit @ unit.transpose(1, 2)).abs_().sum(0)
    return (total / len(windows)).fill_diagonal_(0)


def normalised_adjacency(adjacency: Tensor) -> Tensor:
    """Add self-loops and scale by both nodes' degrees: ``D^-1/2 (A + I) D^-1/2``.

    Parameters
    ----------
    adjacency : Tensor, shape (n, n)
        Symmetric, >= 0, zero diagonal.

    Returns
    -------
    Tensor, shape (n, n), float64
    """
    weight = torch.as_tensor(adjacency, dtype=torch.float64)
    if weight.ndim != 2 or not torch.equal(weight, weight.T) or not (weight >= 0).all():
        raise ValueError("an adjacency is square, symmetric and >= 0")
    weight = weight + torch.eye(len(weight), dtype=torch.float64)
    scale = weight.sum(1).rsqrt()  # at least 1 under the root: every node has its self-loop
    return scale[:, None] * weight * scale
