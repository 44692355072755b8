"""A pre-training step on the device that users have: plain and in mixed precision."""

import numpy as np
import pytest
import torch

from unimontage.config.recipes import Encoder, PretrainingSchedule, UnivariateRecipe
from unimontage.training.answer import UnivariateStart
from unimontage.training.corpus import Segments
from unimontage.training.devices import open_device
from unimontage.training.pretraining import pretrain
from unimontage.training.univariate import UnivariateWork

RATES = (64.0, 100.0)


class Noise:
    """A corpus of white noise at two rates."""

    def __len__(self) -> int:
        return 16

    def epoch_order(self, epoch: int, size: int, seed: int) -> np.ndarray:
        return np.arange(len(self))[:size]

    def segments(self, windows: np.ndarray, rng: np.random.Generator) -> list[Segments]:
        parts = []
        for index, rate in enumerate(RATES, start=1):
            x = torch.from_numpy(rng.standard_normal((len(windows) // 2, int(rate)), dtype=np.float32))
            channel = torch.ones(len(x), dtype=torch.int64)
            parts.append(Segments(x, channel, torch.full_like(channel, index), windows[: len(x)], len(x)))
        return parts


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_encoder_trains_over_two_rates_at_once(tmp_path, precision):
    recipe = UnivariateRecipe(
        encoder=Encoder(width=4, patches=4, d=8, layers=1, heads=2, ffn=16),
        schedule=PretrainingSchedule(epochs=2, warmup_epochs=0, batch=8),
    )
    start = UnivariateStart(encoder=recipe.encoder, vocabulary=("CZ",), rates=RATES)
    history = pretrain(
        UnivariateWork(Noise(), recipe, start, seed=0),
        recipe.schedule,
        seed=0,
        fabric=open_device(1, precision),
        checkpoint=tmp_path / "checkpoint.pt",
        identity="noise",
        events=tmp_path / "events",
    )
    assert len(history) == 4
    assert np.isfinite(history[["loss", "spread"]]).all(axis=None)
