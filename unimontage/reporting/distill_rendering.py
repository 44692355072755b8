"""The distillation article's tables beside a run's numbers, as text for the terminal and as one page."""

import textwrap
from collections.abc import Iterator, Mapping
from html import escape
from itertools import chain

import pandas as pd

from unimontage.evaluation.scales import name_of, scale_of
from unimontage.reporting.canvas import words
from unimontage.reporting.distill_tables import BLOCK
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
from unimontage.reporting.published.distill import HOURS, TITLES
from unimontage.reporting.published_rendering import remarks_by_model
from unimontage.reporting.tables import SYNTHETIC

LEGEND = (
    "A metric of all test windows together, in percent but for Pearson's r and R²; ± is the SD over seeds. To all is "
    "what a method has more than all windows, the article's and the run's each against its own; above says whether "
    "that is better. Whether it is more than chance is told by the paired differences."
)
COST = (
    f"Printed hours of pre-training: {HOURS['full_corpus']:g} on all windows, {HOURS['dlite']:g} on 5 percent, on four "
    "RTX 4090; the compressor, which is trained on all windows, is not counted."
)
HEADINGS = ("Method", "Kept", "Paper", "To all", "Above", "Ours", "Interval", "To all", "Above", "Ours - paper")


def distill_text(table: pd.DataFrame) -> str:
    """The tables for the terminal, one line a method, at most 120 characters wide.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.distill_tables.distill_table`.
    """
    if not len(table):
        return "Nothing to compare."
    lines = [WARNING] if _synthetic(table) else []
    lines += [*textwrap.wrap(LEGEND, WIDTH), *textwrap.wrap(COST, WIDTH)]
    for name, part in table.groupby("table", sort=False):
        lines += ["", TITLES[name]]
        for place, block in _blocks(part):
            rows = [HEADINGS, *(_texts(row) for _, row in block.iterrows())]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines += ["", place, *(_line(row, widths) for row in rows)]
    lines += ["", *_wrapped(claims(table)), *remarks_by_model(table)]
    return "\n".join(lines)


def distill_html(table: pd.DataFrame, title: str) -> str:
    """The tables as one page that needs nothing else, with the claim metric by metric.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.distill_tables.distill_table`.
    title : str
        Heading of the page.
    """
    if not len(table):
        return page("<p>Nothing to compare.</p>", title, synthetic=False)
    notes = numbered(chain.from_iterable(note.splitlines() for note in table["note"]))
    content = [f"<p>{escape(text)}</p>" for text in (LEGEND, COST)]
    for name, part in table.groupby("table", sort=False):
        content.append(f"<h2>{escape(TITLES[name])}</h2>")
        for place, block in _blocks(part):
            body = [_html_row(row, notes) for _, row in block.iterrows()]
            content += [f"<p>{escape(place)}</p>", html_table("".join(map(heading, HEADINGS)), body)]
    said = "".join(f"<li>{escape(text)}</li>" for text in claims(table))
    content += [f"<h2>Is less data better than all?</h2><ul>{said}</ul>" if said else "", remarks_list(notes)]
    return page("\n".join(content), title, _synthetic(table))


def claims(table: pd.DataFrame) -> list[str]:
    """Where the article claims to surpass all data: what its own numbers say, and what the run's do, by metric.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.distill_tables.distill_table`.

    Returns
    -------
    list of str
        One sentence a dataset and protocol.
    """
    texts = []
    for (protocol, dataset), block in table[table["claimed"]].groupby(["protocol", "dataset"], sort=False):
        answers = ["; ".join(_answer(row, whose) for _, row in block.iterrows()) for whose in ("paper", "ours")]
        said = f"{dataset}: the article says that 5 percent surpass all data. By its numbers: {answers[0]}."
        texts.append(f"{said} By this run's, {protocol}: {answers[1]}.")
    return texts


def _answer(row: pd.Series, whose: str) -> str:
    """Whether a method is above all windows in a metric, or why that cannot be said."""
    why = row["status"] or "unknown, since all windows were not run"
    return f"{name_of(row['metric'])} {row[f'{whose}_above'] or why}"


def _blocks(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Methods of each protocol, dataset and metric, and what to call them."""
    for (_, protocol, dataset, metric), block in table.groupby(BLOCK, sort=False):
        lower = ", lower is better" if scale_of(metric).lower_is_better else ""
        yield f"{dataset}, {words(metric)}{lower}, {protocol}", block


def _texts(row: pd.Series) -> tuple[str, ...]:
    """Cells of one method."""
    digits = scale_of(row["metric"]).digits

    def change(value: float) -> str:
        return DASH if pd.isna(value) else f"{value:+.{digits}f}"

    spread = "" if pd.isna(row["ours_sd"]) else f"±{row['ours_sd']:.{digits}f}"
    ours = row["status"] or f"{row['ours']:.{digits}f}{spread}"
    interval = DASH if pd.isna(row["ci_low"]) else f"{row['ci_low']:.{digits}f} to {row['ci_high']:.{digits}f}"
    paper = (f"{row['paper']:.{digits}f}", change(row["paper_to_all"]), row["paper_above"] or DASH)
    run = (ours, interval, change(row["ours_to_all"]), row["ours_above"] or DASH, change(row["difference"]))
    return (row["model"], f"{row['kept_pct']:g} %", *paper, *run)


def _line(texts: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = texts
    aligned = [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))]
    return f"  {'  '.join(aligned)}"


def _wrapped(texts: list[str]) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]


def _html_row(row: pd.Series, notes: Mapping[str, int]) -> str:
    keys = ("model", "kept_pct", "paper", "paper_to_all", "paper_above", "ours", "ci_low", "ours_to_all")
    values = [row[key] for key in (*keys, "ours_above", "difference")]
    marks = [note_links(row["note"].splitlines(), notes), *[""] * (len(HEADINGS) - 1)]
    tags = ["th", *["td"] * (len(HEADINGS) - 1)]
    cells = [cell(*parts) for parts in zip(HEADINGS, values, _texts(row), marks, tags, strict=True)]
    return f"<tr>{''.join(cells)}</tr>"


def _synthetic(table: pd.DataFrame) -> bool:
    return bool((table["data"] == SYNTHETIC).any())
