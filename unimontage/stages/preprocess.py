"""Rule preprocess: from a subject's native files to its window store."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.config.data import Preprocessing, Windows
from unimontage.datasets import load
from unimontage.datasets.facts import DatasetFacts, Recording
from unimontage.errors import UserError
from unimontage.signal.filtering import condition
from unimontage.signal.quality import check_amplitude, handle_bad_channels, inspect_channels
from unimontage.signal.windowing import cut, digests, gather
from unimontage.stages.request import Request, logger
from unimontage.windows import write_windows
from unimontage.windows.atomic import atomic
from unimontage.windows.store import KEYS

MICROVOLT = 1e6


class PreprocessRequest(Request):
    """Cut one subject into windows."""

    source: Path
    dataset: str
    subject: str
    sessions: tuple[str, ...]
    preprocessing: Preprocessing
    length_s: float
    step_s: float
    windows: Path
    quality: Path


def preprocess(request: PreprocessRequest) -> None:
    """Read, check, filter, resample and cut every session of a subject."""
    source = json.loads(request.source.read_text())
    module = load(request.dataset)
    signals, tables, quality = [], [], {}
    for session in request.sessions:
        where = f"{request.dataset} subject {request.subject} session {session}"
        recording = module.read(Path(source["root"]), request.subject, session)
        signal, table, report = _session(recording, module.FACTS, request, where)
        table.insert(0, "session", session)
        signals.append(signal)
        tables.append(table)
        quality[session] = report
        logger.info("%s: %d windows of %d trials", where, len(table), table["trial"].nunique())
    table = _identify(pd.concat(tables, ignore_index=True), request.dataset, request.subject)
    signal = np.concatenate(signals)
    table["digest"] = digests(signal)
    attributes = {
        "dataset": request.dataset,
        "subject": request.subject,
        "synthetic": source["synthetic"],
        "source": {entry["path"]: entry["sha256"] for entry in source["files"]},
        "preprocessing": request.preprocessing.model_dump(),
        "windows": Windows(length_s=request.length_s, step_s=request.step_s).model_dump(),
        "code": request.code,
    }
    channels, rate = tuple(recording.raw.ch_names), _rate(request, module.FACTS)
    labels = [name for name in table.columns if name not in KEYS]
    with atomic(request.quality) as aside:
        aside.write_text(json.dumps({"synthetic": source["synthetic"], "sessions": quality}, indent=1))
    write_windows(
        request.windows, signal, table[[*KEYS, *labels]], channels=channels, sfreq_hz=rate, attributes=attributes
    )


def _session(
    recording: Recording, facts: DatasetFacts, request: PreprocessRequest, where: str
) -> tuple[np.ndarray, pd.DataFrame, dict]:
    """Windows (N, C, T) in microvolt, their table, and what was found about the channels."""
    options = request.preprocessing
    raw = recording.raw.load_data(verbose="error")
    _require_channels(raw.ch_names, facts, where)
    report = inspect_channels(raw.get_data() * MICROVOLT, raw.ch_names, raw.info["sfreq"])
    raw = handle_bad_channels(raw, report, options.bad_channels, where)
    raw = condition(
        raw,
        highpass_hz=options.highpass_hz,
        lowpass_hz=options.lowpass_hz,
        notch_hz=options.notch_hz,
        resample_hz=options.resample_hz,
        sfreq_hz=facts.sfreq_hz,
        where=where,
    )
    data = raw.get_data() * MICROVOLT  # (C, S)
    median_sd = float(np.median(data.std(axis=1)))
    check_amplitude(median_sd, *facts.amplitude_uv, where)
    rate = float(raw.info["sfreq"])
    table = cut(
        recording.trials,
        rate,
        request.length_s,
        request.step_s,
        start_s=options.trial_start_s,
        stop_s=options.trial_stop_s,
        last_s=options.trial_last_s,
        samples_total=data.shape[1],
        where=where,
    )
    signal = gather(data, table["start_sample"].to_numpy(), round(request.length_s * rate))
    trials = {"trials": len(recording.trials), "windows": len(table), "filtered_sd_uv": median_sd}
    return signal.astype(np.float32), table, asdict(report) | trials | {"handled": options.bad_channels}


def _require_channels(names: list[str], facts: DatasetFacts, where: str) -> None:
    if tuple(names) != facts.channels:
        odd = sorted(set(names) ^ set(facts.channels)) or ["the order"]
        raise UserError(
            f"{where}: channels differ from the dataset's in {', '.join(odd)}",
            expected=f"{len(facts.channels)} channels in the dataset's order",
            mend=f"datasets: {{{facts.key}: {{exclude: [...]}}}} leaves the subject out",
        )


def _rate(request: PreprocessRequest, facts: DatasetFacts) -> float:
    return request.preprocessing.resample_hz or facts.sfreq_hz


def _identify(table: pd.DataFrame, dataset: str, subject: str) -> pd.DataFrame:
    """Give every window its id, ``dataset/subject/session/trial/k``."""
    parts = [table["session"], table["trial"].astype(str), table.pop("k").astype(str)]
    identity = parts[0].str.cat(parts[1:], sep="/")
    table.insert(0, "window", f"{dataset}/{subject}/" + identity)
    return table
