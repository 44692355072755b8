"""A number walked back to the input files, and the same numbers twice, on a small run."""

import json
import os
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from unimontage.__main__ import main
from unimontage.dag.records import sha256

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("results", "differences", "leakage")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, snakemake: Callable, small_run: Callable) -> Path:
    """Folder of a run of two subjects under the strict and the paper's protocol; tests change copies of it."""
    folder = tmp_path_factory.mktemp("explain")
    done = snakemake(folder, configuration(small_run), "evaluated")
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def configuration(small_run: Callable) -> dict:
    config = small_run({"synthetic": True, "subjects": 2, "twin": {"trial_s": 2}})
    config["within_subject"]["targets"][0]["protocols"] = ["strict_trial", "paper"]
    return config


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, in the folder that Snakemake would be in."""
    shutil.copytree(made / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    sha256.cache_clear()
    return tmp_path / "results/small"


def explained(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    """Exit status, and what was printed where."""
    status = main(["explain", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def cell(table: str) -> tuple[list[str], list[str]]:
    """A row drawn at random, as one would type it, and its arms."""
    rows = pd.read_csv(f"results/small/tables/within_subject/{table}.csv")
    row = rows.iloc[random.Random(f"cell of {table}").randrange(len(rows))]
    typed = [row[name] for name in ("dataset", "task", "protocol", "arm") if name in rows]
    return typed, [row[name] for name in ("arm", "reference") if name in rows]


@pytest.mark.parametrize("table", TABLES)
def test_a_random_cell_leads_to_the_hashes_of_its_input_files(run, capsys, table):
    words, arms = cell(table)
    status, text, wrong = explained(capsys, f"results/small/tables/within_subject/{table}.csv", *words)
    assert (status, wrong) == (0, "")
    head, _, end = text.partition("input files\n")
    sources = [json.loads(path.read_text()) for path in sorted(run.glob("sources/deap/*.json"))]
    expected = {file["sha256"] for source in sources for file in source["files"]}
    assert {line.split()[-1] for line in end.splitlines() if "sha256" in line} == expected
    assert "every hash is as it was recorded" in end
    predictions = [
        line.split()[1] for line in head.splitlines() if line.startswith("  file       results/small/within")
    ]
    assert {path.split("/")[-2] for path in predictions} == set(arms)
    assert len(predictions) == len(set(predictions)) >= 2
    if "pretrained" in arms:
        assert "encoder.safetensors" in head
        assert "pretraining/corpora" in head


def test_every_job_on_the_way_has_a_log_a_benchmark_a_record_and_a_command(run, capsys):
    _, text, _ = explained(capsys, "results/small/tables/within_subject/results.csv", "arm=svm")
    for kind in ("log", "benchmark", "record"):
        named = [line.split()[1] for line in text.splitlines() if line.startswith(f"  {kind} ")]
        assert named
        assert all(Path(path).is_file() for path in named)
    commands = [line.partition("snakemake")[2] for line in text.splitlines() if line.startswith("  again ")]
    assert len(commands) == len(named)


def test_the_command_makes_just_that_file_again_with_the_same_bytes(run, capsys):
    path = next(Path("results/small/within_subject").rglob("svm/*.parquet"))
    _, text, _ = explained(capsys, str(path))
    command = next(line.partition("again")[2] for line in text.splitlines() if line.startswith("  again "))
    before = path.read_bytes()
    words = shlex.split(command.replace("profiles/local", str(ROOT / "profiles/local")))
    started = {file: file.stat().st_mtime_ns for file in run.rglob("*.parquet")}
    rest = ["--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    python = [sys.executable, "-m"]
    done = subprocess.run([*python, *words, *rest], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {file for file, time in started.items() if file.stat().st_mtime_ns != time} == {path.absolute()}
    assert path.read_bytes() == before


@pytest.mark.parametrize("pattern", ["within_subject/**/pretrained/*.parquet", "pretraining/ucs/**/*.safetensors"])
def test_predictions_and_weights_can_be_asked_for_too(run, capsys, pattern):
    status, text, _ = explained(capsys, str(next(run.glob(pattern))))
    assert status == 0
    assert "pretrain  ucs deap" in text
    assert "input files" in text


def refused(capsys: pytest.CaptureFixture, *words: str) -> str:
    """The one line that explains why a result of an arm cannot be trusted."""
    status, _, wrong = explained(capsys, "results/small/tables/within_subject/results.csv", *words)
    assert status == 1
    assert len(wrong.strip().splitlines()) == 1
    return wrong


@pytest.mark.parametrize(
    "pattern",
    ["within_subject/**/svm/*.parquet", "windows/deap/*.h5", "sources/deap/*.json", "twins/deap/**/*.dat"],
)
def test_a_file_that_is_gone_is_named(run, capsys, pattern):
    path = next(run.glob(pattern))
    path.unlink()
    said = refused(capsys, "arm=svm")
    assert f"{path.name} is missing" in said


@pytest.mark.parametrize(
    "pattern",
    ["within_subject/**/svm/*.parquet", "splits/**/*.parquet", "windows/deap/*.h5", "twins/deap/**/*.dat"],
)
def test_a_file_that_was_changed_is_named(run, capsys, pattern):
    path = next(run.glob(pattern))
    path.write_bytes(path.read_bytes() + b"0")
    said = refused(capsys, "arm=svm")
    assert f"{path.name} has been changed" in said


def test_what_was_made_anew_after_it_had_been_used_is_named(run, capsys):
    path = next(run.glob("within_subject/**/strict_trial/svm/*.parquet"))
    record = next(run.glob("records/within_subject/**/strict_trial/svm/*.json"))
    path.write_bytes(path.read_bytes() + b"0")
    facts = json.loads(record.read_text())
    name = str(path.relative_to(run.parents[1]))
    facts["writes"][name]["sha256"] = sha256(path)
    record.write_text(json.dumps(facts))
    assert f"{name} was made anew after" in refused(capsys, "arm=svm", "strict_trial")


def test_another_arm_is_not_concerned(run, capsys):
    next(run.glob("within_subject/**/pretrained/*.parquet")).unlink()
    assert explained(capsys, "results/small/tables/within_subject/results.csv", "arm=svm")[0] == 0


@pytest.mark.parametrize(("lost", "said"), [("records", "older version"), ("records/split", "has no record")])
def test_a_folder_of_an_older_version_is_refused_in_one_line(run, capsys, lost, said):
    shutil.rmtree(run / lost)
    assert said in refused(capsys, "arm=svm")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["nobody"], "arm pretrained, svm"), (["colour=red"], "has no column colour"), (["svm", "pretrained"], "no row")],
)
def test_words_that_fit_no_row_are_answered_with_those_that_would(run, capsys, words, said):
    assert said in refused(capsys, *words)


def test_another_configuration_of_the_same_run_is_refused_until_it_is_named(made, tmp_path, snakemake, small_run):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    config = configuration(small_run)
    config["arms"]["svm"]["pipeline"] = "band_power"
    told = snakemake(tmp_path, config, "evaluated", "--dry-run")
    assert told.returncode == 0
    assert "note: a run will be refused" in told.stderr
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*") if path.is_file()}
    done = snakemake(tmp_path, config, "evaluated")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "was made with another configuration" in line]
    assert len(said) == 1
    assert "arms.svm.pipeline" in said[0]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    name = said[0].partition("adopt=")[2].split()[0]
    done = snakemake(tmp_path, config, "evaluated", "--config", f"adopt={name}")
    assert done.returncode == 0, done.stderr[-2000:]
    kept = sorted(path.stem for path in (tmp_path / "results/small/configurations").iterdir())
    assert kept[1] == f"0002-{name}"
    records = (tmp_path / "results/small/records/table").rglob("*.json")
    assert {json.loads(path.read_text())["configuration"] for path in records} == {kept[1]}


def test_it_is_refused_where_snakemake_would_find_nothing_to_do(made, tmp_path, snakemake, small_run):
    shutil.copytree(made / "results", tmp_path / "results")  # without what Snakemake knows of earlier parameters
    config = configuration(small_run)
    config["arms"]["svm"]["pipeline"] = "band_power"
    done = snakemake(tmp_path, config, "evaluated")
    assert done.returncode != 0
    assert "was made with another configuration" in done.stderr + done.stdout


def predictions(folder: Path) -> dict[Path, Path]:
    paths = sorted((folder / "results/small/within_subject").rglob("*.parquet"))
    return {path.relative_to(folder): path for path in paths}


def test_the_same_configuration_gives_the_same_bytes_twice(made, tmp_path, snakemake, small_run):
    config = configuration(small_run)
    config["within_subject"]["targets"][0]["protocols"] = ["strict_trial"]  # what the other protocol adds takes time
    done = snakemake(tmp_path, config, "evaluated")
    assert done.returncode == 0, done.stderr[-2000:]
    assert predictions(tmp_path)
    for pattern in ("within_subject/**/*.*", "windows/**/*.h5", "pretraining/**/encoder.*", "scores/**/*.parquet"):
        for path in (tmp_path / "results/small").glob(pattern):
            assert path.read_bytes() == (made / path.relative_to(tmp_path)).read_bytes(), path.name
