"""Arms that do not differ are called different about as often as the tables say, and not more."""

import gc

import pytest
from scipy.stats import binom

from benchmarks.statistics import MEANING, rates

EXPERIMENTS, SUBJECTS = 300, 10

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wrong():
    """How many of the simulated experiments each statistic got wrong."""
    gc.freeze()  # statsmodels collects garbage at every correction
    table = rates(SUBJECTS, EXPERIMENTS, seed=1)
    gc.unfreeze()
    return table.set_index("what")["wrong"]


def most(rate):
    """An honest statistic with this rate errs more often in one of a thousand sets of experiments."""
    return binom.ppf(0.999, EXPERIMENTS, rate)


def test_one_test_finds_a_difference_in_five_percent(wrong):
    assert binom.ppf(0.001, EXPERIMENTS, 0.05) <= wrong["one_test"] <= most(0.05)


@pytest.mark.parametrize("what", ["any_holm", "friedman", "any_pair"])
def test_a_family_finds_a_difference_in_no_more(wrong, what):
    assert wrong[what] <= most(0.05)


def test_without_correction_a_family_finds_too_many(wrong):
    """Otherwise these experiments could not tell whether the correction works."""
    assert wrong["any_uncorrected"] > most(0.05)


@pytest.mark.parametrize("what", ["interval_of_a_mean", "interval_of_a_difference"])
def test_intervals_of_ten_subjects_miss_no_more_than_a_tenth(wrong, what):
    assert wrong[what] <= most(0.1)


def test_every_rate_is_explained(wrong):
    assert list(wrong.index) == list(MEANING)
