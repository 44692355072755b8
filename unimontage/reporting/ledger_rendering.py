"""The reproduction ledger as text for the terminal and as one page."""

import textwrap
from collections.abc import Iterator
from html import escape
from itertools import chain

import pandas as pd

from unimontage.evaluation.scales import scale_of
from unimontage.reporting.canvas import words
from unimontage.reporting.ledger import CANNOT, NOT_RUN, VERDICTS, counts
from unimontage.reporting.page import (
    DASH,
    WARNING,
    WIDTH,
    cell,
    heading,
    html_table,
    note_links,
    numbered,
    page,
    remarks_list,
)
from unimontage.reporting.published import described, distill, sleep
from unimontage.reporting.published_rendering import QUANTITIES as COSTS
from unimontage.reporting.tables import SYNTHETIC

TITLES = {"": "Accuracies in the text", **sleep.TITLES, **distill.TITLES, **described.TITLES}
RULE = (
    "Reproduced: the article's value lies in the run's interval over subjects. Higher, lower: the run's whole interval "
    "lies above or below it. Counts of parameters and operations have no interval; they are reproduced within a tenth. "
    "A number has a row for each run and protocol that measured it, and one for each protocol under which an "
    "experiment would."
)
TEXT_HEADINGS = ["Row", "Dataset", "Labels", "Metric", "Paper", "Ours", "Interval", "Difference", "Verdict"]
QUANTITIES = {*sleep.EFFICIENCY, *(value.metric for value in described.VALUES)}
"""Metrics that are no scores: their numbers have a unit of their own."""
HEADINGS = (
    *("Row", "Dataset", "Labels", "Metric", "Paper", "SD", "Protocol", "Ours", "Interval", "Difference", "Verdict"),
    *("Why, or what would fill it", "Run"),
)


def ledger_text(table: pd.DataFrame) -> str:
    """The ledger for the terminal, at most 120 characters wide: verdicts by table, what was measured, what is empty.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.ledger.ledger`.
    """
    summary = counts(table)
    rows = [["Table", "Numbers", *VERDICTS]]
    rows += [[_title(row), str(row["numbers"]), *(str(row[v]) for v in VERDICTS)] for _, row in summary.iterrows()]
    total = ["", str(summary["numbers"].sum()), *(str(summary[v].sum()) for v in VERDICTS)]
    lines = [WARNING] if _synthetic(table) else []
    lines += [*textwrap.wrap(RULE, WIDTH), "", *_aligned([*rows, total])]
    measured = table[table["run"] != ""]
    for (system, name, run, protocol), part in measured.groupby(["system", "table", "run", "protocol"], sort=False):
        lines += ["", f"{words(system)}, {_number(name)}", f"{run}: {protocol or 'measured once'}"]
        lines += _aligned([TEXT_HEADINGS, *(_texts(row) for _, row in part.iterrows())])
    return "\n".join([*lines, *_empty(table)])


def ledger_html(table: pd.DataFrame, title: str) -> str:
    """The ledger as one page that needs nothing else, a sortable table for each of the articles' tables.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.ledger.ledger`.
    title : str
        Heading of the page.
    """
    notes = numbered(chain.from_iterable(note.split("\n") for note in table["note"] if note))
    summary = counts(table)
    body = [_summary_row(row) for _, row in summary.iterrows()]
    content = [f"<p>{escape(RULE)}</p>", html_table("".join(map(heading, ["Table", "Numbers", *VERDICTS])), body)]
    for (system, name), part in table.groupby(["system", "table"], sort=False):
        content.append(f'<h2 id="{_anchor(system, name)}">{escape(f"{words(system)}, {_number(name)}")}</h2>')
        content.append(html_table("".join(map(heading, HEADINGS)), [_row(row, notes) for _, row in part.iterrows()]))
    return page("\n".join([*content, remarks_list(notes)]), title, _synthetic(table))


def _summary_row(row: pd.Series) -> str:
    title = _title(row)
    link = f'<a href="#{_anchor(row["system"], row["table"])}">{escape(title)}</a>'
    first = f'<td data-label="Table" data-key="{escape(title, quote=True)}"><span>{link}</span></td>'
    return f"<tr>{first}{''.join(cell(name, row[name], str(row[name])) for name in ('numbers', *VERDICTS))}</tr>"


def _row(row: pd.Series, notes: dict[str, int]) -> str:
    links = note_links(row["note"].split("\n") if row["note"] else [], notes)
    keys = [
        *(row["row"], _place(row), row["labels_pct"], row["metric"], row["paper"], row["paper_sd"]),
        *(row["protocol"] or DASH, row["ours"], row["ci_low"], row["difference"], row["verdict"]),
        *(row["because"] or row["filled_by"] or DASH, row["run"] or DASH),
    ]
    shown = _shown(row)
    marks = [links, *[""] * (len(keys) - 1)]
    cells = map(cell, HEADINGS, keys, shown, marks)
    return f"<tr>{''.join(cells)}</tr>"


def _shown(row: pd.Series) -> list[str]:
    """Texts of a row, in the order of `HEADINGS`."""
    metric, paper = row["metric"], _value(row["paper"], row["metric"])
    interval = DASH
    if not pd.isna(row["ci_low"]):
        interval = f"{_value(row['ci_low'], metric)} to {_value(row['ci_high'], metric)}"
    difference = DASH if pd.isna(row["difference"]) else _value(row["difference"], metric, "+")
    return [
        *(row["row"], _place(row), f"{row['labels_pct']:g} %", COSTS.get(metric) or words(metric)),
        *("~" * (row["origin"] == "derived") + paper, _value(row["paper_sd"], metric), row["protocol"] or DASH),
        *(_value(row["ours"], metric), interval, difference, row["verdict"]),
        *(row["because"] or row["filled_by"] or DASH, row["run"] or DASH),
    ]


def _texts(row: pd.Series) -> list[str]:
    """Texts of a measured row for the terminal."""
    shown = dict(zip(HEADINGS, _shown(row), strict=True))
    return [shown[above] for above in TEXT_HEADINGS]


def _empty(table: pd.DataFrame) -> Iterator[str]:
    """How many numbers each experiment and arm would fill, and why others stay empty."""
    empty = table[table["verdict"] == NOT_RUN]
    if len(empty):
        yield from ("", "Not run, and what would fill it: config/experiments/<file>, comparison: arm, numbers")
        fills = empty.assign(filled_by=empty["filled_by"].str.split("; ")).explode("filled_by")
        for filler, size in fills.groupby("filled_by", sort=False).size().items():
            yield f"  {filler or 'no experiment'}, {size}"
    reasons = table[(table["verdict"] == CANNOT) | ((table["verdict"] == NOT_RUN) & (table["because"] != ""))]
    if len(reasons):
        yield from ("", "No other verdict, because")
        for (verdict, why), size in reasons.groupby(["verdict", "because"], sort=False).size().items():
            yield from textwrap.wrap(f"{size} {verdict}: {why}", WIDTH, initial_indent="  ", subsequent_indent="    ")


def _place(row: pd.Series) -> str:
    """Dataset, and the run's task where it says more."""
    told = (
        [row["dataset"], row["task"]] if row["task"].startswith("mean of") or not row["dataset"] else [row["dataset"]]
    )
    return ", ".join(filter(None, told)) or DASH


def _value(value: float, metric: str, sign: str = "") -> str:
    """A number with the digits of its metric; a quantity with four that count."""
    if pd.isna(value):
        return DASH
    return f"{value:{sign}.4g}" if metric in QUANTITIES else f"{value:{sign}.{scale_of(metric).digits}f}"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _title(row: pd.Series) -> str:
    return f"{row['system']}, {row['table'].replace('_', ' ') or 'text'}"


def _number(name: str) -> str:
    printed = name.startswith(("table_", "appendix_"))
    return f"{words(name)}: {TITLES[name]}" if printed else TITLES[name]


def _anchor(system: str, name: str) -> str:
    return f"{system}-{name or 'text'}"


def _synthetic(table: pd.DataFrame) -> bool:
    return bool((table["data"] == SYNTHETIC).any())
