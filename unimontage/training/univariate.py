"""Pre-training of an encoder that sees one channel at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from unimontage.config.recipes import UnivariateRecipe
from unimontage.models.encoder import UnivariateEncoder
from unimontage.montage.schema import Vocabulary
from unimontage.objectives import build_objective
from unimontage.objectives.collapse import embedding_spread
from unimontage.sharing import gathered, sharing
from unimontage.signal.augment import two_views
from unimontage.training.answer import UnivariateStart
from unimontage.training.corpus import SegmentCorpus, Segments
from unimontage.training.folds import require_complete
from unimontage.training.residence import PROCESSOR
from unimontage.windows import WindowPool, WindowStore

View = tuple[Tensor, Tensor, Tensor, Tensor, int]


class Pretrainer(nn.Module):
    """Encoder and objective; the encoder is kept, the objective is thrown away."""

    def __init__(self, recipe: UnivariateRecipe, vocabulary: int, rates: int) -> None:
        super().__init__()
        self.encoder = UnivariateEncoder(recipe.encoder, vocabulary, rates)
        options = recipe.objective.model_dump(exclude={"kind"})
        self.objective = build_objective(recipe.objective.kind, recipe.encoder.d, **options)

    def forward(self, views: Sequence[View]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss over all segments of a batch and the spread of their embeddings.

        Parameters
        ----------
        views : sequence of tuple
            First view (B, T), second view (B, T), channel (B,), rate (B,) and the segments of the whole batch, of which
            these are this process's share; one tuple a sampling rate.
        """
        first = torch.cat([self._embed(a, channel, rate, total) for a, _, channel, rate, total in views])
        second = torch.cat([self._embed(b, channel, rate, total) for _, b, channel, rate, total in views])
        return self.objective(first, second), {"spread": embedding_spread(first.detach())}

    def _embed(self, x: Tensor, channel: Tensor, rate: Tensor, total: int) -> Tensor:
        """Embeddings (total, d) of the whole batch's segments."""
        with sharing(total):
            return gathered(self.encoder.embed(x, channel, rate))


class UnivariateWork:
    """A recipe of kind ``univariate`` on a corpus of single-channel segments.

    Parameters
    ----------
    corpus : SegmentCorpus
        Where segments come from.
    recipe : UnivariateRecipe
        Encoder, objective, augmentation and schedule.
    start : UnivariateStart
        Electrodes and rates.
    seed : int
        Seed of the initial weights.
    order : int
        Seed of the order of the data.
    """

    undecayed: tuple[nn.Parameter, ...] = ()

    def __init__(
        self, corpus: SegmentCorpus, recipe: UnivariateRecipe, start: UnivariateStart, seed: int, order: int = 0
    ) -> None:
        torch.manual_seed(seed)
        self.trainee = Pretrainer(recipe, len(start.vocabulary), len(start.rates))
        self._corpus, self._recipe, self._start, self._seed = corpus, recipe, start, order
        drawn = min(len(corpus), recipe.schedule.windows_per_epoch)
        self.batch = min(recipe.schedule.batch, drawn)
        self.steps_per_epoch = drawn // self.batch

    @property
    def kept(self) -> UnivariateEncoder:
        """The encoder."""
        return self.trainee.encoder

    def batch_at(self, step: int) -> list[Segments]:
        """One random channel of each window of a batch, by sampling rate."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = self._corpus.epoch_order(epoch, self._recipe.schedule.windows_per_epoch, self._seed)
        chosen = order[place * self.batch : (place + 1) * self.batch]
        return self._corpus.segments(chosen, np.random.default_rng([self._seed, 2, step]))

    def inputs(self, batch: Sequence[Segments], generator: torch.Generator, fabric: Fabric) -> list[View]:
        """Two augmented views of each group of segments, with their channels and rates."""
        views = []
        for part in batch:
            x, channel, rate = fabric.to_device((part.x, part.channel, part.rate))
            with sharing(part.total):
                pair = two_views(x, generator, self._recipe.augmentation)
            views.append((*pair, channel, rate, part.total))
        return views

    def describe(self) -> dict[str, Any]:
        """What one must know to rebuild the encoder; JSON values."""
        words = Vocabulary(self._start.vocabulary).to_list()
        encoder = self._recipe.encoder.model_dump(mode="json")
        return {"encoder": encoder, "vocabulary": words, "rates_hz": list(self._start.rates)}


def work(
    stores: Sequence[WindowStore],
    windows: Sequence[str],
    recipe: UnivariateRecipe,
    start: UnivariateStart,
    seed: int,
    order: int = 0,
    device: torch.device = PROCESSOR,
) -> UnivariateWork:
    """A recipe on the windows of some stores that it may see; UserError where a recording lacks a channel.

    The windows live in the memory of the device where they fit.
    """
    for store in stores:
        require_complete(WindowPool.of([store]))
    corpus = SegmentCorpus(stores, windows, Vocabulary(start.vocabulary), start.rates, device)
    return UnivariateWork(corpus, recipe, start, seed, order)
