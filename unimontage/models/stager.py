"""The small convolutional embedder of relative positioning, temporal shuffling and predictive coding on sleep."""

from __future__ import annotations

from torch import Tensor, nn

from unimontage.errors import UserError
from unimontage.models.layers import BatchNorm1d

KERNEL, PADDING, POOL = 50, 25, 13  # at 100 Hz half a second, a quarter, and an eighth rounded up


class StagerEncoder(nn.Module):
    """Two temporal convolutions with pooling, filters shared by all rows, the rest flattened to one token.

    Parameters
    ----------
    rows : int
        Rows of the signal.
    maps : int
        Feature maps of each convolution.
    samples : int
        Samples of a window, at 100 Hz.

    Attributes
    ----------
    d : int
        Width of the token, ``rows * maps * steps``: 272 for two rows of 30 s.

    Raises
    ------
    UserError
        If nothing is left of the window after the pools.

    Notes
    -----
    Chambon et al. 2018, table 1, with batch norm, as in Banville et al. 2021, fig. 2. Their first layer, the spatial
    filter, is the alignment in front of this encoder.
    """

    def __init__(self, rows: int, *, maps: int = 8, samples: int = 3000) -> None:
        super().__init__()
        steps = samples
        for _ in range(2):
            steps = (steps + 2 * PADDING - KERNEL + 1) // POOL
        if steps < 1:
            raise UserError(
                f"windows of {samples} samples are too short for the stager encoder",
                expected="2 s or more at 100 Hz",
                mend="windows: {length_s: 30}",
            )
        self.rows, self.d = rows, rows * maps * steps
        self.first = self._layer(1, maps)
        self.deep = self._layer(maps, maps)

    @staticmethod
    def _layer(maps_in: int, maps: int) -> nn.Sequential:
        convolution = nn.Conv1d(maps_in, maps, KERNEL, padding=PADDING)
        return nn.Sequential(convolution, BatchNorm1d(maps), nn.ReLU(), nn.MaxPool1d(POOL))

    def forward(self, x: Tensor) -> Tensor:
        """One token (B, 1, d) of windows x (B, rows, T): features by map, row and time."""
        each = self.deep(self.first(x.reshape(-1, 1, x.shape[2])))  # (B * rows, maps, steps)
        return each.unflatten(0, (-1, self.rows)).transpose(1, 2).flatten(1).unsqueeze(1)

    def embed(self, x: Tensor) -> Tensor:
        """The token (B, d) of windows x (B, rows, T)."""
        return self(x).squeeze(1)

    def parts(self) -> dict[str, nn.ModuleList]:
        """The layers from the output backwards, in the order in which fine-tuning sets them free."""
        return {
            "attention": nn.ModuleList(),
            "deep": nn.ModuleList([self.deep]),
            "first": nn.ModuleList([self.first]),
        }
