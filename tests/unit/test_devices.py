"""GPUs of a workstation: every job gets its own while there are enough, and one that dies gives its own back."""

import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pytest

from unimontage.errors import UserError
from unimontage.stages.compress import compress
from unimontage.stages.request import build
from unimontage.training.devices import own_gpus

HOLD = """
import sys
from unimontage.training.devices import own_gpu
print(own_gpu(int(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """Start a job that takes a GPU and keeps it; its index and the process."""
    jobs = []

    def started(count: int, visible: str = "") -> tuple[int, subprocess.Popen]:
        environment = {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": visible, "PATH": ""}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        jobs.append(subprocess.Popen([sys.executable, "-c", HOLD, str(count)], env=environment, **pipes))
        return int(jobs[-1].stdout.readline()), jobs[-1]

    yield started
    for job in jobs:
        job.kill()
        job.communicate()


def test_jobs_get_gpus_of_their_own_and_a_dead_one_gives_its_back(start):
    (first, killed), (second, _) = start(2), start(2)
    assert {first, second} == {0, 1}
    killed.kill()
    killed.wait()
    assert start(2)[0] == first
    assert start(2)[0] in (0, 1)  # all are taken: it shares


def test_jobs_that_see_different_gpus_do_not_hinder_each_other(start):
    assert start(1, "3")[0] == start(1, "5")[0] == 0
    assert start(2, "3,4")[0] == 1


def test_a_job_of_several_processes_gets_all_its_gpus_or_none(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert own_gpus(3, 2) == "4,5"
    with pytest.raises(UserError, match="1 of 3 GPUs are free; expected 2"):
        own_gpus(3, 2)
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # what a batch system shows belongs to the job
    assert own_gpus(3, 2) == "4,5"
    with pytest.raises(UserError, match="3 of 3 GPUs are free; expected 4"):
        own_gpus(3, 4)


def test_a_rule_that_uses_one_gpu_refuses_more():
    job = {"input": {}, "output": {}, "params": {}, "threads": 1, "resources": {"gpu": 2}, "rule": "compress"}
    with pytest.raises(UserError, match=r"2 GPUs for rule compress; .*mend: set-resources: \{compress: \{gpu: 1\}\}"):
        build(compress, SimpleNamespace(**job))
