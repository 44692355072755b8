"""Arms: the experimental conditions that are compared with each other."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.base import Block
from unimontage.config.distillation import Choice
from unimontage.config.recipes import Count, Positive

PaperRow = Literal[
    *("full", "scratch", "gcn", "no_graph", "transfer_ucs", "transfer_intersection", "within"),
    *("mtssrl_md", "seqclr", "deepsleepnet", "usleep", "atcnet"),
    *("rp_s", "rp_i", "rp_a", "ts_s", "ts_i", "ts_a", "cpc_s", "cpc_i", "cpc_a"),
    *("dlite", "random", "pca", "m3d", "full_corpus", "tau_0", "tau_1", "full_eegnet"),
    *("aug", "ts_task", "fbm", "equal", "single_s", "single_i", "single_a"),
]


class Graph(Block):
    """Graph layers over the electrodes."""

    layers: Count = 2
    """Graph layers."""
    heads: Count = 4
    """Attention heads of each layer."""
    head_width: Count = 32
    """Features of each head; a layer is heads times head_width wide."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout on the attention weights."""


class Context(Block):
    """The small Transformer that looks at all electrodes together after the graph."""

    layers: Count = 2
    """Transformer blocks."""
    heads: Count = 8
    """Attention heads."""
    ffn: Count = 256
    """Hidden units of the feed-forward layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout probability."""


class Universal(Block):
    """Encoder, graph and head, fine-tuned on the target."""

    kind: Literal["universal"] = "universal"
    """This kind of arm: the pre-trained encoder with graph and head."""
    recipe: str
    """Recipe that the encoder's architecture comes from, and its weights if it is pre-trained."""
    init: Literal["pretrained", "scratch"] = "pretrained"
    """Start from the recipe's weights or from random ones."""
    spatial: Literal["gat", "gcn_distance", "gcn_correlation", "none"] = "gat"
    """How electrodes exchange information."""
    spatial_mode: Literal["node", "patch"] = "node"
    """node: one vector an electrode; patch: one a token, the graph applied at each token."""
    graph: Graph = Graph()
    context: Context = Context()
    lr_encoder: Annotated[float, Field(ge=0)] = 5e-6
    """Learning rate of the encoder; 0 freezes it, and its output is then computed once."""
    lr_head: Positive = 1e-4
    """Learning rate of everything after the encoder."""
    recentre: bool = False
    """Whiten each subject-session by the mean covariance of its own unlabelled windows."""
    paper: PaperRow | None = None
    """Row of the paper's tables that this arm reproduces."""


class Unfreezing(Block):
    """Epochs of fine-tuning after which the parts of a pre-trained encoder begin to train, output first."""

    attention: Annotated[int, Field(ge=0)] = 10
    """The attention block."""
    deep: Annotated[int, Field(ge=0)] = 19
    """The later convolutions."""
    first: Annotated[int, Field(ge=0)] = 29
    """The first convolutions."""


class Aligned(Block):
    """Alignment, encoder and attention pooling, fine-tuned on the target."""

    kind: Literal["aligned"] = "aligned"
    """This kind of arm: all channels of an epoch through the pre-trained alignment and encoder."""
    recipe: str
    """Recipe that alignment and encoder come from, and their weights if they are pre-trained."""
    init: Literal["pretrained", "scratch"] = "pretrained"
    """Start from the recipe's weights or from random ones."""
    freeze_alignment: bool = True
    """Keep a pre-trained alignment as it is; one that is new to the target always trains."""
    unfreezing: Unfreezing = Unfreezing()
    """When a pre-trained encoder's parts begin to train; from random weights all train from the start."""
    hidden: Annotated[int, Field(ge=0)] = 64
    """Hidden units of the classifier after pooling; 0 makes it a single linear layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout before the last layer."""
    lr_head: Positive = 1e-3
    """Learning rate of pooling and classifier, and of an alignment that trains."""
    lr_encoder: Positive = 1e-4
    """Learning rate of attention and later convolutions."""
    lr_first: Positive = 1e-5
    """Learning rate of the first convolutions."""
    paper: PaperRow | None = None
    """Row of the paper's tables that this arm reproduces."""


class Labram(Block):
    """LaBraM with a new head, fine-tuned on the target as a whole."""

    kind: Literal["labram"] = "labram"
    """This kind of arm: the pre-trained backbone with mean pooling and a linear head."""
    recipe: str
    """Recipe of kind masked that the backbone's size comes from, and its weights if it is pre-trained."""
    init: Literal["pretrained", "scratch"] = "pretrained"
    """Start from the recipe's weights or from random ones."""
    released: str | None = None
    """Path of a released checkpoint (.pth) to start from instead of the recipe's own weights."""
    lr: Positive = 5e-4
    """Learning rate of the head; blocks before it learn more slowly."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.65
    """Factor on the learning rate from each block to the one before."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Largest probability that a block is left out."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of each label that is spread over all classes."""
    paper: PaperRow | None = None
    """Row of the paper's tables that this arm reproduces."""


class Braindecode(Block):
    """A supervised network of the braindecode library, trained from scratch."""

    kind: Literal["braindecode"]
    """This kind of arm: a network that sees all channels at once."""
    model: Literal["EEGNet", "TSception", "EEGConformer", "DGCNN", "DeepSleepNet", "USleep", "ATCNet"]
    """Name of the network."""
    lr: Positive = 1e-3
    """Learning rate."""
    distill: Choice = Choice()
    """Train on a part of each fold's training windows, chosen class by class among them; by default on all."""
    recentre: bool = False
    """Whiten each subject-session by the mean covariance of its own unlabelled windows."""
    paper: PaperRow | None = None
    """Row of the paper's tables that this arm reproduces."""


class Classical(Block):
    """Hand-made features and a shallow classifier."""

    kind: Literal["classical"]
    """This kind of arm: no deep learning."""
    pipeline: Literal["de_svm", "band_power", "csp_lda", "tangent_space"]
    """de_svm: differential entropy and SVM; band_power: log band power and logistic regression; csp_lda: common spatial
    patterns and LDA; tangent_space: covariances on the Riemannian tangent space and logistic regression."""
    recentre: bool = False
    """Move each subject-session's features to a common centre, by its own unlabelled windows."""
    paper: PaperRow | None = None
    """Row of the paper's tables that this arm reproduces."""


Arm = Annotated[Universal | Aligned | Labram | Braindecode | Classical, Field(discriminator="kind")]


class Finetuning(Block):
    """Schedule of every trained arm."""

    epochs: Count = 100
    """Most passes over the training windows."""
    batch: Count = 64
    """Windows in a batch."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Weight decay of AdamW."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    """Epochs of linear warm-up before the cosine."""
    patience: Count = 20
    """Epochs without a better validation score after which a strict protocol stops, counted for every arm from where
    the last encoder of kind aligned has thawed whole; `paper` never stops early."""
    clip: Positive = 1.0
    """Largest norm of the gradient."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: weigh each class by the inverse of its share of the training windows."""
    choose_by: Literal["loss", "macro_f1"] = "loss"
    """What of the validation windows chooses the epoch, and stops training when it no longer improves."""
