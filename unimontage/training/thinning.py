"""The training windows of a fold, thinned out before a supervised network learns from their labels."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numba
import numpy as np
import torch
from lightning_fabric import Fabric

from unimontage.config.distillation import Choice
from unimontage.distillation.budget import budget
from unimontage.distillation.selection import METHODS, arguments, select
from unimontage.training.compression import CompressorWork, schedule
from unimontage.training.folds import Fold
from unimontage.training.pretraining import pretrain
from unimontage.windows import WindowPool


def thinned(fold: Fold, pool: WindowPool, choice: Choice, fabric: Fabric) -> Fold:
    """Keep a share of the training windows of each class; validation and test windows stay as they are.

    Parameters
    ----------
    fold : Fold
        In microvolt.
    pool : WindowPool
        The windows that the fold was made from.
    choice : Choice
        How windows are chosen. A compressor is trained on the fold's training windows and sees no others.
    fabric : Fabric
        Device.

    Notes
    -----
    EEG-DLite chooses labelled windows of SEED class by class. Where the targets are numbers, all windows are one class.
    """
    train = fold.train
    rows, latents = pool.rows(train.windows), None
    if "latents" in METHODS[choice.method].needs:
        latents = _latents(rows, pool, choice, fabric)  # (N, d)
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    label = train.y if train.y.ndim == 1 else np.zeros(len(train))
    kept = []
    for value in np.unique(label):
        own = np.flatnonzero(label == value)
        found = select(
            n=budget(choice.kept, len(own)),
            kept=np.ones(len(own), dtype=bool),
            latents=None if latents is None else latents[own],
            subjects=np.array([domain.split("/")[0] for domain in train.domain[own]]),
            recordings=train.domain[own],
            starts=rows[own],  # windows of a recording follow each other in the pool
            windows=lambda positions, own=own: np.asarray(train.x[own[positions]]),
            **arguments(choice),
        )
        kept.append(own[found.index])
    return replace(fold, train=train.take(np.sort(np.concatenate(kept))))


def _latents(rows: np.ndarray, pool: WindowPool, choice: Choice, fabric: Fabric) -> np.ndarray:
    """Latents (N, d) of a compressor that was trained on these rows (N,) of the pool."""
    work = CompressorWork(pool, rows, choice.compressor, choice.seed)
    with TemporaryDirectory() as folder:
        place = {"checkpoint": Path(folder) / "checkpoint.pt", "identity": "", "events": Path(folder) / "events"}
        pretrain(work, schedule(choice.compressor), seed=choice.seed, fabric=fabric, **place)
    return np.concatenate([values for _, values in work.latents(rows, fabric)])
