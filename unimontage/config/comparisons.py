"""Comparisons: which arms meet on which targets under which protocols."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.base import Block

Protocol = Literal["paper", "strict_trial", "seed_9_6", "strict_loso"]


class Target(Block):
    """A dataset whose labels are to be predicted."""

    dataset: str
    """Name of the dataset."""
    tasks: Annotated[tuple[str, ...], Field(min_length=1)]
    """Tasks of the dataset, for example valence and arousal."""
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)]
    """How windows are divided into training and test; strict protocols are the headline."""
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
