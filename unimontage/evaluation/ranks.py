"""More than three arms on the same subjects: mean ranks, Friedman's test over all arms, Wilcoxon's for each pair."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata, wilcoxon

from unimontage.evaluation.intervals import FEWEST_FOR_FIVE_PERCENT, LISTED, holm, sign_flip
from unimontage.evaluation.ties import levelled


class Ranking(NamedTuple):
    """How arms rank over subjects, and which of them can be told apart.

    Attributes
    ----------
    ranks : Series of float
        Mean rank by arm, 1 the best; equal scores share their ranks.
    pairs : DataFrame
        One row a pair: ``arm, other, rank, rank_other, p, p_holm``. The arm with the lower mean rank comes first.
    chi2, p : float
        Friedman's statistic and its p, from the chi-squared distribution with one degree of freedom less than arms.
    n_subjects : int
        Subjects with a score of every arm.
    reason : str
        What is undefined or cannot be told; else empty.
    """

    ranks: pd.Series
    pairs: pd.DataFrame
    chi2: float
    p: float
    n_subjects: int
    reason: str

    def apart(self, alpha: float) -> pd.DataFrame:
        """Which arms differ, bool by arm and arm: Friedman's p and the pair's corrected p are both below `alpha`."""
        arms = self.ranks.index
        differ = pd.DataFrame(False, index=arms, columns=arms)
        for row in self.pairs.itertuples():
            differ.loc[row.arm, row.other] = differ.loc[row.other, row.arm] = self.p < alpha and row.p_holm < alpha
        return differ


def rank_arms(scores: pd.DataFrame, lower_is_better: bool = False) -> Ranking:
    """Rank the arms within each subject.

    Parameters
    ----------
    scores : DataFrame, shape (n, k)
        One row a subject, one column an arm. Subjects with a NaN are left out and counted in the reason.
    lower_is_better : bool
        Whether the lowest score has rank 1.

    Notes
    -----
    Demšar 2006 for ranks and Friedman's test, by `scipy.stats.friedmanchisquare`; Benavoli et al. 2016 for Wilcoxon's
    test of each pair in place of Nemenyi's, whose answer for two arms depends on the others. Holm's correction is over
    all pairs of the target. A difference of zero counts half for each side.
    """
    whole = scores.dropna()
    lost, n = len(scores) - len(whole), len(whole)
    values = levelled(whole.to_numpy())  # (n, k)
    ranked = rankdata(values if lower_is_better else -values, axis=1)
    ranks = pd.Series(ranked.mean(axis=0) if n else np.nan, index=scores.columns).sort_values(kind="stable")
    tied = n > 0 and bool((ranked == ranked[:, :1]).all())
    chi2, p = friedmanchisquare(*values.T) if n > 1 and not tied else (np.nan, np.nan)
    reasons = (
        f"{lost} of {len(scores)} subjects have no score of some arm" if lost else "",
        "every subject has one score for all arms" if tied else "",
        f"with {n} subjects no two arms can be told apart at 0.05" if n < FEWEST_FOR_FIVE_PERCENT else "",
    )
    return Ranking(ranks, _pairs(whole, ranks), float(chi2), float(p), n, "; ".join(filter(None, reasons)))


def _pairs(scores: pd.DataFrame, ranks: pd.Series) -> pd.DataFrame:
    rows = [
        {"arm": arm, "other": other, "rank": ranks[arm], "rank_other": ranks[other]}
        | {"p": wilcoxon_p(scores[arm].to_numpy() - scores[other].to_numpy())}
        for arm, other in combinations(ranks.index, 2)
    ]
    pairs = pd.DataFrame(rows)
    return pairs.assign(p_holm=holm(pairs["p"].to_numpy()))


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact with and without ties for as many subjects as 13.

    Parameters
    ----------
    differences : ndarray, shape (n,)
        One difference a subject; a difference of zero counts half for each side.

    Returns
    -------
    float
        NaN for fewer than two subjects.

    Notes
    -----
    The exact test is a sign-flip test of the signed ranks. `scipy.stats.wilcoxon` finds the same p, with ties a hundred
    times slower; from 14 subjects on it is called, and is exact up to 50 where there are no ties.
    """
    differences = levelled(differences)
    if 2 ** len(differences) <= LISTED:
        signed = rankdata(np.abs(differences)) * np.sign(differences)
        return sign_flip(signed, np.random.default_rng(0), LISTED).p  # nothing is drawn
    return float(wilcoxon(differences, zero_method="zsplit").pvalue) if differences.any() else 1.0
