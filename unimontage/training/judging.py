"""LaBraM on a target: the pre-trained backbone, mean pooling and a linear head."""

from pathlib import Path

import torch
from torch import Tensor, nn

from unimontage.config.arms import Labram as Arm
from unimontage.errors import UserError
from unimontage.models.labram import Labram, layer_groups, patches
from unimontage.models.released import load_released
from unimontage.models.weights import load_weights, read_config
from unimontage.training.answer import LabramStart
from unimontage.training.built import Built
from unimontage.training.loop import parameter_group
from unimontage.windows import WindowPool

HEAD_SCALE = 0.001


class LabramClassifier(nn.Module):
    """Windows (B, C, T) in microvolt, at 200 Hz, to logits or values (B, K).

    Parameters
    ----------
    backbone : Labram
        Pre-trained or not.
    channels : tuple of str
        Electrodes of the windows.
    outputs : int
        K.
    """

    def __init__(self, backbone: Labram, channels: tuple[str, ...], outputs: int) -> None:
        super().__init__()
        self.backbone, self._channels = backbone, channels
        self.head = nn.Linear(backbone.d, outputs)
        with torch.no_grad():  # the first answers are the same for every window, so that nothing is unlearned
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            self.head.weight *= HEAD_SCALE
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Logits or values of windows."""
        return self.head(self.backbone.embed(patches(x), self._channels))


def build(arm: Arm, start: LabramStart, pool: WindowPool, outputs: int, weights: Path | None) -> Built:
    """The arm's model for a target.

    Parameters
    ----------
    arm : Labram
        Learning rate, its decay, dropped paths.
    start : LabramStart
        Size.
    pool : WindowPool
        The target's electrodes and window length.
    outputs : int
        Classes or target values.
    weights : Path or None
        Weights of the recipe; None starts from a released checkpoint if the arm names one, else from random weights.

    Raises
    ------
    UserError
        The weights are of another size, or the target is not sampled at 200 Hz.
    """
    if pool.sfreq_hz != 200:
        raise UserError(
            f"windows are sampled at {pool.sfreq_hz:g} Hz",
            expected="200 Hz for LaBraM",
            mend="preprocessing: {resample_hz: 200}",
        )
    backbone = Labram(start.size, drop_path=arm.drop_path)
    notes: dict[str, object] = {}
    if arm.released is not None:
        notes["coverage"] = str(load_released(backbone, arm.released))
    elif weights is not None:
        found = read_config(weights).get("size")
        if found != start.size:
            raise UserError(f"{weights} holds a backbone of size {found}", expected=start.size, mend=f"rm {weights}")
        notes["coverage"] = str(load_weights(backbone, weights))
    model = LabramClassifier(backbone, pool.channels, outputs)
    notes["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    groups = [*layer_groups(backbone, arm.lr, arm.layer_decay), parameter_group(model.head.parameters(), arm.lr)]
    return Built(model, groups, notes, label_smoothing=arm.label_smoothing)
