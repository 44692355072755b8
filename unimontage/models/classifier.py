"""From a multi-channel window to class scores, through an encoder that sees one channel at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from unimontage.models.encoder import Transformer, UnivariateEncoder
from unimontage.models.spatial import GraphAttention


class UniversalClassifier(nn.Module):
    """Encode every channel, mix channels, look at the whole window, average, classify.

    Parameters
    ----------
    encoder : UnivariateEncoder
        Shared by all channels; usually pre-trained.
    spatial : nn.Module or None
        From :func:`unimontage.models.spatial.build_spatial`.
    d : int
        Width of the encoder's tokens.
    classes : int
        Number of classes.
    spatial_mode : {"node", "patch"}
        ``node``: a node is a channel's mean token, and the global Transformer sees one token a channel. ``patch``:
        the channels are mixed patch by patch and averaged, and the global Transformer sees one token a patch.
    layers, heads, ffn, dropout
        The global Transformer.

    Notes
    -----
    In mode ``node`` nothing depends on the order of the channels: each carries its name as an embedding. In mode
    ``patch`` the encoder's position embedding is all that tells the global Transformer the order of the patches.
    """

    def __init__(
        self,
        encoder: UnivariateEncoder,
        spatial: nn.Module | None,
        d: int,
        classes: int,
        *,
        spatial_mode: Literal["node", "patch"] = "node",
        layers: int = 2,
        heads: int = 8,
        ffn: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if spatial_mode not in ("node", "patch"):
            raise ValueError(f"spatial_mode is node or patch, not {spatial_mode}")
        self.spatial_mode = spatial_mode
        self.encoder, self.spatial = encoder, spatial
        width = d if spatial is None else spatial.width
        self.whole = Transformer(width, layers=layers, heads=heads, ffn=ffn, dropout=dropout)
        self.final_layer = nn.Linear(width, classes)

    def forward(
        self, x: Tensor, channel: Tensor, rate: Tensor | int, *, return_attention: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Class scores of windows.

        Parameters
        ----------
        x : Tensor, shape (B, C, T)
            Windows, z-scored per channel.
        channel : Tensor, shape (C,), int64
            Vocabulary index of each channel; 0 is unknown.
        rate : Tensor, shape (), int64
            Index of the sampling rate; 0 is unknown.
        return_attention : bool
            Also return the attention between channels; only with a :class:`GraphAttention`.

        Returns
        -------
        Tensor, shape (B, classes)
            Logits.
        Tensor, shape (B, C, C), only if asked for
            Attention of the last graph layer, averaged over heads (and patches); rows sum to 1.
        """
        return self.classify(self.nodes(x, channel, rate), return_attention=return_attention)

    def nodes(self, x: Tensor, channel: Tensor, rate: Tensor | int) -> Tensor:
        """Encoder output as graphs, shape (B, G, C, d): G is 1 in mode ``node``, the number of patches in ``patch``.

        Arguments as in :meth:`forward`. While the encoder is frozen these can be computed once and kept.
        """
        batch, channels, _ = x.shape
        rate = torch.as_tensor(rate, device=x.device).expand(batch * channels)
        tokens = self.encoder(x.flatten(0, 1), channel.repeat(batch), rate)  # (B C, P, d)
        if self.spatial_mode == "node":
            return tokens.mean(1).unflatten(0, (batch, channels)).unsqueeze(1)  # (B, 1, C, d)
        return tokens.unflatten(0, (batch, channels)).transpose(1, 2)  # (B, P, C, d)

    def classify(self, nodes: Tensor, *, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Everything after the encoder, from the output of :meth:`nodes`; returns as :meth:`forward`."""
        batch, graphs = nodes.shape[:2]
        mixed, attention = nodes.flatten(0, 1), None  # (B G, C, d)
        if return_attention:
            if not isinstance(self.spatial, GraphAttention):
                raise ValueError("only graph attention has attention to return")
            mixed, attention = self.spatial(mixed, return_attention=True)
            attention = attention.unflatten(0, (batch, graphs)).mean(1)  # (B, C, C)
        elif self.spatial is not None:
            mixed = self.spatial(mixed)  # (B G, C, width)
        if self.spatial_mode == "patch":
            mixed = mixed.mean(1).unflatten(0, (batch, graphs))  # (B, P, width)
        logits = self.final_layer(self.whole(mixed).mean(1))
        return (logits, attention) if return_attention else logits

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that pre-training shaped: they get the small learning rate."""
        return self.encoder.parameters()

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """All other parameters, new in every fine-tuning."""
        for part in (self.spatial, self.whole, self.final_layer):
            if part is not None:
                yield from part.parameters()
