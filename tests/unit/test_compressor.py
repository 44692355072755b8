"""The autoencoder that compresses windows, and its losses."""

import math

import pytest
import torch

from unimontage.errors import UserError
from unimontage.models.compressor import Compressor, views
from unimontage.objectives.reconstruction import instance_discrimination


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def small(channels=4, samples=40, **options):
    torch.manual_seed(0)
    return Compressor(channels, samples // 10, **{"width": 2, "d": 16, "depth": 2, "heads": 2} | options)


def test_it_has_the_published_size():
    model = Compressor(62, 80)
    encoder = parameters(model) - parameters(model.decoder) - parameters(model.heads) - parameters(model.projections)
    assert parameters(model) == 2_282_848  # 2.28 million
    assert encoder == 1_027_904  # 1.03 million


def test_views_are_ten_patches_of_signal_and_five_of_each_half_of_its_spectrum():
    x = torch.randn(3, 5, 60) * 30 + 7
    patches = views(x)
    assert patches.shape == (3, 20, 5, 6)
    whole = patches.transpose(1, 2).flatten(2)  # (3, 5, 120)
    inside = (1, 2)
    z = (x - x.mean(inside, keepdim=True)) / x.std(inside, keepdim=True, correction=0)
    spectrum = torch.fft.fft(z, dim=2)[:, :, :30]
    assert torch.allclose(whole[:, :, :60], z, atol=1e-5)
    for half, part in ((spectrum.abs(), whole[:, :, 60:90]), (spectrum.angle(), whole[:, :, 90:])):
        scale = half.std(inside, keepdim=True, correction=0)
        assert torch.allclose(part, (half - half.mean(inside, keepdim=True)) / scale, atol=1e-4)


@pytest.mark.parametrize("samples", [0, 19, 30, 801])
def test_windows_that_do_not_fall_into_patches_are_refused(samples):
    with pytest.raises(UserError, match="multiple of 20 samples"):
        views(torch.zeros(1, 2, samples))


@pytest.mark.parametrize("shape", [(2, 3, 40), (2, 4, 60)])
def test_windows_of_another_montage_or_length_are_refused(shape):
    with pytest.raises(ValueError, match="for a compressor of 4 channels and 40 samples"):
        small()(torch.randn(shape))


@pytest.mark.parametrize(("channels", "samples"), [(19, 2600), (23, 2200), (32, 1600), (62, 800)])
def test_a_latent_depends_on_its_window_alone(channels, samples):
    torch.manual_seed(0)
    model = Compressor(channels, samples // 10, depth=2)
    model(torch.randn(4, channels, samples))  # the batch norms see something
    window, others = torch.randn(channels, samples), torch.randn(19, channels, samples)
    alone = model.latents(window[None])[0]
    assert alone.shape == (64,)
    for place in (0, 11, 19):
        batch = torch.cat([others[:place], window[None], others[place:]])
        latents = model.latents(batch)
        assert torch.allclose(latents[place], alone, atol=1e-4)
        assert (latents[:place] - alone).norm(dim=1).gt(0.01).all()
    assert model.training  # as before


def test_latents_know_neither_dropout_nor_mask():
    model, x = small(mask_ratio=0.5), torch.randn(6, 4, 40)
    assert torch.equal(model.latents(x), model.latents(x))
    assert not torch.equal(model(x).total, model(x).total)


@pytest.mark.parametrize("options", [{}, {"mask_ratio": 0.5}, {"idc": "between_samples"}, {"idc": "off"}])
def test_every_tensor_learns(options):
    model = small(**options)
    model(torch.randn(6, 4, 40)).total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_without_the_decoder_the_heads_read_the_encoder():
    model = small(decoder_bypass=True)
    assert not parameters(model.decoder)
    model(torch.randn(6, 4, 40)).total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_tokens_of_a_view_share_one_embedding():
    model = small(depth=0, dropout=0.0)
    tokens = torch.zeros(5, 20, 16)
    with torch.no_grad():
        for table in (model.position, model.cls):
            table.zero_()
        sums = model._encode(tokens, None)
    kinds = torch.tensor([0] * 11 + [1] * 6 + [2] * 6)
    assert torch.equal(sums, model.view[kinds].expand(5, -1, -1))


def test_training_lowers_the_loss():
    model, x = small(dropout=0.0), torch.randn(8, 4, 40)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = model(x)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.reconstruction.item())
    assert losses[0] > 0.8
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("value", [0.0, 5.3, -4e4])
def test_constant_windows_stay_finite(value):
    model = small()
    x = torch.full((3, 4, 40), value)
    loss = model(x)
    loss.total.backward()
    assert loss.total.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.latents(x).isfinite().all()


def test_gradients_are_finite_in_half_precision():
    model = small()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(torch.randn(6, 4, 40))
    loss.total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_masked_share_is_that_of_every_window():
    mask = small(mask_ratio=0.3)._mask(50, torch.device("cpu"))
    assert mask.sum(1).tolist() == [6] * 50
    assert mask.any(0).all()


@pytest.mark.parametrize("among", ["within_window", "between_samples"])
def test_instance_discrimination_sums_over_all_other_instances(among):
    u, v = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    un, vn = (t / t.norm(dim=2, keepdim=True) for t in (u, v))
    if among == "within_window":
        groups = [[(un[b, i], vn[b, j]) for i in range(4) for j in range(4) if i != j] for b in range(3)]
    else:
        groups = [[(un[a, n], vn[b, n]) for a in range(3) for b in range(3) if a != b] for n in range(4)]
    costs = [math.log(sum(math.exp(float(a @ b)) for a, b in pairs)) for pairs in groups]
    assert instance_discrimination(u, v, among).item() == pytest.approx(sum(costs) / len(costs), abs=1e-5)


def test_one_instance_has_nothing_to_differ_from():
    with pytest.raises(ValueError, match="two instances or more"):
        instance_discrimination(torch.randn(1, 4, 5), torch.randn(1, 4, 5), "between_samples")
