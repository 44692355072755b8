"""Encoder of sleep epochs: two convolution branches of unlike filter length, and attention over their outputs."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from unimontage.errors import UserError
from unimontage.models.layers import BatchNorm1d, Dropout


class BranchShape(NamedTuple):
    """Filter, stride and padding of the first convolution, two pools, and the taps of the later convolutions."""

    kernel: int
    stride: int
    padding: int
    pool: int
    pool_padding: int
    taps: int
    last_pool: int


SHORT = BranchShape(kernel=50, stride=6, padding=22, pool=8, pool_padding=2, taps=8, last_pool=4)
LONG = BranchShape(kernel=400, stride=50, padding=175, pool=4, pool_padding=0, taps=6, last_pool=2)
"""Half a second and four seconds at 100 Hz: when, and of what frequency."""


class PresetSizes(NamedTuple):
    """Feature maps of the first and of the later convolutions, how many later ones, width and heads of attention."""

    first: int
    later: int
    depth: int
    d: int
    heads: int
    rows_apart: bool  # filters shared by all rows, each row convolved by itself


PRESETS = {
    "tiny": PresetSizes(first=8, later=8, depth=2, d=16, heads=4, rows_apart=True),
    "full": PresetSizes(first=64, later=128, depth=3, d=128, heads=8, rows_apart=False),
}


class Branch(nn.Module):
    """Convolution and pooling, then convolutions of constant length and another pooling.

    Parameters
    ----------
    channels : int
        Channels of the signal.
    first, later, depth : int
        Feature maps of the first convolution and of each of the ``depth`` later ones.
    shape : BranchShape
        Filters and pools.
    """

    def __init__(self, channels: int, first: int, later: int, depth: int, shape: BranchShape) -> None:
        super().__init__()
        self.shape = shape
        self.first = nn.Sequential(
            nn.Conv1d(channels, first, shape.kernel, shape.stride, shape.padding, bias=False),  # a batch norm follows
            BatchNorm1d(first),
            nn.GELU(),
            nn.MaxPool1d(shape.pool, shape.pool, shape.pool_padding),
            Dropout(0.5),
        )
        self.deep = nn.Sequential()
        for maps in [first] + [later] * (depth - 1):
            self.deep.append(nn.ZeroPad1d(((shape.taps - 1) // 2, shape.taps // 2)))  # an even filter: one more behind
            self.deep.append(nn.Conv1d(maps, later, shape.taps, bias=False))
            self.deep.append(BatchNorm1d(later))
            self.deep.append(nn.GELU())
        self.deep.append(nn.MaxPool1d(shape.last_pool, shape.last_pool, 1))

    def steps(self, samples: int) -> int:
        """Time steps that come out for a window of that many samples; 0 or less if it is too short."""
        s = self.shape
        convolved = (samples + 2 * s.padding - s.kernel) // s.stride + 1
        pooled = (convolved + 2 * s.pool_padding - s.pool) // s.pool + 1
        return (pooled + 2 - s.last_pool) // s.last_pool + 1 if pooled > 0 else 0

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, later, steps) of a signal x (B, channels, T)."""
        return self.deep(self.first(x))


class TokenAttention(nn.Module):
    """Project features to tokens, tell them place and branch, and let them attend to each other once.

    Parameters
    ----------
    project : nn.Module
        From features to the width of a token.
    d, heads : int
        Width of a token, attention heads.
    steps : tuple of int
        Tokens of each branch.
    """

    def __init__(self, project: nn.Module, d: int, heads: int, steps: tuple[int, ...]) -> None:
        super().__init__()
        self.project, self.heads = project, heads
        self.position = nn.Parameter(torch.empty(sum(steps), d).normal_(std=0.02))
        self.branch = nn.Parameter(torch.empty(len(steps), d).normal_(std=0.02))
        of = torch.repeat_interleave(torch.arange(len(steps)), torch.tensor(steps))  # (P,): the branch of each token
        self.register_buffer("of", of, persistent=False)
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)

    def forward(self, features: Tensor) -> Tensor:
        """Tokens (B, P, d) of features (B, P, features)."""
        tokens = self.project(features) + self.position + self.branch[self.of]  # (B, P, d)
        split = self.qkv(tokens).unflatten(2, (3, self.heads, -1))  # (B, P, 3, H, d / H)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # (B, H, P, d / H) each
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)  # (B, H, P, d / H)
        return self.norm(tokens + self.out(mixed.transpose(1, 2).flatten(2)))


class StagingEncoder(nn.Module):
    """Short and long filters side by side, their outputs as tokens of one self-attention layer.

    Parameters
    ----------
    preset : {"tiny", "full"}
        ``tiny``: every row by itself through the same eight filters, 24 tokens of width 16 in 30 s at 100 Hz. ``full``:
        rows as input channels, the widths of DeepSleepNet, 24 tokens of width 128.
    rows : int
        Rows of the signal.
    samples : int
        Samples of a window, at 100 Hz.

    Attributes
    ----------
    d : int
        Width of a token and of the embedding.

    Raises
    ------
    UserError
        If the window is too short for the long filters.

    Notes
    -----
    MTSSRL-MD, section 3.2: the two branches of DeepSleepNet (Supratak et al. 2017, fig. 1) with self-attention in
    place of its recurrent part. The paper gives no sizes; ``tiny`` has the number of parameters that it reports.
    """

    def __init__(self, preset: Literal["tiny", "full"] = "full", *, rows: int = 16, samples: int = 3000) -> None:
        super().__init__()
        sizes = PRESETS[preset]
        self.d, self.rows, self.rows_apart = sizes.d, rows, sizes.rows_apart
        channels = 1 if sizes.rows_apart else rows
        self.branches = nn.ModuleList(
            Branch(channels, sizes.first, sizes.later, sizes.depth, shape) for shape in (SHORT, LONG)
        )
        steps = tuple(branch.steps(samples) for branch in self.branches)
        if min(steps) < 1:
            raise UserError(
                f"windows of {samples} samples are too short for the staging encoder",
                expected="2 s or more at 100 Hz",
                mend="windows: {length_s: 30}",
            )
        project = nn.Linear(sizes.later * rows, sizes.d) if sizes.rows_apart else nn.Identity()
        self.context = TokenAttention(project, sizes.d, sizes.heads, steps)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, P, d) of windows x (B, rows, T): those of the short filters, then those of the long ones."""
        B = len(x)
        signal = x.reshape(-1, 1, x.shape[2]) if self.rows_apart else x  # (B * rows, 1, T) or (B, rows, T)
        maps = torch.cat([branch(signal) for branch in self.branches], dim=2)  # (B or B * rows, later, P)
        return self.context(maps.reshape(B, -1, maps.shape[2]).transpose(1, 2))

    def embed(self, x: Tensor) -> Tensor:
        """Mean token (B, d) of windows x (B, rows, T)."""
        return self(x).mean(1)

    def parts(self) -> dict[str, nn.ModuleList]:
        """The layers from the output backwards, in the order in which fine-tuning sets them free."""
        return {
            "attention": nn.ModuleList([self.context]),
            "deep": nn.ModuleList(branch.deep for branch in self.branches),
            "first": nn.ModuleList(branch.first for branch in self.branches),
        }
