"""The reproduction ledger: every number of the published tables, what runs measured of it, and the verdict."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from unimontage.config.protocols import Division
from unimontage.reporting.published import VALUES, PublishedValue, as_frame, described
from unimontage.reporting.published.sleep import SINGLE_TASKS
from unimontage.reporting.published_tables import GAIN, NOT_RUN, SIZE_AND_SPEED, undivided
from unimontage.reporting.tables import SYNTHETIC, kind_of_data

EVERY_VALUE = (*VALUES, *described.VALUES)
"""All numbers of the articles' tables: scores, size and speed, and what is only described."""
REPRODUCED, HIGHER, LOWER = "reproduced", "higher", "lower"
CANNOT = "cannot be compared"
VERDICTS = (REPRODUCED, HIGHER, LOWER, CANNOT, SYNTHETIC, NOT_RUN)
NUMBER = ["system", "table", "row", "dataset", "labels_pct", "kept_pct", "metric"]
PLACE = ["row", "dataset", "labels_pct", "kept_pct"]
"""What tells a number of a table apart; within an experiment an arm fills all metrics of a place."""
MEASURED = ("run", "protocol", "task", "ours", "ours_sd", "ci_low", "ci_high", "n_subjects", "data")
COLUMNS = (
    *NUMBER,
    *("paper", "paper_sd", "origin", "protocol", "run", "task", "ours", "ours_sd", "ci_low", "ci_high"),
    *("n_subjects", "difference", "verdict", "because", "filled_by", "data", "note"),
)
COUNTED = ("parameters_m", "flops_g")
"""Quantities without an interval: they agree with a printed number that they are within `NEAR` of."""
NEAR = 0.1
OF_A_MACHINE = ("peak_memory_mb", "latency_ms")
NO_INTERVAL = "there is no interval: fewer than three subjects, or all alike"
MEAN_OF_TASKS = "mean of "


def ledger(
    measured: pd.DataFrame, planned: Iterable[Mapping[str, object]], published: Iterable[PublishedValue] = EVERY_VALUE
) -> pd.DataFrame:
    """Hold every published number against what was measured of it.

    Parameters
    ----------
    measured : DataFrame
        From `measured_scores` and `measured_costs`, of any number of runs.
    planned : iterable of mapping
        From `unimontage.dag.fillers.fillers`: the arms that would measure a number.
    published : iterable of PublishedValue
        The numbers, each of which has at least one row.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`. A number has a row for each run and protocol that measured it, and a row for each protocol
        under which an experiment would, if no run has; without either it has one row. ``task`` is the run's, or for
        size and speed the dataset that it was measured on. ``paper`` and ``ours`` are on the metric's scale.
        ``verdict`` is one of `VERDICTS`: reproduced where the paper's value lies in the run's interval, higher or lower
        where the run's interval lies above or below it; counts, which have no interval, agree within a tenth. Numbers
        from stand-ins have the verdict SYNTHETIC. ``because`` says why there is no other, ``filled_by`` names the
        experiments and arms that measure the number.

    Raises
    ------
    UserError
        If the rows would mix synthetic and real data.
    """
    if len(measured):
        kind_of_data(measured.assign(synthetic=measured["data"] == SYNTHETIC))
    numbers = as_frame(published).rename(columns={"value": "paper", "sd": "paper_sd"})
    numbers["kept_pct"] = numbers["kept_pct"].round(6)
    found = _with_measurements(numbers, measured)
    wanted = _with_fillers(numbers, planned)
    table = found.merge(wanted, on=[*NUMBER, "protocol"], how="outer")
    table = numbers.merge(table, on=NUMBER, how="left")
    texts = ["run", "protocol", "task", "filled_by", "data", "origin", "note"]
    table[texts] = table[texts].fillna("")
    table["difference"] = table["ours"] - table["paper"]
    judged = [_verdict(row) for row in table.to_dict("records")]
    table["verdict"], table["because"] = zip(*judged, strict=True)
    table.loc[table["filled_by"] == "", "because"] = _unfilled(table[table["filled_by"] == ""], planned)
    return table[list(COLUMNS)].astype({"n_subjects": "Int64"})


def measured_scores(table: pd.DataFrame, run: str, system: str) -> pd.DataFrame:
    """What a table of a run says about published scores of a system.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.tables.results_table` (columns ``mean``, ``sd`` and ``n``), or of
        `unimontage.reporting.published_tables` or `unimontage.reporting.distill_tables`.
    run : str
        Name of the run.
    system : str
        Key of the published system whose article scores as this table does.
    """
    table = table.rename(columns={"mean": "ours", "sd": "ours_sd", "n": "n_subjects"})
    defaults = {"task": "", "status": "", "kept_pct": 100.0}
    table = table.assign(**{name: value for name, value in defaults.items() if name not in table.columns})
    table = table[table["row"].notna() & (table["row"] != GAIN) & (table["status"].fillna("") != NOT_RUN)]
    if "labels_pct" not in table.columns:
        table = table.assign(labels_pct=[Division.parse(name).percent for name in table["protocol"]])
        table["protocol"] = table["protocol"].map(undivided)
    table = table.assign(run=run, system=system, kept_pct=table["kept_pct"].fillna(100.0).round(6))
    table = table[[*(key for key in NUMBER if key != "table"), *MEASURED]]
    return _headline_tasks(table.drop_duplicates(ignore_index=True))  # a number may stand in several tables


def measured_costs(table: pd.DataFrame, run: str) -> pd.DataFrame:
    """What a run's `unimontage.reporting.published_tables.efficiency_table` says about published size and speed."""
    table = table[table["status"].fillna("") != NOT_RUN]
    keyed = table.assign(row=table["row"].map(_family), task=table["dataset"])
    long = keyed.melt(["row", "task", "data"], [*COUNTED, *OF_A_MACHINE], var_name="metric", value_name="ours")
    long = long.drop_duplicates(["row", "task", "metric"])  # one network, pre-trained on several datasets
    empty = dict.fromkeys(("ours_sd", "ci_low", "ci_high", "n_subjects"), np.nan)
    known = {"system": "sleep", "dataset": "", "labels_pct": 100.0, "kept_pct": 100.0, "protocol": ""}
    return long.assign(run=run, **known, **empty)


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many rows of each published table have each verdict, and how many numbers it holds.

    Parameters
    ----------
    table : DataFrame
        From `ledger`.

    Returns
    -------
    DataFrame
        Columns ``system, table, numbers`` and one for each of `VERDICTS`.
    """
    places = ["system", "table"]
    verdicts = table.groupby([*places, "verdict"], sort=False).size().unstack("verdict", fill_value=0)
    numbers = table.drop_duplicates(NUMBER).groupby(places, sort=False).size()
    found = verdicts.reindex(columns=list(VERDICTS), fill_value=0).reindex(numbers.index)
    return found.assign(numbers=numbers).reset_index()[[*places, "numbers", *VERDICTS]]


def _with_measurements(numbers: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Measurements of the numbers, one row a run and protocol."""
    columns = [*NUMBER, *MEASURED]
    if not len(measured):
        return pd.DataFrame(columns=columns).astype({"labels_pct": float, "kept_pct": float, "ours": float})
    keys = [key for key in NUMBER if key != "table"]
    return numbers[NUMBER].merge(measured, on=keys)[columns]


def _with_fillers(numbers: pd.DataFrame, planned: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Protocols under which an experiment measures a number, and which arms of which experiments do."""
    frame = pd.DataFrame(planned, columns=["config", "comparison", "arm", *PLACE, "protocol", "costs"])
    frame["protocol"] = frame["protocol"].map(undivided)
    costs = frame[frame["costs"].astype(bool)].assign(
        row=lambda part: part["row"].map(_family), dataset="", labels_pct=100.0, protocol=""
    )
    both = pd.concat([frame, costs], ignore_index=True).astype({"labels_pct": float, "kept_pct": float})
    both["filled_by"] = both["config"] + ", " + both["comparison"] + ": " + both["arm"]
    of_network = numbers["table"] == SIZE_AND_SPEED
    scored = numbers[~of_network & ~numbers["table"].isin(described.WHY)]
    parts = [numbers[of_network][NUMBER].merge(both[both["dataset"] == ""], on=PLACE), scored.merge(both, on=PLACE)]
    joined = pd.concat(parts).groupby([*NUMBER, "protocol"], sort=False)["filled_by"]
    return joined.agg(lambda texts: "; ".join(dict.fromkeys(texts))).reset_index()


def _verdict(row: Mapping[str, object]) -> tuple[str, str]:
    """A verdict, and why it is none of the others where that has to be said."""
    if row["table"] in described.WHY:
        return CANNOT, described.WHY[row["table"]]
    if pd.isna(row["paper"]):
        return CANNOT, "the article prints no number"
    if row["run"] == "":
        return NOT_RUN, ""
    if row["data"] == SYNTHETIC:
        return SYNTHETIC, "made from stand-ins, which say nothing about the article"
    if row["metric"] in OF_A_MACHINE:
        return CANNOT, "memory and latency belong to a machine, and this is another"
    if pd.isna(row["ours"]):
        return CANNOT, "the run's score is undefined"
    if row["metric"] in COUNTED:
        low, high = (row["ours"] / (1 + way * NEAR) for way in (1, -1))
        return _compared(row["paper"], low, high), ""
    if pd.isna(row["ci_low"]):
        return CANNOT, NO_INTERVAL
    return _compared(row["paper"], row["ci_low"], row["ci_high"]), ""


def _compared(paper: float, low: float, high: float) -> str:
    """What a run's interval says of the paper's value."""
    if low <= paper <= high:
        return REPRODUCED
    return HIGHER if low > paper else LOWER


def _unfilled(table: pd.DataFrame, planned: Sequence[Mapping[str, object]]) -> list[str]:
    """Why no experiment measures a number, unless something else is said already."""
    places = {tuple(filler[key] for key in ("row", "dataset")) for filler in planned}
    rows = {row for row, _ in places}
    texts = []
    for row in table.itertuples():
        if row.because or row.run:
            texts.append(row.because)
        elif row.row not in rows:
            texts.append("no arm of an experiment stands for this row")
        elif (row.row, row.dataset) not in places:
            texts.append(f"no experiment runs the arm of this row on {row.dataset or 'a network of its own'}")
        else:
            texts.append(f"no experiment runs the arm of this row with {row.labels_pct:g} % of the labels")
    return texts


def _headline_tasks(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of tasks that are part of a mean are left out where the run has the mean: the article prints one number."""
    mean = table["task"].str.startswith(MEAN_OF_TASKS)
    whole = table.assign(mean=mean).groupby(["dataset", "protocol", "row", "metric"])["mean"].transform("any")
    return table[mean | ~whole] if len(table) else table


def _family(row: str) -> str:
    """Row of the table of sizes: networks that differ in what they were pre-trained on are one there."""
    return row.split("_")[0] if row.split("_")[0] in SINGLE_TASKS else row
