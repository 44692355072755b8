"""Label budgets: which of the training labels a protocol may use."""

import numpy as np
import pandas as pd

from unimontage.config.protocols import FULL, Unit


def draw(folds: pd.DataFrame, percent: float, unit: Unit, *, seed: int, draws: int) -> pd.DataFrame:
    """Thin out the training labels of each fold; validation and test stay whole.

    Parameters
    ----------
    folds : DataFrame
        Columns ``fold``, ``role``, ``window``, ``target``, as a protocol returns them.
    percent : float
        Share of the training labels to keep.
    unit : {"window", "subject"}
        window: that share of each class, at least one; subject: all labels of that share of the subjects, at least one.
    seed, draws : int
        Seed of the draw, and how many times to draw; with several, each fold becomes ``fold.draw``.

    Returns
    -------
    DataFrame
        The same columns. A smaller budget of the same seed is part of a larger one.
    """
    if percent == FULL:
        return folds
    parts = []
    for name, fold in folds.groupby("fold", sort=False):
        train = fold[fold["role"] == "train"].sort_values("window")
        for k in range(draws):
            rng = np.random.default_rng([seed, k])
            kept = _windows(train, percent, rng) if unit == "window" else _subjects(train, percent, rng)
            chosen = fold[(fold["role"] != "train") | fold["window"].isin(kept)]
            parts.append(chosen.assign(fold=f"{name}.{k}" if draws > 1 else name))
    return pd.concat(parts, ignore_index=True)


def _windows(train: pd.DataFrame, percent: float, rng: np.random.Generator) -> pd.Series:
    """The first so many windows of each class, in an order that does not depend on how many."""
    shuffled = train.iloc[rng.permutation(len(train))]
    rank = shuffled.groupby("target").cumcount()
    size = shuffled.groupby("target")["window"].transform("size")
    return shuffled["window"][rank < np.maximum(1, np.round(percent / 100 * size))]


def _subjects(train: pd.DataFrame, percent: float, rng: np.random.Generator) -> pd.Series:
    subject = train["window"].str.split("/").str[1]
    order = rng.permutation(np.unique(subject))
    return train["window"][subject.isin(order[: max(1, round(percent / 100 * len(order)))])]
