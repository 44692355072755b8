"""Training of a compressor on the windows of one montage, and the latents that it gives them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from unimontage.config.distillation import Compressor as Options
from unimontage.config.recipes import PretrainingSchedule
from unimontage.errors import UserError
from unimontage.models.compressor import PATCHES, Compressor
from unimontage.windows import WindowPool

FEWEST_WINDOWS = 4
ENCODED = 1024  # windows encoded at once


class Trainee(nn.Module):
    """A compressor that reports its loss as a pre-training does."""

    def __init__(self, compressor: Compressor) -> None:
        super().__init__()
        self.compressor = compressor

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its parts, of windows (B, C, T)."""
        loss = self.compressor(x)
        return loss.total, {"reconstruction": loss.reconstruction.detach(), "idc": loss.idc.detach()}


class CompressorWork:
    """A compressor and the windows that it learns from.

    Parameters
    ----------
    pool : WindowPool
        Windows of one montage; the last samples, where they do not fill a patch, are left out.
    rows : ndarray, shape (N,)
        Windows that may be seen.
    options : Compressor
        Size, losses and schedule.
    seed : int
        Seed of the initial weights, of the sample that is trained on and of its order.

    Raises
    ------
    UserError
        There are too few windows.
    """

    undecayed: tuple[nn.Parameter, ...] = ()

    def __init__(self, pool: WindowPool, rows: np.ndarray, options: Options, seed: int) -> None:
        if len(rows) < FEWEST_WINDOWS:
            dataset = pool.ids[0].split("/")[0]
            raise UserError(
                f"{len(rows)} windows of {dataset} to compress",
                expected=f"at least {FEWEST_WINDOWS}",
                mend="more subjects, or distill: {kept: 1}",
            )
        torch.manual_seed(seed)
        self._pool, self._seed = pool, seed
        self._samples = pool.n_times // PATCHES * PATCHES
        compressor = Compressor(
            len(pool.channels),
            2 * self._samples // PATCHES,
            width=options.width,
            d=8 * options.width,
            depth=options.depth,
            decoder_bypass=options.decoder_bypass,
            idc=options.idc,
            beta=options.beta,
            mask_ratio=options.mask_ratio,
        )
        self.trainee = Trainee(compressor)
        count = max(2, round(options.share * len(rows)))
        self._rows = np.sort(np.random.default_rng([seed, 0]).permutation(rows)[:count])
        self.batch = min(options.batch, len(self._rows))
        self.steps_per_epoch = max(1, len(self._rows) // self.batch)

    @property
    def kept(self) -> Compressor:
        """The compressor."""
        return self.trainee.compressor

    def batch_at(self, step: int) -> Tensor:
        """Windows (B, C, T) of a batch."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._rows))
        return self._windows(self._rows[order[place * self.batch : (place + 1) * self.batch]])

    def inputs(self, batch: Tensor, generator: torch.Generator, fabric: Fabric) -> Tensor:
        """The same windows on the device."""
        return fabric.to_device(batch)

    def describe(self) -> dict[str, Any]:
        """What one must know to use the compressor; JSON values."""
        return {"channels": list(self._pool.channels), "sfreq_hz": self._pool.sfreq_hz, "samples": self._samples}

    def latents(self, rows: np.ndarray, fabric: Fabric) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows (n,) and their latents (n, d), some at a time; each depends on its own window alone."""
        compressor = self.kept.to(fabric.device)
        for start in tqdm(range(0, len(rows), ENCODED), desc="encode"):
            chosen = rows[start : start + ENCODED]
            yield chosen, compressor.latents(fabric.to_device(self._windows(chosen))).cpu().numpy()

    def _windows(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self._pool.windows(rows)[:, :, : self._samples])


def schedule(options: Options) -> PretrainingSchedule:
    """How long and how fast a compressor is trained."""
    return PretrainingSchedule(
        epochs=options.epochs,
        batch=max(4, options.batch),
        lr=options.lr,
        lr_min=options.lr / 32,  # half of it five times
        weight_decay=0.0,
        warmup_epochs=0,
        clip=5.0,
        checkpoint_steps=options.checkpoint_steps,
    )


def rows_of(pool: WindowPool, windows: Sequence[str]) -> np.ndarray:
    """Positions of windows in a pool, in the pool's order."""
    return np.flatnonzero(pool.ids.isin(windows))
