"""Intervals and tests over subjects: BCa bootstrap, sign-flip permutation, Holm's correction."""

import warnings
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, permutation_test
from statsmodels.stats.multitest import multipletests

from unimontage.evaluation.ties import levelled

FEWEST_SUBJECTS = 3
FEWEST_FOR_FIVE_PERCENT = 6  # the smallest two-sided p of n sign flips is 2 / 2^n
LISTED = 9999  # patterns of signs that are listed; of more so many are drawn


class Interval(NamedTuple):
    """Bounds of a confidence interval, or NaN and the reason."""

    low: float
    high: float
    reason: str = ""


class SignFlip(NamedTuple):
    """A p value, or NaN and the reason.

    Attributes
    ----------
    p : float
    flips : str
        Which patterns of signs it was compared with: ``all 64``, which is exact, or ``9999 drawn``.
    least : float
        The smallest p that so many subjects could have.
    reason : str
        Why it is NaN, or that so few subjects cannot reach 0.05; else empty.
    """

    p: float
    flips: str
    least: float
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


def sign_flip(differences: np.ndarray, rng: np.random.Generator, resamples: int = LISTED) -> SignFlip:
    """Two-sided test of a mean paired difference: each sign could as well have been the other.

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
    SignFlip
        NaN with a reason for fewer than two subjects.

    Notes
    -----
    Computed by `scipy.stats.permutation_test`. Sums that differ by rounding only are taken as equal, so that ties count
    as ties.
    """
    differences = np.asarray(differences, dtype=np.float64)
    differences = levelled(differences[~np.isnan(differences)])
    n = len(differences)
    if n < 2:
        return SignFlip(np.nan, "", np.nan, "no test: fewer than 2 subjects")

    def total(signed: np.ndarray, axis: int) -> np.ndarray:
        return np.round(signed.sum(axis=axis), 9)

    result = permutation_test((differences,), total, permutation_type="samples", n_resamples=resamples, rng=rng)
    exact = 2**n <= resamples
    least = 2 / 2**n if exact else 2 / (resamples + 1)
    weak = f"with {n} subjects p cannot fall below {least:g}" if n < FEWEST_FOR_FIVE_PERCENT else ""
    return SignFlip(float(result.pvalue), f"all {2**n}" if exact else f"{resamples} drawn", least, weak)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (Holm 1979) of a family of p values, shape (m,); NaN are no members and stay NaN."""
    p = np.asarray(p, dtype=np.float64)
    members = ~np.isnan(p)
    corrected = np.full_like(p, np.nan)
    if members.any():
        corrected[members] = multipletests(p[members], method="holm")[1]
    return corrected


def named_generator(root: int, *name: object) -> np.random.Generator:
    """Generator of one table row, so that a row's interval does not depend on which other rows there are."""
    return np.random.default_rng([root, zlib.crc32("\n".join(map(str, name)).encode())])
