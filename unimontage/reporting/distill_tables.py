"""The tables of the distillation article, filled with what a run has measured, and its claim metric by metric."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from unimontage.config.protocols import FULL as ALL_LABELS
from unimontage.config.protocols import Division
from unimontage.evaluation.scales import scale_of
from unimontage.reporting.published import VALUES, PublishedValue
from unimontage.reporting.published.distill import CLAIMED, FULL_OF, MODELS, PROPOSED
from unimontage.reporting.published_tables import NOT_RUN, UNDEFINED, require_one_arm_a_cell, undivided
from unimontage.reporting.tables import kind_of_data

CELL = ["row", "dataset", "metric", "kept_pct"]
BLOCK = ["table", "protocol", "dataset", "metric"]
MEASURED = ["mean", "sd", "ci_low", "ci_high", "n_subjects", "n_seeds"]
COLUMNS = (
    *(*BLOCK, "row", "model", "kept_pct", "paper", "paper_to_all", "paper_above", "ours", "ours_sd"),
    *("ci_low", "ci_high", "n_subjects", "n_seeds", "ours_to_all", "ours_above", "difference", "claimed"),
    *("status", "data", "note"),
)
YES, NO = "yes", "no"


def distill_table(ours: pd.DataFrame, published: Iterable[PublishedValue] = VALUES) -> pd.DataFrame:
    """The article's numbers beside the run's, and whether less data gives more than all data.

    Parameters
    ----------
    ours : DataFrame
        Columns ``row`` (an arm's ``paper``), ``dataset, kept_pct, protocol, metric, mean, sd, ci_low, ci_high,
        n_subjects, n_seeds, synthetic``: a row each of `unimontage.evaluation.pooled.summarise_pooled`. Rows that the
        article does not have, with this share kept and all labels, are left out.
    published : iterable of PublishedValue
        Published numbers; those of other systems are left out.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, one row a table, protocol, dataset, metric and method, for the protocols and datasets of
        which the run has at least one row. ``paper`` and ``ours`` are on the metric's scale. ``_to_all`` is what a
        method has more than all windows, the article's and the run's each against its own, and ``_above`` says yes or
        no, or nothing where one of the two is absent. ``claimed`` marks the numbers of the proposed method that the
        article says surpass all data. ``status`` is empty, ``not run`` or ``undefined``; ``note`` has a remark a line.

    Raises
    ------
    UserError
        If two arms fill the same cell, or the rows would mix synthetic and real data.

    Notes
    -----
    ``ours_above`` compares two means. Whether a difference is more than chance is told by the paired differences.
    """
    ours = ours[[Division.parse(name).percent == ALL_LABELS for name in ours["protocol"]]]
    if not len(ours):
        return pd.DataFrame(columns=list(COLUMNS))
    data = kind_of_data(ours)
    ours = ours.assign(protocol=ours["protocol"].map(undivided), kept_pct=ours["kept_pct"].round(6))
    require_one_arm_a_cell(ours, [*CELL, "protocol"])
    cells = _cells(published)
    parts = [
        _beside(printed, rows).assign(protocol=protocol)
        for (_, dataset), printed in cells.groupby(["table", "dataset"], sort=False)
        for protocol, rows in ours[ours["dataset"] == dataset].groupby("protocol", sort=False)
        if len(rows.merge(printed, on=CELL))
    ]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    table = _against_all(pd.concat(parts, ignore_index=True))
    table["claimed"] = (table["row"] == PROPOSED) & table["dataset"].isin(CLAIMED)
    return table.assign(data=data)[list(COLUMNS)]


def _cells(published: Iterable[PublishedValue]) -> pd.DataFrame:
    """The article's numbers, dataset by dataset and metric by metric, methods in its order."""
    rows = [
        {
            **{"table": value.table, "dataset": value.dataset, "metric": value.metric, "row": value.row},
            **{"model": MODELS[value.row], "kept_pct": value.kept_pct, "paper": value.value},
            "note": "\n".join(value.notes),
        }
        for value in published
        if value.system == "distill"
    ]
    return pd.DataFrame(rows)


def _beside(printed: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Printed numbers of one dataset with the run's, on the scales of their metrics."""
    filled = printed.merge(rows[[*CELL, *MEASURED]], on=CELL, how="left", indicator="found")
    factors = filled["metric"].map(lambda metric: scale_of(metric).factor)
    shown = ["mean", "sd", "ci_low", "ci_high"]
    filled[shown] = filled[shown].mul(factors, axis=0)
    run = filled.pop("found") == "both"
    filled["status"] = np.select([~run, filled["mean"].isna()], [NOT_RUN, UNDEFINED], "")
    filled = filled.rename(columns={"mean": "ours", "sd": "ours_sd"})
    filled["difference"] = filled["ours"] - filled["paper"]
    return filled.astype({"n_subjects": "Int64", "n_seeds": "Int64"})


def _against_all(table: pd.DataFrame) -> pd.DataFrame:
    """What each method has more than all windows in the same block, and whether that is better."""
    of_all = table["row"] == table["table"].map(FULL_OF)
    signs = table["metric"].map(lambda metric: -1 if scale_of(metric).lower_is_better else 1)
    for whose in ("paper", "ours"):
        value_of_all = table[whose].where(of_all).groupby([table[key] for key in BLOCK]).transform("max")
        more = (table[whose] - value_of_all).mask(of_all)
        table[f"{whose}_to_all"] = more
        table[f"{whose}_above"] = np.select([more.isna(), more * signs > 0], ["", YES], NO)
    return table
