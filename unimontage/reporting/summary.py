"""What a reader of a run should know first: the headline numbers, what they say in words, and what is missing."""

import pandas as pd

from unimontage.config.protocols import PRINTED, Division
from unimontage.evaluation.scales import scale_of
from unimontage.reporting.tables import ROW

SHOWN = ("unit", "metric", "mean", "ci_low", "ci_high", "confidence", "n", "chance", "paper_protocol", "published")
VERDICTS = {
    **{"better": "better than chance", "worse": "worse than chance", "not told apart": "not told apart from chance"},
    "no interval": "without an interval",
    "one class": "without a level of chance, because subjects hold one class alone (look at the tables that score all "
    "test windows together)",
}
BALANCED = ("balanced_accuracy", "macro_f1")
CONSTANT = 50.0
"""Percent that a constant answer reaches at most in these metrics, of a subject that holds more than one class."""
LEVEL = 0.05
NAMED = 3
"""How many examples a sentence names."""


def headline(results: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The reference arm and the best other arm on each target under each strict protocol.

    Parameters
    ----------
    results : DataFrame
        From `unimontage.reporting.tables.results_table`.
    reference : str
        The arm that the others of the comparison are compared with.

    Returns
    -------
    DataFrame
        Rows of `results` with two columns more: ``role`` and ``verdict``, which is what the interval says about chance.
    """
    strict = results[~results["protocol"].map(_is_printed)]
    parts = []
    for (*_, metric), rows in strict.groupby(["dataset", "task", "protocol", "metric"], sort=False):
        own, others = rows[rows["arm"] == reference], rows[rows["arm"] != reference].dropna(subset="mean")
        best = others.sort_values("mean", ascending=scale_of(metric).lower_is_better, kind="stable").head(1)
        parts += [own.assign(role="reference"), best.assign(role=f"best of {len(others)} others")]
    chosen = pd.concat(parts) if parts else strict.assign(role="")
    chosen = chosen.assign(verdict=[against_chance(row) for _, row in chosen.iterrows()])
    shown = chosen[[*ROW, "role", *SHOWN, "verdict", "origin", "data"]].reset_index(drop=True)
    return shown.drop(columns=[name for name in ("paper_protocol", "published") if shown[name].isna().all()])


def against_chance(row: pd.Series) -> str:
    """Where the interval of a row of results lies from chance: a key of ``VERDICTS``."""
    if row["metric"] in BALANCED and row["chance"] > CONSTANT:
        return "one class"
    if pd.isna(row["ci_low"]) or pd.isna(row["chance"]):
        return "no interval"
    above, below = row["ci_low"] > row["chance"], row["ci_high"] < row["chance"]
    if scale_of(row["metric"]).lower_is_better:
        above, below = below, above
    return "better" if above else "worse" if below else "not told apart"


def findings(
    shown: pd.DataFrame, differences: pd.DataFrame, contrast: pd.DataFrame | None, reference: str
) -> list[str]:
    """What a comparison says, in sentences.

    Parameters
    ----------
    shown : DataFrame
        From `headline`.
    differences, contrast : DataFrame
        From `unimontage.reporting.tables.differences_table` and `unimontage.reporting.tables.protocol_contrast`; no
        contrast where only strict protocols ran.
    reference : str
        The arm that the others are compared with.
    """
    return [_on_chance(shown, reference), _on_differences(differences, reference), _on_leakage(contrast)]


def gaps(results: pd.DataFrame) -> list[str]:
    """What has no number or no interval in a comparison's results, and why, in sentences."""
    unscored, unsure = results[results["mean"].isna()], results[results["mean"].notna() & results["ci_low"].isna()]
    told = [f"{_place(row)}: no number. {_why(row)}".strip() for _, row in unscored.iterrows()]
    if len(unsure):
        most = f"{unsure['n'].max():g} subjects or fewer"
        told.append(f"{len(unsure)} of {len(results)} rows have no interval: they rest on {most}.")
    return told


def _is_printed(protocol: str) -> bool:
    return Division.parse(protocol).protocol in PRINTED


def _on_chance(shown: pd.DataFrame, reference: str) -> str:
    own = shown[shown["arm"] == reference]
    if not len(own):
        return f"The reference arm {reference} has no number under a strict protocol."
    counts = own["verdict"].value_counts()
    told = ", ".join(f"{counts[verdict]} {VERDICTS[verdict]}" for verdict in VERDICTS if verdict in counts)
    return f"Strict numbers of the reference arm {reference}, judged by their intervals: {told}."


def _on_differences(differences: pd.DataFrame, reference: str) -> str:
    tested = differences.dropna(subset="p_holm")
    sure = tested[tested["p_holm"] < LEVEL].sort_values("p_holm", kind="stable")
    if not len(tested):
        return f"No paired difference from {reference} could be tested."
    text = f"Told from {reference} at p (Holm) < {LEVEL:g}: {len(sure)} of {len(tested)} paired differences"
    examples = [f"{_place(row)} {_signed(row['points'], row['metric'])}" for _, row in sure.head(NAMED).iterrows()]
    return f"{text}, among them {'; '.join(examples)}." if examples else f"{text}."


def _on_leakage(contrast: pd.DataFrame | None) -> str:
    if contrast is None or not len(contrast):
        return "Every number stands under a strict protocol alone: what leakage is worth was not measured here."
    texts = []
    for metric, rows in contrast.groupby("metric", sort=False):
        low, middle, high = (_signed(rows["leakage"].quantile(q), metric) for q in (0, 0.5, 1))
        most = rows.loc[rows["leakage"].abs().idxmax()]
        strict, paper = (f"{most[name]:.{scale_of(metric).digits}f}" for name in ("strict", "paper"))
        texts.append(
            f"What leakage is worth, the papers' protocol minus the strict one: {middle} at the median of {len(rows)}, "
            f"from {low} to {high}. Farthest apart is {_place(most)}: {strict} strictly, {paper} as in the papers."
        )
    return " ".join(texts)


def _signed(value: float, metric: str) -> str:
    scale = scale_of(metric)
    return f"{value:+.{scale.coarse}f}" + " points" * scale.percent


def _place(row: pd.Series) -> str:
    return f"{row['arm']} on {row['dataset']}, {row['task']}, {row['protocol']}"


def _why(row: pd.Series) -> str:
    return "" if pd.isna(row["note"]) else str(row["note"]).splitlines()[0]
