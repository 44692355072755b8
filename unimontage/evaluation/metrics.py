"""Classification metrics of one test fold, for single windows and for whole trials."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from unimontage.errors import UserError

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "kappa", "auroc")

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
        A value for each of `METRICS`, as fractions; NaN with a reason where a metric is undefined on these rows.

    Raises
    ------
    UserError
        If shapes or class ids do not fit.

    Notes
    -----
    Balanced accuracy is the mean recall of the classes present in the truth. Macro F1 skips classes that neither truth
    nor predictions hold. Kappa is unweighted; with one class in the truth it is 0 whatever is predicted, and is given
    as NaN. AUROC is that of the second of two classes, else the mean of each class against the rest; it needs them all.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    _require_shapes(truth, probabilities, classes)
    if not np.isfinite(probabilities).all():
        return undefined(NOT_FINITE)
    predicted = probabilities.argmax(axis=1)  # (N,)
    _, recall, f1, support = precision_recall_fscore_support(truth, predicted, zero_division=0)  # classes seen, each
    values = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "macro_f1": float(f1.mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
        "kappa": np.nan,
        "auroc": np.nan,
    }
    present = np.bincount(truth, minlength=len(classes)) > 0  # (K,)
    if present.sum() < 2:
        return Scores(values, {"kappa": ONE_CLASS, "auroc": ONE_CLASS})
    values["kappa"] = float(cohen_kappa_score(truth, predicted))
    if not present.all():
        absent = ", ".join(name for name, there in zip(classes, present, strict=True) if not there)
        return Scores(values, {"auroc": f"no {absent} in the test fold"})
    values["auroc"] = _auroc(truth, probabilities)
    return Scores(values, {})


def undefined(reason: str) -> Scores:
    """Every metric NaN, for one reason."""
    return Scores(dict.fromkeys(METRICS, np.nan), dict.fromkeys(METRICS, reason))


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
        A value for each of `METRICS`; NaN where `score` would give NaN.
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
    return confusion_matrix(truth, probabilities.argmax(axis=1), labels=np.arange(len(classes)))


def trial_of(window_ids: Sequence[str]) -> pd.Series:
    """Trial id of each window: its id without the last component."""
    return pd.Series(np.asarray(window_ids, dtype=object), dtype="str").str.rpartition("/")[0]


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
    K = probabilities.shape[1]
    if K == 2:
        return float(roc_auc_score(truth == 1, probabilities[:, 1]))
    return float(roc_auc_score(np.eye(K)[truth], probabilities, average="macro"))


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
