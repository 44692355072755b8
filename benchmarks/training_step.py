"""What a pre-training step is spent on: forward, backward, optimiser, and the rest that should be small.

``python -m benchmarks.training_step`` runs the real loop on montages of 2, 6, 11 and, on request, 83 channels
of noise, and counts the time inside the model, inside ``backward`` and inside the optimiser. What is left is drawing,
gathering, augmentation and bookkeeping.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from unimontage.config.recipes import AlignedRecipe
from unimontage.datasets import facts
from unimontage.training.answer import AlignedStart
from unimontage.training.devices import open_device
from unimontage.training.epochs import AlignedWork, Source
from unimontage.training.pretraining import pretrain
from unimontage.windows import WindowPool
from unimontage.windows.store import WindowStore

SFREQ_HZ, SAMPLES = 100.0, 3000
RESULTS = Path(__file__).parent / "results"


def noise(dataset: str, channels: tuple[str, ...], epochs: int) -> Source:
    """A night of noise in memory; SYNTHETIC."""
    signal = np.random.default_rng(0).standard_normal((epochs, len(channels), SAMPLES), dtype=np.float32)
    table = pd.DataFrame(
        {
            "window": [f"{dataset}/1/1/{k}/0" for k in range(1, epochs + 1)],
            "session": "1",
            "start_sample": np.arange(epochs) * SAMPLES,
        }
    )
    scale = {"1": {"median": [0.0] * len(channels), "sd": [1.0] * len(channels)}}
    pool = WindowPool.of(
        [WindowStore(signal, table, channels, SFREQ_HZ, {"dataset": dataset, "subject": "1", "scale": scale})]
    )
    return Source.of(pool, pool.ids)


class Stopwatch:
    """Seconds inside a callable, waiting for the device."""

    def __init__(self, inner: Callable, device: torch.device) -> None:
        self.seconds, self._inner, self._device = 0.0, inner, device

    def __call__(self, *args, **kwargs):
        """Call it and note the time."""
        self._wait()
        start = time.perf_counter()
        result = self._inner(*args, **kwargs)
        self._wait()
        self.seconds += time.perf_counter() - start
        return result

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def measure(
    preset: str, montages: dict[str, tuple[str, ...]], batch: int, steps: int, threads: int
) -> dict[str, float]:
    """Seconds a step of each part, in one run of the real loop."""
    recipe = AlignedRecipe.model_validate(
        {
            "kind": "aligned",
            "encoder": {"kind": "staging", "preset": preset},
            "schedule": {"epochs": steps, "warmup_epochs": 0, "batch": batch, "windows_per_epoch": batch},
        }
    )
    sources = {name: noise(name, channels, max(120, batch)) for name, channels in montages.items()}
    start = AlignedStart(
        alignment=recipe.alignment, encoder=recipe.encoder, montages=montages, sfreq_hz=SFREQ_HZ, samples=SAMPLES
    )
    work, fabric = AlignedWork(sources, recipe, start, seed=0), open_device(threads)
    work.trainee.forward = forward = Stopwatch(work.trainee.forward, fabric.device)
    fabric.backward = backward = Stopwatch(fabric.backward, fabric.device)
    step = Stopwatch(torch.optim.AdamW.step, fabric.device)
    original, torch.optim.AdamW.step = torch.optim.AdamW.step, lambda *args, **kwargs: step(*args, **kwargs)
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = {"checkpoint": Path(folder) / "c.pt", "identity": "", "events": Path(folder) / "events"}
            started = time.perf_counter()
            pretrain(work, recipe.schedule, seed=0, fabric=fabric, **place)
            whole = time.perf_counter() - started
    finally:
        torch.optim.AdamW.step = original
    parts = {"forward": forward.seconds, "backward": backward.seconds, "optimiser": step.seconds}
    row = {name: seconds / steps for name, seconds in parts.items()} | {"step": whole / steps}
    memory = torch.cuda.max_memory_allocated() / 1e6 if fabric.device.type == "cuda" else float("nan")
    return row | {"outside": 1 - sum(parts.values()) / whole, "gpu_mb": memory}


def main() -> None:
    """Measure both sizes and write a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=100, help="examples of each dataset and objective")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--channels-83", action="store_true", help="a fourth dataset with all channels of ANPHY")
    given = parser.parse_args()
    montages = {name: facts(name).channels for name in ("sleep_edf", "isruc", "anphy")}
    if given.channels_83:
        montages["anphy_all"] = facts("anphy").known_channels
    rows = []
    for preset in ("tiny", "full"):
        runs = [measure(preset, montages, given.batch, given.steps, given.threads) for _ in range(given.rounds)]
        rows.append({"preset": preset} | {name: statistics.median(run[name] for run in runs) for name in runs[0]})
        print(rows[-1], flush=True)
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.machine()}, {given.threads} threads"
    )
    head = f"# A pre-training step, batch {given.batch} a dataset and objective, {len(montages)} datasets, {device}\n"
    lines = [
        "| encoder | step s | forward s | backward s | optimiser s | outside % | GPU MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = " | ".join(f"{row[name]:.3f}" for name in ("step", "forward", "backward", "optimiser"))
        lines.append(f"| {row['preset']} | {times} | {100 * row['outside']:.1f} | {row['gpu_mb']:.0f} |")
    text = "\n".join(
        [head, "SYNTHETIC noise; medians over rounds; the first step of a run is counted.", "", *lines, ""]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training_step.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
