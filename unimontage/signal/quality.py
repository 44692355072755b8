"""Is a recording fit for use: dead, clipped and NaN channels, and amplitudes in the wrong unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from unimontage.errors import UserError
from unimontage.montage.positions import positions_3d

if TYPE_CHECKING:
    import mne

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


def inspect_channels(data_uv: np.ndarray, names: Sequence[str], sfreq_hz: float) -> ChannelReport:
    """Find channels that hold no usable EEG; meant for the signal as read, before any filter.

    Parameters
    ----------
    data_uv : ndarray, shape (C, S)
        One recording in microvolt.
    names : sequence of str, length C
        Channel names.
    sfreq_hz : float
        Sampling rate.

    Returns
    -------
    ChannelReport
        The findings. A channel with NaN is examined no further, a flat one is not called clipped.
    """
    finite = np.isfinite(data_uv).all(axis=1)  # (C,)
    known = np.where(finite[:, None], data_uv, 0.0)
    sd = known.std(axis=1)
    still = _share_in_runs(np.diff(known, axis=1) == 0, max(1, round(FLAT_RUN_S * sfreq_hz) - 1))
    flat = finite & ((sd < FLAT_SD_UV) | (still > FLAT_SHARE))
    plateaus = sum(_share_in_runs(known == limit(axis=1, keepdims=True), CLIP_RUN) for limit in (known.min, known.max))
    clipped = finite & ~flat & (plateaus > CLIP_SHARE)
    usable = finite & ~flat
    return ChannelReport(
        flat=_named(names, flat),
        nan=_named(names, ~finite),
        clipped=_named(names, clipped),
        median_sd_uv=float(np.median(sd[usable])) if usable.any() else float("nan"),
    )


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


def handle_bad_channels(raw: "mne.io.BaseRaw", report: ChannelReport, policy: Policy, where: str) -> "mne.io.BaseRaw":
    """Do with bad channels what the configuration asks for.

    Parameters
    ----------
    raw : BaseRaw
        The recording; left as it is.
    report : ChannelReport
        Findings of :func:`inspect_channels` on it.
    policy : {"stop", "interpolate", "keep"}
        Stop the subject, replace the channels by spherical splines of their neighbours, or keep them. A channel with
        NaN is never kept.
    where : str
        What the recording is called in an error.

    Returns
    -------
    BaseRaw
        The recording itself where nothing changed, else a new one.

    Raises
    ------
    UserError
        There are bad channels and the policy is to stop; NaN were to be kept; a bad channel has no position, or more
        than half of all channels are bad, so that there is nothing to interpolate from.
    """
    if not report.bad or (policy == "keep" and not report.nan):
        return raw
    if policy == "interpolate":
        return _interpolate(raw, report, where)
    names = ", ".join(report.nan) if policy == "keep" else _describe(report)
    raise UserError(
        f"{where}: bad channels: {'NaN ' if policy == 'keep' else ''}{names}",
        expected="finite values" if policy == "keep" else "channels that hold EEG",
        mend="preprocessing: {bad_channels: interpolate}, or leave the subject out with `exclude`",
    )


def _interpolate(raw: "mne.io.BaseRaw", report: ChannelReport, where: str) -> "mne.io.BaseRaw":
    """Spherical splines (Perrin et al. 1989) from the good channels that have a position."""
    import mne

    placed = {name: position for name in raw.ch_names if (position := _position(name)) is not None}
    homeless = [name for name in report.bad if name not in placed]
    good = [name for name in placed if name not in report.bad]
    if homeless or 2 * len(good) < len(raw.ch_names):
        what = f"no position for bad channels {', '.join(homeless)}" if homeless else f"bad: {_describe(report)}"
        raise UserError(
            f"{where}: bad channels cannot be interpolated, {what}",
            expected="bad channels with a position, and good ones in at least half of the montage",
            mend="leave the subject out with `exclude`",
        )
    # Channels without a position (A1-A2 and the like) can give nothing to a spline: it is built without them.
    part = raw.copy().pick(list(placed)).load_data(verbose="ERROR")
    template = mne.channels.make_standard_montage("colin27_1005").get_positions()
    landmarks = {key: template[key] for key in ("nasion", "lpa", "rpa", "coord_frame")}
    part.set_montage(mne.channels.make_dig_montage(ch_pos=placed, **landmarks), verbose="ERROR")
    part.info["bads"] = list(report.bad)
    part.interpolate_bads(reset_bads=True, verbose="ERROR")
    out = raw.copy().load_data(verbose="ERROR")
    out[list(report.bad)] = part.get_data(picks=list(report.bad))
    out.info["bads"] = [name for name in raw.info["bads"] if name not in report.bad]
    return out


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


def _share_in_runs(mask: np.ndarray, shortest: int) -> np.ndarray:
    """Share of each row that lies in runs of True of at least ``shortest``; shape (C,)."""
    closed = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)  # False on both sides: no run spans two rows
    steps = np.diff(closed, axis=1)
    row, start = np.nonzero(steps == 1)
    _, stop = np.nonzero(steps == -1)
    length = stop - start
    return np.bincount(row, np.where(length >= shortest, length, 0), minlength=len(mask)) / mask.shape[1]
