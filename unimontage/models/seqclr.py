"""The recurrent encoder of SeqCLR: every channel by itself, at three rates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

RATES = (1, 2, 4)
CODE = 4


class ResidualRecurrence(nn.Module):
    """A recurrent layer behind a layer norm and beside a residual path, on sequences (B, T, d)."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.recurrence = nn.GRU(d, d, batch_first=True)

    def forward(self, h: Tensor) -> Tensor:
        """Sequences of the same shape."""
        return h + self.recurrence(self.norm(h))[0]


class SeqCLREncoder(nn.Module):
    """Code each channel sample by sample, then summarise the code of each channel in one token.

    Three recurrent layers read the channel and its averages over two and over four samples; joined at the full rate
    and passed through residual recurrent blocks they give a code of four numbers a sample. Three bidirectional layers
    read the code at the same rates, and their last states are the token.

    Parameters
    ----------
    widths : sequence of int
        Units at the full, half and quarter rate, of the encoder and of each direction of the summary.
    d : int
        Width of the residual blocks.
    blocks : int
        Residual blocks.

    Attributes
    ----------
    d : int
        Width of a token and of the embedding: twice the sum of the widths.

    Notes
    -----
    Mohsenvand et al. 2020, fig. 2: recurrent encoder, and the recurrent part of the projector, which here belongs to
    the encoder. A new classifier for C channels would read their 4 C codes side by side, with weights that fit one
    montage only; here each channel is summarised by itself with the weights of the pre-training, and pooling weighs
    the channels. Thousands of recurrent steps make it slow.
    """

    def __init__(self, *, widths: Sequence[int] = (256, 128, 64), d: int = 128, blocks: int = 2) -> None:
        super().__init__()
        self.d = 2 * sum(widths)
        self.scales = nn.ModuleList(nn.GRU(1, width, batch_first=True) for width in widths)
        self.join = nn.Linear(sum(widths), d)
        self.blocks = nn.Sequential(*(ResidualRecurrence(d) for _ in range(blocks)))
        self.out = nn.Linear(d, CODE)
        self.summary = nn.ModuleList(nn.LSTM(CODE, width, batch_first=True, bidirectional=True) for width in widths)

    def code(self, x: Tensor) -> Tensor:
        """Four numbers for each sample of each channel: (B, 4 C, T) of windows x (B, C, T)."""
        return self._code(x).transpose(1, 2).reshape(len(x), -1, x.shape[2])

    def forward(self, x: Tensor) -> Tensor:
        """One token a channel, (B, C, d), of windows x (B, C, T)."""
        code = self._code(x)  # (B * C, T, 4)
        last = [layer(_slower(code, rate))[1][0] for layer, rate in zip(self.summary, RATES, strict=True)]
        tokens = torch.cat([states.transpose(0, 1).flatten(1) for states in last], dim=1)  # (B * C, d)
        return tokens.unflatten(0, x.shape[:2])

    def embed(self, x: Tensor) -> Tensor:
        """Mean token (B, d) of windows x (B, C, T): with one channel, its summary."""
        return self(x).mean(1)

    def parts(self) -> dict[str, nn.ModuleList]:
        """The layers from the output backwards, in the order in which fine-tuning sets them free."""
        return {
            "attention": nn.ModuleList([self.summary]),
            "deep": nn.ModuleList([self.join, self.blocks, self.out]),
            "first": nn.ModuleList([self.scales]),
        }

    def _code(self, x: Tensor) -> Tensor:
        """Code (B * C, T, 4) of windows x (B, C, T)."""
        each = x.reshape(-1, x.shape[2], 1)  # (B * C, T, 1)
        read = [_faster(layer(_slower(each, rate))[0], rate) for layer, rate in zip(self.scales, RATES, strict=True)]
        joined = torch.cat([h[:, : x.shape[2]] for h in read], dim=2)  # (B * C, T, sum of widths)
        return self.out(self.blocks(self.join(joined).relu()))


def _slower(h: Tensor, rate: int) -> Tensor:
    """Averages over ``rate`` samples of sequences (B, T, d); the last may be over fewer."""
    if rate == 1:
        return h
    return nn.functional.avg_pool1d(h.transpose(1, 2), rate, ceil_mode=True).transpose(1, 2)


def _faster(h: Tensor, rate: int) -> Tensor:
    """Every step of sequences (B, T, d) repeated ``rate`` times."""
    return h.repeat_interleave(rate, dim=1)
