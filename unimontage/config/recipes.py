"""Recipes: how an encoder is built and pre-trained."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.base import Block

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Encoder(Block):
    """The univariate encoder: it sees one channel at a time and is shared by all channels."""

    tokenizer: Literal["art", "fixed_patch", "cnn"] = "art"
    """art: any rate to a fixed number of tokens; fixed_patch: patches of a fixed number of samples; cnn: convolutions
    in place of tokenizer and Transformer."""
    width: Count = 64
    """Feature maps of the first convolution; the second has twice as many."""
    patches: Count = 16
    """Tokens per window of the art tokenizer."""
    d: Count = 128
    """Width of the Transformer."""
    layers: Count = 4
    """Transformer blocks."""
    heads: Count = 8
    """Attention heads; must divide d."""
    ffn: Count = 512
    """Hidden units of the feed-forward layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout probability."""
    channel_embedding: bool = True
    """Add the learned embedding of the electrode's name."""
    rate_embedding: bool = True
    """Add the learned embedding of the sampling rate."""


class NTXent(Block):
    """Normalised-temperature cross entropy: two views of a segment attract, all others repel."""

    kind: Literal["nt_xent"] = "nt_xent"
    """This objective: two views of a segment against all others of the batch."""
    temperature: Positive = 0.1
    """Softmax temperature."""


class SimSiam(Block):
    """Two views predict each other through a stop-gradient; no negatives."""

    kind: Literal["simsiam"] = "simsiam"
    """This objective: two views of a segment and nothing else; it has no options."""


class Augmentation(Block):
    """How the two views of a segment are made."""

    crop_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Smallest fraction of the segment that the random crop keeps before it is stretched back."""
    scale_low: Positive = 0.8
    """Smallest amplitude factor."""
    scale_high: Positive = 1.25
    """Largest amplitude factor."""
    noise_max: Annotated[float, Field(ge=0)] = 0.1
    """Largest standard deviation of the added noise, in units of the segment's own."""
    mask_max: Fraction = 0.125
    """Largest fraction of the segment that is masked with zeros."""
    probability: Fraction = 0.5
    """Probability of each of amplitude, noise and mask; the crop is always applied."""


class PretrainingSchedule(Block):
    """Optimiser and length of the pre-training."""

    epochs: Count = 50
    """Passes over the epoch's sample of windows."""
    windows_per_epoch: Count = 200_000
    """Most windows drawn in an epoch; a corpus of fewer is drawn whole."""
    batch: Annotated[int, Field(ge=4)] = 512
    """Segments in a batch; each comes from another window."""
    lr: Positive = 3e-4
    """Peak learning rate of AdamW."""
    lr_min: Positive = 1e-6
    """Learning rate at the end of the cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Weight decay of AdamW."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    """Epochs of linear warm-up."""
    clip: Positive = 1.0
    """Largest norm of the gradient."""
    checkpoint_steps: Count = 200
    """Steps between two checkpoints; this much work is the most that a kill can cost."""


class Recipe(Block):
    """Corpus, vocabulary, encoder, objective and schedule of one pre-training."""

    corpus: Literal["all", "others", "target"] | tuple[str, ...] = "all"
    """Datasets to pre-train on: all of the run, all but the target, the target alone, or a list."""
    vocabulary: Literal["ucs", "intersection"] = "ucs"
    """ucs: the union of the corpus's electrodes; intersection: only those that every dataset has."""
    encoder: Encoder = Encoder()
    objective: Annotated[NTXent | SimSiam, Field(discriminator="kind")] = NTXent()
    """What the encoder is trained to do."""
    augmentation: Augmentation = Augmentation()
    schedule: PretrainingSchedule = PretrainingSchedule()
