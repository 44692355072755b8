"""Histogram-based outlier scores, with pyod as the oracle."""

import numpy as np
import pytest
from pyod.models.hbos import HBOS

from unimontage.distillation.hbos import hbos_scores, moments, outliers, standardise
from unimontage.errors import UserError


def cloud(n, d):
    """Latents with rounded values, which lie on edges of bins, a constant dimension and copies."""
    rng = np.random.default_rng(n)
    latents = (rng.standard_normal((n, d)) * rng.gamma(1, 3, d) + rng.standard_normal(d)).astype(np.float32)
    latents[:, 1] = np.round(latents[:, 1])
    latents[:, 2] = 5.3
    latents[:5] = latents[5:10]
    return latents


@pytest.mark.parametrize("bins", ["auto", 3, 10, 33])
@pytest.mark.parametrize(("n", "d"), [(12, 3), (150, 5), (3000, 8)])
def test_the_scores_are_those_of_pyod(n, d, bins):
    latents = cloud(n, d)
    mean, deviation = moments(latents)
    oracle = HBOS(n_bins=bins).fit(standardise(latents, mean, deviation))
    scores = hbos_scores(latents, bins)
    np.testing.assert_allclose(scores, oracle.decision_scores_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(scores, oracle.decision_function(standardise(latents, mean, deviation)), atol=1e-9)


def test_alpha_is_that_of_pyod():
    latents = cloud(400, 4)
    oracle = HBOS(n_bins=10, alpha=0.4).fit(standardise(latents, *moments(latents)))
    np.testing.assert_allclose(hbos_scores(latents, 10, alpha=0.4), oracle.decision_scores_, atol=1e-9)


def test_moments_are_those_of_all_rows_however_many_are_read_at_a_time():
    latents = np.random.default_rng(0).standard_normal((9001, 3)).astype(np.float32) + 100
    mean, deviation = moments(latents)
    np.testing.assert_allclose(mean, latents.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(deviation, latents.astype(np.float64).std(0), rtol=1e-12)


def test_one_window_is_neither_odd_nor_an_error():
    assert np.isfinite(hbos_scores(np.ones((1, 3), dtype=np.float32))).all()


def test_a_constant_dimension_changes_no_rank():
    latents = cloud(500, 6)
    order = np.argsort(hbos_scores(np.delete(latents, 2, axis=1)), kind="stable")
    with_constant = hbos_scores(latents)[order]
    assert (np.diff(with_constant) >= -1e-9).all()


@pytest.mark.parametrize(("tau", "n", "removed"), [(0.01, 99, 0), (0.01, 100, 1), (0.29, 100, 29), (0, 10, 0)])
def test_exactly_the_share_is_removed(tau, n, removed):
    scores = np.random.default_rng(n).standard_normal(n)
    mask = outliers(scores, tau)
    assert mask.sum() == removed
    assert removed == 0 or scores[mask].min() > scores[~mask].max()


def test_of_equal_scores_the_first_windows_are_spared():
    assert list(np.flatnonzero(outliers(np.ones(10), 0.3))) == [7, 8, 9]
    assert list(np.flatnonzero(outliers(np.array([2.0, 5, 2, 2]), 0.5))) == [1, 3]


@pytest.mark.parametrize("bad", [{"bins": 1}, {"bins": 2.5}, {"bins": "many"}, {"alpha": 0.0}, {"alpha": 1.5}])
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        hbos_scores(cloud(20, 3), **bad)


def test_latents_that_are_not_finite_are_refused():
    latents = cloud(20, 4)
    latents[3, 1] = np.nan
    with pytest.raises(UserError, match="dimension 1"):
        hbos_scores(latents)
    with pytest.raises(UserError, match="shape"):
        hbos_scores(latents[:0])


@pytest.mark.parametrize("tau", [-0.1, 1.0, np.nan])
def test_a_share_out_of_range_is_refused(tau):
    with pytest.raises(UserError, match="tau"):
        outliers(np.ones(5), tau)
