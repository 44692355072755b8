"""EDF headers without a library, and EDF files held against their header and the facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unimontage.datasets.facts import DatasetFacts, Finding
from unimontage.errors import UserError
from unimontage.montage.names import canonical, canonical_channels

if TYPE_CHECKING:
    import mne

ANNOTATIONS = "EDF Annotations"
# Widths in bytes of the per-signal header fields, in order.
_FIELDS = {
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8, "digital_max": 8,
    "filter": 80, "samples": 8, "reserved": 32,
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What an EDF file says about itself; one entry a signal, annotations included."""

    labels: tuple[str, ...]
    units: tuple[str, ...]
    samples: tuple[int, ...]  # per record
    physical_range: tuple[tuple[float, float], ...]
    records: int  # -1: the writer did not know
    record_s: float
    header_bytes: int

    @property
    def expected_bytes(self) -> int | None:
        """File size the header implies, or None where it does not say."""
        return None if self.records < 0 else self.header_bytes + 2 * self.records * sum(self.samples)

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return self.records * self.record_s

    def sfreq_hz(self, signal: int) -> float:
        """Sampling rate of one signal."""
        return self.samples[signal] / self.record_s


def read_header(path: Path, mend: str) -> Header:
    """Parse an EDF or EDF+ header.

    Raises
    ------
    UserError
        If the file does not start with one.
    """
    try:
        with path.open("rb") as file:
            fixed = file.read(256)
            count = int(fixed[252:256])
            columns = {name: _texts(file.read(width * count), width, count) for name, width in _FIELDS.items()}
        limits = zip(columns["physical_min"], columns["physical_max"], strict=True)
        return Header(
            labels=columns["label"],
            units=columns["unit"],
            samples=tuple(int(n) for n in columns["samples"]),
            physical_range=tuple((float(low or "nan"), float(high or "nan")) for low, high in limits),
            records=int(fixed[236:244]),
            record_s=float(fixed[244:252]),
            header_bytes=int(fixed[184:192]),
        )
    except ValueError as error:
        raise UserError(
            f"{path.name} does not start with an EDF header ({path.stat().st_size} bytes)",
            expected="a complete EDF file; this one is truncated or damaged",
            mend=mend,
        ) from error


def _texts(block: bytes, width: int, count: int) -> tuple[str, ...]:
    if len(block) < width * count:
        raise ValueError("the header stops early")
    return tuple(block[i * width : (i + 1) * width].decode("latin1").strip() for i in range(count))


def read_edf(path: Path, facts: DatasetFacts, mend: str, drop: Sequence[str] = ()) -> mne.io.BaseRaw:
    """Read the EEG channels of one file, in the order and spelling of the facts.

    Parameters
    ----------
    path : Path
    facts : DatasetFacts
    mend : str
        What to do about a broken file.
    drop : sequence of str
        Labels in the file that are not EEG.

    Returns
    -------
    mne.io.BaseRaw
        Volts, with the annotations of the file.

    Raises
    ------
    UserError
        For a truncated file, a wrong rate, or an unknown, duplicate or missing channel.
    """
    import mne

    header = read_header(path, mend)
    _check_size(path, header, mend)
    signals = [i for i, label in enumerate(header.labels) if label != ANNOTATIONS and label not in drop]
    _check_rate(path, header, signals, facts, mend)
    names = canonical_channels([header.labels[i] for i in signals], path.name)
    _check_channels(path, names, facts)
    raw = mne.io.read_raw_edf(path, exclude=list(drop), preload=True, verbose="ERROR")
    raw.rename_channels({name: canonical(name) for name in raw.ch_names})
    raw.pick(list(facts.channels))
    return raw


def _check_size(path: Path, header: Header, mend: str) -> None:
    # mne pads or shortens a truncated file with no more than a warning.
    size = path.stat().st_size
    if header.expected_bytes is not None and size < header.expected_bytes:
        raise UserError(
            f"{path.name} is truncated: {size} bytes",
            expected=f"{header.expected_bytes} bytes by its own header ({header.records} records)",
            mend=mend,
        )


def _check_rate(path: Path, header: Header, signals: Sequence[int], facts: DatasetFacts, mend: str) -> None:
    rates = sorted({header.sfreq_hz(i) for i in signals})
    if rates != [facts.sfreq_hz]:
        raise UserError(
            f"{path.name} is sampled at {', '.join(f'{rate:g}' for rate in rates)} Hz",
            expected=f"{facts.sfreq_hz:g} Hz",
            mend=mend,
        )


def _check_channels(path: Path, names: tuple[str, ...], facts: DatasetFacts) -> None:
    missing = [name for name in facts.channels if name not in names]
    if missing or len(names) != len(facts.channels):
        extra = [name for name in names if name not in facts.channels]
        detail = "; ".join(
            f"{word} {', '.join(which)}" for word, which in (("lacks", missing), ("also has", extra)) if which
        )
        raise UserError(
            f"{path.name} has {len(names)} EEG channels ({detail})",
            expected=f"the {len(facts.channels)} channels of {facts.key}",
            mend="restore the original file",
        )


def check_header(path: Path, name: str, facts: DatasetFacts, drop: Sequence[str] = ()) -> list[Finding]:
    """Compare one EDF header with the facts, reading no samples."""
    try:
        header = read_header(path, "")
    except UserError as error:
        return [Finding(name, "header", error.what, "an EDF header", False)]
    signals = [i for i, label in enumerate(header.labels) if label != ANNOTATIONS and label not in drop]
    channels = tuple(canonical(header.labels[i]) for i in signals)
    rates = sorted({header.sfreq_hz(i) for i in signals})
    units = sorted({header.units[i] for i in signals})
    size, expected = path.stat().st_size, header.expected_bytes
    differing = sorted(set(channels) ^ set(facts.channels))
    return [
        Finding(name, "size", f"{size} bytes", f"at least {expected or size} bytes", size >= (expected or 0)),
        Finding(
            name,
            "channels",
            f"{len(channels)}" + (f" (differing: {', '.join(differing)})" if differing else ""),
            f"the {len(facts.channels)} of {facts.key}",
            sorted(channels) == sorted(facts.channels),
        ),
        Finding(
            name,
            "rate",
            f"{', '.join(f'{r:g}' for r in rates)} Hz",
            f"{facts.sfreq_hz:g} Hz",
            rates == [facts.sfreq_hz],
        ),
        Finding(name, "unit", ", ".join(units), facts.unit, units == [facts.unit]),
    ]


@dataclass(frozen=True)
class Signals:
    """Rows of an EDF file to write that share a unit and a range."""

    labels: Sequence[str]
    data: np.ndarray  # (rows, samples)
    unit: str
    limit: float | None = None  # one digital step is one unit up to here; None: the range of each row
    transducer: str = ""
    filtering: str = ""


def write_edf(
    path: Path, sfreq_hz: float, groups: Iterable[Signals], annotations: Sequence[tuple[float, float, str]]
) -> None:
    """Write an EDF+ file.

    Parameters
    ----------
    path : Path
    sfreq_hz : float
    groups : iterable of Signals
        A whole number of seconds each.
    annotations : sequence of (onset_s, duration_s, text)
    """
    from edfio import Edf, EdfAnnotation, EdfSignal

    signals = []
    for group in groups:
        limits = None if group.limit is None else (-group.limit, group.limit)
        for label, row in zip(group.labels, group.data, strict=True):
            values = row.astype(np.float64) if limits is None else np.clip(row.astype(np.float64), *limits)
            signals.append(
                EdfSignal(
                    values,
                    sfreq_hz,
                    label=label,
                    transducer_type=group.transducer,
                    physical_dimension=group.unit,
                    physical_range=limits,
                    digital_range=(-32768, 32767) if limits is None else tuple(int(x) for x in limits),
                    prefiltering=group.filtering,
                )
            )
    marks = [EdfAnnotation(round(onset, 4), round(duration, 4), text) for onset, duration, text in annotations]
    Edf(signals, annotations=marks, data_record_duration=1).write(path)
