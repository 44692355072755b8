"""Graph attention over complete graphs beside torch-geometric: ``python -m benchmarks.attention``.

Forward and backward of one layer with the same weights, on one thread; time, memory, and how equal the results are.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.measuring import Finding, keep, take_turns
from unimontage.models.spatial import GraphAttentionLayer

WIDTH, HEADS, HEAD_WIDTH, BATCH = 128, 4, 32, 128
NODES = (62, 32, 14)


class Sparse(nn.Module):
    """torch-geometric's layer over the edges of a batch of complete graphs, with the weights of ours."""

    def __init__(self, ours: GraphAttentionLayer, nodes: int, batch: int) -> None:
        super().__init__()
        from torch_geometric.nn import GATConv

        self.layer = GATConv(WIDTH, HEAD_WIDTH, HEADS, add_self_loops=False, bias=False).to(ours.source.dtype)
        with torch.no_grad():
            self.layer.lin.weight.copy_(ours.weight.weight)
            self.layer.att_src.copy_(ours.source[None])
            self.layer.att_dst.copy_(ours.target[None])
        edges = torch.cartesian_prod(torch.arange(nodes), torch.arange(nodes)).T  # (2, n^2), self-loops among them
        shift = nodes * torch.arange(batch)[:, None, None]  # (B, 1, 1)
        self.edges = (edges + shift).transpose(0, 1).flatten(1)  # (2, B n^2)

    def forward(self, h: Tensor) -> Tensor:
        """Mixed nodes (B, n, H * K)."""
        return self.layer(h.flatten(0, 1), self.edges).unflatten(0, h.shape[:2])


def layers(nodes: int, batch: int, dtype: torch.dtype) -> tuple[Callable[[Tensor], Tensor], nn.Module, nn.Module]:
    """Ours as a function, ours and theirs as modules."""
    torch.manual_seed(0)
    ours = GraphAttentionLayer(WIDTH, HEADS, HEAD_WIDTH).to(dtype)
    return (lambda h: ours(h)[0]), ours, Sparse(ours, nodes, batch)


def differences(nodes: int) -> tuple[float, float]:
    """Largest difference in float64 of the output, and of the gradients in relation to the largest."""
    run, ours, theirs = layers(nodes, 4, torch.float64)
    h, found = torch.randn(4, nodes, WIDTH, dtype=torch.float64), []
    for layer, call in ((ours, run), (theirs, theirs)):
        x = h.clone().requires_grad_()
        out = call(x)
        out.square().sum().backward()
        weight = ours.weight.weight if layer is ours else theirs.layer.lin.weight
        found.append((out.detach(), x.grad, weight.grad))
    output, *gradients = ((a - b).abs().max() for a, b in zip(*found, strict=True))
    relative = [d / theirs.abs().max() for d, theirs in zip(gradients, found[1][1:], strict=True)]
    return float(output), float(max(relative))


def peak(work: Callable[[], object]) -> int:
    """Most bytes that are allocated at once during a call, beyond those at its beginning."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    findings = []
    for nodes in NODES:
        run, _, theirs = layers(nodes, BATCH, torch.float32)
        h = torch.randn(BATCH, nodes, WIDTH, requires_grad=True)
        weight, mix = torch.randn(WIDTH, HEADS * HEAD_WIDTH), torch.randn(BATCH, HEADS, nodes, nodes)

        def products(weight: Tensor = weight, mix: Tensor = mix, h: Tensor = h, nodes: int = nodes) -> None:
            """The matrix products of the layer alone, three times: forward, and backward to either factor."""
            with torch.no_grad():
                for _ in range(3):
                    mixed = h.flatten(0, 1) @ weight
                    mix @ mixed.unflatten(0, (BATCH, nodes)).unflatten(2, (HEADS, HEAD_WIDTH)).transpose(1, 2)

        ways = {"ours": lambda run=run, h=h: run(h).sum().backward()}
        ways |= {"theirs": lambda theirs=theirs, h=h: theirs(h).sum().backward(), "products": products}
        seconds = take_turns(ways, given.rounds)
        output, gradient = differences(nodes)
        equal = f"float64: output {output:.0e}, gradients {gradient:.0e}"
        bound = float((seconds["ours"] / seconds["products"]).median())
        stage, peer = f"graph attention, {nodes} nodes, {BATCH} graphs", "torch-geometric GATConv"
        ratios = (seconds["theirs"] / seconds["ours"]).tolist()
        findings.append(Finding(stage, peer, ratios, 10 if nodes == max(NODES) else 1, equal, bound))
        memory = peak(ways["theirs"]) / peak(ways["ours"])
        findings.append(Finding(f"{stage}, memory", peer, [memory], 15 if nodes == max(NODES) else 1, equal))
    keep("attention", findings, threads=1, bound="the layer's matrix products alone")


if __name__ == "__main__":
    main()
