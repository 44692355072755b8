"""What is known to go wrong between SLURM and Snakemake's plugin does not, with profiles/slurm."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm import Cluster, rule

from unimontage.dag import site
from unimontage.dag.failures import Failure, failures
from unimontage.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "3")
LIMIT_S = 240

pytestmark = pytest.mark.slow


class Traps:
    """A run of traps.smk on the cluster, in a folder of its own."""

    def __init__(self, cluster: Cluster, profile: Path, folder: Path, *targets: str) -> None:
        self.cluster, self.folder = cluster, folder
        shutil.copy(Path(__file__).with_name("traps.smk"), folder / "Snakefile")
        self.screen = folder / "screen.txt"
        command = [sys.executable, "-m", "snakemake", *targets, "--profile", profile, *QUICK]
        self.head = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=outside(cluster),
            stdout=self.screen.open("wb"),
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        )

    def job(self, name: str, state: str = "RUNNING") -> str:
        """Number of a rule's job, once it is in a state."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for line in self.cluster.call("squeue", "-h", "-o", "%i|%k|%T|%Z").splitlines():
                number, comment, at, folder = line.split("|")
                if (comment, at, folder) == (f"rule_{name}", state, str(self.folder)):
                    return number
            time.sleep(0.5)
        raise TimeoutError(f"{name} was never {state}: {self.screen.read_text()[-2000:]}")

    def alive(self) -> list[str]:
        """Numbers of the run's jobs in the queue."""
        jobs = site.parse_jobs(self.cluster.call("squeue", "-h", "-o", "%i|%j|%T|%Z"))
        return [job.number for job in jobs if job.folder == str(self.folder)]

    def accounted(self, name: str) -> list[dict[str, str]]:
        """Jobs of a rule of this run by the accounting, first to last."""
        return [job for job in self.cluster.jobs(self.folder) if rule(job) == name]

    def failed(self, before: str | None = None) -> dict[str, Failure]:
        """What our summary makes of Snakemake's log, by rule: at its end, or before a rule was tried again."""
        (log,) = (self.folder / ".snakemake" / "log").glob("*.log")
        text = log.read_text()
        end = text.rindex(f"\nrule {before}:") if before else len(text)
        return {failure.rule: failure for failure in failures(text[:end])}


def outside(cluster: Cluster) -> dict[str, str]:
    """Environment of a user; the clients know by themselves where the cluster's configuration is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    return clean | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}


def until(happened: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.5)
    return happened()


@pytest.fixture(scope="module")
def begun(cluster: Cluster, without_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traps]:
    """All traps at once; one job is cancelled and another is preempted as soon as they run."""
    run = Traps(cluster, without_images, tmp_path_factory.mktemp("traps"))
    cluster.call("scancel", run.job("cancelled"))
    assert until((run.folder / "starts").exists, 60)
    whole = ("-p", "gpu", "-w", "gpu2", "-c", "16", "--mem=100", "-t", "2", "-J", "important")
    cluster.call("sbatch", *whole, "-o", "/dev/null", "--wrap", "sleep 5")
    yield run
    run.head.kill()


@pytest.fixture(scope="module")
def ended(begun: Traps) -> Traps:
    """The same, when its head is done."""
    begun.head.wait(LIMIT_S)
    return begun


# While the traps go on: what happens to a head.


def test_an_interrupt_from_the_keyboard_leaves_no_job(begun, cluster, without_images, tmp_path):
    run = Traps(cluster, without_images, tmp_path, "cancelled.txt")
    run.job("cancelled")
    run.head.send_signal(signal.SIGINT)
    assert run.head.wait(60)
    assert until(lambda: not run.alive(), 30)


def test_jobs_whose_head_was_killed_are_named_and_nothing_is_submitted_beside_them(
    begun, cluster, without_images, tmp_path, snakemake, small_run, monkeypatch
):
    run = Traps(cluster, without_images, tmp_path, "cancelled.txt")
    number = run.job("cancelled")
    run.head.kill()
    run.head.wait()
    for name, value in outside(cluster).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"1 jobs of an earlier run .*running.*scancel {number}"):
        site.refuse_orphans("unimontage", tmp_path)
    assert site.live_jobs("unimontage", tmp_path.parent) == []
    config = small_run({"synthetic": True, "subjects": 2})
    again = snakemake(tmp_path, config, "--nolock", where=("--profile", without_images), environment=outside(cluster))
    assert again.returncode
    assert f"scancel {number}" in again.stderr
    assert "submitted" not in again.stderr
    cluster.call("scancel", number)
    assert until(lambda: not site.live_jobs("unimontage", tmp_path), 30)


# When they have ended.


def test_the_jobs_that_can_succeed_do_and_the_others_stop_nobody(ended):
    made = {path.stem for path in ended.folder.glob("*.txt")} - {"screen"}
    assert made == {"well", "fails_once", "hungry", "slow", "cancelled", "preempted"}
    assert set(ended.failed()) == {"hopeless", "nowhere"}


def test_a_cancelled_job_is_noticed_within_seconds(ended):
    first, second = ended.accounted("cancelled")
    assert first["State"].startswith("CANCELLED")
    stamps = [time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) for text in (first["End"], second["Submit"])]
    assert stamps[1] - stamps[0] < 60


def test_a_preempted_job_comes_back_and_is_no_failure(ended):
    assert len((ended.folder / "starts").read_text().splitlines()) == 2
    (job,) = ended.accounted("preempted")
    assert job["State"] == "COMPLETED"


def test_a_job_that_fails_once_is_a_new_job_with_more_memory(ended):
    assert [job["ReqMem"] for job in ended.accounted("fails_once")] == ["600M", "1200M"]
    assert [job["State"] for job in ended.accounted("fails_once")] == ["FAILED", "COMPLETED"]


def test_a_job_out_of_memory_or_time_gets_more_and_the_screen_says_so(ended):
    assert [job["ReqMem"] for job in ended.accounted("hungry")] == ["600M", "1200M"]
    assert [job["State"] for job in ended.accounted("slow")] == ["TIMEOUT", "COMPLETED"]
    assert [job["Timelimit"] for job in ended.accounted("slow")] == ["00:01:00", "00:02:00"]
    screen = ended.screen.read_text()
    assert "exceeded memory limit" in screen
    assert "SLURM status is: 'TIMEOUT'" in screen
    assert screen.count("Trying to restart job") == 4 + 2 * 2  # once, and twice: hopeless, nowhere


def test_the_summary_says_what_each_attempt_asked_for_and_how_it_ended(ended):
    failed = ended.failed()
    memory = ("600 MB", "1.2 GB", "1.8 GB")
    assert failed["hopeless"].attempts == [
        f"{of}, {60 * k} minutes: nothing mends this" for k, of in enumerate(memory, 1)
    ]
    assert failed["hopeless"].log == "logs/hopeless.log"
    assert len(failed["nowhere"].attempts) == 3
    assert all("invalid partition specified: nowhere" in told for told in failed["nowhere"].attempts)
    for name, how in {"hungry": "out of memory", "slow": "out of time", "cancelled": "cancelled"}.items():
        (told,) = ended.failed(before=name)[name].attempts
        assert told.endswith(f" minutes: {how}")
