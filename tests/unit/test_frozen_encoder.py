"""A frozen encoder runs once over a fold; what follows sees what it would have seen window by window."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unimontage.config.arms import Context, Finetuning, Graph, Universal
from unimontage.config.recipes import Encoder
from unimontage.training.answer import UnivariateStart
from unimontage.training.devices import open_device
from unimontage.training.finetuning import fit_fold
from unimontage.training.folds import Fold, Part
from unimontage.training.universal import OnMontage, build

CHANNELS = ("C3", "C4", "CZ")
START = UnivariateStart(
    encoder=Encoder(width=8, patches=4, d=8, layers=1, heads=2, ffn=16), vocabulary=CHANNELS, rates=(64.0,)
)


def arm(**options: object) -> Universal:
    sizes = {"graph": Graph(layers=1, heads=2, head_width=4), "context": Context(layers=1, heads=2, ffn=16)}
    return Universal(recipe="r", init="scratch", **sizes, **options)


@pytest.fixture
def fold() -> Fold:
    rng = np.random.default_rng(0)

    def part(count: int) -> Part:
        y = np.arange(count) % 2
        x = rng.standard_normal((count, 3, 64)).astype(np.float32)
        x[y == 1] += 3 * np.sin(np.arange(64) * 2 * np.pi * 8 / 64, dtype=np.float32)  # an 8 Hz rhythm
        return Part(x, y, np.full(count, "s/1", dtype=object), np.arange(count).astype(str).astype(object))

    return Fold("0", part(40), part(0), part(10))


@pytest.fixture
def pool() -> SimpleNamespace:
    return SimpleNamespace(channels=CHANNELS, sfreq_hz=64.0)


def test_the_head_after_a_frozen_encoder_gives_the_whole_models_logits(fold: Fold, pool: SimpleNamespace) -> None:
    fabric = open_device(1)
    torch.manual_seed(0)
    frozen = build(arm(lr_encoder=0), START, pool, fold, 2, None, fabric)
    torch.manual_seed(0)
    whole = build(arm(), START, pool, fold, 2, None, fabric)
    assert isinstance(whole.model, OnMontage)
    frozen.model.eval()
    whole.model.eval()
    torch.testing.assert_close(
        frozen.model(torch.from_numpy(frozen.fold.test.x)), whole.model(torch.from_numpy(fold.test.x))
    )
    assert frozen.fold.val.x.shape[0] == 0
    np.testing.assert_array_equal(frozen.fold.train.y, fold.train.y)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0, 3e-3])
def test_a_plain_rhythm_is_learned_frozen_or_not(fold: Fold, pool: SimpleNamespace, rate: float) -> None:
    fabric = open_device(1)
    torch.manual_seed(0)
    built = build(arm(lr_encoder=rate, lr_head=1e-2), START, pool, fold, 2, None, fabric)
    options = Finetuning(epochs=40, warmup_epochs=1, batch=8)
    fitted = fit_fold(built, built.fold or fold, 2, options, thawed=0, seed=0, fabric=fabric)
    assert (fitted.probabilities.argmax(1) == fold.test.y).mean() > 0.9
