"""Intervals and tests over subjects: BCa bootstrap, sign-flip permutation, Holm's correction."""

import warnings
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, permutation_test

FEWEST_SUBJECTS = 3
FEWEST_FOR_FIVE_PERCENT = 6  # the smallest two-sided p of n sign flips is 2 / 2^n


class Interval(NamedTuple):
    """Bounds of a confidence interval, or NaN and the reason."""

    low: float
    high: float
    reason: str = ""


def bca_interval(values: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of a mean.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One value a subject; NaN are left out.
    resamples : int
        Bootstrap resamples.
    confidence : float
        Coverage, between 0 and 1.
    rng : numpy.random.Generator
        Draws the resamples.

    Returns
    -------
    Interval
        NaN with a reason for fewer than three subjects, equal values, or where scipy finds no interval.

    Notes
    -----
    Efron 1987, computed by `scipy.stats.bootstrap`. The interval speaks of other subjects from the same population; it
    says nothing of other recordings or other sites.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < FEWEST_SUBJECTS:
        return Interval(np.nan, np.nan, f"no interval: fewer than {FEWEST_SUBJECTS} subjects")
    if np.allclose(values, values[0], rtol=0, atol=1e-12):
        return Interval(np.nan, np.nan, "no interval: every subject has the same value")
    return _bca(values, np.mean, resamples, confidence, rng)


def bca_interval_of(
    statistic: Callable[[np.ndarray], np.ndarray],
    subjects: int,
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> Interval:
    """`bca_interval` of a statistic that is no mean over subjects, such as the kappa of all their windows together.

    Parameters
    ----------
    statistic : callable
        Takes how often each subject is drawn, ints of shape (B, n), and gives B values.
    subjects : int
        Number of subjects n.
    resamples, confidence, rng
        As in `bca_interval`.

    Returns
    -------
    Interval
        NaN with a reason for fewer than three subjects, or where scipy finds no interval: the statistic is the same
        whoever is drawn, or undefined for some draws.
    """
    if subjects < FEWEST_SUBJECTS:
        return Interval(np.nan, np.nan, f"no interval: fewer than {FEWEST_SUBJECTS} subjects")

    def of_positions(drawn: np.ndarray, axis: int) -> np.ndarray:
        del axis  # scipy puts the subjects last
        rows = drawn.astype(np.int64).reshape(-1, drawn.shape[-1])  # (B, n), or (B, n - 1) where scipy leaves one out
        cells = rows + np.arange(len(rows))[:, None] * subjects
        times = np.bincount(cells.ravel(), minlength=len(rows) * subjects).reshape(len(rows), subjects)
        return statistic(times).reshape(drawn.shape[:-1])

    return _bca(np.arange(subjects), of_positions, resamples, confidence, rng)


def _bca(
    sample: np.ndarray,
    statistic: Callable[..., np.ndarray],
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> Interval:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns where it returns NaN; the reason says so
        result = bootstrap(
            (sample,), statistic, n_resamples=resamples, confidence_level=confidence, method="BCa", rng=rng
        )
    low, high = (float(bound) for bound in result.confidence_interval)
    if np.isnan(low) or np.isnan(high):
        return Interval(np.nan, np.nan, "no interval: the bootstrap distribution is degenerate")
    return Interval(low, high)


def sign_flip_p(differences: np.ndarray, rng: np.random.Generator, resamples: int = 9999) -> tuple[float, str]:
    """Two-sided p of a mean paired difference when each sign could as well have been the other.

    Parameters
    ----------
    differences : ndarray, shape (n,)
        One difference a subject; NaN are left out.
    rng : numpy.random.Generator
        Draws the flips when there are too many to list.
    resamples : int
        All 2^n flips are listed if they are no more than this (n up to 13 at the default), else this many are drawn.

    Returns
    -------
    p : float
        NaN for fewer than two subjects.
    reason : str
        Why it is NaN, or that so few subjects cannot reach 0.05; else empty.
    """
    differences = np.asarray(differences, dtype=np.float64)
    differences = differences[~np.isnan(differences)]
    n = len(differences)
    if n < 2:
        return np.nan, "no test: fewer than 2 subjects"
    result = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=resamples, rng=rng)
    weak = f"with {n} subjects p cannot fall below {2 / 2**n:g}" if n < FEWEST_FOR_FIVE_PERCENT else ""
    return float(result.pvalue), weak


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (Holm 1979) of a family of p values, shape (m,); NaN are no members and stay NaN."""
    p = np.asarray(p, dtype=np.float64)
    members = np.flatnonzero(~np.isnan(p))
    order = members[np.argsort(p[members])]  # smallest first
    corrected = np.full_like(p, np.nan)
    factors = len(order) - np.arange(len(order))  # m, m-1, ..., 1
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return corrected


def named_generator(root: int, *name: object) -> np.random.Generator:
    """Generator of one table row, so that a row's interval does not depend on which other rows there are."""
    return np.random.default_rng([root, zlib.crc32("\n".join(map(str, name)).encode())])
