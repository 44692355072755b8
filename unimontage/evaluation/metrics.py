"""Classification metrics of one test fold, for single windows and for whole trials."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from unimontage.errors import UserError

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "kappa", "auroc", "auc_pr")

ONE_CLASS = "one class in the test fold"
NOT_FINITE = "the predictions are not finite"


class Scores(NamedTuple):
    """Metrics by name, and why those that are NaN are NaN."""

    values: dict[str, float]
    reasons: dict[str, str]


def score(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> Scores:
    """Score predictions against the truth.

    Parameters
    ----------
    truth : ndarray of int, shape (N,)
        Class ids, 0 to K-1.
    probabilities : ndarray of float, shape (N, K)
        Column k belongs to class k. The predicted class is the largest; ties go to the lower id.
    classes : sequence of str

    Returns
    -------
    Scores
        A value for each of `metrics_of` the classes, as fractions; NaN with a reason where one is undefined here.

    Raises
    ------
    UserError
        If shapes or class ids do not fit.

    Notes
    -----
    Balanced accuracy is the mean recall of the classes present in the truth. Macro F1 skips classes that neither truth
    nor predictions hold. Kappa is unweighted; with one class in the truth it is 0 whatever is predicted, and is given
    as NaN. AUROC is that of the second of two classes, else the mean of each class against the rest; it needs them all.
    AUC-PR is the average precision of the second of two classes (`average_precision`).
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    _require_shapes(truth, probabilities, classes)
    if not np.isfinite(probabilities).all():
        return undefined(NOT_FINITE, classes)
    counts = confusion(truth, probabilities, classes)  # (K, K)
    values = {name: float(value) for name, value in of_confusion(counts).items()}
    values |= dict.fromkeys(ranked := [name for name in metrics_of(classes) if name not in values], np.nan)
    present = counts.sum(axis=1) > 0  # (K,)
    if present.sum() < 2:
        return Scores(values, dict.fromkeys(("kappa", *ranked), ONE_CLASS))
    if not present.all():
        absent = ", ".join(name for name, there in zip(classes, present, strict=True) if not there)
        return Scores(values, dict.fromkeys(ranked, f"no {absent} in the test fold"))
    values["auroc"] = _auroc(truth, probabilities)
    if len(classes) == 2:
        values["auc_pr"] = float(average_precision(truth == 1, probabilities[:, 1]))
    return Scores(values, {})


def metrics_of(classes: Sequence[str]) -> tuple[str, ...]:
    """Metrics that are defined for so many classes: AUC-PR for two only, the others always."""
    return METRICS if len(classes) == 2 else tuple(name for name in METRICS if name != "auc_pr")


def of_confusion(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics that confusion counts determine, for any number of count matrices at once.

    Parameters
    ----------
    counts : ndarray, shape (..., K, K)
        Counts by true class (last axis but one) and predicted class (last axis).

    Returns
    -------
    dict
        Every one of `METRICS` but ``auroc`` and ``auc_pr``, each of shape (...), as `score` defines them. Kappa is NaN
        where the truth has one class, and all are NaN where there are no counts.
    """
    counts = np.asarray(counts, dtype=np.float64)
    truth, predicted, total = counts.sum(axis=-1), counts.sum(axis=-2), counts.sum(axis=(-2, -1))  # (..., K) x 2, (...)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)  # (..., K)
    f1 = class_f1(counts)  # (..., K)
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed = hits.sum(axis=-1) / total
        expected = (truth * predicted).sum(axis=-1) / total**2
        kappa = (agreed - expected) / (1 - expected)
        return {
            "accuracy": agreed,
            "balanced_accuracy": _mean_where(hits / truth, truth > 0),
            "macro_f1": _mean_where(f1, truth + predicted > 0),
            "weighted_f1": np.where(truth > 0, f1 * truth, 0).sum(axis=-1) / total,
            "kappa": np.where((truth > 0).sum(axis=-1) > 1, kappa, np.nan),
        }


def class_f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each class from counts of shape (..., K, K): (..., K), NaN for a class neither true nor predicted."""
    counts = np.asarray(counts, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return 2 * np.diagonal(counts, axis1=-2, axis2=-1) / (counts.sum(axis=-1) + counts.sum(axis=-2))


def average_precision(own: np.ndarray, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Precision at each threshold, averaged with the recall that the threshold adds.

    Parameters
    ----------
    own : ndarray of bool, shape (N,)
        Whether a window is of the class.
    values : ndarray, shape (N,)
        The larger, the likelier the class; equal values share a threshold.
    weights : ndarray, shape (..., N), optional
        How often each window counts; once each by default.

    Returns
    -------
    ndarray, shape (...)
        NaN where no window of the class, or no other, counts. For values that say nothing it is the share of the class.
    """
    order = np.argsort(-values, kind="stable")
    last = np.append(np.diff(values[order]) != 0, True)  # (N,), the last window at each threshold
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    weights = weights[..., order]
    found = np.cumsum(weights * own[order], axis=-1)[..., last]  # (..., L), windows of the class above a threshold
    named = np.cumsum(weights, axis=-1)[..., last]  # (..., L), all windows above it
    members, total = found[..., -1], named[..., -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(named > 0, found / named, 0)
        mean = (np.diff(found, axis=-1, prepend=0) * precision).sum(axis=-1) / members
    return np.where((members > 0) & (members < total), mean, np.nan)


def undefined(reason: str, classes: Sequence[str]) -> Scores:
    """Every metric NaN, for one reason."""
    return Scores(dict.fromkeys(metrics_of(classes), np.nan), dict.fromkeys(metrics_of(classes), reason))


def chance(truth: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Score of always naming the commonest class: majority rate as accuracy, 1/K as balanced accuracy.

    Parameters
    ----------
    truth : ndarray of int, shape (N,)
        Class ids of everything that is predicted, not of one fold: a fold of one trial has a majority rate of 1.
    classes : sequence of str
        Class names.

    Returns
    -------
    dict
        A value for each of `metrics_of` the classes; NaN where `score` would give NaN.
    """
    truth = np.asarray(truth)
    majority = np.bincount(truth, minlength=len(classes)).argmax()
    guess = np.zeros((len(truth), len(classes)))  # (N, K)
    guess[:, majority] = 1
    return score(truth, guess, classes).values


def confusion(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Count of rows by true class (first axis) and predicted class (second axis), shape (K, K)."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    _require_shapes(np.asarray(truth), probabilities, classes)
    K = len(classes)
    return np.bincount(np.asarray(truth) * K + probabilities.argmax(axis=1), minlength=K * K).reshape(K, K)


def trial_of(window_ids: Sequence[str]) -> pd.Series:
    """Trial id of each window: its id without the last component."""
    return pd.Series(np.asarray(window_ids, dtype=object), dtype="str").str.rpartition("/")[0]


def subject_of(window_ids: Sequence[str]) -> pd.Series:
    """Subject of each window: the second component of its id."""
    return pd.Series(np.asarray(window_ids, dtype=object), dtype="str").str.split("/", n=2).str[1]


def per_trial(window_ids: Sequence[str], probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean probabilities over the windows of each trial.

    Parameters
    ----------
    window_ids : sequence of str, length N
        Ids ``dataset/subject/session/trial/k``.
    probabilities : ndarray, shape (N, K)
        Probabilities of each window.

    Returns
    -------
    trials : ndarray of object, shape (M,)
        Trial ids in order of first appearance.
    means : ndarray of float64, shape (M, K)
        Mean over the windows given, so a trial of which a fold holds a part is judged by that part.
    """
    codes, trials = pd.factorize(trial_of(window_ids))
    counts = np.bincount(codes)  # (M,)
    sums = [np.bincount(codes, weights=column) for column in np.asarray(probabilities, dtype=np.float64).T]
    return np.asarray(trials, dtype=object), np.stack(sums, axis=1) / counts[:, None]


def _auroc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of (member, other) pairs that are in order, ties counting half; mean over classes, or the second of two."""
    K = probabilities.shape[1]
    own = np.eye(K, dtype=bool)[truth]  # (N, K)
    ranks = np.where(own, rankdata(probabilities, axis=0), 0).sum(axis=0)  # (K,)
    members = own.sum(axis=0)  # (K,)
    in_order = (ranks - members * (members + 1) / 2) / (members * (len(truth) - members))
    return float(in_order[1] if K == 2 else in_order.mean())


def _mean_where(values: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that are defined; NaN where none is."""
    return np.where(defined, values, 0).sum(axis=-1) / defined.sum(axis=-1)


def _require_shapes(truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> None:
    if probabilities.shape != (len(truth), len(classes)) or not len(truth):
        raise UserError(
            f"probabilities of shape {probabilities.shape} for {len(truth)} labels of {len(classes)} classes",
            expected="one row a label and one column a class",
        )
    if truth.min() < 0 or truth.max() >= len(classes):
        raise UserError(
            f"class ids from {truth.min()} to {truth.max()}",
            expected=f"0 to {len(classes) - 1} ({', '.join(classes)})",
            mend="leave unlabelled windows out of the split",
        )
