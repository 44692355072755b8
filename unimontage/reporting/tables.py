"""Result tables: what was measured, how sure it is, what chance gives, and what was published."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from unimontage.config.protocols import BY_SUBJECT, OFFICIAL, PRINTED, Division
from unimontage.errors import UserError
from unimontage.evaluation.metrics import METRICS
from unimontage.evaluation.regression import REGRESSION_METRICS
from unimontage.evaluation.scales import scale_of
from unimontage.reporting.published import VALUES, PublishedValue, lookup
from unimontage.reporting.rendering import to_html, to_text

__all__ = ["differences_table", "kind_of_data", "results_table", "to_html", "to_text"]

ROW = ["dataset", "task", "protocol", "arm"]
STRICT_FIRST = ("strict_official", "strict_trial", "seed_9_6", "strict_loso", "strict_subject")
SYNTHETIC, REAL = "SYNTHETIC", "real"


def results_table(
    summaries: pd.DataFrame,
    published: Iterable[PublishedValue] = VALUES,
    *,
    metric: str = "accuracy",
    unit: str = "window",
) -> pd.DataFrame:
    """One row a dataset, task, protocol and arm, on the metric's scale; strict protocols first.

    Parameters
    ----------
    summaries : DataFrame
        From `unimontage.evaluation.aggregate.summarise`, with columns ``dataset, task, protocol, arm, unit, metric,
        synthetic``, where arms reproduce published rows ``paper_key``, and where they were pre-trained on a part of the
        windows ``kept_pct``.
    published : iterable of PublishedValue
        Published numbers, found by an arm's ``paper_key``, the dataset, the protocol's label budget and the share kept.
    metric, unit : str
        What the columns ``mean`` to ``difference`` are about: a metric of classes, or one of predicted numbers.

    Returns
    -------
    DataFrame
        Columns ``dataset, task, protocol, arm, unit, metric, mean, ci_low, ci_high, confidence, sd, n, chance,
        paper_protocol`` (mean of the same arm under the paper's protocol), ``published, origin, difference`` (mean
        minus published, in points), the means of the other metrics of the same kind, ``sd_folds, sd_seeds``, ``row``
        (the arm's ``paper``), ``kept_pct``, ``data`` (SYNTHETIC or real) and ``note`` (remarks, one a line). Numbers
        are multiplied by the metric's `unimontage.evaluation.scales.Scale`: fractions are in percent, errors and
        correlations as they are.

    Raises
    ------
    UserError
        If the rows would mix synthetic and real data, or none is of this metric and unit.
    """
    data = kind_of_data(summaries)
    chosen = summaries[summaries["unit"] == unit]
    table = chosen[chosen["metric"] == metric].reset_index(drop=True)
    if not len(table):
        raise UserError(f"no summary of {metric} per {unit}", expected="at least one evaluated arm")
    table = table.rename(columns={"n_subjects": "n"})
    table[["mean", "ci_low", "ci_high", "sd", "sd_folds", "sd_seeds", "chance"]] *= scale_of(metric).factor
    table = _with_published(table, tuple(published), metric)
    known = {"row": _known(table, "paper_key"), "kept_pct": _known(table, "kept_pct")}
    table = table.assign(**known, data=data, paper_protocol=_under_paper_protocol(table))
    kind = REGRESSION_METRICS if metric in REGRESSION_METRICS else METRICS
    others = [name for name in kind if name != metric]
    table = table.join(_means(chosen, others), on=ROW)
    head = [*ROW, "unit", "metric", "mean", "ci_low", "ci_high", "confidence", "sd", "n", "chance", "paper_protocol"]
    return _ordered(table)[
        [*head, "published", "origin", "difference", *others, "sd_folds", "sd_seeds", "row", "kept_pct", "data", "note"]
    ]


def differences_table(differences: pd.DataFrame, *, metric: str = "accuracy", unit: str = "window") -> pd.DataFrame:
    """Arms against the reference arm, in points or the metric's own unit, strict protocols first.

    Parameters
    ----------
    differences : DataFrame
        From `unimontage.evaluation.paired.paired_differences`.
    metric, unit : str
        Which rows to show.

    Returns
    -------
    DataFrame
        Columns ``dataset, task, protocol, arm, reference, unit, metric, points, ci_low, ci_high, confidence, sd, n,
        hedges_g, rank_biserial, p, flips, p_holm, tests, data, note``.

    Raises
    ------
    UserError
        If the rows would mix synthetic and real data.
    """
    data = kind_of_data(differences)
    table = differences[(differences["unit"] == unit) & (differences["metric"] == metric)].reset_index(drop=True)
    table = table.rename(columns={"n_subjects": "n", "difference": "points", "reason": "note"}).assign(data=data)
    table[["points", "ci_low", "ci_high", "sd"]] *= scale_of(metric).factor
    about = ["reference", "unit", "metric", "points", "ci_low", "ci_high", "confidence", "sd", "n"]
    tested = ["hedges_g", "rank_biserial", "p", "flips", "p_holm", "tests"]
    return _ordered(table)[[*ROW, *about, *tested, "data", "note"]]


def kind_of_data(table: pd.DataFrame) -> str:
    """SYNTHETIC or real, from the columns ``dataset`` and ``synthetic``; UserError if the table would mix them."""
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


def _with_published(table: pd.DataFrame, values: tuple[PublishedValue, ...], metric: str) -> pd.DataFrame:
    labels = table["protocol"].map(lambda protocol: Division.parse(protocol).percent)
    kept = _known(table, "kept_pct")
    rows = [
        lookup(key, dataset, metric, percent, share, values)
        for key, dataset, percent, share in zip(_known(table, "paper_key"), table["dataset"], labels, kept, strict=True)
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


def _known(table: pd.DataFrame, column: str) -> list:
    """A column that not every table has; None where it is absent or empty."""
    if column not in table.columns:
        return [None] * len(table)
    return [None if pd.isna(value) else value for value in table[column]]


def _under_paper_protocol(table: pd.DataFrame) -> pd.Series:
    """Mean of the same arm under the paper's protocol: beside the strict protocols, and on its own rows."""
    printed = table["protocol"].map(lambda protocol: Division.parse(protocol).strict)
    keys = ["dataset", "task", "arm", "family"]
    family = table.assign(family=_family(table["protocol"]))
    means = family[printed.notna()].set_index(keys)["mean"].rename("paper_protocol")
    return family.join(means, on=keys)["paper_protocol"]


def _family(protocols: pd.Series) -> pd.Series:
    """What the paper's protocol and the strict ones beside it share: who divides what, and the label budget."""
    divisions = protocols.map(Division.parse)
    kinds = dict.fromkeys(BY_SUBJECT, "subjects") | dict.fromkeys(OFFICIAL, "official")
    return divisions.map(lambda division: (kinds.get(division.protocol, ""), division.percent, division.unit))


def _means(summaries: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Means of several metrics on their scales, one row a table row, one column a metric."""
    means = summaries.groupby([*ROW, "metric"], sort=False)["mean"].first().unstack("metric")
    return means.reindex(columns=metrics) * [scale_of(name).factor for name in metrics]


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by dataset, task and protocol, in the order they came in, but strict protocols first and task means last."""
    appearance = {column: {value: k for k, value in enumerate(table[column].unique())} for column in ROW}
    first = {name: k - len(STRICT_FIRST) for k, name in enumerate(STRICT_FIRST)} | dict.fromkeys(PRINTED, len(table))
    ranks = pd.DataFrame({column: table[column].map(appearance[column]) for column in ROW})
    base = table["protocol"].map(lambda protocol: Division.parse(protocol).protocol)
    ranks["protocol"] = base.map(first).fillna(ranks["protocol"]) + ranks["protocol"] / (len(table) + 1)  # then budgets
    ranks["task"] += table["task"].str.startswith("mean of ") * len(table)
    return table.loc[ranks.sort_values(ROW, kind="stable").index].reset_index(drop=True)
