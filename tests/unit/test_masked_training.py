"""LaBraM in training: batches of one montage, a tokenizer, masked codes, and a judge for classes and for numbers."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from unimontage.config.arms import Finetuning
from unimontage.config.arms import Labram as Arm
from unimontage.config.recipes import MaskedRecipe, TokenizerRecipe
from unimontage.errors import UserError
from unimontage.models.weights import save_weights
from unimontage.training.answer import LabramStart
from unimontage.training.devices import open_device
from unimontage.training.finetuning import fit_fold
from unimontage.training.folds import Fold, Part
from unimontage.training.judging import build
from unimontage.training.masked import work
from unimontage.training.patches import PatchCorpus
from unimontage.training.pretraining import pretrain
from unimontage.windows import WindowPool
from unimontage.windows.store import WindowStore

MONTAGES = {"first": ("C3", "C4"), "second": ("F3", "F4"), "third": ("C3", "C4")}  # two of equally many channels
SECONDS = {"first": 2, "second": 2, "third": 3}
SCHEDULE = {"epochs": 2, "warmup_epochs": 0, "batch": 4}


def store(dataset: str, count: int = 9) -> WindowStore:
    rng = np.random.default_rng(len(dataset))
    channels, samples = MONTAGES[dataset], 200 * SECONDS[dataset]
    signal = 30 * rng.standard_normal((count, len(channels), samples), dtype=np.float32)
    ids = [f"{dataset}/1/1/{k}/0" for k in range(count)]
    table = pd.DataFrame({"window": ids, "session": "1", "start_sample": np.arange(count) * samples})
    return WindowStore(signal, table, channels, 200.0, {"dataset": dataset, "subject": "1"})


def stores() -> list[WindowStore]:
    return [store(dataset) for dataset in MONTAGES]


def ids(members: list[WindowStore]) -> list[str]:
    return [window for member in members for window in member.table["window"]]


@pytest.mark.parametrize("interleave", [True, False])
def test_a_batch_has_one_montage_and_an_epoch_has_every_window_once(interleave):
    members = stores()
    corpus = PatchCorpus(members, ids(members), batch=4, interleave=interleave, seed=0)
    batches = [corpus.batch_at(step) for step in range(len(corpus))]
    assert corpus.windows == 27
    assert len(batches) == 9
    seen = [
        (batch.channels, batch.x.shape[2], batch.x[k].numpy().tobytes())
        for batch in batches
        for k in range(len(batch.x))
    ]
    assert len(set(seen)) == 27
    order = [(batch.channels, batch.x.shape[2]) for batch in batches]
    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes > 2 if interleave else changes == 2
    again = PatchCorpus(members, ids(members), batch=4, interleave=interleave, seed=0)
    assert torch.equal(again.batch_at(13).x, corpus.batch_at(13).x)


def run(recipe, folder: Path, tokenizer: Path | None = None, whole: int | None = None):
    members = stores()
    start = LabramStart(size="tiny", tokenizer_size="tiny", codes=16)
    found = work(members, ids(members), recipe, start, seed=0, tokenizer=tokenizer, whole=whole)
    history = pretrain(
        found,
        recipe.schedule,
        seed=0,
        fabric=open_device(1),
        checkpoint=folder / "c.pt",
        identity="x",
        events=folder / "events",
    )
    return found, history


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("codes")
    recipe = TokenizerRecipe(size="tiny", codes=16, schedule=SCHEDULE)
    found, history = run(recipe, folder)
    assert np.isfinite(history.to_numpy()).all()
    assert history["usage"].iloc[-1] > 0
    path = folder / "encoder.safetensors"
    save_weights(path, found.kept, found.describe())
    return path


def masked(**options) -> MaskedRecipe:
    return MaskedRecipe(size="tiny", tokenizer="codes", schedule=SCHEDULE, **options)


def test_knowing_nothing_costs_the_logarithm_of_the_codes(tokenizer, tmp_path):
    found, history = run(masked(), tmp_path, tokenizer)
    assert len(history) == 2 * 9
    assert history["masked"].iloc[0] == pytest.approx(np.log(16), abs=0.1)
    assert history["complement"].iloc[0] == pytest.approx(np.log(16), abs=0.1)
    assert found.describe() == {"size": "tiny", "codes": 16}


def test_few_windows_can_be_given_as_many_steps_as_all(tokenizer, tmp_path):
    _, history = run(masked(match_steps=True), tmp_path, tokenizer, whole=54)
    assert len(history) == 2 * 18


@pytest.fixture
def pool() -> WindowPool:
    return WindowPool.of([store("first", 24)])


def part(pool: WindowPool, rows: slice, y: np.ndarray) -> Part:
    windows = pool.windows(np.arange(len(pool.ids))[rows])
    return Part(windows, y[rows], pool.domain[rows], pool.ids.to_numpy(dtype=object)[rows])


@pytest.mark.parametrize("numbers", [False, True])
def test_the_judge_answers_with_classes_or_with_numbers(pool, numbers, tmp_path, tokenizer):
    found, _ = run(masked(), tmp_path, tokenizer)
    weights = tmp_path / "encoder.safetensors"
    save_weights(weights, found.kept, found.describe())
    torch.manual_seed(0)
    built = build(Arm(recipe="r"), LabramStart(size="tiny"), pool, 3, weights)
    for mine, theirs in zip(built.model.backbone.parameters(), found.kept.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    rng = np.random.default_rng(0)
    y = rng.standard_normal((24, 3)).astype(np.float32) if numbers else rng.integers(0, 3, 24)
    fold = Fold("0", part(pool, slice(0, 12), y), part(pool, slice(12, 18), y), part(pool, slice(18, 24), y))
    options = Finetuning(epochs=2, warmup_epochs=0, batch=6)
    fitted = fit_fold(built, fold, 3, options, thawed=0, seed=0, fabric=open_device(1))
    assert fitted.probabilities.shape == (6, 3)
    assert fitted.history["val_loss"].notna().all()
    assert np.allclose(fitted.probabilities.sum(1), 1) is not numbers


def test_blocks_before_the_head_learn_more_slowly(pool):
    built = build(Arm(recipe="r", lr=1e-3, layer_decay=0.5), LabramStart(size="tiny"), pool, 2, None)
    peaks = {group["peak"] for group in built.groups}
    assert max(peaks) == 1e-3
    assert min(peaks) == pytest.approx(1e-3 * 0.5**5)
    trained = [id(p) for group in built.groups for p in group["params"]]
    assert sorted(trained) == sorted(id(p) for p in built.model.parameters())


def test_another_rate_or_size_is_refused(pool, tmp_path, tokenizer):
    slow = WindowPool.of([WindowStore(s.signal, s.table, s.channels, 128.0, s.attributes) for s in pool.stores])
    with pytest.raises(UserError, match="sampled at 128 Hz; expected 200 Hz"):
        build(Arm(recipe="r"), LabramStart(size="tiny"), slow, 2, None)
    found, _ = run(masked(), tmp_path, tokenizer)
    weights = tmp_path / "encoder.safetensors"
    save_weights(weights, found.kept, found.describe())
    with pytest.raises(UserError, match="backbone of size tiny; expected base"):
        build(Arm(recipe="r"), LabramStart(size="base"), pool, 2, weights)
