"""Which windows to pre-train on: one function, a method by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unimontage.config.distillation import Choice
from unimontage.distillation.budget import divide
from unimontage.distillation.hbos import hbos_scores, outliers
from unimontage.distillation.kcenter import Start, k_center
from unimontage.distillation.nearest import nearest_unique
from unimontage.distillation.pca import Windows, components
from unimontage.errors import UserError


@dataclass(frozen=True)
class Selection:
    """Windows that a method chose.

    Attributes
    ----------
    index : ndarray of int64, shape (n,)
        Their positions, all different, in the order in which they were chosen.
    score : ndarray of float64, shape (n,)
        What the method thought of each: ``dlite`` and ``pca``, the distance to the nearest chosen before (NaN for the
        first); ``kmeans`` and ``m3d``, the distance to the centroid or synthetic window it stands for; ``hbos_random``,
        the outlier score (NaN without ``tau``); NaN for ``random`` and ``stride``, which do not look.
    kept : ndarray of bool, shape (N,)
        Windows that could have been chosen, after all removal of outliers.
    oddness : ndarray of float64, shape (N,), or None
        Outlier scores, where the method computed any; NaN for windows that were out before.
    """

    index: np.ndarray
    score: np.ndarray
    kept: np.ndarray
    oddness: np.ndarray | None = None


@dataclass(frozen=True)
class Given:
    """The arguments of :func:`select`."""

    kept: np.ndarray
    latents: np.ndarray | None
    subjects: np.ndarray | None
    recordings: np.ndarray | None
    starts: np.ndarray | None
    windows: Windows | None
    tau: float
    quota: Literal["subject"] | None
    start: Start
    seed: int
    iterations: int
    device: str


@dataclass(frozen=True)
class Method:
    """A method: what it is called with, what it must be given, and whether outliers and quotas mean anything to it."""

    choose: Callable[[int, Given], Selection]
    needs: tuple[str, ...] = ()
    removes_outliers: bool = False
    takes_quota: bool = False


def select(
    method: str,
    n: int,
    *,
    kept: np.ndarray,
    latents: np.ndarray | None = None,
    subjects: np.ndarray | None = None,
    recordings: np.ndarray | None = None,
    starts: np.ndarray | None = None,
    windows: Windows | None = None,
    tau: float = 0.0,
    quota: Literal["subject"] | None = None,
    start: Start = "medoid",
    seed: int = 0,
    iterations: int = 5,
    device: str = "cpu",
) -> Selection:
    """Choose n of N windows.

    Parameters
    ----------
    method : str
        One of :data:`METHODS`.
    n : int
        How many: :func:`~unimontage.distillation.budget.budget` of all windows, outliers included.
    kept : ndarray of bool, shape (N,)
        Windows that may be chosen.
    latents : ndarray of float32, shape (N, d)
        For ``dlite``, ``hbos_random`` and ``kmeans``; may be mapped from a file.
    subjects : ndarray, shape (N,)
        Subject of every window; for the quota.
    recordings, starts : ndarray, shape (N,)
        Recording of every window and where in it the window begins; for ``stride``.
    windows : callable
        Windows (m, C, T) at positions (m,); for ``pca`` and ``m3d``.
    tau : float
        Share of the kept windows to remove first, the oddest; for ``dlite``, ``pca`` and ``hbos_random``.
    quota : "subject" or None
        Give every subject its share of the choices, in proportion to its kept windows; for ``dlite`` and ``pca``. A
        window is covered by centres of all subjects, so a subject whose windows resemble those of others gives its most
        unusual ones.
    start : {"medoid", "first", "random"}
        First centre of ``dlite`` and ``pca``.
    seed : int
        Of all that is drawn.
    iterations, device : int, str
        Passes of ``m3d``, and where torch computes it.

    Returns
    -------
    Selection

    Raises
    ------
    UserError
        No such method, something it needs is missing, or fewer than n windows are left.

    Notes
    -----
    ``dlite`` and its rivals ``random``, ``pca`` and ``m3d`` are those of EEG-DLite; ``stride``, ``kmeans`` and
    ``hbos_random`` are cheap ones of our own.
    """
    if method not in METHODS:
        raise UserError(f"no selection method {method!r}", expected=", ".join(METHODS), mend="method: dlite")
    given = Given(
        kept=np.asarray(kept, dtype=bool),
        latents=latents,
        subjects=subjects,
        recordings=recordings,
        starts=starts,
        windows=windows,
        tau=tau,
        quota=quota,
        start=start,
        seed=seed,
        iterations=iterations,
        device=device,
    )
    _check(method, METHODS[method], given)
    _require(n, given.kept)
    return METHODS[method].choose(n, given)


def arguments(choice: Choice) -> dict[str, Any]:
    """What :func:`select` is called with for a configured choice; what means nothing to its method is left out."""
    method = METHODS[choice.method]
    return {
        "method": choice.method,
        "tau": choice.outliers if method.removes_outliers else 0.0,
        "quota": "subject" if choice.quota == "subject" and method.takes_quota else None,
        "start": choice.start,
        "seed": choice.seed,
        "iterations": choice.iterations,
    }


def _check(name: str, method: Method, given: Given) -> None:
    needs = method.needs + (("subjects",) if given.quota else ())
    for need in needs:
        if getattr(given, need) is None:
            raise UserError(f"method {name} was given no {need}", expected=f"{', '.join(needs)} of all windows")
    for each in ("latents", "subjects", "recordings", "starts"):
        value = getattr(given, each)
        if value is not None and len(value) != len(given.kept):
            raise UserError(f"{len(value)} {each} for {len(given.kept)} windows", expected="one a window")
    if given.tau and not method.removes_outliers:
        able = ", ".join(key for key, each in METHODS.items() if each.removes_outliers)
        raise UserError(
            f"tau: {given.tau:g} with method {name}, which removes no outliers", expected=able, mend="tau: 0"
        )
    if given.quota and not method.takes_quota:
        able = ", ".join(key for key, each in METHODS.items() if each.takes_quota)
        raise UserError(f"quota: {given.quota} with method {name}", expected=able, mend="quota: null")


def _require(n: int, kept: np.ndarray) -> None:
    if not 1 <= n <= kept.sum():
        raise UserError(
            f"{n} windows are to be chosen of {len(kept)}, and {kept.sum()} may be",
            expected="at least as many as are to be chosen, and at least 1",
            mend="fraction: a smaller one, or tau: a smaller one",
        )


def _without_outliers(n: int, features: np.ndarray, given: Given) -> tuple[np.ndarray, np.ndarray | None]:
    """Windows kept (N,) without the oddest by their features (kept windows, d), and all scores (N,)."""
    if not given.tau:
        return given.kept, None
    positions = np.flatnonzero(given.kept)
    scores = hbos_scores(features)
    kept, oddness = given.kept.copy(), np.full(len(given.kept), np.nan)
    kept[positions[outliers(scores, given.tau)]] = False
    oddness[positions] = scores
    _require(n, kept)
    return kept, oddness


def _of_kept(latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Rows of the kept windows; no copy where that is all of them."""
    return latents if kept.all() else latents[kept]


def _centres(n: int, features: np.ndarray, allowed: np.ndarray, subjects: np.ndarray | None, given: Given):
    """K-center on features, with a quota for every subject where one is asked for."""
    group = capacity = None
    if given.quota:
        _, group = np.unique(np.asarray(subjects), return_inverse=True)
        capacity = divide(n, np.bincount(group[allowed], minlength=group.max() + 1))
    return k_center(features, n, start=given.start, seed=given.seed, allowed=allowed, group=group, capacity=capacity)


def _dlite(n: int, given: Given) -> Selection:
    features = _of_kept(given.latents, given.kept) if given.tau else given.latents
    kept, oddness = _without_outliers(n, features, given)
    found = _centres(n, given.latents, kept, given.subjects, given)
    return Selection(found.index, found.distance.astype(np.float64), kept, oddness)


def _pca(n: int, given: Given) -> Selection:
    positions = np.flatnonzero(given.kept)
    features = components(given.windows, positions)
    kept, oddness = _without_outliers(n, features, given)
    subjects = None if given.subjects is None else np.asarray(given.subjects)[positions]
    found = _centres(n, features, kept[positions], subjects, given)
    return Selection(positions[found.index], found.distance.astype(np.float64), kept, oddness)


def _random(n: int, given: Given) -> Selection:
    return Selection(_draw(n, given.kept, given.seed), np.full(n, np.nan), given.kept)


def _draw(n: int, kept: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.flatnonzero(kept), n, replace=False)


def _hbos_random(n: int, given: Given) -> Selection:
    kept, oddness = _without_outliers(n, _of_kept(given.latents, given.kept), given)
    index = _draw(n, kept, given.seed)
    return Selection(index, np.full(n, np.nan) if oddness is None else oddness[index], kept, oddness)


def _stride(n: int, given: Given) -> Selection:
    """Windows at equal steps through every recording, which gives its share of them."""
    positions = np.flatnonzero(given.kept)
    _, recording = np.unique(np.asarray(given.recordings)[positions], return_inverse=True)
    order = positions[np.lexsort((np.asarray(given.starts)[positions], recording))]
    sizes = np.bincount(recording)
    parts = divide(n, sizes)
    rank = np.arange(n) - np.repeat(np.cumsum(parts) - parts, parts)  # within the recording
    size, part = np.repeat(sizes, parts), np.repeat(parts, parts)
    first = np.repeat(np.cumsum(sizes) - sizes, parts)
    return Selection(order[first + (2 * rank + 1) * size // (2 * part)], np.full(n, np.nan), given.kept)


def _kmeans(n: int, given: Given) -> Selection:
    """The window nearest to each of n centroids."""
    from sklearn.cluster import MiniBatchKMeans

    positions = np.flatnonzero(given.kept)
    features = _of_kept(given.latents, given.kept)
    batch = max(4096, 2 * n)
    # Random windows to begin with: k-means++ would take longer than all the rest for thousands of centroids.
    model = MiniBatchKMeans(n, init="random", n_init=1, max_iter=20, batch_size=batch, random_state=given.seed)
    centroids = model.fit(features).cluster_centers_.astype(np.float32)
    index, distance = nearest_unique(centroids, features)
    return Selection(positions[index], distance, given.kept)


def _m3d(n: int, given: Given) -> Selection:
    from unimontage.distillation.m3d import match_moments

    positions = np.flatnonzero(given.kept)
    index, distance = match_moments(
        given.windows, positions, n, iterations=given.iterations, seed=given.seed, device=given.device
    )
    return Selection(index, distance, given.kept)


METHODS: dict[str, Method] = {
    "dlite": Method(_dlite, ("latents",), removes_outliers=True, takes_quota=True),
    "random": Method(_random),
    "stride": Method(_stride, ("recordings", "starts")),
    "pca": Method(_pca, ("windows",), removes_outliers=True, takes_quota=True),
    "kmeans": Method(_kmeans, ("latents",)),
    "hbos_random": Method(_hbos_random, ("latents",), removes_outliers=True),
    "m3d": Method(_m3d, ("windows",)),
}
