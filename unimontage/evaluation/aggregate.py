"""From predictions to scores, one value a subject, and summaries over subjects.

All tables are long: one row a metric. Columns that a function does not know (dataset, task, protocol, arm, subject,
classes, synthetic, paper_key) are taken as part of what identifies a row and are carried through.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.evaluation.intervals import bca_interval, named_generator
from unimontage.evaluation.metrics import METRICS, Scores, chance, per_trial, score, subject_of, trial_of, undefined
from unimontage.evaluation.predictions import labels_of, output_columns, targets_of
from unimontage.evaluation.regression import mean_guess, score_values

UNITS = ("window", "trial")
RATINGS = ("valence", "arousal")

FOLD_VALUES = ("fold", "seed", "value", "chance", "reason")
SUBJECT_VALUES = ("value", "chance", "sd_folds", "sd_seeds", "n_folds", "n_seeds", "reason")
SUMMARY_VALUES = (
    *("mean", "sd", "n_subjects", "ci_low", "ci_high", "confidence"),
    *("chance", "sd_folds", "sd_seeds", "reason"),
)


def score_predictions(
    predictions: pd.DataFrame, truth: pd.Series | pd.DataFrame, classes: Sequence[str]
) -> pd.DataFrame:
    """Score every subject, fold and seed of one job, per window and per trial.

    Parameters
    ----------
    predictions : DataFrame
        Columns ``fold`` (str), ``seed`` (int), ``window`` (id) and ``p_0`` to ``p_{K-1}`` (probabilities, or predicted
        values). Windows may belong to several subjects; each subject is scored by itself.
    truth : Series of int, or DataFrame
        Class id by window id; for regression the target values, a column a target.
    classes : sequence of str
        The K class names; for regression the target names in the order of the outputs.

    Returns
    -------
    DataFrame
        Columns ``subject, fold, seed, unit, metric, value, chance, reason``: values as fractions, NaN with a reason
        where a metric is undefined. ``chance`` is the score of always naming the commonest of all labels of the subject
        that are predicted here, or the mean of their target values. For regression the metrics are those of
        `unimontage.evaluation.regression`, and a trial is judged by the means over its windows.

    Raises
    ------
    UserError
        If a column is absent, a window is predicted twice by one fold and seed, or a window has no label.
    """
    columns = output_columns(predictions, classes)
    windows = pd.Index(predictions["window"].unique())
    regression = isinstance(truth, pd.DataFrame)
    labels = targets_of(windows, truth, classes) if regression else labels_of(windows, truth)
    rows_of = _value_rows if regression else _subject_rows
    owners = subject_of(predictions["window"]).to_numpy()
    label_owners = subject_of(labels.index).to_numpy()
    parts = []
    for subject, own in predictions.groupby(owners, sort=True):
        parts += rows_of(subject, own, columns, labels[label_owners == subject], classes)
    return pd.concat(parts, ignore_index=True)


def per_subject(scores: pd.DataFrame) -> pd.DataFrame:
    """One value a subject: the mean over folds, then over sessions, then over seeds.

    Parameters
    ----------
    scores : DataFrame
        From `score_predictions`, of one or many jobs, with the columns that tell the jobs apart. A fold named
        ``session-k`` belongs to that session; a fold without a dash belongs to none.

    Returns
    -------
    DataFrame
        The identifying columns and `SUBJECT_VALUES`. ``sd_folds`` is the SD over folds within a session and seed,
        averaged over sessions and seeds; ``sd_seeds`` the SD over seeds. Undefined folds are left out of the mean and
        counted in the reason; ``n_folds`` counts all folds of a seed.

    Raises
    ------
    UserError
        If a fold is scored twice for one row.
    """
    keys = [column for column in scores.columns if column not in FOLD_VALUES]
    twice = scores.duplicated([*keys, "fold", "seed"])
    if twice.any():
        row = scores[twice].iloc[0]
        raise UserError(
            f"fold {row['fold']} of seed {row['seed']} is scored twice",
            expected="one score a fold, seed and metric",
            mend="add the columns that tell the jobs apart (dataset, task, protocol, arm, subject)",
        )
    scores = scores.assign(session=scores["fold"].str.rpartition("-")[0])
    sessions = grouped(scores, [*keys, "seed", "session"])["value"].agg(value="mean", sd="std", n="size")
    seeds = grouped(sessions.reset_index(), [*keys, "seed"]).agg(
        value=("value", "mean"), sd=("sd", "mean"), n=("n", "sum")
    )
    subjects = grouped(seeds.reset_index(), keys).agg(
        value=("value", "mean"),
        sd_folds=("sd", "mean"),
        sd_seeds=("value", "std"),
        n_folds=("n", "max"),
        n_seeds=("seed", "nunique"),
    )
    subjects["chance"] = grouped(scores, keys)["chance"].mean()
    subjects["reason"] = _reasons(scores, keys, "folds").reindex(subjects.index)
    return subjects.reset_index()[[*keys, *SUBJECT_VALUES]]


def mean_of_tasks(subject_scores: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Each subject's mean over `tasks`, as rows of a task named ``mean of a and b``.

    Parameters
    ----------
    subject_scores : DataFrame
        From `per_subject`, with columns ``dataset``, ``task`` and ``classes``.
    tasks : sequence of str
        Tasks to average; datasets without all of them get no row.

    Returns
    -------
    DataFrame
        New rows only. A subject for whom one of the tasks is absent or NaN gets NaN and the reason.

    Raises
    ------
    UserError
        If the tasks of a dataset have different classes: their mean would mix unlike things.
    """
    name = f"mean of {', '.join(tasks[:-1])} and {tasks[-1]}"
    chosen = subject_scores[subject_scores["task"].isin(tasks)]
    complete = chosen.groupby("dataset")["task"].transform("nunique") == len(set(tasks))
    chosen = chosen[complete]
    if not len(chosen):
        return chosen
    for dataset, group in chosen.groupby("dataset"):
        if group["classes"].nunique() > 1:
            kinds = group.drop_duplicates("task").set_index("task")["classes"]
            found = " and ".join(f"{task} ({kind})" for task, kind in kinds.items())
            raise UserError(
                f"{dataset}: a mean of {found} was asked for",
                expected="tasks with the same classes",
                mend="average tasks that ask the same question, or none",
            )
    keys = [column for column in chosen.columns if column not in (*SUBJECT_VALUES, "task")]
    groups = grouped(chosen, keys)
    means = groups[["value", "chance", "sd_folds", "sd_seeds"]].mean(skipna=False)
    means[["n_folds", "n_seeds"]] = groups[["n_folds", "n_seeds"]].min()
    means["reason"] = groups["reason"].agg(lambda reasons: "; ".join(dict.fromkeys(filter(None, reasons))))
    partial = groups.size() < len(tasks)
    means.loc[partial, "value"] = np.nan
    means.loc[partial, "reason"] = "not every task of the mean is scored"
    return means.reset_index().assign(task=name)[list(subject_scores.columns)]


def with_rating_mean(subject_scores: pd.DataFrame, tasks: Sequence[str] = RATINGS) -> pd.DataFrame:
    """Append `mean_of_tasks` for every dataset that has both rating tasks with the same classes."""
    ratings = subject_scores[subject_scores["task"].isin(tasks)]
    alike = ratings.groupby("dataset")["classes"].transform("nunique") == 1
    means = mean_of_tasks(ratings[alike], tasks)
    return pd.concat([subject_scores, means], ignore_index=True)


def summarise(
    subject_scores: pd.DataFrame, resamples: int, confidence: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Mean over subjects with its spread and its interval.

    Parameters
    ----------
    subject_scores : DataFrame
        From `per_subject`, with a column ``subject``.
    resamples, confidence, rng
        As in `unimontage.evaluation.intervals.bca_interval`. One number is drawn from `rng`; each row then has its own
        generator, named by its identifying columns.

    Returns
    -------
    DataFrame
        The identifying columns and `SUMMARY_VALUES`, as fractions. ``sd`` is over subjects (n - 1); ``sd_folds`` and
        ``sd_seeds`` are means over subjects. Undefined subjects are left out of the mean, of ``n_subjects`` and of the
        interval, and counted in the reason.
    """
    keys = [column for column in subject_scores.columns if column not in (*SUBJECT_VALUES, "subject")]
    root = int(rng.integers(2**32))
    absent = _reasons(subject_scores, keys, "subjects")
    summaries = grouped(subject_scores, keys).agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        n_subjects=("value", "count"),
        chance=("chance", "mean"),
        sd_folds=("sd_folds", "mean"),
        sd_seeds=("sd_seeds", "mean"),
    )
    intervals = grouped(subject_scores, keys)["value"].agg(list)
    bounds = [
        bca_interval(np.array(values), resamples, confidence, named_generator(root, *key))
        for key, values in intervals.items()
    ]
    summaries["ci_low"], summaries["ci_high"], reasons = zip(*bounds, strict=True)
    summaries["confidence"] = confidence
    summaries["reason"] = _joined(absent.reindex(summaries.index), reasons)
    return summaries.reset_index()[[*keys, *SUMMARY_VALUES]]


def grouped(table: pd.DataFrame, keys: list[str]):
    """Rows that agree in some columns, in the order in which they come, NaN among them."""
    return table.groupby(keys, sort=False, dropna=False, observed=True)


def _reasons(table: pd.DataFrame, keys: list[str], what: str) -> pd.Series:
    """Reason of each group: in how many the value is undefined or has a remark, and what the first of them says."""
    sizes = grouped(table, keys).size()
    undefined_here = table["value"].isna()
    kinds = {"undefined in": undefined_here, "in": ~undefined_here & (table["reason"] != "")}
    texts = []
    for say, chosen in kinds.items():
        groups = grouped(table[chosen], keys)["reason"].agg(["size", "first"]).reindex(sizes.index)
        counted = zip(groups["size"].fillna(0).astype(int), sizes, groups["first"], strict=True)
        texts.append([f"{say} {some} of {size} {what}: {reason}" if some else "" for some, size, reason in counted])
    return pd.Series(_joined(*texts), index=sizes.index, dtype=object)


def _joined(*columns: Sequence[str]) -> list[str]:
    return ["; ".join(filter(None, texts)) for texts in zip(*columns, strict=True)]


def _subject_rows(
    subject: str, predictions: pd.DataFrame, columns: list[str], labels: pd.Series, classes: Sequence[str]
) -> list[pd.DataFrame]:
    """Scores of one subject's folds and seeds."""
    trials = _trial_labels(labels)
    known = trials.dropna().astype(np.int64)
    guessed = {
        "window": chance(labels.to_numpy(), classes),
        "trial": chance(known.to_numpy(), classes) if len(known) == len(trials) else dict.fromkeys(METRICS, np.nan),
    }
    parts = []
    for (fold, seed), group in predictions.groupby(["fold", "seed"], sort=True):
        probabilities = group[columns].to_numpy()  # (N, K)
        scored = {"window": score(labels[group["window"]].to_numpy(), probabilities, classes)}
        if len(trials) == len(labels):  # every trial is one window, as in a night cut into epochs
            scored["trial"] = scored["window"]
        else:
            ids, means = per_trial(group["window"], probabilities)  # (M,), (M, K)
            scored["trial"] = _score_trials(trials[ids], means, classes)
        parts += [_rows(subject, str(fold), int(seed), unit, scored[unit], guessed[unit]) for unit in UNITS]
    return parts


def _value_rows(
    subject: str, predictions: pd.DataFrame, columns: list[str], values: pd.DataFrame, targets: Sequence[str]
) -> list[pd.DataFrame]:
    """Scores of one subject's folds and seeds, where numbers are predicted."""
    _, means = per_trial(values.index, values.to_numpy())
    guessed = {"window": mean_guess(values.to_numpy(), targets), "trial": mean_guess(means, targets)}
    parts = []
    for (fold, seed), group in predictions.groupby(["fold", "seed"], sort=True):
        predicted, truth = group[columns].to_numpy(), values.loc[group["window"]].to_numpy()  # (N, K), (N, K)
        scored = {
            "window": score_values(truth, predicted, targets),
            "trial": score_values(*(per_trial(group["window"], own)[1] for own in (truth, predicted)), targets),
        }
        parts += [_rows(subject, str(fold), int(seed), unit, scored[unit], guessed[unit]) for unit in UNITS]
    return parts


def _rows(subject: str, fold: str, seed: int, unit: str, scores: Scores, guessed: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject": subject,
            "fold": fold,
            "seed": seed,
            "unit": unit,
            "metric": list(scores.values),
            "value": list(scores.values.values()),
            "chance": [guessed[metric] for metric in scores.values],
            "reason": [scores.reasons.get(metric, "") for metric in scores.values],
        }
    )


def _score_trials(labels: pd.Series, means: np.ndarray, classes: Sequence[str]) -> Scores:
    if labels.isna().any():
        return undefined("the label changes within a trial", classes)
    return score(labels.to_numpy(dtype=np.int64), means, classes)


def _trial_labels(labels: pd.Series) -> pd.Series:
    """Label of each trial; NaN where its windows disagree."""
    grouped = labels.groupby(trial_of(labels.index).to_numpy())
    return grouped.first().astype(np.float64).where(grouped.nunique() == 1)
