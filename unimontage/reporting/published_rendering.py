"""A published article's tables beside a run's numbers, as text for the terminal and as one page."""

import textwrap
from collections.abc import Iterator, Mapping
from html import escape
from itertools import chain

import pandas as pd

from unimontage.reporting.canvas import words
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
from unimontage.reporting.published.sleep import EFFICIENCY, TITLES
from unimontage.reporting.published_tables import GAIN, NOT_RUN, SIZE_AND_SPEED
from unimontage.reporting.tables import SYNTHETIC

LEGEND = (
    "The article's number, the run's, and the run's minus the article's in points. Both are percent of all test epochs "
    "together; ± is the SD, the run's over seeds and draws of labels."
)
QUANTITIES = {
    "parameters_m": "Parameters (10^6)",
    "flops_g": "FLOPs (10^9)",
    "peak_memory_mb": "Peak memory (10^6 bytes)",
    "latency_ms": "Latency (ms)",
}
DIGITS = {"parameters_m": 3, "flops_g": 3, "peak_memory_mb": 1, "latency_ms": 1}
COST = (
    "Batch 1. FLOPs are twice the multiply-accumulates of the run's models; it is not stated which of the two the "
    "article counts. Memory and latency belong to a machine, so they compare only within a column."
)
METRICS_A_BLOCK = 3
BLOCK = ["protocol", "dataset", "labels_pct"]


def published_text(tables: Mapping[str, pd.DataFrame]) -> str:
    """The tables for the terminal, one line a model, at most 120 characters wide.

    Blocks of a dataset and a label budget that the run fills no row of are left out; the page has them.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        From `unimontage.reporting.published_tables.published_tables`.
    """
    if not tables:
        return "Nothing to compare."
    lines = [WARNING] if _synthetic(tables) else []
    lines += textwrap.wrap(LEGEND, WIDTH)
    for name, whole in tables.items():
        table = _filled(whole)
        lines += ["", f"{_number(name)}: {TITLES[name]}"]
        for place, block in _blocks(table):
            for part in _narrow(block):
                lines += ["", place, *_lines(part), *_leads(part)]
        lines += remarks_by_model(table)
    return "\n".join(lines)


def published_html(tables: Mapping[str, pd.DataFrame], title: str) -> str:
    """The tables as one page that needs nothing else, one line a model, with the run's intervals.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        From `unimontage.reporting.published_tables.published_tables`.
    title : str
        Heading of the page.
    """
    notes = numbered(chain.from_iterable(_remarks(table) for table in tables.values()))
    content = [f"<p>{escape(LEGEND) if tables else 'Nothing to compare.'}</p>"]
    for name, table in tables.items():
        content.append(f"<h2>{_number(name)}: {escape(TITLES[name])}</h2>")
        for place, block in _blocks(table):
            content += [f"<p>{escape(place)}</p>", _html_block(block, notes)]
    return page("\n".join([*content, remarks_list(notes)]), title, _synthetic(tables))


def efficiency_text(table: pd.DataFrame) -> str:
    """`unimontage.reporting.published_tables.efficiency_table` for the terminal: the article / the run."""
    head = ["Model", "Dataset", *QUANTITIES.values()]
    rows = [head, *([row["model"], row["dataset"] or DASH, *_costs(row)] for _, row in table.iterrows())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([f"{_number(SIZE_AND_SPEED)}: {TITLES[SIZE_AND_SPEED]}", *textwrap.wrap(COST, WIDTH), "", *lines])


def efficiency_html(table: pd.DataFrame, title: str, synthetic: bool) -> str:
    """`unimontage.reporting.published_tables.efficiency_table` as a page: the article / the run.

    Parameters
    ----------
    table : DataFrame
        From `efficiency_table`.
    title : str
        Heading of the page.
    synthetic : bool
        Whether the models were trained on twins, so that the page says SYNTHETIC.
    """
    notes = numbered(chain.from_iterable(note.splitlines() for note in table["note"]))
    body = []
    for _, row in table.iterrows():
        cells = [cell("Model", row["model"], row["model"], note_links(row["note"].splitlines(), notes), "th")]
        cells.append(cell("Dataset", row["dataset"], row["dataset"] or DASH))
        cells += [
            cell(above, row[quantity], text)
            for (quantity, above), text in zip(QUANTITIES.items(), _costs(row), strict=True)
        ]
        cells.append(cell("Measured on", row["device"], row["device"] or NOT_RUN))
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(map(heading, ["Model", "Dataset", *QUANTITIES.values(), "Measured on"]))
    above = f"<h2>{escape(TITLES[SIZE_AND_SPEED])}</h2>\n<p>{escape(COST)}</p>"
    return page("\n".join([above, html_table(head, body), remarks_list(notes)]), title, synthetic)


def _blocks(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of each protocol, dataset and label budget, and what to call them."""
    for (protocol, dataset, labels), block in table.groupby(BLOCK, sort=False):
        yield f"{dataset}, {labels:g} % of the labels, {protocol}", block


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    """The blocks of a table in which the run fills at least one row."""
    run = (table["row"] != GAIN) & (table["status"] != NOT_RUN)
    return table[run.groupby([table[key] for key in BLOCK]).transform("any")]


def _lines(block: pd.DataFrame) -> list[str]:
    """Headings and one line a model, three columns a metric."""
    metrics = list(block["metric"].unique())
    rows = block.groupby("row", sort=False)
    body = [[group["model"].iloc[0], *chain(*(_texts(row) for _, row in group.iterrows()))] for _, group in rows]
    head = ["", *["paper", "ours", "diff."] * len(metrics)]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    spans = [sum(widths[k : k + 3]) + 4 for k in range(1, len(widths), 3)]
    top = ["".ljust(widths[0]), *(words(metric).rjust(span) for metric, span in zip(metrics, spans, strict=True))]
    return [f"  {line}".rstrip() for line in ("  ".join(top), *(_aligned(row, widths) for row in (head, *body)))]


def _narrow(block: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """A block in parts of so few metrics that a line fits the terminal."""
    metrics = list(block["metric"].unique())
    for k in range(0, len(metrics), METRICS_A_BLOCK):
        yield block[block["metric"].isin(metrics[k : k + METRICS_A_BLOCK])]


def _leads(block: pd.DataFrame) -> list[str]:
    """Which rows the gains of a block are over."""
    gains = block[block["row"] == GAIN]
    texts = [
        f"{words(row['metric'])} {row['paper_over']} / {row['ours_over'] or NOT_RUN} ({row['others_run']} run)"
        for _, row in gains.iterrows()
    ]
    joined = f"Best other, paper / ours: {'; '.join(texts)}"
    return textwrap.wrap(joined, WIDTH, initial_indent="  ", subsequent_indent="    ") if texts else []


def _aligned(texts: list[str], widths: list[int]) -> str:
    first, *rest = texts
    return "  ".join([first.ljust(widths[0]), *(t.rjust(w) for t, w in zip(rest, widths[1:], strict=True))])


def _html_block(block: pd.DataFrame, notes: Mapping[str, int]) -> str:
    metrics = list(block["metric"].unique())
    above = [f"{words(metric)}, {what}" for metric in metrics for what in ("paper", "ours", "diff.")]
    rows = {name: _html_row(group, above, notes) for name, group in block.groupby("row", sort=False)}
    foot = rows.pop(GAIN, "")
    return html_table("".join(map(heading, ["Model", *above])), rows.values(), foot)


def _html_row(group: pd.DataFrame, above: list[str], notes: Mapping[str, int]) -> str:
    model = group["model"].iloc[0]
    cells = [cell("Model", model, model, note_links(_remarks(group), notes), "th")]
    keys = group[["paper", "ours", "difference"]].to_numpy().ravel()
    texts = chain.from_iterable(_texts(row) for _, row in group.iterrows())
    details = chain.from_iterable(_details(row) for _, row in group.iterrows())
    cells += [cell(*parts) for parts in zip(above, keys, texts, details, strict=True)]
    return f"<tr>{''.join(cells)}</tr>"


def _texts(row: pd.Series) -> tuple[str, str, str]:
    sign = "+" if row["row"] == GAIN else ""
    ours = row["status"] or _spread(row["ours"], row["ours_sd"], sign)
    difference = DASH if pd.isna(row["difference"]) else f"{row['difference']:+.2f}"
    return _spread(row["paper"], row["paper_sd"], sign), ours, difference


def _spread(value: float, sd: float, sign: str) -> str:
    return f"{value:{sign}.2f}" + ("" if pd.isna(sd) else f"±{sd:.2f}")


def _details(row: pd.Series) -> tuple[str, str, str]:
    """What stands small behind a number: the run's interval, or the row that a gain is over."""
    paper = ours = ""
    if row["row"] == GAIN:
        paper = f"over {row['paper_over']}"
        ours = f"over {row['ours_over']}, {row['others_run']} run" if row["ours_over"] else ""
    elif not pd.isna(row["ci_low"]):
        ours = f"{row['ci_low']:.1f} to {row['ci_high']:.1f}"
    paper, ours = (f" <small>{escape(text)}</small>" if text else "" for text in (paper, ours))
    return paper, ours, ""


def _costs(row: pd.Series) -> list[str]:
    """Article / run for each quantity."""
    texts = []
    for quantity in EFFICIENCY:
        pair = (row[f"{quantity}_paper"], row[quantity])
        known = [DASH if pd.isna(value) else f"{value:.{DIGITS[quantity]}f}" for value in pair]
        texts.append(f"{known[0]} / {row['status'] or known[1]}")
    return texts


def remarks_by_model(table: pd.DataFrame) -> list[str]:
    """Each remark with the models that it concerns."""
    models = {}
    for model, note in zip(table["model"], table["note"], strict=True):
        for remark in note.splitlines():
            models.setdefault(remark, {})[model] = None
    everyone = set(table.loc[table["row"] != GAIN, "model"])
    lines = ["", "Remarks"]
    for remark, concerned in models.items():
        names = "all" if everyone <= set(concerned) else ", ".join(concerned)
        lines += textwrap.wrap(f"{names}: {remark}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _remarks(table: pd.DataFrame) -> list[str]:
    """Different remarks of a table's rows, in order of appearance."""
    return list(dict.fromkeys(chain.from_iterable(note.splitlines() for note in table["note"])))


def _synthetic(tables: Mapping[str, pd.DataFrame]) -> bool:
    return any((table["data"] == SYNTHETIC).any() for table in tables.values())


def _number(table: str) -> str:
    return table.replace("_", " ").capitalize()
