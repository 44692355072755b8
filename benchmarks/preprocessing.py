"""How fast a night is preprocessed, beside mne and beside reading the file: ``python -m benchmarks.preprocessing``.

Every measurement is a process of its own, the competitors take turns, and ratios are taken within a round. How equal
the results are is measured on ten minutes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from benchmarks.measuring import Finding, keep

RATE_HZ, NEW_HZ, EPOCH_S, TONE_HZ = 1000.0, 100.0, 30.0, 10.0
NOISE_UV, FALL = 30.0, 0.95  # deviation, and from one sample to the next: 1/f from 8 Hz on
STEPS = {"highpass_hz": 0.3, "lowpass_hz": 40.0, "notch_hz": 50.0, "resample_hz": NEW_HZ}
LENGTH = round(EPOCH_S * NEW_HZ)


def write_night(path: Path, hours: float, channels: int) -> None:
    """A file of 1/f noise and alpha, written piece by piece; SYNTHETIC."""
    from scipy.signal import lfilter

    from unimontage.datasets.edf import Track, stream_edf

    rng, minutes = np.random.default_rng(0), max(1, round(hours * 60))
    time_s = np.arange(60_000) / RATE_HZ

    def pieces() -> Iterator[np.ndarray]:
        state = np.zeros((channels, 1))
        for _ in range(minutes):
            white = rng.standard_normal((channels, len(time_s)), dtype=np.float32)
            noise, state = lfilter([NOISE_UV * np.sqrt(1 - FALL**2)], [1, -FALL], white, zi=state)
            yield noise + white + np.float32(20) * np.sin(2 * np.pi * TONE_HZ * time_s).astype(np.float32)

    tracks = [Track(f"E{i + 1}", RATE_HZ, "uV", 3000.0) for i in range(channels)]
    stream_edf(path, tracks, 1, minutes * 60, datetime(2000, 1, 1), pieces())


def plain_read(path: Path, threads: int) -> None:
    """The bytes of the file, nothing else."""
    buffer = bytearray(2**24)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def mne_steps(path: Path, threads: int) -> np.ndarray:
    """Filter, notch and resampling one after the other, with the recording in memory; epochs as float32."""
    raw = open_raw(path).load_data(verbose="ERROR")
    raw.filter(STEPS["highpass_hz"], STEPS["lowpass_hz"], picks="all", n_jobs=threads, verbose="ERROR")
    raw.notch_filter(STEPS["notch_hz"], picks="all", n_jobs=threads, verbose="ERROR")
    # Without npad=0 mne pads to a length that the ratio of the rates does not divide, and displaces the signal.
    raw.resample(NEW_HZ, npad=0, n_jobs=threads, verbose="ERROR")
    data = raw.get_data()[:, : raw.n_times // LENGTH * LENGTH] * 1e6
    return data.reshape(len(data), -1, LENGTH).transpose(1, 0, 2).astype(np.float32)


def one_pass(path: Path, threads: int) -> None:
    """The same work by unimontage, one stretch after the other."""
    for _ in epochs(path, threads):
        pass


def epochs(path: Path, threads: int) -> Iterator[np.ndarray]:
    """Epochs (n, C, T) of the conditioned signal as float32, as they pass by."""
    from unimontage.signal.filtering import design
    from unimontage.signal.streaming import Reader, conditioned, windows_of

    raw = open_raw(path)
    reader = Reader(raw, raw.ch_names)
    stretches = conditioned(reader, [0], design(RATE_HZ, [reader.samples], **STEPS), threads)
    starts = np.arange(round(reader.samples * NEW_HZ / RATE_HZ) // LENGTH) * LENGTH
    for _, windows in windows_of(stretches, starts, LENGTH):
        yield windows


def whole_stage(path: Path, threads: int) -> None:
    """Rule preprocess: inspection, conditioning, digests, scale and the window store on disk."""
    from dataclasses import replace

    from unimontage.config.data import Preprocessing
    from unimontage.datasets.eegmmidb import FACTS
    from unimontage.datasets.facts import Recording
    from unimontage.stages import preprocess as stage

    raw = open_raw(path)
    onset = np.arange(int(raw.n_times / RATE_HZ / EPOCH_S)) * EPOCH_S
    trials = pd.DataFrame({"trial": np.arange(len(onset)) + 1, "onset_s": onset, "duration_s": EPOCH_S})
    facts = replace(FACTS, sfreq_hz=RATE_HZ, channels=tuple(raw.ch_names), continuous=True)
    stage.load = lambda key: SimpleNamespace(FACTS=facts, read=lambda root, subject, session: Recording(raw, trials))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder) / "source.json"
        source.write_text(json.dumps({"root": folder, "synthetic": True, "files": []}))
        stage.preprocess(
            stage.PreprocessRequest(
                code="",
                source=source,
                dataset="night",
                subject="n1",
                sessions=("1",),
                channels=tuple(raw.ch_names),
                preprocessing=Preprocessing(**STEPS),
                length_s=EPOCH_S,
                step_s=EPOCH_S,
                windows=Path(folder) / "n1.h5",
                quality=Path(folder) / "n1.json",
                threads=threads,
            )
        )


WORK = {work.__name__: work for work in (plain_read, mne_steps, one_pass, whole_stage)}


def open_raw(path: Path):
    import mne

    return mne.io.read_raw_edf(path, preload=False, verbose="ERROR")


def measure(what: str, night: Path, warm_up: Path, threads: int) -> None:
    """Print seconds and memory of one piece of work; what it imports was loaded by a minute of the same before."""
    WORK[what](warm_up, threads)
    wall, cpu = time.perf_counter(), time.process_time()
    WORK[what](night, threads)
    taken = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"what": what, "wall_s": taken[0], "cpu_s": taken[1], "peak_rss_mb": peak}))


def compare(hours: float, channels: int, rounds: int, threads: int, work: list[str]) -> pd.DataFrame:
    """Measurements of all rounds, one row each."""
    quiet = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        night, warm_up = Path(folder) / "night.edf", Path(folder) / "minute.edf"
        write_night(night, hours, channels)
        write_night(warm_up, 1 / 60, channels)
        for number in range(rounds):
            order = work if number % 2 == 0 else work[::-1]
            for what in order:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.preprocessing",
                    "--measure",
                    what,
                    str(night),
                    str(warm_up),
                ]
                done = subprocess.run(
                    [*command, "--threads", str(threads)],
                    capture_output=True,
                    text=True,
                    check=True,
                    env=os.environ | quiet,
                )
                rows.append({"round": number + 1} | json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def differences() -> tuple[float, float]:
    """From mne's result, outer epochs left out: largest difference in microvolt, delay in milliseconds.

    The outer ones differ because mne changes the rate in one transform, whose ends meet.
    """
    with tempfile.TemporaryDirectory() as folder:
        night = Path(folder) / "ten_minutes.edf"
        write_night(night, 1 / 6, 2)
        ours, theirs = (found[1:-1] for found in (np.concatenate(list(epochs(night, 1))), mne_steps(night, 1)))
    wave = np.exp(-2j * np.pi * TONE_HZ * np.arange(LENGTH) / NEW_HZ)  # whole periods in an epoch
    turned = np.angle(np.vdot((theirs * wave).sum(axis=(0, 2)), (ours * wave).sum(axis=(0, 2))))
    return float(np.abs(ours - theirs).max()), float(turned / (2 * np.pi * TONE_HZ) * 1000)


def findings(table: pd.DataFrame, title: str) -> list[Finding]:
    """Ratios to mne within a round."""
    wall = table.pivot(index="round", columns="what", values="wall_s")
    gap_uv, delay_ms = differences()
    equal = f"within {gap_uv:.3f} uV of mne's; delay {abs(delay_ms):.4f} ms"
    bounds = {what: float((wall[what] / wall["plain_read"]).median()) for what in ("one_pass", "whole_stage")}
    names = {"one_pass": "filter, notch, resample, cut", "whole_stage": "rule preprocess, store and digests included"}
    found = []
    for what, goal in (("one_pass", 10), ("whole_stage", 1)):
        if "mne_steps" in wall:
            ratios = (wall["mne_steps"] / wall[what]).tolist()
            found.append(Finding(f"{names[what]}, {title}", "mne, step by step", ratios, goal, equal, bounds[what]))
        memory = (table.loc[table["what"] == what, "peak_rss_mb"] / 1e3).tolist()
        found.append(Finding(f"{names[what]}, {title}, GB", "limit", memory, 1, bound=bounds[what]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8)
    parser.add_argument("--channels", type=int, default=11)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without-mne", action="store_true", help="for nights that mne cannot hold in memory")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        what, night, warm_up = given.measure
        measure(what, Path(night), Path(warm_up), given.threads)
        return
    work = [what for what in WORK if not (given.without_mne and what == "mne_steps")]
    table = compare(given.hours, given.channels, given.rounds, given.threads, work)
    title = f"{given.hours:g} h x {given.channels} channels, {RATE_HZ:g} to {NEW_HZ:g} Hz"
    about = {"threads": given.threads, "data": "SYNTHETIC night", "bound": "reading the bytes of the file"}
    keep(f"preprocessing_{given.hours:g}h_{given.channels}ch", findings(table, title), **about)


if __name__ == "__main__":
    main()
