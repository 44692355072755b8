"""The workflow as a user meets it: one damaged subject, everyone else goes on, and the mend in the error works."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from unimontage.datasets import load
from unimontage.datasets.twin import TwinSpec
from unimontage.splits.files import read_table

SUBJECTS = ("s01", "s02", "s03")
DAMAGED = "s02"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, snakemake: Callable, small_run: Callable) -> dict:
    folder = tmp_path_factory.mktemp("workflow")
    root = folder / "deap"
    root.mkdir()
    load("deap").write_twin(root, SUBJECTS, TwinSpec(trial_s=2))
    damaged = root / "data_preprocessed_python" / f"{DAMAGED}.dat"
    damaged.write_bytes(damaged.read_bytes()[:10_000])
    config = small_run({"root": str(root), "subjects": list(SUBJECTS)})
    first = snakemake(folder, config, "--keep-going")
    between = sorted(str(p.relative_to(folder)) for p in (folder / "results").rglob("*") if p.is_file())
    config["datasets"]["deap"]["exclude"] = [DAMAGED]
    refused = snakemake(folder, config, "--keep-going")
    name = re.search(r"--config adopt=(\w+)", refused.stderr)[1]
    second = snakemake(folder, config, "--keep-going", "--config", f"adopt={name}")
    runs = {"first": first, "refused": refused, "second": second, "between": between}
    return {"folder": folder, "config": config, "results": folder / "results/small"} | runs


def test_a_truncated_file_is_answered_in_one_line_with_its_mend(run: dict) -> None:
    lines = [line for line in run["first"].stderr.splitlines() if line.startswith("preprocess: ")]
    assert run["first"].returncode != 0
    assert len(lines) == 1
    assert f"{DAMAGED}.dat" in lines[0]
    assert "exclude" in lines[0]


def test_the_other_subjects_went_on_and_nothing_half_written_stayed(run: dict) -> None:
    kept = [path for path in run["between"] if "/windows/" in path]
    assert kept == [f"results/small/windows/deap/sub-{subject}.h5" for subject in SUBJECTS if subject != DAMAGED]
    assert not [path for path in run["between"] if path.endswith(".part")]
    trained = [path for path in run["between"] if "/svm/" in path and path.endswith(".parquet")]
    others = "+".join(subject for subject in SUBJECTS if subject != DAMAGED)  # one hold-out group, so one job
    assert [Path(path).name for path in trained] == [f"sub-{others}.parquet"]


def test_another_configuration_in_the_same_folder_is_answered_in_one_line_that_says_how_to_go_on(run: dict) -> None:
    assert run["refused"].returncode != 0
    said = [line for line in run["refused"].stderr.splitlines() if "was made with another configuration" in line]
    assert len(said) == 1
    assert "datasets.deap.exclude" in said[0]


def test_the_mend_that_the_error_names_finishes_the_run(run: dict) -> None:
    assert run["second"].returncode == 0, run["second"].stderr[-2000:]
    table = pd.read_csv(run["results"] / "tables/within_subject/results.csv")
    assert set(table["arm"]) == {"pretrained", "svm"}
    assert (table["n"] == len(SUBJECTS) - 1).all()


def test_everything_made_from_stand_ins_says_so(run: dict) -> None:
    tables = run["results"] / "tables/within_subject"
    assert (pd.read_csv(tables / "results.csv")["data"] == "SYNTHETIC").all()
    assert "SYNTHETIC" in (tables / "results.txt").read_text()
    assert "SYNTHETIC" in (tables / "results.html").read_text()
    for path in (run["results"] / "within_subject").rglob("*.parquet"):
        assert read_table(path).facts["synthetic"] is True


def test_a_result_carries_seeds_split_code_and_data_hashes(run: dict) -> None:
    path = next((run["results"] / "within_subject").rglob("pretrained/sub-s01.parquet"))
    facts = read_table(path).facts
    assert facts["seeds"] == [0]
    assert len(facts["split_sha256"]) == len(facts["tables"]["s01"]) == 64
    assert len(facts["code"]) == 16
    assert all(len(value) == 64 for value in facts["weights_sha256"].values())
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["runs"][0]["coverage"].endswith("0 missing, 0 unexpected")


def test_the_encoder_of_a_strict_job_never_saw_its_subject(run: dict) -> None:
    for audit in (run["results"] / "audits").rglob("*.json"):
        assert json.loads(audit.read_text())["verdict"] == "clean"
    for corpus in (run["results"] / "pretraining/corpora").rglob("without-group-*.parquet"):
        subjects = read_table(corpus).rows["window"].str.split("/").str[1].unique()
        assert len(subjects) == 1


def test_a_second_call_has_nothing_to_do(run: dict, snakemake: Callable) -> None:
    again = snakemake(run["folder"], run["config"], "--dry-run", "--rerun-triggers", "params", "input", "mtime")
    assert "Nothing to be done" in again.stdout + again.stderr
