"""What depends on a site, held against what SLURM said on a real one, and against real profiles and folders."""

import hashlib
import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from unimontage.dag import resources
from unimontage.dag.findings import NOTE, OK, PROBLEM, Finding
from unimontage.dag.jobs import Asked, PlannedJob
from unimontage.dag.preflight import (
    bound_folders,
    check_account,
    check_binds,
    check_cluster,
    check_image,
    check_limits,
    check_partitions,
    check_room,
    check_settings,
    preflight,
)
from unimontage.dag.profile import check_profile, jobname_prefix, read_profile
from unimontage.dag.site import minutes, parse_gpus, parse_jobs, parse_nodes, parse_partitions
from unimontage.errors import UserError
from unimontage.image import LOCK

ROOT = Path(__file__).resolve().parents[2]
SLURM, PREEMPTIBLE = (ROOT / "profiles" / name for name in ("slurm", "preemptible"))
RULES = frozenset(yaml.safe_load((SLURM / "config.yaml").read_text())["set-resources"])
NODES = """\
cpu|16|64000|(null)|idle
gpu|16|64000|gpu:a100:4|mixed
scavenge|16|64000|gpu:a100:4|idle
spot|16|64000|gpu:a100:4|idle
away|128|1000000+|gpu:h100:8(S:0-1)|down*
"""
PARTITIONS = """\
PartitionName=cpu AllowGroups=ALL MaxTime=1-00:00:00 PriorityTier=10 PreemptMode=OFF State=UP TotalNodes=1
PartitionName=gpu AllowGroups=ALL MaxTime=1-00:00:00 PriorityTier=10 PreemptMode=OFF State=UP TotalNodes=1
PartitionName=scavenge AllowGroups=ALL MaxTime=1-00:00:00 PriorityTier=1 PreemptMode=REQUEUE State=UP TotalNodes=1
PartitionName=spot AllowGroups=ALL MaxTime=1-00:00:00 PriorityTier=1 PreemptMode=CANCEL State=UP TotalNodes=1
PartitionName=away AllowGroups=ALL MaxTime=UNLIMITED PriorityTier=1 PreemptMode=OFF State=UP TotalNodes=1
"""
KNOWN = parse_partitions(PARTITIONS, parse_nodes(NODES))
PREEMPTING = {"PreemptType": "preempt/partition_prio"}


def job(rule: str = "pretrain", **asked: object) -> PlannedJob:
    """A job that may be tried three times, with more memory and time at each."""
    usual = {"partition": "gpu", "account": None, "threads": 8, "gpus": 1, "model": None, "tmpdir": "/tmp"}
    base = {"memory_mb": 16_000, "runtime_min": 60}
    attempts = [{name: value * k for name, value in (base | asked).items() if name in base} for k in (1, 2, 3)]
    fixed = {name: value for name, value in (usual | asked).items() if name not in base}
    return PlannedJob(
        rule=rule,
        gpus=1,
        runtime_min=60,
        outputs=(Path("nowhere"),),
        benchmark=Path("nowhere.jsonl"),
        log=Path("nowhere.log"),
        due=True,
        attempts=tuple(Asked(**fixed, **growing) for growing in attempts),
    )


def problems(findings) -> list[str]:
    return [finding.text for finding in findings if finding.mark == PROBLEM]


def profile(folder: Path, **changes: object) -> Namespace:
    """The profile for SLURM with some keys changed, as Snakemake reads it."""
    options = yaml.safe_load((SLURM / "config.yaml").read_text())
    options = {key: value for key, value in options.items() if not key.startswith(("__", "?"))}
    options |= {key.replace("_", "-"): value for key, value in changes.items()}
    (folder / "config.yaml").write_text(yaml.safe_dump(options))
    return read_profile([folder])


# What SLURM says.


@pytest.mark.parametrize(
    ("written", "expected"),
    [("30", 30), ("30:00", 30), ("1:30:00", 90), ("2-0", 2880), ("1-12:00:00", 2160), ("UNLIMITED", math.inf)],
)
def test_a_time_limit_is_read_in_every_form(written, expected):
    assert minutes(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("(null)", {}),
        ("gpu:4", {"": 4}),
        ("gpu:a100:4(S:0-1),gpu:h100:2,shard:8", {"a100": 4, "h100": 2}),
        ("craynetwork:4,gpu:2", {"": 2}),
    ],
)
def test_gpus_of_a_node_are_counted_by_model(written, expected):
    assert parse_gpus(written) == expected


def test_a_job_is_read_whatever_stands_in_its_name_or_folder():
    assert [(job.number, job.folder) for job in parse_jobs("7|a|RUNNING|/x y|z\n8_[1-3]|b|PENDING|/x\n")] == [
        ("7", "/x y|z"),
        ("8_[1-3]", "/x"),
    ]


# The site.


def test_a_machine_without_slurm_is_told_from_a_cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (said,) = problems(check_cluster(Namespace(slurm_jobname_prefix="unimontage"), [job()]))
    assert said.startswith("no sbatch, squeue, sinfo, scontrol, scancel on the PATH; mend: ")


def test_a_slurm_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    for name in ("sbatch", "squeue", "sinfo", "scontrol", "scancel"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'slurm_load: Unable to contact slurm controller' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (said,) = problems(check_cluster(Namespace(slurm_jobname_prefix="unimontage"), [job()]))
    assert "Unable to contact slurm controller" in said


def test_a_partition_that_does_not_exist_is_named_with_those_that_do():
    found = list(check_partitions(KNOWN, [job(partition="gpus"), job("table", partition="cpu")], {}))
    (said,) = problems(found)
    assert said.startswith("there is none for pretrain; expected one of cpu, gpu, scavenge, spot, away; mend: edit the")
    assert [finding.check for finding in found] == ["partition gpus", "partition cpu"]


def test_a_partition_whose_nodes_are_all_down_takes_no_jobs():
    assert "takes no jobs now" in problems(check_partitions(KNOWN, [job(partition="away")], {}))[0]


def test_a_partition_that_cancels_what_it_preempts_would_hang_the_run():
    assert "wait for them for ever" in problems(check_partitions(KNOWN, [job(partition="spot")], PREEMPTING))[0]
    for name in ("scavenge", "gpu"):
        assert not problems(check_partitions(KNOWN, [job(partition=name)], PREEMPTING))
    assert not problems(check_partitions(KNOWN, [job(partition="spot")], {"PreemptType": "preempt/none"}))


def test_a_job_that_no_node_can_take_is_refused_at_the_first_attempt_and_noted_at_a_later_one():
    assert [finding.mark for finding in check_limits(KNOWN, [job()])] == [OK]
    (found,) = check_limits(KNOWN, [job(memory_mb=32_000)] * 5)
    assert found.mark == NOTE
    assert found.text.startswith("pretrain asks gpu for 8 processors, 96 GB and 1 GPU on a node at attempt 3; expected")
    for asked in ({"memory_mb": 80_000}, {"gpus": 5}, {"model": "h100"}, {"threads": 32}, {"runtime_min": 1500}):
        assert problems(check_limits(KNOWN, [job(**asked)])), asked
    assert "25 hours" in problems(check_limits(KNOWN, [job(runtime_min=1500)]))[0]


def test_an_account_that_is_not_yours_is_named(tmp_path, monkeypatch):
    (tmp_path / "sacctmgr").write_text("#!/bin/sh\necho lab\necho root\n")
    (tmp_path / "sacctmgr").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert problems(check_account({"lob"})) == ["lob is none of yours; mend: slurm_account: one of lab, root"]
    assert not problems(check_account({"lab"}))
    assert not problems(check_account({None}))


def test_a_slurm_that_forgets_jobs_soon_would_hang_the_run(monkeypatch):
    monkeypatch.delenv("SLURM_CONF", raising=False)
    assert "forgets a job 10 s after its end" in problems(check_settings({"MinJobAge": "10 sec"}))[0]
    assert not problems(check_settings({"MinJobAge": "300 sec"}))
    monkeypatch.setenv("SLURM_CONF", "/opt/slurm.conf")
    found = problems(check_settings({"MinJobAge": "300 sec"}))
    assert bool(found) != Path("/etc/slurm/slurm.conf").exists()


# The profile.


@pytest.mark.parametrize("folders", [[SLURM], [SLURM, PREEMPTIBLE]])
def test_the_profiles_that_come_with_the_workflow_pass(folders):
    read = read_profile(folders)
    assert [finding.mark for finding in check_profile(read, RULES)] == [OK]


def test_the_profile_for_preemption_moves_each_job_with_a_gpu_and_nothing_else():
    below, above = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (SLURM, PREEMPTIBLE))
    assert set(above) == {"set-resources", "retries"}
    assert set(above["set-resources"]) == set(below["set-resources"])
    both = read_profile([SLURM, PREEMPTIBLE])
    assert both.retries == above["retries"] > below["retries"]
    assert {of["slurm_partition"].raw for of in both.set_resources.values()} == {"scavenge"}
    assert both.executor == "slurm"


def test_later_attempts_do_not_ask_for_ever_more():
    assert [resources.gigabytes(8)(None, attempt) for attempt in (1, 2, 3, 11)] == [8000, 16_000, 24_000, 24_000]
    assert [resources.minutes(60)(None, attempt) for attempt in (1, 2, 3, 11)] == [60, 120, 180, 180]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"set_resources": {"pretrian": {"slurm_partition": "gpu"}}}, "set-resources names a rule pretrian that does"),
        ({"set_threads": {"trian": 4}}, "set-threads names a rule trian that does not exist"),
        ({"executor": "local"}, "executor is not slurm: jobs would run on this machine"),
        ({"slurm_status_command": "sacct"}, "slurm-status-command is not squeue"),
        ({"slurm_requeue": False}, "slurm-requeue is not true"),
        ({"retries": 0}, "no retries"),
        ({"slurm_array_jobs": "pretrain"}, "slurm-array-jobs is set"),
        ({"groups": {"table": "g"}}, "groups is set"),
        ({"slurm_jobname_prefix": ""}, "jobs of this workflow have no common name"),
    ],
)
def test_a_profile_that_would_do_harm_in_silence_is_found(tmp_path, changes, said):
    found = problems(check_profile(profile(tmp_path, **changes), RULES))
    assert [text for text in found if text.startswith(said)], found


def test_a_prefix_that_is_not_set_is_none(tmp_path):
    assert jobname_prefix(read_profile([SLURM])) == "unimontage"
    assert jobname_prefix(read_profile([ROOT / "profiles" / "local"])) == ""


@pytest.mark.slow
def test_a_profile_of_another_executor_ends_the_checks(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = list(preflight([], [ROOT / "profiles" / "local"]))
    assert {finding.check for finding in found} == {"plan", "profile"}
    assert "executor is not slurm: jobs would run on this machine; mend: executor: slurm" in problems(found)


def test_a_key_that_snakemake_does_not_know_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"unrecognized arguments: --keep-gogin=True; mend: correct that key$"):
        profile(tmp_path, keep_gogin=True)
    with pytest.raises(UserError, match=r"profile directory given \(nowhere\)"):
        read_profile([Path("nowhere")])


def test_a_default_profile_is_found(tmp_path, monkeypatch):
    read = profile(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert not problems(check_profile(read, RULES))
    (tmp_path / "profiles" / "default").mkdir(parents=True)
    assert "wins over --profile" in problems(check_profile(read, RULES))[0]


# The image and what it sees.


def apptainer(folder: Path, version: str, lock: str = LOCK.read_text()) -> Namespace:
    """Apptainer's name on the PATH, for which every image is of a lock, and a profile that wants it."""
    labels = {"unimontage.lock": hashlib.sha256(lock.encode()).hexdigest()}
    shown = json.dumps({"data": {"attributes": {"labels": labels}}})
    script = f"#!/bin/sh\n[ $1 = inspect ] && echo '{shown}' || echo apptainer version {version}\n"
    (folder / "apptainer").write_text(script)
    (folder / "apptainer").chmod(0o755)
    return Namespace(software_deployment_method={"apptainer"}, apptainer_args="--nv --bind /storage/eeg")


def test_an_image_that_is_not_there_or_of_another_lock_and_an_old_apptainer_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    asked = apptainer(tmp_path, "1.4.5")
    assert "no image x/compute.sif; mend: make images" in problems(check_image(asked, "x/compute.sif"))[0]
    path = tmp_path / "compute.sif"
    path.touch()
    assert not problems(check_image(asked, str(path)))
    apptainer(tmp_path, "1.4.5", lock="torch==1.0")
    assert "compute.sif is made from another lock" in problems(check_image(asked, str(path)))[0]
    apptainer(tmp_path, "1.0.3")
    assert "expected version 1.2 or later" in problems(check_image(asked, str(path)))[0]
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "is not on the PATH" in problems(check_image(asked, str(path)))[0]


def test_without_an_image_the_environment_must_have_what_jobs_need(monkeypatch):
    none = Namespace(software_deployment_method=set(), apptainer_args=None)
    assert not problems(check_image(none, "compute.sif"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "this environment has no torch" in problems(check_image(none, "compute.sif"))[0]


def test_a_scratch_that_is_not_bound_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = apptainer(tmp_path, "1.4.5")
    folders = {"tmpdir of pretrain": Path("/scratch"), "data of seed": Path("/storage/eeg/seed")}
    mend = 'apptainer-args: "--nv --bind /storage/eeg --bind /scratch"'
    (said,) = problems(check_binds(asked, folders))
    assert said == f"tmpdir of pretrain /scratch is not bound into the image; mend: {mend}"
    monkeypatch.setenv("APPTAINER_BINDPATH", "/scratch")
    assert not problems(check_binds(asked, folders))


def test_a_folder_counts_as_bound_under_its_own_name_only():
    arguments = "--nv --bind /a:/x,/b -B /c:/c:ro --bind=/d"
    bound = {str(path) for path in bound_folders(arguments, {"APPTAINER_BIND": "/e"})}
    assert {"/b", "/c", "/d", "/e", "/tmp", str(Path.cwd())} <= bound
    assert "/a" not in bound


# Room.


def test_a_quota_that_is_reached_is_found_by_writing(tmp_path):
    """On a file system of one megabyte, which this process may mount for itself."""
    code = (
        "from pathlib import Path; from unimontage.dag.preflight import check_room, preflight_text\n"
        f"print(*map(preflight_text, check_room(Path({str(tmp_path)!r}), [])))"
    )
    script = f'mount -t tmpfs -o size=1m none {tmp_path} && {sys.executable} -c "$CODE"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    if shutil.which("unshare") is None or subprocess.run([*command[:4], "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    variables = os.environ | {"CODE": code, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("PROBLEM"), done.stderr
    assert f"{tmp_path} takes no 32 MB: No space left on device; mend: make room" in done.stdout


def test_room_is_held_against_what_is_foreseen_and_nothing_stays_behind(tmp_path):
    (found,) = check_room(tmp_path / "results" / "x", [job()])
    assert isinstance(found, Finding)
    assert found.mark == OK
    assert list(tmp_path.iterdir()) == []
    made = tmp_path / "made"
    with made.open("wb") as file:
        file.truncate(10**12)  # takes no room, and says that it does
    due = [PlannedJob("x", 0, 1, (path,), made, made, True) for path in (made, *[tmp_path / str(k) for k in range(99)])]
    assert "expected 99000 GB" in problems(check_room(tmp_path, due))[0]
