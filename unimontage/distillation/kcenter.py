"""Greedy k-center: choose the window farthest from all chosen so far, again and again; exact and fast.

A distance to the nearest centre only ever shrinks, so one that was computed long ago is still an upper bound. Windows
are therefore left alone until they could be next: a round takes those whose old bound is above a threshold, brings them
up to date against the centres that they missed, and picks among what is still above it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from unimontage.distillation.greedy import fill, greedy_picks
from unimontage.distillation.refresh import first_distances, refresh, slack_of
from unimontage.errors import UserError

Start = Literal["medoid", "first", "random"]

ROWS = 8192  # windows read at a time
LARGEST = 1e15  # squared distances of larger latents leave the range of float32
ACTIVE = 4096  # windows to pick among at a time: they stay in a core's cache


@dataclass(frozen=True)
class Centres:
    """What greedy k-center chose.

    Attributes
    ----------
    index : ndarray of int64, shape (k,)
        Positions of the chosen windows, in the order in which they were chosen.
    radius : ndarray of float32, shape (k,)
        After each choice, the largest distance of a window that may still be chosen to the nearest centre: the covering
        radius, where no group is full. Zero when every window is a centre, NaN when the groups leave nothing to choose.
    """

    index: np.ndarray
    radius: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """Distance of every centre to the nearest chosen before it, shape (k,); NaN for the first."""
        return np.concatenate([np.array([np.nan], np.float32), self.radius[:-1]])


def k_center(
    latents: np.ndarray,
    k: int,
    *,
    start: Start = "medoid",
    seed: int = 0,
    allowed: np.ndarray | None = None,
    group: np.ndarray | None = None,
    capacity: np.ndarray | None = None,
) -> Centres:
    """Choose k windows by greedy farthest-point traversal.

    Parameters
    ----------
    latents : ndarray of float32, shape (N, d)
        In memory or mapped from a file; rows are read where they are needed.
    k : int
        How many, at least 1.
    start : {"medoid", "first", "random"}
        The first centre: the window nearest to the mean, the one of lowest position, or one drawn with ``seed``.
    seed : int
        Of the random start.
    allowed : ndarray of bool, shape (N,), optional
        Windows that may be chosen and that are to be covered; all of them by default.
    group : ndarray of int, shape (N,), optional
        Group of every window, 0 .. G - 1. A window of any group is covered by centres of all groups.
    capacity : ndarray of int, shape (G,), optional
        How many may be chosen of each group. Goes with ``group``.

    Returns
    -------
    Centres

    Raises
    ------
    UserError
        Fewer than k windows may be chosen, or the latents are not finite float32 values below 1e15.

    Notes
    -----
    Gonzalez 1985, which EEG-DLite samples with: the covering radius is at most twice the smallest possible. Distances
    are Euclidean, summed over the dimensions in order in float32; of equal distances the lowest position wins. The list
    is the same as that of the plain loop over all windows, with any number of threads.
    """
    latents = _checked(latents)
    allowed = np.ones(len(latents), dtype=bool) if allowed is None else np.asarray(allowed, dtype=bool)
    group = np.zeros(len(latents), dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    counts = np.bincount(group[allowed], minlength=0 if capacity is None else len(capacity))
    room = counts.copy() if capacity is None else np.minimum(np.asarray(capacity, dtype=np.int64), counts)
    if not 1 <= k <= room.sum():
        raise UserError(
            f"{k} windows are to be chosen of the {room.sum()} that may be",
            expected=f"a number between 1 and {room.sum()}",
            mend="fraction: a smaller one, or outliers: a smaller tau",
        )
    mean = _mean(latents, allowed)
    first = _first(latents, mean, allowed & (room[group] > 0), start, seed)
    # One more than asked for: its distance is the radius of those before it.
    search = _Search(latents, mean, allowed, group, room, first, min(k + 1, int(room.sum())))
    with threadpool_limits(1, user_api="blas"):  # the threads share the windows among themselves, not the products
        search.run()
    none_left = 0.0 if (room == counts).all() else np.nan
    radius = np.sqrt(np.append(search.squared[1:], np.float32(none_left))[:k], dtype=np.float32)
    return Centres(search.chosen[:k], radius)


class _Search:
    """State of one search: a bound and the number of centres seen for every window, and the centres themselves."""

    def __init__(self, latents, mean, allowed, group, room, first: int, target: int) -> None:
        self.latents, self.group, self.room = latents, group, room.copy()
        self.mean, self.target, self.count = mean.astype(np.float32), target, 0
        self.chosen = np.empty(target, dtype=np.int64)
        self.squared = np.empty(target, dtype=np.float32)  # of each centre to those before it
        self.centres = np.empty((target, latents.shape[1]), dtype=np.float32)
        self.shifted = np.empty_like(self.centres)  # with the mean taken off, for the products
        self.norm = np.empty(target, dtype=np.float32)  # squared length of those
        self.chosen[0], self.squared[0], self.count = first, np.inf, 1
        self.room[group[first]] -= 1
        self._note_centres(0)
        self.bound = first_distances(latents, allowed, self.centres[0])  # -1: never to be chosen
        self.bound[first] = -1
        self.seen = np.ones(len(latents), dtype=np.int32)
        self.wanted = ACTIVE  # windows of a round

    def run(self) -> None:
        """Choose until the target is reached."""
        while self.count < self.target:
            self.bound[self.room[self.group] == 0] = -1
            if not (self.bound > 0).any():  # only copies of centres are left
                self.count = fill(self.bound, self.group, self.room, self.count, self.chosen, self.squared)
                return
            threshold = _exceeded_by(self.wanted, self.bound)
            up_to_date = self._refresh(threshold)
            self._adapt(len(up_to_date))
            if len(up_to_date) > ACTIVE:
                threshold = max(threshold, _exceeded_by(ACTIVE, self.bound[up_to_date]))
                up_to_date = up_to_date[self.bound[up_to_date] > threshold]
            self._pick(up_to_date, threshold)

    def _refresh(self, threshold: np.float32) -> np.ndarray:
        """Bring the bounds above the threshold up to date; positions of those that are still above it, in order."""
        candidates = np.flatnonzero(self.bound > threshold)
        behind = candidates[np.argsort(self.seen[candidates], kind="stable")]  # neighbours have missed the same centres
        new = slice(self.count)
        centres = self.centres[new], self.shifted[new], self.norm[new]
        slack = slack_of(self.latents.shape[1])
        refresh(self.latents, self.mean, behind, *centres, self.bound, self.seen, threshold, slack)
        return candidates[self.bound[candidates] > threshold]

    def _pick(self, windows: np.ndarray, threshold: np.float32) -> None:
        """Choose among up-to-date windows while one of them is above the threshold."""
        before, state = self.count, (self.bound, self.seen, self.group, self.room)
        self.count = greedy_picks(self.latents, windows, *state, threshold, before, self.chosen, self.squared)
        self._note_centres(before)

    def _note_centres(self, before: int) -> None:
        new = slice(before, self.count)
        self.centres[new] = self.latents[self.chosen[new]]
        self.shifted[new] = self.centres[new] - self.mean
        self.norm[new] = np.square(self.shifted[new], dtype=np.float64).sum(1)

    def _adapt(self, survivors: int) -> None:
        """Take more windows into the next round when few of this one were still above the threshold, else fewer."""
        factor = np.clip(ACTIVE / max(survivors, 1), 0.5, 2)
        self.wanted = int(np.clip(self.wanted * factor, ACTIVE, max(ACTIVE, len(self.bound))))


def _exceeded_by(count: int, values: np.ndarray) -> np.float32:
    """A value that about ``count`` of the bounds are above, and at least one."""
    place = max(0, len(values) - 1 - count)
    value, most = np.partition(values, place)[place], values.max()
    if value == most:
        value = values[values < most].max(initial=np.float32(-1))
    return max(value, np.float32(-1))


def _checked(latents: np.ndarray) -> np.ndarray:
    if latents.ndim != 2 or latents.dtype != np.float32 or not latents.shape[1]:
        raise UserError(
            f"latents of shape {latents.shape} and type {latents.dtype}", expected="float32 values of shape (N, d)"
        )
    latents = np.ascontiguousarray(latents).view(np.ndarray)
    latents.flags.writeable = False  # as those mapped from a file are: one type to compile for
    for row in range(0, len(latents), ROWS):
        part = latents[row : row + ROWS]
        bad = ~(np.abs(part) < LARGEST).all(axis=1)
        if bad.any():
            raise UserError(
                f"the latent of window {row + int(bad.argmax())} is not finite or too large",
                expected="values below 1e15",
                mend="train the compressor again; its loss has diverged",
            )
    return latents


def _mean(latents: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Mean of the allowed windows in float64, shape (d,)."""
    total = np.zeros(latents.shape[1])
    for row in range(0, len(latents), ROWS):
        part = slice(row, row + ROWS)
        total += latents[part][allowed[part]].sum(axis=0, dtype=np.float64)
    return total / allowed.sum()


def _first(latents: np.ndarray, mean: np.ndarray, allowed: np.ndarray, start: Start, seed: int) -> int:
    positions = np.flatnonzero(allowed)
    if start == "first":
        return int(positions[0])
    if start == "random":
        return int(np.random.default_rng(seed).choice(positions))
    if start != "medoid":
        raise UserError(f"no start {start!r}", expected="medoid, first or random", mend="start: medoid")
    best, least = -1, np.inf
    for row in range(0, len(positions), ROWS):
        part = positions[row : row + ROWS]
        squared = np.square(latents[part] - mean).sum(axis=1)
        nearest = int(squared.argmin())
        if squared[nearest] < least:
            best, least = int(part[nearest]), squared[nearest]
    return best
