"""Tell whether windows, or the pieces of one, are in the order of time."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor, nn

from unimontage.errors import UserError
from unimontage.objectives.segments import SegmentObjective, balanced_labels, different_windows, too_short
from unimontage.sharing import drawn
from unimontage.windows.nights import Nights, draw_row

PIECES = 6  # of a window, 5 s each in 30 s


class TemporalShuffling(SegmentObjective):
    """Tell ordered triplets of windows from shuffled ones, or an intact window from one whose pieces are permuted.

    Parameters
    ----------
    d : int
        Width of the embedding.
    samples : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.
    mode : {"triplet", "intra"}
        ``triplet``: two windows t < t'' with a third between them (ordered) or far outside (shuffled), in the sequence
        t, third, t''. ``intra``: six equal pieces of one window.
    near : int
        Largest distance of t and t'', in epochs.
    far : int
        Distance from both that a misplaced third window exceeds, in epochs.

    Raises
    ------
    UserError
        If a window cannot be cut into equal pieces, or ``near`` leaves no room for a window in between.

    Notes
    -----
    Triplets: Banville et al. 2021, section 2.1.2; MTSSRL-MD, section 3.3, eq. 2 (its labels -1 and 1 are 0 and 1 here;
    the loss is the same). The pair t, t'' is drawn from the same windows whatever the answer.
    """

    def __init__(
        self,
        d: int,
        samples: int,
        sfreq_hz: float,
        *,
        mode: Literal["triplet", "intra"] = "triplet",
        near: int = 30,
        far: int = 30,
    ) -> None:
        super().__init__()
        self.mode, self.near, self.far = mode, near, far
        self.views = 3 if mode == "triplet" else 1
        self.head = nn.Linear(2 * d if mode == "triplet" else d, 1)
        if mode == "triplet" and near < 2:
            raise UserError(
                f"no epoch fits between two that are {near} apart",
                expected="a distance of 2 epochs or more",
                mend="{kind: temporal_shuffling, near: 30}",
            )
        if mode == "intra":
            if samples % PIECES:
                raise UserError(
                    f"windows of {samples} samples do not fall into {PIECES} equal pieces",
                    expected=f"a multiple of {PIECES} samples",
                    mend="{kind: temporal_shuffling, mode: triplet}",
                )
            shuffled = list(permutations(range(PIECES)))[1:]  # all but the first, which is the order itself
            self.register_buffer("orders", torch.tensor(shuffled), persistent=False)  # (719, 6)

    def sample(self, nights: Nights, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Triplets (B, 3) or windows (B, 1) and whether they are, or shall stay, ordered (B,), half and half."""
        labels = balanced_labels(size, 2, rng)
        triplets = self.mode == "triplet"
        rows = self._triplets(nights, labels == 1, rng) if triplets else different_windows(nights, size, rng)
        return rows, labels.astype(np.float32)

    def _triplets(self, nights: Nights, ordered: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first, stop = _anchors(nights, self.near, self.far)
        if not len(first):
            needed = f"three epochs within {self.near} and another more than {self.far} away from them"
            raise too_short("temporal shuffling", nights, needed, "{kind: temporal_shuffling, far: ...} smaller")
        chosen = rng.integers(len(first), size=len(ordered))
        first, last = first[chosen], draw_row(rng, (first[chosen] + 2, stop[chosen]))  # one row between them at least
        between = draw_row(rng, (first + 1, last))
        start, end = nights.whole(first)
        outside = draw_row(
            rng, (start, nights.reach(first, -self.far, 0)[0]), (nights.reach(last, 0, self.far)[1], end)
        )
        return np.stack([first, np.where(ordered, between, outside), last], axis=1)

    def segments(
        self, x: Tensor, labels: Tensor, generator: Generator, *, microvolt: float | Tensor = 0.1
    ) -> tuple[Tensor, Tensor]:
        """Triplets one after the other, (3 B, C, T), or windows whose pieces are permuted where the label is 0."""
        return x.flatten(0, 1) if self.mode == "triplet" else self._permuted(x[:, 0], labels, generator), labels

    def _permuted(self, x: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        on = {"generator": generator, "device": generator.device}
        lot = drawn(lambda n: torch.randint(len(self.orders), (n,), **on), len(x)).to(x.device)
        intact = torch.arange(PIECES, device=x.device)
        order = torch.where(labels[:, None] == 1, intact, self.orders[lot])  # (B, 6)
        pieces = x.unflatten(2, (PIECES, -1))  # (B, C, 6, T / 6)
        return pieces.take_along_dim(order[:, None, :, None], dim=2).flatten(2)

    def forward(self, h: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, shape (), of embeddings h, shape (3 B, d) or (B, d)."""
        if self.mode == "triplet":
            first, middle, last = h.unflatten(0, (-1, 3)).unbind(1)  # (B, d) each
            h = torch.cat([(first - middle).abs(), (middle - last).abs()], dim=1)  # (B, 2 d)
        return nn.functional.binary_cross_entropy_with_logits(self.head(h).squeeze(1).float(), labels)


@lru_cache(maxsize=8)
def _anchors(nights: Nights, near: int, far: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows t that can begin a triplet of either kind, and the row before which t'' lies (t'' > t + 1).

    Where no window lies far before t, one must lie far after t'', which t'' then may not come too close to.
    """
    rows = np.arange(len(nights))
    start, stop = nights.whole(rows)
    within = nights.reach(rows, 0, near)[1]
    before = nights.reach(rows, -far, 0)[0] > start
    # t'' + far < the recording's last epoch
    leaving_room = nights.reach(stop - 1, -far, 0)[0]
    latest = np.where(before, within, np.minimum(within, leaving_room))
    usable = latest > rows + 2
    return rows[usable], latest[usable]
