"""The workflow through `--profile profiles/slurm` on a real SLURM: what jobs ask for, and what comes out."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from compare import different
from slurm import PROFILE, Cluster, gpus, rule, states, there

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
    profile = PROFILE
    if request.param == "in the image":
        config = config | {"containers": {"compute": str(request.getfixturevalue("compute"))}}
    else:
        profile = request.getfixturevalue("without_images")
    done = snakemake(folder, config, "evaluated", "containers_check", **there(cluster, profile))
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


def test_a_pretraining_over_two_nodes_is_that_of_one(cluster, local, without_images, tmp_path, snakemake, config):
    results, name = tmp_path / "results" / "small", "pretraining/ucs/deap/without-group-0/seed-0"
    shutil.copytree(local / "results" / "small", results)
    (results / name / "encoder.safetensors").unlink()
    across = [f"pretrain:{resource}" for resource in ("gpu=2", "gpus=1", "nodes=2", "slurm_partition=gpu")]
    target = f"results/small/{name}/encoder.safetensors"
    done = snakemake(tmp_path, config, target, "--set-resources", *across, **there(cluster, without_images))
    assert done.returncode == 0, done.stderr[-3000:]
    steps = cluster.call("sacct", "-n", "-P", "-o", "NodeList,NTasks,State").splitlines()
    assert "gpu[1-2]|2|COMPLETED" in steps
    assert json.loads((results / name / "encoder.json").read_text())["processes"] == 2
    curves = [pd.read_csv(folder / name / "history.csv")["loss"] for folder in (results, local / "results" / "small")]
    np.testing.assert_allclose(*curves, rtol=1e-3)
