"""What tables shown to people share: remarks by number, and a page that needs nothing else."""

import textwrap
from collections.abc import Iterable, Mapping
from html import escape
from string import Template

import pandas as pd

WIDTH = 120
WARNING = "SYNTHETIC data: these numbers say nothing about brains."
DASH = "–"


def numbered(remarks: Iterable[str]) -> dict[str, int]:
    """Number of each different remark, in the order of appearance."""
    return {remark: k for k, remark in enumerate(dict.fromkeys(remarks), start=1)}


def remarks_lines(notes: Mapping[str, int]) -> list[str]:
    """Numbered remarks below a table for the terminal, or nothing."""
    lines = ["", "Remarks, by the numbers at the ends of the rows"] if notes else []
    for note, number in notes.items():
        mark = f"{number:3d}  "
        lines += textwrap.wrap(note, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark))
    return lines


def remarks_list(notes: Mapping[str, int]) -> str:
    """Numbered remarks below a table as HTML, or nothing; ``#note-1`` leads to the first."""
    listed = "".join(f'<li id="note-{number}">{escape(note)}</li>' for note, number in notes.items())
    return f"<h2>Remarks</h2><ol>{listed}</ol>" if listed else ""


def note_links(remarks: Iterable[str], notes: Mapping[str, int]) -> str:
    """Links to remarks, to be put behind the name of a row."""
    return "".join(f'<sup><a href="#note-{notes[note]}">{notes[note]}</a> </sup>' for note in remarks)


def cell(heading: str, value: object, text: str, mark: str = "") -> str:
    """One cell of a table: what is shown, what it is sorted by, and its heading for narrow screens."""
    number = not isinstance(value, str)
    key = ("" if pd.isna(value) else f"{value}") if number else escape(str(value), quote=True)
    kind = ' class="number"' if number else ""
    label = escape(heading, quote=True)
    return f'<td{kind} data-label="{label}" data-key="{key}"><span>{escape(text)}{mark}</span></td>'


def heading(text: str) -> str:
    """A heading that sorts its column."""
    return f'<th scope="col"><button type="button">{escape(text)}</button></th>'


def html_table(head: str, body: Iterable[str], foot: str = "") -> str:
    """One table from its heading cells, its rows, and rows that stay at the foot when headings sort the others."""
    rows = "\n".join(body)
    last = f"\n<tfoot>{foot}</tfoot>" if foot else ""
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>{last}\n</table>"


def page(content: str, title: str, synthetic: bool) -> str:
    """A self-contained page of HTML: sortable tables, readable on a phone, without any external asset.

    Parameters
    ----------
    content : str
        Tables, paragraphs and remarks, as HTML.
    title : str
        Heading of the page.
    synthetic : bool
        Say SYNTHETIC in the title and in a warning.
    """
    return PAGE.substitute(
        title=escape(f"SYNTHETIC data: {title}" if synthetic else title),
        warning=f'<p class="warning" role="note">{WARNING}</p>' if synthetic else "",
        content=content,
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
tfoot td { border-top: 2px solid var(--rule); font-weight: 600; }
th { vertical-align: bottom; } td.number { text-align: right; white-space: nowrap; }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid var(--blue); }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
a { color: var(--blue); } svg { width: 9rem; height: 1rem; display: block; }
.mean { fill: var(--blue); } .interval { stroke: var(--blue); stroke-width: 1.5; }
.chance { stroke: var(--quiet); stroke-dasharray: 2 1.5; } .published { fill: none; stroke: var(--orange); }
@media (max-width: 60rem) {
  thead { position: absolute; clip-path: inset(50%); } table, tbody, tfoot { display: block; }
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
$content
<script>
document.querySelectorAll("th button").forEach(button => button.addEventListener("click", () => {
  const th = button.parentElement, table = th.closest("table"), body = table.tBodies[0], column = th.cellIndex;
  const up = th.getAttribute("aria-sort") !== "ascending";
  table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
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
