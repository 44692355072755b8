"""The pre-flight on a real SLURM: a good site passes; of a bad one each wrong thing is said before work is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from slurm import Cluster

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "profiles" / "slurm"
OF_THE_IMAGE = ("apptainer: ", "image: ")

pytestmark = pytest.mark.slow


def preflight(cluster: Cluster, folder: Path, *profiles: Path) -> list[str]:
    """What is printed of the site, and not of the image, in a folder that looks like a fresh clone."""
    for name in ("Snakefile", "config", "profiles", "rules", "unimontage", "workflow"):
        (folder / name).symlink_to(ROOT / name)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
    environment = clean | {"PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"}
    command = [sys.executable, "-m", "unimontage", "preflight", *(f"--profile={path}" for path in profiles)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == ("PROBLEM" in done.stdout)
    return [line for line in done.stdout.splitlines() if not line[9:].startswith(OF_THE_IMAGE)]


def test_a_site_that_has_what_the_profile_asks_for_passes(cluster, tmp_path):
    lines = preflight(cluster, tmp_path)
    assert not [line for line in lines if line.startswith("PROBLEM")]
    for check in ("plan", "profile", "SLURM", "MinJobAge", "account", "partition cpu", "partition gpu", "jobs"):
        assert [line for line in lines if line.startswith(f"ok       {check}: ")], check
    assert [
        line for line in lines if line.startswith("note     limits: pretrain asks gpu for")
    ]  # at its third attempt, for more than these nodes have


def test_a_partition_that_puts_preempted_jobs_back_passes(cluster, tmp_path):
    lines = preflight(cluster, tmp_path, PROFILE, ROOT / "profiles" / "preemptible")
    assert not [line for line in lines if line.startswith("PROBLEM")]
    assert "ok       partition scavenge: 4 nodes, 24 hours, puts preempted jobs back" in lines


def test_each_thing_that_is_wrong_is_one_line(cluster, tmp_path):
    above = {
        "default-resources": {"slurm_partition": "nowhere", "slurm_account": "lob", "mem_mb": 2000, "runtime": 60},
        "set-resources": {
            "pretrain": {"slurm_partition": "spot"},
            "within_subject": {"slurm_partition": "gpu", "runtime": 2000},
            "pretrian": {"runtime": 60},
        },
        "slurm-status-command": "sacct",
    }
    folder = tmp_path / "above"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(above))
    (tmp_path / "clone").mkdir()
    lines = preflight(cluster, tmp_path / "clone", PROFILE, folder)
    wrong = sorted(line.removeprefix("PROBLEM  ") for line in lines if line.startswith("PROBLEM"))
    expected = (
        "account: lob is none of yours; mend: slurm_account: one of lab, root",
        "limits: within_subject asks gpu for 33.3 hours at attempt 1; expected at most 24 hours",
        "partition nowhere: there is none for ",
        "partition spot: cancels the jobs that it preempts, and the run would wait for them for ever",
        "profile: set-resources names a rule pretrian that does not exist",
        "profile: slurm-status-command is not squeue: the run would wait for ever for a job that was cancelled",
    )
    assert len(wrong) == len(expected), wrong
    assert all(line.startswith(start) for line, start in zip(wrong, expected, strict=True)), wrong
