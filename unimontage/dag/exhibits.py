"""What the report of a run shows: whatever the rules that make its files declare with Snakemake's ``report()``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from unimontage.dag.fingerprint import ROOT

CAPTIONS = ROOT.parent / "workflow" / "report"
ABOUT = "workflow"
"""The caption of the report as a whole."""


def exhibits(rules: Iterable[Any], files: Iterable[str]) -> list[dict[str, Any]]:
    """Tables and figures that the jobs behind some files make, each once.

    Parameters
    ----------
    rules : iterable of snakemake.rules.Rule
        All rules of the workflow.
    files : iterable of str
        Files of the run, in the order in which they are shown.

    Returns
    -------
    list of dict
        ``file``, the name of its ``caption``, ``category``, ``labels`` and ``wildcards`` of each output that is
        declared for a report.
    """
    rules, found = list(rules), {}
    for file in files:
        rule = next(rule for rule in rules if rule.is_producer(file))
        wildcards = dict(rule.get_wildcards(file))
        for output in rule.output:
            declared = output.flags.get("report")
            if declared:
                labels = {name: label.format(**wildcards) for name, label in (declared.labels or {}).items()}
                path = str(output.apply_wildcards(wildcards))
                found[path] = {"file": path, "category": declared.category, "labels": labels, "wildcards": wildcards}
                found[path]["caption"] = Path(declared.caption.get_path_or_uri(secret_free=True)).stem
    return list(found.values())


def captions(shown: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Texts of the captions of some exhibits, and of the report as a whole, by name."""
    names = dict.fromkeys([ABOUT, *(exhibit["caption"] for exhibit in shown)])
    return {name: (CAPTIONS / f"{name}.rst").read_text(encoding="utf-8") for name in names}
