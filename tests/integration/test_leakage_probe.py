"""Random labels cannot be learned: window-random folds score far above chance on them, trial-wise folds do not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unimontage.config.arms import Classical, Finetuning
from unimontage.config.data import Dataset, Preprocessing
from unimontage.config.splits import Splits
from unimontage.datasets import facts
from unimontage.evaluation.aggregate import per_subject
from unimontage.splits.files import read_table
from unimontage.stages.audit import AuditRequest, audit
from unimontage.stages.evaluate import ScoreRequest, score
from unimontage.stages.finetune import FinetuneRequest, finetune
from unimontage.stages.locate import LocateRequest, TwinRequest, locate, write_twin
from unimontage.stages.preprocess import PreprocessRequest, preprocess
from unimontage.stages.split import SplitRequest, split

SUBJECTS = ("1", "2", "3", "4")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> pd.Series:
    """Mean balanced accuracy of a subject, by protocol, on SEED's stand-in with random labels."""
    folder = tmp_path_factory.mktemp("probe")
    config = Dataset.model_validate({"synthetic": True, "twin": {"trial_s": 10, "labels": "random"}})
    marker = folder / "twin" / "SYNTHETIC.json"
    common = {"code": "", "dataset": "seed", "sessions": ("1",)}
    write_twin(TwinRequest(subjects=SUBJECTS, config=config, marker=marker, **common))
    windows = [_windows(folder, subject, config, marker, common) for subject in SUBJECTS]
    parts = [_scores(folder, protocol, windows) for protocol in ("paper", "strict_trial")]
    table = per_subject(pd.concat(parts))
    chosen = table[(table["metric"] == "balanced_accuracy") & (table["unit"] == "window")]
    return chosen.groupby("protocol")["value"].mean()


def _windows(folder: Path, subject: str, config: Dataset, marker: Path, common: dict) -> Path:
    source, windows = folder / f"{subject}.json", folder / f"{subject}.h5"
    locate(LocateRequest(subject=subject, config=config, marker=marker, manifest=source, **common))
    preprocess(
        PreprocessRequest(
            source=source,
            subject=subject,
            channels=facts("seed").channels,
            preprocessing=Preprocessing(),
            length_s=1.0,
            step_s=1.0,
            windows=windows,
            quality=folder / f"{subject}.quality.json",
            **common,
        )
    )
    return windows


def _scores(folder: Path, protocol: str, windows: list[Path]) -> pd.DataFrame:
    predictions = []
    for subject, path in zip(SUBJECTS, windows, strict=True):
        stem = folder / f"{protocol}-{subject}"
        folds, report = stem.with_suffix(".parquet"), stem.with_suffix(".audit.json")
        split(
            SplitRequest(
                roles={},
                code="",
                windows=(path,),
                dataset="seed",
                task="emotion",
                protocol=protocol,
                subjects=(subject,),
                splits=Splits(),
                split=folds,
            )
        )
        audit(AuditRequest(code="", windows=(path,), split=folds, corpora=(), audit=report))
        predictions.append(stem.with_suffix(".predictions.parquet"))
        finetune(
            FinetuneRequest(
                code="",
                windows=(path,),
                split=folds,
                audit=report,
                arm=Classical(kind="classical", pipeline="de_svm"),
                finetuning=Finetuning(),
                thawed=0,
                seeds=(0,),
                threads=1,
                resume=stem.with_suffix(".resume"),
                predictions=predictions[-1],
                history=stem.with_suffix(".csv"),
                card=stem.with_suffix(".card.json"),
            )
        )
    result = folder / f"{protocol}.parquet"
    score(
        ScoreRequest(
            kept={"de_svm": 100.0},
            code="",
            windows=tuple(windows),
            predictions=tuple(predictions),
            arms=("de_svm",),
            threshold_inclusive=False,
            scores=result,
        )
    )
    return read_table(result).rows


def test_window_random_folds_score_far_above_chance_on_random_labels(scores: pd.Series) -> None:
    assert scores["paper"] > 0.55  # chance is a third


def test_trial_wise_folds_score_at_chance_on_random_labels(scores: pd.Series) -> None:
    # Four subjects with fifteen trials: the standard error of chance is about 0.06.
    assert np.isclose(scores["strict_trial"], 1 / 3, atol=0.15)
