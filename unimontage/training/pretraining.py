"""Self-supervised pre-training of a univariate encoder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from unimontage.config.recipes import Augmentation, PretrainingSchedule, Recipe
from unimontage.models.encoder import UnivariateEncoder
from unimontage.montage.schema import Vocabulary
from unimontage.objectives import build_objective
from unimontage.objectives.collapse import embedding_spread
from unimontage.signal.augment import two_views
from unimontage.training.checkpoint import load_checkpoint, save_checkpoint
from unimontage.training.corpus import SegmentCorpus, Segments
from unimontage.training.loop import parameter_group, step_seed, train
from unimontage.training.schedule import warmup_cosine

HISTORY = ("step", "loss", "spread", "lr")


class Pretrainer(nn.Module):
    """Encoder and objective; the encoder is kept, the objective is thrown away."""

    def __init__(self, recipe: Recipe, vocabulary: int, rates: int) -> None:
        super().__init__()
        self.encoder = UnivariateEncoder(recipe.encoder, vocabulary, rates)
        options = recipe.objective.model_dump(exclude={"kind"})
        self.objective = build_objective(recipe.objective.kind, recipe.encoder.d, **options)

    def forward(self, views: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Loss over all segments of a batch and the spread of their embeddings.

        Parameters
        ----------
        views : sequence of tuple
            First view (B, T), second view (B, T), channel (B,) and rate (B,), one tuple a sampling rate.
        """
        first = torch.cat([self.encoder.embed(a, channel, rate) for a, _, channel, rate in views])  # (B, d)
        second = torch.cat([self.encoder.embed(b, channel, rate) for _, b, channel, rate in views])  # (B, d)
        return self.objective(first, second), embedding_spread(first.detach())


@dataclass
class Progress:
    """Loss, spread and learning rate of every step so far, shape (steps, 4)."""

    rows: list[Tensor]

    def add(self, step: int, loss: Tensor, spread: Tensor, lr: float) -> None:
        """Note a step."""
        measured = torch.stack([loss.float(), spread.float()]).cpu()
        self.rows.append(torch.cat([torch.tensor([float(step)]), measured, torch.tensor([lr])]))

    def table(self) -> pd.DataFrame:
        """One row a step."""
        return pd.DataFrame(self.tensor().numpy(), columns=HISTORY).astype({"step": int})

    def tensor(self) -> Tensor:
        """The rows as one tensor on the processor."""
        return torch.stack(self.rows).cpu() if self.rows else torch.zeros(0, len(HISTORY))


def pretrain(
    corpus: SegmentCorpus,
    recipe: Recipe,
    vocabulary: Vocabulary,
    rates: Sequence[float],
    *,
    seed: int,
    fabric: Fabric,
    checkpoint: Path,
    identity: str,
    events: Path,
) -> tuple[UnivariateEncoder, pd.DataFrame]:
    """Pre-train an encoder, going on from ``checkpoint`` if it belongs to the same work.

    Parameters
    ----------
    corpus : SegmentCorpus
        Where segments come from.
    recipe : Recipe
        Encoder, objective, augmentation and schedule.
    vocabulary : Vocabulary
        Electrodes of the corpus.
    rates : sequence of float
        Sampling rates of the corpus in Hz.
    seed : int
        Seed of the initial weights, of the order of the data and of the augmentation.
    fabric : Fabric
        Device.
    checkpoint : Path
        File to go on from; removed by the caller once the weights are safe.
    identity : str
        What the work is made of; a checkpoint of other work is not used.
    events : Path
        Folder for TensorBoard.

    Returns
    -------
    encoder : UnivariateEncoder
        On the processor.
    history : DataFrame
        ``step``, ``loss``, ``spread`` (1 is healthy, 0 is collapsed), ``lr``.
    """
    schedule = recipe.schedule
    state = load_checkpoint(checkpoint, identity=identity)
    pretrainer, model, optimizer = _set_up(recipe, len(vocabulary), len(rates), seed, fabric, state)
    start = state["step"] if state else 0
    progress = Progress(list(state["history"]) if state else [])
    per_epoch, batch = _epoch(len(corpus), schedule)
    steps, warmup = per_epoch * schedule.epochs, per_epoch * schedule.warmup_epochs
    latest: dict[str, Tensor] = {}

    def batch_at(step: int) -> tuple[int, list[Segments]]:
        order = corpus.epoch_order(step // per_epoch, schedule.windows_per_epoch, seed)
        first = step % per_epoch * batch
        return step, corpus.segments(order[first : first + batch], np.random.default_rng([seed, 2, step]))

    def loss_of(drawn: tuple[int, list[Segments]]) -> Tensor:
        step, segments = drawn
        views = _views(segments, recipe.augmentation, step_seed(seed, step), fabric)
        loss, latest["spread"] = model(views)
        return loss

    with (
        SummaryWriter(str(events), purge_step=start) as writer,
        tqdm(total=steps, initial=start, desc="pre-train") as bar,
    ):

        def after_step(step: int, loss: Tensor) -> bool:
            progress.add(step, loss, latest["spread"], optimizer.param_groups[0]["lr"])
            bar.update()
            if (step + 1) % per_epoch == 0:
                _log(writer, progress.rows[-1], bar)
            if (step + 1) % schedule.checkpoint_steps == 0 or step + 1 == steps:
                save_checkpoint(checkpoint, {"identity": identity} | _state(step + 1, pretrainer, optimizer, progress))
            return False

        train(
            fabric=fabric,
            model=model,
            optimizer=optimizer,
            batch_at=batch_at,
            loss_of=loss_of,
            rate_at=lambda step: warmup_cosine(step, steps=steps, warmup=warmup, floor=schedule.lr_min / schedule.lr),
            start=start,
            steps=steps,
            seed=seed,
            clip=schedule.clip,
            after_step=after_step,
        )
    return pretrainer.encoder.cpu(), progress.table()


def _set_up(
    recipe: Recipe, vocabulary: int, rates: int, seed: int, fabric: Fabric, state: Mapping[str, Any] | None
) -> tuple[Pretrainer, nn.Module, Optimizer]:
    """The bare module, the module that trains and the optimiser, drawn from ``seed`` or as a checkpoint left them."""
    torch.manual_seed(seed)
    pretrainer = Pretrainer(recipe, vocabulary, rates)
    group = parameter_group(pretrainer.parameters(), recipe.schedule.lr)
    optimizer = torch.optim.AdamW([group], weight_decay=recipe.schedule.weight_decay)
    if state:
        pretrainer.load_state_dict(state["model"])
    model, optimizer = fabric.setup(pretrainer, optimizer)
    if state:
        optimizer.load_state_dict(state["optimizer"])
    return pretrainer, model, optimizer


def _state(step: int, pretrainer: Pretrainer, optimizer: Optimizer, progress: Progress) -> dict[str, Any]:
    """What :func:`_set_up` and the loop need to go on from ``step``."""
    parts = {"model": pretrainer.state_dict(), "optimizer": optimizer.state_dict()}
    return {"step": step, "history": progress.tensor()} | parts


def _epoch(windows: int, schedule: PretrainingSchedule) -> tuple[int, int]:
    """Steps in an epoch and segments in a batch."""
    drawn = min(windows, schedule.windows_per_epoch)
    batch = min(schedule.batch, drawn)
    return drawn // batch, batch


def _views(
    segments: Sequence[Segments], options: Augmentation, seed: int, fabric: Fabric
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Two augmented views of each group of segments, with their channels and rates, on the device."""
    generator = torch.Generator(device=fabric.device).manual_seed(seed)
    views = []
    for part in segments:
        x, channel, rate = fabric.to_device((part.x, part.channel, part.rate))
        views.append((*two_views(x, generator, options), channel, rate))
    return views


def _log(writer: SummaryWriter, row: Tensor, bar: tqdm) -> None:
    values = dict(zip(HISTORY, row.tolist(), strict=True))
    step = int(values.pop("step"))
    for name, value in values.items():
        writer.add_scalar(name, value, step)
    bar.set_postfix({name: f"{value:.3g}" for name, value in values.items()})


def describe(recipe: Recipe, vocabulary: Vocabulary, rates: Sequence[float]) -> dict[str, object]:
    """What one must know to rebuild the encoder of a recipe; JSON values only."""
    encoder = json.loads(recipe.encoder.model_dump_json())
    return {"encoder": encoder, "vocabulary": vocabulary.to_list(), "rates_hz": list(rates)}
