"""Two random views of a window belong together."""

from __future__ import annotations

from typing import Literal

from torch import Generator, Tensor

from unimontage.objectives.nt_xent import NTXent
from unimontage.objectives.segments import SegmentObjective
from unimontage.objectives.simsiam import SimSiam
from unimontage.signal.seqclr import seqclr_view

HIDDEN, PROJECTION = 128, 32  # of SeqCLR's projector


class AugmentedContrast(SegmentObjective):
    """Contrast two SeqCLR views of each window, with negatives or without.

    Parameters
    ----------
    d : int
        Width of the embedding.
    samples : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.
    loss : {"simsiam", "nt_xent"}
        Each view predicts the other, or each is told from all other windows of the batch.
    temperature : float
        Softmax temperature of ``nt_xent``, > 0.

    Notes
    -----
    ``simsiam`` is the first task of MTSSRL-MD (section 3.3, eq. 1); its loss lies between -1 and 1. ``nt_xent``
    is SeqCLR (Mohsenvand et al. 2020). The views are made before the alignment, on the montage itself.
    """

    def __init__(
        self,
        d: int,
        samples: int,
        sfreq_hz: float,
        *,
        loss: Literal["simsiam", "nt_xent"] = "simsiam",
        temperature: float = 0.05,
    ) -> None:
        super().__init__()
        self.sfreq_hz = sfreq_hz
        self.lowest = -1.0 if loss == "simsiam" else 0.0
        contrast = {"temperature": temperature, "hidden": HIDDEN, "projection": PROJECTION}
        self.agreement = SimSiam(d) if loss == "simsiam" else NTXent(d, **contrast)

    def segments(
        self, x: Tensor, labels: Tensor, generator: Generator, *, microvolt: float | Tensor = 0.1
    ) -> tuple[Tensor, Tensor]:
        """Two views of each window, side by side: (2 B, C, T) of x (B, 1, C, T)."""
        twice = x[:, 0].repeat_interleave(2, dim=0)  # (2 B, C, T)
        if isinstance(microvolt, Tensor):
            microvolt = microvolt.repeat_interleave(2)
        return seqclr_view(twice, generator, self.sfreq_hz, microvolt=microvolt), labels

    def forward(self, h: Tensor, labels: Tensor) -> Tensor:
        """Loss, shape (), of both views' embeddings h, shape (2 B, d)."""
        return self.agreement(*h.unflatten(0, (-1, 2)).unbind(1))
