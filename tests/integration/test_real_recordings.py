"""Real recordings, from native files to windows and folds, where they are at hand."""

from pathlib import Path

import numpy as np
import pytest

from unimontage.config.data import Dataset, Preprocessing
from unimontage.config.splits import Splits
from unimontage.datasets import facts
from unimontage.splits.files import read_table
from unimontage.stages.locate import LocateRequest, locate
from unimontage.stages.preprocess import PreprocessRequest, preprocess
from unimontage.stages.split import SplitRequest, split
from unimontage.windows import WindowStore

OPTIONS = Preprocessing(highpass_hz=1.0, lowpass_hz=45.0, resample_hz=100)


def windows(
    folder: Path, root: Path, dataset: str, subject: str, options: Preprocessing, length_s: float = 3.0
) -> Path:
    common = {"code": "", "dataset": dataset, "subject": subject, "sessions": ("1",)}
    source, store = folder / f"{subject}.json", folder / f"{subject}.h5"
    locate(LocateRequest(config=Dataset(root=str(root)), manifest=source, **common))
    preprocess(
        PreprocessRequest(
            source=source,
            preprocessing=options,
            channels=facts(dataset).channels,
            length_s=length_s,
            step_s=length_s,
            windows=store,
            quality=folder / f"{subject}.quality.json",
            **common,
        )
    )
    return store


def test_imagined_fists_become_one_window_a_trial_and_folds_of_whole_trials(realdata: Path, tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"trial_start_s": 0.5, "trial_stop_s": 3.5})
    path = windows(tmp_path, realdata / "physionet_eegmmidb", "eegmmidb", "S001", options)
    store = WindowStore.open(path)
    assert store.signal.shape == (45, 64, 300)
    assert store.attributes["synthetic"] is False
    assert 1 < np.median(store.signal[:].std(axis=2)) < 100  # microvolt
    target = {"dataset": "eegmmidb", "task": "imagined_fist", "protocol": "strict_trial", "subjects": ("S001",)}
    folds = tmp_path / "split.parquet"
    split(SplitRequest(code="", roles={}, windows=(path,), splits=Splits(), split=folds, **target))
    rows = read_table(folds).rows
    assert rows[rows["role"] == "test"]["window"].nunique() == 45


@pytest.mark.parametrize("subject", ["Subject00", "Subject05"])
def test_arithmetic_has_windows_of_both_conditions(realdata: Path, tmp_path: Path, subject: str) -> None:
    path = windows(tmp_path, realdata / "physionet_eegmat", "eegmat", subject, OPTIONS)
    store = WindowStore.open(path)
    target = facts("eegmat").tasks["arithmetic"].targets(store.table)
    assert store.signal.shape[1:] == (19, 300)
    assert set(target) == {0, 1}
    assert not store.table["digest"].duplicated().any()


@pytest.mark.parametrize(("subject", "lowpass_hz"), [("excerpt2", 40.0), ("excerpt3", 24.0)])
def test_excerpts_of_nights_become_epochs_of_the_one_channel_they_have(
    realdata: Path, tmp_path: Path, subject: str, lowpass_hz: float
) -> None:
    options = Preprocessing(highpass_hz=0.3, lowpass_hz=lowpass_hz, resample_hz=100)
    store = WindowStore.open(windows(tmp_path, realdata / "dreams_spindles", "dreams", subject, options, 30.0))
    assert store.signal.shape == (60, 1, 3000)
    assert np.isfinite(store.signal[:]).all()
    assert store.table["trial"].tolist() == list(range(1, 61))
    assert set(facts("dreams").tasks["stages"].targets(store.table)) <= set(range(5))
