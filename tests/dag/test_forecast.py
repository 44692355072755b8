"""What a run will take and what of it is done, from plans and benchmarks."""

import json
import math
import os
from pathlib import Path

import pytest

from unimontage.dag.forecast import (
    benchmarks,
    forecast,
    forecast_text,
    progress,
    progress_text,
    resources_text,
    side_by_side,
)
from unimontage.dag.jobs import PlannedJob, planned_jobs
from unimontage.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def job(run: Path, rule: str, number: int, *, due: bool = True, gpus: int = 0) -> PlannedJob:
    return PlannedJob(
        rule=rule,
        gpus=gpus,
        runtime_min=60,
        outputs=(run / rule / f"{number}.h5",),
        benchmark=run / "benchmarks" / rule / f"{number}.jsonl",
        log=run / "logs" / rule / f"{number}.log",
        due=due,
    )


def ran(job: PlannedJob, seconds: float, memory_mb: float, ended: float) -> None:
    """Leave the traces of a job that ran."""
    for path, text in (
        (job.benchmark, json.dumps({"s": seconds, "max_rss": memory_mb})),
        (job.log, "12:00:00 INFO done"),
        (job.outputs[0], "x" * 1000),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.utime(job.benchmark, (ended, ended))


@pytest.fixture
def run(tmp_path):
    """Two of four trainings are done, one failed; no table was made."""
    folder = tmp_path / "results" / "x"
    jobs = [job(folder, "pretrain", k, due=k > 1, gpus=1) for k in range(4)] + [job(folder, "table", 0)]
    ran(jobs[0], 3600, 2000, ended=10_000)
    ran(jobs[1], 7200, 3000, ended=13_000)
    jobs[2].log.write_text("12:00:00 INFO begins\n12:00:01 ERROR no such file")
    return folder, jobs


def test_hours_are_those_that_were_measured_and_else_those_that_are_asked_for(run):
    folder, jobs = run
    table = forecast(jobs, benchmarks([folder])).set_index("rule")
    assert table.loc["pretrain", ["jobs", "hours", "gpu_hours", "source"]].tolist() == [4, 6.0, 6.0, "measured 2"]
    assert table.loc["pretrain", "disk_gb"] == pytest.approx(4e-6)
    assert table.loc["table", ["jobs", "hours", "gpu_hours", "source"]].tolist() == [1, 1.0, 0.0, "asked"]
    assert math.isnan(table.loc["table", "disk_gb"])
    text = forecast_text(forecast(jobs, benchmarks([folder])))
    assert "5 jobs, 7.0 hours, 6.0 of them on a GPU" in text
    assert "not measured" in text


def test_a_run_says_what_is_done_and_what_failed(run):
    folder, jobs = run
    table = progress(jobs, benchmarks([folder])).set_index("rule")
    assert table.loc["pretrain", ["done", "started", "failed", "waiting"]].tolist() == [2, 0, 1, 1]
    assert table.loc["pretrain", "hours_left"] == 3.0
    assert side_by_side(benchmarks([folder])) == pytest.approx(10_800 / (13_000 - 5_800))
    text = progress_text(jobs)
    assert "5 jobs: 2 done, 1 failed, 2 waiting" in text
    assert f"failed: {jobs[2].log}" in text
    assert "hours more" not in text  # nothing is known of the table
    assert "about 2.0 hours more" in progress_text(jobs[:-1])


def test_a_run_that_has_not_begun_waits(tmp_path):
    jobs = [job(tmp_path / "results" / "x", "pretrain", k) for k in range(3)]
    assert "3 jobs: 3 waiting" in progress_text(jobs)


def test_a_profile_has_room_above_what_was_measured(run):
    folder, _ = run
    assert resources_text(benchmarks([folder])) == (
        "set-resources:\n  pretrain: {mem_mb: 4000 * attempt, runtime: 240 * attempt}"
    )


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere is no folder"):
        benchmarks([tmp_path / "nowhere"])


@pytest.mark.slow
def test_the_plan_is_snakemakes_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    jobs = planned_jobs([ROOT / "config" / "config.yaml"])
    rules = {each.rule for each in jobs}
    assert {"twin", "preprocess", "split", "audit", "pretrain", "within_subject", "score", "table"} <= rules
    assert all(each.gpus == 1 and each.runtime_min == 360 for each in jobs if each.rule == "pretrain")
    assert not any(each.gpus for each in jobs if each.rule in ("split", "preprocess", "table"))
    classical = [each for each in jobs if each.rule == "within_subject" and "de_svm" in str(each.benchmark)]
    assert classical
    assert not any(each.gpus for each in classical)


@pytest.mark.slow
def test_a_configuration_that_cannot_be_planned_is_answered_in_its_own_words(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "config.yaml"
    path.write_text("run: x\ndatasets: {seed: {synthetic: true, subjects: 400}}\n")
    with pytest.raises(UserError, match="seed has 15 subjects, not 400"):
        planned_jobs([path])
