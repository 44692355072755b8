"""A model that is ready to train."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lightning_fabric import Fabric
from torch import nn

from unimontage.training.folds import Fold


@dataclass(frozen=True)
class Built:
    """A model to train.

    Attributes
    ----------
    model : nn.Module
        Windows (B, C, T) to logits (B, K).
    groups : list of dict
        Parameter groups with their peak learning rates.
    notes : dict
        What is worth noting about it; JSON values.
    explain : callable or None
        What can be read off the trained model on a fold's test windows; JSON values.
    fold : Fold or None
        What the model takes in place of the windows, where a frozen part of it was run already.
    at_epoch : callable or None
        Told the number of each epoch, from 0, before it begins: thaws what was frozen.
    label_smoothing : float
        Share of each label that is spread over all classes.
    """

    model: nn.Module
    groups: list[dict[str, object]]
    notes: dict[str, object] = field(default_factory=dict)
    explain: Callable[[Fold, Fabric], dict[str, object]] | None = None
    fold: Fold | None = None
    at_epoch: Callable[[int], None] | None = None
    label_smoothing: float = 0.0
