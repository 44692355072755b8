"""Evaluation and report: how results are summarised and shown."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.base import Block
from unimontage.config.recipes import Count


class Evaluation(Block):
    """How scores are summarised."""

    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "kappa", "auroc", "auc_pr"] = "accuracy"
    """The metric that tables and figures are about; the others stand beside it."""
    regression_metric: Literal["pearson_r", "r2", "rmse"] = "pearson_r"
    """The same for tasks whose targets are numbers."""
    unit: Literal["window", "trial"] = "window"
    """Score single windows, or trials by the mean probability of their windows."""
    resamples: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap resamples of subjects for the intervals."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Coverage of the intervals."""
    seed: int = 0
    """Seed of the bootstrap."""


class Report(Block):
    """What the report shows."""

    embedding: Literal["pca", "umap"] = "pca"
    """How embeddings are brought to two dimensions."""
    embedding_windows: Count = 200
    """Windows per dataset in the embedding figure."""
    alignment_grid: tuple[str, ...] = ()
    """Arms whose scores are drawn by the size of their channel alignment; their recipes differ in nothing else."""
