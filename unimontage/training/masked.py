"""LaBraM's two pre-trainings: a tokenizer of one-second patches, and masked modelling of its codes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from unimontage.config.recipes import MaskedRecipe, TokenizerRecipe
from unimontage.models.labram import Labram, patches
from unimontage.models.neural_tokenizer import NeuralTokenizer, TokenizerLoss
from unimontage.models.released import load_released_tokenizer
from unimontage.models.weights import load_weights
from unimontage.objectives.masked_codes import MaskedCodes, MaskedCodesLoss
from unimontage.sharing import averaged, sharing
from unimontage.training.answer import LabramStart
from unimontage.training.patches import Batch, PatchCorpus
from unimontage.training.residence import PROCESSOR
from unimontage.windows import WindowStore

Inputs = tuple[Tensor, tuple[str, ...], int]


Loss = TypeVar("Loss", TokenizerLoss, MaskedCodesLoss)


def _whole(loss: Loss) -> Loss:
    """Loss and parts over the whole batch; every window counts the same in them."""
    return type(loss)(*averaged(torch.stack(loss)))


class TokenizerTrainee(nn.Module):
    """A tokenizer that reports its loss as a pre-training does."""

    def __init__(self, tokenizer: NeuralTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, batch: Inputs) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of patches (B, C, P, 200) and their electrodes; its parts, the share of codes in use, codes revived."""
        x, channels, total = batch
        with sharing(total):
            loss = _whole(self.tokenizer(x, channels))
        codebook = self.tokenizer.codebook
        parts = {name: getattr(loss, name).detach() for name in ("amplitude", "phase", "commitment")}
        return loss.total, parts | {"usage": codebook.usage(), "revived": codebook.revived}


class MaskedTrainee(nn.Module):
    """Backbone and the head that names codes; the head is thrown away."""

    def __init__(self, backbone: Labram, codes: int, mask_ratio: float) -> None:
        super().__init__()
        self.objective = MaskedCodes(backbone, codes, mask_ratio=mask_ratio)

    def forward(self, batch: tuple[Tensor, tuple[str, ...], Tensor, int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of patches (B, C, P, 200), electrodes and codes (B, C P); its two parts."""
        *given, total = batch
        with sharing(total):
            loss = _whole(self.objective(*given))
        return loss.total, {"masked": loss.masked.detach(), "complement": loss.complement.detach()}


class TokenizerWork:
    """A recipe of kind ``tokenizer`` on a corpus of patches.

    Parameters
    ----------
    corpus : PatchCorpus
        Where windows come from.
    recipe : TokenizerRecipe
        Size and codes.
    seed : int
        Seed of the initial weights.
    """

    undecayed: tuple[nn.Parameter, ...] = ()

    def __init__(self, corpus: PatchCorpus, recipe: TokenizerRecipe, seed: int) -> None:
        torch.manual_seed(seed)
        self.trainee = TokenizerTrainee(NeuralTokenizer(recipe.size, codes=recipe.codes))
        self._corpus, self._recipe = corpus, recipe
        self.steps_per_epoch, self.batch = len(corpus), recipe.schedule.batch

    @property
    def kept(self) -> NeuralTokenizer:
        """The tokenizer."""
        return self.trainee.tokenizer

    def batch_at(self, step: int) -> Batch:
        """Windows of one montage."""
        return self._corpus.batch_at(step)

    def inputs(self, batch: Batch, generator: torch.Generator, fabric: Fabric) -> Inputs:
        """Patches on the device, their electrodes, and the windows of the whole batch."""
        return patches(fabric.to_device(batch.x)), batch.channels, batch.total

    def describe(self) -> dict[str, Any]:
        """What one must know to rebuild the tokenizer; JSON values."""
        return {"size": self._recipe.size, "codes": self._recipe.codes}


class MaskedWork:
    """A recipe of kind ``masked`` on a corpus of patches.

    Parameters
    ----------
    corpus : PatchCorpus
        Where windows come from.
    recipe : MaskedRecipe
        Size and mask.
    tokenizer : NeuralTokenizer
        Names the patches; it is not trained.
    whole : int or None
        Windows of the corpus before some were chosen, to take as many steps as all of them would give.
    seed : int
        Seed of the initial weights.
    """

    undecayed: tuple[nn.Parameter, ...] = ()

    def __init__(
        self, corpus: PatchCorpus, recipe: MaskedRecipe, tokenizer: NeuralTokenizer, whole: int | None, seed: int
    ) -> None:
        torch.manual_seed(seed)
        codes = len(tokenizer.codebook.codes)
        self.trainee = MaskedTrainee(Labram(recipe.size), codes, recipe.mask_ratio)
        self._corpus, self._recipe, self._tokenizer = corpus, recipe, tokenizer.eval()
        times = whole / corpus.windows if whole is not None else 1.0
        self.steps_per_epoch, self.batch = max(1, round(len(corpus) * times)), recipe.schedule.batch

    @property
    def kept(self) -> Labram:
        """The backbone."""
        return self.trainee.objective.encoder

    def batch_at(self, step: int) -> Batch:
        """Windows of one montage."""
        return self._corpus.batch_at(step)

    def inputs(
        self, batch: Batch, generator: torch.Generator, fabric: Fabric
    ) -> tuple[Tensor, tuple[str, ...], Tensor, int]:
        """Patches on the device, their electrodes and their codes, and the windows of the whole batch."""
        x = patches(fabric.to_device(batch.x))
        tokenizer = self._tokenizer.to(fabric.device)
        with torch.no_grad():
            return x, batch.channels, tokenizer.codes(x, batch.channels), batch.total

    def describe(self) -> dict[str, Any]:
        """What one must know to rebuild the backbone; JSON values."""
        return {"size": self._recipe.size, "codes": len(self._tokenizer.codebook.codes)}


def work(
    stores: Sequence[WindowStore],
    windows: Sequence[str],
    recipe: TokenizerRecipe | MaskedRecipe,
    start: LabramStart,
    seed: int,
    order: int = 0,
    device: torch.device = PROCESSOR,
    *,
    tokenizer: Path | None,
    whole: int | None,
) -> TokenizerWork | MaskedWork:
    """A recipe on the windows of some stores that it may see.

    Parameters
    ----------
    device : torch.device
        Windows live in its memory where they fit.
    tokenizer : Path or None
        Weights of the run's own tokenizer; None where a released one is named, or the recipe is one.
    whole : int or None
        Windows of the corpus before some were chosen.
    """
    interleave = getattr(recipe, "interleave", True)
    batch = recipe.schedule.batch
    corpus = PatchCorpus(stores, windows, batch=batch, interleave=interleave, seed=order, device=device)
    if isinstance(recipe, TokenizerRecipe):
        return TokenizerWork(corpus, recipe, seed)
    names = NeuralTokenizer(start.tokenizer_size, codes=start.codes)
    if tokenizer is not None:
        load_weights(names, tokenizer)
    else:
        load_released_tokenizer(names, start.released_tokenizer)
    return MaskedWork(corpus, recipe, names, whole if recipe.match_steps else None, seed)
