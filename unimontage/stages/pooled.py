"""Rules pooled and published: scores over all test windows together, and what the article prints beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.config.evaluation import Evaluation
from unimontage.config.protocols import Division
from unimontage.evaluation.pooled import summarise_pooled
from unimontage.reporting import sleep_figures as draw
from unimontage.reporting.published_rendering import published_html, published_text
from unimontage.reporting.published_tables import published_tables
from unimontage.splits.files import Table, read_table, write_table
from unimontage.stages.evaluate import owners, truth, write_text
from unimontage.stages.figures import save
from unimontage.stages.request import Request


class PooledRequest(Request):
    """Score one target over all its test windows."""

    scores: Path
    windows: tuple[Path, ...]
    predictions: tuple[Path, ...]
    arms: tuple[str, ...]
    reference: str
    evaluation: Evaluation
    threshold_inclusive: bool
    table: Path


class NightsRequest(Request):
    """Draw one target whose windows are epochs of nights."""

    pooled: Path
    windows: tuple[Path, ...]
    predictions: tuple[Path, ...]
    arms: tuple[str, ...]
    reference: str
    classes: Path
    hypnogram: Path


class PublishedRequest(Request):
    """Put the run's numbers beside the article's."""

    pooled: tuple[Path, ...]
    title: str
    evaluation: Evaluation
    csv: Path
    html: Path
    txt: Path
    budgets: Path


class GridRequest(Request):
    """Draw scores by size of the alignment."""

    pooled: tuple[Path, ...]
    sizes: dict[str, tuple[int, int]]
    metric: str
    figure: Path


def pool_target(request: PooledRequest) -> None:
    """Metrics of every arm over all test windows together."""
    tables = [read_table(path) for path in request.predictions]
    labels = truth(request.windows, tables[0], request.threshold_inclusive)
    owner, parts = owners(request.arms, tables), []
    for arm in request.arms:
        own = [table for table, name in zip(tables, owner, strict=True) if name == arm]
        parts.append(_summary(own, labels, request.evaluation).assign(arm=arm, row=own[0].facts["arm"]["paper"]))
    facts = tables[0].facts
    known = {name: facts[name] for name in ("dataset", "task", "protocol", "synthetic")}
    table = pd.concat(parts, ignore_index=True).assign(**known)
    write_table(request.table, table, known | {"code": request.code})


def draw_nights(request: NightsRequest) -> None:
    """The F1 of each class, and one night of the reference arm."""
    table, tables = read_table(request.pooled).rows, [read_table(path) for path in request.predictions]
    labels = truth(request.windows, tables[0], inclusive=False)
    facts, owner = tables[0].facts, owners(request.arms, tables)
    where = f"{facts['dataset']}, {facts['protocol']}"
    stamp = {"synthetic": facts["synthetic"]}
    save(draw.per_class_f1(table, **stamp, title=f"F1 of each stage, {where}"), request.classes)
    shown = next(table for table, name in zip(tables, owner, strict=True) if name == request.reference)
    night, epochs = _night(shown.rows, labels, len(facts["classes"]))
    title = f"One night of {facts['dataset']}, {request.reference}, {facts['protocol']}"
    save(draw.hypnogram(*night, epochs, **stamp, title=title), request.hypnogram)


def _summary(tables: Sequence[Table], labels: pd.Series, options: Evaluation) -> pd.DataFrame:
    rows = pd.concat([table.rows for table in tables], ignore_index=True)
    rng = np.random.default_rng(options.seed)
    classes = tables[0].facts["classes"]
    return summarise_pooled(rows, labels, classes, resamples=options.resamples, confidence=options.confidence, rng=rng)


def _night(rows: pd.DataFrame, labels: pd.Series, classes: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Truth and probabilities of the first test night of the first fold and seed, and the epochs' numbers."""
    first = rows[(rows["fold"] == rows["fold"].iloc[0]) & (rows["seed"] == rows["seed"].iloc[0])]
    parts = first["window"].str.split("/", expand=True)
    recording = parts[1] + "/" + parts[2]
    night = first[recording == recording.sort_values().iloc[0]]
    epochs = parts.loc[night.index, 3].astype(int)
    order = epochs.argsort().to_numpy()
    probabilities = night[[f"p_{k}" for k in range(classes)]].to_numpy()[order]
    return (labels[night["window"]].to_numpy()[order], probabilities), epochs.to_numpy()[order]


def publish(request: PublishedRequest) -> None:
    """Write the article's tables with the run's numbers in them, and draw scores by label budget."""
    table = _pooled(request.pooled)
    tables = published_tables(table)
    rows = pd.concat(tables.values(), ignore_index=True) if tables else pd.DataFrame()
    write_text(request.csv, rows.to_csv(index=False))
    write_text(request.html, published_html(tables, request.title))
    write_text(request.txt, published_text(tables))
    synthetic = bool(table["synthetic"].any())
    chosen = table[table["metric"] == request.evaluation.metric]
    save(draw.budget_curves(chosen, synthetic=synthetic, title=f"{request.title}: label budgets"), request.budgets)


def draw_grid(request: GridRequest) -> None:
    """Draw a metric by virtual channels and width of the position's embedding, at the smallest label budget."""
    table = _pooled(request.pooled)
    chosen = table[(table["metric"] == request.metric) & table["arm"].isin(request.sizes)]
    chosen = chosen[chosen["labels_pct"] == chosen["labels_pct"].min()]
    size = [dict(zip(("rows", "dimension"), request.sizes[arm], strict=True)) for arm in chosen["arm"]]
    sized = chosen.join(pd.DataFrame(size, index=chosen.index))
    save(draw.alignment_grid(sized, synthetic=bool(table["synthetic"].any())), request.figure)


def _pooled(paths: Sequence[Path]) -> pd.DataFrame:
    table = pd.concat([read_table(path).rows for path in paths], ignore_index=True)
    return table.assign(labels_pct=[Division.parse(name).percent for name in table["protocol"]])
