"""Z-score each channel with statistics of the windows it may be learnt from."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from unimontage.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")

CHUNK_VALUES = 8_000_000  # values read at once: 32 MB of float32
FLAT = 1e-7  # a deviation this small beside the mean is float32 rounding, not signal
EVERYTHING = "all windows"  # the one group of scope "pooled"

RECORDING_CLIP = 20.0  # robust deviations; sleep has slow waves far above its median amplitude

Scales = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""``subject/session`` to median and robust deviation of each channel, (C,) and (C,)."""
Scale = tuple[np.ndarray, np.ndarray]
"""Median and robust deviation of each window and channel, (M, C) and (M, C)."""


def scale_of(groups: np.ndarray, scales: Scales) -> Scale:
    """Median and robust deviation of each window's recording, two arrays of shape (M, C), float32.

    Raises
    ------
    UserError
        If a recording has no scale.
    """
    names = tuple(scales)
    code = group_codes(groups, names, "scale")
    median, deviation = (np.stack([scales[name][k] for name in names]).astype(np.float32)[code] for k in (0, 1))
    return median, deviation


def scaled(signal: Array, median: Array, deviation: Array) -> Array:
    """Scale windows by their recordings' own medians and robust deviations.

    Parameters
    ----------
    signal : ndarray or Tensor, shape (M, C, T), float32
        Microvolt; NaN where a recording lacks a channel.
    median, deviation : the same kind, shape (M, C)
        From :func:`scale_of`.

    Returns
    -------
    ndarray or Tensor, shape (M, C, T), float32
        In deviations, within 20 of zero; NaN stays NaN.
    """
    return ((signal - median[:, :, None]) / deviation[:, :, None]).clip(-RECORDING_CLIP, RECORDING_CLIP)


@dataclass(frozen=True)
class Normaliser:
    """Mean and standard deviation of every channel, per group of windows or pooled.

    Attributes
    ----------
    groups : tuple
        Groups the statistics belong to, sorted.
    mean, deviation : ndarray, shape (groups, C), float64
        In the unit of the signal.
    scope : {"group", "pooled"}
        Whether every group has its own statistics.
    clip : float or None
        Values beyond this many standard deviations are set to it.
    """

    groups: tuple[Hashable, ...]
    mean: np.ndarray
    deviation: np.ndarray
    scope: Literal["group", "pooled"] = "group"
    clip: float | None = 6.0

    @classmethod
    def fit(
        cls,
        signal: np.ndarray,
        index: np.ndarray | None,
        groups: np.ndarray,
        *,
        scope: Literal["group", "pooled"] = "group",
        clip: float | None = 6.0,
    ) -> Normaliser:
        """Learn the statistics from some windows of a signal.

        Parameters
        ----------
        signal : ndarray or memmap, shape (N, C, T)
            All windows; read in chunks.
        index : ndarray, shape (M,) of int or (N,) of bool, or None
            The windows to learn from (in a strict protocol the training set); None for all.
        groups : ndarray, shape (N,)
            Group of every window of ``signal`` (say, its session), not only of those in ``index``.
        scope, clip
            See the class.

        Returns
        -------
        Normaliser

        Raises
        ------
        UserError
            If there is no window, or a channel is flat or not finite in a group.

        Notes
        -----
        Sums run in float64 over each window's own mean and variance, so a large offset costs no precision.
        """
        chosen = chosen_rows(signal, index, groups)
        labels = np.asarray(groups)[chosen] if scope == "group" else np.full(len(chosen), EVERYTHING)
        window_mean = np.empty((len(chosen), signal.shape[1]))
        window_variance = np.empty_like(window_mean)
        for place, block in chunks(signal, chosen):
            block.mean(axis=2, dtype=np.float64, out=window_mean[place])
            block.var(axis=2, dtype=np.float64, out=window_variance[place])
        names, code = np.unique(labels, return_inverse=True)
        mean = np.stack([window_mean[code == g].mean(0) for g in range(len(names))])  # (groups, C)
        within = np.stack([window_variance[code == g].mean(0) for g in range(len(names))])
        between = np.stack([window_mean[code == g].var(0) for g in range(len(names))])
        deviation = np.sqrt(within + between)
        _refuse_flat(names, mean, deviation)
        return cls(tuple(names.tolist()), mean, deviation, scope, clip)

    def apply(self, signal: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Z-score windows of known groups.

        Parameters
        ----------
        signal : ndarray, shape (M, C, T)
            Any windows.
        groups : ndarray, shape (M,)
            Their groups; not looked at in scope ``pooled``.

        Returns
        -------
        ndarray, shape (M, C, T), float32
            In standard deviations, within +- ``clip``.

        Raises
        ------
        UserError
            If a group has no statistics.
        """
        if self.scope == "pooled":
            code = np.zeros(len(signal), dtype=int)
        else:
            code = group_codes(groups, self.groups, "normalisation statistics")
        mean, deviation = (table.astype(np.float32)[code][:, :, None] for table in (self.mean, self.deviation))
        out = np.subtract(signal, mean, dtype=np.float32)
        out /= deviation
        if self.clip is not None:
            np.clip(out, -self.clip, self.clip, out=out)
        return out


def chosen_rows(signal: np.ndarray, index: np.ndarray | None, groups: np.ndarray) -> np.ndarray:
    """Sorted rows of ``signal`` to learn from; sorted, because a memmap is read fastest from front to back.

    Raises
    ------
    UserError
        If there is none.
    ValueError
        If ``groups`` does not have one entry a window.
    """
    if len(groups) != len(signal):
        raise ValueError(f"{len(groups)} groups for {len(signal)} windows")
    rows = np.arange(len(signal))
    if index is not None:
        rows = np.sort(rows[np.asarray(index)])
    if not len(rows):
        raise UserError("no window to learn statistics from", expected="at least one training window")
    return rows


def chunks(signal: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Walk over windows a chunk at a time: the place in ``rows``, and the windows, shape (n, C, T)."""
    step = max(1, CHUNK_VALUES // max(1, signal.shape[1] * signal.shape[2]))
    for start in range(0, len(rows), step):
        place = slice(start, min(start + step, len(rows)))
        yield place, np.asarray(signal[rows[place]])


def group_codes(groups: np.ndarray, known: tuple[Hashable, ...], what: str) -> np.ndarray:
    """Place of each window's group in ``known``, shape (M,).

    Raises
    ------
    UserError
        If a group is not known.
    """
    names, code = np.unique(np.asarray(groups), return_inverse=True)
    place = {name: i for i, name in enumerate(known)}
    strange = [name for name in names.tolist() if name not in place]
    if strange:
        raise UserError(
            f"no {what} for '{strange[0]}'",
            expected="one of " + ", ".join(map(str, known)),
            mend="learn them from windows of every group, or use one set for all (scope pooled)",
        )
    return np.array([place[name] for name in names.tolist()], dtype=int)[code]


def _refuse_flat(names: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Raise UserError on the first channel that cannot be z-scored."""
    usable = np.isfinite(mean) & np.isfinite(deviation) & (deviation > FLAT * np.abs(mean))
    if usable.all():
        return
    group, channel = np.argwhere(~usable)[0]
    state = "is flat" if np.isfinite(deviation[group, channel]) else "holds values that are not finite"
    raise UserError(
        f"channel {channel} (counting from 0) {state} in '{names[group]}' (mean {mean[group, channel]:g})",
        expected="a varying signal",
        mend="leave the recording or the channel out",
    )
