"""The workflow through `--profile profiles/slurm` on a real SLURM: what jobs ask for, and what comes out."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from compare import different
from slurm import Cluster, gpus, rule, states

ROOT = Path(__file__).resolve().parents[2]
ON_GPUS = {"environment_on_gpu", "pretrain", "within_subject"}
SUBJECTS = 2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(small_run: Callable) -> dict:
    """What is run everywhere."""
    return small_run({"synthetic": True, "subjects": SUBJECTS, "twin": {"trial_s": 2}})


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, snakemake: Callable, config: dict) -> Path:
    """The run on this machine alone."""
    folder = tmp_path_factory.mktemp("local")
    done = snakemake(folder, config, "evaluated", where=("--cores", str(os.cpu_count())))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module", params=["in the environment of the head", "in the image"])
def folder(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
    snakemake: Callable,
    config: dict,
) -> Path:
    """The same run on the cluster: as on a site without Apptainer, and in the image."""
    folder = tmp_path_factory.mktemp("cluster")
    profile = ROOT / "profiles" / "slurm"
    if request.param == "in the image":
        config = config | {"containers": {"compute": str(request.getfixturevalue("compute"))}}
    else:
        profile = request.getfixturevalue("without_images")
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    quick = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    slurm = {"where": ("--profile", profile, *quick), "environment": cluster.environment | {"PATH": path}}
    done = snakemake(folder, config, "evaluated", "containers_check", **slurm)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("compute.sif, python 3.11") == 2 * (request.param == "in the image")
    assert re.search(r"CUDA_VISIBLE_DEVICES \d", done.stdout)
    return folder


def test_every_job_ended_well_and_trainings_alone_asked_for_a_gpu(cluster, folder):
    jobs = cluster.jobs(folder)
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


def test_results_are_those_of_this_machine_alone_file_by_file(folder, local):
    assert different(*(path / "results" / "small" for path in (local, folder))) == []
