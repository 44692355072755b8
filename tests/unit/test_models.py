import math

import pytest
import torch
from torch import nn

from unimontage.config.arms import Context, Graph
from unimontage.config.recipes import Encoder
from unimontage.errors import UserError
from unimontage.models.classifier import UniversalClassifier
from unimontage.models.encoder import UnivariateEncoder
from unimontage.models.spatial import build_spatial
from unimontage.models.tokenizers import TOKENIZERS, ARTTokenizer, average_bins, build_tokenizer

SMALL = Encoder(width=8, d=16, layers=2, heads=2, ffn=32)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def encoder(**changes):
    torch.manual_seed(0)
    return UnivariateEncoder(SMALL.model_copy(update=changes), vocabulary_size=5, rates=2)


def classifier(mode="node", kind="gat"):
    spatial = build_spatial(kind, 16, heads=2, head_width=8)
    return UniversalClassifier(encoder(), spatial, 16, 3, spatial_mode=mode, heads=2, ffn=32)


@pytest.mark.parametrize("samples", [128, 200, 256, 400, 800])
def test_art_gives_sixteen_tokens_and_finite_gradients_at_every_length(samples):
    torch.manual_seed(samples)
    tokenizer = ARTTokenizer(d=24, width=16)
    x = torch.randn(3, samples, requires_grad=True)
    tokens = tokenizer(x)
    assert tokens.shape == (3, 16, 24)
    tokens.square().sum().backward()
    for gradient in (x.grad, *(p.grad for p in tokenizer.parameters())):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("samples", [7, 128, 200, 333])
def test_the_bins_are_those_of_adaptive_average_pooling(samples):
    maps = torch.randn(2, 4, samples, dtype=torch.float64)
    expected = nn.functional.adaptive_avg_pool1d(maps, 16)
    torch.testing.assert_close(average_bins(maps, 16), expected, rtol=0, atol=1e-14)


def test_neighbouring_bins_share_a_sample_at_200_hz_and_none_at_128_hz():
    for rate, length in ((128, 8), (200, 13)):
        weight = average_bins(torch.eye(rate), 16)  # column i: weight of every sample in bin i
        assert ((weight > 0).sum(0) == length).all()
        shared = ((weight[:, 0] > 0) & (weight[:, 1] > 0)).sum()
        assert shared == (0 if rate == 128 else 1)


def test_a_sine_has_finite_tokens_of_one_shape_at_both_rates():
    model = encoder().eval()
    embeddings = []
    for index, rate in enumerate((128, 200), start=1):
        sine = torch.sin(2 * math.pi * 10 * torch.arange(rate) / rate)[None] * 2**0.5
        tokens = model(sine, torch.tensor([1]), torch.tensor(index))
        assert tokens.shape == (1, 16, 16)
        assert torch.isfinite(tokens).all()
        embeddings.append(model.embed(sine, torch.tensor([1]), torch.tensor(index)))
    assert embeddings[0].shape == embeddings[1].shape == (1, 16)


@pytest.mark.parametrize("kind", list(TOKENIZERS))
def test_every_tokenizer_makes_an_encoder_with_one_interface(kind):
    model = encoder(tokenizer=kind)
    x = torch.randn(4, 200)
    tokens = model(x, torch.tensor([0, 1, 5, 5]), torch.tensor([1, 1, 2, 0]))
    assert tokens.shape[0] == 4
    assert tokens.shape[2] == 16
    tokens.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(("kind", "at_200", "at_128"), [("art", 16, 16), ("fixed_patch", 16, 10), ("cnn", 17, 11)])
def test_only_art_gives_the_same_number_of_tokens_at_every_rate(kind, at_200, at_128):
    tokenizer = build_tokenizer(kind, d=8, width=8, patches=16)
    assert tokenizer(torch.randn(1, 200)).shape[1] == at_200
    assert tokenizer(torch.randn(1, 128)).shape[1] == at_128


@pytest.mark.parametrize("samples", [5, 257 * 12])
def test_a_window_without_a_patch_or_with_too_many_is_refused(samples):
    tokenizer = build_tokenizer("fixed_patch", d=8, width=8, patches=16)
    with pytest.raises(UserError, match=f"{samples} samples"):
        tokenizer(torch.randn(1, samples))


def test_an_unknown_tokenizer_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="fixed_patch}"):
        build_tokenizer("fixedpatch", d=8, width=8, patches=16)


def test_an_unknown_channel_adds_nothing_and_never_learns():
    model = encoder()
    bare = encoder(channel_embedding=False)
    bare.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("channel.")})
    x, rate = torch.randn(4, 200), torch.tensor(1)
    unknown = torch.zeros(4, dtype=torch.int64)
    torch.testing.assert_close(model.eval()(x, unknown, rate), bare.eval()(x, unknown, rate))
    model.train()(x, torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 1, 2])).square().sum().backward()
    for table in (model.channel, model.rate):
        assert not table.weight[0].any()
        assert not table.weight.grad[0].any()
        assert table.weight.grad[1].any()


def test_electrode_and_rate_change_the_tokens_unless_switched_off():
    x = torch.randn(1, 200)
    for switches, differs in (({}, True), ({"channel_embedding": False, "rate_embedding": False}, False)):
        model = encoder(**switches).eval()
        here = model(x, torch.tensor([1]), torch.tensor([1]))
        for channel, rate in ((2, 1), (1, 2)):
            there = model(x, torch.tensor([channel]), torch.tensor([rate]))
            assert torch.equal(here, there) != differs


def test_evaluation_is_the_same_with_and_without_gradients_and_in_any_batch():
    model = encoder().eval()
    x, channel = torch.randn(6, 128), torch.arange(6)
    with_gradient = model(x, channel, torch.tensor(1))
    with torch.inference_mode():
        without = model(x, channel, torch.tensor(1))
        alone = torch.cat([model(x[i : i + 1], channel[i : i + 1], torch.tensor(1)) for i in range(6)])
    torch.testing.assert_close(without, with_gradient, rtol=0, atol=1e-6)
    torch.testing.assert_close(alone, with_gradient, rtol=0, atol=1e-5)


def test_the_transformer_is_the_pre_norm_encoder_of_torch():
    model = encoder(dropout=0.0).eval()
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    peer = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16), enable_nested_tensor=False).train()  # no fused path
    names = {
        "norm_attention": "norm1",
        "qkv.weight": "self_attn.in_proj_weight",
        "qkv.bias": "self_attn.in_proj_bias",
        "out": "self_attn.out_proj",
        "norm_ffn": "norm2",
        "ffn.0": "linear1",
        "ffn.3": "linear2",
    }
    state = {}
    for key, tensor in model.context.state_dict().items():
        block, _, rest = key.partition(".")
        for ours, theirs in names.items():
            rest = rest.replace(ours, theirs) if rest.startswith(ours) else rest
        state[f"norm.{rest}" if block == "2" else f"layers.{block}.{rest}"] = tensor
    peer.load_state_dict(state)
    tokens = torch.randn(3, 7, 16)
    torch.testing.assert_close(model.context(tokens), peer(tokens), rtol=0, atol=1e-6)


def test_parameter_counts_with_the_defaults():
    full = UnivariateEncoder(Encoder(), vocabulary_size=62, rates=2)
    graph = build_spatial("gat", 128, **Graph().model_dump())
    model = UniversalClassifier(full, graph, 128, 3, **Context().model_dump())
    assert parameters(full) == 879_232
    assert parameters(graph) == 33_792
    assert parameters(model.whole) == 265_216
    assert parameters(model) == 879_232 + 33_792 + 265_216 + 387


@pytest.mark.parametrize("mode", ["node", "patch"])
@pytest.mark.parametrize("kind", ["gat", "none"])
def test_one_classifier_takes_any_montage_and_rate(mode, kind):
    model = classifier(mode, kind)
    for channels, samples in ((5, 200), (2, 128)):
        logits = model(torch.randn(4, channels, samples), torch.arange(channels), torch.tensor(1))
        assert logits.shape == (4, 3)
        logits.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("mode", ["node", "patch"])
def test_attention_comes_back_one_row_a_channel_summing_to_one(mode):
    model = classifier(mode).eval()
    x = torch.randn(4, 5, 128)
    logits, attention = model(x, torch.arange(5), 1, return_attention=True)
    assert attention.shape == (4, 5, 5)
    torch.testing.assert_close(attention.sum(2), torch.ones(4, 5))
    torch.testing.assert_close(logits, model(x, torch.arange(5), 1))


def test_attention_of_a_model_without_any_is_refused():
    with pytest.raises(ValueError, match="attention"):
        classifier(kind="none")(torch.randn(1, 5, 128), torch.arange(5), 1, return_attention=True)


def test_a_window_is_classified_alike_alone_and_in_a_batch():
    model = classifier().eval()
    x = torch.randn(3, 5, 128)
    together = model(x, torch.arange(5), 1)
    alone = torch.cat([model(window[None], torch.arange(5), 1) for window in x])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)


def test_every_parameter_has_exactly_one_learning_rate():
    for kind in ("gat", "none"):
        model = classifier(kind=kind)
        groups = [id(p) for p in (*model.encoder_parameters(), *model.head_parameters())]
        assert len(groups) == len(set(groups))
        assert set(groups) == {id(p) for p in model.parameters()}


def test_cached_nodes_give_the_same_logits():
    for mode in ("node", "patch"):
        model = classifier(mode).eval()
        x = torch.randn(2, 5, 128)
        cached = model.classify(model.nodes(x, torch.arange(5), 1))
        assert torch.equal(cached, model(x, torch.arange(5), 1))


def test_half_precision_trains_with_finite_gradients_close_to_full_precision():
    model = classifier().eval()
    x = torch.randn(4, 5, 128)
    full = model(x, torch.arange(5), 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(x, torch.arange(5), 1)
    torch.testing.assert_close(half.float(), full, rtol=0, atol=0.1)
    half.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_classifier_learns_ten_windows_by_heart():
    torch.manual_seed(1)
    model = classifier().eval()  # without dropout
    x = torch.randn(10, 3, 64)
    truth = torch.arange(10) % 3
    parameters = list(model.parameters())
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x, torch.arange(3), 1), truth)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter -= 0.004 * gradient.sign()  # no optimiser: importing one's machinery takes seconds
    accuracy = (model(x, torch.arange(3), 1).argmax(1) == truth).float().mean()
    assert accuracy > 0.9
