"""Tell which frequency band has been removed from a window."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Generator, Tensor, nn

from unimontage.objectives.segments import SegmentObjective, balanced_labels, different_windows
from unimontage.signal.band_mask import mask_band
from unimontage.signal.bands import SLEEP_BANDS, SLEEP_BANDS_WITHOUT_GAMMA, band_bins
from unimontage.windows.nights import Nights


class BandMasking(SegmentObjective):
    """Remove one band of sleep from all channels of a window and have it named.

    Parameters
    ----------
    d : int
        Width of the embedding.
    samples : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.
    bands : {6, 5}
        Six, delta to gamma, or five, without gamma: a low-pass at 40 Hz has removed most of it from every window, so
        that its class can hardly be learned.

    Raises
    ------
    UserError
        If a band reaches beyond half the sampling rate or holds no frequency of so short a window.

    Notes
    -----
    MTSSRL-MD, section 3.3, eq. 3, bands of table 9. Bands are balanced within a batch.
    """

    def __init__(self, d: int, samples: int, sfreq_hz: float, *, bands: Literal[6, 5] = 6) -> None:
        super().__init__()
        self.bands = {6: SLEEP_BANDS, 5: SLEEP_BANDS_WITHOUT_GAMMA}[bands]
        self.sfreq_hz = sfreq_hz
        band_bins(samples, sfreq_hz, self.bands)  # refuses now what would fail in the first step
        self.head = nn.Linear(d, bands)

    def sample(self, nights: Nights, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Different windows (B, 1) and the band that each will lose (B,)."""
        return different_windows(nights, size, rng), balanced_labels(size, len(self.bands), rng)

    def segments(
        self, x: Tensor, labels: Tensor, generator: Generator, *, microvolt: float | Tensor = 0.1
    ) -> tuple[Tensor, Tensor]:
        """Windows without their band: (B, C, T) of x (B, 1, C, T)."""
        return mask_band(x[:, 0], labels, self.bands, self.sfreq_hz), labels

    def forward(self, h: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, shape (), of embeddings h, shape (B, d)."""
        return nn.functional.cross_entropy(self.head(h).float(), labels)
