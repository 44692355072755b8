"""What it costs to start the jobs of a fan-out over subjects, against their work: ``python -m benchmarks.startup``.

A full-size stand-in of DEAP is cut into windows once. Then the same arms are trained and tested within each subject,
with one subject a job and with several; each way runs on one core and from nothing. Two totals and two numbers of jobs
give the price of a start and the work: total = jobs x start + work. Classical arms are the hardest case, because
theirs is the shortest work.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.measuring import Finding, keep
from unimontage.config import load_config
from unimontage.dag.paths import Paths
from unimontage.dag.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
RULES = ("split", "audit", "within_subject")


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--each", type=int, default=4, help="subjects a job, in the second way")
    parser.add_argument("--pipelines", nargs="+", default=["de_svm", "tangent_space"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name) / "prepared"
        config = configuration(options)
        run(prepared, config, "prepared")
        rows = []
        for each in (1, options.each):
            folder = Path(name) / f"each-{each}"
            shutil.copytree(prepared, folder)
            rows.append(measure(folder, config | {"subjects_per_job": each}))
    many, few = rows
    start = (many["cpu_s"] - few["cpu_s"]) / (many["jobs"] - few["jobs"])
    findings = []
    for each, row, goal in ((1, many, 100), (options.each, few, 5)):
        stage = f"starting the jobs of a fan-out, {each} subjects each: percent of the processor time"
        told = f"{row['jobs']} jobs of {row['cpu_s'] / row['jobs']:.0f} s, a start costs {start:.1f} s"
        findings.append(Finding(stage, "limit", [100 * start * row["jobs"] / row["cpu_s"]], goal, told))
    what = f"{options.subjects} subjects of a full-size SYNTHETIC DEAP, {' and '.join(options.pipelines)} within each"
    keep("startup", findings, data=what)


def configuration(options: argparse.Namespace) -> dict:
    """Within-subject classification of DEAP's ratings, classical arms, the paper's size."""
    target = {"dataset": "deap", "tasks": ["valence"], "protocols": ["strict_trial"]}
    return {
        "run": "startup",
        "datasets": {"deap": {"synthetic": True, "subjects": options.subjects}},
        "splits": {"holdout_groups": -(-options.subjects // options.each)},
        "arms": {name: {"kind": "classical", "pipeline": name} for name in options.pipelines},
        "within_subject": {"targets": [target], "arms": options.pipelines},
    }


def run(folder: Path, config: dict, *targets: str) -> float:
    """Run targets in a folder on one core; processor seconds of it and all its jobs."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", *targets, "--cores", "1", "--scheduler", "greedy", "--quiet", "all"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(folder: Path, config: dict) -> dict[str, float]:
    """All predictions of a configuration, whose windows are there."""
    plan, paths = Plan(load_config(config)), Paths("results/startup")
    jobs = list(plan.jobs("within_subject"))
    wanted = [paths.predictions("within_subject").format(**vars(job)) for job in jobs]
    cpu_s = run(folder, config, *wanted)
    made = folder / "results" / "startup" / "benchmarks"
    return {"jobs": sum(len(list((made / rule).rglob("*.jsonl"))) for rule in RULES), "cpu_s": cpu_s}


if __name__ == "__main__":
    main()
