"""The neural tokenizer of LaBraM: names for patches of EEG, learned by giving back their spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unimontage.models.codebook import Codebook
from unimontage.models.labram import PATCH, ElectrodeTransformer, start_linear, trunk
from unimontage.objectives.spectrum import spectrum_loss


class TokenizerLoss(NamedTuple):
    """Loss to minimise, the sum of its three parts; each of shape ()."""

    total: Tensor
    amplitude: Tensor
    phase: Tensor
    commitment: Tensor


class CodeEmbedding(nn.Linear):
    """Tokens (B, C * P, d) of codes (B, C, P, D)."""

    def forward(self, codes: Tensor) -> Tensor:
        """Project every code."""
        return super().forward(codes.flatten(1, 2))


class NeuralTokenizer(nn.Module):
    """Encode patches, name each by the nearest code, and give back its spectrum from the names.

    Parameters
    ----------
    size : str
        Size of encoder and decoder, a key of :data:`unimontage.models.labram.SIZES`.
    codes, code_d : int
        Codes and their dimension.
    decoder_depth : int
        Blocks of the decoder.
    decay, revive
        See :class:`unimontage.models.codebook.Codebook`.

    Notes
    -----
    Jiang et al. 2024, section 2.2. Encoder and decoder are backbones without layer scale and without norms of queries
    and keys, but with biases.
    """

    def __init__(
        self,
        size: str = "base",
        *,
        codes: int = 8192,
        code_d: int = 64,
        decoder_depth: int = 3,
        decay: float = 0.99,
        revive: bool = True,
    ) -> None:
        super().__init__()
        plain = {"layer_scale": None, "qk_norm": False, "qkv_bias": True}
        parts = trunk(size)
        d = parts["d"]
        self.encoder = ElectrodeTransformer(**parts, **plain)
        decoder = parts | {"patch_embed": CodeEmbedding(code_d, d), "depth": decoder_depth}
        self.decoder = ElectrodeTransformer(**decoder, **plain)
        self.codebook = Codebook(codes, code_d, decay=decay, revive=revive)
        self.to_code = _head(d, code_d)
        self.to_amplitude, self.to_phase = _head(d, PATCH), _head(d, PATCH)

    def forward(self, x: Tensor, channels: Sequence[str]) -> TokenizerLoss:
        """Loss of patches x (B, C, P, 200) from :func:`unimontage.models.labram.patches`.

        In training, the codes follow the latents. Raises UserError for an unknown electrode or more than 16 patches.
        """
        quantised = self.codebook(self._latents(x, channels))
        decoded = self.decoder.tokens(quantised.codes.unflatten(1, x.shape[1:3]), channels)  # (B, C * P, d)
        amplitude, phase = spectrum_loss(self.to_amplitude(decoded), self.to_phase(decoded), x)
        total = amplitude + phase + quantised.commitment
        return TokenizerLoss(total, amplitude, phase, quantised.commitment)

    @torch.no_grad()
    def codes(self, x: Tensor, channels: Sequence[str]) -> Tensor:
        """Code of each patch, (B, C * P), int64, channel by channel; nothing is learned.

        Parameters
        ----------
        x : Tensor, shape (B, C, P, 200)
            From :func:`unimontage.models.labram.patches`.
        channels : sequence of str
            The C electrodes.
        """
        mode = self.training
        self.eval()
        try:
            return self.codebook(self._latents(x, channels)).index
        finally:
            self.train(mode)

    def _latents(self, x: Tensor, channels: Sequence[str]) -> Tensor:
        return self.to_code(self.encoder.tokens(x, channels))  # (B, C * P, D)


def _head(d: int, out: int) -> nn.Sequential:
    """Two linear layers with a tangent between them, started as those of the backbone."""
    head = nn.Sequential(nn.Linear(d, d), nn.Tanh(), nn.Linear(d, out))
    head.apply(start_linear)
    return head
