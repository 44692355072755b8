"""Rule contrast: what the papers' protocols give more than the strict ones, from the same predictions as all tables."""

from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.config.base import Block
from unimontage.config.evaluation import Evaluation
from unimontage.evaluation.aggregate import per_subject, with_rating_mean
from unimontage.evaluation.contrast import pooled_contrasts, subject_contrasts
from unimontage.reporting.contrast import contrast_html, contrast_table, contrast_text
from unimontage.reporting.figures import protocol_contrast_figure
from unimontage.splits.files import read_table
from unimontage.stages.evaluate import truth, write_text
from unimontage.stages.figures import save
from unimontage.stages.request import Request


class Pair(Block):
    """Predictions of an arm on a target under two protocols, to be scored over all test windows together."""

    arm: str
    printed: tuple[Path, ...]
    strict: tuple[Path, ...]
    windows: tuple[Path, ...]


class ContrastRequest(Request):
    """Tabulate the papers' protocols beside the strict ones."""

    scores: tuple[Path, ...]
    pairs: tuple[Pair, ...]
    title: str
    evaluation: Evaluation
    threshold_inclusive: bool
    csv: Path
    html: Path
    txt: Path
    figure: Path


def contrast(request: ContrastRequest) -> None:
    """Write what the paper's protocol gives more than the strict one: the leakage, in points."""
    options = request.evaluation
    scores = pd.concat([read_table(path).rows for path in request.scores], ignore_index=True)
    chosen = scores["metric"].isin((options.metric, options.regression_metric)) & (scores["unit"] == options.unit)
    subjects = with_rating_mean(per_subject(scores[chosen]))
    rng = np.random.default_rng(options.seed)
    parts = [subject_contrasts(subjects, resamples=options.resamples, confidence=options.confidence, rng=rng)]
    parts += [_together(pair, options, request.threshold_inclusive) for pair in request.pairs]
    table = contrast_table(pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True))
    synthetic = bool(scores["synthetic"].any())
    write_text(request.csv, table.to_csv(index=False))
    write_text(request.html, contrast_html(table, request.title, synthetic))
    write_text(request.txt, contrast_text(table, request.title) + "\n")
    save(protocol_contrast_figure(table, synthetic=synthetic), request.figure)


def _together(pair: Pair, options: Evaluation, inclusive: bool) -> pd.DataFrame:
    """One arm's contrast over all test windows together."""
    printed, strict = ([read_table(path) for path in side] for side in (pair.printed, pair.strict))
    facts = strict[0].facts
    place = {"dataset": facts["dataset"], "task": facts["task"], "protocol": facts["protocol"], "arm": pair.arm}
    return pooled_contrasts(
        *(pd.concat([table.rows for table in side], ignore_index=True) for side in (printed, strict)),
        truth(pair.windows, strict[0], inclusive),
        facts["classes"],
        place | {"printed": printed[0].facts["protocol"], "synthetic": facts["synthetic"]},
        metrics=(options.metric, options.regression_metric),
        resamples=options.resamples,
        confidence=options.confidence,
        rng=np.random.default_rng(options.seed),
    )
