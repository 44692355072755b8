"""How often the statistics of the tables are wrong, on simulated experiments whose truth is known.

``python -m benchmarks.statistics --experiments 500`` simulates experiments in which no arm is better than another and
counts how often a difference is found, and how often an interval misses the true mean.
`tests/property/test_null_data.py` does the same on fewer.
"""

import argparse
import gc
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from unimontage.evaluation.aggregate import summarise
from unimontage.evaluation.paired import paired_differences
from unimontage.evaluation.ranks import rank_arms

RESULTS = Path(__file__).parent / "results"
MEAN, WINDOWS = 0.65, 40
ALIKE_SUBJECTS, ALIKE_ARMS = 12.0, 40.0  # the larger, the less do subjects, or arms within a subject, differ
ARMS = ("reference", "first", "second", "third", "fourth")


class Wrong(NamedTuple):
    """Whether the statistics of one simulated experiment erred."""

    one_test: bool
    any_uncorrected: bool
    any_holm: bool
    friedman: bool
    any_pair: bool
    interval_of_a_mean: bool
    interval_of_a_difference: bool


MEANING = {
    "one_test": "the sign-flip test of one difference, p < 0.05",
    "any_uncorrected": "any of four sign-flip tests, p < 0.05, without correction",
    "any_holm": "any of four sign-flip tests, p (Holm) < 0.05",
    "friedman": "Friedman's test over five arms, p < 0.05",
    "any_pair": "any two of five arms told apart in the diagram",
    "interval_of_a_mean": "the 95 % interval of a mean misses it",
    "interval_of_a_difference": "the 95 % interval of a difference misses 0",
}


def accuracies(subjects: int, rng: np.random.Generator) -> pd.DataFrame:
    """Accuracies of arms of which none is better, shape (n, k), subject by arm.

    A subject has an ability, and each arm one around it, both drawn from beta distributions; the accuracy is a share of
    40 windows. So arms go up and down together, the spread depends on the level, the tail is longer on one side, and
    there are ties. The true mean is `MEAN` for every arm.
    """
    ability = rng.beta(ALIKE_SUBJECTS * MEAN, ALIKE_SUBJECTS * (1 - MEAN), (subjects, 1))
    of_arm = rng.beta(ALIKE_ARMS * ability, ALIKE_ARMS * (1 - ability), (subjects, len(ARMS)))
    names = [f"s{number:02d}" for number in range(subjects)]
    return pd.DataFrame(rng.binomial(WINDOWS, of_arm) / WINDOWS, index=names, columns=ARMS)


def long(scores: pd.DataFrame) -> pd.DataFrame:
    """The same as a table of `unimontage.evaluation.aggregate.per_subject`."""
    table = scores.rename_axis("subject").reset_index().melt("subject", var_name="arm", value_name="value")
    spread = {"sd_folds": 0.0, "sd_seeds": 0.0, "n_folds": 1, "n_seeds": 1}
    return table.assign(protocol="strict_trial", unit="window", metric="accuracy", chance=0.5, reason="", **spread)


def experiment(subjects: int, rng: np.random.Generator) -> Wrong:
    """Simulate one experiment and put it through the statistics of the tables."""
    scores = accuracies(subjects, rng)
    table = long(scores)
    pairs = paired_differences(table, ARMS[0], resamples=1000, confidence=0.95, rng=rng)
    mean = summarise(table[table["arm"] == ARMS[0]], 1000, 0.95, rng).iloc[0]
    ranking, first = rank_arms(scores), pairs.iloc[0]
    return Wrong(
        one_test=first["p"] < 0.05,
        any_uncorrected=(pairs["p"] < 0.05).any(),
        any_holm=(pairs["p_holm"] < 0.05).any(),
        friedman=ranking.p < 0.05,
        any_pair=ranking.apart(0.05).to_numpy().any(),
        interval_of_a_mean=not mean["ci_low"] <= MEAN <= mean["ci_high"],
        interval_of_a_difference=not first["ci_low"] <= 0 <= first["ci_high"],
    )


def rates(subjects: int, experiments: int, seed: int) -> pd.DataFrame:
    """How often each statistic errs, with an exact (Clopper-Pearson) interval of that rate.

    Returns
    -------
    DataFrame
        Columns ``subjects, experiments, what, wrong, rate, low, high``.
    """
    generators = (np.random.default_rng([seed, subjects, number]) for number in range(experiments))
    wrong = pd.DataFrame([experiment(subjects, rng) for rng in generators]).sum()
    rows = []
    for what, count in wrong.items():
        interval = binomtest(int(count), experiments).proportion_ci(0.95, "exact")
        rows.append((subjects, experiments, what, int(count), count / experiments, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["subjects", "experiments", "what", "wrong", "rate", "low", "high"])


def markdown(table: pd.DataFrame, experiments: int) -> str:
    """The rates in percent, a column a number of subjects."""
    cells = table.assign(
        cell=[f"{100 * r.rate:.1f} ({100 * r.low:.1f} to {100 * r.high:.1f})" for r in table.itertuples()]
    )
    wide = cells.pivot(index="what", columns="subjects", values="cell").loc[list(MEANING)]
    head = ["error", *(f"{subjects} subjects" for subjects in wide.columns)]
    lines = [" | ".join(["", *head, ""]).strip(), "|" + "---|" * len(head)]
    lines += [" | ".join(["", MEANING[what], *row, ""]).strip() for what, row in wide.iterrows()]
    note = f"Percent of {experiments} simulated experiments of five arms that do not differ, with a 95 % interval."
    return "\n".join(["# Statistics on null data", "", note, "", *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=500)
    parser.add_argument("--subjects", type=int, nargs="+", default=[10, 15, 20])
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    gc.freeze()  # statsmodels collects garbage at every correction, which takes longer than all else
    parts = [rates(subjects, chosen.experiments, chosen.seed) for subjects in chosen.subjects]
    text = markdown(pd.concat(parts), chosen.experiments)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "statistics.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
