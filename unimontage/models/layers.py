"""Layers in which the rows of a batch are not alone: they treat a batch that several processes share as one.

With one process they are torch's own, to the last bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from unimontage.sharing import drawn, shared, summed


class Dropout(nn.Dropout):
    """Dropout whose mask does not depend on the number of processes, on a processor."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop some of x, rows first."""
        return _dropped(x, self.p) if self.training and shared() else super().forward(x)


class BatchNorm1d(nn.BatchNorm1d):
    """Batch norm with the statistics of the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, shape (rows, features) or (rows, features, T)."""
        if not (self.training and shared()):
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # as under autocast
        inside = tuple(d for d in range(x.ndim) if d != 1)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        size = wide.new_tensor([x.numel() / x.shape[1]])
        total = summed(torch.cat([wide.sum(inside), size]))
        mean, size = total[:-1] / total[-1], total[-1]
        centred = wide - mean.view(shape)
        variance = summed(centred.square().sum(inside)) / size
        self._note(mean.detach(), (variance * size / (size - 1)).detach())
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        return (scaled * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)


def attention(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """Scaled dot-product attention (B, H, P, d / H) with dropout of its weights; as for :class:`Dropout`."""
    if not (dropout and shared()):
        return scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    weights = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(3)  # (B, H, P, P)
    return _dropped(weights, dropout).to(v.dtype) @ v


def _dropped(x: Tensor, p: float) -> Tensor:
    order = sorted(range(x.ndim), key=x.stride, reverse=True)  # chance runs through memory, whatever the shape

    def mask(rows: int) -> Tensor:
        like = {"dtype": x.dtype, "device": x.device}
        return nn.functional.dropout(torch.empty_permuted((rows, *x.shape[1:]), order, **like).fill_(1.0), p)

    return x * drawn(mask, len(x))
