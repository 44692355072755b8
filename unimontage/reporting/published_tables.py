"""The tables of a published article, filled with what a run has measured."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from unimontage.config.protocols import Division
from unimontage.errors import UserError
from unimontage.reporting.published import VALUES, PublishedValue
from unimontage.reporting.published.sleep import EFFICIENCY, MODELS, PROPOSED, SINGLE_TASKS
from unimontage.reporting.tables import kind_of_data

CELL = ["row", "dataset", "labels_pct", "metric"]
MEASURED = ["mean", "sd", "ci_low", "ci_high", "n_subjects", "n_seeds"]
COLUMNS = (
    *("table", "protocol", "dataset", "labels_pct", "metric", "row", "model", "paper", "paper_sd", "ours", "ours_sd"),
    *("ci_low", "ci_high", "n_subjects", "n_seeds", "difference", "status", "data", "note"),
    *("paper_over", "ours_over", "others_run"),
)
GAIN = "gain"
NOT_RUN, UNDEFINED = "not run", "undefined"
SIZE_AND_SPEED = "table_10"


def published_tables(ours: pd.DataFrame, published: Iterable[PublishedValue] = VALUES) -> dict[str, pd.DataFrame]:
    """Every table of the sleep article that the run fills at least one row of, its numbers beside the run's.

    Parameters
    ----------
    ours : DataFrame
        Columns ``row`` (an arm's ``paper``), ``dataset, labels_pct, protocol, metric, mean, sd, ci_low, ci_high,
        n_subjects, n_seeds, synthetic``: a row each of `unimontage.evaluation.pooled.summarise_pooled`, as fractions.
        Rows that no article has are left out.
    published : iterable of PublishedValue
        Published numbers; those of other systems are left out.

    Returns
    -------
    dict of str to DataFrame
        By table, columns `COLUMNS`, one row a protocol, dataset, label budget, metric and model, models in the
        article's order: ``paper`` and ``ours`` in percent with their SD, ``difference`` in points, ``status`` (empty,
        ``not run`` or ``undefined``), ``data`` (SYNTHETIC or real) and ``note`` (remarks, one a line). Where a table
        holds the proposed method, the last row of each metric, ``gain``, is its lead over the best other row in points,
        the article's and the run's, each from the same table; ``paper_over`` and ``ours_over`` are the rows that it
        leads, and ``others_run`` says how many other rows the run has.

    Raises
    ------
    UserError
        If two arms fill the same cell, or the rows would mix synthetic and real data.
    """
    if not len(ours):
        return {}
    data = kind_of_data(ours)
    ours = ours.assign(protocol=ours["protocol"].map(undivided))
    require_one_arm_a_cell(ours, [*CELL, "protocol"])
    cells = _cells(published)
    tables = {}
    for table, printed in cells.groupby("table", sort=False):
        parts = [
            _beside(printed, rows).assign(protocol=protocol)
            for protocol, rows in ours.groupby("protocol", sort=False)
            if len(rows.merge(printed, on=CELL))
        ]
        if parts:
            filled = pd.concat(parts, ignore_index=True).assign(data=data)
            tables[table] = _with_gains(filled)[list(COLUMNS)]
    return tables


def efficiency_table(ours: pd.DataFrame, published: Iterable[PublishedValue] = VALUES) -> pd.DataFrame:
    """Size and speed of the run's models beside the article's.

    Parameters
    ----------
    ours : DataFrame
        Columns ``row``, ``dataset`` and what `unimontage.evaluation.efficiency.profile` returns.
    published : iterable of PublishedValue
        The article's numbers.

    Returns
    -------
    DataFrame
        One row a model and dataset, the article's models first: ``row, model, dataset, status, note``; millions of
        parameters, 10^9 floating-point operations, 10^6 bytes of memory and milliseconds, each as printed (``_paper``)
        and as measured; ``macs_g`` (half the operations), ``latency_iqr_ms`` and ``device``.
    """
    values = [value for value in published if value.table == SIZE_AND_SPEED]
    frame = pd.DataFrame([{"family": v.row, "metric": v.metric, "value": v.value} for v in values])
    printed = frame.pivot(index="family", columns="metric", values="value").add_suffix("_paper")  # (models, quantities)
    printed = printed.reindex(frame["family"].unique()).assign(
        note=pd.Series({value.row: "\n".join(value.notes) for value in values})
    )
    measured = pd.DataFrame(
        {
            "row": ours["row"],
            "family": ours["row"].map(lambda row: row.split("_")[0] if row.split("_")[0] in SINGLE_TASKS else row),
            "dataset": ours["dataset"],
            **{"parameters_m": ours["parameters"] / 1e6, "flops_g": ours["flops"] / 1e9, "macs_g": ours["macs"] / 1e9},
            **{"peak_memory_mb": ours["peak_memory_bytes"] / 1e6, "latency_ms": ours["latency_ms"]},
            **{"latency_iqr_ms": ours["latency_iqr_ms"], "device": ours["device"]},
        }
    )
    table = printed.reset_index().merge(measured, on="family", how="left")
    others = measured[~measured["family"].isin(printed.index)]
    table = pd.concat([table, others], ignore_index=True)
    table["status"] = np.where(table["row"].isna(), NOT_RUN, "")
    table["row"] = table["row"].fillna(table["family"])
    table["model"] = table["row"].map(MODELS).fillna(table["row"])
    table[["dataset", "device", "note"]] = table[["dataset", "device", "note"]].fillna("")
    pairs = [name for quantity in EFFICIENCY for name in (f"{quantity}_paper", quantity)]
    return table[["row", "model", "dataset", "status", *pairs, "macs_g", "latency_iqr_ms", "device", "note"]]


def undivided(protocol: str) -> str:
    """A protocol without its label budget, which has a column of its own; what a budget counts stays."""
    division = Division.parse(protocol)
    return division.protocol + (", labels of whole subjects" if division.unit == "subject" else "")


def require_one_arm_a_cell(ours: pd.DataFrame, cell: list[str]) -> None:
    """Refuse two arms that fill the same cell of an article's table, which the columns `cell` tell apart."""
    known = ours[ours["row"].notna()]
    twice = known.duplicated(cell)
    if twice.any():
        first = known[twice].iloc[0]
        raise UserError(
            f"two arms have paper: {first['row']} on {first['dataset']} under {first['protocol']}",
            expected="one arm for each row of the article's tables",
            mend="leave paper out of the arms that vary it",
        )


def _cells(published: Iterable[PublishedValue]) -> pd.DataFrame:
    """The article's numbers in its order, one row a number, but those of size and speed."""
    rows = [
        {
            **{"table": value.table, "row": value.row, "model": MODELS[value.row], "dataset": value.dataset},
            **{"labels_pct": value.labels_pct, "metric": value.metric, "paper": value.value, "paper_sd": value.sd},
            "note": "\n".join(value.notes),
        }
        for value in published
        if value.system == "sleep" and value.table != SIZE_AND_SPEED
    ]
    return pd.DataFrame(rows)


def _beside(printed: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Printed numbers with the run's, in percent; blocks of a dataset, budget and metric in order of appearance."""
    filled = printed.merge(rows[[*CELL, *MEASURED]], on=CELL, how="left", indicator="found")
    filled[["mean", "sd", "ci_low", "ci_high"]] *= 100
    run = filled.pop("found") == "both"
    filled["status"] = np.select([~run, filled["mean"].isna()], [NOT_RUN, UNDEFINED], "")
    filled = filled.rename(columns={"mean": "ours", "sd": "ours_sd"})
    filled["difference"] = filled["ours"] - filled["paper"]
    return filled.astype({"n_subjects": "Int64", "n_seeds": "Int64"})


def _with_gains(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a row of gains behind the models of each metric."""
    table = table.assign(paper_over="", ours_over="", others_run="")
    parts = []
    for _, block in table.groupby(["protocol", "dataset", "labels_pct", "metric"], sort=False):
        parts += [block, _gain(block)] if (block["row"] == PROPOSED).any() else [block]
    return pd.concat(parts, ignore_index=True)


def _gain(block: pd.DataFrame) -> pd.DataFrame:
    """Lead of the proposed method over the best other row, as printed and as measured."""
    block = block.set_index("row")
    others = block.drop(PROPOSED)
    leads = block.loc[PROPOSED, ["paper", "ours"]] - others[["paper", "ours"]].max()
    run = others["ours"].dropna()
    kept = block.iloc[:1][["table", "protocol", "dataset", "labels_pct", "metric", "data"]]
    return kept.assign(
        **{"row": GAIN, "model": "gain over best other", "paper": leads["paper"], "ours": leads["ours"]},
        **{"difference": leads["ours"] - leads["paper"], "status": NOT_RUN if np.isnan(leads["ours"]) else ""},
        **{"note": "", "others_run": f"{len(run)} of {len(others)}"},
        paper_over=block["model"][others["paper"].idxmax()],
        ours_over=block["model"][run.idxmax()] if len(run) else "",
    )
