"""Rule efficiency: what one example costs each network, beside what the article prints."""

from pathlib import Path

import pandas as pd
import torch

from unimontage.config.arms import Aligned, Arm
from unimontage.datasets import facts
from unimontage.evaluation.efficiency import profile
from unimontage.reporting.published_rendering import efficiency_html, efficiency_text
from unimontage.reporting.published_tables import efficiency_table
from unimontage.reporting.tables import REAL, SYNTHETIC
from unimontage.stages.evaluate import write_text
from unimontage.stages.request import Request
from unimontage.training.answer import AlignedStart
from unimontage.training.devices import open_device
from unimontage.windows import WindowPool, WindowStore

PER_DATASET = ("cam", "linear", "single")
"""Alignments whose rows do not depend on the other datasets: only the target's own part is measured."""


class EfficiencyRequest(Request):
    """Measure networks on one window of each target."""

    windows: tuple[Path, ...]
    datasets: tuple[str, ...]
    arms: dict[str, Arm]
    starts: dict[str, dict[str, AlignedStart | None]]
    tasks: dict[str, str]
    synthetic: bool
    title: str
    threads: int
    csv: Path
    html: Path
    txt: Path


def measure(request: EfficiencyRequest) -> None:
    """Parameters, operations, memory and latency of every network on every target."""
    rows = []
    device = open_device(request.threads).device
    for dataset, path in zip(request.datasets, request.windows, strict=True):
        pool = WindowPool.of([WindowStore.open(path)])
        classes = len(facts(dataset).tasks[request.tasks[dataset]].classes)
        example = torch.zeros(1, len(pool.channels), pool.n_times, device=device)
        for name, start in request.starts[dataset].items():
            arm = request.arms[name]
            model = _network(arm, start, pool, classes).to(device)
            rows.append({"row": arm.paper or name, "dataset": dataset} | profile(model, example))
    table = efficiency_table(pd.DataFrame(rows))
    data = SYNTHETIC if request.synthetic else REAL
    write_text(request.csv, table.assign(data=data).to_csv(index=False))
    write_text(request.html, efficiency_html(table, request.title, request.synthetic))
    write_text(request.txt, efficiency_text(table))


def _network(arm: Arm, start: AlignedStart | None, pool: WindowPool, classes: int) -> torch.nn.Module:
    """The arm's network with random weights."""
    torch.manual_seed(0)
    if isinstance(arm, Aligned):
        from unimontage.training import staging

        if start.alignment.kind in PER_DATASET:
            start = start.model_copy(update={"montages": start.target})
        return staging.build(arm, start, pool, classes, None).model
    from unimontage.training import supervised

    return supervised.build(arm, pool, classes).model
