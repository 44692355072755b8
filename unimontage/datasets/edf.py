"""EDF files: opened as the facts have them, and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unimontage.datasets.assembly import respell
from unimontage.datasets.edf_header import ANNOTATIONS, FIELDS, Header, read_header
from unimontage.datasets.facts import DatasetFacts
from unimontage.errors import UserError
from unimontage.montage.names import canonical, canonical_channels

if TYPE_CHECKING:
    import mne

UNITS = ("uV", "mV", "V", "\N{MICRO SIGN}V")  # that mne scales to volts
LARGEST = 32767


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
    respell(raw, {name: canonical(name) for name in raw.ch_names})
    raw.pick(list(facts.channels))
    return raw


def open_edf(
    path: Path, names: Mapping[str, str], facts: DatasetFacts, mend: str, others: Sequence[str] = ()
) -> mne.io.BaseRaw:
    """Open some signals of a file, leaving the samples on disk where the file's suffix allows.

    Parameters
    ----------
    path : Path
        A name that does not end in ``.edf`` is read through an open file, which mne loads at once.
    names : mapping
        Label in the file -> canonical name, in the order wanted. Other signals may have other rates.
    facts : DatasetFacts
    mend : str
        What to do about a broken file.
    others : sequence of str
        Labels to open too, under their own names and after the rest, for references.

    Returns
    -------
    mne.io.BaseRaw
        Volts, without annotations.

    Raises
    ------
    UserError
        For a truncated file, a wrong rate, or a unit other than volts.
    """
    import mne

    header = read_header(path, mend)
    _check_size(path, header, mend)
    wanted = [*names, *others]
    signals = [header.labels.index(label) for label in wanted]
    _check_rate(path, header, signals, facts, mend)
    units = sorted({header.units[i] for i in signals} - set(UNITS))
    if units:
        raise UserError(f"{path.name} is in {', '.join(map(repr, units))}", expected=" or ".join(UNITS[:2]), mend=mend)
    if path.suffix.lower() == ".edf":
        raw = mne.io.read_raw_edf(path, include=wanted, preload=False, verbose="ERROR")
    else:
        with path.open("rb") as file:
            raw = mne.io.read_raw_edf(file, include=wanted, preload=True, verbose="ERROR")
    raw.set_annotations(None)
    respell(raw, names)
    raw.reorder_channels([*names.values(), *others])
    return raw.set_channel_types(dict.fromkeys(raw.ch_names, "eeg"), verbose="ERROR")


def read_stretches(path: Path, mend: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Onsets and durations in seconds, and texts, of the annotations of a file that holds nothing else.

    Raises
    ------
    UserError
        For a truncated file.
    """
    import mne

    _check_size(path, read_header(path, mend), mend)
    marks = mne.read_annotations(path)
    return marks.onset, marks.duration, [str(text) for text in marks.description]


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
    if len(rates) != 1 or rates[0] not in facts.known_rates_hz:
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


@dataclass(frozen=True)
class Track:
    """One signal of a file that is written in pieces."""

    label: str
    sfreq_hz: float
    unit: str
    limit: float  # physical value of the largest digital one
    transducer: str = ""
    filtering: str = ""


def stream_edf(
    path: Path,
    tracks: Sequence[Track],
    record_s: int,
    records: int,
    start: datetime,
    pieces: Iterable[Sequence[np.ndarray]],
) -> None:
    """Write an EDF file piece by piece, so that it may be larger than memory.

    Parameters
    ----------
    path : Path
    tracks : sequence of Track
    record_s : int
        Length of a data record in seconds; holds whole numbers of samples of each track.
    records : int
        How many there are.
    start : datetime
    pieces : iterable of sequence of ndarray
        For each track its samples, of a whole number of records; values beyond a track's limit are clipped.

    Raises
    ------
    ValueError
        If the pieces do not add up to `records`.
    """
    samples = [round(track.sfreq_hz * record_s) for track in tracks]
    written = 0
    with path.open("wb") as file:
        file.write(_header_bytes(tracks, samples, record_s, records, start))
        for piece in pieces:
            rows = [_digital(x, track, n) for x, track, n in zip(piece, tracks, samples, strict=True)]
            block = np.concatenate(rows, axis=1)  # (records, samples of a record)
            block.tofile(file)
            written += len(block)
    if written != records:
        raise ValueError(f"{path.name}: {written} records written, {records} announced")


def _digital(values: np.ndarray, track: Track, samples: int) -> np.ndarray:
    scaled = np.asarray(values, dtype=np.float32) * np.float32(LARGEST / track.limit)
    return np.clip(np.rint(scaled, out=scaled), -LARGEST, LARGEST).astype("<i2").reshape(-1, samples)


def _header_bytes(
    tracks: Sequence[Track], samples: Sequence[int], record_s: int, records: int, start: datetime
) -> bytes:
    fixed = [
        ("0", 8), ("X X X X", 80), ("Startdate X X X X", 80), (start.strftime("%d.%m.%y"), 8),
        (start.strftime("%H.%M.%S"), 8), (256 * (len(tracks) + 1), 8), ("", 44), (records, 8), (record_s, 8),
        (len(tracks), 4),
    ]  # fmt: skip
    columns = {
        "label": [track.label for track in tracks],
        "transducer": [track.transducer for track in tracks],
        "unit": [track.unit for track in tracks],
        "physical_min": [f"{-track.limit:g}" for track in tracks],
        "physical_max": [f"{track.limit:g}" for track in tracks],
        "digital_min": [-LARGEST] * len(tracks),
        "digital_max": [LARGEST] * len(tracks),
        "filter": [track.filtering for track in tracks],
        "samples": samples,
        "reserved": [""] * len(tracks),
    }
    fields = fixed + [(value, width) for name, width in FIELDS.items() for value in columns[name]]
    return "".join(str(value).ljust(width)[:width] for value, width in fields).encode("ascii")
