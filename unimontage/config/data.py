"""Datasets: where the native files are, which subjects to use, how to condition the signal."""

from typing import Annotated, Literal

from pydantic import Field

from unimontage.config.base import Block, Seed

Hertz = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Preprocessing(Block):
    """Filters, resampling, windows' place in the trial and the treatment of bad channels, for one dataset."""

    highpass_hz: Hertz | None = 0.5
    """Lower edge of the zero-phase FIR filter in Hz; null leaves slow drifts in."""
    lowpass_hz: Hertz | None = 45.0
    """Upper edge of the zero-phase FIR filter in Hz; null leaves the upper end as distributed."""
    notch_hz: Hertz | None = None
    """Mains frequency to remove, 50 or 60 Hz; null removes none."""
    resample_hz: Hertz | None = None
    """New sampling rate in Hz, through an anti-aliasing filter; null keeps the native rate."""
    trial_start_s: Annotated[float, Field(ge=0)] = 0.0
    """Seconds after the start of a trial at which its first window begins."""
    trial_stop_s: Seconds | None = None
    """Seconds after the start of a trial at which its last window must have ended; null means the trial's end."""
    trial_last_s: Seconds | None = None
    """Use only the last so many seconds of each trial; null uses all of it."""
    crop_wake_min: Annotated[float, Field(ge=0)] | None = None
    """Minutes of wake to keep before the first and after the last epoch of sleep of a night; null keeps all of it."""
    bad_channels: Literal["stop", "interpolate", "keep"] = "stop"
    """What happens to a flat, clipped or NaN channel: stop the subject, interpolate from its neighbours, or keep."""


class Twin(Block):
    """The synthetic stand-in that is written in the dataset's native file format."""

    seed: Seed = 0
    """Seed of everything that is drawn for the stand-in."""
    trial_s: Seconds | None = None
    """Length of a trial in seconds; null gives the lengths of the real files."""
    night_h: Annotated[float, Field(ge=0.1)] | None = None
    """Hours of a synthetic night, in place of a trial's length; null gives eight, and half an hour for `dreams`."""
    labels: Literal["structured", "random"] = "structured"
    """structured: the signal depends on the trial's label; random: it does not, for the leakage probe."""


class Dataset(Block):
    """One dataset of the run."""

    root: str | None = None
    """Folder that holds the dataset's native files, in the layout its owners distribute."""
    synthetic: bool = False
    """Use a synthetic stand-in instead of real files; every result is then marked SYNTHETIC."""
    subjects: Annotated[int, Field(ge=1)] | tuple[str, ...] | Literal["all"] = "all"
    """Which subjects: all, the first so many, or a list of names."""
    exclude: tuple[str, ...] = ()
    """Subjects to leave out, for example one whose file is damaged."""
    sessions: Annotated[int, Field(ge=1)] | tuple[str, ...] | Literal["all"] = "all"
    """Which sessions of each subject: all, the first so many, or a list of names."""
    channels: tuple[str, ...] | Literal["all"] | None = None
    """Which channels: a list, all that the files hold, or null for those that the dataset is usually used with."""
    length_s: Seconds | None = None
    """Length of this dataset's windows in seconds, in place of the run's."""
    step_s: Seconds | None = None
    """Seconds from one of this dataset's windows to the next, in place of the run's."""
    download: bool = False
    """Fetch missing files of an openly licensed dataset into `root`, each checked against its SHA-256."""
    mirror: str | None = None
    """Address to download from instead of the dataset's home; the checksums stay the same."""
    preprocessing: Preprocessing = Preprocessing()
    twin: Twin = Twin()


class Windows(Block):
    """How trials are cut into windows, the same for all datasets of a run."""

    length_s: Seconds = 1.0
    """Length of a window in seconds."""
    step_s: Seconds = 1.0
    """Seconds from the start of one window to the start of the next, within a trial."""
