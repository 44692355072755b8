"""Recipes: how an encoder is built and pre-trained."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.base import Block
from unimontage.config.distillation import Distillation

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


Corpus = Literal["all", "others", "target"] | tuple[str, ...]


class UnivariateRecipe(Block):
    """Pre-training on single channels: one encoder for every montage and rate."""

    kind: Literal["univariate"] = "univariate"
    """This kind of recipe: segments of one channel, told apart by the electrode's name."""
    corpus: Corpus = "all"
    """Datasets to pre-train on: all of the run, all but the target, the target alone, or a list."""
    distill: Distillation = Distillation()
    vocabulary: Literal["ucs", "intersection"] = "ucs"
    """ucs: the union of the corpus's electrodes; intersection: only those that every dataset has."""
    encoder: Encoder = Encoder()
    objective: Annotated[NTXent | SimSiam, Field(discriminator="kind")] = NTXent()
    """What the encoder is trained to do."""
    augmentation: Augmentation = Augmentation()
    schedule: PretrainingSchedule = PretrainingSchedule()


class ChannelAttention(Block):
    """Channel alignment module: virtual channels attend to electrodes by their place on the head."""

    kind: Literal["cam"] = "cam"
    """This alignment: attention over electrode positions."""
    rows: Count = 16
    """Virtual channels."""
    dimension: Annotated[int, Field(ge=2)] = 72
    """Width of the position's Fourier embedding; twice a square number."""
    radius: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    """Spatial dropout in training: electrodes nearer than this to a random place are ignored, in units of the head's
    width. auto: 0.1, and none where a dataset has two channels or fewer."""
    shared: bool = False
    """One set of heads for all datasets instead of one for each."""


class LinearAlignment(Block):
    """A free linear map from each dataset's channels to the virtual ones."""

    kind: Literal["linear"]
    """This alignment: a matrix for each dataset, with nothing known of electrodes."""
    rows: Count = 16
    """Virtual channels."""


class ZeroPadding(Block):
    """The union of all channels; those that a dataset lacks are zero."""

    kind: Literal["zero_padding"]
    """This alignment: zeros where a dataset has no such channel."""


class Intersection(Block):
    """Only the channels that every dataset has."""

    kind: Literal["intersection"]
    """This alignment: common channels, all others left out."""


class SingleChannel(Block):
    """No alignment: the encoder sees every channel by itself."""

    kind: Literal["single"]
    """This alignment: one random channel an example in pre-training, all of them side by side afterwards."""


Alignment = Annotated[
    ChannelAttention | LinearAlignment | ZeroPadding | Intersection | SingleChannel, Field(discriminator="kind")
]


class StagingEncoder(Block):
    """Two convolution branches of unlike length and self-attention over their outputs."""

    kind: Literal["staging"] = "staging"
    """This encoder: short and long filters, then attention over time."""
    preset: Literal["tiny", "full"] = "full"
    """tiny: filters shared by all rows, ten thousand parameters; full: rows as input channels, a million."""


class StagerEncoder(Block):
    """Two temporal convolutions with pooling, the embedder of the classical self-supervised baselines."""

    kind: Literal["stager"]
    """This encoder: convolution, pooling, convolution, pooling."""
    maps: Count = 8
    """Feature maps of each convolution."""


class SeqCLREncoder(Block):
    """Recurrent encoder of single channels at three rates."""

    kind: Literal["seqclr"]
    """This encoder: gated recurrent units on the signal and on two slower copies of it."""
    widths: tuple[Count, Count, Count] = (256, 128, 64)
    """Units on the signal, on every second and on every fourth sample."""
    d: Count = 128
    """Width of the residual recurrent blocks."""
    blocks: Count = 2
    """Residual recurrent blocks."""


EpochEncoder = Annotated[StagingEncoder | StagerEncoder | SeqCLREncoder, Field(discriminator="kind")]


class Contrast(Block):
    """Two augmented views of an epoch belong together."""

    kind: Literal["contrast"]
    """This objective: agreement of two augmented views."""
    loss: Literal["simsiam", "nt_xent"] = "simsiam"
    """simsiam: each view predicts the other; nt_xent: against all other epochs of the batch."""
    temperature: Positive = 0.05
    """Softmax temperature of nt_xent."""


class TemporalShuffling(Block):
    """Tell whether three epochs, or the pieces of one, are in order."""

    kind: Literal["temporal_shuffling"]
    """This objective: ordered or shuffled."""
    mode: Literal["triplet", "intra"] = "triplet"
    """triplet: three epochs of a night; intra: six pieces of one epoch."""
    near: Count = 30
    """Most epochs between the outer two of an ordered triplet."""
    far: Count = 30
    """Fewest epochs between a shuffled triplet and its misplaced member."""


class BandMasking(Block):
    """Name the frequency band that is missing."""

    kind: Literal["band_masking"]
    """This objective: name the band that was removed."""
    bands: Literal[6, 5] = 6
    """6: delta to gamma; 5: without gamma, most of which a low-pass at 40 Hz has removed already."""


class RelativePositioning(Block):
    """Tell whether two epochs lie close together in the night."""

    kind: Literal["relative_positioning"]
    """This objective: close or distant."""
    near: Count = 2
    """Most epochs between two that count as close."""
    far: Count = 30
    """Fewest epochs between two that count as distant."""


class PredictiveCoding(Block):
    """Tell the epochs that follow from others of the night."""

    kind: Literal["cpc"]
    """This objective: contrastive predictive coding."""
    context: Count = 10
    """Epochs that are summarised."""
    predict: Count = 16
    """Epochs ahead that are predicted."""
    negatives: Count = 4
    """Epochs of the same night from which each must be told."""


EpochObjective = Annotated[
    Contrast | TemporalShuffling | BandMasking | RelativePositioning | PredictiveCoding, Field(discriminator="kind")
]


class AlignedSchedule(PretrainingSchedule):
    """Optimiser and length of a pre-training on whole epochs; every step sees a batch of each dataset."""

    epochs: Count = 400
    """Passes over the smallest dataset of the corpus."""
    windows_per_epoch: Count = 200_000
    """Most windows of each dataset in an epoch."""
    batch: Annotated[int, Field(ge=2)] = 100
    """Examples of each dataset and objective in a step."""
    lr: Positive = 1e-4
    """Peak learning rate of AdamW."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 10
    """Epochs of linear warm-up."""


class AlignedRecipe(Block):
    """Pre-training on whole epochs of several montages, brought to the same virtual channels."""

    kind: Literal["aligned"] = "aligned"
    """This kind of recipe: all channels of an epoch, aligned, then one encoder."""
    corpus: Corpus = "all"
    """Datasets to pre-train on: all of the run, all but the target, the target alone, or a list."""
    distill: Distillation = Distillation()
    alignment: Alignment = ChannelAttention()
    """How the montages become alike."""
    encoder: EpochEncoder = StagingEncoder()
    """What sees the virtual channels."""
    objectives: Annotated[dict[str, EpochObjective], Field(min_length=1)] = Field(
        default={
            "augmentation": Contrast(kind="contrast"),
            "shuffling": TemporalShuffling(kind="temporal_shuffling"),
            "bands": BandMasking(kind="band_masking"),
        }
    )
    """What the encoder is trained to do, by name; several at once."""
    weighting: Literal["uncertainty", "equal", "uncertainty_literal"] = "uncertainty"
    """uncertainty: learned weights, losses shifted so that none is negative; equal: a plain sum; uncertainty_literal:
    as printed, which has no lower bound with simsiam."""
    schedule: AlignedSchedule = AlignedSchedule()


class TokenizerSchedule(PretrainingSchedule):
    """Optimiser and length of the training of a tokenizer."""

    epochs: Count = 100
    """Passes over the corpus."""
    batch: Annotated[int, Field(ge=4)] = 1024
    """Windows in a batch."""
    lr: Positive = 4e-4
    """Peak learning rate of AdamW."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 10
    """Epochs of linear warm-up."""
    clip: Positive = 3.0
    """Largest norm of the gradient."""


class MaskedSchedule(PretrainingSchedule):
    """Optimiser and length of masked modelling."""

    epochs: Count = 50
    """Passes over the corpus."""
    batch: Annotated[int, Field(ge=4)] = 512
    """Windows in a batch."""
    lr: Positive = 5e-4
    """Peak learning rate of AdamW."""
    lr_min: Positive = 1e-5
    """Learning rate at the end of the cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Weight decay of AdamW."""
    clip: Positive = 3.0
    """Largest norm of the gradient."""


Size = Literal["tiny", "base", "large", "huge"]


class TokenizerRecipe(Block):
    """A neural tokenizer: the spectrum of each second of each channel as one code of a learned book."""

    kind: Literal["tokenizer"] = "tokenizer"
    """This kind of recipe: the codes that masked modelling predicts."""
    corpus: Corpus = "all"
    """Datasets to train on: all of the run, all but the target, the target alone, or a list."""
    distill: Distillation = Distillation()
    size: Size = "base"
    """Size of its encoder; tiny is for tests."""
    codes: Annotated[int, Field(ge=2)] = 8192
    """Codes of the book."""
    schedule: TokenizerSchedule = TokenizerSchedule()


class MaskedRecipe(Block):
    """LaBraM: predict the codes of hidden patches from the patches that are left."""

    kind: Literal["masked"] = "masked"
    """This kind of recipe: masked modelling over electrodes and seconds."""
    corpus: Corpus = "all"
    """Datasets to pre-train on: all of the run, all but the target, the target alone, or a list."""
    distill: Distillation = Distillation()
    size: Size = "base"
    """tiny: for tests; base 6, large 46, huge 369 million parameters."""
    tokenizer: str
    """A recipe of kind tokenizer, or the path of a released tokenizer (.pth)."""
    mask_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the patches that are hidden; what is hidden and what is left then change places."""
    interleave: bool = True
    """Mix the batches of all montages within an epoch; false visits one montage after the other."""
    match_steps: bool = False
    """Take as many steps as the whole corpus would give, however few windows are kept."""
    schedule: MaskedSchedule = MaskedSchedule()


Recipe = Annotated[UnivariateRecipe | AlignedRecipe | TokenizerRecipe | MaskedRecipe, Field(discriminator="kind")]
