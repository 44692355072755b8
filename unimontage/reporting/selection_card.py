"""Selection card: what was chosen from what, how, and what to cite; it can be shared where signals cannot."""

import hashlib
import pkgutil
import textwrap
from collections.abc import Iterable, Mapping
from html import escape

import numpy as np
import pandas as pd

from unimontage.datasets import facts as facts_of
from unimontage.errors import UserError
from unimontage.evaluation.metrics import subject_of
from unimontage.reporting.page import WARNING, WIDTH, cell, heading, html_table, page

SOFTWARE = f"unimontage {pkgutil.resolve_name('unimontage:__version__')}"
NEEDED = ("selection", "corpus", "synthetic", "code", "distill")
COLUMNS = ("window", "oddness", "eligible", "rank")
QUANTILES = {"lowest": 0.0, "median": 0.5, "highest": 1.0}
ARTICLES = {
    "dlite": "EEG-DLite, arXiv:2512.12210",
    "pca": "EEG-DLite (its comparison with principal components), arXiv:2512.12210",
    "m3d": "M3D: Zhang et al., Dataset Condensation with Minimizing Maximum Mean Discrepancy, AAAI 2024",
}
LICENCE = (
    "A selection is a list of window ids and holds no signals. The windows stay under the licences of their datasets; "
    "whoever uses the selection gets the datasets from their owners."
)
SHOWN = {
    "selection": "Selection",
    "corpus": "Corpus",
    "method": "Method",
    "ids_sha256": "SHA-256 of the chosen ids",
    "code": "Code",
    "software": "Software",
}


def selection_card(facts: Mapping[str, object], table: pd.DataFrame) -> dict[str, object]:
    """What a selection is, as JSON values.

    Parameters
    ----------
    facts : mapping
        ``selection`` and ``corpus`` (names), ``synthetic`` (bool), ``code`` (fingerprint) and ``distill`` (the options,
        among them ``method``). Whatever else it holds is kept under ``more``.
    table : DataFrame
        One row a window of the corpus: ``window`` (id), ``oddness`` (outlier score, NaN where the method has none),
        ``eligible`` (not removed as an outlier) and ``rank`` (when it was chosen, from 0; -1: not chosen).

    Returns
    -------
    dict
        ``selection``, ``corpus``, ``synthetic``, ``method``, ``options``, ``windows`` (counts and percent),
        ``datasets`` and ``subjects`` (what was kept of each, or the range of it), ``oddness`` (by what became of the
        windows), ``ids_sha256``, ``code``, ``software``, ``cite``, ``licence`` and ``more``.

    Raises
    ------
    UserError
        If a fact or column is absent, a window is there twice or was both removed and chosen, or ``facts`` holds an
        ``ids_sha256`` of other windows.
    """
    _require_sound(facts, table)
    table = table.assign(dataset=table["window"].str.partition("/")[0], subject=subject_of(table["window"]).to_numpy())
    table = table.assign(chosen=table["rank"] >= 0)
    chosen = table[table["chosen"]]
    options = dict(facts["distill"])
    method = options.pop("method")
    keys = sorted(table["dataset"].unique())
    return {
        **{name: facts[name] for name in ("selection", "corpus", "synthetic")},
        "method": method,
        "options": options,
        "windows": {
            **{"of": len(table), "removed": int((~table["eligible"]).sum()), "chosen": len(chosen)},
            "kept_pct": _percent(len(chosen), len(table)),
        },
        "datasets": [_dataset(key, table[table["dataset"] == key]) for key in keys],
        "subjects": _subjects(table),
        "oddness": {kind: _spread(own) for kind, own in _kinds(table).items()},
        "ids_sha256": ids_hash(chosen["window"]),
        "code": facts["code"],
        "software": SOFTWARE,
        "cite": _cite(method, keys),
        "licence": LICENCE,
        "more": {name: value for name, value in facts.items() if name not in (*NEEDED, "ids_sha256")},
    }


def ids_hash(windows: Iterable[str]) -> str:
    """SHA-256 of window ids in ascending order, with line feeds between them: equal for equal sets of windows."""
    return hashlib.sha256("\n".join(sorted(windows)).encode()).hexdigest()


def selection_text(card: Mapping[str, object]) -> str:
    """A card for the terminal, at most 120 characters wide.

    Parameters
    ----------
    card : mapping
        From `selection_card`.
    """
    lines = [WARNING] if card["synthetic"] else []
    lines += [f"{heading}: {card[name]}" for name, heading in SHOWN.items()]
    lines += ["", _counts(card), ""]
    lines += [f"  {_kept(entry)}  {entry['title']} ({entry['licence']})" for entry in card["datasets"]]
    lines += ["", _subjects_text(card), *(f"Outlier score, {text}" for text in _scores(card))]
    lines += ["", "Options", *(f"  {name}: {value}" for name, value in _flat(card["options"]))]
    lines += ["", "Cite", *(f"  {text}" for text in card["cite"]), "", card["licence"]]
    return "\n".join(part for line in lines for part in _wrap(line))


def selection_html(card: Mapping[str, object]) -> str:
    """A card as one page that needs nothing else.

    Parameters
    ----------
    card : mapping
        From `selection_card`.
    """
    columns = {"dataset": "Dataset", "of": "Windows", "chosen": "Chosen", "kept_pct": "Kept, percent"}
    columns |= {"licence": "Licence", "access": "Access"}
    datasets = [[(above, entry[name]) for name, above in columns.items()] for entry in card["datasets"]]
    options = [[("Option", name), ("Value", str(value))] for name, value in _flat(card["options"])]
    about = [[("What", above), ("Value", str(card[name]))] for name, above in SHOWN.items()]
    told = [_counts(card), _subjects_text(card), *(f"Outlier score, {text}" for text in _scores(card))]
    content = [
        _table(about),
        *(f"<p>{escape(text)}</p>" for text in told),
        f"<h2>Datasets</h2>{_table(datasets)}",
        f"<h2>Options</h2>{_table(options)}",
        f"<h2>Cite</h2><ul>{''.join(f'<li>{escape(text)}</li>' for text in card['cite'])}</ul>",
        f"<p>{escape(card['licence'])}</p>",
    ]
    return page("\n".join(content), f"Selection {card['selection']}", bool(card["synthetic"]))


def _require_sound(facts: Mapping[str, object], table: pd.DataFrame) -> None:
    absent = [name for name in NEEDED if name not in facts]
    absent += [name for name in COLUMNS if name not in table.columns]
    if absent:
        raise UserError(f"a selection has no {', '.join(absent)}", expected=", ".join((*NEEDED, *COLUMNS)))
    twice = table["window"].duplicated()
    if twice.any():
        raise UserError(f"window {table.loc[twice, 'window'].iloc[0]} is there twice", expected="each window once")
    both = ~table["eligible"] & (table["rank"] >= 0)
    if both.any():
        raise UserError(
            f"window {table.loc[both, 'window'].iloc[0]} is chosen although it was removed as an outlier",
            expected="chosen windows among those that are left",
        )
    found = ids_hash(table.loc[table["rank"] >= 0, "window"])
    if facts.get("ids_sha256", found) != found:
        raise UserError(
            f"the chosen windows hash to {found[:12]}, the facts say {facts['ids_sha256'][:12]}",
            expected="facts and table of one selection",
        )


def _kinds(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Outlier scores by what became of the windows."""
    chosen, eligible = table["chosen"], table["eligible"]
    masks = {"chosen": chosen, "not chosen": eligible & ~chosen, "removed as outliers": ~eligible}
    return {kind: table.loc[mask, "oddness"] for kind, mask in masks.items()}


def _spread(scores: pd.Series) -> dict[str, float] | None:
    """Lowest, median and highest score; None where there are no scores."""
    known = scores.dropna()
    return {name: float(known.quantile(q)) for name, q in QUANTILES.items()} if len(known) else None


def _dataset(key: str, own: pd.DataFrame) -> dict[str, object]:
    known = facts_of(key)
    chosen = int(own["chosen"].sum())
    return {
        **{"dataset": key, "title": known.title, "licence": known.license, "access": str(known.access)},
        **{"of": len(own), "chosen": chosen, "kept_pct": _percent(chosen, len(own))},
    }


def _subjects(table: pd.DataFrame) -> dict[str, float]:
    """How many subjects there are, how many have a chosen window, and the range of what is kept of them."""
    shares = table.groupby(["dataset", "subject"])["chosen"].mean()
    bounds = np.round(100 * np.array([shares.min(), shares.max()]), 3)
    kept = int((shares > 0).sum())
    return {"of": len(shares), "kept": kept, "least_pct": float(bounds[0]), "most_pct": float(bounds[1])}


def _cite(method: str, keys: Iterable[str]) -> list[str]:
    own = [f"{SOFTWARE}, by its CITATION.cff"]
    article = [ARTICLES[method]] if method in ARTICLES else []
    return [*own, *article, *(f"{facts_of(key).title}: {facts_of(key).citation}" for key in keys)]


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 3) if whole else 0.0


def _counts(card: Mapping[str, object]) -> str:
    counts = card["windows"]
    return (
        f"{counts['chosen']:,} of {counts['of']:,} windows ({counts['kept_pct']:g} %) are kept; {counts['removed']:,} "
        "were removed as outliers before the choice."
    )


def _kept(entry: Mapping[str, object]) -> str:
    return f"{entry['dataset']}: {entry['chosen']:,} of {entry['of']:,} ({entry['kept_pct']:g} %)"


def _subjects_text(card: Mapping[str, object]) -> str:
    subjects = card["subjects"]
    return (
        f"{subjects['kept']} of {subjects['of']} subjects have a window that is kept; of their windows between "
        f"{subjects['least_pct']:g} and {subjects['most_pct']:g} %."
    )


def _scores(card: Mapping[str, object]) -> list[str]:
    return [
        f"{kind}: " + (", ".join(f"{name} {value:.3g}" for name, value in scores.items()) if scores else "none")
        for kind, scores in card["oddness"].items()
    ]


def _flat(options: Mapping[str, object], above: str = "") -> list[tuple[str, object]]:
    """Options by their path: ``compressor.depth``."""
    pairs = []
    for name, value in options.items():
        path = f"{above}{name}"
        pairs += _flat(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return pairs


def _wrap(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _table(rows: list[list[tuple[str, object]]]) -> str:
    """A table from rows of (heading, value)."""
    if not rows:
        return ""
    body = (f"<tr>{''.join(cell(above, value, str(value)) for above, value in row)}</tr>" for row in rows)
    return html_table("".join(heading(above) for above, _ in rows[0]), body)
