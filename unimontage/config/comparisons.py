"""Comparisons: which arms meet on which targets under which protocols."""

from typing import Annotated

from pydantic import Field

from unimontage.config.base import Block
from unimontage.config.protocols import Protocol, Unit

Percent = Annotated[float, Field(gt=0, le=100)]


class Target(Block):
    """A dataset whose labels are to be predicted."""

    dataset: str
    """Name of the dataset."""
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Tasks of the dataset, for example valence and arousal."""
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)]
    """How windows are divided into training and test; strict protocols are the headline."""
    budgets: Annotated[tuple[Percent, ...], Field(min_length=1)] = (100,)
    """Percentages of the training labels to use; validation and test are never thinned out."""
    label_unit: Unit = "window"
    """What a budget counts. window: as many of each class, from every training subject; subject: all labels of a few
    training subjects."""
    arms: tuple[str, ...] | None = None
    """Arms that meet on this target; null means all arms of the comparison."""


class Comparison(Block):
    """A table: arms by targets."""

    targets: tuple[Target, ...] = ()
    """The rows' datasets, tasks and protocols."""
    arms: tuple[str, ...] = ()
    """Names of the arms that meet."""
    reference: str | None = None
    """Arm that the others are compared with, subject by subject; null means the first."""
