"""Turn a single-channel window of any length into tokens.

All tokenizers take x of shape (B, T), z-scored, and give tokens of shape (B, P, d); ``positions`` says how many rows
a learnt position table must have (``None``: the tokens need no such table).
"""

from __future__ import annotations

import math
from difflib import get_close_matches
from importlib import import_module

import torch
from torch import Tensor, nn

from unimontage.errors import UserError

TOKENIZERS: dict[str, str] = {
    "art": "unimontage.models.tokenizers:ARTTokenizer",
    "fixed_patch": "unimontage.models.tokenizers:FixedPatchTokenizer",
    "cnn": "unimontage.models.tokenizers:CNNTokenizer",
}

REFERENCE_SAMPLES = 200  # one second at 200 Hz: where every tokenizer gives (about) `patches` tokens


def build_tokenizer(kind: str, *, d: int, width: int, patches: int) -> nn.Module:
    """Build the tokenizer named ``kind``; a new one is a class and a line in ``TOKENIZERS``.

    Parameters
    ----------
    kind : str
        A key of ``TOKENIZERS``.
    d : int
        Width of a token.
    width : int
        Feature maps of the first convolution; the second has twice as many.
    patches : int
        Tokens of a one-second window at 200 Hz.

    Returns
    -------
    nn.Module
        Called with x of shape (B, T), returns tokens of shape (B, P, d).

    Raises
    ------
    UserError
        If no tokenizer has this name.
    """
    if kind not in TOKENIZERS:
        near = get_close_matches(kind, TOKENIZERS, n=1) or list(TOKENIZERS)[:1]
        raise UserError(
            f"tokenizer '{kind}' does not exist",
            expected="one of " + ", ".join(TOKENIZERS),
            mend=f"encoder: {{tokenizer: {near[0]}}}",
        )
    module, _, name = TOKENIZERS[kind].partition(":")
    return getattr(import_module(module), name)(d=d, width=width, patches=patches)


def _convolution(maps_in: int, maps_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, group norm, GELU; the group norm knows nothing of the batch, which may mix rates and datasets.

    At most 8 groups, of at least 8 maps each where there are so many: a map normalised by itself would forget how
    strong its frequencies are beside those of the others.
    """
    return nn.Sequential(
        nn.Conv1d(maps_in, maps_out, kernel, stride=stride, padding=kernel // 2),
        nn.GroupNorm(math.gcd(8, max(1, maps_out // 8)), maps_out),
        nn.GELU(),
    )


def average_bins(maps: Tensor, bins: int) -> Tensor:
    """Average the last axis over ``bins`` stretches: samples floor(i T / bins) to ceil((i + 1) T / bins) - 1 for bin i.

    Parameters
    ----------
    maps : Tensor, shape (..., T)
        Feature maps.
    bins : int
        Length of the result.

    Returns
    -------
    Tensor, shape (..., bins)

    Notes
    -----
    Adaptive average pooling as a product with a matrix of zeros and ones: twice as fast on a processor, and unlike the
    pooling of the library its gradient on a GPU is the same in every run.
    """
    samples = maps.shape[-1]
    edge = torch.arange(bins + 1, device=maps.device) * samples  # in units of 1 / bins samples
    first, past = edge[:-1] // bins, (edge[1:] + bins - 1) // bins
    sample = torch.arange(samples, device=maps.device)[:, None]
    member = ((sample >= first) & (sample < past)).to(maps.dtype)  # (T, bins)
    return maps @ member / (past - first)


class ARTTokenizer(nn.Module):
    """Adaptive-rate tokenizer: convolve at full rate, average into a fixed number of bins, project.

    The number of bins does not depend on the sampling rate, so a token always covers the same share of the window.
    At 128 Hz and 16 bins a one-second window has 8 samples a bin; at 200 Hz it has 13, and each pair of bins
    (2k, 2k + 1) shares one sample.

    Parameters
    ----------
    d, width, patches : int
        See :func:`build_tokenizer`.
    """

    def __init__(self, *, d: int, width: int = 64, patches: int = 16) -> None:
        super().__init__()
        self.positions = patches
        self.features = nn.Sequential(_convolution(1, width, 15), _convolution(width, 2 * width, 7))
        self.project = nn.Linear(2 * width, d)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of shape (B, patches, d) of windows x of shape (B, T), whatever T is."""
        maps = self.features(x.unsqueeze(1))  # (B, 2 width, T)
        return self.project(average_bins(maps, self.positions).transpose(1, 2))  # (B, P, d)


class FixedPatchTokenizer(nn.Module):
    """Patches of a fixed number of samples, each projected by one linear layer: what ART is compared with.

    A patch has ``200 // patches`` samples (12 for 16 patches), so a one-second window becomes 16 tokens at 200 Hz and
    10 at 128 Hz, and a patch lasts longer at the lower rate. Samples after the last whole patch are left out.

    Parameters
    ----------
    d, patches : int
        See :func:`build_tokenizer`.
    width : int
        Not used: this tokenizer has no convolution.
    max_tokens : int
        Rows of the position table, hence the longest window in patches.
    """

    def __init__(self, *, d: int, width: int = 64, patches: int = 16, max_tokens: int = 256) -> None:
        super().__init__()
        self.positions = max_tokens
        self.patch = max(1, REFERENCE_SAMPLES // patches)  # samples
        self.project = nn.Linear(self.patch, d)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of shape (B, T // patch, d) of windows x of shape (B, T)."""
        tokens = x.shape[1] // self.patch
        if not 1 <= tokens <= self.positions:
            raise UserError(
                f"a window of {x.shape[1]} samples makes {tokens} patches of {self.patch} samples",
                expected=f"1 to {self.positions} patches",
                mend="encoder: {tokenizer: art}, which takes any window length",
            )
        patches = x[:, : tokens * self.patch].unflatten(1, (tokens, self.patch))  # (B, P, patch)
        return self.project(patches)


class CNNTokenizer(nn.Module):
    """ART's two convolutions with strides instead of pooling: one token every 12 samples, whatever the rate.

    The encoder follows it with convolution blocks in place of the Transformer. Convolutions know the order of their
    input, so there is no position table.

    Parameters
    ----------
    d, width : int
        See :func:`build_tokenizer`.
    patches : int
        Not used: the strides decide (17 tokens for one second at 200 Hz, 11 at 128 Hz).
    """

    positions = None

    def __init__(self, *, d: int, width: int = 64, patches: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(_convolution(1, width, 15, stride=4), _convolution(width, 2 * width, 7, stride=3))
        self.project = nn.Linear(2 * width, d)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens of shape (B, ceil(ceil(T / 4) / 3), d) of windows x of shape (B, T)."""
        maps = self.features(x.unsqueeze(1))  # (B, 2 width, P)
        return self.project(maps.transpose(1, 2))  # (B, P, d)
