"""Rules figures, attention, pretraining_figure and embedding: pictures of what tables cannot show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unimontage.config.evaluation import Evaluation
from unimontage.datasets import facts
from unimontage.evaluation.aggregate import per_subject, summarise
from unimontage.evaluation.metrics import confusion
from unimontage.reporting import figures as draw
from unimontage.splits.files import Table, read_table
from unimontage.stages.evaluate import owners, truth
from unimontage.stages.request import Request
from unimontage.windows.atomic import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FiguresRequest(Request):
    """Draw one target."""

    windows: tuple[Path, ...]
    predictions: tuple[Path, ...]
    histories: tuple[Path, ...]
    table: Path
    arms: tuple[str, ...]
    threshold_inclusive: bool
    evaluation: Evaluation
    accuracies: Path
    confusion: Path
    learning: Path


class AttentionRequest(Request):
    """Draw the attention that electrodes receive."""

    table: Path
    cards: tuple[Path, ...]
    arms: tuple[str, ...]
    figure: Path


class PretrainingFigureRequest(Request):
    """Draw the loss curves of a pre-training."""

    histories: tuple[Path, ...]
    synthetic: bool
    figure: Path


def draw_target(request: FiguresRequest) -> None:
    """Scores of single subjects, confusion of classes (or predicted numbers) and learning curves of every arm."""
    scores = read_table(request.table)
    options, synthetic = request.evaluation, scores.facts["synthetic"]
    subjects = per_subject(scores.rows)
    tables = [read_table(path) for path in request.predictions]
    numbers = facts(tables[0].facts["dataset"]).tasks[tables[0].facts["task"]].regression
    metric = options.regression_metric if numbers else options.metric
    subjects = subjects[(subjects["unit"] == options.unit) & (subjects["metric"] == metric)]
    summaries = summarise(subjects, options.resamples, options.confidence, np.random.default_rng(options.seed))
    where = " ".join(scores.rows[["dataset", "task", "protocol"]].iloc[0])
    figure = draw.subject_accuracies(subjects, summaries, synthetic=synthetic, title=f"Subjects, {where}")
    save(figure, request.accuracies)
    labels = truth(request.windows, tables[0], request.threshold_inclusive)
    by_arm = list(zip(owners(request.arms, tables), tables, strict=True))
    picture = _numbers if numbers else _confusion
    save(picture(by_arm, labels, tables[0].facts["classes"], where, synthetic), request.confusion)
    pairs = zip(owners(request.arms, request.histories), request.histories, strict=True)
    parts = [pd.read_csv(path).assign(arm=arm) for arm, path in pairs]
    history = pd.concat(parts, ignore_index=True)
    save(draw.learning_curves(history, synthetic=synthetic, title=f"Learning, {where}"), request.learning)


def _confusion(
    by_arm: list[tuple[str, Table]], labels: pd.Series, classes: list[str], where: str, synthetic: bool
) -> Figure:
    """How often each class was given each name, by arm."""
    counts = {arm: np.zeros((len(classes), len(classes)), dtype=int) for arm, _ in by_arm}
    for arm, table in by_arm:
        probabilities = table.rows[[f"p_{k}" for k in range(len(classes))]].to_numpy()
        counts[arm] += confusion(labels[table.rows["window"]].to_numpy(), probabilities, classes)
    return draw.confusion_matrices(counts, classes, synthetic=synthetic, title=f"Confusion, {where}")


def _numbers(
    by_arm: list[tuple[str, Table]], truths: pd.DataFrame, names: list[str], where: str, synthetic: bool
) -> Figure:
    """Predicted numbers against true ones, by arm and target."""
    parts = []
    for arm, table in by_arm:
        predicted = table.rows[[f"p_{k}" for k in range(len(names))]].set_axis(names, axis=1)
        true = truths.loc[table.rows["window"], names].reset_index(drop=True)
        long = true.melt(var_name="target", value_name="true").assign(predicted=predicted.melt()["value"], arm=arm)
        parts.append(long)
    title = f"Predicted numbers, {where}"
    return draw.predicted_numbers(pd.concat(parts, ignore_index=True), synthetic=synthetic, title=title)


def draw_attention(request: AttentionRequest) -> None:
    """Attention that each electrode receives, averaged over subjects, folds and seeds, one head an arm."""
    cards = [json.loads(path.read_text()) for path in request.cards]
    received: dict[str, list[pd.Series]] = {}
    for arm, card in zip(owners(request.arms, cards), cards, strict=True):
        received.setdefault(arm, []).extend(pd.Series(run["attention"]) for run in card["runs"])
    means = pd.DataFrame({arm: pd.concat(values, axis=1).mean(axis=1) for arm, values in received.items()})
    known = cards[0]
    title = f"Attention received, {known['dataset']} {known['task']} {known['protocol']}"
    save(draw.attention_topomaps(means, synthetic=known["synthetic"], title=title), request.figure)


def draw_pretraining(request: PretrainingFigureRequest) -> None:
    """Loss, spread and learning rate of a pre-training, one line a seed."""
    parts = [pd.read_csv(path).assign(seed=number) for number, path in enumerate(request.histories)]
    save(draw.pretraining_curves(pd.concat(parts), synthetic=request.synthetic), request.figure)


def save(figure: object, path: Path) -> None:
    """Write a figure as PNG; it appears whole or not at all."""
    with atomic(path) as aside:
        figure.savefig(aside, format="png")
