"""What a fold trains on: its windows normalised with what the protocol allows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from unimontage.datasets import facts
from unimontage.datasets.facts import Task
from unimontage.errors import UserError
from unimontage.signal.alignment import recentre, recentring_matrices
from unimontage.signal.normalise import Normaliser, Scales, scale_of
from unimontage.splits.files import Table, ids_by_role
from unimontage.windows import WindowPool, WindowView


@dataclass(frozen=True)
class Part:
    """Windows of one role.

    Attributes
    ----------
    x : ndarray or WindowView, shape (N, C, T), float32
        Microvolt, or z-scored; a view is read batch by batch.
    y : ndarray, shape (N,), int64, or (N, K), float32
        Class ids, or target values; -1 or NaN for test windows, whose labels no training sees.
    domain : ndarray of str, shape (N,)
        ``subject/session``.
    windows : ndarray of str, shape (N,)
        Ids.
    """

    x: np.ndarray | WindowView
    y: np.ndarray
    domain: np.ndarray
    windows: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def __add__(self, other: "Part") -> "Part":
        """Both, one after the other."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("x", "y", "domain", "windows"))
        return Part(*(np.concatenate(pair) for pair in pairs))

    def take(self, index: np.ndarray) -> "Part":
        """Some of the windows."""
        return Part(*(getattr(self, name).take(index, axis=0) for name in ("x", "y", "domain", "windows")))


@dataclass(frozen=True)
class Fold:
    """Training, validation and test windows of a fold."""

    name: str
    train: Part
    val: Part
    test: Part


def folds(pool: WindowPool, split: Table) -> Iterator[Fold]:
    """The folds of a split, in microvolt, unread.

    Parameters
    ----------
    pool : WindowPool
        The windows that the split was made from.
    split : Table
        A split file.
    """
    task = facts(split.facts["dataset"]).tasks[split.facts["task"]]
    for name in split.rows["fold"].unique():
        yield Fold(name, *(_part(pool, rows, task) for rows in ids_by_role(split.rows, name)))


def normalised(fold: Fold, *, source: str, pooled: bool, recentred: bool, scales: Scales | None = None) -> Fold:
    """Scale a fold's windows by channel.

    Parameters
    ----------
    fold : Fold
        In microvolt.
    source : {"training", "all", "recording", "microvolt"}
        Where the statistics come from; ``all`` is what the paper's protocol does. ``recording``: median and robust
        deviation of each recording by itself, which needs nothing but the recording, labels least of all.
        ``microvolt``: windows stay as they are.
    pooled : bool
        One set of statistics for all subjects, as a subject without training windows needs; otherwise one for each
        subject-session.
    recentred : bool
        First whiten each subject-session by the mean covariance of its own windows, without labels: of its training
        windows where it has some, of its test windows where it has none.
    scales : mapping, optional
        ``subject/session`` to median and robust deviation of its channels, for source ``recording``.

    Returns
    -------
    Fold
        Standard deviations, within 6 of zero, or within 20 where each recording is scaled by itself; where nothing is
        learnt from the windows they stay unread, so that a dataset need not fit into memory.
    """
    parts = (fold.train, fold.val, fold.test)
    if source == "microvolt":
        return fold
    if source == "recording" and not recentred:
        return Fold(fold.name, *(replace(p, x=p.x.scaled_by(scale_of(p.domain, scales))) for p in parts))
    x = np.concatenate([part.x for part in parts])
    domain = np.concatenate([part.domain for part in parts])
    role = np.repeat(np.arange(3), [len(part) for part in parts])
    fit = np.arange(len(x)) if source == "all" else np.flatnonzero(role == 0)
    if recentred:
        x = recentre(x, recentring_matrices(x, _with_strangers(fit, domain), domain), domain)
    normaliser = Normaliser.fit(x, fit, domain, scope="pooled" if pooled else "group")
    x = normaliser.apply(x, domain)
    return Fold(fold.name, *(Part(x[role == k], p.y, p.domain, p.windows) for k, p in enumerate(parts)))


def require_complete(pool: WindowPool) -> None:
    """Refuse recordings that lack a channel, for models that have no way to leave one out.

    Raises
    ------
    UserError
        Names the first such subject.
    """
    for domain, channels in pool.missing.items():
        if channels:
            dataset, subject = pool.ids[0].split("/")[0], domain.split("/")[0]
            raise UserError(
                f"{dataset} subject {subject} has no channel {', '.join(channels)}",
                expected="every channel, for this kind of arm",
                mend=f"datasets: {{{dataset}: {{exclude: ['{subject}']}}}}, or an arm of kind aligned",
            )


def _with_strangers(fit: np.ndarray, domain: np.ndarray) -> np.ndarray:
    """Rows to learn from, and all rows of domains that have none among them."""
    strangers = ~np.isin(domain, np.unique(domain[fit]))
    return np.union1d(fit, np.flatnonzero(strangers))


def _part(pool: WindowPool, rows: pd.DataFrame, task: Task) -> Part:
    positions = pool.rows(rows["window"])
    target = rows["target"].to_numpy(dtype=np.int64, copy=True)
    if task.regression:
        values = np.concatenate([task.targets(store.table) for store in pool.stores])[positions]  # (N, K)
        target = np.where(target[:, None] < 0, np.float32("nan"), values)
    return Part(
        WindowView(pool, positions),
        target,
        pool.domain[positions],
        rows["window"].to_numpy(dtype=object),
    )
