"""How fast windows are read at random, beside HDF5 in chunks: ``python -m benchmarks.windows``.

3,000 windows of 62 channels and 800 samples, in the page cache: 64 whole windows a call, or 256 single channels.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from benchmarks.measuring import Finding, keep, take_turns
from benchmarks.noise import noise_store
from unimontage.windows import WindowStore
from unimontage.windows.signal import StoredSignal

SHAPE = (3000, 62, 800)
WINDOWS, SINGLE = 64, 256


def write(folder: Path) -> tuple[WindowStore, np.ndarray]:
    """The same windows in a store and in chunks, plain and compressed; the store, and the windows before rounding."""
    store, signal = noise_store(folder, "seed", SHAPE[0], SHAPE[2], 200.0)
    with h5py.File(folder / "chunks.h5", "w") as file:
        file.create_dataset("plain", data=signal, chunks=(1, *SHAPE[1:]))
        file.create_dataset("gzip", data=signal, chunks=(1, *SHAPE[1:]), compression="gzip", compression_opts=4)
    return store, signal


def random_reads(folder: Path, store: StoredSignal, rounds: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Seconds of whole windows and of single channels, read in each way and simply copied in memory."""
    rng = np.random.default_rng(1)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(0, SHAPE[0], count), rng.integers(0, SHAPE[1], count)

    def chunked(name: str) -> Callable[[], object]:
        def read() -> None:
            out, rows = np.empty((WINDOWS, *SHAPE[1:]), dtype=np.float32), draw(WINDOWS)[0]
            for place, row in enumerate(rows):
                file[name].read_direct(out, np.s_[row], np.s_[place])

        return read

    def chunked_single(name: str) -> Callable[[], object]:
        return lambda: np.stack([file[name][row, channel] for row, channel in zip(*draw(SINGLE), strict=True)])

    with h5py.File(folder / "chunks.h5") as file:
        source, copy = (np.ones((WINDOWS, *SHAPE[1:]), dtype=np.float32) for _ in range(2))
        whole = {"store": lambda: store[draw(WINDOWS)[0]], "copy": lambda: np.copyto(copy, source)}
        whole |= {name: chunked(name) for name in ("plain", "gzip")}
        single = {"store": lambda: store[draw(SINGLE)]} | {name: chunked_single(name) for name in ("plain", "gzip")}
        return take_turns(whole, rounds, repeats=5), take_turns(single, rounds, repeats=2)


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, signal = write(folder)
        stored = store.signal[:]
        whole, single = random_reads(folder, store.signal, given.rounds)
        store_mb = (folder / "seed.h5").stat().st_size / 1e6
    ours, half = (np.sqrt(np.square(other - signal).mean()) for other in (stored, signal.astype(np.float16)))
    equal = f"error {ours:.1e} uV, {half / ours:.1f} times below float16's"
    bound = float((whole["store"] / whole["copy"]).median())
    findings = []
    for peer, text in (("plain", "h5py, a chunk a window"), ("gzip", "h5py, a chunk a window, gzip 4")):
        ratios = [(table[peer] / table["store"]).tolist() for table in (whole, single)]
        findings.append(Finding(f"{WINDOWS} random windows of 62 x 800", text, ratios[0], 4, equal, bound))
        findings.append(Finding(f"{SINGLE} random single channels", text, ratios[1], 40, equal))
    findings.append(Finding("rounding of a store", "float16", [float(half / ours)], 4, equal))
    keep("windows", findings, store_mb=store_mb, bound="copying as many bytes in memory")


if __name__ == "__main__":
    main()
