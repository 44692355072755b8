"""Distillation from native files to its tables: a part of a corpus for LaBraM, a part of the labels for EEGNet."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from unimontage.distillation.budget import budget
from unimontage.reporting.tables import SYNTHETIC
from unimontage.splits.files import read_table

KEPT = 0.25
METHODS = ("dlite", "random")

pytestmark = pytest.mark.slow


def configuration() -> dict:
    signal = {"highpass_hz": 0.5, "lowpass_hz": 45.0, "resample_hz": 200.0}
    small = {"kept": KEPT, "outliers": 0.05, "compressor": {"depth": 1, "width": 2, "epochs": 1, "batch": 32}}
    corpus = {"corpus": ["eegmmidb"], "size": "tiny", "schedule": {"epochs": 1, "warmup_epochs": 0, "batch": 16}}
    masked = corpus | {"kind": "masked", "tokenizer": "codes"}
    common = {"synthetic": True, "preprocessing": signal, "length_s": 2.0, "step_s": 2.0}
    return {
        "run": "small",
        "seeds": [0],
        "datasets": {
            "eegmmidb": common | {"subjects": 2, "twin": {"trial_s": 8}},
            "mobi": common | {"subjects": 1, "twin": {"trial_s": 12}},
        },
        "recipes": {
            "codes": corpus | {"kind": "tokenizer", "codes": 16},
            "full": masked,
            **{method: masked | {"distill": small | {"method": method}} for method in METHODS},
        },
        "arms": {
            "full": {"kind": "labram", "recipe": "full", "paper": "full_corpus"},
            **{method: {"kind": "labram", "recipe": method} for method in METHODS},
            "eegnet": {"kind": "braindecode", "model": "EEGNet"},
            "eegnet_part": {"kind": "braindecode", "model": "EEGNet", "distill": small},
        },
        "finetuning": {"epochs": 1, "warmup_epochs": 0, "batch": 16},
        "transfer": {
            "targets": [{"dataset": "mobi", "tasks": ["joint_angles"], "protocols": ["strict_official"]}],
            "arms": ["full", *METHODS, "eegnet", "eegnet_part"],
        },
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, snakemake: Callable) -> Path:
    folder = tmp_path_factory.mktemp("distillation")
    done = snakemake(folder, configuration(), "--set-threads", "pretrain=1", "compress=1", "select=1", "transfer=1")
    assert done.returncode == 0, done.stderr[-3000:]
    again = snakemake(folder, configuration(), "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    return folder / "results" / "small"


def test_what_is_kept_is_the_share_that_was_asked_for_and_none_of_it_an_outlier(results):
    corpus = read_table(results / "pretraining" / "corpora" / "eegmmidb" / "all.parquet").rows
    for method in METHODS:
        (folder,) = (results / "distillation").glob(f"{method}-*/eegmmidb/all")
        kept, everything = read_table(folder / "kept.parquet").rows, read_table(folder / "windows.parquet").rows
        assert set(everything["window"]) == set(corpus["window"])
        assert len(kept) == budget(KEPT, len(corpus))
        assert set(kept["window"]) <= set(everything["window"][everything["eligible"]])
        assert everything["eligible"].all() == (method == "random")
        card = json.loads((folder / "card.json").read_text())
        assert card["windows"]["chosen"] == len(kept)
        for picture in ("gallery", "shares"):
            assert (folder / f"{picture}.png").stat().st_size > 5000


def test_a_supervised_network_was_trained_on_its_share(results):
    counts = {}
    for arm in ("eegnet", "eegnet_part"):
        path = results / "transfer" / "mobi" / "joint_angles" / "strict_official" / arm / "sub-all.json"
        (run,) = json.loads(path.read_text())["runs"]
        counts[arm] = (run["training_windows"], run["of"])
    whole = counts["eegnet"][1]
    assert counts == {"eegnet": (whole, whole), "eegnet_part": (budget(KEPT, whole), whole)}


def test_tables_and_pictures_of_worth_and_cost_come_out(results):
    tables = results / "tables" / "transfer"
    table = pd.read_csv(tables / "distilled.csv")
    ours = table[table["row"] == "full_corpus"]
    assert set(ours["metric"]) == {"pearson_r", "r2"}
    assert ours["ours"].notna().all()
    assert set(table["data"]) == {SYNTHETIC}
    for name in ("kept", "hours", "coverage"):
        assert (tables / f"{name}.png").stat().st_size > 5000
