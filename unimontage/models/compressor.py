"""Compress a window to 64 numbers: an autoencoder of its signal, magnitude spectrum and phase spectrum."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from unimontage.errors import UserError
from unimontage.objectives.reconstruction import instance_discrimination
from unimontage.objectives.spectrum import standardised

VIEWS = {"signal": 10, "magnitude": 5, "phase": 5}
"""Patches of each view of a window, in the order of :func:`views`."""

PATCHES = sum(VIEWS.values())
HEAD = 64  # dimensions of an attention head, whatever the width of a token


class CompressorLoss(NamedTuple):
    """Loss to minimise and its parts, each of shape ()."""

    total: Tensor
    reconstruction: Tensor
    idc: Tensor  # before it is weighted; 0 where it is off


def views(x: Tensor) -> Tensor:
    """Cut a window and its spectrum into patches.

    Parameters
    ----------
    x : Tensor, shape (B, C, T)
        Windows in any unit; T is a multiple of 20.

    Returns
    -------
    Tensor, shape (B, 20, C, T / 10), float32
        10 patches of the signal, then 5 of the magnitude and 5 of the phase of its first T / 2 frequencies. Each view
        is z-scored with one mean and one deviation a window.

    Raises
    ------
    UserError
        If T is no multiple of 20.

    Notes
    -----
    EEG-DLite (20 patches in all). Computed in float32 even under autocast.
    """
    T = x.shape[2]
    if T % PATCHES or not T:
        raise UserError(
            f"windows of {T} samples do not fall into {PATCHES} equal patches of signal and spectrum",
            expected=f"a multiple of {PATCHES} samples",
            mend=f"cut windows of {max(PATCHES, T - T % PATCHES)} samples",
        )
    with torch.autocast(x.device.type, enabled=False):
        signal = standardised(x)
        spectrum = torch.fft.rfft(signal, dim=2)[:, :, : T // 2]  # (B, C, T / 2)
        row = torch.cat([signal, standardised(spectrum.abs()), standardised(spectrum.angle())], dim=2)  # (B, C, 2 T)
    return row.unflatten(2, (PATCHES, -1)).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Two convolutions with batch norms beside a path that is straight, or a convolution of length 1 in a new width."""

    def __init__(self, maps_in: int, maps_out: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv1d(maps_in, maps_out, 3, stride, 1, bias=False),  # a batch norm follows
            nn.BatchNorm1d(maps_out),
            nn.ReLU(),
            nn.Conv1d(maps_out, maps_out, 3, 1, 1, bias=False),
            nn.BatchNorm1d(maps_out),
        )
        self.straight = nn.Sequential()
        if maps_in != maps_out or stride > 1:
            self.straight.append(nn.Conv1d(maps_in, maps_out, 1, stride, bias=False))
            self.straight.append(nn.BatchNorm1d(maps_out))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (B, maps_out, T / stride) of x (B, maps_in, T)."""
        return torch.relu(self.branch(x) + self.straight(x))


class PatchEncoder(nn.Sequential):
    """Residual network of 18 layers along time: one feature vector (B, 8 width) of each patch (B, channels, p)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            nn.Conv1d(channels, width, 3, 2, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.MaxPool1d(3, 2, 1),
        )
        maps = width
        for stage in range(4):
            wider = width * 2**stage
            self.append(ResidualBlock(maps, wider, stride=1 if stage == 0 else 2))
            self.append(ResidualBlock(wider, wider, stride=1))
            maps = wider
        self.append(nn.AdaptiveAvgPool1d(1))
        self.append(nn.Flatten())


class WideAttentionBlock(nn.Module):
    """Pre-norm self-attention with 64 dimensions a head, then a feed-forward layer as wide as a token."""

    def __init__(self, d: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.attention_dropout = heads, dropout
        self.norm_attention, self.norm_ffn = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * heads * HEAD, bias=False)
        self.out = nn.Sequential(nn.Linear(heads * HEAD, d), nn.Dropout(dropout))
        self.ffn = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Dropout(dropout), nn.Linear(d, d), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens x of shape (B, N, d); the shape stays."""
        split = self.qkv(self.norm_attention(x)).unflatten(2, (3, self.heads, HEAD))  # (B, N, 3, H, 64)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # (B, H, N, 64) each
        rate = self.attention_dropout if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=rate)  # (B, H, N, 64)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.ffn(self.norm_ffn(x))


class Compressor(nn.Module):
    """Multi-view autoencoder whose mean token stands for a window.

    Parameters
    ----------
    channels : int
        Channels C of a window; one compressor serves one montage.
    patch : int
        Samples of a patch: T / 10.
    width : int
        Feature maps of the first stage of each view's patch encoder; the last stage has ``d``.
    d : int
        Width of a token and of the latent: 8 ``width``.
    depth, heads : int
        Blocks of the encoder (the decoder has 2), attention heads of 64 dimensions each.
    dropout : float
        In the encoder.
    decoder_bypass : bool
        Reconstruct from the encoder's tokens and build no decoder: what the published code amounts to, where the
        decoder runs but nothing reads its output.
    idc : {"within_window", "between_samples", "off"}
        What the instance discrimination constraint tells apart: patches of one window (the published code), windows of
        the batch (the paper), or nothing.
    beta : float
        Weight of that constraint.
    mask_ratio : float
        Share of the patches that the encoder does not see, in [0, 1); all patches are reconstructed.

    Notes
    -----
    EEG-DLite, after the cross-reconstruction transformer (Zhang et al. 2022). At C = 62 and T = 800 it
    has 2.28 million parameters, 1.03 million of them in the encoder. The view embedding is added to the tokens of its
    view in training and afterwards alike; the published code adds it along the batch when it computes latents, so that
    they depend on the place of a window in its batch.
    """

    def __init__(
        self,
        channels: int,
        patch: int,
        *,
        width: int = 8,
        d: int = 64,
        depth: int = 6,
        heads: int = 8,
        dropout: float = 0.2,
        decoder_bypass: bool = False,
        idc: Literal["within_window", "between_samples", "off"] = "within_window",
        beta: float = 1e-4,
        mask_ratio: float = 0.0,
    ) -> None:
        super().__init__()
        if d != 8 * width:
            raise ValueError(f"a patch encoder of width {width} gives tokens of width {8 * width}, not {d}")
        if not 0.0 <= mask_ratio < 1.0:
            raise ValueError(f"mask_ratio {mask_ratio} is not in [0, 1)")
        self.channels, self.patch = channels, patch
        self.idc, self.beta, self.mask_ratio = idc, beta, mask_ratio
        self.patch_encoders = nn.ModuleList(PatchEncoder(channels, width) for _ in VIEWS)
        self.mask_token = nn.Parameter(torch.zeros(d)) if mask_ratio else None
        self.cls = nn.Parameter(torch.empty(len(VIEWS), d).normal_(std=0.02))
        self.position = nn.Parameter(torch.empty(PATCHES + len(VIEWS), d).normal_(std=0.02))
        self.view = nn.Parameter(torch.empty(len(VIEWS), d).normal_(std=0.02))
        self.encoder = nn.Sequential(*(WideAttentionBlock(d, heads, dropout) for _ in range(depth)))
        decoder = () if decoder_bypass else (WideAttentionBlock(d, heads, 0.0) for _ in range(2))
        self.decoder = nn.Sequential(*decoder)
        self.heads = nn.ModuleList(nn.Linear(d, channels * patch) for _ in VIEWS)
        self.projections = nn.ModuleList(nn.Linear(d, d) for _ in range(0 if idc == "off" else 2))

    def forward(self, x: Tensor) -> CompressorLoss:
        """Loss of windows x (B, C, T).

        Raises
        ------
        UserError
            If T is no multiple of 20.
        ValueError
            If the windows have other channels or another length than the compressor was built for.
        """
        patches = self._patches(x)  # (B, 20, C, p)
        tokens = self._patch_tokens(patches)  # (B, 20, d)
        encoded = self._encode(tokens, self._mask(len(x), x.device))  # (B, 23, d)
        decoded = _without_cls(self.decoder(encoded)).split(tuple(VIEWS.values()), dim=1)
        predicted = torch.cat([head(part) for head, part in zip(self.heads, decoded, strict=True)], dim=1)
        reconstruction = nn.functional.mse_loss(predicted.float(), patches.flatten(2))
        if self.idc == "off":
            return CompressorLoss(reconstruction, reconstruction, torch.zeros_like(reconstruction))
        before, after = self.projections
        idc = instance_discrimination(before(tokens), after(_without_cls(encoded)), self.idc)
        return CompressorLoss(reconstruction + self.beta * idc, reconstruction, idc)

    @torch.no_grad()
    def latents(self, x: Tensor) -> Tensor:
        """Latents (B, d), float32, of windows x (B, C, T): each depends on its own window alone.

        Computed with the batch norms' running statistics, without dropout and without mask, in whatever mode the
        module is; the mode stays. Errors as in :meth:`forward`.
        """
        mode = self.training
        self.eval()
        try:
            tokens = self._patch_tokens(self._patches(x))  # (B, 20, d)
            return _without_cls(self._encode(tokens, None)).float().mean(1)
        finally:
            self.train(mode)

    def _patches(self, x: Tensor) -> Tensor:
        patches = views(x)
        if patches.shape[2:] != (self.channels, self.patch):
            raise ValueError(
                f"windows of {x.shape[1]} channels and {x.shape[2]} samples for a compressor of {self.channels} "
                f"channels and {10 * self.patch} samples"
            )
        return patches

    def _patch_tokens(self, patches: Tensor) -> Tensor:
        """Features (B, 20, d) of patches (B, 20, C, p), each view through its own encoder.

        In float32 even under autocast: in bfloat16 the gradient of a strided convolution over a single sample, which
        is what short patches come down to, is not finite on a processor.
        """
        parts = patches.split(tuple(VIEWS.values()), dim=1)
        with torch.autocast(patches.device.type, enabled=False):
            features = [encode(part.flatten(0, 1)) for encode, part in zip(self.patch_encoders, parts, strict=True)]
        return torch.cat([f.unflatten(0, (len(patches), -1)) for f in features], dim=1)

    def _mask(self, windows: int, device: torch.device) -> Tensor | None:
        """The same number of random patches of each window, (B, 20) of bool."""
        if not self.mask_ratio:
            return None
        rank = torch.rand(windows, PATCHES, device=device).argsort(1).argsort(1)
        return rank < min(round(self.mask_ratio * PATCHES), PATCHES - 1)

    def _encode(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens (B, 23, d) in context: those of each view behind its own CLS token."""
        if mask is not None:
            tokens = torch.where(mask[:, :, None], self.mask_token, tokens)
        cls = self.cls[:, None, None].expand(-1, len(tokens), 1, -1)  # (3, B, 1, d)
        parts = [
            torch.cat([cls[kind], part], dim=1) + self.view[kind]
            for kind, part in enumerate(tokens.split(tuple(VIEWS.values()), dim=1))
        ]
        return self.encoder(torch.cat(parts, dim=1) + self.position)


def _without_cls(tokens: Tensor) -> Tensor:
    """The 20 patch tokens (B, 20, d) of 23 tokens (B, 23, d)."""
    groups = tokens.split([patches + 1 for patches in VIEWS.values()], dim=1)
    return torch.cat([group[:, 1:] for group in groups], dim=1)
