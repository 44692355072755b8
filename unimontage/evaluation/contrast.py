"""What a paper's protocol gives more than the strict one: the same arm and subjects, other windows in training."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from unimontage.config.protocols import Division
from unimontage.evaluation.intervals import bca_interval_of, named_generator
from unimontage.evaluation.paired import paired_differences
from unimontage.evaluation.pooled import mean_over_runs, pool_of

BY_SUBJECT, TOGETHER = "by subject", "all windows"
"""How a row is scored: each subject by itself, or all test windows together."""
PLACE = ["dataset", "task", "protocol", "printed", "arm"]
COLUMNS = (
    *(*PLACE, "scored", "metric", "strict", "paper", "leakage"),
    *("ci_low", "ci_high", "confidence", "n_subjects", "p", "reason", "synthetic"),
)


def subject_contrasts(
    subject_scores: pd.DataFrame, *, resamples: int, confidence: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Each arm under a paper's protocol minus itself under the strict one, subject by subject.

    Parameters
    ----------
    subject_scores : DataFrame
        From `unimontage.evaluation.aggregate.per_subject`, of one unit.
    resamples, confidence, rng
        As in `unimontage.evaluation.paired.paired_differences`.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, as fractions: ``protocol`` is the strict one, ``printed`` the paper's, ``leakage`` the mean
        difference over the subjects that have both scores, with its interval, and ``p`` that of sign flips. Only arms
        that ran under both protocols, with the same labels, have rows.

    Raises
    ------
    UserError
        If an arm has other subjects under one of the protocols.
    """
    scores = subject_scores.drop(columns=[name for name in ("paper_key", "kept_pct") if name in subject_scores])
    target = ["dataset", "task", "protocol", "arm"]
    stricts = scores["protocol"].map(_strict_of)
    printed = scores.assign(printed=scores["protocol"], protocol=stricts)[stricts.notna()]
    strict = scores.merge(printed[[*target, "printed"]].drop_duplicates(), on=target)
    if not len(strict):
        return pd.DataFrame(columns=list(COLUMNS))
    sides = {"paper": printed.merge(strict[target].drop_duplicates(), on=target), "strict": strict}
    both = pd.concat([side.rename(columns={"arm": "model"}).assign(arm=name) for name, side in sides.items()])
    options = {"resamples": resamples, "confidence": confidence, "rng": rng}
    found = paired_differences(both, "strict", **options).drop(columns=["arm", "reference"])
    means = both.groupby([*target[:3], "printed", "model", "metric", "arm"])["value"].mean()
    found = found.rename(columns={"difference": "leakage"}).merge(means.unstack("arm").reset_index())
    return found.rename(columns={"model": "arm"}).assign(scored=BY_SUBJECT)[list(COLUMNS)]


def pooled_contrasts(
    printed: pd.DataFrame,
    strict: pd.DataFrame,
    truth: pd.Series | pd.DataFrame,
    classes: Sequence[str],
    place: Mapping[str, object],
    *,
    metrics: Sequence[str],
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """An arm's metrics over all test windows together under a paper's protocol minus those under the strict one.

    Parameters
    ----------
    printed, strict : DataFrame
        Predictions under the two protocols, as in `unimontage.evaluation.pooled.pooled_scores`.
    truth, classes
        As there.
    place : mapping
        What the rows are about: the columns `PLACE` and ``synthetic``.
    metrics : sequence of str
        Those that the task does not have are left out.
    resamples, confidence, rng
        As in `unimontage.evaluation.pooled.summarise_pooled`. A draw takes the same subjects under both protocols.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, as fractions; without an interval where the two protocols test different subjects.
    """
    pools = [pool_of(predictions, truth, classes) for predictions in (printed, strict)]
    same = pools[0].subjects.equals(pools[1].subjects)
    root = int(rng.integers(2**32))
    rows = []
    for metric in (name for name in metrics if all(name in pool.metrics for pool in pools)):

        def difference(draws: np.ndarray, metric: str = metric) -> np.ndarray:
            paper, other = (mean_over_runs(pool.metric(metric, draws)) for pool in pools)
            return paper - other

        values = [float(mean_over_runs(pool.metric(metric))[0]) for pool in pools]
        subjects = len(pools[0].subjects) if same else 0
        interval = bca_interval_of(difference, subjects, resamples, confidence, named_generator(root, metric))
        row = {"scored": TOGETHER, "metric": metric, "paper": values[0], "strict": values[1]}
        row |= {"leakage": values[0] - values[1], "ci_low": interval.low, "ci_high": interval.high}
        reason = interval.reason if same else "no interval: the protocols test different subjects"
        row |= {"confidence": confidence, "n_subjects": subjects, "p": np.nan, "reason": reason}
        rows.append(dict(place) | row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _strict_of(protocol: str) -> str | None:
    return Division.parse(protocol).strict
