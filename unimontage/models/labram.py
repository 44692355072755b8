"""LaBraM: one-second patches of single channels as tokens of a Transformer that knows electrode and second of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unimontage.errors import UserError
from unimontage.models.electrodes import ELECTRODES, electrode_rows
from unimontage.sharing import drawn

PATCH = 200  # samples: one second at 200 Hz
SECONDS = 16  # rows of the time table
UNIT_MICROVOLT = 100.0  # of the patches that go in


class Size(NamedTuple):
    """Width of a token, blocks, attention heads, feature maps and stride of the patch encoder."""

    d: int
    depth: int
    heads: int
    maps: int
    stride: int


SIZES = {
    "tiny": Size(d=40, depth=4, heads=4, maps=4, stride=20),
    "base": Size(d=200, depth=12, heads=10, maps=8, stride=8),
    "large": Size(d=400, depth=24, heads=16, maps=16, stride=8),
    "huge": Size(d=800, depth=48, heads=16, maps=32, stride=8),
}
"""The published sizes, and ``tiny`` for demonstrations."""


def patches(x: Tensor) -> Tensor:
    """Cut windows into the patches that LaBraM reads.

    Parameters
    ----------
    x : Tensor, shape (B, C, T)
        Microvolt at 200 Hz.

    Returns
    -------
    Tensor, shape (B, C, T / 200, 200)
        In units of 100 microvolt.

    Raises
    ------
    UserError
        If a window is not a whole number of seconds from 1 to 16.
    """
    seconds, rest = divmod(x.shape[2], PATCH)
    if rest or not 1 <= seconds <= SECONDS:
        raise UserError(
            f"windows of {x.shape[2]} samples cannot be cut into patches of {PATCH}",
            expected=f"a whole number of seconds at 200 Hz, from 1 to {SECONDS}",
            mend=f"windows: {{length_s: {min(max(seconds, 1), SECONDS)}}}",
        )
    return x.unflatten(2, (seconds, PATCH)) / UNIT_MICROVOLT


class PatchConvolution(nn.Module):
    """Three convolutions along the samples of every patch; their maps, sample by sample, are its token."""

    def __init__(self, maps: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, maps, (1, 2 * stride - 1), (1, stride), (0, stride - 1))
        self.conv2 = nn.Conv2d(maps, maps, (1, 3), padding=(0, 1))
        self.conv3 = nn.Conv2d(maps, maps, (1, 3), padding=(0, 1))
        self.norm1, self.norm2, self.norm3 = (nn.GroupNorm(4, maps) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, C * P, maps * 200 / stride) of patches (B, C, P, 200); norms see all patches of a window."""
        y = x.flatten(1, 2).unsqueeze(1)  # (B, 1, C * P, 200)
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)):
            y = nn.functional.gelu(norm(conv(y)))  # (B, maps, C * P, 200 / stride)
        return y.permute(0, 2, 3, 1).flatten(2)


class Attention(nn.Module):
    """Self-attention whose queries and keys may be normalised head by head; a bias, if any, spares the keys."""

    def __init__(self, d: int, heads: int, *, qk_norm: bool, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(d)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(d)) if qkv_bias else None
        self.q_norm = nn.LayerNorm(d // heads, eps=1e-6) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(d // heads, eps=1e-6) if qk_norm else nn.Identity()
        self.proj = nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens x of shape (B, N, d); the shape stays."""
        bias = None
        if self.q_bias is not None:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        split = nn.functional.linear(x, self.qkv.weight, bias).unflatten(2, (3, self.heads, -1))
        q, k, v = split.permute(2, 0, 3, 1, 4)  # (B, H, N, d / H) each
        q, k = self.q_norm(q).type_as(v), self.k_norm(k).type_as(v)  # under autocast a layer norm gives float32
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)  # (B, H, N, d / H)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm, scaled, and left out at random in training."""

    def __init__(self, d: int, heads: int, *, layer_scale: float | None, drop_path: float, **attention: bool) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1, self.norm2 = nn.LayerNorm(d, eps=1e-6), nn.LayerNorm(d, eps=1e-6)
        self.attn = Attention(d, heads, **attention)
        self.mlp = nn.Sequential(OrderedDict(fc1=nn.Linear(d, 4 * d), act=nn.GELU(), fc2=nn.Linear(4 * d, d)))
        scaled = layer_scale is not None
        self.gamma_1 = nn.Parameter(torch.full((d,), layer_scale)) if scaled else None
        self.gamma_2 = nn.Parameter(torch.full((d,), layer_scale)) if scaled else None

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens x of shape (B, N, d); the shape stays."""
        x = x + self._path(self.attn(self.norm1(x)), self.gamma_1)
        return x + self._path(self.mlp(self.norm2(x)), self.gamma_2)

    def _path(self, branch: Tensor, gamma: Tensor | None) -> Tensor:
        if gamma is not None:
            branch = gamma * branch
        if not self.training or not self.drop_path:
            return branch
        kept = drawn(lambda n: torch.rand(n, 1, 1, device=branch.device), len(branch)) >= self.drop_path  # by window
        return branch * kept / (1.0 - self.drop_path)


class ElectrodeTransformer(nn.Module):
    """Tokens of patches in the context of all others, told which electrode and which second each comes from.

    Parameters
    ----------
    patch_embed : nn.Module
        From patches (B, C, P, S) to tokens (B, C * P, d).
    d, depth, heads : int
        Width of a token, blocks, attention heads.
    layer_scale : float or None
        Start of the learned factor on each residual branch; None for no factor.
    drop_path : float
        Probability with which training leaves out a branch of the last block; it rises linearly from 0 in the first.
    qk_norm, qkv_bias : bool
        Layer norm of queries and keys, bias of queries and values.

    Notes
    -----
    Parameters bear the names that they have in the released checkpoints.
    """

    def __init__(
        self,
        patch_embed: nn.Module,
        *,
        d: int,
        depth: int,
        heads: int,
        layer_scale: float | None = 0.1,
        drop_path: float = 0.0,
        qk_norm: bool = True,
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        self.d, self.depth = d, depth
        self.patch_embed = patch_embed
        self.cls_token = nn.Parameter(torch.empty(1, 1, d))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + len(ELECTRODES), d))
        self.time_embed = nn.Parameter(torch.empty(1, SECONDS, d))
        attention: dict[str, bool] = {"qk_norm": qk_norm, "qkv_bias": qkv_bias}
        self.blocks = nn.ModuleList(
            Block(d, heads, layer_scale=layer_scale, drop_path=rate, **attention)
            for rate in torch.linspace(0, drop_path, depth).tolist()
        )
        self.norm = nn.LayerNorm(d, eps=1e-6)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Small weights, and the output of each branch smaller the deeper it is."""
        for table in (self.cls_token, self.pos_embed, self.time_embed):
            nn.init.trunc_normal_(table, std=0.02)
        for layer in self.modules():
            start_linear(layer)
        for number, block in enumerate(self.blocks, start=1):
            for out in (block.attn.proj, block.mlp.fc2):
                out.weight /= (2.0 * number) ** 0.5

    def tokens(self, x: Tensor, channels: Sequence[str]) -> Tensor:
        """Patch tokens (B, C * P, d), channel by channel, of patches x (B, C, P, S); errors as in :meth:`context`."""
        return self.norm(self.context(self.patch_embed(x), channels)[:, 1:])

    def context(self, tokens: Tensor, channels: Sequence[str]) -> Tensor:
        """Add CLS token and embeddings to embedded patches and let all attend to each other.

        Parameters
        ----------
        tokens : Tensor, shape (B, C * P, d)
            Embedded patches, channel by channel.
        channels : sequence of str
            The C electrodes.

        Returns
        -------
        Tensor, shape (B, 1 + C * P, d)
            The CLS token first; not normalised.

        Raises
        ------
        UserError
            If a channel is no known electrode, or there are more than 16 patches a channel.
        ValueError
            If the channels do not divide the tokens.
        """
        seconds, rest = divmod(tokens.shape[1], len(channels))
        if rest:
            raise ValueError(f"{tokens.shape[1]} tokens cannot belong to {len(channels)} channels")
        if seconds > SECONDS:
            raise UserError(
                f"windows of {seconds} patches are too long for LaBraM",
                expected=f"{SECONDS} patches of a second or less",
                mend=f"windows: {{length_s: {SECONDS}}}",
            )
        rows = torch.tensor(electrode_rows(tuple(channels)), device=tokens.device)
        place = self.pos_embed[0, rows, None] + self.time_embed[0, None, :seconds]  # (C, P, d)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)  # (B, 1, d)
        x = torch.cat([cls, tokens + place.flatten(0, 1)], dim=1)  # (B, 1 + C * P, d)
        for block in self.blocks:
            x = block(x)
        return x


class Labram(ElectrodeTransformer):
    """The backbone of LaBraM.

    Parameters
    ----------
    size : {"tiny", "base", "large", "huge"}
        A key of :data:`SIZES`.
    **options
        ``layer_scale``, ``drop_path``, ``qk_norm``, ``qkv_bias`` of :class:`ElectrodeTransformer`.

    Notes
    -----
    Jiang et al. 2024, section 2.1. One norm serves each use: ``norm`` the tokens of pre-training, ``fc_norm`` the
    pooled embedding of fine-tuning; released pre-trained weights hold the first only. The CLS token has its own row of
    the electrode table in either; in the published pre-training it takes the row of the first channel.
    """

    def __init__(self, size: str = "base", **options: Any) -> None:
        super().__init__(**trunk(size), **options)
        self.mask_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, self.d), std=0.02))
        self.fc_norm = nn.LayerNorm(self.d, eps=1e-6)

    def tokens(self, x: Tensor, channels: Sequence[str], mask: Tensor | None = None) -> Tensor:
        """Tokens of patches, some of them hidden.

        Parameters
        ----------
        x : Tensor, shape (B, C, P, 200)
            From :func:`patches`.
        channels : sequence of str
            The C electrodes.
        mask : Tensor, shape (B, C * P), bool, optional
            Patches, channel by channel, that a learned token replaces.

        Returns
        -------
        Tensor, shape (B, C * P, d)
            Channel by channel; errors as in :meth:`context`.
        """
        embedded = self.patch_embed(x)
        if mask is not None:
            embedded = torch.where(mask[:, :, None], self.mask_token, embedded)
        return self.norm(self.context(embedded, channels)[:, 1:])

    def embed(self, x: Tensor, channels: Sequence[str]) -> Tensor:
        """Mean token (B, d) of patches x (B, C, P, 200), normalised after the mean; errors as in :meth:`context`."""
        return self.fc_norm(self.context(self.patch_embed(x), channels)[:, 1:].mean(1))


def trunk(size: str) -> dict[str, Any]:
    """Patch encoder, width, depth and heads of a size, for :class:`ElectrodeTransformer`.

    Raises
    ------
    UserError
        If there is no such size.
    """
    if size not in SIZES:
        near = get_close_matches(size, SIZES, n=1) or ["base"]
        raise UserError(
            f"LaBraM has no size '{size}'", expected="one of " + ", ".join(SIZES), mend=f"{{size: {near[0]}}}"
        )
    s = SIZES[size]
    return {"patch_embed": PatchConvolution(s.maps, s.stride), "d": s.d, "depth": s.depth, "heads": s.heads}


def start_linear(layer: nn.Module) -> None:
    """Start a linear layer small and without offset; leave any other layer as it is."""
    if isinstance(layer, nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def layer_groups(model: ElectrodeTransformer, lr: float, decay: float) -> list[dict[str, Any]]:
    """Parameter groups whose learning rate falls from the last block to the embeddings.

    Parameters
    ----------
    model : ElectrodeTransformer
        Each of its parameters comes into one group.
    lr : float
        Peak rate of what follows the last block; a head on top wants the same.
    decay : float
        Factor from one block to the block below it, in (0, 1].

    Returns
    -------
    list of dict
        ``params``, ``lr`` and ``peak``; vectors and embeddings, which want no weight decay, are in groups of their own
        with ``weight_decay`` 0.

    Notes
    -----
    Jiang et al. 2024 fine-tune with a decay of 0.65. The time embedding learns with the other embeddings here; in the
    published code it learns at the full rate.
    """
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        first, *rest = name.split(".")
        embedding = first in ("cls_token", "mask_token", "pos_embed", "time_embed")
        layer = 0 if embedding or first == "patch_embed" else int(rest[0]) + 1 if first == "blocks" else model.depth + 1
        groups.setdefault((layer, embedding or parameter.ndim < 2), []).append(parameter)
    return [
        {"params": parameters, "lr": peak, "peak": peak} | ({"weight_decay": 0.0} if undecayed else {})
        for (layer, undecayed), parameters in sorted(groups.items(), key=lambda item: item[0])
        for peak in (lr * decay ** (model.depth + 1 - layer),)
    ]
