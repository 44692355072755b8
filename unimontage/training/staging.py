"""The aligned arms' model on a target: alignment, encoder, pooling and classifier, thawed from the output backwards."""

from pathlib import Path

from torch import Tensor, nn

from unimontage.config.arms import Aligned
from unimontage.errors import UserError
from unimontage.models.aligned import AlignedEncoder
from unimontage.models.pooling import StagingHead
from unimontage.models.weights import load_weights, read_config
from unimontage.training.answer import AlignedStart
from unimontage.training.built import Built
from unimontage.training.loop import parameter_group
from unimontage.windows import WindowPool


class StagingClassifier(nn.Module):
    """Epochs (B, C, T) of one dataset to logits (B, K); parts of the encoder may be frozen.

    A channel that is NaN throughout an epoch is missing there. Frozen parts stay in evaluation mode, whatever mode the
    whole is in, so that their batch norms keep the statistics of pre-training.

    Parameters
    ----------
    encoder : AlignedEncoder
        Alignment and encoder.
    head : StagingHead
        Tokens (B, P, d) to logits.
    dataset : str
        Whose epochs it takes.
    thaw : mapping
        Part to the epoch from which on it trains; ``alignment`` and the encoder's own parts.
    lacking : bool
        Whether channels may be missing.
    """

    def __init__(
        self, encoder: AlignedEncoder, head: StagingHead, dataset: str, thaw: dict[str, float], *, lacking: bool
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self._dataset, self._thaw, self._lacking = dataset, thaw, lacking
        self._parts = {"alignment": encoder.alignment, **encoder.encoder.parts()}
        self._frozen: list[nn.Module] = []
        self.at_epoch(0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of epochs."""
        present = None
        if self._lacking:
            present, x = ~x[:, :, 0].isnan(), x.nan_to_num(0.0)  # (B, C)
        return self.head(self.encoder.tokens(x, self._dataset, present))

    def at_epoch(self, epoch: int) -> None:
        """Freeze the parts whose time has not come."""
        self._frozen = [part for name, part in self._parts.items() if epoch < self._thaw[name]]
        for name, part in self._parts.items():
            part.requires_grad_(epoch >= self._thaw[name])
        self.train(self.training)

    def train(self, mode: bool = True) -> "StagingClassifier":
        """Training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self


def build(arm: Aligned, start: AlignedStart, pool: WindowPool, classes: int, weights: Path | None) -> Built:
    """The arm's model for a target.

    Parameters
    ----------
    arm : Aligned
        Head, learning rates and unfreezing.
    start : AlignedStart
        Architecture and montages, as in pre-training, and the target's montage.
    pool : WindowPool
        The target's windows; says whether channels are missing.
    classes : int
        Number of classes.
    weights : Path or None
        Weights of alignment and encoder; None starts from random ones.

    Raises
    ------
    UserError
        The weights were made for other montages or sizes.
    """
    (target,) = start.target
    known = target in start.montages
    montages = start.montages | start.target
    encoder = AlignedEncoder.build(start.alignment, start.encoder, montages, start.samples)
    notes: dict[str, object] = {}
    if weights is not None:
        _require_same(weights, start)
        new = [] if known else [f"alignment.heads.{target}", f"alignment.maps.{target}"]
        notes["coverage"] = str(load_weights(encoder, weights, allow_missing=new))
    head = StagingHead(encoder.d, classes, hidden=arm.hidden, dropout=arm.dropout)
    thaw = _thaw(arm, known, weights is not None)
    model = StagingClassifier(encoder, head, target, thaw, lacking=any(pool.missing.values()))
    notes["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return Built(model, _groups(model, arm), notes, at_epoch=model.at_epoch)


def _thaw(arm: Aligned, known: bool, pretrained: bool) -> dict[str, float]:
    """The epoch from which on each part trains."""
    if not pretrained:
        return {"alignment": 0, "attention": 0, "deep": 0, "first": 0}
    frozen = float("inf") if known and arm.freeze_alignment else 0
    return {"alignment": frozen} | arm.unfreezing.model_dump()


def _groups(model: StagingClassifier, arm: Aligned) -> list[dict[str, object]]:
    parts = model.encoder.encoder.parts()
    rates = (
        (arm.lr_head, (model.head, model.encoder.alignment)),
        (arm.lr_encoder, (parts["attention"], parts["deep"])),
        (arm.lr_first, (parts["first"],)),
    )
    groups = [(rate, [p for module in modules for p in module.parameters()]) for rate, modules in rates]
    return [parameter_group(parameters, rate) for rate, parameters in groups if parameters]


def _require_same(weights: Path, start: AlignedStart) -> None:
    found, wanted = read_config(weights), start.model_dump(mode="json", exclude={"target"})
    changed = [name for name, value in wanted.items() if found.get(name) != value]
    if changed:
        raise UserError(
            f"{weights} was pre-trained with another {changed[0]}",
            expected=f"{wanted[changed[0]]}",
            mend=f"rm {weights} and run the same command again",
        )
