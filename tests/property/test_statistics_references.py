"""The numbers of the tables are those of scipy, statsmodels and scikit-posthocs, or of a definition written out."""

import gc
import itertools

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import gamma
from scipy.stats import bootstrap, friedmanchisquare, permutation_test, rankdata, wilcoxon
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from unimontage.evaluation.effects import hedges_g, rank_biserial
from unimontage.evaluation.intervals import bca_interval, holm, sign_flip
from unimontage.evaluation.ranks import rank_arms, wilcoxon_p

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True)
def few_objects():
    """Statsmodels collects garbage at every correction, over all that the tests before have left."""
    gc.freeze()
    yield
    gc.unfreeze()


@st.composite
def scores(draw, least=3, most=25):
    """Accuracies of so many subjects, continuous or shares of few windows."""
    rng = np.random.default_rng(draw(seeds))
    windows = draw(st.sampled_from([0, 4, 40]))
    values = rng.beta(6, 4, draw(st.integers(least, most)))
    return rng.binomial(windows, values) / windows if windows else values


@st.composite
def pairs(draw, least=3, most=12):
    """Differences of two such."""
    first = draw(scores(least, most))
    return first - np.random.default_rng(draw(seeds)).permutation(first)


@given(scores(), seeds, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(max_examples=60)
def test_intervals_are_scipys(values, seed, confidence):
    assume(np.ptp(values) > 0)
    expected = bootstrap(
        (values,), np.mean, n_resamples=400, confidence_level=confidence, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    found = bca_interval(values, 400, confidence, np.random.default_rng(seed))
    np.testing.assert_array_equal(found[:2], expected)


@given(pairs(most=10))
@settings(max_examples=60)
def test_the_exact_p_is_the_share_of_sign_patterns_as_extreme(differences):
    signs = np.array(list(itertools.product((-1, 1), repeat=len(differences))))
    sums = np.abs(signs @ differences)
    expected = (sums >= np.abs(differences.sum()) - 1e-9).mean()
    assert sign_flip(differences, np.random.default_rng(0)).p == pytest.approx(expected)


@given(st.integers(14, 25), seeds)
@settings(max_examples=20)
def test_the_drawn_p_is_scipys(subjects, seed):
    differences = np.random.default_rng(seed).normal(0.02, 0.05, subjects)
    expected = permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=999, rng=np.random.default_rng(seed)
    )
    assert sign_flip(differences, np.random.default_rng(seed), 999).p == expected.pvalue


@given(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1)), max_size=12))
@settings(max_examples=40)
def test_holms_correction_is_statsmodels_and_its_definition(p):
    p = np.array(p)
    known = p[~np.isnan(p)]
    found = holm(p)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(p))
    if len(known):
        np.testing.assert_allclose(found[~np.isnan(p)], multipletests(known, method="holm")[1])
        order, corrected = np.argsort(known, kind="stable"), np.empty(len(known))
        corrected[order] = np.minimum(np.maximum.accumulate(known[order] * np.arange(len(known), 0, -1)), 1)
        np.testing.assert_allclose(found[~np.isnan(p)], corrected)


@given(pairs(most=30))
def test_g_is_the_corrected_d_of_statsmodels_t(differences):
    assume(np.ptp(differences) > 1e-9)
    n = len(differences)
    d = DescrStatsW(differences).ttest_mean(0)[0] / np.sqrt(n)
    correction = gamma((n - 1) / 2) / (np.sqrt((n - 1) / 2) * gamma((n - 2) / 2))
    assert hedges_g(differences) == pytest.approx(d * correction, rel=1e-6, abs=1e-9)
    if n > 10:
        assert correction == pytest.approx(1 - 3 / (4 * (n - 1) - 1), abs=1e-3)  # the approximation of textbooks


@given(pairs(most=30))
def test_r_is_the_balance_of_ranks(differences):
    ranks = rankdata(np.round(np.abs(differences), 10))
    signs = np.sign(np.round(differences, 10))
    assert rank_biserial(differences) == pytest.approx((ranks * signs).sum() / ranks.sum())


@given(pairs(least=2, most=9))
@settings(max_examples=25)
def test_wilcoxons_p_is_scipys_with_ties_and_zeros(differences):
    differences = np.round(differences, 10)
    if differences.any():
        expected = wilcoxon(differences, zero_method="zsplit").pvalue
        assert wilcoxon_p(differences) == pytest.approx(expected)
    else:
        assert wilcoxon_p(differences) == 1


@given(st.integers(4, 7), st.integers(6, 20), seeds)
@settings(max_examples=20)
def test_ranks_and_pairs_are_scipys_and_scikit_posthocs(arms, subjects, seed):
    values = np.random.default_rng(seed).normal(0.6, 0.1, (subjects, arms)) + 0.03 * np.arange(arms)
    table = pd.DataFrame(values, columns=[f"a{k}" for k in range(arms)])
    ranking = rank_arms(table)
    assert (ranking.chi2, ranking.p) == pytest.approx(tuple(friedmanchisquare(*values.T)))
    pd.testing.assert_series_equal(ranking.ranks[table.columns], table.rank(axis=1, ascending=False).mean())
    expected = scikit_posthocs.posthoc_wilcoxon(table.melt(), "value", "variable", p_adjust="holm")
    for row in ranking.pairs.itertuples():
        assert row.p_holm == pytest.approx(expected.loc[row.arm, row.other])
        assert row.rank <= row.rank_other
