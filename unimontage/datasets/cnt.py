"""Neuroscan continuous files of 32-bit samples: opened by mne once their header holds together, and written."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unimontage.datasets.assembly import respell
from unimontage.errors import UserError

if TYPE_CHECKING:
    import mne

SETUP_BYTES, ELECTRODE_BYTES = 900, 75
# Byte and format of the fields of the setup block that say what the file holds.
CHANNELS, RATE, SAMPLES, EVENT_TABLE = (370, "<H"), (376, "<H"), (864, "<i"), (886, "<i")
SAMPLE_BYTES = 4
LARGEST_RECOUNTED = 2 * 10**9  # bytes; beyond it the place of the event table overflows its field
UNIT_PER_CALIBRATION = 204.8  # microvolts = digital value * sensitivity * calibration / 204.8
STEP_UV = 0.03  # of the files written here; that of a 24-bit amplifier
DAMAGED = "a complete Neuroscan CNT file; this one is truncated or damaged"


@dataclass(frozen=True)
class CntHeader:
    """What a CNT file says about itself."""

    labels: tuple[str, ...]
    sfreq_hz: float
    samples: int  # of a channel, by the room before the event table: some headers announce another number

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return self.samples / self.sfreq_hz


def read_cnt_header(path: Path, mend: str) -> CntHeader:
    """Parse the header of a CNT file.

    Parameters
    ----------
    path : Path
    mend : str
        What to do about a broken file.

    Raises
    ------
    UserError
        If the file does not start with one, or ends before its samples do.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        setup = file.read(SETUP_BYTES)
        if len(setup) < SETUP_BYTES:
            raise UserError(f"{path.name} has {size} bytes, less than a header", expected=DAMAGED, mend=mend)
        channels, rate, announced, table = (
            struct.unpack_from(form, setup, place)[0] for place, form in (CHANNELS, RATE, SAMPLES, EVENT_TABLE)
        )
        electrodes = file.read(ELECTRODE_BYTES * channels)
    begin, row = SETUP_BYTES + len(electrodes), SAMPLE_BYTES * channels
    if size >= LARGEST_RECOUNTED:
        table = begin + row * announced
    if not channels or not rate or len(electrodes) < ELECTRODE_BYTES * channels or not begin < table <= size:
        raise UserError(
            f"{path.name} announces {channels} channels at {rate} Hz and samples up to byte {table}, of {size} bytes",
            expected=DAMAGED,
            mend=mend,
        )
    labels = [electrodes[i * ELECTRODE_BYTES :][:10].split(b"\0")[0].decode("latin1").strip() for i in range(channels)]
    return CntHeader(tuple(labels), float(rate), (table - begin) // row)


def open_cnt(path: Path, names: Mapping[str, str], mend: str) -> mne.io.BaseRaw:
    """Open some channels of a file, leaving the samples on disk.

    The number of samples is counted anew, because headers that announce a wrong one are in circulation.

    Parameters
    ----------
    path : Path
    names : mapping
        Label in the file -> canonical name, in the order wanted.
    mend : str
        What to do about a broken file.

    Returns
    -------
    mne.io.BaseRaw
        Volts, without annotations.

    Raises
    ------
    UserError
        For a file that is truncated, damaged, or of another format.
    """
    import mne

    read_cnt_header(path, mend)
    recount = path.stat().st_size < LARGEST_RECOUNTED
    try:
        raw = mne.io.read_raw_cnt(path, data_format="int32", recompute_n_samples=recount, verbose="ERROR")
    except (RuntimeError, ValueError, OverflowError, struct.error) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path.name} cannot be read as a CNT file ({reason})", expected=DAMAGED, mend=mend) from error
    raw.set_annotations(None)
    raw.info["bads"] = []  # what a technician marked is left to the inspection of the signal
    raw.pick(list(names))
    return respell(raw, names)


def stream_cnt(
    path: Path, labels: Sequence[str], sfreq_hz: int, samples: int, start: datetime, pieces: Iterable[np.ndarray]
) -> None:
    """Write a CNT file piece by piece, so that it may be larger than memory.

    Parameters
    ----------
    path : Path
    labels : sequence of str, length C
        Of at most four characters: longer ones run into a byte that marks a channel as bad.
    sfreq_hz : int
    samples : int
        Of a channel.
    start : datetime
    pieces : iterable of ndarray, shape (C, any)
        Microvolts.

    Raises
    ------
    ValueError
        If the pieces do not add up to `samples`.
    """
    begin = SETUP_BYTES + ELECTRODE_BYTES * len(labels)
    written = 0
    with path.open("wb") as file:
        file.write(_setup(len(labels), sfreq_hz, samples, begin + SAMPLE_BYTES * len(labels) * samples, start))
        file.writelines(_electrode(label, 2 * np.pi * i / len(labels)) for i, label in enumerate(labels))
        for piece in pieces:
            np.rint(piece.T / STEP_UV).astype("<i4").tofile(file)  # (samples, C): one sample of all channels together
            written += piece.shape[1]
        file.write(struct.pack("<Bii", 1, 0, 0))  # an event table without events
    if written != samples:
        raise ValueError(f"{path.name}: {written} samples written, {samples} announced")


def _setup(channels: int, sfreq_hz: int, samples: int, table: int, start: datetime) -> bytes:
    block = bytearray(SETUP_BYTES)
    block[:12] = b"Version 3.0\0"
    block[225:235] = f"{start:%m/%d/%y}".encode().ljust(10, b"\0")
    block[235:247] = f"{start:%H:%M:%S}".encode().ljust(12, b"\0")
    table = min(table, 2**31 - 1)  # as the recorder leaves it where the field is too small
    for (place, form), value in ((CHANNELS, channels), (RATE, sfreq_hz), (SAMPLES, samples), (EVENT_TABLE, table)):
        struct.pack_into(form, block, place, value)
    struct.pack_into("<f", block, 890, samples / sfreq_hz)
    return bytes(block)


def _electrode(label: str, angle: float) -> bytes:
    block = bytearray(ELECTRODE_BYTES)
    block[:10] = label.encode("ascii").ljust(10, b"\0")
    # Places on a screen, which mne fits a sphere to; any that are not in line will do.
    struct.pack_into("<ff", block, 19, 40 + 30 * np.cos(angle) * (1 + np.sin(3 * angle) / 4), 40 + 30 * np.sin(angle))
    struct.pack_into("<f", block, 59, 1.0)
    struct.pack_into("<f", block, 71, UNIT_PER_CALIBRATION * STEP_UV)
    return bytes(block)
