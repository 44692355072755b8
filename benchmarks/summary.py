"""One table and one picture of all findings: ``python -m benchmarks.summary``.

Reads ``results/*.json`` and writes ``results/README.md``, ``results/speed.png``, and the table in the project's README.
"""

import json
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.measuring import RESULTS, Finding
from unimontage.reporting.canvas import BLUE, ORANGE, QUIET, new_figure, tidy

ROOT = RESULTS.parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- speed: made by python -m benchmarks.summary -->", "<!-- end of speed -->"
HEAD = (
    "| work | beside | times as fast, median (rounds) | goal | against the limit | equal |\n|---|---|---|---|---|---|"
)
LIMITS = "| share or size | median (all rounds) | at most | |\n|---|---|---|---|"


def read() -> list[tuple[str, dict[str, Any], list[Finding]]]:
    """Name, the rest of the file and findings of every result."""
    found = []
    for path in sorted(RESULTS.glob("*.json")):
        content = json.loads(path.read_text())
        findings = [Finding(**finding) for finding in content.pop("findings", [])]
        if findings:
            found.append((path.stem, content, findings))
    return found


def ratios(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that compare with a peer."""
    return [finding for finding in findings if finding.peer != "limit"]


def limits(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that have a limit."""
    return [finding for finding in findings if finding.peer == "limit"]


def reached(finding: Finding) -> bool:
    """Whether the median is where it should be."""
    median = statistics.median(finding.values)
    return median <= finding.goal if finding.peer == "limit" else median >= finding.goal


def page() -> str:
    """All findings, file by file, with the machine they were made on."""
    lines = ["# What is fast, and how that was measured", "", _explained(), "", "![All ratios](speed.png)"]
    for name, content, findings in read():
        machine, about = content["machine"], content["about"]
        lines += ["", f"## {name.replace('_', ' ')}", "", f"`python -m benchmarks.{_module(name)}`", ""]
        if ratios(findings):
            lines += [HEAD, *map(_ratio_row, ratios(findings)), ""]
        if limits(findings):
            lines += [LIMITS, *map(_limit_row, limits(findings)), ""]
        if "bound" in about:
            lines += [f"The limit: {about['bound']}.", ""]
        told = [f"{key} {value}" for key, value in about.items() if key != "bound"]
        versions = ", ".join(f"{package} {number}" for package, number in machine["versions"].items())
        where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, load {machine['load']}"
        lines.append(f"{'; '.join([*told, where])}. {versions}.")
    return "\n".join([*lines, ""])


def shown() -> str:
    """The part of the project's README: a row a comparison, without rounds."""
    findings = [finding for _, _, found in read() for finding in found]
    rows = ["| work | beside | times as fast |", "|---|---|---|"]
    rows += [f"| {f.stage} | {f.peer} | {_short(statistics.median(f.values))} |" for f in ratios(findings)]
    missed = [f"{f.stage} ({f.peer})" for f in findings if not reached(f)]
    told = f"Not reached of what we had set out to reach: {'; '.join(missed)}." if missed else "All goals are reached."
    return "\n".join([BEGIN, *rows, "", told, END])


def picture() -> Figure:
    """The ratio of every comparison on a logarithmic axis, with all rounds and the goal."""
    findings = [finding for _, _, found in read() for finding in ratios(found)]
    figure = new_figure(
        11.0, 1.2 + 0.34 * len(findings), "Times as fast as a peer in the same run, SYNTHETIC data", synthetic=False
    )
    axes = tidy(figure.subplots())
    for place, finding in enumerate(findings[::-1]):
        colour = BLUE if reached(finding) else ORANGE
        axes.barh(place, statistics.median(finding.values), color=colour, height=0.6)
        axes.plot(finding.values, [place] * len(finding.values), "|", color="black", markersize=6)
        axes.plot([finding.goal] * 2, [place - 0.42, place + 0.42], color=QUIET, linewidth=2)
    axes.set_xscale("log")
    axes.set_yticks(range(len(findings)), [f"{f.stage}\nbeside {f.peer}" for f in findings[::-1]], fontsize=6)
    axes.set_xlabel("ratio; strokes are rounds, grey bars goals, orange where a goal is missed")
    axes.axvline(1, color="black", linewidth=0.8)
    return figure


def _explained() -> str:
    return (
        "Everything is measured in one run with its peer, turn by turn, and only ratios of one round are taken. "
        "All data are SYNTHETIC noise or simulations. `python -m benchmarks` makes all of it again, which takes an "
        "hour or so on an idle machine; `python -m benchmarks.summary` makes this page from the files beside it."
    )


def _module(name: str) -> str:
    return next((path.stem for path in RESULTS.parent.glob("*.py") if name.startswith(path.stem)), name)


def _ratio_row(finding: Finding) -> str:
    bound = f"{_short(finding.bound)} x" if finding.bound else ""
    return f"| {finding.stage} | {finding.peer} | {_outcome(finding)} | {bound} | {finding.equal} |"


def _limit_row(finding: Finding) -> str:
    return f"| {finding.stage} | {_outcome(finding)} | {finding.equal} |"


def _outcome(finding: Finding) -> str:
    """Two cells: median and rounds, and the goal."""
    values = ", ".join(map(_short, sorted(finding.values)))
    goal = f"{finding.goal:g}" if reached(finding) else f"**{finding.goal:g}, missed**"
    return f"**{_short(statistics.median(finding.values))}** ({values}) | {goal}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.3g}"


def files() -> Iterator[tuple[Path, str]]:
    """Every text that is made from the findings, and where it stands."""
    yield RESULTS / "README.md", page()
    yield README, re.sub(f"{BEGIN}.*?{END}", lambda _: shown(), README.read_text(), flags=re.DOTALL)


def main() -> None:
    """Write the page, the picture and the README's table."""
    for path, text in files():
        path.write_text(text)
    picture().savefig(RESULTS / "speed.png", dpi=110)


if __name__ == "__main__":
    main()
