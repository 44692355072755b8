"""Bring the channels of any dataset to the rows that a shared encoder expects.

Every alignment is built with the channels of each dataset and called as ``alignment(x, dataset, present)`` with x of
shape (B, C, T), free of NaN; it gives (B, rows, T). ``present``, of shape (C,) or (B, C), marks the channels that a
recording has; the others are zero in x, and no alignment takes that zero for a signal. ``None`` means all. Weights
carry the name of their dataset, so that any of them can be loaded without the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unimontage.errors import UserError
from unimontage.montage.names import canonical_channels
from unimontage.montage.positions import positions_2d

Montages = Mapping[str, Sequence[str]]

MARGIN = 0.2  # of the unit square, kept free on each side so that the Fourier basis does not wrap the head around
RADIUS = 0.1  # of spatial dropout, where it is chosen automatically
FEW = 2  # channels that spatial dropout would rather leave alone
SHARED = "shared"


def fourier_embedding(positions: Tensor, K: int) -> Tensor:
    """Describe places in the unit square by two-dimensional waves.

    Parameters
    ----------
    positions : Tensor, shape (C, 2)
        x and y in [0, 1].
    K : int
        Frequencies along each axis, from 0.

    Returns
    -------
    Tensor, shape (C, 2 K^2)
        Cosines, then sines, of the K^2 phases ``2 pi (k x + l y) / width``; l runs fastest. The period, ``width``, is
        the square with its margin.

    Notes
    -----
    Defossez et al. 2023 (Decoding speech perception from non-invasive brain recordings), methods, spatial attention.
    """
    wave = torch.arange(K, dtype=positions.dtype, device=positions.device) * (2 * math.pi / (1 + 2 * MARGIN))
    along = (positions + MARGIN).unsqueeze(2) * wave  # (C, 2, K)
    phase = (along[:, 0, :, None] + along[:, 1, None, :]).flatten(1)  # (C, K^2)
    return torch.cat([phase.cos(), phase.sin()], dim=1)


class Alignment(nn.Module):
    """What all alignments share: the channels of each dataset.

    Parameters
    ----------
    montages : mapping of str to sequence of str
        Channels of each dataset, in the order of its signal.

    Attributes
    ----------
    montages : dict of str to tuple of str
        The same, spelled canonically.
    rows : int or None
        Channels that come out; None where that depends on the dataset.
    """

    rows: int | None

    def __init__(self, montages: Montages) -> None:
        super().__init__()
        self.montages = {dataset: canonical_channels(names, dataset) for dataset, names in montages.items()}

    def _check(self, x: Tensor, dataset: str) -> None:
        if dataset not in self.montages:
            raise ValueError(f"no alignment for dataset {dataset}; there is one for {', '.join(self.montages)}")
        if x.shape[1] != len(self.montages[dataset]):
            raise ValueError(f"{dataset}: {x.shape[1]} channels, expected {len(self.montages[dataset])}")


class ChannelAttention(Alignment):
    """Channel alignment module: each virtual channel attends to electrodes by where they are on the head.

    Parameters
    ----------
    montages : mapping of str to sequence of str
        Channels of each dataset.
    rows : int
        Virtual channels.
    dimension : int
        Width of the position embedding, twice a square number.
    radius : float or "auto"
        Spatial dropout: in training, channels nearer than this to a random place are ignored (unit: width of the
        head). "auto" is 0.1 for more than two channels, else 0.
    shared : bool
        One set of heads for all datasets.

    Raises
    ------
    UserError
        If the dimension is not twice a square, or an electrode has no position.

    Notes
    -----
    Spatial attention of Defossez et al. 2023, one set of heads a dataset (MTSSRL-MD, section 3). The weights of a
    virtual channel are a softmax: it is a weighted mean of channels and never their difference. The place is drawn
    from torch's global generator, once a call; a draw that would leave a recording without channels bans none there.
    """

    def __init__(
        self,
        montages: Montages,
        *,
        rows: int = 16,
        dimension: int = 72,
        radius: float | Literal["auto"] = "auto",
        shared: bool = False,
    ) -> None:
        super().__init__(montages)
        self.rows, self.radius, self.shared = rows, radius, shared
        K = math.isqrt(dimension // 2)
        if K < 1 or dimension != 2 * K**2:
            raise UserError(
                f"a position embedding of width {dimension} does not exist",
                expected="twice a square number",
                mend=f"alignment: {{kind: cam, dimension: {2 * max(1, round(math.sqrt(dimension / 2))) ** 2}}}",
            )
        names = (SHARED,) if shared else self.montages
        self.heads = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(rows, dimension) / math.sqrt(dimension)) for name in names}
        )
        for dataset, channels in self.montages.items():
            positions = torch.as_tensor(positions_2d(channels))  # float64: the phases are exact when they are rounded
            self.register_buffer(f"position_{dataset}", positions.float(), persistent=False)
            embedding = fourier_embedding(positions, K).float()
            self.register_buffer(f"embedding_{dataset}", embedding, persistent=False)

    def forward(self, x: Tensor, dataset: str, present: Tensor | None = None) -> Tensor:
        """Virtual channels (B, rows, T) of a dataset's windows x (B, C, T); see the module for ``present``."""
        self._check(x, dataset)
        kept = self._spatial_dropout(dataset, present) if self.training else present
        return self.weights(dataset, kept).to(x.dtype) @ x

    def weights(self, dataset: str, present: Tensor | None = None) -> Tensor:
        """How much of each channel is in each virtual channel.

        Parameters
        ----------
        dataset : str
            One of the montages.
        present : Tensor of bool, shape (C,) or (B, C), optional
            Channels that there are; at least one in each row.

        Returns
        -------
        Tensor, shape (rows, C) or (B, rows, C)
            Rows sum to 1; an absent channel has weight 0.
        """
        heads = self.heads[SHARED if self.shared else dataset]
        with torch.autocast(heads.device.type, enabled=False):
            scores = heads @ self.get_buffer(f"embedding_{dataset}").T  # (rows, C)
            if present is not None:
                scores = scores.masked_fill(~present.unsqueeze(-2), float("-inf"))  # (rows, C) or (B, rows, C)
            return scores.softmax(-1)

    def _spatial_dropout(self, dataset: str, present: Tensor | None) -> Tensor | None:
        """The present channels without those around a random place."""
        position = self.get_buffer(f"position_{dataset}")
        radius = (RADIUS if len(position) > FEW else 0.0) if self.radius == "auto" else self.radius
        if not radius:
            return present
        place = torch.rand(2).to(position.device)  # drawn on the processor: the same place on every device
        far = (position - place).square().sum(1) > radius**2  # (C,)
        present = torch.ones_like(far) if present is None else present
        kept = present & far
        return torch.where(kept.any(-1, keepdim=True), kept, present)


class LinearAlignment(Alignment):
    """A free matrix from each dataset's channels to the rows; an absent channel adds nothing.

    Parameters
    ----------
    montages : mapping of str to sequence of str
        Channels of each dataset.
    rows : int
        Rows that come out.
    """

    def __init__(self, montages: Montages, *, rows: int = 16) -> None:
        super().__init__(montages)
        self.rows = rows
        self.maps = nn.ParameterDict()
        for dataset, channels in self.montages.items():
            bound = 1 / math.sqrt(len(channels))
            self.maps[dataset] = nn.Parameter(torch.empty(rows, len(channels)).uniform_(-bound, bound))

    def forward(self, x: Tensor, dataset: str, present: Tensor | None = None) -> Tensor:
        """Rows (B, rows, T) of a dataset's windows x (B, C, T)."""
        self._check(x, dataset)
        return self.maps[dataset] @ averaged(x, present)


def averaged(x: Tensor, present: Tensor | None) -> Tensor:
    """Windows (B, C, T) in which every missing channel is the mean of those that are there."""
    if present is None:
        return x
    there = present.expand(len(x), x.shape[1]).unsqueeze(2)  # (B, C, 1)
    known = x.where(there, 0)
    return known.where(there, known.sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1))


class ZeroPadding(Alignment):
    """One row for each channel of any dataset; the rows that a dataset lacks are zero: that is what this baseline is.

    Attributes
    ----------
    channels : tuple of str
        Channel of each row, sorted.
    """

    def __init__(self, montages: Montages) -> None:
        super().__init__(montages)
        self.channels = tuple(sorted(set().union(*self.montages.values())))
        self.rows = len(self.channels)
        for dataset, channels in self.montages.items():
            row = torch.tensor([self.channels.index(channel) for channel in channels])
            self.register_buffer(f"row_{dataset}", row, persistent=False)

    def forward(self, x: Tensor, dataset: str, present: Tensor | None = None) -> Tensor:
        """Rows (B, rows, T) of a dataset's windows x (B, C, T)."""
        self._check(x, dataset)
        padded = x.new_zeros(x.shape[0], self.rows, x.shape[2])
        return padded.index_copy(1, self.get_buffer(f"row_{dataset}"), x)


class Intersection(Alignment):
    """The channels that every dataset has; all others are left out.

    Attributes
    ----------
    channels : tuple of str
        Channel of each row, sorted.

    Raises
    ------
    UserError
        If the datasets have no channel in common, or a recording lacks one that they have.
    """

    def __init__(self, montages: Montages) -> None:
        super().__init__(montages)
        self.channels = tuple(sorted(set.intersection(*(set(names) for names in self.montages.values()))))
        if not self.channels:
            raise _nothing_shared(self.montages)
        self.rows = len(self.channels)
        for dataset, channels in self.montages.items():
            column = torch.tensor([channels.index(channel) for channel in self.channels])
            self.register_buffer(f"column_{dataset}", column, persistent=False)

    def forward(self, x: Tensor, dataset: str, present: Tensor | None = None) -> Tensor:
        """Common channels (B, rows, T) of a dataset's windows x (B, C, T)."""
        self._check(x, dataset)
        column = self.get_buffer(f"column_{dataset}")
        if present is not None and not (here := present[..., column].view(-1, self.rows).all(0)).all():
            absent = ", ".join(name for name, there in zip(self.channels, here.tolist(), strict=True) if not there)
            raise UserError(
                f"a recording of {dataset} lacks {absent}, which is common to all datasets of the corpus",
                expected="every common channel in every recording",
                mend=f"datasets: {{{dataset}: {{exclude: [...]}}}} or alignment: {{kind: cam}}",
            )
        return x[:, column]


def _nothing_shared(montages: Mapping[str, tuple[str, ...]]) -> UserError:
    """Name a dataset that has no channel of any other, if that is the reason."""
    for dataset, channels in montages.items():
        others = set().union(*(names for name, names in montages.items() if name != dataset))
        if not others & set(channels):
            what = f"{dataset} ({', '.join(channels[:4])}{', ...' if len(channels) > 4 else ''}) shares no channel"
            what += " with any other dataset"
            break
    else:
        what = f"{', '.join(montages)} have no channel in common"
    return UserError(
        what, expected="at least one channel common to all datasets of the corpus", mend="alignment: {kind: cam}"
    )


class SingleChannel(Alignment):
    """No alignment: for an encoder that takes every channel by itself. A missing one is the mean of the rest."""

    rows = None

    def forward(self, x: Tensor, dataset: str, present: Tensor | None = None) -> Tensor:
        """The windows x as they are: (B, C, T)."""
        return averaged(x, present)


ALIGNMENTS: dict[str, type[Alignment]] = {
    "cam": ChannelAttention,
    "linear": LinearAlignment,
    "zero_padding": ZeroPadding,
    "intersection": Intersection,
    "single": SingleChannel,
}


def build_alignment(kind: str, montages: Montages, **options: Any) -> Alignment:
    """Build the alignment named ``kind``.

    Parameters
    ----------
    kind : str
        A key of ``ALIGNMENTS``.
    montages : mapping of str to sequence of str
        Channels of each dataset.
    **options
        Keyword arguments of that alignment, e.g. ``rows``.

    Returns
    -------
    Alignment

    Raises
    ------
    UserError
        If no alignment has this name, or it cannot take these montages.
    """
    if kind not in ALIGNMENTS:
        near = get_close_matches(kind, ALIGNMENTS, n=1) or list(ALIGNMENTS)[:1]
        raise UserError(
            f"alignment '{kind}' does not exist",
            expected="one of " + ", ".join(ALIGNMENTS),
            mend=f"alignment: {{kind: {near[0]}}}",
        )
    return ALIGNMENTS[kind](montages, **options)
