"""Objectives of windows, from what the encoder sees to the loss, and how several are weighed."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from unimontage.errors import UserError
from unimontage.models.staging import StagingEncoder
from unimontage.objectives import OBJECTIVES, SEGMENT_OBJECTIVES, build_segment_objective
from unimontage.objectives.nt_xent import nt_xent
from unimontage.objectives.segments import balanced_labels
from unimontage.objectives.simsiam import simsiam
from unimontage.objectives.weighting import TaskWeighting, uncertainty_weighted
from unimontage.signal.bands import SLEEP_BANDS
from unimontage.windows.nights import Nights

SAMPLES, RATE = 1500, 100.0
KINDS = {
    "simsiam": ("contrast", {}),
    "nt_xent": ("contrast", {"loss": "nt_xent"}),
    "triplet": ("temporal_shuffling", {"near": 4, "far": 5}),
    "intra": ("temporal_shuffling", {"mode": "intra"}),
    "six_bands": ("band_masking", {}),
    "five_bands": ("band_masking", {"bands": 5}),
    "relative_positioning": ("relative_positioning", {"far": 6}),
    "cpc": ("cpc", {"context": 3, "predict": 4, "negatives": 2}),
}
NIGHTS = Nights(np.repeat([0, 1], 40), np.tile(np.arange(40), 2))


def build(name, d=8, samples=SAMPLES):
    kind, options = KINDS[name]
    return build_segment_objective(kind, d, samples, RATE, **options)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(objective, windows, size=12, seed=0):
    """Examples as pre-training draws them: windows (B, V, C, T) and labels."""
    rows, labels = objective.sample(NIGHTS, size, np.random.default_rng(seed))
    return windows[torch.from_numpy(rows)], torch.from_numpy(labels)


def test_every_kind_is_tried_here():
    assert {kind for kind, _ in KINDS.values()} == set(SEGMENT_OBJECTIVES)


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_objective_trains_the_encoder_and_its_own_heads(name, precision):
    torch.manual_seed(0)
    objective, encoder = build(name), StagingEncoder("tiny", rows=2, samples=SAMPLES)
    head = nn.Linear(encoder.d, 8)
    x, labels = drawn(objective, torch.randn(len(NIGHTS), 2, SAMPLES))
    assert x.shape[1] == objective.views
    segments, labels = objective.segments(x, labels, generator())
    assert segments.dtype == torch.float32
    assert len(segments) % len(x) == 0
    assert segments.shape[1:] == (2, SAMPLES)
    assert len(labels) == len(x)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = objective(head(encoder.embed(segments)), labels)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss >= objective.lowest
    loss.backward()
    for parameter in (*objective.parameters(), *encoder.parameters()):
        assert torch.isfinite(parameter.grad).all()
    assert all(parameter.grad.any() for part in encoder.parts().values() for parameter in [next(part.parameters())])


@pytest.mark.parametrize("name", list(KINDS))
def test_segments_follow_the_generator_and_leave_the_windows_alone(name):
    objective = build(name)
    x, labels = drawn(objective, torch.randn(len(NIGHTS), 2, SAMPLES))
    before, state = x.clone(), torch.get_rng_state()
    one, again, other = (objective.segments(x, labels, generator(seed))[0] for seed in (5, 5, 6))
    assert torch.equal(one, again)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, other) == (name not in ("simsiam", "nt_xent", "intra"))


@pytest.mark.parametrize("name", list(KINDS))
def test_what_belongs_to_an_example_stands_together(name):
    """So that what is known of an example can be repeated for its segments."""
    objective = build(name)
    x = torch.arange(5.0)[:, None, None, None].expand(5, objective.views, 1, SAMPLES).clone() * 1000
    labels = torch.ones(5) if objective.views in (2, 3) or name == "intra" else torch.zeros(5, dtype=torch.int64)
    segments, _ = objective.segments(x, labels, generator())
    example = torch.arange(5).repeat_interleave(len(segments) // 5)
    middle = segments[:, 0].median(1).values  # half to double the value, or zero
    assert ((middle[example == 0].abs() < 3) & (example[example == 0] == 0)).all()
    others = example > 0
    assert ((middle / 1000)[others] >= 0.5 * example[others] - 0.01).all()
    assert ((middle / 1000)[others] <= 2 * example[others] + 0.01).all()


def test_the_contrast_wraps_both_losses():
    h = torch.randn(10, 8)
    agreement = build("simsiam").agreement
    found = build("simsiam")
    found.agreement = agreement
    za, zb = agreement.projector(h[::2]), agreement.projector(h[1::2])
    expected = simsiam(agreement.predictor(za), zb, agreement.predictor(zb), za)
    torch.testing.assert_close(found(h, torch.zeros(5)), expected)
    contrast = build("nt_xent")
    project = contrast.agreement.projector
    torch.testing.assert_close(contrast(h, torch.zeros(5)), nt_xent(project(h[::2]), project(h[1::2]), 0.05))
    assert (build("simsiam").lowest, contrast.lowest) == (-1, 0)


def test_a_perfect_contrast_reaches_its_lowest_value():
    contrast = build("simsiam")
    contrast.agreement.predictor = nn.Identity()
    h = torch.randn(6, 8).repeat_interleave(2, dim=0)
    assert contrast(h, torch.zeros(6)).item() == pytest.approx(contrast.lowest)


def test_views_are_made_of_microvolts():
    contrast = build("simsiam")
    x, labels = torch.zeros(200, 1, 1, SAMPLES), torch.zeros(200)
    small, _ = contrast.segments(x, labels, generator(), microvolt=torch.full((200,), 1e-6))
    large, _ = contrast.segments(x, labels, generator(), microvolt=1.0)
    assert small.median(2).values.abs().max() < 0.1
    assert large.median(2).values.abs().max() > 8


def test_each_window_loses_the_band_that_is_asked_for():
    objective = build("six_bands")
    x, labels = drawn(objective, torch.randn(len(NIGHTS), 3, SAMPLES))
    out, same = objective.segments(x, labels, generator())
    assert torch.equal(labels, same)
    assert labels.unique().tolist() == [0, 1, 2, 3, 4, 5]
    power = torch.fft.rfft(out.double()).abs() ** 2
    frequency = torch.fft.rfftfreq(SAMPLES, 1 / RATE)
    for signal, label in zip(power, labels, strict=True):
        low, high = list(SLEEP_BANDS.values())[label]
        assert signal[:, (frequency >= low) & (frequency < high)].sum() <= 1e-6 * signal.sum()


def test_the_missing_band_of_white_noise_can_be_learned():
    torch.manual_seed(0)
    encoder = StagingEncoder("tiny", rows=1, samples=SAMPLES)
    objective = build_segment_objective("band_masking", encoder.d, SAMPLES, RATE)
    parameters = [*encoder.parameters(), *objective.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    many = Nights(np.zeros(96, int), np.arange(96))
    rng = np.random.default_rng(0)

    def batch():
        _, labels = objective.sample(many, 96, rng)
        return objective.segments(torch.randn(96, 1, 1, SAMPLES), torch.from_numpy(labels), generator())

    for _ in range(60):
        x, labels = batch()
        optimizer.zero_grad()
        objective(encoder.embed(x), labels).backward()
        optimizer.step()
    encoder.eval()
    with torch.no_grad():
        hits = torch.cat([objective.head(encoder.embed(x)).argmax(1) == y for x, y in (batch() for _ in range(4))])
    chance = 1 / 6
    assert hits.float().mean() > chance + 5 * (chance * (1 - chance) / len(hits)) ** 0.5


def test_pieces_are_permuted_on_all_channels_alike_and_never_left_in_order():
    objective = build("intra")
    x = torch.arange(float(SAMPLES)).expand(400, 1, 2, -1).clone()
    labels = torch.tensor([1.0, 0.0]).repeat(200)
    out, _ = objective.segments(x, labels, generator())
    assert torch.equal(out[::2], x[::2, 0])
    assert torch.equal(out[:, 0], out[:, 1])
    order = out[1::2, 0, :: SAMPLES // 6] / (SAMPLES // 6)  # (200, 6)
    assert torch.equal(order.sort(1).values, torch.arange(6.0).expand(200, -1))
    assert (order != torch.arange(6.0)).any(1).all()
    assert len(order.unique(dim=0)) > 150
    starts = out[1::2, 0].unflatten(1, (6, -1))
    assert (starts.diff(dim=2) == 1).all()


def test_losses_of_answers_are_those_written_out():
    h, labels = torch.randn(6, 8), torch.tensor([1.0, 0.0])
    triplet = build("triplet")
    score = [triplet.head(torch.cat([(a - b).abs(), (b - c).abs()])) for a, b, c in h.unflatten(0, (2, 3))]
    expected = sum(nn.functional.softplus(-(2 * y - 1) * s) for y, s in zip(labels, score, strict=True)) / 2
    torch.testing.assert_close(triplet(h, labels), expected.squeeze())
    pair = build("relative_positioning").eval()
    score = [pair.head((a - b).abs()) for a, b in h[:4].unflatten(0, (2, 2))]
    expected = sum(nn.functional.softplus(-(2 * y - 1) * s) for y, s in zip(labels, score, strict=True)) / 2
    torch.testing.assert_close(pair(h[:4], labels), expected.squeeze())


def test_predictive_coding_is_its_formula_written_out():
    torch.manual_seed(0)
    cpc, h = build("cpc"), torch.randn(2 * 9, 8)
    total = 0.0
    for example in h.unflatten(0, (2, 9)):
        summary = cpc.summary(example[:3])[1][0]
        for step in range(4):
            candidates = torch.stack([example[3 + step], *example[7:]])
            total = total - (candidates @ (summary @ cpc.prediction[step])).log_softmax(0)[0]
    torch.testing.assert_close(cpc(h, torch.zeros(2)), total / 2)
    with torch.no_grad():
        cpc.prediction.zero_()
    assert cpc(h, torch.zeros(2)).item() == pytest.approx(4 * math.log(3))


def test_predictive_coding_has_the_published_sizes():
    cpc = build_segment_objective("cpc", 272, 3000, RATE)
    assert cpc.views == 10 + 16 + 4
    assert cpc.summary.hidden_size == 100
    assert cpc.prediction.shape == (16, 100, 272)


@pytest.mark.parametrize(("size", "classes"), [(100, 6), (7, 2), (1, 2), (60, 5)])
def test_balanced_labels_are_balanced_and_leave_no_class_behind(size, classes):
    drawn = np.stack([balanced_labels(size, classes, np.random.default_rng(seed)) for seed in range(200)])
    counts = np.stack([np.bincount(labels, minlength=classes) for labels in drawn])
    assert counts.max() - counts.min() <= 1
    assert counts.sum(0).min() > 0.7 * counts.sum(0).mean()


def test_options_that_cannot_be_had_are_refused():
    with pytest.raises(UserError, match=r"'tmporal_shuffling' does not exist.*kind: temporal_shuffling"):
        build_segment_objective("tmporal_shuffling", 8, SAMPLES, RATE)
    with pytest.raises(UserError, match=r"1501 samples do not fall into 6.*mode: triplet"):
        build("intra", samples=1501)
    with pytest.raises(UserError, match=r"no epoch fits between two that are 1 apart"):
        build_segment_objective("temporal_shuffling", 8, SAMPLES, RATE, near=1)
    with pytest.raises(UserError, match=r"band gamma \(30-50 Hz\) reaches beyond 40 Hz"):
        build_segment_objective("band_masking", 8, SAMPLES, 80.0)


def test_the_table_of_objectives_imports_none_of_them():
    code = (
        "import sys; from unimontage.objectives import OBJECTIVES, SEGMENT_OBJECTIVES as table; "
        "assert not {'torch', *(place.split(':')[0] for place in table.values())} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for kind, place in (OBJECTIVES | SEGMENT_OBJECTIVES).items():
        assert place.partition(":")[0] == f"unimontage.objectives.{kind}"


def settle(weighting, losses, steps=3000):
    """Weights after many steps on losses that stay as they are."""
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        weighting(losses)[0].backward()
        optimizer.step()
    return weighting(losses)


def test_with_constant_losses_the_variance_becomes_the_loss():
    losses = {"a": torch.tensor(0.25), "b": torch.tensor(0.7), "c": torch.tensor(1.8)}
    total, report = settle(TaskWeighting(dict.fromkeys(losses, 0.0)), losses)
    for task, loss in losses.items():
        assert report[f"sigma_{task}"].item() ** 2 == pytest.approx(loss.item(), rel=1e-3)
        assert report[f"weighted_{task}"].item() == pytest.approx(0.5, rel=1e-3)
    assert total.item() == pytest.approx(sum(0.5 + 0.5 * math.log(loss) for loss in losses.values()), rel=1e-3)


def test_a_negative_loss_has_no_least_weighted_loss():
    """Why the raw SimSiam loss does not go with learned variances: the smaller sigma, the smaller the sum."""
    variance = torch.tensor([1.0, 1e-2, 1e-4, 1e-8], dtype=torch.float64)
    falling = uncertainty_weighted(torch.tensor(-1.0), variance.log())
    assert falling[1].item() == pytest.approx(-52.3, abs=0.05)
    assert falling[2].item() == pytest.approx(-5004.6, abs=0.05)
    assert (falling.diff() < 0).all()


def test_published_as_it_is_the_variance_runs_to_its_bound_and_shifted_it_does_not():
    losses, lowest = {"contrast": torch.tensor(-0.9), "bands": torch.tensor(1.5)}, {"contrast": -1.0, "bands": 0.0}
    _, literal = settle(TaskWeighting(lowest, "uncertainty_literal"), losses)
    assert literal["sigma_contrast"].item() == pytest.approx(math.exp(-3), rel=1e-4)
    assert literal["weight_contrast"].item() == pytest.approx(0.5 * math.exp(6), rel=1e-3)
    _, shifted = settle(TaskWeighting(lowest, "uncertainty"), losses)
    assert shifted["sigma_contrast"].item() ** 2 == pytest.approx(0.1, rel=1e-3)
    assert shifted["sigma_bands"].item() == pytest.approx(literal["sigma_bands"].item(), rel=1e-3)


def test_a_variance_at_its_bound_comes_back():
    weighting = TaskWeighting({"a": 0.0})
    with torch.no_grad():
        weighting.log_variance["a"].fill_(-40.0)
    _, report = settle(weighting, {"a": torch.tensor(2.0)}, steps=4000)
    assert report["sigma_a"].item() ** 2 == pytest.approx(2, rel=1e-2)


def test_equal_weights_are_the_sum_and_learn_nothing():
    weighting = TaskWeighting({"a": -1.0, "b": 0.0}, "equal")
    losses = {"a": torch.tensor(-0.5), "b": torch.tensor(2.0, requires_grad=True)}
    total, report = weighting(losses)
    assert total.item() == 1.5
    assert not list(weighting.parameters())
    assert {name: value.item() for name, value in report.items()} == {
        "weight_a": 1,
        "weighted_a": -0.5,
        "weight_b": 1,
        "weighted_b": 2,
    }
    assert not any(value.requires_grad for value in report.values())


def test_learned_weights_start_at_half_and_pass_the_gradient_on():
    weighting = TaskWeighting({"a": -1.0, "b": 0.0})
    a, b = (torch.tensor(value, requires_grad=True) for value in (-0.5, 2.0))
    total, report = weighting({"a": a, "b": b})
    assert total.item() == pytest.approx(0.5 * (0.5 + 2.0))
    assert report["weighted_a"].item() == pytest.approx(0.25)
    total.backward()
    assert (a.grad.item(), b.grad.item()) == (0.5, 0.5)
    assert not any(value.requires_grad for value in report.values())
