"""Alignments: any montage to the same rows."""

import math

import numpy as np
import pytest
import torch

from unimontage.errors import UserError
from unimontage.models.alignment import ALIGNMENTS, build_alignment, fourier_embedding
from unimontage.montage.names import KNOWN
from unimontage.montage.positions import positions_2d

SLEEP = {
    "two": ("FPZ-CZ", "PZ-OZ"),
    "six": ("F3", "C3", "O1", "F4", "C4", "O2"),
    "eleven": ("F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "FZ", "CZ", "PZ"),
}
SCALP = {"six": SLEEP["six"], "eleven": SLEEP["eleven"]}
MANY = tuple(sorted(KNOWN - {"A1", "A2", "M1", "M2"}))[::4][:83]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_embedding_is_the_waves_written_out():
    positions = torch.rand(5, 2, dtype=torch.float64)
    found = fourier_embedding(positions, 3)
    for (x, y), row in zip(positions.tolist(), found.tolist(), strict=True):
        phases = [2 * math.pi * (i * (x + 0.2) + j * (y + 0.2)) / 1.4 for i in range(3) for j in range(3)]
        np.testing.assert_allclose(row, [*map(math.cos, phases), *map(math.sin, phases)], atol=1e-12)
    assert fourier_embedding(positions, 6).shape == (5, 72)


def test_a_dataset_costs_1152_parameters_unless_all_share_them():
    assert parameters(build_alignment("cam", SLEEP)) == 3 * 1152
    assert parameters(build_alignment("cam", SLEEP, shared=True)) == 1152
    assert parameters(build_alignment("linear", SLEEP, rows=4)) == 4 * (2 + 6 + 11)


def test_virtual_channels_are_the_weighted_means_written_out():
    torch.manual_seed(0)
    cam = build_alignment("cam", SLEEP, rows=5).eval()
    x = torch.randn(3, 6, 40)
    embedding = fourier_embedding(torch.tensor(positions_2d(SLEEP["six"])), 6).numpy()
    scores = cam.heads["six"].detach().double().numpy() @ embedding.T
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(cam.weights("six").detach(), weights, atol=1e-5)
    np.testing.assert_allclose(cam(x, "six").detach(), np.einsum("oc,bct->bot", weights, x.numpy()), atol=1e-5)


def test_rows_of_attention_sum_to_one_and_absent_channels_have_none():
    cam = build_alignment("cam", SLEEP)
    present = torch.rand(4, 11) > 0.5
    present[:, 0] = True
    weights = cam.weights("eleven", present)
    assert weights.shape == (4, 16, 11)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 16))
    assert not weights[(~present)[:, None].expand(-1, 16, -1)].any()
    torch.testing.assert_close(cam.weights("eleven", present[1]), weights[1])


def test_an_absent_channel_leaves_the_attention_of_the_montage_without_it():
    cam = build_alignment("cam", {"whole": SLEEP["six"], "less": SLEEP["six"][1:]}, shared=True).eval()
    x = torch.randn(2, 6, 30)
    x[:, 0] = 0
    present = torch.tensor([False, True, True, True, True, True])
    torch.testing.assert_close(cam(x, "whole", present), cam(x[:, 1:], "less"))


def test_channels_at_one_place_are_weighted_alike():
    cam = build_alignment("cam", {"cerebellar": ("CB1", "PO9")})
    torch.testing.assert_close(cam.weights("cerebellar"), torch.full((16, 2), 0.5))


@pytest.mark.parametrize("channels", [("FPZ-CZ",), ("FPZ-CZ", "PZ-OZ"), SLEEP["six"], SLEEP["eleven"], MANY])
@pytest.mark.parametrize("radius", ["auto", 0.2, 2.0])
def test_spatial_dropout_never_makes_a_number_that_is_none(channels, radius):
    torch.manual_seed(0)
    cam = build_alignment("cam", {"d": channels}, radius=radius).train()
    x = torch.randn(3, len(channels), 8)
    present = torch.ones(3, len(channels), dtype=torch.bool)
    present[0, 1:] = False
    for given in (None, present[0], present):
        for _ in range(100):
            assert torch.isfinite(cam(x, "d", given)).all()
    cam(x, "d", present).sum().backward()
    assert torch.isfinite(cam.heads["d"].grad).all()


def banned(cam, dataset, draws=300, present=None):
    """How many channels have no weight, over many training steps."""
    channels = len(cam.montages[dataset])
    x = torch.eye(channels)[None]
    return torch.stack([(cam(x, dataset, present)[0] == 0).all(0).sum() for _ in range(draws)])


def test_spatial_dropout_bans_what_is_near_and_only_in_training():
    torch.manual_seed(0)
    cam = build_alignment("cam", {"many": MANY, **SLEEP}).train()
    assert banned(cam, "many").float().mean() == pytest.approx(83 * math.pi * 0.1**2, rel=0.35)
    assert banned(cam, "eleven").max() >= 1
    assert banned(cam, "two").max() == 0  # of two channels one is too many
    assert banned(build_alignment("cam", SLEEP, radius=0.2).train(), "two").max() == 1  # unless it is asked for
    assert banned(build_alignment("cam", SLEEP, radius=0.0).train(), "eleven").max() == 0
    assert banned(cam.eval(), "many", draws=50).max() == 0


def test_spatial_dropout_follows_torch_s_generator():
    cam, x = build_alignment("cam", SLEEP, radius=0.3).train(), torch.randn(2, 11, 5)
    out = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        out.append(torch.stack([cam(x, "eleven") for _ in range(5)]))
    assert torch.equal(out[0], out[1])
    assert not torch.equal(out[0], out[2])


@pytest.mark.parametrize("kind", ["cam", "linear"])
def test_a_saved_alignment_loads_for_some_of_its_datasets(kind):
    whole, part = build_alignment(kind, SLEEP), build_alignment(kind, {"six": SLEEP["six"]})
    found = part.load_state_dict(whole.state_dict(), strict=False)
    assert not found.missing_keys
    assert {name.rpartition(".")[2] for name in found.unexpected_keys} == {"two", "eleven"}
    x = torch.randn(2, 6, 9)
    assert torch.equal(part.eval()(x, "six"), whole.eval()(x, "six"))


def test_zero_padding_puts_each_channel_in_its_row():
    padding = build_alignment("zero_padding", SLEEP)
    assert padding.rows == len(padding.channels) == 13
    x = torch.randn(2, 6, 9)
    out = padding(x, "six")
    for channel, row in zip(padding.channels, out.unbind(1), strict=True):
        expected = x[:, SLEEP["six"].index(channel)] if channel in SLEEP["six"] else torch.zeros(2, 9)
        assert torch.equal(row, expected)


def test_the_intersection_has_the_same_electrodes_in_the_same_rows():
    common = build_alignment("intersection", SCALP)
    assert common.channels == ("C3", "C4", "F3", "F4", "O1", "O2")
    for dataset, channels in SCALP.items():
        number = torch.arange(len(channels), dtype=torch.float32)[None, :, None]
        assert [channels[int(i)] for i in common(number, dataset).flatten()] == list(common.channels)


def test_datasets_without_a_common_channel_are_named():
    with pytest.raises(UserError, match=r"two \(FPZ-CZ, PZ-OZ\) shares no channel with any other.*kind: cam"):
        build_alignment("intersection", SLEEP)
    with pytest.raises(UserError, match="a, b, c have no channel in common"):
        build_alignment("intersection", {"a": ("CZ", "FZ"), "b": ("FZ", "PZ"), "c": ("PZ", "CZ")})


def test_a_recording_that_lacks_a_common_channel_is_refused():
    common, x = build_alignment("intersection", SCALP), torch.zeros(2, 6, 9)
    present = torch.ones(2, 6, dtype=torch.bool)
    assert common(x, "six", present).shape == (2, 6, 9)
    present[1, 3] = False
    for given in (present, present[1]):
        with pytest.raises(UserError, match=r"recording of six lacks F4.*kind: cam"):
            common(x, "six", given)


def test_a_single_channel_alignment_changes_nothing():
    single, x = build_alignment("single", SLEEP), torch.randn(2, 11, 9)
    assert single.rows is None
    assert single(x, "eleven") is x


@pytest.mark.parametrize("kind", [kind for kind in ALIGNMENTS if kind != "single"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_alignment_gives_its_rows_and_finite_gradients(kind, precision):
    torch.manual_seed(0)
    alignment = build_alignment(kind, SCALP).train()
    for dataset, channels in SCALP.items():
        x = torch.randn(3, len(channels), 20, requires_grad=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            out = alignment(x, dataset)
        assert out.shape == (3, alignment.rows, 20)
        out.float().square().sum().backward()
        assert torch.isfinite(x.grad).all()
    for parameter in alignment.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.any()


def test_mistakes_are_answered_with_what_would_do():
    with pytest.raises(UserError, match=r"alignment 'linearr' does not exist.*kind: linear"):
        build_alignment("linearr", SLEEP)
    with pytest.raises(UserError, match=r"width 70 .*dimension: 72"):
        build_alignment("cam", SLEEP, dimension=70)
    with pytest.raises(UserError, match="six: channel 'Q3' is no known electrode"):
        build_alignment("linear", {"six": ("Q3",)})
    with pytest.raises(ValueError, match=r"no alignment for dataset other"):
        build_alignment("cam", SLEEP)(torch.zeros(1, 2, 5), "other")
    with pytest.raises(ValueError, match=r"six: 2 channels, expected 6"):
        build_alignment("linear", SLEEP)(torch.zeros(1, 2, 5), "six")
