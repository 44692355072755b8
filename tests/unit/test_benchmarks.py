"""Peers of the benchmarks do the same work, and what is shown is what was found."""

import numpy as np
import pytest
import torch

from benchmarks import attention, augmentation, preprocessing, selection, summary
from benchmarks.measuring import Finding, take_turns
from unimontage.distillation.kcenter import k_center


def test_what_is_shown_is_made_from_the_findings():
    for path, text in summary.files():
        assert path.read_text() == text, "python -m benchmarks.summary makes it again"


def test_every_finding_is_on_the_page_and_what_is_missed_says_so():
    page, shown = summary.page(), summary.shown()
    for _, _, findings in summary.read():
        for finding in findings:
            assert finding.stage in page
            assert (f"{finding.stage} ({finding.peer})" in shown) == (not summary.reached(finding))


def test_a_goal_is_reached_by_the_median_from_the_right_side():
    assert summary.reached(Finding("k-center", "a peer", [1.0, 9.0, 8.0], 8))
    assert not summary.reached(Finding("k-center", "a peer", [9.0, 7.0, 7.9], 8))
    assert summary.reached(Finding("seconds", "limit", [1.0, 9.0, 8.0], 8))
    assert not summary.reached(Finding("seconds", "limit", [9.0, 8.1, 7.0], 8))


def test_ways_take_turns_and_their_order_changes():
    called = []
    table = take_turns({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=2, repeats=2)
    assert "".join(called) == "ab" + "aabb" + "bbaa"
    assert list(table.columns) == ["a", "b"]
    assert len(table) == 2


@pytest.mark.parametrize("cloud", selection.CLOUDS.values(), ids=list(selection.CLOUDS))
def test_the_plain_loops_choose_what_k_center_chooses(cloud):
    latents = cloud(np.random.default_rng(0), 600)
    found = k_center(latents, 60).index
    first = int(found[0])
    np.testing.assert_array_equal(selection.fused(latents, selection.laid_out(latents), 60, first), found)
    np.testing.assert_array_equal(selection.published(latents, 60, first)[:20], found[:20])


def test_attention_over_edges_is_that_over_matrices():
    output, gradient = attention.differences(14)
    assert output < 1e-12
    assert gradient < 1e-12


def test_views_one_by_one_are_those_of_a_batch_given_the_same_draws():
    assert augmentation.equal_univariate(torch.randn(20, 100)) < 1e-12
    assert augmentation.equal_sleep(torch.randn(20, 2, 600)) < 1e-12
    rng = np.random.default_rng(0)
    assert augmentation.univariate_window(np.ones(100, dtype=np.float32), rng).shape == (100,)
    for operation in augmentation.SLEEP_OPERATIONS:
        x = rng.standard_normal((2, 600))
        assert not np.allclose(operation(x, rng), x)


@pytest.mark.slow
def test_the_night_of_the_benchmark_is_preprocessed_as_mne_does_it():
    gap_uv, delay_ms = preprocessing.differences()
    assert gap_uv < 0.01
    assert abs(delay_ms) < 0.005
