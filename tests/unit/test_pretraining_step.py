"""A pre-training step on the device that users have: plain and in mixed precision."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unimontage.config.recipes import Encoder, PretrainingSchedule, UnivariateRecipe
from unimontage.errors import UserError
from unimontage.training.answer import UnivariateStart
from unimontage.training.checkpoint import load_checkpoint
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


def train(folder: Path, precision: str = "float32", **schedule):
    recipe = UnivariateRecipe(
        encoder=Encoder(width=4, patches=4, d=8, layers=1, heads=2, ffn=16),
        schedule=PretrainingSchedule(epochs=2, warmup_epochs=0, batch=8, **schedule),
    )
    start = UnivariateStart(encoder=recipe.encoder, vocabulary=("CZ",), rates=RATES)
    return pretrain(
        UnivariateWork(Noise(), recipe, start, seed=0),
        recipe.schedule,
        seed=0,
        fabric=open_device(1, precision),
        checkpoint=folder / "checkpoint.pt",
        identity="noise",
        events=folder / "events",
    )


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_an_encoder_trains_over_two_rates_at_once(tmp_path, precision):
    history = train(tmp_path, precision)
    assert len(history) == 4
    assert np.isfinite(history[["loss", "gradient", "spread"]]).all(axis=None)
    assert (history["gradient"] > 0).all()


@pytest.mark.parametrize("checkpoint_steps", [1, 100])
def test_weights_that_broke_are_never_kept(tmp_path, checkpoint_steps):
    with pytest.raises(UserError, match=r"training broke at step [1-4]: "):
        train(tmp_path, lr=1e30, checkpoint_steps=checkpoint_steps)
    kept = tmp_path / "checkpoint.pt"
    if kept.exists():
        state = load_checkpoint(kept, identity="noise")
        assert all(tensor.isfinite().all() for tensor in state["model"].values())
