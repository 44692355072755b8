"""Effect sizes of paired differences: how large a difference is beside its spread, and how many subjects share it."""

import numpy as np
from scipy.special import gammaln
from scipy.stats import ttest_1samp, wilcoxon

from unimontage.evaluation.ties import levelled


def hedges_g(differences: np.ndarray) -> float:
    """Mean paired difference in units of the differences' own SD, without the bias of few subjects.

    Parameters
    ----------
    differences : ndarray, shape (n,)
        One difference a subject.

    Returns
    -------
    float
        NaN for fewer than three subjects, whose g would be 0 whatever they are, or where all differences are equal.

    Notes
    -----
    Cohen's d_z, which is the paired t statistic over the root of n (Cohen 1988), times the factor of Hedges 1981,
    eq. 6e, with n - 1 degrees of freedom.
    """
    differences = levelled(differences)
    n = len(differences)
    if n < 3 or np.ptp(differences) == 0:
        return np.nan
    freedom = n - 1
    unbiased = np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) * np.sqrt(2 / freedom)
    return float(ttest_1samp(differences, 0).statistic / np.sqrt(n) * unbiased)


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation: the share of ranks for an arm minus the share against it.

    Parameters
    ----------
    differences : ndarray, shape (n,)
        One difference a subject.

    Returns
    -------
    float
        1 if every subject's difference is positive, -1 if every one is negative, 0 if they balance or all are zero; NaN
        for fewer than two subjects.

    Notes
    -----
    Kerby 2014, from the sums of ranks of Wilcoxon's test; a difference of zero counts half for each side.
    """
    differences = levelled(differences)
    n = len(differences)
    if n < 2:
        return np.nan
    if not differences.any():
        return 0.0
    ranks = wilcoxon(differences, zero_method="zsplit", alternative="greater", method="asymptotic").statistic
    return float(2 * ranks / (n * (n + 1) / 2) - 1)
