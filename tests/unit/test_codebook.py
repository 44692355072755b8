"""The codebook and the tokenizer that is built on it."""

import pytest
import torch
from torch.nn.functional import normalize

from unimontage.models.codebook import Codebook
from unimontage.models.neural_tokenizer import NeuralTokenizer
from unimontage.objectives.spectrum import spectrum_loss, spectrum_targets

CHANNELS = ("FP1", "C3", "FZ")


def codebook(codes=16, d=8, **options):
    torch.manual_seed(0)
    return Codebook(codes, d, **options)


def tokenizer(**options):
    torch.manual_seed(0)
    return NeuralTokenizer("tiny", **{"codes": 64, "code_d": 16, "decoder_depth": 1} | options)


def test_codes_are_unit_vectors_and_the_nearest_of_all():
    book, z = codebook(), torch.randn(5, 40, 8) * 3
    for _ in range(5):
        found = book(z)
        assert torch.allclose(book.codes.norm(dim=1), torch.ones(16), atol=1e-5)
    found = book.eval()(z)
    nearest = torch.cdist(normalize(z, dim=2).flatten(0, 1), book.codes).argmin(1)
    assert torch.equal(found.index, nearest.view(5, 40))
    assert torch.allclose(found.codes, book.codes[found.index], atol=1e-6)


def test_the_gradient_passes_straight_through():
    book, weight = codebook().eval(), torch.randn(40, 8)
    z = torch.randn(40, 8, requires_grad=True)
    (through,) = torch.autograd.grad((book(z).codes * weight).sum(), z)
    (straight,) = torch.autograd.grad((normalize(z, dim=1) * weight).sum(), z)
    assert torch.allclose(through, straight, atol=1e-6)
    assert not list(book.parameters())


def test_commitment_draws_latents_to_their_codes_but_not_codes_to_latents():
    book, z = codebook().eval(), torch.randn(40, 8, requires_grad=True)
    before = book(z)
    before.commitment.backward()
    with torch.no_grad():
        after = book(z - z.grad * 10)
    assert 0 < after.commitment < before.commitment


def test_the_first_batch_starts_the_codes():
    """Eight tight bundles of directions, eight codes more than enough to tell them apart."""
    torch.manual_seed(1)
    centres = normalize(torch.randn(8, 32), dim=1)
    z = centres.repeat_interleave(50, dim=0) + 0.02 * torch.randn(400, 32)
    book = codebook(64, 32)
    assert not book.started
    first = book(z * 5)
    assert book.started
    assert first.commitment < 1e-3
    assert (centres @ book.codes.T).max(1).values.min() > 0.99


def test_codes_follow_at_the_rate_of_the_moving_average():
    book, z = codebook(1, 8, decay=0.9), torch.randn(40, 8)
    book(z)
    old, other = book.codes.clone(), torch.randn(40, 8)
    book(other)
    mean = normalize(normalize(other, dim=1).sum(0), dim=0)
    assert torch.allclose(book.codes[0], normalize(0.9 * old[0] + 0.1 * mean, dim=0), atol=1e-5)


def test_evaluation_changes_nothing():
    book = codebook().eval()
    before = {name: tensor.clone() for name, tensor in book.state_dict().items()}
    book(torch.randn(40, 8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in book.state_dict().items())


def collapsed(revive):
    """A codebook whose latents have shrunk to one direction, and then spread out again."""
    book = codebook(16, 8, revive=revive, decay=0.8)
    book(torch.randn(400, 8))
    one = torch.zeros(400, 8)
    one[:, 0] = 1.0
    for _ in range(60):
        book(one + 0.01 * torch.randn(400, 8))
    return book


def test_collapse_shows_in_the_usage():
    book = codebook(revive=False)
    assert book.usage() == 0.0
    book(torch.randn(400, 8))
    assert book.usage() == 1.0
    assert collapsed(revive=False).usage() < 0.2


def test_codes_out_of_use_are_revived_and_counted():
    book = collapsed(revive=True)
    assert book.usage() > 0.5
    assert book.revived > 0
    assert collapsed(revive=False).revived == 0


def test_targets_are_amplitude_and_phase_of_each_second():
    x = torch.randn(2, 3, 4, 200) + 1
    amplitude, phase = spectrum_targets(x)
    assert amplitude.shape == phase.shape == (2, 12, 200)
    theirs = torch.fft.fft(x[1].double(), dim=2)
    for ours, whole in ((amplitude[1], theirs.abs()), (phase[1], theirs.angle())):
        wanted = (whole - whole.mean()) / whole.std(correction=0)
        assert torch.allclose(ours, wanted.flatten(0, 1).float(), atol=1e-3)
    nothing = torch.zeros_like(amplitude)
    assert [part.item() for part in spectrum_loss(nothing, nothing, x)] == pytest.approx([1.0, 1.0], abs=1e-4)
    assert [part.item() for part in spectrum_loss(amplitude, phase, x)] == [0.0, 0.0]


def test_targets_of_a_constant_window_are_finite():
    amplitude, phase = spectrum_targets(torch.full((1, 2, 3, 200), 7.0))
    assert amplitude.isfinite().all()
    assert phase.isfinite().all()


def test_a_tokenizer_learns_to_give_spectra_back():
    model = tokenizer()
    seconds = torch.arange(200) / 200
    hertz = torch.arange(1, 25).view(2, 3, 4, 1)
    x = torch.sin(2 * torch.pi * hertz * seconds)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = model(x, CHANNELS)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.amplitude.item())
    assert losses[0] == pytest.approx(1.0, abs=0.05)
    assert losses[-1] < 0.7 * losses[0]
    assert model.codebook.usage() > 0.1


def test_the_published_tokenizer_has_no_layer_scale_but_biases():
    names = set(dict(tokenizer().named_parameters()))
    assert "encoder.blocks.0.attn.q_bias" in names
    assert not any("gamma" in name or "q_norm" in name for name in names)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_tensor_of_a_tokenizer_learns(precision):
    model = tokenizer()
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        loss = model(torch.randn(2, 3, 4, 200), CHANNELS)
    loss.total.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert loss.total.item() == pytest.approx(sum(part.item() for part in loss[1:]))


def test_naming_patches_teaches_nothing():
    model, x = tokenizer(), torch.randn(2, 3, 4, 200)
    model(x, CHANNELS)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    codes = model.codes(x, CHANNELS)
    assert codes.shape == (2, 12)
    assert codes.dtype == torch.int64
    assert torch.equal(codes, model.codes(x, CHANNELS))
    assert torch.equal(codes[:1], model.codes(x[:1], CHANNELS))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
