import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from unimontage.evaluation.intervals import bca_interval, bca_interval_of, holm, named_generator, sign_flip


def test_the_interval_is_scipys_bca():
    values = np.random.default_rng(0).normal(0.6, 0.1, 15)
    expected = bootstrap(
        (values,), np.mean, n_resamples=500, confidence_level=0.9, method="BCa", rng=np.random.default_rng(7)
    ).confidence_interval
    found = bca_interval(values, 500, 0.9, np.random.default_rng(7))
    assert found == (expected.low, expected.high, "")


def test_the_same_generator_gives_the_same_interval():
    values = np.array([0.5, 0.7, 0.6, 0.9])
    first, second = (bca_interval(values, 200, 0.95, np.random.default_rng(1)) for _ in range(2))
    assert first == second
    assert first.low < values.mean() < first.high


@pytest.mark.parametrize(
    ("values", "reason"),
    [([0.5, 0.7], "fewer than 3 subjects"), ([0.5, np.nan, 0.7], "fewer than 3"), ([0.5] * 4, "the same value")],
)
def test_no_interval_comes_with_a_reason(values, reason):
    interval = bca_interval(np.array(values), 100, 0.95, np.random.default_rng(0))
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)
    assert reason in interval.reason


def test_all_signs_are_listed_for_few_subjects():
    # All five differ the same way: of 32 sign patterns two are as extreme.
    p, flips, least, reason = sign_flip(np.array([0.1, 0.2, 0.3, 0.1, 0.2]), np.random.default_rng(0))
    assert p == pytest.approx(2 / 32)
    assert (flips, least) == ("all 32", 2 / 32)
    assert "0.0625" in reason


def test_the_exact_p_counts_sign_patterns_by_hand():
    differences = np.array([0.3, -0.1, 0.25, 0.2, 0.05, -0.02, 0.11])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 7)).reshape(7, -1)
    sums = (signs * differences[:, None]).sum(0)
    expected = (np.abs(sums) >= abs(differences.sum()) - 1e-12).mean()
    assert sign_flip(differences, np.random.default_rng(0)).p == pytest.approx(expected)


def test_thirteen_subjects_are_exact_and_fourteen_are_drawn():
    rng = np.random.default_rng(3)
    differences = rng.normal(0.05, 0.1, 14)
    exact = {sign_flip(differences[:13], np.random.default_rng(seed)).p for seed in range(3)}
    drawn = {sign_flip(differences, np.random.default_rng(seed)).p for seed in range(3)}
    assert len(exact) == 1
    assert len(drawn) > 1


def test_one_subject_gives_no_test():
    p, flips, _, reason = sign_flip(np.array([0.1]), np.random.default_rng(0))
    assert np.isnan(p)
    assert flips == ""
    assert "fewer than 2" in reason


def test_holm_on_an_example_made_by_hand():
    # Sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1 -> .02, .03, .06, .04 raised to .06.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_nan_out_of_the_family():
    np.testing.assert_allclose(holm(np.array([0.02, np.nan, 0.9])), [0.04, np.nan, 0.9])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_the_raw_p_and_bonferroni(p):
    p = np.array(p)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(p * len(p), 1) + 1e-12).all()


def test_a_rows_generator_depends_on_its_name_alone():
    assert named_generator(1, "deap", "gat").random() == named_generator(1, "deap", "gat").random()
    assert named_generator(1, "deap", "gat").random() != named_generator(1, "deap", "gcn").random()


def test_the_interval_of_a_mean_is_the_same_by_draws_of_subjects():
    values = np.random.default_rng(3).normal(0.6, 0.1, 12)
    direct = bca_interval(values, 400, 0.95, np.random.default_rng(5))
    by_draws = bca_interval_of(
        lambda times: times @ values / times.sum(axis=1), len(values), 400, 0.95, np.random.default_rng(5)
    )
    assert by_draws[:2] == pytest.approx(direct[:2])


def test_draws_hold_each_subject_as_often_as_it_was_drawn():
    seen = []
    bca_interval_of(lambda t: (seen.append(t), t @ np.arange(4.0))[1], 4, 50, 0.9, np.random.default_rng(0))
    assert {tuple(np.unique(times.sum(axis=1))) for times in seen} == {(4,), (3,)}  # resamples, and one left out
    assert seen[0].max() > 1


def test_no_interval_of_a_statistic_comes_with_a_reason():
    rng = np.random.default_rng(0)
    assert "fewer than 3" in bca_interval_of(lambda t: t.sum(axis=1), 2, 50, 0.9, rng).reason
    assert "degenerate" in bca_interval_of(lambda t: np.full(len(t), 0.5), 5, 50, 0.9, rng).reason
