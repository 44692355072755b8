"""Hand-made features and shallow classifiers on the folds of a split."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from unimontage.config.arms import Classical
from unimontage.models.classical import build_pipeline
from unimontage.splits.files import Table
from unimontage.training.answer import Answer, Fitted
from unimontage.training.folds import Fold, folds, require_complete
from unimontage.training.kept import Kept
from unimontage.windows import WindowPool


def answers(arm: Classical, pool: WindowPool, split: Table, *, seed: int, kept: Kept) -> Iterator[Answer]:
    """Fit every fold once: a pipeline draws nothing that a seed would change, and has no epoch to choose.

    Windows that would validate a network train a pipeline.
    """
    require_complete(pool)
    classes = len(split.facts["classes"])
    for fold in folds(pool, split):
        answer = kept.get(fold.name, seed)
        if answer is None:
            answer = _fit(arm, pool, fold, classes, seed)
            kept.add(answer)
        yield answer


def _fit(arm: Classical, pool: WindowPool, fold: Fold, classes: int, seed: int) -> Answer:
    known, unknown = fold.train + fold.val, np.asarray(fold.test.x)
    pipeline = build_pipeline(
        arm.pipeline, sfreq_hz=pool.sfreq_hz, channels=pool.channels, seed=seed, recentre=arm.recentre
    )
    pipeline.fit(known.x, known.y, known.domain)
    probabilities = np.zeros((len(fold.test), classes), dtype=np.float32)  # a class never trained on has none
    probabilities[:, pipeline.classes_] = pipeline.predict_proba(unknown, fold.test.domain)
    history = pd.DataFrame({"epoch": [], "train_loss": [], "val_loss": []})
    fitted, notes = Fitted(probabilities, history, 0), {"training_windows": len(known)}
    return Answer(fold.name, fold.test.windows, seed, fitted, notes)
