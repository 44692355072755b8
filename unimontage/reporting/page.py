"""What tables shown to people share: remarks by number, and a page that needs nothing else."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from html import escape

import pandas as pd

from unimontage.reporting.look import SCRIPT, STYLE

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
    return f"<h2>Remarks</h2>\n<ol>{listed}</ol>" if listed else ""


def note_links(remarks: Iterable[str], notes: Mapping[str, int]) -> str:
    """Links to remarks, to be put behind the name of a row."""
    return "".join(f'<sup><a href="#note-{notes[note]}">{notes[note]}</a> </sup>' for note in remarks)


def cell(heading: str, value: object, text: str, mark: str = "", tag: str = "td") -> str:
    """One cell of a table: its heading, shown where it is pointed at, what it is sorted by, its text, HTML behind it.

    The tag is ``th`` for the cell that names its row.
    """
    number = not isinstance(value, str)
    key = ("" if pd.isna(value) else f"{value}") if number else escape(str(value), quote=True)
    kind = ' class="number"' * number + ' scope="row"' * (tag == "th")
    label = escape(heading, quote=True)
    return f'<{tag}{kind} title="{label}" data-key="{key}">{escape(text)}{mark}</{tag}>'


def heading(text: str) -> str:
    """A heading that sorts its column."""
    return f'<th scope="col"><button type="button">{escape(text)}</button></th>'


def html_table(head: str, body: Iterable[str], foot: str = "") -> str:
    """One table from its heading cells, its rows, and rows that stay at the foot when headings sort the others."""
    rows = "\n".join(body)
    last = f"\n<tfoot>{foot}</tfoot>" if foot else ""
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>{last}\n</table>"
    return f'<div class="scroll" role="region" aria-label="Table">\n{table}\n</div>'


def page(content: str, title: str, synthetic: bool) -> str:
    """A self-contained page of HTML: sortable tables, readable on a phone, without any external asset.

    Parameters
    ----------
    content : str
        Tables, paragraphs and remarks, as HTML.
    title : str
        Heading of the page.
    synthetic : bool
        Say SYNTHETIC in the title and in a strip that stays at the top.
    """
    title = escape(f"SYNTHETIC data: {title}" if synthetic else title)
    return document(f"<header>\n<h1>{title}</h1>\n</header>\n<main>\n{content}\n</main>", title, synthetic)


def content_of(text: str, prefix: str) -> str:
    """What a `page` holds, to be put into another one below a heading of the third order.

    Parameters
    ----------
    text : str
        From `page`.
    prefix : str
        Put before the anchors, which are unique within one page only.
    """
    content = text.partition("<main>")[2].rpartition("</main>")[0]
    content = re.sub(r' id="| href="#', lambda found: f"{found[0]}{prefix}-", content)
    return re.sub(r"(</?h)2(?=[ >])", r"\g<1>4", content)


def document(body: str, title: str, synthetic: bool) -> str:
    """A whole file of HTML around a body, with style and script; title and body are HTML."""
    strip = f'<p class="warning" role="note">{WARNING}</p>' if synthetic else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
{strip}
{body}
<script>{SCRIPT}</script>
</body>
</html>
"""
