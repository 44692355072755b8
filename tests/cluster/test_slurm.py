"""The workflow through `--profile profiles/slurm` on a real SLURM: what jobs ask for, and what comes out."""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm import Cluster, gpus, rule, states

from unimontage.splits.files import read_table

ROOT = Path(__file__).resolve().parents[2]
ON_GPUS = {"pretrain", "within_subject"}
SUBJECTS = 2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, snakemake: Callable, small_run: Callable
) -> dict[str, Path]:
    """The same run on the cluster and on this machine alone."""
    config = small_run({"synthetic": True, "subjects": SUBJECTS, "twin": {"trial_s": 2}})
    found = {name: tmp_path_factory.mktemp(name) for name in ("cluster", "local")}
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    profile = ("--profile", ROOT / "profiles" / "slurm")
    quick = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    slurm = {"where": (*profile, *quick), "environment": cluster.environment | {"PATH": path}}
    there = snakemake(found["cluster"], config, "evaluated", **slurm)
    assert there.returncode == 0, there.stderr[-3000:]
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
