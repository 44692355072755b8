"""What a fold trains on: its windows normalised with what the protocol allows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unimontage.signal.alignment import recentre, recentring_matrices
from unimontage.signal.normalise import Normaliser
from unimontage.splits.files import Table, ids_by_role
from unimontage.windows import WindowPool


@dataclass(frozen=True)
class Part:
    """Windows of one role.

    Attributes
    ----------
    x : ndarray, shape (N, C, T), float32
        Microvolt, or z-scored.
    y : ndarray, shape (N,), int64
        Class ids; -1 for test windows, whose labels no training sees.
    domain : ndarray of str, shape (N,)
        ``subject/session``.
    windows : ndarray of str, shape (N,)
        Ids.
    """

    x: np.ndarray
    y: np.ndarray
    domain: np.ndarray
    windows: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def __add__(self, other: "Part") -> "Part":
        """Both, one after the other."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("x", "y", "domain", "windows"))
        return Part(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Fold:
    """Training, validation and test windows of a fold."""

    name: str
    train: Part
    val: Part
    test: Part


def folds(pool: WindowPool, split: Table) -> Iterator[Fold]:
    """The folds of a split, in microvolt.

    Parameters
    ----------
    pool : WindowPool
        The windows that the split was made from.
    split : Table
        A split file.
    """
    for name in split.rows["fold"].unique():
        yield Fold(name, *(_part(pool, rows) for rows in ids_by_role(split.rows, name)))


def normalised(fold: Fold, *, source: str, pooled: bool, recentred: bool) -> Fold:
    """Z-score a fold's windows by channel.

    Parameters
    ----------
    fold : Fold
        In microvolt.
    source : {"training", "all"}
        Where the statistics come from; ``all`` is what the paper's protocol does.
    pooled : bool
        One set of statistics for all subjects, as a subject without training windows needs; otherwise one for each
        subject-session.
    recentred : bool
        First whiten each subject-session by the mean covariance of its own windows, without labels: of its training
        windows where it has some, of its test windows where it has none.

    Returns
    -------
    Fold
        Standard deviations, within 6 of zero.
    """
    parts = (fold.train, fold.val, fold.test)
    x = np.concatenate([part.x for part in parts])
    domain = np.concatenate([part.domain for part in parts])
    role = np.repeat(np.arange(3), [len(part) for part in parts])
    fit = np.flatnonzero(role == 0) if source == "training" else np.arange(len(x))
    if recentred:
        x = recentre(x, recentring_matrices(x, _with_strangers(fit, domain), domain), domain)
    normaliser = Normaliser.fit(x, fit, domain, scope="pooled" if pooled else "group")
    x = normaliser.apply(x, domain)
    return Fold(fold.name, *(Part(x[role == k], p.y, p.domain, p.windows) for k, p in enumerate(parts)))


def _with_strangers(fit: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Rows to learn from, and all rows of domains that have none among them."""
    strangers = ~np.isin(domain, np.unique(domain[fit]))
    return np.union1d(fit, np.flatnonzero(strangers))


def _part(pool: WindowPool, rows: pd.DataFrame) -> Part:
    positions = pool.rows(rows["window"])
    return Part(
        np.asarray(pool.signal[positions]),
        rows["target"].to_numpy(dtype=np.int64, copy=True),
        pool.domain[positions],
        rows["window"].to_numpy(dtype=object),
    )
