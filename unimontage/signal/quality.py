"""Is a recording fit for use: dead, clipped and NaN channels, and amplitudes in the wrong unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unimontage.errors import UserError
from unimontage.montage.positions import positions_3d

FLAT_SD_UV = 0.01
"""A channel with a smaller standard deviation holds no EEG: amplifier noise alone is ten times that."""
FLAT_RUN_S = 1.0
"""A value that stands still for so long is a dropout; quantised EEG repeats values for some samples only."""
FLAT_SHARE = 0.2
"""Share of the recording in dropouts above which a channel is flat. Zero padding at a file's end is far below."""
CLIP_RUN = 3
"""Samples in a row at the extreme value that make a plateau; quantised EEG reaches its extreme once or twice."""
CLIP_SHARE = 0.01
"""Share of the recording on such plateaus above which a channel is clipped."""

UNITS = ((1e6, "volts", "microvolts"), (1e3, "millivolts", "microvolts"))
"""Factors by which a wrong unit misses, with the unit held and the unit believed."""

Policy = Literal["stop", "interpolate", "keep"]


@dataclass(frozen=True)
class ChannelReport:
    """What inspection found in a recording.

    Attributes
    ----------
    flat, nan, clipped : tuple of str
        Names of the channels that do not move, hold values that are not finite, or sit at their limit.
    median_sd_uv : float
        Median over the channels that are neither flat nor NaN of the standard deviation over time, in microvolt;
        NaN if there is none.
    """

    flat: tuple[str, ...]
    nan: tuple[str, ...]
    clipped: tuple[str, ...]
    median_sd_uv: float

    @property
    def bad(self) -> tuple[str, ...]:
        """All channels with a finding, each once."""
        return tuple(dict.fromkeys((*self.nan, *self.flat, *self.clipped)))


class Inspection:
    """Finds channels that hold no usable EEG while a recording, not yet filtered, passes by in slices.

    A channel with NaN is examined no further, a flat one is not called clipped.

    Parameters
    ----------
    names : sequence of str, length C
        Channel names.
    sfreq_hz : float
        Sampling rate.
    epochs : ndarray of int, shape (E, 2), optional
        First sample, and the sample after the last, of the epochs of a continuous recording. Stretches in which all
        channels stand still are then no fault of any channel: :meth:`still_epochs` names the epochs that lie in them.
    """

    def __init__(self, names: Sequence[str], sfreq_hz: float, epochs: np.ndarray | None = None) -> None:
        shortest = max(1, round(FLAT_RUN_S * sfreq_hz) - 1)
        self._names, self._epochs = tuple(names), epochs
        self._spread = Spread(len(names))
        self._finite = np.ones(len(names), dtype=bool)
        self._still = [_Runs(shortest) for _ in names]
        self._all_still = _Runs(shortest)
        self._high, self._low = ([_Plateau(limit) for _ in names] for limit in (np.max, np.min))
        self._moves = np.zeros(0 if epochs is None else len(epochs), dtype=np.int64)
        self._seen = 0
        self._last: np.ndarray | None = None  # (C,) the sample before the next slice

    def add(self, data_uv: np.ndarray) -> None:
        """Examine the next slice.

        Parameters
        ----------
        data_uv : ndarray, shape (C, S)
            Microvolt; a constant offset of a channel does not matter.
        """
        if not data_uv.shape[1]:
            return
        self._finite &= np.isfinite(data_uv.sum(axis=1))
        if not self._finite.all():
            data_uv = np.where(self._finite[:, None], data_uv, 0)
        self._spread.add(data_uv)
        together = np.ones(data_uv.shape[1] - (self._last is None), dtype=bool)
        # One channel after the other: a slice of one channel stays in the processor's cache.
        for channel in np.flatnonzero(self._finite):
            row = data_uv[channel]
            self._high[channel].add(row)
            self._low[channel].add(row)
            still = row[1:] == row[:-1]
            if self._last is not None:
                still = np.concatenate([[self._last[channel] == row[0]], still])
            self._still[channel].add(still)
            together &= still
        self._all_still.add(together)
        self._note_moves(together, data_uv.shape[1])
        self._last = data_uv[:, -1].copy()

    def _note_moves(self, together: np.ndarray, samples: int) -> None:
        """Count the steps within each epoch at which any channel moves."""
        first = self._seen + samples - len(together)  # step i leads from sample i - 1 to sample i
        self._seen += samples
        if self._epochs is not None:
            moved = np.concatenate([[0], np.cumsum(~together)])
            begin, end = (
                np.clip(side - first, 0, len(together)) for side in (self._epochs[:, 0] + 1, self._epochs[:, 1])
            )
            self._moves += moved[np.maximum(begin, end)] - moved[begin]

    def still_epochs(self) -> np.ndarray:
        """Epochs that have passed by and in which every channel stood still from beginning to end; shape (E,), bool."""
        return (
            np.zeros(0, dtype=bool) if self._epochs is None else (self._moves == 0) & (self._epochs[:, 1] <= self._seen)
        )

    def report(self) -> ChannelReport:
        """What was found so far."""
        sd, steps = self._spread.sd(), max(1, self._seen - 1)
        dead = 0 if self._epochs is None else self._all_still.total
        still = np.array([runs.total - dead for runs in self._still]) / max(1, steps - dead)
        plateaus = np.array([high.total + low.total for high, low in zip(self._high, self._low, strict=True)])
        flat = self._finite & ((sd < FLAT_SD_UV) | (still > FLAT_SHARE))
        clipped = self._finite & ~flat & (plateaus / max(1, self._seen) > CLIP_SHARE)
        usable = self._finite & ~flat
        return ChannelReport(
            flat=_named(self._names, flat),
            nan=_named(self._names, ~self._finite),
            clipped=_named(self._names, clipped),
            median_sd_uv=float(np.median(sd[usable])) if usable.any() else float("nan"),
        )


def inspect_channels(data_uv: np.ndarray, names: Sequence[str], sfreq_hz: float) -> ChannelReport:
    """Find channels that hold no usable EEG in a recording that is in memory; see :class:`Inspection`.

    Parameters
    ----------
    data_uv : ndarray, shape (C, S)
        One recording in microvolt.
    names : sequence of str, length C
        Channel names.
    sfreq_hz : float
        Sampling rate.
    """
    inspection = Inspection(names, sfreq_hz)
    inspection.add(data_uv)
    return inspection.report()


class Spread:
    """Standard deviation of each channel, merged over slices.

    Parameters
    ----------
    channels : int

    Notes
    -----
    Chan, Golub and LeVeque 1983, eq. 2.1: squares are summed about each slice's own mean, so nothing cancels.
    """

    def __init__(self, channels: int) -> None:
        self._count, self._mean, self._squares = 0, np.zeros(channels), np.zeros(channels)

    def add(self, data: np.ndarray) -> None:
        """Take note of a slice, shape (C, S)."""
        count = data.shape[1]
        if not count:
            return
        mean = data.mean(axis=1)  # (C,)
        squares = np.array([centred @ centred for centred in map(np.subtract, data, mean)], dtype=np.float64)
        total, step = self._count + count, mean - self._mean
        self._squares += squares + step**2 * (self._count * count / total)
        self._mean += step * (count / total)
        self._count = total

    def sd(self) -> np.ndarray:
        """Standard deviation over everything so far, shape (C,)."""
        return np.sqrt(self._squares / max(1, self._count))


def check_amplitude(median_sd_uv: float, low: float, high: float, where: str) -> None:
    """Refuse a recording whose amplitude no EEG has, and name the unit where one explains it.

    Parameters
    ----------
    median_sd_uv : float
        Median channel standard deviation, in what is believed to be microvolt.
    low, high : float
        Plausible range of this dataset, in microvolt.
    where : str
        What the recording is called in the error.

    Raises
    ------
    UserError
        The amplitude is outside the range, or there is no channel to judge by.
    """
    if low <= median_sd_uv <= high:
        return
    why = "implausible for EEG"
    for factor, held, believed in UNITS:
        if low <= median_sd_uv * factor <= high:
            why = f"a factor {factor:.0e} too small: {held} were read as {believed}"
        elif low <= median_sd_uv / factor <= high:
            why = f"a factor {factor:.0e} too large: {believed} were read as {held}"
    raise UserError(
        f"{where}: the median channel has a standard deviation of {median_sd_uv:.3g} uV, {why}",
        expected=f"{low:g} to {high:g} uV",
        mend="restore the original file or correct the unit where it was converted, or leave the subject out "
        "with `exclude`",
    )


@dataclass(frozen=True)
class Repair:
    """How bad channels follow from good ones.

    Attributes
    ----------
    bad, good : ndarray of int, shapes (B,), (G,)
        Places of the channels.
    weights : ndarray, shape (B, G)
        Share of each good channel in each bad one.
    """

    bad: np.ndarray
    good: np.ndarray
    weights: np.ndarray

    def apply(self, data: np.ndarray) -> None:
        """Overwrite the bad channels of a signal, shape (C, S)."""
        data[self.bad] = self.weights.astype(data.dtype) @ data[self.good]


def repair(names: Sequence[str], report: ChannelReport, policy: Policy, where: str) -> Repair | None:
    """What is to be done with bad channels under the policy that the configuration asks for.

    Parameters
    ----------
    names : sequence of str, length C
        Channels of the recording.
    report : ChannelReport
        Findings on it.
    policy : {"stop", "interpolate", "keep"}
        Stop the subject, replace the channels by spherical splines of their neighbours, or keep them. A channel with
        NaN is never kept.
    where : str
        What the recording is called in an error.

    Returns
    -------
    Repair or None
        None where nothing is to be changed.

    Raises
    ------
    UserError
        There are bad channels and the policy is to stop; NaN were to be kept; a bad channel has no position, or more
        than half of all channels are bad, so that there is nothing to interpolate from.
    """
    if not report.bad or (policy == "keep" and not report.nan):
        return None
    if policy == "interpolate":
        return _splines(names, report, where)
    listed = ", ".join(report.nan) if policy == "keep" else _describe(report)
    raise UserError(
        f"{where}: bad channels: {'NaN ' if policy == 'keep' else ''}{listed}",
        expected="finite values" if policy == "keep" else "channels that hold EEG",
        mend="preprocessing: {bad_channels: interpolate}, or leave the subject out with `exclude`",
    )


def _splines(names: Sequence[str], report: ChannelReport, where: str) -> Repair:
    """Spherical splines (Perrin et al. 1989) from the good channels that have a position."""
    import mne

    placed = {name: position for name in names if (position := _position(name)) is not None}
    homeless = [name for name in report.bad if name not in placed]
    good = [name for name in placed if name not in report.bad]
    if homeless or 2 * len(good) < len(names):
        what = f"no position for bad channels {', '.join(homeless)}" if homeless else f"bad: {_describe(report)}"
        raise UserError(
            f"{where}: bad channels cannot be interpolated, {what}",
            expected="bad channels with a position, and good ones in at least half of the montage",
            mend="leave the subject out with `exclude`",
        )
    # A spline is linear in the good channels: interpolating one unit in each of them gives its weights. Channels
    # without a position (A1-A2 and the like) can give nothing to it.
    units = mne.io.RawArray(np.eye(len(placed)), mne.create_info(list(placed), 1.0, "eeg"), verbose="ERROR")
    template = mne.channels.make_standard_montage("colin27_1005").get_positions()
    landmarks = {key: template[key] for key in ("nasion", "lpa", "rpa", "coord_frame")}
    units.set_montage(mne.channels.make_dig_montage(ch_pos=placed, **landmarks), verbose="ERROR")
    units.info["bads"] = list(report.bad)
    units.interpolate_bads(reset_bads=True, verbose="ERROR")
    columns = [list(placed).index(name) for name in good]
    weights = units.get_data(picks=list(report.bad))[:, columns]  # (B, G)
    return Repair(*(np.array([list(names).index(name) for name in part]) for part in (report.bad, good)), weights)


def _position(name: str) -> np.ndarray | None:
    try:
        return positions_3d([name])[0]
    except UserError:
        return None


def _describe(report: ChannelReport) -> str:
    kinds = (("NaN", report.nan), ("flat", report.flat), ("clipped", report.clipped))
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)


def _named(names: Sequence[str], mask: np.ndarray) -> tuple[str, ...]:
    return tuple(name for name, yes in zip(names, mask, strict=True) if yes)


class _Runs:
    """Samples of a row that lie in runs of True of at least ``shortest``; the row comes in slices."""

    def __init__(self, shortest: int) -> None:
        self._shortest = shortest
        self._closed = self._open = 0  # samples in runs that have ended; length of the run that has not

    def add(self, mask: np.ndarray) -> None:
        true = np.flatnonzero(mask)
        if not len(true):
            self._close()
            return
        breaks = np.flatnonzero(np.diff(true) > 1)
        lengths = np.diff(np.concatenate([[-1], breaks, [len(true) - 1]]))
        if true[0] == 0:
            lengths[0] += self._open
        else:
            self._close()
        self._open = 0
        if true[-1] == len(mask) - 1:
            self._open, lengths = int(lengths[-1]), lengths[:-1]
        self._closed += int(lengths[lengths >= self._shortest].sum())

    def _close(self) -> None:
        self._closed, self._open = self.total, 0

    @property
    def total(self) -> int:
        return self._closed + (self._open if self._open >= self._shortest else 0)


class _Plateau:
    """Samples on plateaus at the extreme value of a row, which is known only once all slices have passed."""

    def __init__(self, limit: Callable[[np.ndarray], float]) -> None:
        self._limit, self._value, self._runs = limit, None, _Runs(CLIP_RUN)

    def add(self, row: np.ndarray) -> None:
        here = self._limit(row)
        if self._value is None or self._limit((here, self._value)) != self._value:
            self._value, self._runs = here, _Runs(CLIP_RUN)  # what lay on the old extreme was no plateau
        self._runs.add(row == self._value)

    @property
    def total(self) -> int:
        return self._runs.total
