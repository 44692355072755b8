"""Rule preprocess: from a subject's native files to its window store."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unimontage.config.data import Preprocessing, Windows
from unimontage.datasets import load
from unimontage.datasets.assembly import labels_of
from unimontage.datasets.facts import DatasetFacts, Recording
from unimontage.datasets.hypnogram import crop_wake
from unimontage.errors import UserError
from unimontage.signal.filtering import Conditioning, design, piece_starts, places
from unimontage.signal.quality import ChannelReport, Inspection, Spread, check_amplitude, repair
from unimontage.signal.streaming import Reader, conditioned, windows_of
from unimontage.signal.windowing import cut, digests
from unimontage.stages.request import Request, logger
from unimontage.windows import WindowWriter
from unimontage.windows.atomic import atomic
from unimontage.windows.scale import ScaleSample
from unimontage.windows.store import KEYS


class PreprocessRequest(Request):
    """Cut one subject into windows."""

    source: Path
    dataset: str
    subject: str
    sessions: tuple[str, ...]
    channels: tuple[str, ...]
    preprocessing: Preprocessing
    length_s: float
    step_s: float
    windows: Path
    quality: Path
    threads: int = 1


@dataclass(frozen=True)
class Session:
    """What is kept of a session once its windows are written."""

    table: pd.DataFrame
    scale: dict[str, list[float]]
    missing: list[str]
    quality: dict[str, Any]


def preprocess(request: PreprocessRequest) -> None:
    """Read, check, filter, resample and cut every session of a subject, by slices where a file can be read so."""
    source = json.loads(request.source.read_text())
    module = load(request.dataset)
    rate = request.preprocessing.resample_hz or module.FACTS.sfreq_hz
    samples = round(request.length_s * rate)
    root, facts, first = Path(source["root"]), module.FACTS, 0
    done: dict[str, Session] = {}
    sessions = module.sittings(root, request.subject) if facts.grouped else request.sessions
    with WindowWriter(request.windows, channels=request.channels, samples=samples, sfreq_hz=rate) as writer:
        for session in sessions:
            where = f"{request.dataset} subject {request.subject} session {session}"
            recording = module.read(root, request.subject, session)
            done[session] = part = _session(recording, facts, request, writer, first, rate, where)
            first += len(part.table)
            part.table.insert(0, "session", session)
            logger.info("%s: %d windows of %d trials", where, len(part.table), part.table["trial"].nunique())
        if not done:
            logger.info("%s %s: no patient of this group is in %s, no windows", request.dataset, request.subject, root)
        tables = [part.table for part in done.values() if len(part.table)]
        table = pd.concat(tables, ignore_index=True) if tables else _no_windows(facts).assign(session="")
        table = _identify(table, request, facts)
        quality = {session: part.quality for session, part in done.items()}
        with atomic(request.quality) as aside:
            aside.write_text(json.dumps({"synthetic": source["synthetic"], "sessions": quality}, indent=1))
        labels = [name for name in table.columns if name not in KEYS]
        writer.finish(table[[*KEYS, *labels]], _attributes(request, source, done))


def _attributes(request: PreprocessRequest, source: dict[str, Any], done: dict[str, Session]) -> dict[str, Any]:
    return {
        "dataset": request.dataset,
        "subject": request.subject,
        "synthetic": source["synthetic"],
        "source": {entry["path"]: entry["sha256"] for entry in source["files"]},
        "preprocessing": request.preprocessing.model_dump(),
        "windows": Windows(length_s=request.length_s, step_s=request.step_s).model_dump(),
        "scale": {session: part.scale for session, part in done.items() if len(part.table)},
        "missing": {session: part.missing for session, part in done.items() if len(part.table)},
        "code": request.code,
    }


def _session(
    recording: Recording,
    facts: DatasetFacts,
    request: PreprocessRequest,
    writer: WindowWriter,
    first: int,
    rate: float,
    where: str,
) -> Session:
    """Inspect a recording in one pass and condition it in another; its windows are written from row ``first`` on."""
    options, raw, trials, dropped = request.preprocessing, recording.raw, recording.trials, dict(recording.dropped)
    if facts.grouped:
        trials, reason = _fitting(recording, request)
        dropped |= reason
        if trials.empty:
            counts = {"trials": len(recording.trials), "windows": 0, "dropped": dropped, "notes": recording.notes}
            return Session(_no_windows(facts), {}, [], counts | {"missing": list(recording.missing)})
    missing = _missing(request.channels, recording, where)
    present = [name for name in request.channels if name not in missing]
    if options.crop_wake_min is not None:
        _require_stages(trials, where)
        trials, dropped["wake"] = crop_wake(trials, options.crop_wake_min)
    reader, old_hz = Reader(raw, present), float(raw.info["sfreq"])
    report, flat = _inspect(reader, present, old_hz, trials if facts.continuous else trials[:0])
    if facts.continuous:
        trials, dropped["flat"] = trials[~flat], int(flat.sum())
    reader.mend(repair(present, report, options.bad_channels, where))
    joints = piece_starts(raw)
    conditioning = design(
        old_hz,
        np.diff([*joints, reader.samples]),
        highpass_hz=options.highpass_hz,
        lowpass_hz=options.lowpass_hz,
        notch_hz=options.notch_hz,
        resample_hz=options.resample_hz,
        rates_hz=facts.known_rates_hz,
        where=where,
    )
    _require_rate(conditioning, rate, where)
    table = cut(
        trials,
        rate,
        request.length_s,
        request.step_s,
        start_s=options.trial_start_s,
        stop_s=options.trial_stop_s,
        last_s=options.trial_last_s,
        samples_total=places([reader.samples], conditioning.ratio)[0],
        where=where,
    )
    spread = Spread(len(present))
    stretches = _measured(conditioned(reader, joints, conditioning, request.threads), spread)
    columns = [request.channels.index(name) for name in present]
    scale, digest, rounding_uv = _write(stretches, table, round(request.length_s * rate), columns, writer, first)
    median_sd = float(np.median(spread.sd()))
    check_amplitude(median_sd, *facts.amplitude_uv, where)
    counts = {"trials": len(recording.trials), "windows": len(table), "dropped": dropped, "notes": recording.notes}
    counts |= {"missing": missing, "labels": labels_of(raw)}
    measured = {"filtered_sd_uv": median_sd, "rounding_uv": rounding_uv}
    quality = asdict(report) | counts | measured | {"handled": options.bad_channels}
    return Session(table.assign(digest=digest), scale, missing, quality)


def _fitting(recording: Recording, request: PreprocessRequest) -> tuple[pd.DataFrame, dict[str, int]]:
    """Trials that windows can be cut from, and how many others there are, by reason.

    A group of patients nobody chose by name may hold recordings that are too short or lack a channel. They are left
    out one by one and counted; for a subject that was asked for by name both are errors.
    """
    trials, options = recording.trials, request.preprocessing
    if set(request.channels) & set(recording.missing):
        return trials[:0], {"lacking_channels": len(trials)}
    offered = trials["duration_s"].clip(upper=options.trial_stop_s) - options.trial_start_s
    long = offered.clip(upper=options.trial_last_s) >= request.length_s - 1e-9
    return trials[long], {"shorter_than_a_window": int((~long).sum())}


def _no_windows(facts: DatasetFacts) -> pd.DataFrame:
    """The table of a recording without windows, up to its session: columns and their types, no rows."""
    labels = {column: "float64" for task in facts.tasks.values() for column in task.columns}
    kinds = {"trial": "int64", "k": "int64", "start_s": "float64", "start_sample": "int64"} | labels
    return pd.DataFrame(columns=[*kinds, "digest"]).astype(kinds)


def _missing(channels: Sequence[str], recording: Recording, where: str) -> list[str]:
    """Channels asked for that the recording is known to lack; any other that it does not hold is an error."""
    names = recording.raw.ch_names
    absent = [name for name in channels if name not in names]
    odd = [name for name in absent if name not in recording.missing]
    if odd or len(absent) == len(channels):
        raise UserError(
            f"{where}: no channel {', '.join(odd or absent)}; the file holds {', '.join(names)}",
            expected=f"the {len(channels)} channels asked for",
            mend="name other `channels:` for the dataset, or leave the subject out with `exclude`",
        )
    return absent


def _require_stages(trials: pd.DataFrame, where: str) -> None:
    if "stage" not in trials:
        raise UserError(
            f"{where}: there are no sleep stages, so no wake around them can be cropped",
            expected="crop_wake_min for datasets of sleep alone",
            mend="preprocessing: {crop_wake_min: null}",
        )


def _inspect(
    reader: Reader, channels: Sequence[str], rate: float, epochs: pd.DataFrame
) -> tuple[ChannelReport, np.ndarray]:
    """What is found about the channels, and which of a continuous recording's epochs hold no movement at all."""
    onset = epochs["onset_s"].to_numpy(dtype=float)
    bounds = np.stack([onset, onset + epochs["duration_s"].to_numpy(dtype=float)], axis=1)  # (E, 2)
    inspection = Inspection(channels, rate, np.rint(bounds * rate).astype(np.int64) if len(bounds) else None)
    for data in reader.slices():
        inspection.add(data)
    return inspection.report(), inspection.still_epochs()


def _require_rate(conditioning: Conditioning, rate: float, where: str) -> None:
    if not math.isclose(conditioning.new_hz, rate, rel_tol=1e-6):
        raise UserError(
            f"{where}: the file is sampled at {conditioning.rate_hz:g} Hz, others of the dataset at {rate:g} Hz",
            expected="one rate within a dataset",
            mend=f"preprocessing: {{resample_hz: {rate:g}}}",
        )


def _measured(stretches: Iterable[np.ndarray], spread: Spread) -> Iterator[np.ndarray]:
    for stretch in stretches:
        spread.add(stretch)
        yield stretch


def _write(
    stretches: Iterable[np.ndarray],
    table: pd.DataFrame,
    samples: int,
    columns: Sequence[int],
    writer: WindowWriter,
    first: int,
) -> tuple[dict[str, list[float]], np.ndarray, float]:
    """Write windows as they pass by, NaN in all columns but those given; their scale, digests and largest rounding."""
    sample, digest, largest = ScaleSample(len(table), samples), np.empty(len(table), dtype=object), 0.0
    for rows, present in windows_of(stretches, table["start_sample"].to_numpy(), samples):
        windows = np.full((len(rows), writer.channels, samples), np.nan, dtype=np.float32)
        windows[:, columns] = present
        digest[rows] = digests(windows)  # of the signal itself: overlapping windows are rounded each in its own steps
        # Trials that are not in the order of time have their rows in several runs.
        for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
            stored = writer.write(first + rows[run[0]], windows[run])
            sample.add(rows[run[0]], stored)
            largest = max(largest, float(np.abs(stored - windows[run])[:, columns].max(initial=0)))
    return sample.scale(), digest, largest


def _identify(table: pd.DataFrame, request: PreprocessRequest, facts: DatasetFacts) -> pd.DataFrame:
    """Give every window its id, ``dataset/subject/session/trial/k``; the patient in place of a group of patients."""
    session = table["session"].astype(str)
    subject = session.str.split("-").str[0] if facts.grouped else request.subject
    place = session + "/" + table["trial"].astype(str) + "/" + table.pop("k").astype(str)
    table.insert(0, "window", f"{request.dataset}/" + subject + "/" + place)
    return table
