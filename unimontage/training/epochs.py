"""Pre-training on whole epochs of several montages at once, with one or several objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from unimontage.config.recipes import AlignedRecipe
from unimontage.models.aligned import AlignedEncoder
from unimontage.objectives import build_segment_objective
from unimontage.objectives.collapse import embedding_spread
from unimontage.objectives.weighting import TaskWeighting
from unimontage.sharing import drawn, gathered, share, sharing
from unimontage.signal.normalise import scale_of, scaled
from unimontage.training.answer import AlignedStart
from unimontage.training.residence import PROCESSOR, OnDisk, Reader, readers
from unimontage.windows import WindowPool, WindowStore
from unimontage.windows.nights import Nights


class Examples(NamedTuple):
    """What one objective draws from one dataset: B examples of V epochs.

    Attributes
    ----------
    x : Tensor, shape (B, V, C, T)
        Each recording scaled by itself.
    present : Tensor, shape (B, C), bool, or None
        Channels that the recording of each example has; the others are zero in ``x``. None: all.
    microvolt : Tensor, shape (B,)
        One microvolt in the units of ``x``.
    labels : Tensor, shape (B,)
        What the sampling decided, zeros where it decides nothing.
    total : int
        Examples of the whole batch; B is this process's share of them.
    """

    x: Tensor
    present: Tensor | None
    microvolt: Tensor
    labels: Tensor
    total: int


@dataclass(frozen=True)
class Source:
    """The epochs of one dataset that pre-training may see.

    Attributes
    ----------
    reader : Reader
        All windows of its subjects, wherever they live.
    rows : ndarray, shape (N,)
        Windows that may be seen, night by night and in order of time.
    nights : Nights
        Where these lie in time.
    median, deviation : ndarray, shape (N, C), float32
        Scale of each window's recording, in microvolt.
    """

    reader: Reader
    rows: np.ndarray
    nights: Nights
    median: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, pool: WindowPool, allowed: Sequence[str], reader: Reader | None = None) -> "Source":
        """The allowed windows of a pool; an epoch's number is its place in the recording, counted in window lengths."""
        rows = np.flatnonzero(pool.ids.isin(allowed))
        recording = np.unique(pool.domain[rows], return_inverse=True)[1]
        starts = np.concatenate([store.table["start_sample"].to_numpy() for store in pool.stores])
        epoch = starts[rows] // pool.n_times
        order = np.lexsort((epoch, recording))
        rows, nights = rows[order], Nights(recording[order], epoch[order])
        return cls(reader or OnDisk(pool), rows, nights, *scale_of(pool.domain[rows], pool.scale))

    def examples(self, index: np.ndarray, labels: np.ndarray) -> Examples:
        """Gather this process's share of epochs, by their position among those that may be seen, shape (B, V)."""
        total = len(index)
        index, labels = index[share(total)], labels[share(total)]
        flat, first = index.reshape(-1), index[:, 0]
        x = self.reader.windows(self.rows[flat])  # (B V, C, T)
        median, deviation = (torch.from_numpy(table[flat]).to(x.device) for table in (self.median, self.deviation))
        x = scaled(x, median, deviation)
        present = None
        if self.lacking:
            present = torch.from_numpy(~np.isnan(self.deviation[first]))  # (B, C)
            x.nan_to_num_(nan=0.0)
        microvolt = torch.from_numpy(1 / np.nanmedian(self.deviation[first], axis=1))
        return Examples(x.unflatten(0, index.shape), present, microvolt, torch.from_numpy(labels), total)

    @cached_property
    def lacking(self) -> bool:
        """Whether any recording lacks a channel."""
        return bool(np.isnan(self.deviation).any())


Drawn = tuple[Tensor, Tensor | None, Tensor, int]


class Trainee(nn.Module):
    """Alignment, encoder, one head an objective, and the weights that the objectives are summed with."""

    def __init__(self, recipe: AlignedRecipe, start: AlignedStart) -> None:
        super().__init__()
        self.encoder = AlignedEncoder.build(start.alignment, start.encoder, start.montages, start.samples)
        options = {name: objective.model_dump() for name, objective in recipe.objectives.items()}
        self.objectives = nn.ModuleDict(
            {
                name: build_segment_objective(
                    chosen.pop("kind"), self.encoder.d, samples=start.samples, sfreq_hz=start.sfreq_hz, **chosen
                )
                for name, chosen in options.items()
            }
        )
        lowest = {name: objective.lowest for name, objective in self.objectives.items()}
        self.weighting = TaskWeighting(lowest, recipe.weighting)

    def forward(self, batch: Mapping[str, Mapping[str, Drawn]]) -> tuple[Tensor, dict]:
        """Weighted loss, each objective's loss averaged over datasets; the spread of the embeddings, losses, weights.

        Parameters
        ----------
        batch : mapping
            Dataset to objective to segments (M, C, T), present channels (M, C) or None for all, labels, and the
            examples of the whole batch, of which these are this process's share.
        """
        losses: dict[str, list[Tensor]] = {name: [] for name in self.objectives}
        spreads = []
        for dataset, chosen in batch.items():
            for name, (x, present, labels, total) in chosen.items():
                with sharing(total):  # the objective sees the whole batch
                    h, labels = gathered(self.encoder.embed(x, dataset, present)), gathered(labels)  # (M, d)
                losses[name].append(self.objectives[name](h, labels))
                spreads.append(embedding_spread(h.detach()))
        means = {name: torch.stack(values).mean() for name, values in losses.items()}
        total, report = self.weighting(means)
        measured = {f"loss_{name}": value.detach() for name, value in means.items()} | report
        return total, {"spread": torch.stack(spreads).mean()} | measured


class AlignedWork:
    """A recipe of kind ``aligned`` on the nights of one or several datasets.

    Parameters
    ----------
    sources : mapping
        Dataset to its epochs.
    recipe : AlignedRecipe
        Objectives, weighting and schedule.
    start : AlignedStart
        Alignment, encoder and montages.
    seed : int
        Seed of the initial weights.
    order : int
        Seed of all draws.
    """

    def __init__(
        self, sources: Mapping[str, Source], recipe: AlignedRecipe, start: AlignedStart, seed: int, order: int = 0
    ) -> None:
        torch.manual_seed(seed)
        self.trainee = Trainee(recipe, start)
        self.undecayed = tuple(self.trainee.weighting.parameters())
        self._sources, self._recipe, self._start, self._seed = dict(sources), recipe, start, order
        smallest = min(len(source.rows) for source in sources.values())
        self.batch = min(recipe.schedule.batch, smallest)
        self.steps_per_epoch = max(1, min(smallest, recipe.schedule.windows_per_epoch) // self.batch)

    @property
    def kept(self) -> AlignedEncoder:
        """Alignment and encoder."""
        return self.trainee.encoder

    def batch_at(self, step: int) -> dict[str, dict[str, Examples]]:
        """Examples of each dataset for each objective."""
        rng = np.random.default_rng([self._seed, 2, step])
        return {
            dataset: {
                name: source.examples(*objective.sample(source.nights, self.batch, rng))
                for name, objective in self.trainee.objectives.items()
            }
            for dataset, source in self._sources.items()
        }

    def inputs(self, batch: Mapping[str, Mapping[str, Examples]], generator: torch.Generator, fabric: Fabric) -> dict:
        """Segments that pass alignment and encoder, with the channels present in them and their labels."""
        return {
            dataset: {name: self._segments(name, examples, generator, fabric) for name, examples in chosen.items()}
            for dataset, chosen in batch.items()
        }

    def _segments(self, name: str, examples: Examples, generator: torch.Generator, fabric: Fabric) -> Drawn:
        x, present, microvolt, labels = fabric.to_device(
            (examples.x, examples.present, examples.microvolt, examples.labels)
        )
        with sharing(examples.total):
            if self.trainee.encoder.single:
                x, present = _one_channel(x, present, generator), None
            segments, labels = self.trainee.objectives[name].segments(x, labels, generator, microvolt=microvolt)
        if present is not None:  # what belongs to one example stands together
            present = present.repeat_interleave(len(segments) // len(present), dim=0)  # (M, C)
        return segments, present, labels, examples.total

    def describe(self) -> dict[str, Any]:
        """What one must know to rebuild alignment and encoder; JSON values."""
        return self._start.model_dump(mode="json", exclude={"target"})


def _one_channel(x: Tensor, present: Tensor | None, generator: torch.Generator) -> Tensor:
    """One random channel of each example, of those that are there: (B, V, 1, T) of x (B, V, C, T)."""
    on = {"generator": generator, "device": generator.device}
    lots = drawn(lambda n: torch.rand(n, x.shape[2], **on), len(x)).to(x.device)  # (B, C)
    if present is not None:
        lots = lots.masked_fill(~present, -1.0)
    chosen = lots.argmax(1)[:, None, None, None]  # (B, 1, 1, 1)
    return x.take_along_dim(chosen, dim=2)


def work(
    stores: Sequence[WindowStore],
    windows: Sequence[str],
    recipe: AlignedRecipe,
    start: AlignedStart,
    seed: int,
    order: int = 0,
    device: torch.device = PROCESSOR,
) -> AlignedWork:
    """A recipe on the windows of some stores that it may see, by dataset; they live on the device if they fit."""
    members = {dataset: [s for s in stores if s.attributes["dataset"] == dataset] for dataset in start.montages}
    pools = [WindowPool.of(own) for own in members.values()]
    parts = zip(members, pools, readers(pools, device), strict=True)
    sources = {dataset: Source.of(pool, windows, reader) for dataset, pool, reader in parts}
    return AlignedWork(sources, recipe, start, seed, order)
