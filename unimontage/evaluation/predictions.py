"""What a table of predictions must be before it is scored."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unimontage.errors import UserError


def output_columns(predictions: pd.DataFrame, outputs: Sequence[str]) -> list[str]:
    """Names of the columns that hold what was predicted, ``p_0`` to ``p_{K-1}``.

    Parameters
    ----------
    predictions : DataFrame
        Columns ``fold, seed, window`` and those of the outputs.
    outputs : sequence of str
        Names of the K classes, whose probabilities the columns hold, or of the K targets, whose values they hold.

    Raises
    ------
    UserError
        If a column is absent or there is one too many, there are no rows, or a window is predicted twice by one fold
        and seed.
    """
    columns = [f"p_{k}" for k in range(len(outputs))]
    absent = [name for name in ("fold", "seed", "window", *columns) if name not in predictions.columns]
    if absent or not len(predictions):
        raise UserError(
            f"predictions have {len(predictions)} rows" + (f" and no column {', '.join(absent)}" if absent else ""),
            expected=f"rows with columns fold, seed, window, {columns[0]} to {columns[-1]}",
        )
    if f"p_{len(outputs)}" in predictions.columns:
        raise UserError(f"predictions have more than {len(outputs)} outputs", expected=", ".join(outputs))
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
    _require_known(windows, truth.index, "label")
    return truth.loc[windows].astype(np.int64)


def targets_of(windows: pd.Index, truth: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    """Target values of each predicted window, by window id.

    Parameters
    ----------
    windows : Index of str
        Ids of predicted windows.
    truth : DataFrame
        A column a target, by window id.
    targets : sequence of str
        The K targets, in the order of the outputs.

    Raises
    ------
    UserError
        If a target or a window is absent.
    """
    absent = [name for name in targets if name not in truth.columns]
    if absent:
        raise UserError(f"the truth has no column {', '.join(absent)}", expected=f"columns {', '.join(targets)}")
    _require_known(windows, truth.index, "target value")
    return truth.loc[windows, list(targets)].astype(np.float64)


def _require_known(windows: pd.Index, known: pd.Index, what: str) -> None:
    unknown = windows[~windows.isin(known)]
    if len(unknown):
        raise UserError(
            f"{len(unknown)} predicted windows have no {what}, the first is {unknown[0]}",
            expected=f"a {what} for every predicted window",
            mend=f"make predictions and {what}s from the same window store",
        )
