"""A run with more than twenty accidents ends with the results of one that nobody disturbed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from compare import different
from slurm import GPU_NODES, LONG, Cluster

ROOT = Path(__file__).resolve().parents[2]
ACCIDENTS = {"killed": 6, "told": 5, "cancelled": 4, "node": 3, "head": 3, "disk": 2}
SEED = 11
ROOM = "600M"
FULL_S = 20
NOTICED_S = 8
"""Within so many seconds an accident ends a training, or none."""
PATIENCE_S = 300

pytestmark = [pytest.mark.slow, LONG]


@dataclass(frozen=True)
class Training:
    """A process that trains, as the machine sees it."""

    pid: int
    job: str
    begun: float

    def alive(self) -> bool:
        """Whether it still runs."""
        return Path(f"/proc/{self.pid}").exists()


class Run:
    """A run through `profiles/slurm` in a folder, started as often as it takes."""

    def __init__(self, folder: Path, cluster: Cluster, profile: Path, config: Path) -> None:
        self._folder, self._cluster, self._profile, self._config = folder, cluster, profile, config
        self.heads: list[subprocess.Popen] = []

    @property
    def results(self) -> Path:
        """Folder of the run."""
        return self._folder / "results" / "small"

    @property
    def head(self) -> subprocess.Popen:
        """The Snakemake that was started last."""
        return self.heads[-1]

    def go_on(self) -> None:
        """What the documentation says after a head has ended: cancel its jobs, unlock, the same command again."""
        if self.heads and self.head.poll() is None:
            return
        for job in self.jobs():
            self._cluster.call("scancel", job)
        wait(lambda: not self.jobs(), "cancelled jobs to end")
        self._snakemake("--unlock").wait()
        quick = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
        self.heads.append(self._snakemake("evaluated", "--profile", self._profile, *quick))

    def jobs(self) -> list[str]:
        """Jobs of this folder that wait or run."""
        lines = self._cluster.call("squeue", "-h", "-o", "%A %Z").splitlines()
        return [line.split()[0] for line in lines if line.split()[1] == str(self._folder)]

    def trainings(self) -> list[Training]:
        """Processes of this folder that train, by the log that they hold open."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if not (process / "cmdline").read_bytes().endswith((b"pretrain.py\0", b"finetune.py\0")):
                    continue
                logs = [link.readlink() for link in (process / "fd").iterdir()]
                begun = process.stat().st_mtime
            except OSError:  # it has just ended
                continue
            jobs = [
                str(log.relative_to(self.results / "logs")) for log in logs if log.is_relative_to(self.results / "logs")
            ]
            found += [Training(int(process.name), job, begun) for job in jobs[:1]]
        return found

    def lost_s(self, training: Training) -> float:
        """Seconds that a process had worked since what it kept last."""
        rule, *wildcards = training.job.removesuffix(".log").split("/")
        if rule == "pretrain":
            folder = self.results / "resume" / "pretraining" / "/".join(wildcards[:-1]) / f"seed-{wildcards[-1]}"
        else:
            folder = self.results / "resume" / rule / "/".join(wildcards[:-1]) / f"sub-{wildcards[-1]}"
        kept = [path.stat().st_mtime for path in folder.rglob("*") if path.is_file()]
        return time.time() - max([training.begun, *kept])

    def _snakemake(self, *arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", *arguments]
        command += ["--snakefile", ROOT / "Snakefile", "--directory", self._folder, "--configfile", self._config]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
        path = f"{Path(sys.executable).parent}:{self._cluster.environment['PATH']}"
        variables = clean | self._cluster.environment | {"PATH": path, "PYTHONDONTWRITEBYTECODE": ""}
        log = (self._config.parent / f"head-{len(self.heads)}.log").open("ab")
        return subprocess.Popen(list(map(str, command)), env=variables, stdout=log, stderr=log)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, which can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def wait(ready: Callable[[], object], what: str) -> None:
    """Until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end, f"no {what} within {PATIENCE_S} s"
        time.sleep(0.2)


def training(run: Run, number: int) -> list[Training]:
    """What trains, once something does; a head that has given up is started again."""

    def at_work() -> list[Training]:
        if run.head.poll() is not None:
            assert run.head.returncode != 0, f"the run was over before accident {number}: make it longer"
            run.go_on()
        return run.trainings()

    wait(at_work, "training")
    return run.trainings() or training(run, number)


def accident(kind: str, run: Run, cluster: Cluster, disk: Path, victim: Training, rng: random.Random) -> None:
    """Let it happen."""
    match kind:
        case "killed":
            os.kill(victim.pid, signal.SIGKILL)
        case "told":
            os.kill(victim.pid, signal.SIGTERM)
        case "cancelled":
            cluster.call("scancel", rng.choice(run.jobs()))
        case "node":
            node = rng.choice(GPU_NODES)
            cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=chaos")
            time.sleep(2)
            if cluster.call("sinfo", "-h", "-n", node, "-o", "%t").startswith("down"):  # else it is back by itself
                cluster.call("scontrol", "update", f"nodename={node}", "state=resume")
        case "head":
            run.head.kill()
            run.head.wait()
            run.go_on()
        case "disk":
            full = disk / "full"
            fill(full)
            time.sleep(FULL_S)
            full.unlink()


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))


def test_after_more_than_twenty_accidents_the_results_are_those_of_an_undisturbed_run(
    cluster: Cluster, without_images: Path, disk: Path, tmp_path: Path, snakemake: Callable, small_run: Callable
) -> None:
    config = small_run({"synthetic": True, "subjects": 4, "twin": {"trial_s": 2}})
    config["seeds"] = [0, 1]
    config["recipes"]["ucs"]["schedule"] |= {"epochs": 6, "checkpoint_steps": 100}
    config["finetuning"]["epochs"] = 20
    quiet = tmp_path / "undisturbed"
    quiet.mkdir()
    done = snakemake(quiet, config, "evaluated", where=("--cores", str(os.cpu_count())))
    assert done.returncode == 0, done.stderr[-3000:]

    rng = random.Random(SEED)
    kinds = [kind for kind, count in ACCIDENTS.items() for _ in range(count)]
    rng.shuffle(kinds)
    run = Run(disk, cluster, without_images, quiet / "config.yaml")
    run.go_on()
    for number, kind in enumerate(kinds, start=1):
        training(run, number)
        time.sleep(rng.uniform(0, 6))
        before = training(run, number)
        accident(kind, run, cluster, disk, rng.choice(before), rng)
        until = time.monotonic() + NOTICED_S
        while all(training.alive() for training in before) and time.monotonic() < until:
            time.sleep(0.1)
        lost = {training.job: run.lost_s(training) for training in before if not training.alive()}
        told = ", ".join(f"{job} {seconds:.1f} s" for job, seconds in lost.items()) or "nothing"
        print(f"{number:2d} {kind:9s} ended and lost: {told}", flush=True)

    for _ in range(5):
        run.go_on()
        if run.head.wait(3 * PATIENCE_S) == 0:
            break
    assert run.head.returncode == 0, (tmp_path / "undisturbed" / f"head-{len(run.heads) - 1}.log").read_text()[-3000:]
    print(f"{len(kinds)} accidents, {len(run.heads)} heads")
    assert different(quiet / "results" / "small", run.results) == []
    assert not list(run.results.rglob("*.part"))
