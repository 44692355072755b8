"""How cost grows with windows, channels, nodes and subjects: ``python -m benchmarks.scaling``.

The slope is that of a straight line through the logarithms of the sizes measured. What lies beyond them is extrapolated
along the last step, where work has outgrown the processor's caches, and said to be so.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import torch
from matplotlib.ticker import NullFormatter

from benchmarks.measuring import RESULTS, machine
from benchmarks.preprocessing import one_pass, write_night
from benchmarks.selection import WIDTH, recordings
from unimontage.config import load_config
from unimontage.dag.plan import Plan
from unimontage.distillation.hbos import hbos_scores
from unimontage.distillation.kcenter import k_center
from unimontage.models.spatial import GraphAttentionLayer
from unimontage.reporting.canvas import BLUE, new_figure, tidy

ROUNDS = 3
HOURS, WINDOW_S = 2500, 4
LARGEST = HOURS * 3600 // WINDOW_S
CONFIG = RESULTS.parents[1] / "config" / "experiments" / "universal.yaml"


def seconds(work: Callable[[], object]) -> float:
    """Median seconds of a call, after one that does not count."""
    work()
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def over_windows() -> dict[str, dict[int, float]]:
    """Choosing 5 % by k-center, and outlier scores, against the number of windows."""
    sizes = (25_000, 50_000, 100_000, 200_000, 400_000)
    clouds = {n: recordings(np.random.default_rng(0), n) for n in sizes}
    return {
        "k-center, 5 % of so many windows": {n: seconds(lambda n=n: k_center(clouds[n], n // 20)) for n in sizes},
        f"HBOS of so many windows x {WIDTH}": {n: seconds(lambda n=n: hbos_scores(clouds[n], "auto")) for n in sizes},
    }


def over_channels() -> dict[str, dict[int, float]]:
    """Preprocessing of an hour at 1000 Hz against its channels, and a layer of graph attention against its nodes."""
    preprocessing, attention = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for channels in (2, 8, 32, 64):
            path = Path(folder) / f"{channels}.edf"
            write_night(path, 0.25, channels)
            preprocessing[channels] = seconds(lambda path=path: one_pass(path, 1))
            path.unlink()
    for nodes in (16, 32, 64, 128):
        layer, h = GraphAttentionLayer(128, 4, 32), torch.randn(64, nodes, 128, requires_grad=True)
        attention[nodes] = seconds(lambda layer=layer, h=h: layer(h)[0].sum().backward())
    return {
        "preprocessing, a quarter of an hour x so many channels": preprocessing,
        "graph attention, 64 graphs of so many nodes": attention,
    }


def over_subjects() -> dict[str, dict[int, float]]:
    """Seconds in which the jobs of the full experiment are planned, against the subjects of each dataset."""
    found = {}
    for subjects in (2, 4, 8, 15):
        config = load_config(CONFIG)
        few = {name: block.model_copy(update={"subjects": subjects}) for name, block in config.datasets.items()}
        plan = Plan(config.model_copy(update={"datasets": few}))
        found[subjects] = seconds(lambda plan=plan: [list(plan.jobs(name)) for name in plan.active()])
    return {"planning the jobs of the universal system, so many subjects a dataset": found}


def slope(points: dict[int, float], last: int | None = None) -> tuple[float, float]:
    """Slope and intercept of the line through the logarithms, of all points or the last ones."""
    chosen = list(points.items())[-last if last else None :]
    return tuple(np.polyfit(*np.log(np.array(chosen, dtype=float)).T, 1))


def page(measured: dict[str, dict[int, float]], about: dict[str, Any]) -> str:
    """Sizes, seconds, slopes, and the field's largest corpora by extrapolation."""
    lines = [
        "# How cost grows",
        "",
        "Medians of three calls, SYNTHETIC data. A slope of 1 is in proportion to size, 2 to its square.",
        "",
    ]
    lines += ["| work | measured: size, seconds | slope | of the last step |", "|---|---|---|---|"]
    for work, points in measured.items():
        told = "; ".join(f"{size:,}: {taken:.3g}" for size, taken in points.items())
        lines.append(f"| {work} | {told} | {slope(points)[0]:.2f} | {slope(points, last=2)[0]:.2f} |")
    lines += [
        "",
        f"{HOURS:,} hours in windows of {WINDOW_S} s are {LARGEST:,}, **by extrapolation** along the last step:",
        "",
    ]
    for work, points in list(measured.items())[:2]:
        rise, base = slope(points, last=2)
        lines.append(f"* {work}: {np.exp(base + rise * np.log(LARGEST)):,.0f} s")
    lines += [
        "",
        "The first of them is also measured, see [README.md](README.md). ![Cost against size](scaling.png)",
        "",
    ]
    lines += ["Cost against the number of GPUs has not been measured: there was none.", ""]
    lines.append(f"{about['processor']}, {about['cores']} cores, load {about['load']}.")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and show."""
    measured = over_windows() | over_channels() | over_subjects()
    (RESULTS / "scaling.json").write_text(json.dumps({"machine": machine(), "measured": measured}, indent=1) + "\n")
    show()


def show() -> None:
    """The page and its picture, from what was measured."""
    content = json.loads((RESULTS / "scaling.json").read_text())
    measured = {
        work: {int(size): taken for size, taken in found.items()} for work, found in content["measured"].items()
    }
    (RESULTS / "scaling.md").write_text(page(measured, content["machine"]))
    figure = new_figure(13.0, 3.4, "Seconds against size, SYNTHETIC data", synthetic=False)
    for axes, (work, points) in zip(figure.subplots(1, len(measured)), measured.items(), strict=True):
        rise, base = slope(points)
        sizes = np.array(list(points))
        tidy(axes).loglog(sizes, list(points.values()), "o", color=BLUE)
        axes.loglog(sizes, np.exp(base) * sizes**rise, color=BLUE, label=f"slope {rise:.2f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title("\n".join(wrap(work, 32)), fontsize=7)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(RESULTS / "scaling.png", dpi=110)


if __name__ == "__main__":
    main()
