"""Distillation: which windows of a corpus a pre-training keeps, or which labelled ones a supervised network."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.base import Block, Seed

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class Compressor(Block):
    """The network that turns each window into a short vector, trained without labels on the corpus itself."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the windows that it is trained on; all of them are encoded."""
    depth: Count = 6
    """Transformer blocks of the encoder."""
    width: Count = 8
    """Feature maps of the first convolution."""
    epochs: Count = 50
    """Passes over the windows."""
    batch: Annotated[int, Field(ge=2)] = 512
    """Windows in a batch."""
    lr: Positive = 1e-3
    """Peak learning rate."""
    beta: Annotated[float, Field(ge=0)] = 1e-4
    """Weight of the decorrelation of tokens beside the reconstruction."""
    idc: Literal["within_window", "between_samples", "off"] = "within_window"
    """What is decorrelated: the patches of one window, or the same patch of different windows."""
    mask_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the patches that are hidden from the encoder."""
    decoder_bypass: bool = False
    """Reconstruct from the encoder's output, as the published code does, which leaves the decoder untrained."""
    checkpoint_steps: Count = 200
    """Steps between two checkpoints."""


class Choice(Block):
    """Which windows are kept; `kept: 1` keeps all, and then nothing else here counts."""

    kept: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the windows to keep."""
    method: Literal["dlite", "random", "stride", "pca", "kmeans", "hbos_random", "m3d"] = "dlite"
    """dlite: compressor, outliers out, then the most diverse; random: any; stride: every so many of a recording; pca:
    principal components instead of the compressor; kmeans: the nearest to each centre; hbos_random: outliers out, then
    any; m3d: the nearest to windows made to match the corpus's moments."""
    outliers: Annotated[float, Field(ge=0, lt=0.5)] = 0.01
    """Share of the windows that is removed as outliers before the choice."""
    quota: Literal["none", "subject"] = "none"
    """subject: every subject gets its share of what is kept."""
    start: Literal["medoid", "first", "random"] = "medoid"
    """Where the choice of the most diverse begins."""
    iterations: Count = 5
    """Passes of m3d."""
    seed: Seed = 0
    """Seed of the compressor and of the choice; independent of the seeds of training."""
    compressor: Compressor = Compressor()


class Distillation(Choice):
    """Which windows of its corpus a pre-training keeps; `kept: 1` keeps all, and then nothing else here counts."""

    scope: Literal["dataset", "montage"] = "dataset"
    """Choose within each dataset, or over all datasets of one montage together."""
