"""What an EDF file says about itself, without a library, held against the facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unimontage.datasets.facts import DatasetFacts, Finding
from unimontage.errors import UserError
from unimontage.montage.names import canonical

ANNOTATIONS = "EDF Annotations"
# Widths in bytes of the per-signal header fields, in order.
FIELDS = {
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
    start: str  # date and time of day, as written

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
            columns = {name: _texts(file.read(width * count), width, count) for name, width in FIELDS.items()}
        limits = zip(columns["physical_min"], columns["physical_max"], strict=True)
        return Header(
            labels=columns["label"],
            units=columns["unit"],
            samples=tuple(int(n) for n in columns["samples"]),
            physical_range=tuple((float(low or "nan"), float(high or "nan")) for low, high in limits),
            records=int(fixed[236:244]),
            record_s=float(fixed[244:252]),
            header_bytes=int(fixed[184:192]),
            start=fixed[168:184].decode("latin1"),
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


def check_header(path: Path, name: str, facts: DatasetFacts, drop: Sequence[str] = ()) -> list[Finding]:
    """Compare one EDF header with the facts, reading no samples."""

    def eeg(labels: Sequence[str]) -> dict[str, str]:
        return {label: canonical(label) for label in labels if label != ANNOTATIONS and label not in drop}

    return check_signals(path, name, facts, eeg, facts.channels)


def check_signals(
    path: Path,
    name: str,
    facts: DatasetFacts,
    choose: Callable[[Sequence[str]], Mapping[str, str]],
    expected: Sequence[str],
) -> list[Finding]:
    """Compare size, channels, rate and unit that one EDF header announces with the facts, reading no samples.

    Parameters
    ----------
    path : Path
    name : str
        What the findings call the file.
    facts : DatasetFacts
    choose : callable
        All labels of the file -> those of EEG channels, with the channels' names. May raise a `UserError`.
    expected : sequence of str
        Channels that there should be.
    """
    try:
        header = read_header(path, "")
        names = choose(header.labels)
    except UserError as error:
        return [Finding(name, "header", error.what, "an EDF header", False)]
    signals = [i for i, label in enumerate(header.labels) if label in names]
    rates = sorted({header.sfreq_hz(i) for i in signals})
    units = sorted({header.units[i] for i in signals})
    size, least = path.stat().st_size, header.expected_bytes
    differing = sorted(set(names.values()) ^ set(expected))
    return [
        Finding(name, "size", f"{size} bytes", f"at least {least or size} bytes", size >= (least or 0)),
        Finding(
            name,
            "channels",
            f"{len(names)}" + (f" (differing: {', '.join(differing)})" if differing else ""),
            f"the {len(expected)} of {facts.key}",
            sorted(names.values()) == sorted(expected),
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
