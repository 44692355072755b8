"""Masked modelling on the codes of a tokenizer."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unimontage.models.labram import Labram
from unimontage.models.neural_tokenizer import NeuralTokenizer
from unimontage.objectives.masked_codes import MaskedCodes, random_parts

CHANNELS = ("FP1", "C3", "FZ")
CODES = 64


def objective(mask_ratio=0.5):
    torch.manual_seed(0)
    return MaskedCodes(Labram("tiny"), CODES, mask_ratio=mask_ratio)


def batch(size=4):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(size, 3, 4, 200, generator=generator)
    return x, CHANNELS, torch.randint(CODES, (size, 12), generator=generator)


@given(st.integers(1, 20), st.integers(2, 60), st.floats(0.01, 0.99))
def test_each_token_is_in_one_of_two_parts_and_each_part_has_some(windows, tokens, ratio):
    first, rest = random_parts(windows, tokens, ratio)
    assert torch.equal(torch.cat([first, rest], dim=1).sort(1).values, torch.arange(tokens).expand(windows, -1))
    assert 1 <= first.shape[1] <= tokens - 1
    assert abs(first.shape[1] - ratio * tokens) <= 1


def test_parts_are_drawn_anew_and_reach_every_token():
    first, _ = random_parts(200, 10, 0.3)
    assert (first.flatten().bincount() / 200 - 0.3).abs().max() < 0.15
    assert len({tuple(row) for row in first.sort(1).values.tolist()}) > 50


@pytest.mark.parametrize(("tokens", "ratio"), [(1, 0.5), (8, 0.0), (8, 1.0)])
def test_masks_that_hide_all_or_nothing_are_refused(tokens, ratio):
    with pytest.raises(ValueError, match="two tokens or more"):
        random_parts(2, tokens, ratio)


class Seen(torch.nn.Module):
    """Notes the masks it is shown."""

    d = 4

    def __init__(self):
        super().__init__()
        self.masks = []

    def tokens(self, x, channels, mask=None):
        self.masks.append(mask)
        return torch.zeros(*mask.shape, self.d)


def test_the_two_masks_partition_the_tokens():
    encoder = Seen()
    x, channels, targets = batch()
    MaskedCodes(encoder, CODES)(x, channels, targets)
    first, second = encoder.masks
    assert torch.equal(first, ~second)
    assert first.sum(1).tolist() == [6] * 4


def test_knowing_nothing_costs_the_logarithm_of_the_codes():
    loss = objective()(*batch())
    assert loss.masked.item() == pytest.approx(math.log(CODES), abs=0.2)
    assert loss.complement.item() == pytest.approx(math.log(CODES), abs=0.2)
    assert loss.total.item() == pytest.approx(loss.masked.item() + loss.complement.item())


def test_only_hidden_tokens_are_asked_for():
    """With a head that knows the answer of one token only, the loss tells whether that token was hidden."""
    encoder = Seen()
    model = MaskedCodes(encoder, CODES)
    x, channels, targets = batch(1)
    with torch.no_grad():
        model.head.bias[targets[0, 0]] = 10.0
    losses = model(x, channels, targets)
    same = targets[0] == targets[0, 0]
    for loss, mask in zip((losses.masked, losses.complement), encoder.masks, strict=True):
        known = same[mask[0]].float().mean().item()
        right = -torch.log_softmax(model.head.bias, 0)[targets[0, 0]].item()
        wrong = right + 10.0
        assert loss.item() == pytest.approx(known * right + (1 - known) * wrong, abs=1e-3)


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    tokenizer = NeuralTokenizer("tiny", codes=CODES, code_d=16, decoder_depth=1)
    model = objective()
    x = torch.sin(torch.arange(1, 25).view(2, 3, 4, 1) * torch.arange(200) / 30)
    targets = tokenizer.codes(x, CHANNELS)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = model(x, CHANNELS, targets)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < 0.6 * losses[0]
    assert all(parameter.grad is None for parameter in tokenizer.parameters())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients_are_finite(precision):
    model = objective()
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        loss = model(*batch())
    loss.total.backward()
    for name, parameter in model.named_parameters():
        if not name.startswith("encoder.fc_norm"):  # of fine-tuning
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
