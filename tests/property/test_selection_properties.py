"""What holds for every selection: a subset of what was kept, each window once, the same every time."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.distillation.budget import budget, divide
from unimontage.distillation.coverage import coverage
from unimontage.distillation.hbos import hbos_scores, outliers
from unimontage.distillation.kcenter import k_center
from unimontage.distillation.nearest import nearest_unique
from unimontage.distillation.selection import METHODS, select

METHOD_NAMES = sorted(METHODS)
seeds = st.integers(0, 10_000)


def world(seed, n=120):
    """Latents, recordings, starts, subjects and raw windows of n windows, in mixed order."""
    rng = np.random.default_rng(seed)
    recordings = rng.integers(0, 6, n)
    signal = rng.standard_normal((n, 3, 40)).astype(np.float32)
    return {
        "kept": rng.random(n) < 0.8,
        "latents": rng.standard_normal((n, 5)).astype(np.float32),
        "recordings": recordings.astype(str),
        "subjects": (recordings // 2).astype(str),
        "starts": rng.permutation(n),
        "windows": lambda positions: signal[positions],
    }


@pytest.mark.parametrize("method", METHOD_NAMES)
@given(seed=seeds, fraction=st.sampled_from([0.001, 0.05, 0.3, 0.6]))
@settings(max_examples=6)
def test_what_is_selected_was_kept_and_is_selected_once(method, seed, fraction):
    given_ = world(seed)
    n = budget(fraction, 120)
    found = select(method, n, seed=seed, **given_)
    assert len(found.index) == len(found.score) == n
    assert len(set(found.index)) == n
    assert given_["kept"][found.index].all()
    assert found.kept[found.index].all()


@pytest.mark.parametrize("method", METHOD_NAMES)
@given(seed=seeds)
@settings(max_examples=4)
def test_the_same_call_selects_the_same(method, seed):
    first, second = (select(method, 12, seed=seed, **world(seed)) for _ in range(2))
    np.testing.assert_array_equal(first.index, second.index)
    np.testing.assert_array_equal(first.score, second.score)


@pytest.mark.parametrize("method", [name for name, each in METHODS.items() if each.takes_quota])
@given(seed=seeds, n=st.integers(1, 90))
@settings(max_examples=8)
def test_every_subject_gets_its_share(method, seed, n):
    given_ = world(seed)
    n = min(n, int(given_["kept"].sum()))
    found = select(method, n, quota="subject", **given_)
    kept = given_["subjects"][given_["kept"]]
    for subject in np.unique(kept):
        share = n * (kept == subject).mean()
        assert abs((given_["subjects"][found.index] == subject).sum() - share) < 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.data())
def test_shares_are_whole_and_complete(sizes, data):
    n = data.draw(st.integers(0, sum(sizes)))
    parts = divide(n, np.array(sizes))
    assert parts.sum() == n
    assert (parts <= sizes).all()
    assert (np.abs(parts - n * np.array(sizes) / sum(sizes)) < 1).all()


@given(st.integers(2, 12), st.integers(1, 4), seeds, st.booleans())
@settings(max_examples=60)
def test_the_radius_shrinks_and_is_at_most_twice_the_smallest_possible(n, k, seed, coarse):
    rng = np.random.default_rng(seed)
    latents = (rng.integers(0, 3, (n, 2)) if coarse else rng.standard_normal((n, 2))).astype(np.float32)
    k = min(k, n)
    found = k_center(latents, k)
    assert (np.diff(found.radius) <= 0).all()
    between = np.linalg.norm(latents[:, None] - latents[None], axis=2)
    assert found.radius[-1] == pytest.approx(between[found.index].min(0).max(), abs=1e-6)
    best = min(between[list(chosen)].min(0).max() for chosen in combinations(range(n), k))
    assert found.radius[-1] <= 2 * best + 1e-5


@given(seeds)
@settings(max_examples=15)
def test_an_artefact_of_ten_deviations_never_survives(seed):
    """Even k-center, which is drawn to whatever is far away, cannot choose it."""
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((1000, 8)).astype(np.float32)
    planted = rng.choice(1000, 10, replace=False)
    latents[planted] += 10 * rng.choice([-1, 1], (10, 8)) * rng.uniform(1, 1.5, (10, 8))
    assert set(planted) == set(np.flatnonzero(outliers(hbos_scores(latents), 0.01)))
    everything = np.ones(1000, dtype=bool)
    found = select("dlite", 50, latents=latents, kept=everything, tau=0.01)
    assert not set(planted) & set(found.index)
    assert set(planted) & set(select("dlite", 50, latents=latents, kept=everything).index)


@pytest.mark.parametrize("method", ["random", "stride"])
@given(seeds, st.integers(400, 500))
@settings(max_examples=20)
def test_five_percent_come_from_nearly_all_recordings(method, seed, recordings):
    names = np.repeat(np.arange(recordings), 60)
    found = select(
        method,
        budget(0.05, len(names)),
        kept=np.ones(len(names), dtype=bool),
        recordings=names,
        starts=np.tile(np.arange(60), recordings),
        seed=seed,
    )
    assert len(np.unique(names[found.index])) >= 0.9 * recordings


@given(seeds, st.integers(1, 30))
@settings(max_examples=30)
def test_every_query_gets_a_point_of_its_own_and_the_nearest_free_one(seed, n):
    rng = np.random.default_rng(seed)
    points, queries = rng.integers(0, 4, (30, 2)).astype(np.float32), rng.standard_normal((n, 2)).astype(np.float32)
    index, distance = nearest_unique(queries, points)
    assert len(set(index)) == n
    between = np.linalg.norm(queries[:, None] - points[None], axis=2)
    np.testing.assert_allclose(distance, between[np.arange(n), index], rtol=1e-5)
    free = np.setdiff1d(np.arange(30), index)
    if len(free):
        assert (distance <= between[:, free].min(1) + 1e-5).all()


@given(seeds, st.integers(1, 40))
@settings(max_examples=20)
def test_the_radius_of_k_center_is_the_coverage_radius(seed, k):
    given_ = world(seed)
    found = k_center(given_["latents"], k, allowed=given_["kept"])
    measured = coverage(given_["latents"], found.index, given_["kept"])
    assert measured.radius == pytest.approx(found.radius[-1], rel=1e-5)
    assert measured.mean <= measured.radius
