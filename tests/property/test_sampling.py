"""Examples drawn from recordings with gaps: never across two of them, balanced, and as far apart as they must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.errors import UserError
from unimontage.objectives import build_segment_objective
from unimontage.windows.nights import Nights, draw_row

SIZE = 64


@st.composite
def nights(draw, shortest=1, longest=60, holes=True):
    """One to five recordings whose numbers and first epochs are anything, with epochs left out."""
    recording, epoch = [], []
    for number in sorted(draw(st.lists(st.integers(0, 50), min_size=1, max_size=5, unique=True))):
        length = draw(st.integers(shortest, longest))
        steps = (
            draw(st.lists(st.sampled_from([1, 1, 1, 4]), min_size=length, max_size=length)) if holes else [1] * length
        )
        recording += [number] * length
        epoch += (np.cumsum(steps) + draw(st.integers(0, 900))).tolist()
    return Nights(np.array(recording), np.array(epoch))


def sampled(kind, found, seed, **options):
    objective = build_segment_objective(kind, 4, 3000, 100.0, **options)
    rng = np.random.default_rng(seed)
    try:
        rows, labels = objective.sample(found, SIZE, rng)
    except UserError:
        return objective, None, None
    assert rows.shape == (SIZE, objective.views)
    assert rows.min() >= 0
    assert rows.max() < len(found)
    assert labels.shape == (SIZE,)
    return objective, rows, labels


def one_recording(found, rows):
    return (found.recording[rows] == found.recording[rows[:, :1]]).all()


def any_triplet(found, near, far):
    """Whether two windows have another between them and a stranger in their recording; by comparing all."""
    for first in range(len(found)):
        for last in range(first + 2, len(found)):
            if found.recording[last] == found.recording[first] and found.epoch[last] - found.epoch[first] <= near:
                epochs = found.epoch[found.recording == found.recording[first]]
                if epochs.min() < found.epoch[first] - far or epochs.max() > found.epoch[last] + far:
                    return True
    return False


@given(nights(), st.integers(-70, 70), st.integers(0, 70))
def test_reach_finds_the_rows_that_a_comparison_finds(found, first, width):
    rows = np.arange(len(found))
    start, stop = found.reach(rows, first, first + width)
    begin, end = found.whole(rows)
    for row in rows:
        same = found.recording == found.recording[row]
        distance = found.epoch - found.epoch[row]
        expected = np.flatnonzero(same & (distance >= first) & (distance <= first + width))
        assert np.arange(start[row], stop[row]).tolist() == expected.tolist()
        assert np.arange(begin[row], end[row]).tolist() == np.flatnonzero(same).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6), st.integers(0, 99))
def test_a_row_is_drawn_from_its_own_union(lengths, seed):
    lengths = [(first, second) for first, second in lengths if first + second]
    if not lengths:
        return
    first, second = np.array(lengths).T
    rows = draw_row(np.random.default_rng(seed), (np.zeros_like(first), first), (10 + second * 0, 10 + second))
    assert ((rows < first) | ((rows >= 10) & (rows < 10 + second))).all()


def test_every_row_of_a_union_is_as_likely_as_every_other():
    many = np.full(30000, 1)
    rows = draw_row(np.random.default_rng(0), (many * 3, many * 5), (many * 7, many * 7), (many * 8, many * 11))
    values, counts = np.unique(rows, return_counts=True)
    assert values.tolist() == [3, 4, 8, 9, 10]
    assert abs(counts / len(rows) - 0.2).max() < 0.015


@given(nights(), st.integers(1, 6), st.integers(2, 20), st.integers(0, 99))
def test_pairs_are_close_or_distant_as_their_label_says(found, near, far, seed):
    _, rows, labels = sampled("relative_positioning", found, seed, near=near, far=far)
    if rows is None:
        gap = np.abs(found.epoch[:, None] - found.epoch)[..., None]
        same = (found.recording[:, None] == found.recording)[..., None]
        close = (same & (gap > 0) & (gap <= near)).any(1)
        assert not (close & (same & (gap > far)).any(1)).any()
        return
    assert one_recording(found, rows)
    distance = np.abs(np.diff(found.epoch[rows], axis=1))[:, 0]
    assert ((distance > 0) & (distance <= near))[labels == 1].all()
    assert (distance > far)[labels == 0].all()
    assert labels.sum() == SIZE / 2


@given(nights(), st.integers(2, 10), st.integers(1, 20), st.integers(0, 99))
def test_triplets_are_in_order_or_have_a_stranger_in_the_middle(found, near, far, seed):
    _, rows, labels = sampled("temporal_shuffling", found, seed, near=near, far=far)
    if rows is None:
        assert not any_triplet(found, near, far)
        return
    assert one_recording(found, rows)
    first, middle, last = found.epoch[rows].T
    assert (first < last).all()
    assert (last - first <= near).all()
    assert ((first < middle) & (middle < last))[labels == 1].all()
    assert ((middle < first - far) | (middle > last + far))[labels == 0].all()
    assert labels.sum() == SIZE / 2


@pytest.mark.parametrize("length", [33, 34])
def test_triplets_are_refused_exactly_where_there_are_none(length):
    """Three neighbours and one more than 30 away from them: 0, 1, 2 and 33."""
    found = Nights(np.zeros(length, int), np.arange(length))
    _, rows, _ = sampled("temporal_shuffling", found, 0, near=30, far=30)
    assert (rows is None) == (length < 34)


@given(nights(longest=30), st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_blocks_are_without_gap_and_their_negatives_outside(found, context, predict, negatives, seed):
    options = {"context": context, "predict": predict, "negatives": negatives}
    _, rows, labels = sampled("cpc", found, seed, **options)
    if rows is None:
        return
    assert one_recording(found, rows)
    block, others = rows[:, : context + predict], rows[:, context + predict :]
    assert (np.diff(found.epoch[block], axis=1) == 1).all()
    assert not (others[:, :, None] == block[:, None]).any()
    assert others.shape[1] == negatives
    assert not labels.any()


@given(nights(shortest=SIZE, longest=80), st.sampled_from(["contrast", "band_masking", "intra"]), st.integers(0, 99))
@settings(max_examples=30)
def test_tasks_on_single_windows_draw_none_twice(found, kind, seed):
    options = {"mode": "intra"} if kind == "intra" else {}
    _, rows, labels = sampled("temporal_shuffling" if kind == "intra" else kind, found, seed, **options)
    assert len(np.unique(rows)) == SIZE
    counts = np.bincount(labels.astype(int))
    assert len(counts) == {"contrast": 1, "band_masking": 6, "intra": 2}[kind]
    assert counts.max() - counts.min() <= 1


def test_the_first_window_of_a_pair_says_nothing_of_the_answer():
    """A short night has close pairs only; drawing close pairs from it would give it away."""
    found = Nights(np.repeat([0, 1], [20, 200]), np.r_[:20, :200])
    for kind in ("relative_positioning", "temporal_shuffling"):
        rows, _ = build_segment_objective(kind, 4, 3000, 100.0).sample(found, 2000, np.random.default_rng(0))
        assert (found.recording[rows] == 1).all()


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("relative_positioning", "more than 30 apart.*far: "),
        ("temporal_shuffling", "another more than 30 away.*far: "),
        ("cpc", "26 consecutive epochs and 4 others.*context: "),
    ],
)
def test_nights_that_are_too_short_are_refused_with_what_would_do(kind, needed):
    found = Nights(np.repeat([3, 7], 29), np.tile(np.arange(29), 2))
    with pytest.raises(UserError, match=f"none of 2 recordings.*{needed}"):
        build_segment_objective(kind, 4, 3000, 100.0).sample(found, SIZE, np.random.default_rng(0))


def test_a_batch_of_more_windows_than_there_are_is_refused():
    found = Nights(np.zeros(10, int), np.arange(10))
    with pytest.raises(UserError, match=r"batch of 64 from 10 windows.*batch: 10"):
        build_segment_objective("contrast", 4, 3000, 100.0).sample(found, SIZE, np.random.default_rng(0))


def test_a_draw_is_a_function_of_its_seed():
    found = Nights(np.zeros(300, int), np.arange(300))
    for kind in ("contrast", "band_masking", "temporal_shuffling", "relative_positioning", "cpc"):
        one, again, other = (sampled(kind, found, seed)[1] for seed in (5, 5, 6))
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("recording", "epoch"), [([1, 0], [0, 1]), ([0, 0], [1, 0]), ([0, 0], [1, 1]), ([0, 0, 1], [0, 1])]
)
def test_windows_out_of_order_are_refused(recording, epoch):
    with pytest.raises(ValueError, match=r"order|differ"):
        Nights(np.array(recording), np.array(epoch))
