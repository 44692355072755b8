import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.signal import normalise
from unimontage.signal.alignment import recentre, recentring_matrices
from unimontage.signal.normalise import Normaliser

GROUPS = np.array(["s1"] * 6 + ["s2"] * 9)


@pytest.fixture
def signal():
    rng = np.random.default_rng(0)
    offset = rng.normal(scale=1000, size=(1, 4, 1))
    scale = np.where(GROUPS == "s1", 5.0, 50.0)[:, None, None]
    return (offset + scale * rng.standard_normal((15, 4, 100))).astype(np.float32)


@pytest.mark.parametrize("chunk", [1, 1000, 8_000_000])
def test_statistics_are_those_of_numpy_over_each_group(signal, monkeypatch, chunk):
    monkeypatch.setattr(normalise, "CHUNK_VALUES", chunk)
    fitted = Normaliser.fit(signal, None, GROUPS)
    assert fitted.groups == ("s1", "s2")
    for g, name in enumerate(fitted.groups):
        block = signal[name == GROUPS].astype(np.float64)
        np.testing.assert_allclose(fitted.mean[g], block.mean((0, 2)), rtol=1e-12)
        np.testing.assert_allclose(fitted.deviation[g], block.std((0, 2)), rtol=1e-10)


def test_every_group_and_channel_is_standardised(signal):
    out = Normaliser.fit(signal, None, GROUPS).apply(signal, GROUPS)
    assert out.dtype == np.float32
    for name in ("s1", "s2"):
        block = out[name == GROUPS]
        np.testing.assert_allclose(block.mean((0, 2)), 0, atol=1e-3)
        np.testing.assert_allclose(block.std((0, 2)), 1, atol=1e-3)


def test_windows_outside_the_index_leave_no_trace(signal):
    index = np.array([12, 0, 2, 7, 3])
    fitted = Normaliser.fit(signal, index, GROUPS)
    changed = signal.copy()
    changed[np.setdiff1d(np.arange(15), index)] = 1e6
    again = Normaliser.fit(changed, index, GROUPS)
    np.testing.assert_array_equal(fitted.mean, again.mean)
    np.testing.assert_array_equal(fitted.deviation, again.deviation)
    by_mask = Normaliser.fit(signal, np.isin(np.arange(15), index), GROUPS)
    np.testing.assert_array_equal(fitted.mean, by_mask.mean)


def test_a_file_on_disk_gives_the_same_numbers_as_memory(signal, tmp_path):
    path = tmp_path / "signal.raw"
    signal.tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="r", shape=signal.shape)
    index = np.arange(1, 15, 2)
    ours, theirs = Normaliser.fit(mapped, index, GROUPS), Normaliser.fit(signal, index, GROUPS)
    np.testing.assert_array_equal(ours.deviation, theirs.deviation)
    out = ours.apply(mapped[3:5], GROUPS[3:5])
    np.testing.assert_array_equal(out, theirs.apply(signal[3:5], GROUPS[3:5]))
    assert type(out) is np.ndarray


def test_pooled_statistics_serve_a_group_never_seen(signal):
    fitted = Normaliser.fit(signal, np.arange(6), GROUPS, scope="pooled")
    assert fitted.mean.shape == (1, 4)
    assert fitted.apply(signal[6:], GROUPS[6:]).shape == (9, 4, 100)
    np.testing.assert_allclose(fitted.deviation[0], signal[:6].astype(np.float64).std((0, 2)))
    with pytest.raises(UserError, match="no normalisation statistics for 's2'"):
        Normaliser.fit(signal, np.arange(6), GROUPS).apply(signal, GROUPS)


def test_outliers_are_clipped_at_six_deviations(signal):
    fitted = Normaliser.fit(signal, None, GROUPS)
    signal[0, 1, 3], signal[0, 1, 4] = 1e7, -1e7
    out = fitted.apply(signal, GROUPS)
    assert out[0, 1, 3] == 6
    assert out[0, 1, 4] == -6
    assert Normaliser(fitted.groups, fitted.mean, fitted.deviation, clip=None).apply(signal, GROUPS).max() > 100


def test_a_flat_channel_is_named(signal):
    signal[GROUPS == "s2", 3] = 0.1
    with pytest.raises(UserError, match=r"channel 3 .* is flat in 's2'"):
        Normaliser.fit(signal, None, GROUPS)
    Normaliser.fit(signal, np.arange(6), GROUPS)
    signal[:, 3, ::2], signal[:, 3, 1::2] = 1000, np.nextafter(np.float32(1000), np.float32(1001))
    with pytest.raises(UserError, match=r"channel 3 .* is flat in 's1'"):
        Normaliser.fit(signal, None, GROUPS)


def test_a_channel_that_is_not_finite_is_named(signal):
    signal[2, 1, 5] = np.nan
    with pytest.raises(UserError, match=r"channel 1 .* not finite in 's1'"):
        Normaliser.fit(signal, None, GROUPS)


def test_no_window_and_a_wrong_number_of_groups_are_refused(signal):
    for fit in (Normaliser.fit, recentring_matrices):
        with pytest.raises(UserError, match="no window"):
            fit(signal, np.zeros(15, dtype=bool), GROUPS)
        with pytest.raises(ValueError, match="15 windows"):
            fit(signal, None, GROUPS[:3])


def mixed(rank=4):
    rng = np.random.default_rng(1)
    mixing = rng.standard_normal((2, 4, rank))
    sources = rng.standard_normal((15, rank, 200))
    return (mixing[(GROUPS == "s2").astype(int)] @ sources).astype(np.float32)


@pytest.mark.parametrize("chunk", [1000, 8_000_000])
def test_every_group_has_the_identity_as_its_mean_covariance_after_alignment(monkeypatch, chunk):
    monkeypatch.setattr(normalise, "CHUNK_VALUES", chunk)
    signal = mixed()
    matrices = recentring_matrices(signal, None, GROUPS)
    assert list(matrices) == ["s1", "s2"]
    out = recentre(signal, matrices, GROUPS)
    assert out.dtype == np.float32
    for name in matrices:
        block = out[name == GROUPS].astype(np.float64)
        np.testing.assert_allclose(np.einsum("nct,ndt->cd", block, block) / (len(block) * 200), np.eye(4), atol=1e-4)
        np.testing.assert_allclose(matrices[name], matrices[name].T, atol=1e-12)


def test_an_average_reference_is_whitened_only_where_there_is_signal():
    signal = mixed()
    signal -= signal.mean(1, keepdims=True)
    out = recentre(signal, recentring_matrices(signal, None, GROUPS), GROUPS)
    block = out[GROUPS == "s1"].astype(np.float64)
    values = np.linalg.eigvalsh(np.einsum("nct,ndt->cd", block, block) / (6 * 200))
    np.testing.assert_allclose(values, [0, 1, 1, 1], atol=1e-3)


def test_alignment_learns_from_the_index_alone():
    signal = mixed()
    index = np.array([0, 1, 2, 8, 9])
    matrices = recentring_matrices(signal, index, GROUPS)
    signal[3] = 1e6
    again = recentring_matrices(signal, index, GROUPS)
    for name, matrix in matrices.items():
        np.testing.assert_array_equal(matrix, again[name])


def test_alignment_of_a_strange_or_silent_group_is_refused():
    signal = mixed()
    with pytest.raises(UserError, match="no recentring matrix for 's2'"):
        recentre(signal, recentring_matrices(signal, np.arange(6), GROUPS), GROUPS)
    with pytest.raises(UserError, match="covariance of 's1' is zero"):
        recentring_matrices(0 * signal, None, GROUPS)
