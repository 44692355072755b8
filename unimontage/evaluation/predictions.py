"""What a table of predictions must be before it is scored."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unimontage.errors import UserError


def probability_columns(predictions: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Names of the columns that hold the probabilities of the K classes, ``p_0`` to ``p_{K-1}``.

    Raises
    ------
    UserError
        If a column is absent or there is one too many, there are no rows, or a window is predicted twice by one fold
        and seed.
    """
    columns = [f"p_{k}" for k in range(len(classes))]
    absent = [name for name in ("fold", "seed", "window", *columns) if name not in predictions.columns]
    if absent or not len(predictions):
        raise UserError(
            f"predictions have {len(predictions)} rows" + (f" and no column {', '.join(absent)}" if absent else ""),
            expected=f"rows with columns fold, seed, window, {columns[0]} to {columns[-1]}",
        )
    if f"p_{len(classes)}" in predictions.columns:
        raise UserError(f"predictions have more than {len(classes)} classes", expected=f"{', '.join(classes)}")
    twice = predictions.duplicated(["fold", "seed", "window"])
    if twice.any():
        row = predictions[twice].iloc[0]
        raise UserError(
            f"window {row['window']} is predicted twice in fold {row['fold']} of seed {row['seed']}",
            expected="one prediction a window, fold and seed",
        )
    return columns


def labels_of(windows: pd.Index, truth: pd.Series) -> pd.Series:
    """Class id of each predicted window, by window id.

    Parameters
    ----------
    windows : Index of str
        Ids of predicted windows.
    truth : Series of int
        Class id by window id.

    Raises
    ------
    UserError
        If a window has no label.
    """
    unknown = windows[~windows.isin(truth.index)]
    if len(unknown):
        raise UserError(
            f"{len(unknown)} predicted windows have no label, the first is {unknown[0]}",
            expected="a label for every predicted window",
            mend="make predictions and labels from the same window store",
        )
    return truth.loc[windows].astype(np.int64)
