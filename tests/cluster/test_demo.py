"""The demo as a user starts it, on the cluster and in the image."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from compare import apart
from slurm import LONG, Cluster, gpus, rule, states, there

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, LONG]


def test_the_demo_on_the_cluster_and_in_the_image_has_the_results_of_this_machine_alone(
    cluster: Cluster, compute: Path, tmp_path: Path, snakemake: Callable
) -> None:
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["containers"] = {"compute": str(compute)}
    here, away = tmp_path / "here", tmp_path / "away"
    for folder, where in ((here, {"where": ("--profile", ROOT / "profiles" / "local")}), (away, there(cluster))):
        folder.mkdir()
        done = snakemake(folder, config, "all", **where)
        assert done.returncode == 0, done.stderr[-3000:]
    jobs = cluster.jobs(away)
    assert states(jobs) == {"COMPLETED"}
    assert {rule(job) for job in jobs if gpus(job)} == {"pretrain", "within_subject", "transfer"}
    assert apart(here / "results" / "demo", away / "results" / "demo") == []
