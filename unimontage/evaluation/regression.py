"""Metrics of predicted numbers: Pearson's r, R2 and RMSE, from sums that can be added over windows.

Scores of one fold and of any draw of subjects come from the same six sums a target, as the metrics of classes come from
counts in `unimontage.evaluation.metrics`.
"""

from collections.abc import Sequence

import numpy as np

from unimontage.errors import UserError
from unimontage.evaluation.metrics import NOT_FINITE, Scores

REGRESSION_METRICS = ("pearson_r", "r2", "rmse")

FEW_WINDOWS = "fewer than 2 windows in the test fold"
CONSTANT = 1e-12  # variance below this share of the mean square is rounding


def score_values(truth: np.ndarray, predicted: np.ndarray, targets: Sequence[str]) -> Scores:
    """Score predicted numbers against the truth.

    Parameters
    ----------
    truth, predicted : ndarray of float, shape (N, K)
        Column k belongs to target k.
    targets : sequence of str
        The K target names.

    Returns
    -------
    Scores
        ``pearson_r`` (mean over targets), ``r2`` (mean over targets) and ``rmse`` (one value over all targets, in their
        unit). Where a target or its prediction is constant, r counts as 0 in the mean; where a target is, its R2 does
        too; the reason says so although the value is defined. With fewer than two windows r and R2 are NaN.

    Raises
    ------
    UserError
        If shapes do not fit or the truth is not finite.
    """
    truth, predicted = (np.asarray(values, dtype=np.float64) for values in (truth, predicted))
    _require_shapes(truth, predicted, targets)
    if not np.isfinite(predicted).all():
        return undefined_values(NOT_FINITE)
    sums = moments(truth, predicted, truth.mean(axis=0)).sum(axis=1)  # (6, K)
    values = {name: float(value) for name, value in of_moments(sums).items()}
    if len(truth) < 2:
        return Scores(values, dict.fromkeys(("pearson_r", "r2"), FEW_WINDOWS))
    flat, flat_prediction = constant(sums)  # (K,), (K,)
    reasons = {"pearson_r": flat | flat_prediction, "r2": flat}
    return Scores(values, {name: _counted_as_zero(which, targets) for name, which in reasons.items() if which.any()})


def moments(truth: np.ndarray, predicted: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """What each window adds to the six sums.

    Parameters
    ----------
    truth, predicted : ndarray, shape (N, K)
    centre : ndarray, shape (K,)
        Subtracted from both, so that the sums lose no digits; the metrics do not depend on it.

    Returns
    -------
    ndarray, shape (6, N, K)
        1, t, p, tt, pp, tp.
    """
    t, p = truth - centre, predicted - centre
    return np.stack([np.ones_like(t), t, p, t * t, p * p, t * p])


def of_moments(sums: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics that sums determine, for any number of sets of windows at once.

    Parameters
    ----------
    sums : ndarray, shape (6, ..., K)
        Sums over windows of what `moments` gives.

    Returns
    -------
    dict
        ``pearson_r``, ``r2`` and ``rmse``, each of shape (...), as `score_values` defines them.
    """
    n, _, _, tt, pp, tp = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        of_truth, of_prediction, shared = _centred(sums)
        flat, flat_prediction = constant(sums)
        r = np.where(flat | flat_prediction, 0.0, shared / np.sqrt(of_truth * of_prediction))
        squared = np.maximum(tt - 2 * tp + pp, 0)  # (..., K), the squared errors
        r2 = np.where(flat, 0.0, 1 - squared / of_truth)
        few = n[..., 0] < 2
        return {
            "pearson_r": np.where(few, np.nan, r.mean(axis=-1)),
            "r2": np.where(few, np.nan, r2.mean(axis=-1)),
            "rmse": np.sqrt(squared.sum(axis=-1) / n.sum(axis=-1)),
        }


def constant(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether a target, and its prediction, is the same in all windows: two arrays of shape (..., K)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        of_truth, of_prediction, _ = _centred(sums)
    return of_truth <= CONSTANT * sums[3], of_prediction <= CONSTANT * sums[4]


def mean_guess(truth: np.ndarray, targets: Sequence[str]) -> dict[str, float]:
    """Score of always naming the mean of each target: r and R2 are 0, RMSE is the SD of the targets.

    Parameters
    ----------
    truth : ndarray, shape (N, K)
        Targets of everything that is predicted, not of one fold.
    targets : sequence of str
        Target names.
    """
    truth = np.asarray(truth, dtype=np.float64)
    return score_values(truth, np.broadcast_to(truth.mean(axis=0), truth.shape), targets).values


def undefined_values(reason: str) -> Scores:
    """Every metric NaN, for one reason."""
    return Scores(dict.fromkeys(REGRESSION_METRICS, np.nan), dict.fromkeys(REGRESSION_METRICS, reason))


def _centred(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squares of truth and prediction about their means, and their products, each of shape (..., K)."""
    n, t, p, tt, pp, tp = sums
    return tt - t * t / n, pp - p * p / n, tp - t * p / n


def _counted_as_zero(which: np.ndarray, targets: Sequence[str]) -> str:
    names = ", ".join(name for name, flat in zip(targets, which, strict=True) if flat)
    return f"{names} or its prediction is constant in the test fold and counts as 0"


def _require_shapes(truth: np.ndarray, predicted: np.ndarray, targets: Sequence[str]) -> None:
    if truth.shape != predicted.shape or truth.ndim != 2 or truth.shape[1:] != (len(targets),) or not len(truth):
        raise UserError(
            f"predictions of shape {predicted.shape} for targets of shape {truth.shape}",
            expected=f"at least one row and the columns {', '.join(targets)} in both",
        )
    if not np.isfinite(truth).all():
        odd = ", ".join(name for name, own in zip(targets, truth.T, strict=True) if not np.isfinite(own).all())
        raise UserError(
            f"{odd} is not a finite number in every window",
            expected="finite targets",
            mend="leave windows without a target out of the split",
        )
