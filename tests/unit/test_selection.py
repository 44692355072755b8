"""Selections: what each method chooses, and what it refuses; latents on disk; coverage."""

import numpy as np
import pytest
import torch

from unimontage.distillation.budget import budget
from unimontage.distillation.coverage import coverage, kept_shares
from unimontage.distillation.hbos import hbos_scores
from unimontage.distillation.latents import Latents, LatentWriter, ids_beside
from unimontage.distillation.m3d import RandomFeatures, match_moments, mmd
from unimontage.distillation.nearest import nearest
from unimontage.distillation.pca import components
from unimontage.distillation.selection import select
from unimontage.errors import UserError


def blobs(sizes, d=6, seed=0):
    """Tight clusters of the given sizes, far apart, and the cluster of every window."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(sizes)), sizes)
    return (20 * np.eye(len(sizes), d)[label] + rng.standard_normal((len(label), d))).astype(np.float32), label


@pytest.mark.parametrize("method", ["dlite", "kmeans"])
def test_a_method_that_looks_finds_the_rare_cluster(method):
    latents, label = blobs([400, 400, 6])
    found = select(method, 60 if method == "kmeans" else 3, latents=latents, kept=np.ones(len(label), dtype=bool))
    assert set(label[found.index]) == {0, 1, 2}


def test_pca_sees_what_differs_between_the_windows():
    _, label = blobs([300, 300, 6])
    rng = np.random.default_rng(1)
    pattern = 30 * rng.standard_normal((3, 4, 50))
    signal = (pattern[label] + rng.standard_normal((len(label), 4, 50))).astype(np.float32)
    kept = np.ones(len(label), dtype=bool)
    found = select("pca", 3, windows=lambda positions: signal[positions], kept=kept)
    assert set(label[found.index]) == {0, 1, 2}
    scored = select("pca", 3, windows=lambda positions: signal[positions], kept=kept, tau=0.05)
    assert (~scored.kept).sum() == 30
    assert scored.oddness[~scored.kept].min() >= scored.oddness[scored.kept].max()


def test_components_are_those_of_all_windows_at_once():
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(2)
    signal = (rng.standard_normal((1040, 3)) * [9, 6, 3] @ rng.standard_normal((3, 24))).astype(np.float32)
    found = components(lambda positions: signal[positions].reshape(-1, 4, 6), np.arange(1040), 3)
    expected = PCA(3).fit_transform(signal)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-2)


def test_stride_takes_equal_steps_through_every_recording():
    recordings = np.array(["a"] * 20 + ["b"] * 10)
    starts = np.r_[np.arange(20)[::-1], np.arange(10)]
    found = select("stride", 6, recordings=recordings, starts=starts, kept=np.ones(30, dtype=bool))
    assert [(recordings[i], starts[i]) for i in found.index] == [
        ("a", 2),
        ("a", 7),
        ("a", 12),
        ("a", 17),
        ("b", 2),
        ("b", 7),
    ]


def test_outliers_of_windows_already_left_out_do_not_count():
    latents, _ = blobs([200])
    latents[:50] *= 100
    kept = np.arange(200) >= 50
    found = select("hbos_random", 10, latents=latents, kept=kept, tau=0.1)
    assert (found.kept[50:]).sum() == 135
    assert not found.kept[:50].any()
    assert np.isnan(found.oddness[:50]).all()
    np.testing.assert_array_equal(found.oddness[50:], hbos_scores(latents[50:]))
    np.testing.assert_array_equal(found.score, found.oddness[found.index])


def test_scores_say_how_far_each_choice_was_from_those_before():
    latents, _ = blobs([50, 50])
    found = select("dlite", 4, latents=latents, kept=np.ones(100, dtype=bool))
    assert np.isnan(found.score[0])
    chosen = latents[found.index]
    expected = [np.linalg.norm(chosen[:i] - chosen[i], axis=1).min() for i in (1, 2, 3)]
    np.testing.assert_allclose(found.score[1:], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("best", {}, "no selection method 'best'"),
        ("dlite", {}, "was given no latents"),
        ("stride", {"recordings": np.zeros(10)}, "was given no starts"),
        ("pca", {}, "was given no windows"),
        ("dlite", {"latents": np.ones((9, 2), np.float32)}, "9 latents for 10 windows"),
        ("random", {"tau": 0.1}, "removes no outliers"),
        ("random", {"quota": "subject", "subjects": np.zeros(10)}, "quota: subject with method random"),
        ("dlite", {"latents": np.ones((10, 2), np.float32), "quota": "subject"}, "was given no subjects"),
        ("dlite", {"latents": np.ones((10, 2), np.float32), "tau": 0.9}, "mend: fraction: a smaller one"),
    ],
)
def test_what_cannot_be_done_is_refused(method, options, message):
    with pytest.raises(UserError, match=message):
        select(method, 2, kept=np.ones(10, dtype=bool), **options)


def test_more_than_was_kept_is_refused():
    with pytest.raises(UserError, match="5 windows are to be chosen of 10, and 4 may be"):
        select("random", 5, kept=np.arange(10) < 4)


def test_a_budget_is_a_floor_of_all_windows_and_at_least_one():
    assert [budget(0.05, n) for n in (1, 19, 39, 40, 100)] == [1, 1, 1, 2, 5]
    assert budget(0.29, 100) == 29
    assert budget(1, 7) == 7
    for fraction, total in ((0, 5), (1.1, 5), (0.5, 0)):
        with pytest.raises(UserError):
            budget(fraction, total)


def test_coverage_and_shares():
    latents = np.array([[0.0], [1], [2], [10]], dtype=np.float32)
    assert coverage(latents, np.array([1])).radius == 9
    assert coverage(latents, np.array([1]), latents[:, 0] < 5).radius == 1
    assert coverage(latents, np.array([1])).mean == pytest.approx(11 / 4)
    table = kept_shares(np.array([0, 3]), np.array(["x", "x", "x", "y"]))
    assert table.to_dict("list") == {"group": ["x", "y"], "windows": [3, 1], "chosen": [1, 1], "share": [1 / 3, 1.0]}
    with pytest.raises(UserError, match="at least one"):
        coverage(latents, np.array([], dtype=int))


def test_the_nearest_centre_over_many_pieces(monkeypatch):
    from unimontage.distillation import nearest as module

    monkeypatch.setattr(module, "ROWS", 7)
    monkeypatch.setattr(module, "COLUMNS", 5)
    rng = np.random.default_rng(3)
    points, centres = (rng.standard_normal((n, 4)).astype(np.float32) + 50 for n in (40, 23))
    between = np.linalg.norm(points[:, None] - centres[None], axis=2)
    index, distance = nearest(points, centres)
    np.testing.assert_array_equal(index, between.argmin(1))
    np.testing.assert_allclose(distance, between.min(1), rtol=1e-5)


def test_the_discrepancy_of_a_set_with_itself_is_nothing_and_grows_with_the_shift():
    torch.manual_seed(0)
    a, b = torch.randn(2, 200, 8)
    assert mmd(a, a).abs() < 1e-5
    values = [float(mmd(a, b + shift)) for shift in (0.0, 0.5, 2.0)]
    assert values[0] < values[1] < values[2]


def test_random_features_of_a_window_do_not_depend_on_its_batch():
    torch.manual_seed(0)
    features, x = RandomFeatures(3, 100), torch.randn(6, 3, 100)
    assert features(x).shape == (6, 32)
    torch.testing.assert_close(features(x)[2:3], features(x[2:3]))
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_matching_moments_leaves_the_generator_of_torch_alone_and_obeys_its_seed():
    signal = np.random.default_rng(4).standard_normal((300, 3, 64)).astype(np.float32)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    runs = [
        match_moments(lambda p: signal[p], np.arange(100, 300), 20, iterations=2, seed=seed)[0] for seed in (1, 1, 2)
    ]
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(runs[0], runs[1])
    assert set(runs[0]) != set(runs[2])
    assert all(index.min() >= 100 for index in runs)


def test_matching_moments_moves_the_synthetic_windows():
    """With more passes they are others, so the choice is not only that of the windows they began as."""
    signal = np.random.default_rng(6).standard_normal((600, 2, 64)).astype(np.float32)
    one, many = (match_moments(lambda p: signal[p], np.arange(600), 30, iterations=i, seed=1) for i in (1, 40))
    assert many[1].mean() != pytest.approx(one[1].mean(), rel=1e-3)


def test_windows_that_matching_moments_cannot_take_are_refused():
    signal = np.ones((5, 2, 20), dtype=np.float32)
    with pytest.raises(UserError, match="20 samples"):
        match_moments(lambda p: signal[p], np.arange(5), 2)
    with pytest.raises(UserError, match="0 passes"):
        match_moments(lambda p: signal[p], np.arange(5), 2, iterations=0)
    hole = np.ones((5, 2, 40), dtype=np.float32)
    hole[3, 1] = np.nan
    for method in ("pca", "m3d"):
        with pytest.raises(UserError, match="window 3 holds values that are not finite"):
            select(method, 2, windows=lambda p: hole[p], kept=np.ones(5, dtype=bool))


def test_latents_come_back_from_disk_as_they_were(tmp_path):
    path, rng = tmp_path / "corpus" / "z.npy", np.random.default_rng(7)
    parts = [rng.standard_normal((n, 8)).astype(np.float32) for n in (3, 1, 6)]
    with LatentWriter(path, 8) as writer:
        for k, part in enumerate(parts):
            writer.append([f"w/{k}/{row}" for row in range(len(part))], part)
        assert not path.exists()
        writer.finish()
    latents = Latents.open(path)
    np.testing.assert_array_equal(latents.values, np.concatenate(parts))
    assert list(latents.ids[:4]) == ["w/0/0", "w/0/1", "w/0/2", "w/1/0"]
    assert not latents.values.flags.owndata
    assert sorted(each.name for each in path.parent.iterdir()) == ["z.ids.parquet", "z.npy"]


def test_latents_that_were_not_finished_leave_nothing(tmp_path):
    with LatentWriter(tmp_path / "z.npy", 2) as writer:
        writer.append(["a"], np.ones((1, 2)))
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ids", "values", "message"),
    [
        (["a", "a"], np.ones((2, 3)), "window a stands twice"),
        (["a"], np.ones((2, 3)), "for 1 windows"),
        (["a"], np.full((1, 3), np.nan), "not all finite"),
        ([], np.ones((0, 3)), "no latents"),
    ],
)
def test_latents_that_make_no_sense_are_not_written(tmp_path, ids, values, message):
    def write():
        with LatentWriter(tmp_path / "z.npy", 3) as writer:
            writer.append(ids, values)
            writer.finish()

    with pytest.raises(UserError, match=message):
        write()
    assert list(tmp_path.iterdir()) == []


def test_latents_without_their_ids_or_cut_short_are_refused(tmp_path):
    path = tmp_path / "z.npy"
    with pytest.raises(UserError, match="missing"):
        Latents.open(path)
    with LatentWriter(path, 3) as writer:
        writer.append(["a", "b"], np.ones((2, 3)))
        writer.finish()
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(UserError, match="not a readable array"):
        Latents.open(path)
    np.save(path, np.ones((3, 3), dtype=np.float32))
    with pytest.raises(UserError, match="speaks of"):
        Latents.open(path)
    path.write_bytes(whole)
    ids_beside(path).unlink()
    with pytest.raises(UserError, match="missing"):
        Latents.open(path)
