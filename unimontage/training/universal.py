"""The universal system's model on a target: encoder, graph, head, and what can be read off it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from unimontage.config.arms import Universal
from unimontage.errors import UserError
from unimontage.models.classifier import UniversalClassifier
from unimontage.models.encoder import UnivariateEncoder
from unimontage.models.spatial import GraphAttention, build_spatial, correlation_adjacency, distance_adjacency
from unimontage.models.weights import load_weights, read_config
from unimontage.montage.positions import positions_3d
from unimontage.montage.schema import Vocabulary
from unimontage.training.answer import UnivariateStart
from unimontage.training.built import Built
from unimontage.training.finetuning import in_order, predict
from unimontage.training.folds import Fold, Part
from unimontage.training.loop import parameter_group
from unimontage.windows import WindowPool

ATTENTION_BATCH = 64


class OnMontage(nn.Module):
    """A classifier bound to a target's electrodes and rate: windows (B, C, T) to logits (B, K)."""

    def __init__(self, classifier: UniversalClassifier, channel: Tensor, rate: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("channel", channel)
        self.register_buffer("rate", torch.tensor(rate))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of windows."""
        return self.classifier(x, self.channel, self.rate)

    def attention(self, x: Tensor) -> Tensor:
        """Attention (B, C, C) between the electrodes in the last graph layer; rows sum to one."""
        return self.classifier(x, self.channel, self.rate, return_attention=True)[1]


class OnNodes(nn.Module):
    """The part of a classifier after a frozen encoder: its output (B, G, C, d) to logits (B, K)."""

    def __init__(self, classifier: UniversalClassifier) -> None:
        super().__init__()
        self.spatial, self.whole, self.final_layer = classifier.spatial, classifier.whole, classifier.final_layer
        self._classify = classifier.classify

    def forward(self, nodes: Tensor) -> Tensor:
        """Logits of encoded windows."""
        return self._classify(nodes)

    def attention(self, nodes: Tensor) -> Tensor:
        """Attention (B, C, C) between the electrodes in the last graph layer; rows sum to one."""
        return self._classify(nodes, return_attention=True)[1]


def build(
    arm: Universal,
    start: UnivariateStart,
    pool: WindowPool,
    fold: Fold,
    classes: int,
    weights: Path | None,
    fabric: Fabric,
) -> Built:
    """The arm's model for a target.

    Parameters
    ----------
    arm : Universal
        Graph, head and learning rates.
    start : UnivariateStart
        Architecture, electrodes and sampling rates, as in pre-training.
    pool : WindowPool
        The target's electrodes and rate.
    fold : Fold
        Its training windows give the correlation graph.
    classes : int
        Number of classes.
    weights : Path or None
        Encoder weights; None starts from random ones.
    fabric : Fabric
        Device, on which a frozen encoder runs once over the fold.

    Raises
    ------
    UserError
        The weights were made for other electrodes, rates or sizes.
    """
    encoder, rates, words = start.encoder, list(start.rates), Vocabulary(start.vocabulary)
    network = UnivariateEncoder(encoder, len(words), len(rates))
    notes: dict[str, object] = {}
    if weights is not None:
        _require_same(weights, {"vocabulary": words.to_list(), "rates_hz": rates})
        notes["coverage"] = str(load_weights(network, weights))
    spatial = build_spatial(
        arm.spatial, encoder.d, **arm.graph.model_dump(), adjacency=_adjacency(arm.spatial, pool, fold.train)
    )
    classifier = UniversalClassifier(
        network, spatial, encoder.d, classes, spatial_mode=arm.spatial_mode, **arm.context.model_dump()
    )
    rate = rates.index(pool.sfreq_hz) + 1 if pool.sfreq_hz in rates else 0
    channel = torch.from_numpy(words.index(pool.channels))
    unknown = [name for name, index in zip(pool.channels, channel.tolist(), strict=True) if index == 0]
    notes |= {
        "parameters": sum(parameter.numel() for parameter in classifier.parameters()),
        "unknown_channels": unknown,
        "unknown_rate": rate == 0,
    }
    head = parameter_group(classifier.head_parameters(), arm.lr_head)
    model: nn.Module = OnMontage(classifier, channel, rate)
    if arm.lr_encoder:
        groups, seen = [parameter_group(classifier.encoder_parameters(), arm.lr_encoder), head], None
    else:
        groups, seen, model = [head], encoded(model, fold, fabric), OnNodes(classifier)
    explain = partial(_attention, model, pool.channels) if isinstance(spatial, GraphAttention) else None
    return Built(model, groups, notes, explain, seen)


def encoded(model: OnMontage, fold: Fold, fabric: Fabric) -> Fold:
    """A fold with the encoder's output, shape (N, G, C, d), in the place of its windows."""
    fabric.to_device(model).eval()

    def nodes(x: Tensor) -> Tensor:
        return model.classifier.nodes(x, model.channel, model.rate)

    parts = (replace(part, x=predict(nodes, part.x, fabric).numpy()) for part in (fold.train, fold.val, fold.test))
    return Fold(fold.name, *parts)


def _attention(model: OnMontage | OnNodes, channels: Sequence[str], fold: Fold, fabric: Fabric) -> dict[str, object]:
    """Attention that each electrode receives on the test windows, averaged over windows and electrodes."""
    model.eval()
    total = torch.zeros(len(channels))
    with torch.no_grad():
        for part in in_order(fold.test.x, ATTENTION_BATCH):
            total += model.attention(fabric.to_device(part)).mean(1).sum(0).cpu()
    return {"attention": dict(zip(channels, (total / len(fold.test)).tolist(), strict=True))}


def _adjacency(kind: str, pool: WindowPool, training: Part) -> Tensor | None:
    if kind == "gcn_distance":
        return distance_adjacency(positions_3d(pool.channels))
    return correlation_adjacency(np.asarray(training.x)) if kind == "gcn_correlation" else None


def _require_same(weights: Path, wanted: dict[str, list]) -> None:
    found = read_config(weights)
    for name, value in wanted.items():
        if found.get(name) != value:
            raise UserError(
                f"{weights} was pre-trained with other {name.replace('_', ' ')} than this run's",
                expected=", ".join(map(str, value)),
                mend=f"rm -r {weights.parent} and run the same command again",
            )
