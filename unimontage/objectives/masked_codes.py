"""Name the hidden patches of a window from those that are seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from unimontage.sharing import drawn


class MaskedEncoder(Protocol):
    """What the objective asks of an encoder."""

    d: int

    def tokens(self, x: Tensor, channels: Sequence[str], mask: Tensor | None = None) -> Tensor:
        """Tokens (B, N, d) of patches, those under the mask hidden."""
        ...


class MaskedCodesLoss(NamedTuple):
    """Loss to minimise, the sum of its two parts; each of shape ()."""

    total: Tensor
    masked: Tensor
    complement: Tensor


def random_parts(windows: int, tokens: int, ratio: float, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Divide the tokens of each window at random in two parts, the same number of each window.

    Parameters
    ----------
    windows, tokens : int
        W windows of N tokens.
    ratio : float
        Share of the tokens that the first part has, in (0, 1).
    device : device
        Where to draw.

    Returns
    -------
    first : Tensor, shape (W, n), int64
    rest : Tensor, shape (W, N - n), int64
        Places of the tokens; each part has one at least.

    Raises
    ------
    ValueError
        If there are fewer than two tokens, or the ratio is 0 or 1.
    """
    if tokens < 2 or not 0.0 < ratio < 1.0:
        raise ValueError(f"a mask wants two tokens or more and a ratio in (0, 1), not {tokens} and {ratio}")
    hidden = min(max(round(ratio * tokens), 1), tokens - 1)
    order = drawn(lambda n: torch.rand(n, tokens, device=device), windows).argsort(1)
    return order[:, :hidden], order[:, hidden:]


class MaskedCodes(nn.Module):
    """Predict the codes of hidden patches, once with a random mask and once with its complement.

    Parameters
    ----------
    encoder : MaskedEncoder
        E.g. :class:`unimontage.models.labram.Labram`.
    codes : int
        Codes of the tokenizer.
    mask_ratio : float
        Share of the patches that the random mask hides, in (0, 1).

    Notes
    -----
    Jiang et al. 2024, section 2.3. Knowing nothing costs ``log(codes)`` in each part. The tokenizer is no part of this
    module, so that nothing trains it.
    """

    def __init__(self, encoder: MaskedEncoder, codes: int, *, mask_ratio: float = 0.5) -> None:
        super().__init__()
        self.encoder, self.mask_ratio = encoder, mask_ratio
        self.head = nn.Linear(encoder.d, codes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, channels: Sequence[str], targets: Tensor) -> MaskedCodesLoss:
        """Loss of one batch.

        Parameters
        ----------
        x : Tensor, shape (B, C, P, 200)
            Patches.
        channels : sequence of str
            The C electrodes.
        targets : Tensor, shape (B, C * P), int64
            Code of every patch, from a tokenizer that is not trained.

        Returns
        -------
        MaskedCodesLoss
            Mean cross entropy of the hidden patches, in nats.
        """
        parts = random_parts(*targets.shape, self.mask_ratio, targets.device)
        masked, complement = (self._cross_entropy(x, channels, targets, hidden) for hidden in parts)
        return MaskedCodesLoss(masked + complement, masked, complement)

    def _cross_entropy(self, x: Tensor, channels: Sequence[str], targets: Tensor, hidden: Tensor) -> Tensor:
        mask = torch.zeros_like(targets, dtype=torch.bool).scatter_(1, hidden, True)  # (B, N)
        tokens = self.encoder.tokens(x, channels, mask)  # (B, N, d)
        # Places, not the mask: what a mask picks has to be counted, for which the processor would wait for a GPU.
        tokens, codes = tokens.take_along_dim(hidden[:, :, None], 1), targets.take_along_dim(hidden, 1)  # (B, n, d)
        return nn.functional.cross_entropy(self.head(tokens).float().flatten(0, 1), codes.flatten())
