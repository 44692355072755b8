"""Tell whether two windows lie close together in time."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch import Tensor, nn

from unimontage.objectives.segments import SegmentObjective, balanced_labels, too_short
from unimontage.windows.nights import Nights, draw_row

Spans = list[tuple[np.ndarray, np.ndarray]]


class RelativePositioning(SegmentObjective):
    """Tell pairs of windows that are close in time from pairs that are far apart.

    Parameters
    ----------
    d : int
        Width of the embedding.
    samples : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.
    near : int
        Largest distance of a close pair, in epochs.
    far : int
        Distance that a distant pair exceeds, in epochs.
    dropout : float
        Share of differences dropped in training.

    Notes
    -----
    Banville et al. 2021, section 2.1.1, with a minute and a quarter of an hour. The first window of a pair is drawn
    from the same windows whatever the answer, so that it alone says nothing about it.
    """

    views = 2

    def __init__(
        self, d: int, samples: int, sfreq_hz: float, *, near: int = 2, far: int = 30, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.near, self.far = near, far
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(d, 1))

    def sample(self, nights: Nights, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (B, 2) and whether they are close (B,), half and half."""
        anchors = _anchors(nights, self.near, self.far)
        if not len(anchors):
            needed = f"epochs {self.near} or less and more than {self.far} apart"
            raise too_short("relative positioning", nights, needed, "{kind: relative_positioning, far: ...} smaller")
        first = anchors[rng.integers(len(anchors), size=size)]
        close = draw_row(rng, *_close(nights, first, self.near))
        distant = draw_row(rng, *_distant(nights, first, self.far))
        labels = balanced_labels(size, 2, rng)
        return np.stack([first, np.where(labels == 1, close, distant)], axis=1), labels.astype(np.float32)

    def forward(self, h: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, shape (), of the pairs' embeddings h, shape (2 B, d)."""
        first, second = h.unflatten(0, (-1, 2)).unbind(1)  # (B, d) each
        score = self.head((first - second).abs()).squeeze(1)  # (B,)
        return nn.functional.binary_cross_entropy_with_logits(score.float(), labels)


def _close(nights: Nights, rows: np.ndarray, near: int) -> Spans:
    return [nights.reach(rows, -near, -1), nights.reach(rows, 1, near)]


def _distant(nights: Nights, rows: np.ndarray, far: int) -> Spans:
    start, stop = nights.whole(rows)
    earliest, after = nights.reach(rows, -far, far)
    return [(start, earliest), (after, stop)]


@lru_cache(maxsize=8)
def _anchors(nights: Nights, near: int, far: int) -> np.ndarray:
    """Rows that have both a close and a distant partner."""
    rows = np.arange(len(nights))
    return rows[np.logical_and(*(_any(spans) for spans in (_close(nights, rows, near), _distant(nights, rows, far))))]


def _any(spans: Spans) -> np.ndarray:
    return sum(stop - start for start, stop in spans) > 0
