"""Rule report: one page with everything that a run has to show."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict

from unimontage.datasets import facts
from unimontage.reporting.page import content_of
from unimontage.reporting.rendering import to_html
from unimontage.reporting.report import Exhibit, Part, anchor, described, folded, heading, listed, report_page
from unimontage.reporting.summary import findings, gaps, headline
from unimontage.stages.evaluate import write_text
from unimontage.stages.request import Request, logger

ABOUT = "workflow"
ALSO = (".csv", ".txt", ".json")
"""Endings under which a table or card is written beside its page."""


class Shown(BaseModel):
    """A table or figure, as its rule declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    caption: str
    category: str
    labels: dict[str, str]
    wildcards: dict[str, str]


class Compared(BaseModel):
    """A comparison: its results, its other tables where it has them, its arms and the one that others are held to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    results: Path
    differences: Path
    leakage: Path | None
    arms: tuple[str, ...]
    reference: str


class ReportRequest(Request):
    """Put everything that a run has to show on one page."""

    files: tuple[Path, ...]
    exhibits: tuple[Shown, ...]
    captions: dict[str, str]
    comparisons: dict[str, Compared]
    cards: tuple[Path, ...]
    subjects: dict[str, int]
    config: dict[str, Any]
    synthetic: bool
    page: Path


def report(request: ReportRequest) -> None:
    """Write the page: summary, exhibits, how to read them, and what they were made from."""
    config, root = request.config, request.page.parent
    exhibits = [_exhibit(shown, request.captions, root) for shown in request.exhibits]
    about = _words(request.captions[ABOUT], {}, "about")
    text = report_page(
        config["title"] or config["run"],
        Part("Summary", _summary(request)),
        exhibits,
        [Part("How to read this", about), Part("What it was made from", _provenance(request))],
        request.synthetic,
    )
    write_text(request.page, text)
    logger.info("%d tables and figures, %.1f MB", len(exhibits), request.page.stat().st_size / 1e6)


def _exhibit(shown: Shown, captions: Mapping[str, str], root: Path) -> Exhibit:
    rest = dict(shown.wildcards)
    comparison = rest.pop("comparison", None)
    file = shown.file.relative_to(root).as_posix()
    picture = shown.file.suffix == ".png"
    title = shown.labels.get("what", shown.category)
    return Exhibit(
        file=file,
        section=_readable(comparison or shown.category),
        group=", ".join(rest.values()),
        title=_readable(title),
        caption=_words(captions[shown.caption], shown.wildcards, anchor("caption", file)),
        content=_picture(shown.file, title, rest) if picture else content_of(_read(shown.file), anchor(file)),
        picture=picture,
        others=[] if picture else [path.relative_to(root).as_posix() for path in _beside(shown.file)],
    )


def _beside(page: Path) -> list[Path]:
    return [path for path in map(page.with_suffix, ALSO) if path.exists()]


def _picture(path: Path, title: str, where: Mapping[str, str]) -> str:
    """A picture within the page: as WebP, which loses nothing and is smaller than PNG."""
    from PIL import Image

    packed = BytesIO()
    with Image.open(path) as image:
        width, height = image.size
        image.save(packed, format="WEBP", lossless=True)
    data = base64.b64encode(packed.getvalue()).decode()
    alt = escape(": ".join(filter(None, (title, ", ".join(where.values())))), quote=True)
    return f'<img src="data:image/webp;base64,{data}" width="{width}" height="{height}" loading="lazy" alt="{alt}">'


def _words(text: str, wildcards: Mapping[str, str], prefix: str) -> str:
    """A caption as HTML; like Snakemake's own report it may name the wildcards."""
    from docutils.core import publish_parts
    from jinja2 import Template

    filled = Template(text).render(snakemake={"wildcards": wildcards})
    settings = {"initial_header_level": 3, "doctitle_xform": False, "id_prefix": f"{prefix}-", "raw_enabled": False}
    parts = publish_parts(filled, writer="html5", settings_overrides=settings | {"file_insertion_enabled": False})
    return parts["fragment"].strip()


def _summary(request: ReportRequest) -> str:
    parts = [described(_facts(request))]
    missing = [
        f"{name}: without {', '.join(block['exclude'])}."
        for name, block in request.config["datasets"].items()
        if block["exclude"]
    ]
    for name, compared in request.comparisons.items():
        results = pd.read_csv(compared.results)
        shown = headline(results, compared.reference)
        contrast = pd.read_csv(compared.leakage) if compared.leakage else None
        told = findings(shown, pd.read_csv(compared.differences), contrast, compared.reference)
        title = f"{_readable(name)}: the strict numbers"
        parts.append(heading(3, title, anchor("strict", name), request.synthetic))
        tables = [table for _, table in shown.groupby("metric", sort=False)]
        parts += [listed(told), content_of(to_html(tables, title, request.synthetic), anchor("strict", name))]
        missing += [f"{_readable(name)}: {text}" for text in gaps(results)]
    parts.append(heading(3, "What failed or is missing", "missing", request.synthetic))
    parts.append(listed(missing) or "<p>Nothing: every row has a number and an interval, no subject was left out.</p>")
    return "\n".join(parts)


def _facts(request: ReportRequest) -> dict[str, str]:
    """What was run, on what data."""
    config = request.config
    data = [_data(name, block, request.subjects[name]) for name, block in config["datasets"].items()]
    arms = [
        f"{_readable(name)}: {', '.join(compared.arms)}; reference {compared.reference}"
        for name, compared in request.comparisons.items()
    ]
    seeds = f"training {', '.join(map(str, config['seeds']))}; splits {config['splits']['seed']}"
    return {
        "Run": escape(config["run"]),
        "Data": listed(data),
        "Pre-trained": escape(", ".join(config["recipes"])) or "nothing",
        "Compared": listed(arms) or "nothing",
        "Seeds": f"{seeds}; bootstrap {config['evaluation']['seed']}",
        "Page made": f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
    }


def _data(name: str, block: Mapping[str, Any], subjects: int) -> str:
    known = facts(name)
    kind = "SYNTHETIC stand-in of " if block["synthetic"] else ""
    return f"{name}: {kind}{known.title}; {subjects} subject{'s' * (subjects != 1)}, {len(known.channels)} channels"


def _provenance(request: ReportRequest) -> str:
    """Code, versions and configuration."""
    cards = [json.loads(_read(path)) for path in request.cards]
    records = [json.loads(_read(path)) for path in (request.page.parent / "records").rglob("*.json")]
    packages = [record["software"]["packages"] for record in records]
    versions = sorted({", ".join(f"{name} {value}" for name, value in found.items()) for found in packages})
    codes = dict.fromkeys(
        f"{path.parent.name}: {card['code']}" for path, card in zip(request.cards, cards, strict=True)
    )
    told = {"Code of this page": f"<code>{escape(request.code)}</code>"}
    if cards:
        told |= {"Versions": listed(versions), "Code that trained, by arm": listed(codes)}
    options = yaml.safe_dump(request.config, sort_keys=False, allow_unicode=True)
    return described(told) + folded("The whole configuration", f"<pre>{escape(options)}</pre>")


def _readable(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
