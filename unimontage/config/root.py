"""The whole configuration of a run."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.arms import Arm, Finetuning
from unimontage.config.base import Block, Seed
from unimontage.config.comparisons import Comparison
from unimontage.config.containers import Containers
from unimontage.config.data import Dataset, Windows
from unimontage.config.evaluation import Evaluation, Report
from unimontage.config.recipes import Recipe
from unimontage.config.splits import Splits

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*$")]


class Config(Block):
    """One run: its datasets, what is pre-trained, what is compared, and how it is judged."""

    run: Name
    """Name of the run; its results go to `<results>/<run>`."""
    results: str = "results"
    """Folder for everything that the workflow writes."""
    adopt: str = ""
    """Name of a changed configuration that may go on in the run's folder; the refusal of the change tells it. It is
    best given once, as `--config adopt=...`."""
    title: str = ""
    """One line for the head of the report."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2, 3, 4)
    """Training seeds: initial weights, and all that `order_seed` does not draw. Folds have a seed of their own."""
    order_seed: Seed | None = None
    """Seed of the order of the data, augmentation, masking and dropout, the same for all training seeds; null takes
    each training seed for these too."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Arithmetic of training. auto: bf16 autocast on a GPU and float32 on a processor; bf16 also pays on processors
    that have it in hardware."""
    subjects_per_job: Annotated[int, Field(ge=1, le=16)] = 8
    """Subjects that one job takes in turn where each is trained for itself, for a job costs seconds before it begins.
    All are of one hold-out group, so a group smaller than this is one job."""
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    """The datasets of the run by name."""
    windows: Windows = Windows()
    splits: Splits = Splits()
    recipes: dict[Name, Recipe] = Field(default={})
    """Pre-trainings by name."""
    arms: dict[Name, Arm] = Field(default={})
    """Conditions by name."""
    finetuning: Finetuning = Finetuning()
    within_subject: Comparison = Comparison()
    """Train and test on the same subject."""
    cross_subject: Comparison = Comparison()
    """Test on a subject that nobody trained on."""
    transfer: Comparison = Comparison()
    """Fine-tune on a dataset that pre-training never saw."""
    evaluation: Evaluation = Evaluation()
    report: Report = Report()
    containers: Containers = Containers()
