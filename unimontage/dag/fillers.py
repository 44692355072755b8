"""Which arm of which experiment would measure a published number."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from unimontage.config import load_config
from unimontage.config.protocols import Division
from unimontage.dag.fingerprint import ROOT
from unimontage.dag.plan import Plan

EXPERIMENTS = ROOT.parent / "config" / "experiments"


@cache
def fillers(folder: Path = EXPERIMENTS) -> list[dict[str, Any]]:
    """Every meeting of an arm that stands for a published row with a target, in all experiments of a folder.

    Parameters
    ----------
    folder : Path
        Where the configurations are. Datasets that are stand-ins there measure nothing and are left out.

    Returns
    -------
    list of dict
        ``config`` (file name), ``comparison``, ``arm``, ``row`` (the arm's ``paper``), ``dataset``, ``protocol`` (with
        its label budget), ``labels_pct``, ``kept_pct``, and ``costs``: whether size and speed of the arm's network are
        measured too.
    """
    plans = {path.name: Plan(load_config(path)) for path in sorted(folder.glob("*.yaml"))}
    return [filler for name, plan in plans.items() for filler in _of_plan(name, plan)]


def stands_for(plan: Plan, comparisons: Iterable[str]) -> bool:
    """Whether any arm of these comparisons stands for a published row."""
    meetings = [(c, t) for c in comparisons for t in plan.targets(c)]
    return any(plan.config.arms[arm].paper for c, target in meetings for arm in plan.arms(c, *target))


def _of_plan(name: str, plan: Plan) -> Iterator[dict[str, Any]]:
    for comparison in plan.active():
        nightly, networks = plan.nightly(comparison), plan.networks(comparison)
        for dataset, task, protocol in plan.targets(comparison):
            if plan.config.datasets[dataset].synthetic:
                continue
            for arm in plan.arms(comparison, dataset, task, protocol):
                row = plan.config.arms[arm].paper
                if row:
                    yield {
                        **{"config": name, "comparison": comparison, "arm": arm, "row": row, "dataset": dataset},
                        **{"protocol": protocol, "labels_pct": Division.parse(protocol).percent},
                        "kept_pct": round(100 * plan.choice(arm).kept, 6),
                        "costs": (dataset, task, protocol) in nightly and arm in networks,
                    }
