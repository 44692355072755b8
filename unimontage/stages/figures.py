"""Rules figures, attention, pretraining_figure and embedding: pictures of what tables cannot show."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.config.evaluation import Evaluation
from unimontage.evaluation.aggregate import per_subject, summarise
from unimontage.evaluation.metrics import confusion
from unimontage.reporting import figures as draw
from unimontage.splits.files import read_table
from unimontage.stages.evaluate import owners, truth
from unimontage.stages.request import Request
from unimontage.windows.atomic import atomic


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
    """Scores of single subjects, confusion of classes and learning curves of every arm on a target."""
    scores = read_table(request.table)
    options, synthetic = request.evaluation, scores.facts["synthetic"]
    subjects = per_subject(scores.rows)
    subjects = subjects[(subjects["unit"] == options.unit) & (subjects["metric"] == options.metric)]
    summaries = summarise(subjects, options.resamples, options.confidence, np.random.default_rng(options.seed))
    where = " ".join(scores.rows[["dataset", "task", "protocol"]].iloc[0])
    figure = draw.subject_accuracies(subjects, summaries, synthetic=synthetic, title=f"Subjects, {where}")
    save(figure, request.accuracies)
    tables = [read_table(path) for path in request.predictions]
    labels = truth(request.windows, tables[0], request.threshold_inclusive)
    classes = tables[0].facts["classes"]
    counts = {arm: np.zeros((len(classes), len(classes)), dtype=int) for arm in request.arms}
    for arm, table in zip(owners(request.arms, tables), tables, strict=True):
        probabilities = table.rows[[f"p_{k}" for k in range(len(classes))]].to_numpy()
        counts[arm] += confusion(labels[table.rows["window"]].to_numpy(), probabilities, classes)
    save(draw.confusion_matrices(counts, classes, synthetic=synthetic, title=f"Confusion, {where}"), request.confusion)
    pairs = zip(owners(request.arms, request.histories), request.histories, strict=True)
    parts = [pd.read_csv(path).assign(arm=arm) for arm, path in pairs]
    history = pd.concat(parts, ignore_index=True)
    save(draw.learning_curves(history, synthetic=synthetic, title=f"Learning, {where}"), request.learning)


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
