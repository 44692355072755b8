"""Rules distilled and selection_cost: what training on a part of the windows is worth, and what it costs."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from unimontage.config.evaluation import Evaluation
from unimontage.reporting import distill_figures as draw
from unimontage.reporting.distill_rendering import distill_html, distill_text
from unimontage.reporting.distill_tables import distill_table
from unimontage.splits.files import read_table
from unimontage.stages.evaluate import write_text
from unimontage.stages.figures import save
from unimontage.stages.request import Request

ALL = "full"
HOUR_S = 3600.0


class ByShare(Request):
    """Pooled scores of arms, and the windows that each or its encoder was trained on."""

    pooled: tuple[Path, ...]
    methods: dict[str, str]
    kept: dict[str, float]
    evaluation: Evaluation


class DistilledRequest(ByShare):
    """Compare arms by the windows that they or their encoders were trained on."""

    title: str
    csv: Path
    html: Path
    txt: Path
    curves: Path


class CostRequest(ByShare):
    """Compare arms by what the choice of windows for their pre-training cost, and by what it covers."""

    costs: dict[str, dict[str, tuple[Path, ...]]]
    selections: tuple[Path, ...]
    weights: tuple[Path, ...]
    cost: Path
    coverage: Path


def compare(request: DistilledRequest) -> None:
    """The article's tables with the run's numbers, and scores by share of windows kept."""
    table = _scores(request)
    printed = distill_table(table)
    write_text(request.csv, printed.to_csv(index=False))
    write_text(request.html, distill_html(printed, request.title))
    write_text(request.txt, distill_text(printed))
    shown, synthetic = _shown(table, request.evaluation)
    save(draw.selection_curves(shown, synthetic=synthetic), request.curves)


def cost(request: CostRequest) -> None:
    """Scores by hours, and how far windows are from the chosen ones."""
    shown, synthetic = _shown(_scores(request), request.evaluation)
    hours = {arm: {f"{part}_h": _hours(paths) for part, paths in parts.items()} for arm, parts in request.costs.items()}
    costs = pd.DataFrame.from_dict(hours, orient="index").rename_axis("arm").reset_index()
    save(draw.cost_curves(shown.merge(costs, on="arm"), synthetic=synthetic), request.cost)
    save(draw.coverage(_coverage(request.selections), synthetic=synthetic), request.coverage)


def _scores(request: ByShare) -> pd.DataFrame:
    table = pd.concat([read_table(path).rows for path in request.pooled], ignore_index=True)
    table = table[table["arm"].isin(request.methods)]
    return table.assign(method=table["arm"].map(request.methods), kept_pct=table["arm"].map(request.kept))


def _shown(table: pd.DataFrame, evaluation: Evaluation) -> tuple[pd.DataFrame, bool]:
    """The rows that are drawn, and whether any of them is synthetic."""
    shown = table[table["metric"].isin((evaluation.metric, evaluation.regression_metric))]
    return shown, bool(table["synthetic"].any())


def _hours(benchmarks: Sequence[Path]) -> float:
    """Wall time of jobs by Snakemake's own clock, a mean over seeds of what each needed; 0 where there were none."""
    seconds = [json.loads(path.read_text().splitlines()[0])["s"] for path in benchmarks]
    return sum(seconds) / len(seconds) / HOUR_S if seconds else 0.0


def _coverage(selections: Sequence[Path]) -> pd.DataFrame:
    """Covering radius of every choice that was made among latents."""
    rows = []
    for path in selections:
        known = read_table(path).facts
        options = {"method": known["distill"]["method"], "kept_pct": 100 * known["distill"]["kept"]}
        rows += [{"dataset": part} | options | found for part, found in known["radius"].items()]
    return pd.DataFrame(rows, columns=["dataset", "method", "kept_pct", "radius", "mean_distance"])
