"""The workflow through `--profile profiles/slurm` on a real SLURM: what jobs ask for, and what comes out."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from slurm import Cluster, gpus, rule, states

from unimontage.splits.files import read_table

ROOT = Path(__file__).resolve().parents[2]
ON_GPUS = {"pretrain", "within_subject"}
SUBJECTS = 2

pytestmark = pytest.mark.slow


def configuration() -> dict:
    unfiltered = {"highpass_hz": None, "lowpass_hz": None}  # trials this short are shorter than the filters
    dataset = {"synthetic": True, "subjects": SUBJECTS, "twin": {"trial_s": 2}, "preprocessing": unfiltered}
    return {
        "run": "small",
        "seeds": [0],
        "datasets": {"deap": dataset},
        "splits": {"folds": 2, "holdout_groups": 2},
        "recipes": {
            "ucs": {
                "kind": "univariate",
                "encoder": {"width": 4, "patches": 4, "d": 8, "layers": 1, "heads": 2, "ffn": 16},
                "schedule": {"epochs": 1, "warmup_epochs": 0, "batch": 32},
            }
        },
        "arms": {
            "pretrained": {
                "kind": "universal",
                "recipe": "ucs",
                "graph": {"layers": 1, "heads": 2, "head_width": 4},
                "context": {"layers": 1, "heads": 2, "ffn": 16},
            },
            "svm": {"kind": "classical", "pipeline": "de_svm"},
        },
        "finetuning": {"epochs": 1, "warmup_epochs": 0},
        "within_subject": {
            "targets": [{"dataset": "deap", "tasks": ["valence"], "protocols": ["strict_trial"]}],
            "arms": ["pretrained", "svm"],
        },
    }


def snakemake(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    """Every table of the small run, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration()))
    command = [sys.executable, "-m", "snakemake", "evaluated", "--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", folder / "config.yaml", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
    variables = clean | {"PYTHONDONTWRITEBYTECODE": ""} | environment
    return subprocess.run(list(map(str, command)), env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folders(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same run on the cluster and on this machine alone."""
    folder = tmp_path_factory.mktemp("workflow")
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    quick = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    profile = ("--profile", ROOT / "profiles" / "slurm", *quick)
    there = snakemake(folder / "cluster", cluster.environment | {"PATH": path}, *map(str, profile))
    assert there.returncode == 0, there.stderr[-3000:]
    here = snakemake(folder / "local", {}, "--cores", str(os.cpu_count()))
    assert here.returncode == 0, here.stderr[-3000:]
    return {name: folder / name / "results" / "small" for name in ("cluster", "local")}


def test_every_job_ended_well_and_trainings_alone_asked_for_a_gpu(cluster, folders):
    jobs = cluster.jobs()
    by_rule = {name: [job for job in jobs if rule(job) == name] for name in map(rule, jobs)}
    assert ON_GPUS | {"twin", "preprocess", "split", "audit", "score"} <= set(by_rule)
    for name, own in by_rule.items():
        assert states(own) == {"COMPLETED"}, name
        if name not in ON_GPUS:
            assert not any(gpus(job) for job in own), name
            assert {job["Partition"] for job in own} == {"cpu"}, name
    assert [gpus(job) for job in by_rule["pretrain"]] == [1] * len(by_rule["pretrain"])
    asked = sorted(gpus(job) for job in by_rule["within_subject"])
    assert asked == [0] * SUBJECTS + [1] * SUBJECTS  # a classical arm asks for none


def test_results_are_those_of_this_machine_alone_file_by_file(folders):
    kinds = ("splits/**/*.parquet", "within_subject/**/*.parquet", "pretraining/**/*.safetensors", "windows/**/*.h5")
    for pattern in kinds:
        names = {name: {path.relative_to(folder) for path in folder.glob(pattern)} for name, folder in folders.items()}
        assert names["cluster"] == names["local"] != set(), pattern
        for name in names["local"]:
            one, two = (folders[where] / name for where in ("cluster", "local"))
            if pattern.startswith("within_subject"):
                assert read_table(one).rows.equals(read_table(two).rows), name
            else:
                assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(two.read_bytes()).digest(), name
