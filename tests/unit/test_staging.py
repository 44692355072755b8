"""Encoders of sleep epochs and the head on top of them."""

import pytest
import torch

from unimontage.errors import UserError
from unimontage.models.alignment import build_alignment
from unimontage.models.pooling import AttentionPooling, StagingHead
from unimontage.models.seqclr import SeqCLREncoder
from unimontage.models.stager import StagerEncoder
from unimontage.models.staging import StagingEncoder

SMALL = {"widths": (6, 4, 2), "d": 8, "blocks": 2}
ENCODERS = {
    "tiny": lambda: StagingEncoder("tiny", rows=3, samples=1500),
    "full": lambda: StagingEncoder("full", rows=3, samples=1500),
    "stager": lambda: StagerEncoder(3, samples=1500),
    "seqclr": lambda: SeqCLREncoder(**SMALL),
}


def windows(name, size):
    """As long as the encoder asks for; recurrence is slow."""
    return torch.randn(size, 3, 201 if name == "seqclr" else 1500)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def places(encoder):
    """Learned positions and branch names, which are counted apart."""
    return encoder.context.position.numel() + encoder.context.branch.numel()


def test_the_tiny_encoder_has_the_size_that_was_published():
    encoder = StagingEncoder("tiny", rows=16, samples=3000)
    assert encoder.context.position.shape == (24, 16)
    assert parameters(encoder) - places(encoder) == 8672
    alignment = build_alignment("cam", {"d": ("FPZ-CZ", "PZ-OZ")})
    assert round((parameters(encoder) - places(encoder) + parameters(alignment)) / 1e6, 3) == 0.010


def test_the_full_encoder_has_the_widths_of_its_model():
    encoder = StagingEncoder("full", rows=16, samples=3000)
    assert encoder.context.position.shape == (24, 128)
    assert parameters(encoder) - places(encoder) == 1_102_336


def test_the_recurrent_encoder_has_the_size_of_its_model():
    encoder = SeqCLREncoder(blocks=1)
    assert encoder.d == 896
    assert parameters(encoder) - parameters(encoder.summary) == 419_396


@pytest.fixture(scope="module")
def chambon():
    """The library's network and ours, with the same weights."""
    from braindecode.models import SleepStagerChambon2018

    sizes = {"n_chans": 2, "sfreq": 100, "n_times": 3000, "n_outputs": 5}
    torch.manual_seed(0)
    theirs = SleepStagerChambon2018(**sizes, n_conv_chs=8, apply_batch_norm=True, return_feats=True).eval()
    plain = parameters(SleepStagerChambon2018(**sizes, n_conv_chs=8))
    ours, alignment = StagerEncoder(2).eval(), build_alignment("linear", {"d": ("FPZ-CZ", "PZ-OZ")}, rows=2)
    layers = [module for module in theirs.feature_extractor if list(module.parameters())]
    with torch.no_grad():
        for layer, mine in zip(layers, (ours.first[0], ours.first[1], ours.deep[0], ours.deep[1]), strict=True):
            for ours_, theirs_ in zip(mine.parameters(), layer.parameters(), strict=True):
                ours_.copy_(theirs_.view_as(ours_))
        alignment.maps["d"].copy_(theirs.spatial_conv.weight[:, 0, :, 0])
        theirs.spatial_conv.bias.zero_()
    return theirs, plain, ours, alignment


def test_the_stager_has_the_size_of_its_model(chambon):
    _, plain, ours, alignment = chambon
    norms, bias, classifier = 2 * 2 * 8, 2, 5 * ours.d + 5
    assert plain == 4987
    assert parameters(ours) + parameters(alignment) + classifier == plain + norms - bias


def test_the_stager_equals_the_library_s_network(chambon):
    theirs, _, ours, alignment = chambon
    x = torch.randn(3, 2, 3000)
    with torch.no_grad():
        expected, found = theirs(x), ours(alignment(x, "d"))[:, 0]
    assert found.shape == expected.shape == (3, 272)
    torch.testing.assert_close(found.sort(1).values, expected.sort(1).values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [1500, 2000, 3000, 3001, 6000])
@pytest.mark.parametrize("preset", ["tiny", "full"])
def test_tokens_fit_windows_of_any_length(preset, samples):
    encoder = StagingEncoder(preset, rows=2, samples=samples).eval()
    tokens = encoder(torch.randn(2, 2, samples))
    assert tokens.shape == (2, len(encoder.context.position), encoder.d)
    assert len(encoder.context.of) == tokens.shape[1]
    assert [(encoder.context.of == branch).sum() for branch in (0, 1)] == [b.steps(samples) for b in encoder.branches]


@pytest.mark.parametrize("name", list(ENCODERS))
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_encoder_gives_tokens_their_mean_and_finite_gradients(name, precision):
    torch.manual_seed(0)
    encoder = ENCODERS[name]()
    x = windows(name, 4).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        logits = StagingHead(encoder.d, 5)(encoder(x))
    assert logits.shape == (4, 5)
    logits.float().logsumexp(1).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.flatten(1).any(1).all()
    assert all(torch.isfinite(p.grad).all() and p.grad is not None for p in encoder.parameters())
    encoder.eval()
    torch.testing.assert_close(encoder.embed(x), encoder(x).mean(1))
    assert encoder.embed(x).shape == (4, encoder.d)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_every_parameter_is_in_one_part(name):
    encoder = ENCODERS[name]()
    parts = encoder.parts()
    assert list(parts) == ["attention", "deep", "first"]
    found = [id(parameter) for part in parts.values() for parameter in part.parameters()]
    assert len(found) == len(set(found))
    assert set(found) == {id(parameter) for parameter in encoder.parameters()}
    assert list(parts["first"].parameters())


@pytest.mark.parametrize("name", list(ENCODERS))
def test_an_epoch_s_tokens_do_not_depend_on_its_batch(name):
    torch.manual_seed(0)
    encoder, x = ENCODERS[name]().eval(), windows(name, 5)
    torch.testing.assert_close(encoder(x)[[3, 1]], encoder(x[[3, 1]]), atol=1e-5, rtol=1e-4)


def test_tiny_filters_are_shared_by_all_rows():
    """Two rows exchanged exchange their features, which only the projection tells apart."""
    encoder = StagingEncoder("tiny", rows=2, samples=1500).eval()
    with torch.no_grad():
        encoder.context.project.weight[:, 8:] = encoder.context.project.weight[:, :8]
    x = torch.randn(3, 2, 1500)
    torch.testing.assert_close(encoder(x), encoder(x.flip(1)), atol=1e-5, rtol=1e-4)


def test_the_recurrent_encoder_reads_every_channel_by_itself():
    torch.manual_seed(0)
    encoder, x = SeqCLREncoder(**SMALL), torch.randn(2, 3, 201)  # no multiple of the slower rates
    tokens, code = encoder(x), encoder.code(x)
    assert code.shape == (2, 12, 201)
    for channel in range(3):
        alone = x[:, [channel]]
        torch.testing.assert_close(encoder(alone)[:, 0], tokens[:, channel])
        torch.testing.assert_close(encoder.code(alone), code[:, 4 * channel : 4 * channel + 4])


def test_what_is_too_short_is_refused():
    for build in (
        lambda: StagingEncoder("tiny", rows=2, samples=199),
        lambda: StagerEncoder(2, samples=150),
    ):
        with pytest.raises(UserError, match=r"too short.*length_s: 30"):
            build()


def test_pooling_is_the_attention_written_out_and_ignores_order():
    torch.manual_seed(0)
    pool, tokens = AttentionPooling(6), torch.randn(3, 5, 6)
    weights = pool.weights(tokens)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    for b in range(3):
        scores = torch.stack([pool.score.weight[0] @ torch.tanh(pool.hidden(token)) for token in tokens[b]])
        expected = sum(w * token for w, token in zip(scores.softmax(0), tokens[b], strict=True))
        torch.testing.assert_close(pool(tokens)[b], expected)
    torch.testing.assert_close(pool(tokens.flip(1)), pool(tokens))


def test_a_head_without_hidden_units_is_one_linear_layer():
    small, large = StagingHead(16, 5, hidden=0), StagingHead(16, 5)
    pooling = parameters(AttentionPooling(16))
    assert parameters(small) - pooling == 16 * 5 + 5
    assert parameters(large) - pooling == 2 * 16 + (16 * 64 + 64) + (64 * 5 + 5)
    tokens = torch.randn(2, 7, 16)
    assert small(tokens).shape == large(tokens).shape == (2, 5)
    assert torch.equal(small(tokens), small(tokens))
    assert not torch.equal(large(tokens), large(tokens))
    without = StagingHead(16, 5, dropout=0.0)
    assert torch.equal(without(tokens), without(tokens))
