"""The record of a job: what it holds, and what it says where the hardware tells nothing."""

import hashlib
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from unimontage.config.base import Block
from unimontage.stages import meter, request
from unimontage.stages.meter import Meter
from unimontage.stages.record import git_state


class Options(Block):
    seed: int = 3


class Copy(request.Request):
    """Copy a file."""

    source: Path
    folder: Path
    options: Options = Options()
    target: Path


def copy(request: Copy) -> None:
    request.target.write_bytes(request.source.read_bytes())


def job(tmp_path, name="one"):
    """A job of a run, done."""
    root = tmp_path / "results/run"
    root.mkdir(parents=True, exist_ok=True)
    (root / "source").write_text("signal")
    said = SimpleNamespace(
        **{"rule": "copy", "wildcards": {"subject": name}, "threads": 1, "resources": {}},
        **{"input": {"source": root / "source"}, "output": {"target": root / f"{name}.txt"}},
        **{"params": {"code": "abc", "folder": root}, "log": [str(root / f"logs/copy/{name}.log")]},
    )
    request.run(copy, said)
    return json.loads((root / f"records/copy/{name}.json").read_text())


def test_a_record_holds_what_was_asked_read_written_and_by_what(tmp_path):
    record, root = job(tmp_path), tmp_path / "results/run"
    digest = hashlib.sha256(b"signal").hexdigest()
    assert record["reads"] == {str(root / "source"): {"sha256": digest}}
    assert record["writes"] == {str(root / "one.txt"): {"sha256": digest}}
    assert record["config"]["options"] == {"seed": 3}
    assert (record["rule"], record["code"], record["wildcards"]) == ("copy", "abc", {"subject": "one"})
    assert record["software"]["packages"]["numpy"]
    assert len(record["software"]["lock"]) == 64
    assert record["measured"]["wall_s"] >= 0
    assert record["measured"]["hardware"]["processor"]


def test_only_what_is_measured_differs_when_a_job_is_done_again(tmp_path):
    first, second = job(tmp_path), job(tmp_path)
    assert {key for key in first if first[key] != second[key]} <= {"measured"}


def test_a_job_that_fails_leaves_no_record(tmp_path):
    with pytest.raises(FileNotFoundError):
        job(tmp_path, "absent/folder")
    assert not list(tmp_path.rglob("records/**/*.json"))


def powercap(folder: Path, microjoule: int) -> Path:
    """The kernel's counters of one processor, and of its cores, which it contains."""
    for name in ("intel-rapl:0", "intel-rapl:0:0"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "energy_uj").write_text(f"{microjoule}\n")
    return folder


def test_energy_is_what_the_counter_went_up_by(tmp_path):
    running = Meter(powercap(tmp_path, 5_000_000))
    powercap(tmp_path, 7_500_000)
    assert running.read()["energy"]["processors"] == {"joule": 2.5, "reason": None}


def test_a_counter_that_began_anew_gives_no_energy(tmp_path):
    running = Meter(powercap(tmp_path, 5_000_000))
    powercap(tmp_path, 10)
    found = running.read()["energy"]["processors"]
    assert found["joule"] is None
    assert "anew" in found["reason"]


def test_where_nothing_is_counted_energy_is_null_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(meter, "NVML", "libnone.so")
    energy = Meter(tmp_path).read()["energy"]
    assert energy["processors"]["joule"] is None
    assert str(tmp_path) in energy["processors"]["reason"]
    assert energy["gpus"] == {"joule": None, "reason": "the job used no GPU"}
    assert meter.gpu_energy() == "no libnone.so"


def test_the_commit_is_known_and_whether_the_tree_was_changed(tmp_path):
    assert git_state(tmp_path)["reason"] == "no git repository"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    clean = git_state(tmp_path)
    assert len(clean["commit"]) == 40
    assert clean["changed"] is False
    (tmp_path / "file").write_text("two")
    assert git_state(tmp_path)["changed"] is True
