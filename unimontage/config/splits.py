"""Splits: how folds and validation sets are drawn."""

from typing import Annotated

from pydantic import Field

from unimontage.config.base import Block, Seed


class Splits(Block):
    """How folds are drawn."""

    folds: Annotated[int, Field(ge=2)] | None = None
    """Folds of `paper` and `strict_trial`; null takes the dataset's own number."""
    seed: Seed = 0
    """Seed of the assignment to folds; the same folds serve all arms and all training seeds."""
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of a strict fold's training trials (or subjects) that choose the epoch."""
    holdout_groups: Annotated[int, Field(ge=2)] = 5
    """Under strict protocols an encoder never sees its target subject: subjects fall into so many groups, and one
    encoder is pre-trained without each."""
    label_draws: Annotated[int, Field(ge=1)] = 1
    """Times that a label budget below 100 % is drawn anew; each draw is a fold."""
    threshold_inclusive: bool = False
    """Whether a rating on the threshold counts as high."""
