"""GPUs of a workstation: every job gets its own while there are enough, and one that dies gives its own back."""

import subprocess
import sys

import pytest

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
