"""What leakage is worth: a paper's protocol beside the strict one, as table, sentences and page."""

import textwrap
from html import escape

import pandas as pd

from unimontage.config.protocols import Division
from unimontage.evaluation.scales import name_of, scale_of
from unimontage.reporting.page import WIDTH
from unimontage.reporting.rendering import to_html, to_text
from unimontage.reporting.tables import kind_of_data

ALLOWED = {
    "strict_trial": "windows of the test trials in training and in pre-training",
    "strict_subject": "an encoder that saw the test subjects",
    "strict_official": "an epoch chosen on the test windows",
}
"""What the paper's protocol allows beside each strict one, whether or not an arm can make use of it."""
SHOWN = ["strict", "paper", "leakage", "ci_low", "ci_high"]
COLUMNS = (
    *("dataset", "task", "protocol", "printed", "arm", "scored", "metric", *SHOWN[:3]),
    *("ci_low", "ci_high", "confidence", "n", "p", "data", "note"),
)


def contrast_table(contrasts: pd.DataFrame) -> pd.DataFrame:
    """What leakage is worth, on the metrics' scales.

    Parameters
    ----------
    contrasts : DataFrame
        From `unimontage.evaluation.contrast`.

    Returns
    -------
    DataFrame
        Columns ``dataset, task, protocol`` (the strict one), ``printed`` (the paper's), ``arm, scored, metric``, the
        means ``strict`` and ``paper``, ``leakage``, their difference, with ``ci_low, ci_high, confidence, n, p``,
        ``data`` and ``note``. Arms that are undefined under one of the protocols have no row.

    Raises
    ------
    UserError
        If the rows would mix synthetic and real data.
    """
    table = contrasts.dropna(subset=["strict", "paper"]).reset_index(drop=True)
    table = table.assign(data=kind_of_data(table) if len(table) else "")
    factors = table["metric"].map(lambda metric: scale_of(metric).factor)
    table[SHOWN] = table[SHOWN].astype(float).mul(factors, axis=0)
    return table.rename(columns={"n_subjects": "n", "reason": "note"})[list(COLUMNS)]


def sentences(table: pd.DataFrame) -> list[str]:
    """What each row says, in words.

    Parameters
    ----------
    table : DataFrame
        From `contrast_table`.
    """
    return [_sentence(row) for _, row in table.iterrows()]


def contrast_text(table: pd.DataFrame, title: str) -> str:
    """The table for the terminal, and what it says in words, at most 120 characters wide."""
    lines = [] if len(table) else ["Nothing to compare."]
    for sentence in sentences(table):
        lines += textwrap.wrap(sentence, WIDTH, initial_indent="* ", subsequent_indent="  ")
    for _, part in table.groupby("metric", sort=False):
        lines += ["", to_text(part)]
    return "\n".join([f"{title}: what leakage is worth", *lines])


def contrast_html(table: pd.DataFrame, title: str, synthetic: bool) -> str:
    """The table as a page, and what it says in words."""
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(table))
    parts = [part for _, part in table.groupby("metric", sort=False)] or [table]
    return to_html(parts, f"{title}: what leakage is worth", synthetic, f"<ul>{listed}</ul>" if listed else "")


def _sentence(row: pd.Series) -> str:
    scale = scale_of(row["metric"])
    unit, digits = (" points", scale.coarse) if scale.percent else ("", scale.digits)
    sure = "no interval"
    if not pd.isna(row["ci_low"]):
        sure = f"{row['confidence']:.0%} interval {row['ci_low']:+.{digits}f} to {row['ci_high']:+.{digits}f}"
    clear = not pd.isna(row["ci_low"]) and (row["ci_low"] > 0 or row["ci_high"] < 0)
    doubt = "" if clear or sure == "no interval" else ", which may be none"
    subjects = f"{row['n']} subject{'s' * (row['n'] != 1)}"
    return (
        f"{row['dataset']}, {row['task']}, {row['arm']}, {row['scored']}: "
        f"{row['leakage']:+.{digits}f}{unit} of {name_of(row['metric'])} ({sure}, {subjects}){doubt}, from "
        f"{row['strict']:.{digits}f} under {row['protocol']} to {row['paper']:.{digits}f} under {row['printed']}, "
        f"which allows {ALLOWED[Division.parse(row['protocol']).protocol]}."
    )
