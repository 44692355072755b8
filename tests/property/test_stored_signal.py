"""Windows rounded to 16 bits: how near they are, and that the fast way to read them is the plain one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unimontage.windows.signal import MOST, StoredSignal, restored, rounded

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)
UV = st.floats(-1e6, 1e6, width=32)


@given(hnp.arrays(np.float32, SHAPES, elements=UV))
def test_no_sample_moves_by_more_than_half_a_step(windows):
    numbers, step = rounded(windows)
    error = np.abs(restored(numbers, step).astype(float) - windows)
    exact = np.abs(windows).max(2).astype(float)[..., None] / MOST
    assert (error <= exact / 2 + 2e-7 * np.abs(windows) + 1e-40).all()  # and the rounding of float32 itself
    assert (np.abs(numbers.astype(int)) <= MOST).all()


@given(hnp.arrays(np.float32, SHAPES, elements=UV), st.data())
def test_windows_gathered_in_one_pass_are_those_read_plainly(windows, data):
    signal = StoredSignal(*rounded(windows))
    n = len(windows)
    rows = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=12)), dtype=np.intp)
    np.testing.assert_array_equal(signal[rows], restored(signal.numbers[rows], signal.step_uv[rows]))
    everything = signal[:]
    for where in (rows.tolist(), slice(1, None), windows[:, 0, 0] > 0, n - 1, (rows, windows.shape[1] - 1)):
        np.testing.assert_array_equal(signal[where], everything[where])


@given(st.integers(0, 2**31))
def test_noise_comes_back_four_times_nearer_than_from_half_precision(seed):
    windows = np.random.default_rng(seed).normal(0, 20, (4, 3, 400)).astype(np.float32)
    error, half = (
        np.square(other - windows).mean() ** 0.5 for other in (restored(*rounded(windows)), windows.astype("f2"))
    )
    assert error < half / 4


def test_a_missing_channel_stays_missing_and_a_still_one_still():
    windows = np.ones((2, 3, 5), dtype=np.float32)
    windows[0, 1], windows[1, 2] = np.nan, 0
    np.testing.assert_allclose(StoredSignal(*rounded(windows))[np.arange(2)], windows, rtol=1e-6)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_single_sample_that_is_not_finite_is_refused(odd):
    windows = np.ones((2, 3, 5), dtype=np.float32)
    windows[1, 2, 3] = odd
    with pytest.raises(ValueError, match="a sample is not finite"):
        rounded(windows)


@pytest.mark.parametrize("row", [2, -3])
def test_a_row_that_is_not_there_is_an_error(row):
    signal = StoredSignal(*rounded(np.ones((2, 3, 5))))
    with pytest.raises(IndexError, match="of 2 windows"):
        signal[np.array([0, row])]
