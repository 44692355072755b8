"""Work that is told to stop, or whose time is nearly over: what it notices, what it keeps, how it goes on."""

import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from unimontage.config.arms import Braindecode, Finetuning
from unimontage.config.splits import Splits
from unimontage.errors import Interrupted
from unimontage.signal.windowing import digests
from unimontage.splits.files import read_table
from unimontage.stages import request as rules
from unimontage.stages.finetune import FinetuneRequest, finetune
from unimontage.stages.split import SplitRequest, split
from unimontage.training import interruption, networks
from unimontage.training.interruption import Interruption
from unimontage.windows import write_windows

CHANNELS, TRIALS, WINDOWS, SEEDS = ("CZ", "FP1", "OZ"), 15, 3, (0, 1)


def test_sigterm_is_noticed_and_the_signal_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with Interruption() as stop:
        assert stop.reason() is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason() == "told to stop"
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(("left_s", "over"), [(interruption.MARGIN_S + 60, False), (interruption.MARGIN_S - 60, True)])
def test_a_job_stops_before_its_time_is_over(left_s, over):
    assert (Interruption(time.time() + left_s).reason() is not None) == over


def test_only_slurm_ends_a_job_at_its_run_time(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert rules._deadline({"runtime": 10}) is None
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert 590 < rules._deadline({"runtime": 10}) - time.time() <= 600
    assert rules._deadline({}) is None


def test_a_rule_that_is_interrupted_says_so_in_one_line_and_asks_to_be_tried_again(tmp_path, capsys):
    def stage(request: rules.Request) -> None:
        raise Interrupted("told to stop: step 3 of 9 is kept")

    nothing = {"input": {}, "output": {}, "params": {"code": ""}, "resources": {}, "rule": "pretrain", "threads": 1}
    with pytest.raises(SystemExit) as stop:
        rules.run(stage, SimpleNamespace(log=[str(tmp_path / "log")], **nothing))
    assert stop.value.code == os.EX_TEMPFAIL
    assert capsys.readouterr().err.strip() == "pretrain: told to stop: step 3 of 9 is kept"


@pytest.fixture
def job(tmp_path):
    """Fine-tuning of three folds and two seeds."""
    rng = np.random.default_rng(0)
    trial = np.repeat(np.arange(1, TRIALS + 1), WINDOWS)
    signal_uv = rng.normal(0, 20, (len(trial), len(CHANNELS), 64))
    k = np.tile(np.arange(WINDOWS), TRIALS)
    table = pd.DataFrame(
        {
            "window": [f"deap/s01/1/{t}/{i}" for t, i in zip(trial, k, strict=True)],
            "session": "1",
            "trial": trial,
            "start_s": k * 1.0,
            "start_sample": k * 64,
            "digest": digests(signal_uv),
            "valence": 3.0 + 4.0 * (trial % 2),
        }
    )
    store, folds = tmp_path / "sub-s01.h5", tmp_path / "split.parquet"
    attributes = {"dataset": "deap", "subject": "s01", "synthetic": True}
    write_windows(store, signal_uv, table, channels=CHANNELS, sfreq_hz=64, attributes=attributes)
    target = {"dataset": "deap", "task": "valence", "protocol": "strict_trial", "subjects": ("s01",)}
    split(SplitRequest(roles={}, windows=(store,), splits=Splits(folds=3), split=folds, code="", **target))

    def requested(name: str, **changes) -> FinetuneRequest:
        given = {
            **{"code": "", "windows": (store,), "split": folds, "audit": folds, "threads": 1, "thawed": 0},
            **{"arm": Braindecode(kind="braindecode", model="EEGNet"), "seeds": SEEDS, "resume": tmp_path / name},
            **{"finetuning": Finetuning(epochs=2, warmup_epochs=0, batch=16), "precision": "float32"},
            **{"predictions": tmp_path / f"{name}.parquet", "history": tmp_path / f"{name}.csv"},
            **{"card": tmp_path / f"{name}.json"},
        }
        return FinetuneRequest(**given | changes)

    return requested


def stopped_after(monkeypatch, count: int) -> list[int]:
    """Let the process be told to stop while it trains for the count-th time; the list grows with every training."""
    trained, fit = [], networks.fit_fold

    def fit_fold(*args, **options):
        trained.append(options["seed"])
        if len(trained) == count:
            os.kill(os.getpid(), signal.SIGTERM)
        return fit(*args, **options)

    monkeypatch.setattr(networks, "fit_fold", fit_fold)
    return trained


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fine_tuning_goes_on_after_the_last_fold_and_seed_that_was_done(job, monkeypatch, count):
    finetune(job("whole"))
    trained = stopped_after(monkeypatch, count)
    with pytest.raises(Interrupted, match=f"{count} of 6 folds and seeds are kept"):
        finetune(job("stopped"))
    assert not job("stopped").predictions.exists()
    finetune(job("stopped"))
    assert len(trained) == 6
    whole, stopped = (read_table(job(name).predictions) for name in ("whole", "stopped"))
    pd.testing.assert_frame_equal(whole.rows, stopped.rows)
    assert job("whole").history.read_text() == job("stopped").history.read_text()
    assert job("whole").card.read_text() == job("stopped").card.read_text()
    assert not job("stopped").resume.exists()


def test_what_was_kept_of_another_configuration_is_not_used(job, monkeypatch):
    trained = stopped_after(monkeypatch, 3)
    with pytest.raises(Interrupted):
        finetune(job("stopped"))
    finetune(job("stopped", finetuning=Finetuning(epochs=1, warmup_epochs=0, batch=16)))
    assert len(trained) == 3 + 6


def test_a_damaged_answer_is_trained_anew_and_the_log_says_so(job, monkeypatch, caplog):
    finetune(job("whole"))
    trained = stopped_after(monkeypatch, 3)
    with pytest.raises(Interrupted):
        finetune(job("stopped"))
    damaged = min(job("stopped").resume.iterdir())
    damaged.write_bytes(damaged.read_bytes()[:100])
    finetune(job("stopped"))
    assert len(trained) == 6 + 1
    assert f"{damaged.name} is not a table" in caplog.text
    whole, stopped = (read_table(job(name).predictions) for name in ("whole", "stopped"))
    pd.testing.assert_frame_equal(whole.rows, stopped.rows)


def test_the_last_fold_is_finished_even_if_told_to_stop(job, monkeypatch):
    stopped_after(monkeypatch, 6)
    finetune(job("late"))
    assert job("late").predictions.exists()
