"""The workflow through `--profile profiles/slurm` on a real SLURM: what jobs ask for, and what comes out."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from slurm import Cluster, gpus, rule, states

from unimontage.splits.files import read_table

ROOT = Path(__file__).resolve().parents[2]
ON_GPUS = {"pretrain", "within_subject"}
SUBJECTS = 2

pytestmark = pytest.mark.slow


def there(cluster: Cluster) -> dict:
    """Where Snakemake runs its jobs: on the cluster."""
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    profile = ("--profile", ROOT / "profiles" / "slurm")
    quick = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    return {"where": (*profile, *quick), "environment": cluster.environment | {"PATH": path}}


@pytest.fixture(scope="module")
def folders(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, snakemake: Callable, small_run: Callable
) -> dict[str, Path]:
    """The same run on the cluster and on this machine alone."""
    config = small_run({"synthetic": True, "subjects": SUBJECTS, "twin": {"trial_s": 2}})
    found = {name: tmp_path_factory.mktemp(name) for name in ("cluster", "local")}
    away = snakemake(found["cluster"], config, "evaluated", **there(cluster))
    assert away.returncode == 0, away.stderr[-3000:]
    here = snakemake(found["local"], config, "evaluated", where=("--cores", str(os.cpu_count())))
    assert here.returncode == 0, here.stderr[-3000:]
    return {name: folder / "results" / "small" for name, folder in found.items()}


def test_every_job_ended_well_and_trainings_alone_asked_for_a_gpu(cluster, folders):
    jobs = cluster.jobs(folders["cluster"].parents[1])
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


def test_a_pretraining_over_two_nodes_is_that_of_one(cluster, folders, tmp_path, snakemake, small_run):
    results, name = tmp_path / "results" / "small", "pretraining/ucs/deap/without-group-0/seed-0"
    shutil.copytree(folders["cluster"], results)
    (results / name / "encoder.safetensors").unlink()
    config = small_run({"synthetic": True, "subjects": SUBJECTS, "twin": {"trial_s": 2}})
    across = [f"pretrain:{resource}" for resource in ("gpu=2", "gpus=1", "nodes=2", "slurm_partition=gpu")]
    target = f"results/small/{name}/encoder.safetensors"
    done = snakemake(tmp_path, config, target, "--set-resources", *across, **there(cluster))
    assert done.returncode == 0, done.stderr[-3000:]
    steps = cluster.call("sacct", "-n", "-P", "-o", "NodeList,NTasks,State").splitlines()
    assert "gpu[1-2]|2|COMPLETED" in steps
    assert json.loads((results / name / "encoder.json").read_text())["processes"] == 2
    curves = [pd.read_csv(folder / name / "history.csv")["loss"] for folder in (results, folders["cluster"])]
    np.testing.assert_allclose(*curves, rtol=1e-3)
