import numpy as np
import pytest
import torch

from unimontage.errors import UserError
from unimontage.models.spatial import (
    GraphAttention,
    GraphAttentionLayer,
    GraphConvolution,
    build_spatial,
    correlation_adjacency,
    distance_adjacency,
    normalised_adjacency,
)


@pytest.fixture(scope="module")
def gat_conv():
    return pytest.importorskip("torch_geometric.nn").GATConv


def every_edge(batch, nodes):
    """Edges (source, target) of ``batch`` complete graphs with self-loops."""
    target, source = torch.meshgrid(torch.arange(nodes), torch.arange(nodes), indexing="ij")
    edges = torch.stack([source.flatten(), target.flatten()])  # (2, n n)
    return (edges[:, None] + nodes * torch.arange(batch)[:, None]).flatten(1)


@pytest.mark.parametrize(("batch", "nodes"), [(3, 14), (2, 31)])
def test_dense_attention_equals_the_edge_list_form_in_value_and_gradient(gat_conv, batch, nodes):
    torch.manual_seed(nodes)
    ours = GraphAttentionLayer(12, heads=4, head_width=8).double()
    peer = gat_conv(12, 8, heads=4, add_self_loops=False, bias=False).double()
    with torch.no_grad():
        peer.lin.weight.copy_(ours.weight.weight)
        peer.att_src.copy_(ours.source[None])
        peer.att_dst.copy_(ours.target[None])
    h = torch.randn(batch, nodes, 12, dtype=torch.float64, requires_grad=True)
    g = h.detach().clone().requires_grad_()
    out, _ = ours(h)
    expected = peer(g.flatten(0, 1), every_edge(batch, nodes)).unflatten(0, (batch, nodes))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    pull = torch.randn_like(out)
    (out * pull).sum().backward()
    (expected * pull).sum().backward()
    pairs = [
        (h.grad, g.grad),
        (ours.weight.weight.grad, peer.lin.weight.grad),
        (ours.source.grad, peer.att_src.grad[0]),
        (ours.target.grad, peer.att_dst.grad[0]),
    ]
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_attention_matches_its_formula_written_out():
    torch.manual_seed(0)
    layer = GraphAttentionLayer(3, heads=2, head_width=2).double().requires_grad_(False)
    h = torch.randn(1, 4, 3, dtype=torch.float64)
    _, attention = layer(h)
    for k in range(2):
        w = (h[0] @ layer.weight.weight.T)[:, 2 * k : 2 * k + 2]
        score = [[layer.target[k] @ w[i] + layer.source[k] @ w[j] for j in range(4)] for i in range(4)]
        score = torch.tensor(score)
        score = torch.where(score > 0, score, 0.2 * score)
        torch.testing.assert_close(attention[0, k], score.softmax(1))


def test_no_intermediate_is_larger_than_one_score_per_head_and_pair():
    batch, nodes, heads = 2, 40, 2
    layer = GraphAttentionLayer(4, heads=heads, head_width=4, dropout=0.3)
    sizes = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                sizes.append(out.numel())
            return out

    def keep(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, keep), Watch():
        layer(torch.randn(batch, nodes, 4, requires_grad=True))
    assert max(sizes) == batch * nodes * nodes * heads


def test_returned_attention_is_the_mean_of_the_last_layers_heads():
    torch.manual_seed(0)
    model = GraphAttention(16, heads=2, head_width=8).eval()
    h = torch.randn(2, 5, 16)
    nodes, attention = model(h, return_attention=True)
    first = model.norms[0](h + torch.nn.functional.elu(model.layers[0](h)[0]))
    mixed, heads = model.layers[1](first)
    torch.testing.assert_close(attention, (heads[:, 0] + heads[:, 1]) / 2)
    torch.testing.assert_close(nodes, model.norms[1](first + torch.nn.functional.elu(mixed)))


def test_attention_is_dropped_in_training_only():
    model = GraphAttention(16, heads=2, head_width=8, dropout=0.5)
    h = torch.randn(2, 5, 16)
    assert not torch.equal(model(h), model(h))
    model.eval()
    assert torch.equal(model(h), model(h))


def test_layers_may_change_the_width():
    model = GraphAttention(10, heads=2, head_width=8)
    assert model(torch.randn(2, 5, 10)).shape == (2, 5, 16)
    model = GraphConvolution(10, torch.zeros(5, 5), heads=2, head_width=8)
    assert model(torch.randn(2, 5, 10)).shape == (2, 5, 16)


def test_the_normalised_adjacency_of_a_pair_is_known():
    a = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    torch.testing.assert_close(normalised_adjacency(a), torch.full((2, 2), 0.5, dtype=torch.float64))
    torch.testing.assert_close(normalised_adjacency(0 * a), torch.eye(2, dtype=torch.float64))


def test_graph_convolution_matches_its_formula():
    torch.manual_seed(0)
    weights = torch.rand(4, 4)
    weights = (weights + weights.T).fill_diagonal_(0)
    model = GraphConvolution(8, weights, layers=1, heads=1, head_width=8).eval()
    h = torch.randn(2, 4, 8)
    hat = weights + torch.eye(4)
    root = torch.diag(hat.sum(1) ** -0.5)
    mixed = torch.nn.functional.elu(root @ hat @ root @ h @ model.layers[0].weight.T)
    torch.testing.assert_close(model(h), model.norms[0](h + mixed))


@pytest.mark.parametrize(
    "bad", [torch.tensor([[0.0, 1.0], [0.0, 0.0]]), -torch.ones(2, 2), torch.zeros(2, 3), torch.full((2, 2), torch.nan)]
)
def test_what_is_no_adjacency_is_refused(bad):
    with pytest.raises(ValueError, match="symmetric"):
        normalised_adjacency(bad)


def test_a_graph_of_another_montage_is_refused():
    with pytest.raises(ValueError, match="5 channels on a graph of 4"):
        GraphConvolution(8, torch.zeros(4, 4))(torch.randn(1, 5, 8))


def test_near_electrodes_are_joined_and_far_ones_are_not():
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [10.0, 0, 0]])
    sigma = (1 + 10 + 9) / 3
    a = distance_adjacency(positions)
    assert a[0, 1].item() == pytest.approx(np.exp(-1 / (2 * sigma**2)))
    assert a[0, 2].item() == pytest.approx(np.exp(-100 / (2 * sigma**2)))
    assert torch.equal(a, a.T)
    assert not a.diagonal().any()
    assert distance_adjacency(np.vstack([positions[:2], [[0.1, 0, 0], [0.2, 0, 0], [9.0, 0, 0]]]))[0, 4] == 0
    torch.testing.assert_close(distance_adjacency(1000 * positions), a)


@pytest.mark.parametrize("positions", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.zeros((1, 3))])
def test_electrodes_without_distances_are_refused(positions):
    with pytest.raises(UserError, match="no distance"):
        distance_adjacency(positions)


def test_correlation_is_averaged_over_windows_and_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((7, 4, 50)).astype(np.float32)
    windows[:, 1] -= windows[:, 0]
    expected = np.mean([np.abs(np.corrcoef(window)) for window in windows], axis=0)
    np.fill_diagonal(expected, 0)
    for chunk in (256, 3):
        monkeypatch.setattr("unimontage.models.spatial.CHUNK", chunk)
        np.testing.assert_allclose(correlation_adjacency(windows).numpy(), expected, atol=1e-6)
    normalised_adjacency(correlation_adjacency(torch.from_numpy(windows)))


def test_a_flat_channel_correlates_with_nothing():
    windows = np.random.default_rng(0).standard_normal((3, 3, 20))
    windows[:, 2] = 4.0
    a = correlation_adjacency(windows)
    assert torch.isfinite(a).all()
    assert not a[2].any()


def test_the_kind_decides_the_layer():
    assert isinstance(build_spatial("gat", 8), GraphAttention)
    assert isinstance(build_spatial("gcn_distance", 8, adjacency=torch.zeros(3, 3)), GraphConvolution)
    assert build_spatial("none", 8) is None
    with pytest.raises(UserError, match="gcn_distance"):
        build_spatial("gcn", 8)
    with pytest.raises(ValueError, match="adjacency"):
        build_spatial("gcn_correlation", 8)
