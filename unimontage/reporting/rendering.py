"""Result tables as text for the terminal and as a page that needs nothing else."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain

import pandas as pd

from unimontage.evaluation.regression import REGRESSION_METRICS
from unimontage.evaluation.scales import PERCENT, Scale, name_of, scale_of
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
    remarks_lines,
    remarks_list,
)


@dataclass(frozen=True)
class Column:
    """One column as people see it.

    Parameters
    ----------
    name : str
        Column of the table.
    heading : str
        What stands above it; ``{metric}``, ``{confidence}`` and ``{points}`` are filled in.
    form : callable
        Value, row -> text.
    text : bool
        Whether the terminal shows it.
    """

    name: str
    heading: str
    form: Callable[[object, pd.Series], str]
    text: bool = True


def _mean(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{value:.{scale_of(row['metric']).digits}f}"


def _change(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{value:+.{scale_of(row['metric']).digits}f}"


def _spread(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{value:.{scale_of(row['metric']).coarse}f}"


def _interval(low: object, row: pd.Series) -> str:
    return DASH if pd.isna(low) else f"{_spread(low, row)} to {_spread(row['ci_high'], row)}"


def _other(metric: str) -> Callable[[object, pd.Series], str]:
    """A column about another metric than the table's."""
    return lambda value, row: DASH if pd.isna(value) else f"{value:.{scale_of(metric).coarse}f}"


def _effect(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{value:+.2f}"


def _p(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{value:.4f}"


def _flips(value: object, row: pd.Series) -> str:
    return value or DASH


def _published(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{'~' * (row.get('origin') == 'derived')}{_mean(value, row)}"


def _plain(value: object, row: pd.Series) -> str:
    return str(value)


PLACE = ("dataset", "task", "protocol")

COLUMNS = (
    Column("protocol", "Protocol", _plain, text=False),
    Column("arm", "Arm", _plain),
    Column("role", "", _plain, text=False),
    Column("verdict", "Against chance", _plain, text=False),
    Column("reference", "Against", _plain),
    Column("scored", "Scored", _plain),
    Column("strict", "Strict", _mean),
    Column("paper", "Paper prot.", _mean),
    Column("leakage", "Leakage", _change),
    Column("mean", "{metric}", _mean),
    Column("points", "{points}", _change),
    Column("ci_low", "{confidence:.0%} interval", _interval),
    Column("sd", "SD", _spread),
    Column("sd_folds", "Folds", _spread),
    Column("sd_seeds", "Seeds", _spread),
    Column("n", "n", _plain),
    Column("chance", "Chance", _spread),
    Column("hedges_g", "g", _effect),
    Column("rank_biserial", "r", _effect),
    Column("p", "p", _p),
    Column("flips", "Sign flips", _flips),
    Column("p_holm", "p (Holm)", _p),
    Column("tests", "of tests", _plain, text=False),
    Column("paper_protocol", "Paper prot.", _mean),
    Column("published", "Published", _published),
    Column("difference", "Diff.", _change, text=False),
    Column("accuracy", "Accuracy", _other("accuracy"), text=False),
    Column("balanced_accuracy", "Balanced", _other("balanced_accuracy")),
    *(
        Column(name, words(name), _other(name), text=False)
        for name in ("macro_f1", "weighted_f1", "kappa", "auroc", "auc_pr")
    ),
    *(Column(name, words(name), _other(name)) for name in REGRESSION_METRICS),
)


MARKS = 12
"""Characters of a line that are kept for the numbers of its remarks; more of them go to a line of their own."""


def to_text(table: pd.DataFrame) -> str:
    """A table for the terminal, one block a dataset, task and protocol, at most 120 characters wide.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.tables`: results, contrast or differences.

    Returns
    -------
    str
        Long arm names are cut so that a line fits. Remarks are numbered and follow the table.
    """
    if not len(table):
        return "Nothing to compare."
    columns = [column for column in COLUMNS if column.text and column.name in table.columns]
    headings = _headings(table, columns)
    notes = _notes(table)
    cells = [[column.form(row[column.name], row) for column in columns] for _, row in table.iterrows()]
    marks = [_runs(notes[note] for note in remarks) for remarks in _remarks(table)]
    widths = [max(map(len, texts)) for texts in zip(headings, *cells, strict=True)]
    _shrink(widths, columns, WIDTH - 2 * len(widths) - 2 - min(MARKS, max(map(len, marks))))
    lines = [WARNING] if _synthetic(table) else []
    lines += textwrap.wrap(_subtitle(table), WIDTH)
    places = table[[name for name in PLACE if name in table.columns]].agg(", ".join, axis=1)
    place = None
    for where, texts, mark in zip(places, cells, marks, strict=True):
        if where != place:
            place = where
            lines += ["", where, _line(headings, widths, columns)]
        line = _line(texts, widths, columns)
        beside = len(line) + 2 + len(mark) <= WIDTH
        lines += [f"{line}  {mark}".rstrip()] if beside else [line, f"      remarks {mark}"]
    return "\n".join([*lines, *remarks_lines(notes)])


def to_html(tables: pd.DataFrame | Sequence[pd.DataFrame], title: str, synthetic: bool, above: str = "") -> str:
    """Tables as one self-contained page: sortable by their headings, readable on a phone.

    Parameters
    ----------
    tables : DataFrame or sequence of DataFrame
        From `unimontage.reporting.tables`: results, contrast or differences, each of one metric.
    title : str
        Heading of the page.
    synthetic : bool
        Whether the page must say SYNTHETIC; a table whose ``data`` column says so does in any case.
    above : str
        HTML that stands above the tables.

    Returns
    -------
    str
        HTML without any external asset.
    """
    tables = [tables] if isinstance(tables, pd.DataFrame) else tables
    content = "\n".join([above, *map(_html, tables)])
    return page(content, title, synthetic or any(map(_synthetic, tables)))


def _html(table: pd.DataFrame) -> str:
    """One table with what stands above and below it."""
    columns = [column for column in COLUMNS if column.name in table.columns]
    headings = ["Dataset", "Task", *_headings(table, columns)] if len(table) else []
    pictured = {"mean", "ci_low", "ci_high", "chance"} <= set(table.columns) and _scale(table).percent
    notes = _notes(table)
    body = []
    for (_, row), remarks in zip(table.iterrows(), _remarks(table), strict=True):
        links = note_links(remarks, notes)
        cells = [cell("Dataset", row["dataset"], row["dataset"]), cell("Task", row["task"], row["task"])]
        for column, above in zip(columns, headings[2:], strict=True):
            value = row[column.name]
            names = column.name == "arm"
            cells.append(cell(above, value, column.form(value, row), links * names, "th" if names else "td"))
        cells += [f"<td>{_picture(row)}</td>"] if pictured else []
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(map(heading, headings))
    head += '<th scope="col">0 to 100</th>' if pictured else ""
    subtitle = escape(_subtitle(table) if len(table) else "Nothing to compare.")
    content = [
        f"<p>{subtitle}</p>",
        PICTURE_KEY if pictured else "",
        html_table(head, body),
        remarks_list(notes),
    ]
    return "\n".join(content)


def _headings(table: pd.DataFrame, columns: list[Column]) -> list[str]:
    first = table.iloc[0]
    filled = {"metric": words(first["metric"]), "confidence": first.get("confidence", 0.95)}
    filled["points"] = "Points" if _scale(table).percent else "Difference"
    return [column.heading.format(**filled) for column in columns]


def _scale(table: pd.DataFrame) -> Scale:
    """Scale of the one metric that a table is about; percent where the table is empty."""
    return scale_of(table["metric"].iloc[0]) if len(table) else PERCENT


def _subtitle(table: pd.DataFrame) -> str:
    scale = _scale(table)
    metric = name_of(table["metric"].iloc[0])
    unit = f" per {table['unit'].iloc[0]}" if "unit" in table.columns else ""
    percent, points = (" in percent", " in points") if scale.percent else ("", "")
    lower = " Lower is better." if scale.lower_is_better else ""
    if "leakage" in table.columns:
        return (
            f"Mean {metric}{percent} under both protocols; leakage is their difference{points}, by subject or over all "
            f"test windows together, with its interval over the n subjects.{lower}"
        )
    if "points" in table.columns:
        tests = table["tests"].groupby(table["protocol"]).first()
        holm = ", ".join(f"{count} under {protocol}" for protocol, count in tests.items())
        return (
            f"Differences of {metric}{unit}{points}, subject by subject; SD over n subjects; g and r are effect sizes; "
            f"p from sign flips, Holm's correction over the tests of a protocol ({holm}).{lower}"
        )
    derived = " ~ marks a value computed from a printed gain." if (table["origin"] == "derived").any() else ""
    spread = "Interval and SD are over subjects, the SD over folds and seeds within a subject."
    return f"Mean {metric}{unit}{percent} over n subjects; {spread}{lower}{derived}"


def _remarks(table: pd.DataFrame) -> list[list[str]]:
    """Remarks of each row."""
    return [note.splitlines() for note in table["note"]] if "note" in table.columns else [[]] * len(table)


def _notes(table: pd.DataFrame) -> dict[str, int]:
    """Number of each different remark, in the order of appearance."""
    return numbered(chain.from_iterable(_remarks(table)))


def _synthetic(table: pd.DataFrame) -> bool:
    return bool((table["data"] == "SYNTHETIC").any())


def _runs(numbers: Iterable[int]) -> str:
    """Numbers in order, those that follow each other as from-to: ``1,3-7,9``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _line(texts: list[str], widths: list[int], columns: list[Column]) -> str:
    parts = []
    for text, width, column in zip(texts, widths, columns, strict=True):
        if column.form is _plain and column.name != "n":
            parts.append((text if len(text) <= width else text[: width - 1] + "…").ljust(width))
        else:
            parts.append(text.rjust(width))
    return "  " + "  ".join(parts)


def _shrink(widths: list[int], columns: list[Column], total: int) -> None:
    """Narrow the columns of arm names, the widest first, until all widths add up to `total` or nothing is left."""
    names = [k for k, column in enumerate(columns) if column.name in ("arm", "reference")]
    while sum(widths) > total and max(widths[k] for k in names) > 1:
        widths[max(names, key=lambda k: widths[k])] -= 1


def _picture(row: pd.Series) -> str:
    """Mean, interval, chance level and published value of one row on a scale from 0 to 100."""
    if pd.isna(row["mean"]):
        return ""
    marks = []
    if not pd.isna(row["chance"]):
        marks.append(f'<line class="chance" x1="{row["chance"]:.1f}" x2="{row["chance"]:.1f}" y1="0" y2="12"/>')
    if not pd.isna(row["ci_low"]):
        marks.append(f'<line class="interval" x1="{row["ci_low"]:.1f}" x2="{row["ci_high"]:.1f}" y1="6" y2="6"/>')
    if not pd.isna(row.get("published", float("nan"))):
        x = row["published"]
        marks.append(f'<path class="published" d="M{x - 3:.1f} 6L{x:.1f} 3L{x + 3:.1f} 6L{x:.1f} 9Z"/>')
    marks.append(f'<circle class="mean" cx="{row["mean"]:.1f}" cy="6" r="2.5"/>')
    return f'<svg viewBox="-4 0 108 12" role="img" aria-label="mean {row["mean"]:.1f}">{"".join(marks)}</svg>'


PICTURE_KEY = (
    '<p class="key">In the last column the filled dot is the mean, the bar its interval, the dashed line chance, '
    "the open diamond the published value.</p>"
)
