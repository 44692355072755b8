import numpy as np
import pytest
import torch

from unimontage.config.recipes import Augmentation
from unimontage.signal.augment import (
    apply_crop,
    apply_mask,
    apply_noise,
    apply_scale,
    augment,
    draw_crop,
    draw_mask,
    draw_noise,
    draw_scale,
    two_views,
)

BATCH, SAMPLES = 400, 200
STILL = Augmentation(crop_min=1.0, probability=0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x():
    return torch.randn(BATCH, SAMPLES, generator=generator(99), dtype=torch.float64)


def test_the_crop_equals_interpolation_row_by_row(x):
    crop = draw_crop(x, generator(), 0.5)
    out = apply_crop(x, crop).numpy()
    grid = np.arange(SAMPLES)
    for row, start, scale, stretched in zip(x.numpy(), crop.start.numpy(), crop.scale.numpy(), out, strict=True):
        expected = np.interp(start * (SAMPLES - 1) + scale * grid, grid, row)
        np.testing.assert_allclose(stretched, expected, atol=1e-12)


def test_the_whole_window_as_a_crop_is_the_window(x):
    assert torch.equal(augment(x, generator(), STILL), x)


def test_a_crop_stays_inside_the_window(x):
    crop = draw_crop(x, generator(), 0.5)
    assert crop.scale.min() >= 0.5
    assert crop.scale.max() < 1
    assert crop.start.min() >= 0
    assert (crop.start + crop.scale).max() <= 1
    assert crop.start.max() > 0.4
    ramp = torch.arange(SAMPLES, dtype=torch.float64).expand(BATCH, -1)
    out = apply_crop(ramp, crop)
    assert (out.diff(dim=1) > 0).all()
    assert out.min() >= 0
    assert out.max() <= SAMPLES - 1


def test_scaling_equals_multiplication_row_by_row(x):
    factor = draw_scale(x, generator(), 0.8, 1.25, 0.5)
    for row, f, out in zip(x.numpy(), factor.numpy(), apply_scale(x, factor).numpy(), strict=True):
        np.testing.assert_array_equal(out, row * f)


def test_noise_equals_its_formula_row_by_row(x):
    noise = draw_noise(x, generator(), 0.1, 0.5)
    rows = zip(x.numpy(), noise.sigma.numpy(), noise.unit.numpy(), apply_noise(x, noise).numpy(), strict=True)
    for row, sigma, unit, out in rows:
        np.testing.assert_allclose(out, row + sigma * row.std() * unit, atol=1e-12)


def test_the_mask_equals_a_slice_set_to_zero_row_by_row(x):
    mask = draw_mask(x, generator(), 0.125, 0.5)
    for row, start, length, out in zip(x.numpy(), mask.start, mask.length, apply_mask(x, mask).numpy(), strict=True):
        expected = row.copy()
        expected[start : start + length] = 0
        np.testing.assert_array_equal(out, expected)


def test_a_mask_is_short_enough_and_reaches_both_ends():
    x = torch.zeros(5000, 40)
    mask = draw_mask(x, generator(), 0.125, 1.0)
    assert mask.length.unique().tolist() == [0, 1, 2, 3, 4, 5]
    assert mask.start.min() == 0
    assert (mask.start + mask.length).max() == 40
    assert not draw_mask(x, generator(), 0.0, 1.0).length.any()
    everything = draw_mask(x, generator(), 1.0, 1.0)
    assert ((everything.start + everything.length) <= 40).all()


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_each_operation_touches_its_share_of_rows(x, probability):
    factor = draw_scale(x, generator(1), 0.8, 1.25, probability)
    sigma = draw_noise(x, generator(2), 0.1, probability).sigma
    assert ((factor >= 0.8) & (factor < 1.25)).all()
    assert ((sigma >= 0) & (sigma < 0.1)).all()
    for touched in (factor != 1, sigma > 0):
        assert touched.double().mean().item() == pytest.approx(probability, abs=0.1)


def test_two_views_differ_and_follow_the_generator():
    x = torch.randn(32, 128)
    a, b = two_views(x, generator(5), Augmentation())
    again = two_views(x, generator(5), Augmentation())
    assert a.shape == b.shape == x.shape
    assert a.dtype == x.dtype
    assert torch.equal(a, again[0])
    assert torch.equal(b, again[1])
    assert not torch.equal(a, b)
    assert not torch.equal(a, two_views(x, generator(6), Augmentation())[0])


def test_views_leave_the_window_and_the_global_generator_alone():
    x = torch.randn(8, 128)
    before, state = x.clone(), torch.get_rng_state()
    two_views(x, generator(), Augmentation())
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_two_views_still_resemble_their_window():
    t = torch.arange(200) / 200
    x = torch.sin(2 * torch.pi * torch.tensor([[2.0], [10.0], [20.0]]) * t) * 2**0.5
    x = x.repeat(50, 1)
    for view in two_views(x, generator(), Augmentation()):
        assert torch.isfinite(view).all()
        assert view.std(1).mean().item() == pytest.approx(1, abs=0.2)
