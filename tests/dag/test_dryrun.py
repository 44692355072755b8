"""The workflow as Snakemake sees it, on a machine that holds no data. Each start costs seconds, so each serves all."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from unimontage.config import load_config
from unimontage.dag.fillers import stands_for
from unimontage.dag.plan import Plan

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "config" / "config.yaml"
UNIVERSAL = ROOT / "config" / "experiments" / "universal.yaml"
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
RULES = {
    name
    for path in (ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk"))
    for name in re.findall(r"^(?:use rule \w+ as|rule) (\w+)", path.read_text(), flags=re.MULTILINE)
}
FEW = 3  # subjects of each dataset, as many hold-out groups


def snakemake(folder, *options, config=DEMO, snakefile=ROOT / "Snakefile"):
    """What Snakemake prints; the run's files would go to ``folder``."""
    command = [Path(sys.executable).with_name("snakemake"), "--snakefile", snakefile, "--directory", folder]
    command += ["--configfile", config, *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not (folder / "results").exists()
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory without any data."""
    return tmp_path_factory.mktemp("nothing")


def counted(text):
    """Jobs by rule, from the first table of a dry run."""
    table = text.split("Job stats:", 1)[1].split("\ntotal", 1)[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}


def expected(plan):
    """Jobs by rule, counted over what the plan says a run consists of."""
    jobs = {name: list(plan.jobs(name)) for name in plan.active()}
    starts = plan.pretrainings()
    whole = [start for start in starts if start["holdout"] == "all"]
    subjects = {(dataset, subject) for dataset in plan.config.datasets for subject in plan.subjects(dataset)}
    places = [(name, job.dataset, job.task, job.protocol) for name in jobs for job in jobs[name]]
    divided = [
        (*place, job.subjects) for place, job in zip(places, (job for name in jobs for job in jobs[name]), strict=True)
    ]
    audits = {
        (job.dataset, job.task, job.protocol, job.subjects, start.get("corpus"), start.get("holdout"))
        for found in jobs.values()
        for job in found
        for start in (plan.pretrained(job) or {},)
    }
    counts = {
        "twin": sum(dataset.synthetic for dataset in plan.config.datasets.values()),
        "locate": len(subjects),
        "preprocess": len(subjects),
        "split": len({each[1:] for each in divided}),
        "audit": len(audits),
        "corpus": len({(start["corpus"], start["holdout"]) for start in starts}),
        "pretrain": len(starts) * len(plan.config.seeds),
        "pretraining_figure": len(whole),
        "embedding": len(whole),
        **{name: len(found) for name, found in jobs.items()},
        "score": len(set(places)),
        "figures": len(set(places)),
        "ranks": len({place for place in places if len(plan.arms(*place)) > 3}),
        "attention": len({place for place in places if plan.attentive(*place)}),
        "table": len(jobs),
        "contrast": sum(plan.contrasted(name) for name in jobs),
        "montage": len(plan.config.datasets),
        "ledger": stands_for(plan, jobs),
        "report": 1,
        "all": 1,
    }
    return {name: count for name, count in counts.items() if count}


# The demo, planned for a cluster.


@pytest.fixture(scope="module")
def cluster(folder):
    """Dry run of the demo with the profile for SLURM."""
    return snakemake(folder, "--dry-run", "--profile", ROOT / "profiles" / "slurm")


def test_the_demo_has_the_jobs_of_its_plan(cluster):
    assert counted(cluster) == expected(Plan(load_config(DEMO)))


def test_every_job_has_a_partition_a_time_and_memory_on_a_cluster(cluster):
    """A profile that is loaded by default takes them away without a word."""
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", cluster, flags=re.MULTILINE)
    assert Counter(name for name, _ in blocks) == counted(cluster)
    for name, block in blocks:
        resources = dict(part.split("=", 1) for part in re.search(r"resources: (.*)", block)[1].split(", "))
        assert resources["slurm_partition"] in ("cpu", "gpu"), name
        assert int(resources["runtime"]) > 0, name
        assert int(resources["mem_mb"]) > 0, name
        if int(resources.get("gpu", 0)):
            assert resources["slurm_partition"] == "gpu", name


def test_a_plan_needs_no_apptainer_and_a_run_says_that_it_does(tmp_path):
    for program in ("sh", "bash", "which"):  # all that Snakemake and its plugin call
        (tmp_path / program).symlink_to(shutil.which(program))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path]
    command += ["--configfile", DEMO, "--sdm", "apptainer", "--cores", "1", "--quiet", "rules"]
    options = {"env": {"PATH": str(tmp_path), "HOME": str(tmp_path)}, "capture_output": True, "text": True}
    plan = subprocess.run([*command, "--dry-run"], **options, check=False)
    assert plan.returncode == 0, plan.stderr[-3000:]
    real = subprocess.run(command, **options, check=False)
    assert real.returncode == 1
    assert "The apptainer or singularity command has to be available" in real.stderr
    assert not (tmp_path / "results").exists()


def test_there_is_no_default_profile():
    assert "default" not in PROFILES
    assert {"local", "slurm"} <= set(PROFILES)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_names_rules_that_exist(profile):
    """Snakemake passes over others in silence."""
    options = yaml.safe_load((ROOT / "profiles" / profile / "config.yaml").read_text())
    for key in ("set-resources", "set-threads", "set-scatter"):
        assert set(options.get(key, {})) <= RULES, key


def test_the_profile_for_slurm_has_what_was_learnt_the_hard_way():
    options = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    assert options["executor"] == "slurm"
    assert options["slurm-status-command"] == "squeue"
    assert options["scheduler"] == "greedy"
    assert options["software-deployment-method"] == ["apptainer"]
    assert "--nv" in options["apptainer-args"]
    assert options["retries"] >= 1
    assert "code" not in options["rerun-triggers"]
    assert "params" in options["rerun-triggers"]
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert not re.search(r"^ +(retries|group):", text, flags=re.MULTILINE)


# The whole experiment, with a few subjects of each dataset and without any file of theirs.


def test_the_full_experiment_is_planned_where_there_is_no_data(folder):
    few = {name: {"subjects": FEW} for name in ("seed", "deap", "dreamer")}
    smaller = {"datasets": few, "splits": {"holdout_groups": FEW}, "seeds": [0, 1]}
    flow = [f"{key}={yaml.safe_dump(value, default_flow_style=True).strip()}" for key, value in smaller.items()]
    text = snakemake(folder, "--dry-run", "--quiet", "rules", "--config", *flow, config=UNIVERSAL)
    options = yaml.safe_load(UNIVERSAL.read_text())
    smaller["datasets"] = {name: options["datasets"][name] | choice for name, choice in few.items()}
    smaller["splits"] = options["splits"] | smaller["splits"]
    assert counted(text) == expected(Plan(load_config(options | smaller)))


# The catalogue's way in.


def test_the_shim_of_the_catalogue_builds_the_same(folder, cluster):
    text = snakemake(folder, "--dry-run", "--quiet", "rules", snakefile=ROOT / "workflow" / "Snakefile")
    assert counted(text) == counted(cluster)


# What data flows where.


@pytest.fixture(scope="module")
def edges(folder):
    """Pairs of rules, the second reading what the first writes."""
    text = snakemake(folder, "--rulegraph")
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', text, flags=re.MULTILINE))
    return {(names[a], names[b]) for a, b in re.findall(r"^\s*(\d+) -> (\d+)", text, flags=re.MULTILINE)}


def test_nothing_trains_before_its_split_has_passed_the_audit(edges):
    for rule in ("within_subject", "transfer"):
        assert {("audit", rule), ("split", rule)} <= edges
    assert ("split", "audit") in edges
    assert ("corpus", "audit") in edges


def test_pretraining_knows_no_split_and_no_prediction(edges):
    assert {source for source, reader in edges if reader == "pretrain"} == {"corpus"}


def test_tables_come_from_predictions_alone(edges):
    assert {source for source, reader in edges if reader == "table"} == {"score"}
    assert {source for source, reader in edges if reader == "score"} == {"preprocess", "within_subject", "transfer"}


# Housekeeping.


def test_the_summary_knows_the_rule_of_every_file(folder):
    lines = [line.split("\t") for line in snakemake(folder, "--summary").splitlines() if "\t" in line]
    head, *rows = lines
    assert head[:3] == ["output_file", "date", "rule"]
    assert {row[2] for row in rows} <= RULES
    assert {row[4] for row in rows} == {"missing"}
    assert len({row[0] for row in rows}) == len(rows)


def test_snakemakes_own_linter_has_nothing_to_say(folder):
    assert "Congratulations" in snakemake(folder, "--lint")


def test_the_rules_are_formatted():
    files = [ROOT / "Snakefile", ROOT / "rules", ROOT / "workflow" / "Snakefile"]
    command = [Path(sys.executable).with_name("snakefmt"), "--check", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
