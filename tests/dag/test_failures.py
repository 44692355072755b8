"""What failed and why, from the logs that Snakemake keeps of real runs, and what a user sees of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from unimontage.dag.failures import failures, failures_text, last_run
from unimontage.dag.forecast import FAILED, progress_text, state
from unimontage.dag.jobs import PlannedJob

RULES = """
rule all:
    input: "good.txt", "mended.txt", "refused_a.txt", "crash.txt", "silent.txt"

rule good:
    output: "good.txt"
    shell: "touch {output}"

rule mended:
    output: "mended.txt"
    resources: mem_mb=lambda wildcards, attempt: 600 * attempt
    shell: "test {resources.mem_mb} -gt 600 && touch {output}"

rule refused:
    output: "refused_{name}.txt"
    log: "logs/{name}.log"
    resources: mem_mb=lambda wildcards, attempt: 600 * attempt, runtime=lambda wildcards, attempt: 10 * attempt
    shell: "echo '12:00:00 ERROR no such file; mend: copy it' > {log}; exit 1"

rule crash:
    output: "crash.txt"
    log: "logs/crash.log"
    shell:
        "(echo '12:00:00 ERROR rule crash failed'; echo Traceback; echo '  File'; echo 'KeyError: 7') > {log}; exit 1"

rule silent:
    output: "silent.txt"
    shell: "exit 1"
"""
SUMMARY = """\
failed: refused name=a
  attempt 1, 600 MB, 10 minutes: no such file; mend: copy it
  attempt 2, 1.2 GB, 20 minutes: no such file; mend: copy it
  log: logs/a.log"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on this machine in which all went wrong that can without SLURM; tests/cluster does the same with it."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "Snakefile").write_text(RULES)
    options = ("--cores", "2", "--keep-going", "--retries", "1", "--show-failed-logs")
    command = [sys.executable, "-m", "snakemake", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode, done.stderr
    subprocess.run([sys.executable, "-m", "snakemake", "--unlock"], cwd=folder, capture_output=True, check=True)
    return folder


@pytest.fixture
def failed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return {failure.rule: failure for failure in failures(last_run())}


def test_each_attempt_of_what_failed_says_what_it_asked_for_and_how_it_ended(failed):
    assert set(failed) == {"refused", "crash", "silent"}  # and nothing of what a later attempt mended
    assert failures_text([failed["refused"]]) == SUMMARY
    assert [told.rpartition(": ")[2] for told in failed["silent"].attempts] == ["ended with an error"] * 2
    assert all(told.endswith("KeyError: 7") for told in failed["crash"].attempts)


def test_status_shows_why_a_job_failed_although_its_own_log_may_be_silent(failed, tmp_path):
    run = tmp_path / "results" / "x"
    planned = [
        PlannedJob("refused", 0, 10, (run / name,), run / "benchmarks" / name, Path(f"logs/{name}.log"), True)
        for name in ("a", "b")
    ]
    assert [state(job, ["logs/a.log", "logs/b.log"]) for job in planned] == [FAILED] * 2
    text = progress_text(planned, list(failed.values()))
    assert "2 jobs: 1 failed, 1 waiting" in text
    assert SUMMARY in text


def test_a_job_that_is_tried_again_has_not_failed_yet(failed):
    text = last_run()
    begins = text.rindex("localrule mended:")  # its second attempt
    asks = text.index("resources:", begins)
    assert "mended" in {failure.rule for failure in failures(text[:begins])}
    assert "mended" not in {failure.rule for failure in failures(text[: text.index("\n", asks) + 1])}


def test_a_folder_in_which_nothing_ran_has_nothing_that_failed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failures(last_run()) == []


@pytest.mark.slow
def test_the_end_of_a_run_says_what_failed(tmp_path, snakemake, small_run):
    (tmp_path / "data").mkdir()
    config = small_run({"root": "data", "subjects": 2})
    done = snakemake(tmp_path, config, "--keep-going", "--show-failed-logs", where=("--cores", "2"))
    assert done.returncode
    assert "failed: locate dataset=deap, subject=s01\n  attempt 1, 1 GB, 60 minutes: " in done.stderr
    assert "log: results/small/logs/locate/deap/s01.log" in done.stderr
