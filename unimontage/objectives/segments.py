"""What all objectives have in common that draw their examples from recordings."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from torch import Generator, Tensor, nn

from unimontage.errors import UserError
from unimontage.windows.nights import Nights


class SegmentObjective(nn.Module):
    """A task on windows: draw examples, prepare what the encoder sees, judge its embeddings.

    A step is ``rows, labels = sample(...)``, then the windows of these rows, then ``segments(...)``, then alignment and
    encoder, then the objective itself.

    Attributes
    ----------
    views : int
        Windows of an example.
    lowest : float
        No loss is smaller than this.
    """

    views: int = 1
    lowest: float = 0.0

    def sample(self, nights: Nights, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw examples; here single windows without labels.

        Parameters
        ----------
        nights : Nights
            Where the windows lie in time.
        size : int
            Examples, B.
        rng : Generator
            Source of chance.

        Returns
        -------
        rows : ndarray of int64, shape (B, views)
            Rows of ``nights``.
        labels : ndarray, shape (B,)
            Classes as int64 or answers as float32; int64 zeros where the task has none.

        Raises
        ------
        UserError
            If no recording is long enough, or there are too few windows.
        """
        return different_windows(nights, size, rng), np.zeros(size, dtype=np.int64)

    def segments(
        self, x: Tensor, labels: Tensor, generator: Generator, *, microvolt: float | Tensor = 0.1
    ) -> tuple[Tensor, Tensor]:
        """Prepare what passes alignment and encoder; here the windows as they are.

        Parameters
        ----------
        x : Tensor, shape (B, views, C, T)
            Windows of the examples, scaled to about unit deviation, float32.
        labels : Tensor, shape (B,)
            As :meth:`sample` drew them.
        generator : torch.Generator
            Drawn from on its own device.
        microvolt : float or Tensor of shape (B,)
            How many units of x one microvolt is.

        Returns
        -------
        segments : Tensor, shape (M, C, T)
            M a multiple of B; what belongs to one example stands together.
        labels : Tensor, shape (B,)
        """
        return x.flatten(0, 1), labels

    @abstractmethod
    def forward(self, h: Tensor, labels: Tensor) -> Tensor:
        """Loss, shape (), of the segments' embeddings h, shape (M, d), in the order of :meth:`segments`."""


def different_windows(nights: Nights, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw single windows, none of them twice; shape (size, 1).

    Raises
    ------
    UserError
        If there are fewer.
    """
    if size > len(nights):
        raise UserError(
            f"a batch of {size} from {len(nights)} windows",
            expected="a batch of different windows",
            mend=f"schedule: {{batch: {len(nights)}}}",
        )
    return rng.choice(len(nights), size, replace=False)[:, None]


def balanced_labels(size: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Classes 0, 1, ... in random order, each as often as any other or once more; int64, shape (size,)."""
    return rng.permutation((np.arange(size) + rng.integers(classes)) % classes)


def too_short(objective: str, nights: Nights, needed: str, mend: str) -> UserError:
    """The error that no recording holds an example."""
    found = f"{objective}: none of {len(np.unique(nights.recording))} recordings holds an example"
    return UserError(found, expected=f"a recording with {needed}", mend=mend)
