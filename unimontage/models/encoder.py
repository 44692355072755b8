"""The single-channel encoder every montage shares, and the Transformer it is made of."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from unimontage.models.layers import Dropout, attention
from unimontage.models.tokenizers import build_tokenizer


class EncoderOptions(Protocol):
    """What the encoder reads from its configuration; any object with these attributes will do."""

    tokenizer: str
    width: int
    patches: int
    d: int
    layers: int
    heads: int
    ffn: int
    dropout: float
    channel_embedding: bool
    rate_embedding: bool


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward layer, each behind a layer norm and beside a residual path.

    Parameters
    ----------
    d, heads, ffn : int
        Width of a token, attention heads (a divisor of d), width of the hidden layer.
    dropout : float
        Applied to attention weights, hidden layer and both residual branches.
    """

    def __init__(self, d: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        if d % heads:
            raise ValueError(f"{heads} heads do not divide a width of {d}")
        self.heads = heads
        self.attention_dropout = dropout
        self.norm_attention = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.norm_ffn = nn.LayerNorm(d)
        self.ffn = nn.Sequential(nn.Linear(d, ffn), nn.GELU(), Dropout(dropout), nn.Linear(ffn, d))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens x of shape (B, P, d); the shape stays."""
        split = self.qkv(self.norm_attention(x)).unflatten(2, (3, self.heads, -1))  # (B, P, 3, H, d / H)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # (B, H, P, d / H) each
        rate = self.attention_dropout if self.training else 0.0
        mixed = attention(q, k, v, rate)  # (B, H, P, d / H)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.ffn(self.norm_ffn(x)))


class Transformer(nn.Sequential):
    """Pre-norm Transformer encoder on tokens (B, P, d), closed by a layer norm; it knows no token order by itself."""

    def __init__(self, d: int, *, layers: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__(*(TransformerBlock(d, heads, ffn, dropout) for _ in range(layers)), nn.LayerNorm(d))


class ConvolutionBlock(nn.Module):
    """Two convolutions along the tokens beside a residual path, behind a layer norm."""

    def __init__(self, d: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.branch = nn.Sequential(
            nn.Conv1d(d, d, 3, padding=1), nn.GELU(), Dropout(dropout), nn.Conv1d(d, d, 3, padding=1)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens x of shape (B, P, d) with their neighbours; the shape stays."""
        return x + self.dropout(self.branch(self.norm(x).transpose(1, 2)).transpose(1, 2))


class ConvolutionStack(nn.Sequential):
    """Convolution blocks on tokens (B, P, d), closed by a layer norm: stands where the Transformer stands."""

    def __init__(self, d: int, *, layers: int, dropout: float) -> None:
        super().__init__(*(ConvolutionBlock(d, dropout) for _ in range(layers)), nn.LayerNorm(d))


class UnivariateEncoder(nn.Module):
    """Encode one channel at a time, told which electrode and which sampling rate it comes from.

    ``token_i = tokenizer(x)_i + E_pos[i] + E_ch[channel] + E_rate[rate]``, then a Transformer (for the ``cnn``
    tokenizer: convolution blocks, no E_pos, heads and ffn unused). One set of weights serves every montage.

    Parameters
    ----------
    config : EncoderOptions
        Sizes and switches.
    vocabulary_size : int
        Electrodes in the vocabulary. The channel table has one row more: row 0, for an electrode outside the
        vocabulary, is zero and stays zero.
    rates : int
        Sampling rates seen in pre-training. The rate table likewise has a zero row 0 for an unseen rate.
    """

    def __init__(self, config: EncoderOptions, vocabulary_size: int, rates: int) -> None:
        super().__init__()
        d = self.d = config.d
        self.tokenizer = build_tokenizer(config.tokenizer, d=d, width=config.width, patches=config.patches)
        positions = self.tokenizer.positions
        self.position = None if positions is None else nn.Parameter(torch.empty(positions, d))
        self.channel = nn.Embedding(vocabulary_size + 1, d, padding_idx=0) if config.channel_embedding else None
        self.rate = nn.Embedding(rates + 1, d, padding_idx=0) if config.rate_embedding else None
        if config.tokenizer == "cnn":
            self.context = ConvolutionStack(d, layers=config.layers, dropout=config.dropout)
        else:
            self.context = Transformer(
                d, layers=config.layers, heads=config.heads, ffn=config.ffn, dropout=config.dropout
            )
        self._start_tables()

    @torch.no_grad()
    def _start_tables(self) -> None:
        """Start the tables small beside the projected signal, and the unknown electrode and rate at zero."""
        if self.position is not None:
            self.position.normal_(std=0.02)
        for table in (self.channel, self.rate):
            if table is not None:
                table.weight.normal_(std=0.02)
                table.weight[0].zero_()

    def forward(self, x: Tensor, channel: Tensor, rate: Tensor) -> Tensor:
        """Tokens of single-channel windows.

        Parameters
        ----------
        x : Tensor, shape (B, T)
            One channel a row, z-scored; all rows of one call share their sampling rate in samples, not in name.
        channel : Tensor, shape (B,), int64
            Vocabulary index of each row's electrode; 0 is unknown.
        rate : Tensor, shape (B,) or (), int64
            Index of the sampling rate; 0 is unknown.

        Returns
        -------
        Tensor, shape (B, P, d)
        """
        tokens = self.tokenizer(x)  # (B, P, d)
        if self.position is not None:
            tokens = tokens + self.position[: tokens.shape[1]]
        if self.channel is not None:
            tokens = tokens + self.channel(channel).unsqueeze(1)
        if self.rate is not None:
            tokens = tokens + self.rate(rate.expand(len(x))).unsqueeze(1)
        return self.context(tokens)

    def embed(self, x: Tensor, channel: Tensor, rate: Tensor) -> Tensor:
        """Mean token of each window, shape (B, d); arguments as in :meth:`forward`."""
        return self(x, channel, rate).mean(1)
