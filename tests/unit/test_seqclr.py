"""The six operations of a SeqCLR view, each against the same written out for one window at a time."""

import math

import numpy as np
import pytest
import torch

from unimontage.signal import seqclr
from unimontage.signal.band_mask import mask_band
from unimontage.signal.bands import SLEEP_BANDS, SLEEP_BANDS_WITHOUT_GAMMA
from unimontage.signal.seqclr import (
    apply_band_stop,
    apply_gain,
    apply_mask,
    apply_noise,
    apply_shift,
    choose,
    draw,
    seqclr_view,
)

B, C, T, RATE = 600, 3, 500, 100.0


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(x, chance, rate_hz, microvolt):
    """All that is random in a view but the noise itself."""
    return draw(x, choose(len(x), chance), chance, rate_hz, microvolt=microvolt)


@pytest.fixture(scope="module")
def x():
    return torch.randn(B, C, T, generator=generator(99), dtype=torch.float64)


@pytest.fixture(scope="module")
def view(x):
    return drawn(x, generator(1), RATE, microvolt=0.1)


def by_window(operation, x, *parameters):
    """One window at a time in numpy."""
    rows = zip(x.numpy(), *(parameter.numpy() for parameter in parameters), strict=True)
    return np.stack([operation(window, *values) for window, *values in rows])


def masked(window, start, length):
    out = window.copy()
    out[:, start : start + length] = 0
    return out


def stopped(window, centre):
    spectrum, frequency = np.fft.rfft(window), np.fft.rfftfreq(T, 1 / RATE)
    spectrum[:, (frequency >= centre - 1.25) & (frequency <= centre + 1.25)] = 0
    return np.fft.irfft(spectrum, n=T)


def test_each_operation_equals_its_plain_form(x, view):
    unit = torch.randn(x.shape, generator=generator(7), dtype=x.dtype)
    pairs = [
        (apply_gain(x, view.factor, view.offset), by_window(lambda w, f, o: w * f + o, x, view.factor, view.offset)),
        (apply_shift(x, view.shift), by_window(lambda w, s: np.roll(w, s, axis=1), x, view.shift)),
        (apply_mask(x, view.start, view.length), by_window(masked, x, view.start, view.length)),
        (apply_noise(x, view.sigma, unit), by_window(lambda w, s, u: w + s * u, x, view.sigma, unit)),
        (apply_band_stop(x, view.centre_hz, RATE), by_window(stopped, x, view.centre_hz)),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)
        assert not np.allclose(expected, x.numpy())  # it does something


def test_two_different_operations_touch_every_window_and_all_are_as_likely(view):
    touched = torch.stack(
        [
            view.factor != 1,
            view.shift != 0,
            view.offset != 0,
            view.length > 0,
            view.sigma > 0,
            view.centre_hz.isfinite(),
        ]
    )
    # a shift or a mask that is drawn may be of no sample
    assert touched.sum(0).max() == 2
    assert (touched.sum(0) == 2).double().mean() > 0.98
    assert touched.double().mean(1).sub(1 / 3).abs().max() < 0.08


def test_parameters_keep_to_their_ranges_and_fill_them(view):
    offset, centre = view.offset[view.offset != 0], view.centre_hz[view.centre_hz.isfinite()]
    for values, low, high in [
        (view.factor, 0.5, 2),
        (view.shift, -100, 100),
        (offset, -1, 1),
        (view.length, 0, 100),
        (view.sigma, 0, 0.2),
        (centre, 2.8, 47.5),
    ]:
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    assert ((view.start >= 0) & (view.start + view.length <= T)).all()


def test_the_ends_of_whole_numbers_are_reached():
    view = drawn(torch.zeros(40000, 1, 12), generator(), 4.0, microvolt=1.0)
    assert view.shift.unique().tolist() == list(range(-4, 5))
    assert view.length.unique().tolist() == list(range(5))
    assert (view.start + view.length).max() == 12
    assert view.start[view.length > 0].min() == 0


def test_all_channels_of_a_window_are_treated_alike(x):
    """But for noise, which is each channel's own: copies stay copies."""
    copies = x[:, :1].expand(-1, C, -1).contiguous()
    out, view = seqclr_view(copies, generator(3), RATE), drawn(copies, generator(3), RATE, microvolt=0.1)
    quiet = view.sigma == 0
    assert 0.5 < quiet.double().mean() < 0.8
    torch.testing.assert_close(out[quiet], out[quiet][:, :1].expand(-1, C, -1))
    assert (out[~quiet][:, 0] != out[~quiet][:, 1]).any(1).all()


def test_a_view_is_its_operations_one_after_the_other(x):
    view = drawn(x, generator(3), RATE, microvolt=0.1)
    chance = generator(3)
    drawn(x, chance, RATE, microvolt=0.1)
    unit = torch.zeros_like(x)
    noisy = view.sigma > 0
    unit[noisy] = torch.randn(int(noisy.sum()), C, T, generator=chance, dtype=x.dtype)
    turned = apply_shift(x * view.factor[:, None, None], view.shift)
    expected = apply_mask(turned + view.offset[:, None, None], view.start, view.length)
    expected = apply_band_stop(apply_noise(expected, view.sigma, unit), view.centre_hz, RATE)
    torch.testing.assert_close(seqclr_view(x, generator(3), RATE), expected)


def test_views_follow_the_generator_and_leave_the_rest_alone():
    x = torch.randn(16, 2, 300)
    before, state = x.clone(), torch.get_rng_state()
    one, again, other = (seqclr_view(x, generator(seed), RATE) for seed in (5, 5, 6))
    assert one.dtype == x.dtype
    assert torch.isfinite(one).all()
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_ten_microvolt_are_ten_microvolt_of_each_recording(x):
    scale = torch.linspace(0.01, 1.0, B, dtype=x.dtype)
    each = drawn(x, generator(), RATE, microvolt=scale).offset
    torch.testing.assert_close(each, drawn(x, generator(), RATE, microvolt=1.0).offset * scale)


def test_a_band_stop_of_nowhere_is_the_very_window(x):
    nowhere = torch.full((B,), math.inf, dtype=x.dtype)
    assert torch.equal(apply_band_stop(x, nowhere, RATE), x)


@pytest.mark.parametrize("samples", [3000, 2999, 1500])
@pytest.mark.parametrize("bands", [SLEEP_BANDS, SLEEP_BANDS_WITHOUT_GAMMA])
def test_the_masked_band_is_empty_and_the_others_untouched(samples, bands):
    x = torch.randn(len(bands), 2, samples, generator=generator())
    out = mask_band(x, torch.arange(len(bands)), bands, RATE)
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    before, after = (np.abs(np.fft.rfft(signal.double().numpy())) for signal in (x, out))
    for band, (low, high) in enumerate(bands.values()):
        inside = (frequency >= low) & (frequency < high)
        lost = after[band][:, inside]
        assert (lost**2).sum() <= 1e-6 * (after[band] ** 2).sum()
        np.testing.assert_allclose(after[band][:, ~inside], before[band][:, ~inside], atol=1e-3)


def test_a_gpu_does_to_all_windows_what_a_processor_does_to_the_chosen_ones(x, monkeypatch):
    """But for the noise, which a GPU draws for all of them."""
    expected, quiet = seqclr_view(x, generator(3), RATE), drawn(x, generator(3), RATE, microvolt=0.1).sigma == 0
    monkeypatch.setattr(seqclr, "_only_chosen", lambda x: False)
    found = seqclr_view(x, generator(3), RATE)
    torch.testing.assert_close(found[quiet], expected[quiet], rtol=0, atol=1e-12)
    assert (found[~quiet] != expected[~quiet]).any(2).all()
