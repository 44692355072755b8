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

pytestmark = pytest.mark.slow


def preflight(cluster: Cluster, folder: Path, *profiles: Path) -> tuple[int, str]:
    """Exit status, and what is printed, in a folder that looks like a fresh clone."""
    for name in ("Snakefile", "config", "profiles", "rules", "unimontage", "workflow"):
        (folder / name).symlink_to(ROOT / name)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
    environment = clean | {"PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"}
    command = [sys.executable, "-m", "unimontage", "preflight", *(f"--profile={path}" for path in profiles)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_site_that_has_what_the_profile_asks_for_passes(cluster, tmp_path):
    status, text = preflight(cluster, tmp_path)
    assert status == 0, text
    assert "PROBLEM" not in text
    for check in ("plan", "profile", "SLURM", "MinJobAge", "account", "partition cpu", "partition gpu", "jobs"):
        assert f"ok       {check}: " in text
    assert "note     limits: pretrain asks gpu for" in text  # at its third attempt, for more than these nodes have


def test_a_partition_that_puts_preempted_jobs_back_passes(cluster, tmp_path):
    status, text = preflight(cluster, tmp_path, PROFILE, ROOT / "profiles" / "preemptible")
    assert status == 0, text
    assert "ok       partition scavenge: 4 nodes, 24 hours, puts preempted jobs back" in text


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
    status, text = preflight(cluster, tmp_path / "clone", PROFILE, folder)
    assert status == 1
    wrong = sorted(line.removeprefix("PROBLEM  ") for line in text.splitlines() if line.startswith("PROBLEM"))
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
