"""Metrics over all test windows of a job together, as papers on sleep staging and on large models print them.

A subject with more windows weighs more here than in `unimontage.evaluation.aggregate`, where each subject counts once.
Folds that test different windows are put together; where folds test the same windows again, as they do when a label
budget is drawn several times, each draw is a run of its own. A run is one seed and one draw.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from unimontage.evaluation.intervals import bca_interval_of, named_generator
from unimontage.evaluation.metrics import (
    NOT_FINITE,
    average_precision,
    class_f1,
    metrics_of,
    of_confusion,
    subject_of,
)
from unimontage.evaluation.predictions import labels_of, output_columns, targets_of
from unimontage.evaluation.regression import FEW_WINDOWS, REGRESSION_METRICS, moments, of_moments

SUMMARY = (
    *("metric", "mean", "sd", "ci_low", "ci_high", "confidence"),
    *("n_subjects", "n_seeds", "n_runs", "n_windows", "reason"),
)
RUN = ["seed", "draw"]
ABSENT = "a class is absent"
CELLS = 4_000_000  # of a table of draws by windows, which is made in parts of this size


class Layout(NamedTuple):
    """Which subject and run each of N predictions belongs to.

    Attributes
    ----------
    owners : ndarray of int, shape (N,)
        Position in `subjects`.
    subjects : Index of str
        The n subjects, in ascending order.
    run : ndarray of int, shape (N,)
        Position in `runs`.
    runs : DataFrame
        Columns ``seed`` and ``draw``, one row for each of the S runs.
    """

    owners: np.ndarray
    subjects: pd.Index
    run: np.ndarray
    runs: pd.DataFrame

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> "Layout":
        """Layout of predictions sorted by fold; a window that a seed predicts again belongs to its next draw."""
        owners, subjects = pd.factorize(subject_of(predictions["window"]), sort=True)
        draws = predictions.groupby(["seed", "window"], sort=False).cumcount().rename("draw")
        keyed = predictions[["seed"]].join(draws)
        runs = keyed.drop_duplicates().sort_values(RUN, ignore_index=True)
        return cls(owners, subjects, keyed.groupby(RUN).ngroup().to_numpy(), runs)


class Pool:
    """The test windows of a job, counted so that a metric can be had for any draw of its subjects.

    Parameters
    ----------
    predictions, truth, classes
        As in `unimontage.evaluation.aggregate.score_predictions`.

    Attributes
    ----------
    subjects : Index of str
        The n subjects, in ascending order.
    runs : DataFrame
        Columns ``seed`` and ``draw``, one row for each of the S runs.
    finite : ndarray of bool, shape (S,)
        Whether all predictions of a run are finite; the counts of a run that has others are not used.
    counts : ndarray, shape (n, S, K, K)
        Windows by subject, run, true class and predicted class.
    ordered : ndarray, shape (S, J, n, n)
        Pairs of a window of class j of one subject and a window of another class of a second subject that the
        probability of class j puts in order, ties counting half. J is K, or 1 for the second of two classes.
    members, others : ndarray, shape (S, J, n)
        Windows of class j and of other classes, by subject.
    """

    def __init__(self, predictions: pd.DataFrame, truth: pd.Series, classes: Sequence[str]) -> None:
        columns = output_columns(predictions, classes)
        predictions = predictions.sort_values("fold", kind="stable", ignore_index=True)
        self.owners, self.subjects, self.run, self.runs = Layout.of(predictions)
        self.labels = labels_of(pd.Index(predictions["window"]), truth).to_numpy()  # (N,)
        self.probabilities = predictions[columns].to_numpy(dtype=np.float64)  # (N, K)
        n, S, K = len(self.subjects), len(self.runs), len(classes)
        self.windows = int(predictions["window"].nunique())
        self.classes = tuple(classes)
        self.finite = np.bincount(self.run, ~np.isfinite(self.probabilities).all(axis=1), minlength=S) == 0
        cells = np.ravel_multi_index(
            (self.owners, self.run, self.labels, self.probabilities.argmax(axis=1)), (n, S, K, K)
        )
        self.counts = np.bincount(cells, minlength=n * S * K * K).reshape(n, S, K, K).astype(np.float64)
        scored = [1] if K == 2 else list(range(K))
        self.ordered = np.full((S, len(scored), n, n), np.nan)
        for run in np.flatnonzero(self.finite):
            own = self.run == run
            for j, k in enumerate(scored):
                member, values = self.labels[own] == k, self.probabilities[own, k]
                self.ordered[run, j] = ordered_pairs(member, values, self.owners[own], n)
        by_class = self.counts.sum(axis=3)[:, :, scored].transpose(1, 2, 0)  # (S, J, n)
        self.members, self.others = by_class, self.counts.sum(axis=(2, 3)).T[:, None] - by_class

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of `unimontage.evaluation.metrics.metrics_of` the classes, and ``f1_`` with the name of each class."""
        return (*metrics_of(self.classes), *(f"f1_{name}" for name in self.classes))

    def metric(self, name: str, draws: np.ndarray | None = None) -> np.ndarray:
        """One metric of the windows of drawn subjects together.

        Parameters
        ----------
        name : str
            One of `metrics`.
        draws : ndarray of int, shape (B, n), optional
            How often each subject is drawn; once each by default.

        Returns
        -------
        ndarray, shape (B, S)
            NaN where undefined.
        """
        draws = np.ones((1, len(self.subjects))) if draws is None else np.asarray(draws, dtype=np.float64)
        if name == "auroc":
            return self._auroc(draws)
        if name == "auc_pr":
            return self._auc_pr(draws)
        counts = np.tensordot(draws, np.where(self.finite[:, None, None], self.counts, 0), axes=1)  # (B, S, K, K)
        if name.startswith("f1_"):
            return class_f1(counts)[..., self.classes.index(name.removeprefix("f1_"))]
        return of_confusion(counts)[name]

    @property
    def reasons(self) -> np.ndarray:
        """Why metrics are undefined in each run, if they are, shape (S,)."""
        return np.where(self.finite, ABSENT, NOT_FINITE)

    def _auroc(self, draws: np.ndarray) -> np.ndarray:
        """Mean over classes of each against the rest, (B, S), from pairs of subjects."""
        in_order = ((draws @ self.ordered) * draws).sum(axis=-1)  # (S, J, B)
        pairs = (self.members @ draws.T) * (self.others @ draws.T)  # (S, J, B)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (in_order / pairs).mean(axis=1).T

    def _auc_pr(self, draws: np.ndarray) -> np.ndarray:
        """Average precision of the second of two classes, (B, S); draws are taken in parts that fit into memory."""
        values = np.full((len(draws), len(self.runs)), np.nan)
        for run in np.flatnonzero(self.finite):
            own = self.run == run
            member, likely, owners = self.labels[own] == 1, self.probabilities[own, 1], self.owners[own]
            step = max(1, CELLS // len(owners))
            parts = [
                average_precision(member, likely, draws[k : k + step][:, owners]) for k in range(0, len(draws), step)
            ]
            values[:, run] = np.concatenate(parts)
        return values


class ValuePool:
    """The test windows of a job that predicts numbers, summed so that a metric can be had for any draw of its subjects.

    Parameters
    ----------
    predictions, truth, targets
        As in `unimontage.evaluation.aggregate.score_predictions`, for regression.

    Attributes
    ----------
    subjects, runs, finite
        As in `Pool`.
    sums : ndarray, shape (6, n, S, K)
        By subject, run and target, the sums of `unimontage.evaluation.regression.moments`.
    """

    metrics = REGRESSION_METRICS

    def __init__(self, predictions: pd.DataFrame, truth: pd.DataFrame, targets: Sequence[str]) -> None:
        columns = output_columns(predictions, targets)
        predictions = predictions.sort_values("fold", kind="stable", ignore_index=True)
        owners, self.subjects, run, self.runs = Layout.of(predictions)
        values = targets_of(pd.Index(predictions["window"]), truth, targets).to_numpy()  # (N, K)
        predicted = predictions[columns].to_numpy(dtype=np.float64)  # (N, K)
        n, S, K = len(self.subjects), len(self.runs), len(targets)
        self.windows = int(predictions["window"].nunique())
        self.finite = np.bincount(run, ~np.isfinite(predicted).all(axis=1), minlength=S) == 0
        cells = owners * S + run
        added = moments(values, predicted, values.mean(axis=0)).transpose(0, 2, 1)  # (6, K, N)
        sums = [np.bincount(cells, own, minlength=n * S) for own in added.reshape(6 * K, -1)]
        self.sums = np.stack(sums).reshape(6, K, n, S).transpose(0, 2, 3, 1)

    def metric(self, name: str, draws: np.ndarray | None = None) -> np.ndarray:
        """One metric of the windows of drawn subjects together, shape (B, S); see `Pool.metric`."""
        draws = np.ones((1, len(self.subjects))) if draws is None else np.asarray(draws, dtype=np.float64)
        sums = np.einsum("bn,qnsk->qbsk", draws, np.where(self.finite[:, None], self.sums, 0))  # (6, B, S, K)
        return np.where(self.finite, of_moments(sums)[name], np.nan)

    @property
    def reasons(self) -> np.ndarray:
        """Why metrics are undefined in each run, if they are, shape (S,)."""
        return np.where(self.finite, FEW_WINDOWS, NOT_FINITE)


def ordered_pairs(own: np.ndarray, values: np.ndarray, owners: np.ndarray, subjects: int) -> np.ndarray:
    """Pairs of a window of the class and another window that `values` puts in order, by their two subjects.

    Parameters
    ----------
    own : ndarray of bool, shape (N,)
        Whether a window is of the class.
    values : ndarray, shape (N,)
        The larger, the likelier the class.
    owners : ndarray of int, shape (N,)
        Subject of each window, 0 to n-1.
    subjects : int
        Number of subjects n.

    Returns
    -------
    ndarray, shape (n, n)
        First axis the subject of the window of the class, second that of the other; equal values count half. The sum
        over both axes is the Mann-Whitney statistic.
    """
    levels = rankdata(values, method="dense").astype(np.int64) - 1  # (N,), equal values share a level
    cells = levels * subjects + owners
    size = (levels.max() + 1) * subjects
    others = np.bincount(cells[~own], minlength=size).reshape(-1, subjects)  # (L, n)
    members = np.bincount(cells[own], minlength=size).reshape(-1, subjects)  # (L, n)
    below = others.cumsum(axis=0) - others / 2  # (L, n), windows of other classes below a level, half of those on it
    return members.T.astype(np.float64) @ below


def pooled_scores(predictions: pd.DataFrame, truth: pd.Series | pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Metrics over all test windows of a job together, run by run.

    Parameters
    ----------
    predictions, truth, classes
        As in `unimontage.evaluation.aggregate.score_predictions`.

    Returns
    -------
    DataFrame
        Columns ``seed, draw, metric, value, reason``: values as fractions for each of
        `unimontage.evaluation.metrics.metrics_of` the classes and the F1 of each class (``f1_W``), or for regression
        each of `unimontage.evaluation.regression.REGRESSION_METRICS`; NaN with a reason where a metric is undefined.

    Raises
    ------
    UserError
        If predictions and labels do not fit.
    """
    return _by_run(pool_of(predictions, truth, classes))


def summarise_pooled(
    predictions: pd.DataFrame,
    truth: pd.Series | pd.DataFrame,
    classes: Sequence[str],
    *,
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Mean and SD over runs of the pooled metrics, with an interval over test subjects.

    Parameters
    ----------
    predictions, truth, classes
        As in `pooled_scores`.
    resamples : int
        Draws of the test subjects, with replacement.
    confidence : float
        Coverage of the interval, between 0 and 1.
    rng : numpy.random.Generator
        Draws the subjects; every metric has draws of its own.

    Returns
    -------
    DataFrame
        Columns `SUMMARY`, one row a metric, not in percent. ``sd`` is over runs (n - 1) and tells of chance in
        training; ``ci_low`` and ``ci_high`` are a BCa interval of the mean over runs, had other subjects been tested. A
        subject is drawn with all its windows, because windows of one night are no independent observations.
    """
    pool = pool_of(predictions, truth, classes)
    root = int(rng.integers(2**32))
    scores = _by_run(pool)
    rows = []
    for metric, group in scores.groupby("metric", sort=False):
        values = group["value"].dropna()
        reasons = [reason for reason in group["reason"] if reason]
        lost = f"undefined in {len(reasons)} of {len(group)} runs: {reasons[0]}" if reasons else ""
        interval = bca_interval_of(
            lambda draws, metric=metric: mean_over_runs(pool.metric(metric, draws)),
            len(pool.subjects),
            resamples,
            confidence,
            named_generator(root, metric),
        )
        rows.append(
            {
                **{"metric": metric, "mean": values.mean(), "sd": values.std(), "ci_low": interval.low},
                **{"ci_high": interval.high, "confidence": confidence, "n_subjects": len(pool.subjects)},
                **{"n_seeds": pool.runs["seed"].nunique(), "n_runs": len(pool.runs), "n_windows": pool.windows},
                **{"reason": "; ".join(filter(None, (lost, interval.reason)))},
            }
        )
    return pd.DataFrame(rows, columns=list(SUMMARY))


def pool_of(predictions: pd.DataFrame, truth: pd.Series | pd.DataFrame, names: Sequence[str]) -> Pool | ValuePool:
    """Test windows of a job; target values stand in a DataFrame, class ids in a Series."""
    return (ValuePool if isinstance(truth, pd.DataFrame) else Pool)(predictions, truth, names)


def _by_run(pool: Pool | ValuePool) -> pd.DataFrame:
    parts = [pool.runs.assign(metric=name, value=pool.metric(name)[0], reason=pool.reasons) for name in pool.metrics]
    table = pd.concat(parts, ignore_index=True)
    table["reason"] = table["reason"].where(table["value"].isna(), "")
    return table[[*RUN, "metric", "value", "reason"]]


def mean_over_runs(values: np.ndarray) -> np.ndarray:
    """Mean of (B, S) over the runs in which it is defined; NaN where it is in none."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=1) / defined.sum(axis=1)
