import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.config.recipes import Encoder
from unimontage.models.alignment import build_alignment
from unimontage.models.classifier import UniversalClassifier
from unimontage.models.encoder import UnivariateEncoder
from unimontage.models.spatial import GraphAttention, GraphConvolution, build_spatial

MONTAGE = ("FPZ-CZ", "F3", "F4", "C3", "CZ", "C4", "O1", "OZ", "O2")
SIZES = {"layers": 2, "heads": 2, "head_width": 8}


@st.composite
def permutations(draw):
    channels = draw(st.integers(2, 9))
    return torch.tensor(draw(st.permutations(range(channels)))), draw(st.integers(0, 2**31))


def graph(channels):
    weight = torch.rand(channels, channels).triu(1)
    return weight + weight.T


def classifier(spatial, mode):
    config = Encoder(width=8, d=16, layers=1, heads=2, ffn=32)
    encoder = UnivariateEncoder(config, vocabulary_size=9, rates=1)
    torch.nn.init.normal_(encoder.channel.weight[1:])  # electrodes that differ as much as trained ones do
    return UniversalClassifier(encoder, spatial, 16, 3, spatial_mode=mode, heads=2, ffn=32).double().eval()


def reordered(convolution, adjacency, order):
    """The same convolution on the same graph, its channels in another order."""
    other = GraphConvolution(16, adjacency[order][:, order], **SIZES).double().eval()
    weights = {k: v for k, v in convolution.state_dict().items() if k != "mixing"}
    other.load_state_dict(weights, strict=False)
    return other


@given(permutations())
@settings(max_examples=25)
def test_permuted_channels_permute_the_nodes_and_the_attention(case):
    order, seed = case
    torch.manual_seed(seed)
    model = GraphAttention(16, **SIZES).double().eval()
    h = torch.randn(2, len(order), 16, dtype=torch.float64)
    nodes, attention = model(h, return_attention=True)
    moved, moved_attention = model(h[:, order], return_attention=True)
    torch.testing.assert_close(moved, nodes[:, order])
    torch.testing.assert_close(moved_attention, attention[:, order][:, :, order])


@given(permutations())
@settings(max_examples=25)
def test_a_convolution_follows_a_permutation_only_with_its_graph(case):
    order, seed = case
    torch.manual_seed(seed)
    adjacency = graph(len(order))
    model = GraphConvolution(16, adjacency, **SIZES).double().eval()
    h = torch.randn(2, len(order), 16, dtype=torch.float64)
    moved = reordered(model, adjacency, order)(h[:, order])
    torch.testing.assert_close(moved, model(h)[:, order])
    symmetric = torch.allclose(adjacency[order][:, order], adjacency)
    assert torch.allclose(model(h[:, order]), model(h)[:, order]) == symmetric


@given(permutations(), st.sampled_from(["node", "patch"]), st.sampled_from(["gat", "none"]))
@settings(max_examples=25)
def test_the_order_of_channels_does_not_change_the_logits(case, mode, kind):
    order, seed = case
    torch.manual_seed(seed)
    model = classifier(build_spatial(kind, 16, **SIZES), mode)
    x = torch.randn(2, len(order), 128, dtype=torch.float64)
    channel = torch.arange(len(order)) + 1
    logits = model(x, channel, 1)
    torch.testing.assert_close(model(x[:, order], channel[order], 1), logits)


@given(permutations(), st.sampled_from(["node", "patch"]))
@settings(max_examples=25)
def test_with_a_fixed_graph_the_order_matters_unless_the_graph_follows(case, mode):
    order, seed = case
    torch.manual_seed(seed)
    adjacency = graph(len(order))
    model = classifier(GraphConvolution(16, adjacency, **SIZES), mode)
    x = torch.randn(2, len(order), 128, dtype=torch.float64)
    channel = torch.arange(len(order)) + 1
    logits = model(x, channel, 1)
    if not torch.allclose(adjacency[order][:, order], adjacency):
        assert not torch.allclose(model(x[:, order], channel[order], 1), logits, rtol=0, atol=1e-9)
    model.spatial = reordered(model.spatial, adjacency, order)
    torch.testing.assert_close(model(x[:, order], channel[order], 1), logits)


@given(permutations())
@settings(max_examples=10)
def test_swapping_the_signals_of_two_named_electrodes_does_change_the_logits(case):
    order, seed = case
    torch.manual_seed(seed)
    model = classifier(build_spatial("gat", 16, **SIZES), "node")
    x = torch.randn(1, len(order), 128, dtype=torch.float64)
    channel = torch.arange(len(order)) + 1
    unmoved = torch.equal(order, torch.arange(len(order)))
    assert torch.allclose(model(x[:, order], channel, 1), model(x, channel, 1), rtol=0, atol=1e-12) == unmoved


@given(permutations(), st.sampled_from(["cam", "zero_padding", "intersection"]), st.booleans())
@settings(max_examples=30)
def test_the_order_of_a_montage_does_not_change_its_alignment(case, kind, incomplete):
    """Channels are known by name and place; where in the file they stand means nothing."""
    order, seed = case
    torch.manual_seed(seed)
    channels = MONTAGE[: len(order)]
    alignment = build_alignment(kind, {"d": channels}).double().eval()
    moved = build_alignment(kind, {"d": [channels[i] for i in order]}).double().eval()
    moved.load_state_dict(alignment.state_dict())
    x = torch.randn(2, len(order), 20, dtype=torch.float64)
    present = None
    if incomplete and kind != "intersection":
        present = torch.arange(len(order)) != order[0]
        x = x * present[:, None]
    there = None if present is None else present[order]
    torch.testing.assert_close(moved(x[:, order], "d", there), alignment(x, "d", present))
