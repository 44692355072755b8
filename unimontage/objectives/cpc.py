"""Tell the windows that follow from others of the same night."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from unimontage.objectives.segments import SegmentObjective, too_short
from unimontage.windows.nights import Nights, draw_row

HIDDEN = 100  # units of the summary


class PredictiveCoding(SegmentObjective):
    """Summarise consecutive windows and tell each of those that follow from others of the recording.

    Parameters
    ----------
    d : int
        Width of the embedding.
    samples : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.
    context : int
        Consecutive windows that are summarised.
    predict : int
        Windows ahead, each predicted by a matrix of its own.
    negatives : int
        Windows of the same recording outside these, from which each is to be told; drawn for each example, shared by
        its predictions, seldom twice the same.

    Notes
    -----
    Banville et al. 2021, section 2.1.3, after van den Oord et al. 2018. The loss is summed over the windows ahead and
    averaged over examples: knowing nothing costs ``predict * log(1 + negatives)``.
    """

    def __init__(
        self, d: int, samples: int, sfreq_hz: float, *, context: int = 10, predict: int = 16, negatives: int = 4
    ) -> None:
        super().__init__()
        self.context, self.predict, self.negatives = context, predict, negatives
        self.views = context + predict + negatives
        self.summary = nn.GRU(d, HIDDEN, batch_first=True)
        # scores of about unit size for embeddings of unit size
        self.prediction = nn.Parameter(torch.randn(predict, HIDDEN, d) / (HIDDEN * d) ** 0.5)

    def sample(self, nights: Nights, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Blocks of consecutive windows followed by the negatives (B, views), and zeros (B,)."""
        length = self.context + self.predict
        starts = _starts(nights, length, self.negatives)
        if not len(starts):
            needed = f"{length} consecutive epochs and {self.negatives} others"
            raise too_short("predictive coding", nights, needed, "{kind: cpc, context: ..., predict: ...} smaller")
        first = starts[rng.integers(len(starts), size=size)]  # (B,)
        begin, end = (np.repeat(bound, self.negatives) for bound in nights.whole(first))
        block = np.repeat(first, self.negatives)
        others = draw_row(rng, (begin, block), (block + length, end)).reshape(size, self.negatives)
        rows = np.concatenate([first[:, None] + np.arange(length), others], axis=1)
        return rows, np.zeros(size, dtype=np.int64)

    def forward(self, h: Tensor, labels: Tensor) -> Tensor:
        """Loss, shape (), of the examples' embeddings h, shape (B * views, d)."""
        context, ahead, others = h.unflatten(0, (-1, self.views)).split(
            [self.context, self.predict, self.negatives], dim=1
        )  # (B, context, d), (B, predict, d), (B, negatives, d)
        summary = self.summary(context)[1][0]  # (B, hidden)
        with torch.autocast(h.device.type, enabled=False):  # differences of scores decide
            predicted = torch.einsum("bh,khd->bkd", summary.float(), self.prediction)  # (B, predict, d)
            right = (predicted * ahead.float()).sum(2, keepdim=True)  # (B, predict, 1)
            wrong = predicted @ others.float().transpose(1, 2)  # (B, predict, negatives)
            scores = torch.cat([right, wrong], dim=2)
            return -scores.log_softmax(2)[:, :, 0].sum(1).mean()


@lru_cache(maxsize=8)
def _starts(nights: Nights, length: int, others: int) -> np.ndarray:
    """Rows that begin a block without gap, in recordings with enough windows besides."""
    rows = np.arange(len(nights))
    start, stop = nights.reach(rows, 0, length - 1)
    begin, end = nights.whole(rows)
    return rows[(stop - start == length) & (end - begin >= length + others)]
