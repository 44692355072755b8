"""The sleep system from native files to its tables: two montages, one encoder, a tenth of the labels."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from unimontage.reporting.tables import SYNTHETIC
from unimontage.splits.files import read_table

DATASETS = ("sleep_edf", "isruc")

pytestmark = pytest.mark.slow


def configuration() -> dict:
    signal = {"highpass_hz": 0.3, "lowpass_hz": 40.0, "resample_hz": 100.0, "crop_wake_min": 5}
    dataset = {"synthetic": True, "subjects": 3, "sessions": 1, "twin": {"night_h": 0.3}, "preprocessing": signal}
    tuned = {"kind": "aligned", "hidden": 0, "unfreezing": {"attention": 1, "deep": 1, "first": 1}}
    target = {"tasks": ["stages"], "protocols": ["strict_subject"], "budgets": [10, 100]}
    return {
        "run": "small",
        "seeds": [0],
        "datasets": dict.fromkeys(DATASETS, dataset),
        "windows": {"length_s": 30.0, "step_s": 30.0},
        "recipes": {
            "mtssrl": {
                "kind": "aligned",
                "encoder": {"kind": "staging", "preset": "tiny"},
                "objectives": {
                    "augmentation": {"kind": "contrast"},
                    "shuffling": {"kind": "temporal_shuffling", "near": 6, "far": 6},
                    "bands": {"kind": "band_masking"},
                },
                "schedule": {"epochs": 1, "warmup_epochs": 0, "batch": 4, "windows_per_epoch": 8},
            }
        },
        "arms": {
            "pretrained": tuned | {"recipe": "mtssrl", "paper": "mtssrl_md"},
            "band_power": {"kind": "classical", "pipeline": "band_power"},
        },
        "finetuning": {"epochs": 2, "warmup_epochs": 0, "batch": 8, "choose_by": "macro_f1"},
        "cross_subject": {
            "targets": [target | {"dataset": name} for name in DATASETS],
            "arms": ["pretrained", "band_power"],
        },
        "evaluation": {"metric": "macro_f1"},
        "report": {"alignment_grid": ["pretrained"]},
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, snakemake: Callable) -> Path:
    folder = tmp_path_factory.mktemp("sleep")
    done = snakemake(folder, configuration(), "--set-threads", "pretrain=1", "cross_subject=1")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "results" / "small"


def test_every_test_epoch_is_predicted_by_every_arm_and_no_other(results):
    for dataset in DATASETS:
        split = read_table(results / "splits" / dataset / "stages" / "strict_subject" / "sub-all.parquet").rows
        wanted = set(split["window"][split["role"] == "test"])
        for arm in ("pretrained", "band_power"):
            for protocol in ("strict_subject", "strict_subject_10pct"):
                path = results / "cross_subject" / dataset / "stages" / protocol / arm / "sub-all.parquet"
                assert set(read_table(path).rows["window"]) == wanted


def test_pretraining_saw_training_subjects_only(results):
    (corpus,) = (results / "pretraining" / "corpora").glob("*/training-subjects.parquet")
    seen = read_table(corpus).rows["window"]
    for dataset in DATASETS:
        split = read_table(results / "splits" / dataset / "stages" / "strict_subject" / "sub-all.parquet").rows
        held_out = split["window"][split["role"] != "train"].str.split("/").str[1]
        mine = seen[seen.str.startswith(f"{dataset}/")].str.split("/").str[1]
        assert len(mine)
        assert not set(mine) & set(held_out)


def test_the_articles_tables_have_our_numbers_beside_theirs(results):
    table = pd.read_csv(results / "tables" / "cross_subject" / "published.csv")
    ours = table[(table["row"] == "mtssrl_md") & table["ours"].notna()]
    assert set(ours["dataset"]) == set(DATASETS)
    assert {10.0, 100.0} == set(ours["labels_pct"])
    assert (ours["difference"] - (ours["ours"] - ours["paper"])).abs().max() < 1e-9
    assert set(ours["data"]) == {SYNTHETIC}
    for name in ("published", "efficiency"):
        assert (results / "tables" / "cross_subject" / f"{name}.html").stat().st_size > 1000


def test_figures_of_nights_alignment_and_tasks_are_drawn(results):
    for dataset in DATASETS:
        for name in ("classes", "hypnogram", "confusion"):
            path = results / "figures" / "cross_subject" / dataset / "stages" / "strict_subject" / f"{name}.png"
            assert path.stat().st_size > 5000
    (folder,) = (results / "figures" / "mtssrl").glob("*/training-subjects")
    assert {"pretraining.png", "alignment.png", "task_weights.png"} == {path.name for path in folder.iterdir()}
    for name in ("budgets", "alignment_grid"):
        assert (results / "tables" / "cross_subject" / f"{name}.png").stat().st_size > 5000
