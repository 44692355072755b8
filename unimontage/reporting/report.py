"""The report of a run: a summary, then every table and figure with its caption, in one page that needs nothing else."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from unimontage.reporting.page import document

STAMP = ' <span class="stamp">SYNTHETIC</span>'


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of the report.

    Parameters
    ----------
    file : str
        Its path from the page.
    section, group, title : str
        Where it stands and what it is called; no group for what concerns the whole section.
    caption : str
        What to look for, as HTML.
    content : str
        The table or picture itself, as HTML.
    picture : bool
        Whether it is a picture.
    others : sequence of str
        The same in other files.
    """

    file: str
    section: str
    group: str
    title: str
    caption: str
    content: str
    picture: bool
    others: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    """A section of the report that is no exhibit: its title, and what it says, as HTML."""

    title: str
    content: str


def report_page(title: str, first: Part, exhibits: Sequence[Exhibit], last: Iterable[Part], synthetic: bool) -> str:
    """The whole page.

    Parameters
    ----------
    title : str
        Its heading.
    first : Part
        The summary.
    exhibits : sequence of Exhibit
        Tables and figures; sections and groups come in the order of their first exhibit.
    last : iterable of Part
        What stands behind them.
    synthetic : bool
        Whether to stamp the page, each section and each figure SYNTHETIC.
    """
    sections = [_part(first, synthetic)]
    sections += [_section(name, shown, synthetic) for name, shown in _by(exhibits, "section").items()]
    sections += [_part(part, synthetic) for part in last]
    title = escape(f"SYNTHETIC data: {title}" if synthetic else title)
    body = (
        '<a class="skip" href="#main">Skip to the content</a>\n<div class="report">\n'
        f'<nav aria-label="Contents">\n<details open><summary>Contents</summary>\n{_contents(sections)}\n</details>\n'
        f'</nav>\n<main id="main">\n<h1>{title}</h1>\n{"".join(sections)}</main>\n</div>'
    )
    return document(body, title, synthetic)


def heading(order: int, text: str, where: str, synthetic: bool) -> str:
    """A heading with an anchor, stamped where it must be."""
    return f'<h{order} id="{where}">{escape(text)}{STAMP if synthetic else ""}</h{order}>'


def listed(texts: Iterable[str]) -> str:
    """Sentences as a list, or nothing."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def described(pairs: Mapping[str, str]) -> str:
    """Words with what they stand for, which is HTML."""
    return f"<dl>{''.join(f'<dt>{escape(term)}</dt><dd>{text}</dd>' for term, text in pairs.items())}</dl>"


def folded(title: str, content: str) -> str:
    """What is there for those who ask, as HTML."""
    return f"<details><summary>{escape(title)}</summary>\n{content}\n</details>"


def anchor(*names: str) -> str:
    """An anchor from names."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(filter(None, names)).lower()).strip("-")


def _part(part: Part, synthetic: bool) -> str:
    return f"<section>\n{heading(2, part.title, anchor(part.title), synthetic)}\n{part.content}\n</section>\n"


def _by(exhibits: Iterable[Exhibit], name: str) -> dict[str, list[Exhibit]]:
    """Exhibits by one of their fields, in order of first appearance."""
    found: dict[str, list[Exhibit]] = {}
    for exhibit in exhibits:
        found.setdefault(getattr(exhibit, name), []).append(exhibit)
    return found


def _section(name: str, exhibits: Sequence[Exhibit], synthetic: bool) -> str:
    groups = _by(exhibits, "group")
    content = [_shown(exhibit, 3, synthetic) for exhibit in groups.pop("", [])]
    blocks = [
        "\n".join(
            [
                f'<div class="target">\n{heading(3, group, anchor(name, group), synthetic)}',
                *(_shown(exhibit, 4, synthetic) for exhibit in shown),
                "</div>\n",
            ]
        )
        for group, shown in groups.items()
    ]
    content += [f'<div class="figures">\n{"".join(blocks)}</div>'] if blocks else []
    return _part(Part(name, "\n".join(content)), synthetic)


def _shown(exhibit: Exhibit, order: int, synthetic: bool) -> str:
    """A table below its caption, or a figure above it, with a heading of an order."""
    where = anchor(exhibit.section, exhibit.group, exhibit.title)
    head, files = heading(order, exhibit.title, where, synthetic), _files(exhibit)
    if not exhibit.picture:
        return "\n".join([head, exhibit.caption, exhibit.content, files])
    words = escape(f"{exhibit.title} {exhibit.group}", quote=True)
    caption = f"<figcaption>{exhibit.caption}\n{files}</figcaption>"
    return f'<figure data-words="{words}">\n{head}\n{exhibit.content}\n{caption}\n</figure>'


def _files(exhibit: Exhibit) -> str:
    paths = [exhibit.file, *exhibit.others]
    links = [f'<a href="{escape(path, quote=True)}"><code>{escape(path)}</code></a>' for path in paths]
    return f'<p class="quiet">{"Files" if exhibit.others else "File"}: {", ".join(links)}</p>'


def _contents(sections: Iterable[str]) -> str:
    """Links to the headings of the second and third order, from the sections themselves."""
    items = []
    for section in sections:
        heads = re.findall(r'<h([23]) id="([^"]+)">(.*?)(?: <span.*?)?</h', section)
        links = [(order, f'<a href="#{where}">{text}</a>') for order, where, text in heads]
        below = "".join(f"<li>{link}</li>" for order, link in links if order == "3")
        items.append(f"<li>{links[0][1]}{f'<ul>{below}</ul>' if below else ''}</li>")
    return f"<ul>{''.join(items)}</ul>"
