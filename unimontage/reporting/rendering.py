"""Result tables as text for the terminal and as a page that needs nothing else."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from itertools import chain
from string import Template

import pandas as pd

WIDTH = 120
WARNING = "SYNTHETIC data: these numbers say nothing about brains."
DASH = "–"


@dataclass(frozen=True)
class Column:
    """One column as people see it.

    Parameters
    ----------
    name : str
        Column of the table.
    heading : str
        What stands above it; ``{metric}`` and ``{confidence}`` are filled in.
    form : callable
        Value, row -> text.
    text : bool
        Whether the terminal shows it.
    """

    name: str
    heading: str
    form: Callable[[object, pd.Series], str]
    text: bool = True


def _number(digits: int, sign: str = "") -> Callable[[object, pd.Series], str]:
    return lambda value, row: DASH if pd.isna(value) else f"{value:{sign}.{digits}f}"


def _interval(low: object, row: pd.Series) -> str:
    return DASH if pd.isna(low) else f"{low:.1f} to {row['ci_high']:.1f}"


def _p(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{value:.4f}"


def _published(value: object, row: pd.Series) -> str:
    return DASH if pd.isna(value) else f"{'~' * (row.get('origin') == 'derived')}{value:.2f}"


def _plain(value: object, row: pd.Series) -> str:
    return str(value)


PLACE = ("dataset", "task", "protocol")

COLUMNS = (
    Column("protocol", "Protocol", _plain, text=False),
    Column("arm", "Arm", _plain),
    Column("reference", "Against", _plain),
    Column("mean", "{metric}", _number(2)),
    Column("points", "Points", _number(2, "+")),
    Column("ci_low", "{confidence:.0%} interval", _interval),
    Column("sd", "SD", _number(1)),
    Column("n", "n", _plain),
    Column("chance", "Chance", _number(1)),
    Column("p", "p", _p),
    Column("p_holm", "p (Holm)", _p),
    Column("strict_trial", "Strict", _number(2)),
    Column("seed_9_6", "Strict (9 and 6)", _number(2)),
    Column("strict_loso", "Strict (left out)", _number(2)),
    Column("paper_protocol", "Paper prot.", _number(2)),
    Column("paper", "Paper prot.", _number(2)),
    Column("leakage", "Leakage", _number(2, "+")),
    Column("published", "Published", _published),
    Column("difference", "Diff.", _number(2, "+")),
    Column("accuracy", "Accuracy", _number(1), text=False),
    Column("balanced_accuracy", "Balanced", _number(1)),
    Column("macro_f1", "Macro F1", _number(1), text=False),
    Column("weighted_f1", "Weighted F1", _number(1), text=False),
    Column("kappa", "Kappa", _number(1), text=False),
    Column("auroc", "AUROC", _number(1), text=False),
    Column("sd_folds", "SD of folds", _number(1), text=False),
    Column("sd_seeds", "SD of seeds", _number(1), text=False),
)


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
    marks = [",".join(str(notes[note]) for note in remarks) for remarks in _remarks(table)]
    widths = [max(map(len, texts)) for texts in zip(headings, *cells, strict=True)]
    _shrink(widths, columns, WIDTH - 2 * len(widths) - 2 - max(map(len, marks)))
    lines = [WARNING] if _synthetic(table) else []
    lines += textwrap.wrap(_subtitle(table), WIDTH)
    places = table[[name for name in PLACE if name in table.columns]].agg(", ".join, axis=1)
    place = None
    for where, texts, mark in zip(places, cells, marks, strict=True):
        if where != place:
            place = where
            lines += ["", where, _line(headings, widths, columns)]
        lines.append(f"{_line(texts, widths, columns)}  {mark}".rstrip())
    lines += ["", "Remarks, by the numbers at the ends of the rows"] if notes else []
    for note, number in notes.items():
        mark = f"{number:3d}  "
        lines += textwrap.wrap(note, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark))
    return "\n".join(lines)


def to_html(table: pd.DataFrame, title: str, synthetic: bool) -> str:
    """A table as one self-contained page: sortable by its headings, readable on a phone.

    Parameters
    ----------
    table : DataFrame
        From `unimontage.reporting.tables`: results, contrast or differences.
    title : str
        Heading of the page.
    synthetic : bool
        Whether the page must say SYNTHETIC; a table whose ``data`` column says so does in any case.

    Returns
    -------
    str
        HTML without any external asset.
    """
    synthetic = synthetic or _synthetic(table)
    columns = [column for column in COLUMNS if column.name in table.columns]
    headings = ["Dataset", "Task", *_headings(table, columns)] if len(table) else []
    pictured = {"mean", "ci_low", "ci_high", "chance"} <= set(table.columns)
    notes = _notes(table)
    body = []
    for (_, row), remarks in zip(table.iterrows(), _remarks(table), strict=True):
        links = "".join(f'<sup><a href="#note-{notes[note]}">{notes[note]}</a> </sup>' for note in remarks)
        cells = [_cell("Dataset", row["dataset"], row["dataset"]), _cell("Task", row["task"], row["task"])]
        for column, heading in zip(columns, headings[2:], strict=True):
            value = row[column.name]
            cells.append(_cell(heading, value, column.form(value, row), links * (column.name == "arm")))
        cells += [f'<td data-label="0 to 100">{_picture(row)}</td>'] if pictured else []
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th scope="col"><button type="button">{escape(heading)}</button></th>' for heading in headings)
    head += '<th scope="col">0 to 100</th>' if pictured else ""
    listed = "".join(f'<li id="note-{number}">{escape(note)}</li>' for note, number in notes.items())
    return PAGE.substitute(
        title=escape(f"SYNTHETIC data: {title}" if synthetic else title),
        warning=f'<p class="warning" role="note">{WARNING}</p>' if synthetic else "",
        subtitle=escape(_subtitle(table) if len(table) else "Nothing to compare."),
        head=head,
        body="\n".join(body),
        key=PICTURE_KEY if pictured else "",
        notes=f"<h2>Remarks</h2><ol>{listed}</ol>" if listed else "",
    )


def _headings(table: pd.DataFrame, columns: list[Column]) -> list[str]:
    first = table.iloc[0]
    metric = str(first["metric"]).replace("_", " ").capitalize()
    return [column.heading.format(metric=metric, confidence=first.get("confidence", 0.95)) for column in columns]


def _subtitle(table: pd.DataFrame) -> str:
    metric = str(table["metric"].iloc[0]).replace("_", " ")
    unit = f" per {table['unit'].iloc[0]}" if "unit" in table.columns else ""
    if "leakage" in table.columns:
        return f"Mean {metric}{unit} in percent under both protocols; leakage is their difference in points."
    if "points" in table.columns:
        return f"Differences of {metric}{unit} in points, subject by subject; n subjects; Holm within a protocol."
    derived = " ~ marks a value computed from a printed gain." if (table["origin"] == "derived").any() else ""
    return f"Mean {metric}{unit} in percent over n subjects; SD and interval are over subjects.{derived}"


def _remarks(table: pd.DataFrame) -> list[list[str]]:
    """Remarks of each row."""
    return [note.splitlines() for note in table["note"]] if "note" in table.columns else [[]] * len(table)


def _notes(table: pd.DataFrame) -> dict[str, int]:
    """Number of each different remark, in the order of appearance."""
    return {note: k for k, note in enumerate(dict.fromkeys(chain.from_iterable(_remarks(table))), start=1)}


def _synthetic(table: pd.DataFrame) -> bool:
    return bool((table["data"] == "SYNTHETIC").any())


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


def _cell(heading: str, value: object, text: str, mark: str = "") -> str:
    number = not isinstance(value, str)
    key = ("" if pd.isna(value) else f"{value}") if number else escape(str(value), quote=True)
    kind = ' class="number"' if number else ""
    label = escape(heading, quote=True)
    return f'<td{kind} data-label="{label}" data-key="{key}"><span>{escape(text)}{mark}</span></td>'


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

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { --ink: #1a1a1a; --quiet: #595959; --rule: #d9d9d9; --paper: #fff; --blue: #0072b2; --orange: #b34a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eee; --quiet: #b0b0b0; --rule: #444; --paper: #161616; --blue: #56b4e9; --orange: #e69f00; }
}
body { font: 16px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  padding: 0 1rem; max-width: 100rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
p { margin: .3rem 0; color: var(--quiet); } .key, ol { font-size: .875rem; max-width: 60rem; }
.warning { color: var(--orange); border: 2px solid; padding: .5rem .8rem; font-weight: 600; }
table { border-collapse: collapse; margin-top: 1rem; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--rule); }
th { vertical-align: bottom; } td.number { text-align: right; white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid var(--blue); }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
a { color: var(--blue); } svg { width: 9rem; height: 1rem; display: block; }
.mean { fill: var(--blue); } .interval { stroke: var(--blue); stroke-width: 1.5; }
.chance { stroke: var(--quiet); stroke-dasharray: 2 1.5; } .published { fill: none; stroke: var(--orange); }
@media (max-width: 60rem) {
  thead { position: absolute; clip-path: inset(50%); } table, tbody { display: block; }
  tr { display: block; border: 1px solid var(--rule); border-radius: 6px; margin-bottom: 1rem; padding: .3rem 0; }
  td, td.number { display: flex; justify-content: space-between; gap: 1rem; border: 0; text-align: right;
    white-space: normal; overflow-wrap: anywhere; }
  td::before { content: attr(data-label); color: var(--quiet); text-align: left; white-space: nowrap; }
}
</style>
</head>
<body>
<h1>$title</h1>
$warning
<p>$subtitle</p>
$key
<table>
<thead><tr>$head</tr></thead>
<tbody>
$body
</tbody>
</table>
$notes
<script>
document.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => {
  const th = button.parentElement, body = document.querySelector("tbody");
  const up = th.getAttribute("aria-sort") !== "ascending";
  document.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  th.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.cells[column].dataset.key, number = row => row.cells[column].className === "number";
  const rows = [...body.rows].sort((a, b) => {
    if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");  // empty cells stay last
    const order = number(a) ? key(a) - key(b) : key(a).localeCompare(key(b));
    return up ? order : -order;
  });
  body.append(...rows);
}));
</script>
</body>
</html>
""")
