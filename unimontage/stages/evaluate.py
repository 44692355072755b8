"""Rules score and table: every number is computed from saved predictions, and test labels are read nowhere else."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.config.evaluation import Evaluation
from unimontage.datasets import facts
from unimontage.errors import UserError
from unimontage.evaluation.aggregate import (
    per_subject,
    score_predictions,
    summarise,
    with_rating_mean,
)
from unimontage.evaluation.paired import paired_differences
from unimontage.reporting.tables import SYNTHETIC, differences_table, kind_of_data, results_table, to_html, to_text
from unimontage.splits.files import Table, read_table, write_table
from unimontage.stages.request import Request, logger
from unimontage.windows import WindowStore
from unimontage.windows.atomic import atomic


class ScoreRequest(Request):
    """Score all arms and subjects on one target."""

    windows: tuple[Path, ...]
    predictions: tuple[Path, ...]
    arms: tuple[str, ...]
    kept: dict[str, float]
    threshold_inclusive: bool
    scores: Path


class TableRequest(Request):
    """Tabulate a comparison."""

    scores: tuple[Path, ...]
    title: str
    reference: str
    evaluation: Evaluation
    csv: Path
    html: Path
    txt: Path
    differences_csv: Path
    differences_html: Path


def score(request: ScoreRequest) -> None:
    """Join predictions with the truth and score every fold and seed of every arm and subject."""
    truths: dict[str, pd.Series] = {}
    parts, splits = [], {}
    for arm, path in zip(owners(request.arms, request.predictions), request.predictions, strict=True):
        predictions = read_table(path)
        task = predictions.facts["task"]
        if task not in truths:
            truths[task] = truth(request.windows, predictions, request.threshold_inclusive)
        classes = predictions.facts["classes"]
        scores = score_predictions(predictions.rows, truths[task], classes)
        parts.append(scores.assign(**_identity(predictions, arm), kept_pct=request.kept[arm]))
        splits[str(path)] = predictions.facts["split_sha256"]
    scores = pd.concat(parts, ignore_index=True)
    synthetic = kind_of_data(scores) == SYNTHETIC
    write_table(request.scores, scores, {"synthetic": synthetic, "splits": splits, "code": request.code})
    logger.info("%d predictions files", len(parts))


def truth(windows: Sequence[Path], predictions: Table, inclusive: bool) -> pd.Series | pd.DataFrame:
    """Class ids of all windows of a task, or their target values, by window id.

    Raises
    ------
    UserError
        The predictions were made from other windows than those at hand.
    """
    stores = [WindowStore.open(path) for path in windows]
    task = facts(predictions.facts["dataset"]).tasks[predictions.facts["task"]]
    if list(task.classes) != predictions.facts["classes"]:
        raise UserError(
            f"predictions of {', '.join(predictions.facts['classes'])} for task {task.name}",
            expected=", ".join(task.classes),
            mend="remove the results of this task and run the same command again",
        )
    if task.regression:
        names = list(task.classes)
        values = [pd.DataFrame(task.targets(s.table), pd.Index(s.table["window"]), names) for s in stores]
        return pd.concat(values).dropna()
    labels = [pd.Series(task.targets(s.table, inclusive), index=pd.Index(s.table["window"])) for s in stores]
    every = pd.concat(labels)
    return every[every >= 0]


def tabulate(request: TableRequest) -> None:
    """Write a comparison's results and the differences from its reference arm."""
    scores = _scores(request.scores)
    options = request.evaluation
    subjects = with_rating_mean(per_subject(scores))
    rng = np.random.default_rng
    summaries = summarise(subjects, options.resamples, options.confidence, rng(options.seed))
    pairs = paired_differences(
        subjects,
        request.reference,
        resamples=options.resamples,
        confidence=options.confidence,
        rng=rng(options.seed),
    )
    present = [m for m in (options.metric, options.regression_metric) if (summaries["metric"] == m).any()]
    which = [{"metric": metric, "unit": options.unit} for metric in present]
    results = [results_table(summaries, **each) for each in which]
    differences = [differences_table(pairs, **each) for each in which]
    synthetic = bool(scores["synthetic"].any())
    write_text(request.csv, pd.concat(results).to_csv(index=False))
    write_text(request.html, to_html(results, request.title, synthetic))
    write_text(request.differences_csv, pd.concat(differences).to_csv(index=False))
    title = f"{request.title}: differences from {request.reference}"
    write_text(request.differences_html, to_html(differences, title, synthetic))
    texts = ["\n\n".join(to_text(table) for table in tables) for tables in (results, differences)]
    write_text(request.txt, f"{request.title}\n{texts[0]}\n\n{title}\n{texts[1]}\n")


def owners(arms: Sequence[str], files: Sequence[object]) -> np.ndarray:
    """The arm of each file: files come arm by arm, as many for each."""
    return np.repeat(np.array(arms, dtype=object), len(files) // len(arms))


def _scores(paths: Sequence[Path]) -> pd.DataFrame:
    return pd.concat([read_table(path).rows for path in paths], ignore_index=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file; it appears whole or not at all."""
    with atomic(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _identity(predictions: Table, arm: str) -> dict[str, object]:
    known = predictions.facts
    return {
        "dataset": known["dataset"],
        "task": known["task"],
        "protocol": known["protocol"],
        "arm": arm,
        "classes": ", ".join(known["classes"]),
        "synthetic": known["synthetic"],
        "paper_key": known["arm"]["paper"],
    }
