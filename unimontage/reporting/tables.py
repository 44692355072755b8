"""Result tables: what was measured, how sure it is, what chance gives, and what was published."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.evaluation.metrics import METRICS
from unimontage.reporting.paper_values import VALUES, PaperValue, lookup
from unimontage.reporting.rendering import to_html, to_text

__all__ = ["differences_table", "protocol_contrast", "results_table", "to_html", "to_text"]

ROW = ["dataset", "task", "protocol", "arm"]
STRICT_FIRST = ("strict_trial", "seed_9_6", "strict_loso")
SYNTHETIC, REAL = "SYNTHETIC", "real"


def results_table(
    summaries: pd.DataFrame,
    paper_values: Iterable[PaperValue] = VALUES,
    *,
    metric: str = "accuracy",
    unit: str = "window",
) -> pd.DataFrame:
    """One row a dataset, task, protocol and arm, in percent; strict protocols first.

    Parameters
    ----------
    summaries : DataFrame
        From `unimontage.evaluation.aggregate.summarise`, with columns ``dataset, task, protocol, arm, unit, metric,
        synthetic`` and, where arms reproduce published rows, ``paper_key``.
    paper_values : iterable of PaperValue
        Published numbers, found by an arm's ``paper_key`` and the dataset.
    metric, unit : str
        What the columns ``mean`` to ``difference`` are about.

    Returns
    -------
    DataFrame
        Columns ``dataset, task, protocol, arm, unit, metric, mean, ci_low, ci_high, confidence, sd, n, chance,
        paper_protocol`` (mean of the same arm under protocol ``paper``), ``published, origin, difference`` (mean minus
        published, in points), the means of the other metrics, ``sd_folds, sd_seeds``, ``data`` (SYNTHETIC or real) and
        ``note`` (remarks, one a line).

    Raises
    ------
    UserError
        If the rows would mix synthetic and real data, or none is of this metric and unit.
    """
    data = _one_kind(summaries)
    chosen = summaries[summaries["unit"] == unit]
    table = chosen[chosen["metric"] == metric].reset_index(drop=True)
    if not len(table):
        raise UserError(f"no summary of {metric} per {unit}", expected="at least one evaluated arm")
    table = table.rename(columns={"n_subjects": "n"})
    table[["mean", "ci_low", "ci_high", "sd", "sd_folds", "sd_seeds", "chance"]] *= 100
    table = _with_published(table, tuple(paper_values), metric)
    table = table.assign(data=data, paper_protocol=_under_paper_protocol(table))
    others = [name for name in METRICS if name != metric]
    table = table.join(_means(chosen, others), on=ROW)
    head = [*ROW, "unit", "metric", "mean", "ci_low", "ci_high", "confidence", "sd", "n", "chance", "paper_protocol"]
    return _ordered(table)[
        [*head, "published", "origin", "difference", *others, "sd_folds", "sd_seeds", "data", "note"]
    ]


def protocol_contrast(table: pd.DataFrame, strict: str = "strict_trial") -> pd.DataFrame:
    """What leakage is worth: mean under protocol ``paper`` minus mean under a strict one, in points.

    Parameters
    ----------
    table : DataFrame
        From `results_table`.
    strict : str
        The strict protocol.

    Returns
    -------
    DataFrame
        Columns ``dataset, task, arm, metric``, the means under the two protocols in percent, ``leakage`` in points, and
        ``data``. Only arms that ran under both have a row.
    """
    keys = ["dataset", "task", "arm", "metric", "data"]
    both = table[table["protocol"].isin([strict, "paper"])]
    wide = both.groupby([*keys, "protocol"], sort=False)["mean"].first().unstack("protocol")
    wide = wide.reindex(columns=[strict, "paper"]).dropna()
    order = table[keys].drop_duplicates()
    contrast = order.merge(wide.reset_index(), on=keys)  # in the table's order
    contrast["leakage"] = contrast["paper"] - contrast[strict]
    return contrast[["dataset", "task", "arm", "metric", strict, "paper", "leakage", "data"]]


def differences_table(differences: pd.DataFrame, *, metric: str = "accuracy", unit: str = "window") -> pd.DataFrame:
    """Arms against the reference arm, in points, strict protocols first.

    Parameters
    ----------
    differences : DataFrame
        From `unimontage.evaluation.aggregate.paired_differences`.
    metric, unit : str
        Which rows to show.

    Returns
    -------
    DataFrame
        Columns ``dataset, task, protocol, arm, reference, unit, metric, points, ci_low, ci_high, confidence, sd, n, p,
        p_holm, data, note``.

    Raises
    ------
    UserError
        If the rows would mix synthetic and real data.
    """
    data = _one_kind(differences)
    table = differences[(differences["unit"] == unit) & (differences["metric"] == metric)].reset_index(drop=True)
    table = table.rename(columns={"n_subjects": "n", "difference": "points", "reason": "note"}).assign(data=data)
    table[["points", "ci_low", "ci_high", "sd"]] *= 100
    columns = ["reference", "unit", "metric", "points", "ci_low", "ci_high", "confidence", "sd", "n", "p", "p_holm"]
    return _ordered(table)[[*ROW, *columns, "data", "note"]]


def _one_kind(table: pd.DataFrame) -> str:
    kinds = table.groupby("dataset")["synthetic"].agg(set)
    if len(set().union(*kinds)) > 1:
        found = ", ".join(
            f"{dataset} ({' and '.join(SYNTHETIC if synthetic else REAL for synthetic in sorted(kind))})"
            for dataset, kind in kinds.items()
        )
        raise UserError(
            f"a table would mix SYNTHETIC and real data: {found}",
            expected="one kind of data in a table",
            mend="give synthetic twins a configuration and a results folder of their own",
        )
    return SYNTHETIC if table["synthetic"].any() else REAL


def _with_published(table: pd.DataFrame, values: tuple[PaperValue, ...], metric: str) -> pd.DataFrame:
    rows = [
        lookup(key, dataset, metric, values) for key, dataset in zip(_paper_keys(table), table["dataset"], strict=True)
    ]
    published = np.array([row.value if row else None for row in rows], dtype=np.float64)
    notes = [
        "\n".join(filter(None, (reason, *(row.notes if row else ()))))
        for reason, row in zip(table["reason"], rows, strict=True)
    ]
    return table.assign(
        published=published,
        origin=[row.origin if row else "" for row in rows],
        difference=table["mean"] - published,
        note=notes,
    )


def _paper_keys(table: pd.DataFrame) -> list[str | None]:
    if "paper_key" not in table.columns:
        return [None] * len(table)
    return [None if pd.isna(key) else key for key in table["paper_key"]]


def _under_paper_protocol(table: pd.DataFrame) -> pd.Series:
    keys = ["dataset", "task", "arm"]
    means = table[table["protocol"] == "paper"].set_index(keys)["mean"].rename("paper_protocol")
    return table.join(means, on=keys)["paper_protocol"]


def _means(summaries: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Means of several metrics in percent, one row a table row, one column a metric."""
    means = summaries.groupby([*ROW, "metric"], sort=False)["mean"].first().unstack("metric")
    return means.reindex(columns=metrics) * 100


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by dataset, task and protocol, in the order they came in, but strict protocols first and task means last."""
    appearance = {column: {value: k for k, value in enumerate(table[column].unique())} for column in ROW}
    protocols = {name: k - len(STRICT_FIRST) for k, name in enumerate(STRICT_FIRST)} | {"paper": len(table)}
    ranks = pd.DataFrame({column: table[column].map(appearance[column]) for column in ROW})
    ranks["protocol"] = table["protocol"].map(appearance["protocol"] | protocols)
    ranks["task"] += table["task"].str.startswith("mean of ") * len(table)
    return table.loc[ranks.sort_values(ROW, kind="stable").index].reset_index(drop=True)
