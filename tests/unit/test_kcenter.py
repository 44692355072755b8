"""Greedy k-center: the same list as the plain loop, whatever the cloud looks like."""

import numpy as np
import pytest

from unimontage.distillation import kcenter
from unimontage.distillation.kcenter import k_center
from unimontage.distillation.refresh import slack_of, squared_distance
from unimontage.errors import UserError


def distances(latents, centre):
    """Squared distances (N,) to one row, summed over the dimensions in order, in float32."""
    total = np.zeros(len(latents), dtype=np.float32)
    for t in range(latents.shape[1]):
        difference = latents[:, t] - latents[centre, t]
        total += difference * difference
    return total


def plain(latents, k, first, group=None, capacity=None):
    """The loop of the textbook: update all, take the farthest; the radius after each choice."""
    group = np.zeros(len(latents), dtype=int) if group is None else group
    room = np.array([len(latents)]) if capacity is None else np.array(capacity)
    bound, index, radius = np.full(len(latents), np.inf, dtype=np.float32), [first], []
    room[group[first]] -= 1
    while True:
        bound = np.minimum(bound, distances(latents, index[-1]))
        bound[index[-1]] = -1
        bound[room[group] == 0] = -1
        farthest = int(bound.argmax())
        radius.append(np.sqrt(bound[farthest]) if bound[farthest] >= 0 else 0)
        if len(index) == k:
            return np.array(index), np.array(radius, dtype=np.float32)
        index.append(farthest)
        room[group[farthest]] -= 1


def isotropic(rng, n):
    return rng.standard_normal((n, 24))


def clustered(rng, n):
    return rng.standard_normal((60, 24))[rng.integers(0, 60, n)] * 5 + 0.3 * rng.standard_normal((n, 24))


def low_rank(rng, n):
    return np.tanh(rng.standard_normal((n, 3)) @ rng.standard_normal((3, 24))) + 0.01 * rng.standard_normal((n, 24))


def recordings(rng, n):
    walk = np.cumsum(rng.standard_normal((n, 6)), axis=0) * 0.05
    artefact = np.where(rng.random((n, 1)) < 0.01, 4, 1)
    return (walk @ rng.standard_normal((6, 24)) + 0.2 * rng.standard_normal((n, 24))) * artefact


def duplicates(rng, n):
    return rng.standard_normal((n // 3, 24))[rng.integers(0, n // 3, n)]


def ties(rng, n):
    return rng.integers(0, 2, (n, 24))


def constant_columns(rng, n):
    values = rng.standard_normal((n, 24))
    values[:, ::3] = 7
    return values


def far_from_the_origin(rng, n):
    return rng.standard_normal((n, 24)) + 3000


def few_values(rng, n):
    return np.eye(24)[rng.integers(0, 24, n)]


def tiny(rng, n):
    return rng.standard_normal((n, 24)) * 1e-21


CLOUDS = (
    isotropic,
    clustered,
    low_rank,
    recordings,
    duplicates,
    ties,
    constant_columns,
    far_from_the_origin,
    few_values,
    tiny,
)


@pytest.mark.parametrize("active", [16, 4096])  # many rounds, or few
@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.__name__)
def test_the_list_is_that_of_the_plain_loop(cloud, active, monkeypatch):
    monkeypatch.setattr(kcenter, "ACTIVE", active)
    latents = cloud(np.random.default_rng(1), 6000).astype(np.float32)
    found = k_center(latents, 700)
    index, radius = plain(latents, 700, found.index[0])
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_array_equal(found.radius, radius)


@pytest.mark.parametrize("d", [1, 2, 7, 64, 65, 200])
def test_the_list_is_that_of_the_plain_loop_in_any_number_of_dimensions(d, monkeypatch):
    monkeypatch.setattr(kcenter, "ACTIVE", 100)
    latents = np.random.default_rng(d).standard_normal((3000, d)).astype(np.float32)
    found = k_center(latents, 300, start="first")
    np.testing.assert_array_equal(found.index, plain(latents, 300, 0)[0])


@pytest.mark.parametrize("cloud", [clustered, ties], ids=lambda cloud: cloud.__name__)
def test_groups_fill_up_and_are_covered_by_the_others(cloud, monkeypatch):
    monkeypatch.setattr(kcenter, "ACTIVE", 50)
    rng = np.random.default_rng(2)
    latents, group = cloud(rng, 3000).astype(np.float32), rng.integers(0, 5, 3000)
    capacity = np.array([200, 3, 50, 0, 47])
    found = k_center(latents, 300, group=group, capacity=capacity)
    np.testing.assert_array_equal(np.bincount(group[found.index], minlength=5), capacity)
    np.testing.assert_array_equal(found.index, plain(latents, 300, found.index[0], group, capacity)[0])
    assert np.isnan(found.radius[-1])  # nothing is left to choose; windows are left to cover
    assert np.isfinite(found.radius[:-1]).all()


def test_windows_that_are_not_allowed_are_neither_chosen_nor_covered():
    rng = np.random.default_rng(3)
    latents = isotropic(rng, 2000).astype(np.float32)
    allowed = rng.random(2000) < 0.7
    latents[~allowed] *= 50
    found, positions = k_center(latents, 100, allowed=allowed), np.flatnonzero(allowed)
    alone = k_center(latents[allowed], 100)
    np.testing.assert_array_equal(found.index, positions[alone.index])
    np.testing.assert_array_equal(found.radius, alone.radius)


def test_the_medoid_is_the_window_nearest_to_the_mean():
    latents = isotropic(np.random.default_rng(4), 500).astype(np.float32)
    nearest = np.linalg.norm(latents - latents.mean(0, dtype=np.float64), axis=1).argmin()
    assert k_center(latents, 1).index[0] == nearest
    assert k_center(latents, 1, start="first").index[0] == 0
    drawn = {int(k_center(latents, 1, start="random", seed=seed).index[0]) for seed in range(5)}
    assert len(drawn) > 1


def test_all_windows_can_be_chosen_and_then_nothing_is_uncovered():
    latents = duplicates(np.random.default_rng(5), 300).astype(np.float32)
    found = k_center(latents, 300)
    assert sorted(found.index) == list(range(300))
    assert found.radius[-1] == 0


def test_latents_mapped_from_a_file_give_the_same_list(tmp_path):
    latents = recordings(np.random.default_rng(6), 3000).astype(np.float32)
    np.save(tmp_path / "z.npy", latents)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    np.testing.assert_array_equal(k_center(mapped, 200).index, k_center(latents, 200).index)


@pytest.mark.parametrize("offset", [0, 1e3, 1e7])
@pytest.mark.parametrize("d", [3, 64, 500])
def test_the_matrix_product_stays_within_the_proven_slack(d, offset):
    rng = np.random.default_rng(d)
    x, c = (rng.standard_normal((2, 300, d)) * rng.gamma(0.3, 10, (2, 300, 1)) + offset).astype(np.float32)
    mean = x.mean(0)
    a, b = x - mean, c - mean
    length = [np.square(each, dtype=np.float64).sum(1) for each in (a, b)]
    product = np.float32(length[1])[None] - np.float32(2) * (a @ b.T)
    exact = np.array([[squared_distance(p, q) for q in c] for p in x[:40]])
    relative, absolute = slack_of(d)
    allowed = relative * (length[0][:40, None] + length[1]) + absolute
    assert (np.abs(length[0][:40, None] + product[:40] - exact) <= allowed).all()


def test_the_distance_is_summed_in_order_without_fused_steps():
    a, b = np.random.default_rng(7).standard_normal((2, 200, 64)).astype(np.float32)
    both = np.concatenate([a, b])
    one = [squared_distance(row, both[0]) for row in both]
    np.testing.assert_array_equal(np.array(one, dtype=np.float32), distances(both, 0))


@pytest.mark.parametrize("k", [0, 11])
def test_too_many_or_none_is_refused(k):
    with pytest.raises(UserError, match="between 1 and 10"):
        k_center(np.ones((10, 2), dtype=np.float32), k)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e16])
def test_latents_that_have_no_distance_are_refused(value):
    latents = np.ones((10, 2), dtype=np.float32)
    latents[7, 1] = value
    with pytest.raises(UserError, match="window 7"):
        k_center(latents, 2)


def test_latents_of_another_type_are_refused():
    with pytest.raises(UserError, match="float32"):
        k_center(np.ones((10, 2)), 2)
