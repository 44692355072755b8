"""A job of rule pretrain with two processes: told to stop it keeps its steps, and it ends where one process ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from test_resume import STEPS, prepare, request_for

pytestmark = pytest.mark.slow

HOLD = 2  # steps that are done before the job is told to stop


def main(folder: Path, gpus: int) -> None:
    """The job as its script starts it."""
    from unimontage.stages.pretrain import PretrainRequest, pretrain
    from unimontage.stages.request import run

    request = request_for(folder, "simsiam", sorted(folder.parent.glob("*/sub-*.h5")), folder.parent / "ids.parquet")
    schedule = request.recipe.schedule.model_copy(update={"checkpoint_steps": 1})
    values = dict(request) | {"recipe": request.recipe.model_copy(update={"schedule": schedule})}
    params = {name: values[name] for name in PretrainRequest.model_fields if name not in ("threads", "gpus", "nodes")}
    job = {"params": params, "input": {}, "output": {}, "threads": 2, "resources": {"gpu": gpus}}
    run(pretrain, SimpleNamespace(log=[str(folder / "logs/pretrain.log")], rule="pretrain", wildcards={}, **job))


def start(folder: Path, gpus: int) -> subprocess.Popen:
    variables = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder), str(gpus)]
    return subprocess.Popen(command, env=os.environ | variables, stderr=subprocess.PIPE, text=True)


def until(ready, job: subprocess.Popen) -> None:
    while not ready():
        assert job.poll() is None, job.stderr.read()[-3000:]
        time.sleep(0.02)


def steps_in(checkpoint: Path) -> int:
    return torch.load(checkpoint, weights_only=True)["step"] if checkpoint.exists() else 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Folders of one process, of two, and of two that are disturbed."""
    corpus = tmp_path_factory.mktemp("corpus")
    prepare(corpus)
    found = {name: corpus / name for name in ("one", "two", "told", "killed")}
    for name in ("one", "two"):
        job = start(found[name], 1 if name == "one" else 2)
        assert job.wait() == 0, job.stderr.read()[-3000:]
    return found


def assert_same_bytes(one: Path, other: Path) -> None:
    for name in ("encoder.safetensors", "encoder.json", "history.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_two_processes_learn_what_one_learns(runs):
    curves = [pd.read_csv(runs[name] / "history.csv")["loss"].to_numpy() for name in ("one", "two")]
    assert len(curves[0]) == len(curves[1]) == STEPS
    np.testing.assert_allclose(*curves, rtol=1e-3)
    assert (
        load_file(runs["one"] / "encoder.safetensors").keys() == load_file(runs["two"] / "encoder.safetensors").keys()
    )
    assert '"processes": 2' in (runs["two"] / "encoder.json").read_text()
    assert "loss" in (runs["two"] / "logs/pretrain.log").read_text()


def test_a_job_that_is_told_to_stop_keeps_its_steps_and_goes_on(runs):
    folder = runs["told"]
    job, checkpoint = start(folder, 2), folder / "resume" / "checkpoint.pt"
    until(lambda: steps_in(checkpoint) >= HOLD, job)
    job.send_signal(signal.SIGTERM)
    said = job.communicate(timeout=60)[1]
    assert job.returncode == os.EX_TEMPFAIL, said[-3000:]
    kept = steps_in(checkpoint)
    assert HOLD <= kept < STEPS
    assert f"pretrain: told to stop: step {kept} of {STEPS} is kept" in said
    assert list(checkpoint.parent.iterdir()) == [checkpoint]
    again = start(folder, 2)
    assert again.wait() == 0, again.stderr.read()[-3000:]
    assert_same_bytes(folder, runs["two"])


def test_processes_whose_job_is_killed_do_not_live_on(runs):
    folder = runs["killed"]
    job, checkpoint = start(folder, 2), folder / "resume" / "checkpoint.pt"
    until(lambda: steps_in(checkpoint) >= HOLD, job)
    children = subprocess.run(["pgrep", "-P", str(job.pid)], capture_output=True, text=True, check=True).stdout.split()
    assert len(children) == 2
    job.kill()
    job.communicate()
    end = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end
        time.sleep(0.05)
    again = start(folder, 2)
    assert again.wait() == 0, again.stderr.read()[-3000:]
    assert_same_bytes(folder, runs["two"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
