"""What a pre-training step is spent on: forward, backward, optimiser, and the rest that should be small.

``python -m benchmarks.training_step`` runs the real loop of each system on window stores of noise, and counts the time
inside the model, inside ``backward`` and inside the optimiser. What is left is drawing, gathering, augmentation and
bookkeeping.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch

from benchmarks.measuring import Finding, keep
from benchmarks.noise import noise_store
from unimontage.config.recipes import AlignedRecipe, MaskedRecipe, PretrainingSchedule, UnivariateRecipe
from unimontage.models.neural_tokenizer import NeuralTokenizer
from unimontage.montage.schema import Vocabulary
from unimontage.training import epochs, univariate
from unimontage.training.answer import AlignedStart, UnivariateStart
from unimontage.training.devices import open_device
from unimontage.training.masked import MaskedWork
from unimontage.training.patches import PatchCorpus
from unimontage.training.pretraining import Work, pretrain


def schedule(steps: int, batch: int) -> dict[str, object]:
    """One epoch a step."""
    return {"epochs": steps, "warmup_epochs": 0, "batch": batch, "windows_per_epoch": batch}


def universal(folder: Path, steps: int) -> tuple[Work, PretrainingSchedule]:
    """Segments of three montages and rates, 256 a batch."""
    sizes = {"seed": (800, 200.0), "deap": (512, 128.0), "dreamer": (512, 128.0)}
    stores = [noise_store(folder, name, 256, *size)[0] for name, size in sizes.items()]
    recipe = UnivariateRecipe.model_validate({"schedule": schedule(steps, 256)})
    words = Vocabulary.union([store.channels for store in stores]).names
    start = UnivariateStart(encoder=recipe.encoder, vocabulary=words, rates=(128.0, 200.0))
    ids = [name for store in stores for name in store.table["window"]]
    return univariate.work(stores, ids, recipe, start, 0), recipe.schedule


def sleep(preset: str) -> Callable[[Path, int], tuple[Work, PretrainingSchedule]]:
    """Epochs of 2, 6 and 11 channels, all objectives, 100 examples of each dataset and objective a batch."""

    def build(folder: Path, steps: int) -> tuple[Work, PretrainingSchedule]:
        stores = [noise_store(folder, name, 120, 3000, 100.0)[0] for name in ("sleep_edf", "isruc", "anphy")]
        encoder = {"kind": "staging", "preset": preset}
        recipe = AlignedRecipe.model_validate({"kind": "aligned", "encoder": encoder, "schedule": schedule(steps, 100)})
        montages = {store.attributes["dataset"]: store.channels for store in stores}
        kinds = {"alignment": recipe.alignment, "encoder": recipe.encoder}
        start = AlignedStart(**kinds, montages=montages, sfreq_hz=100.0, samples=3000)
        ids = [name for store in stores for name in store.table["window"]]
        return epochs.work(stores, ids, recipe, start, 0), recipe.schedule

    return build


def distill(folder: Path, steps: int) -> tuple[Work, PretrainingSchedule]:
    """LaBraM on windows of 62 channels and 4 seconds, 32 a batch."""
    store, _ = noise_store(folder, "seed", 64, 800, 200.0)
    recipe = MaskedRecipe.model_validate({"kind": "masked", "tokenizer": "own", "schedule": schedule(steps // 2, 32)})
    corpus = PatchCorpus([store], list(store.table["window"]), batch=32, interleave=True, seed=0)
    return MaskedWork(corpus, recipe, NeuralTokenizer("base"), None, 0), recipe.schedule


SYSTEMS = {"universal": universal, "sleep, tiny": sleep("tiny"), "sleep, full": sleep("full"), "distill": distill}


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


def measure(work: Work, schedule: PretrainingSchedule, threads: int, folder: Path) -> dict[str, float]:
    """Seconds a step of each part, in one run of the real loop; naming patches by a tokenizer is forward, too."""
    fabric = open_device(threads)
    work.trainee.forward = forward = Stopwatch(work.trainee.forward, fabric.device)
    watches = [forward, backward := Stopwatch(fabric.backward, fabric.device)]
    fabric.backward = backward
    if isinstance(work, MaskedWork):
        work._tokenizer.codes = codes = Stopwatch(work._tokenizer.codes, fabric.device)
        watches.append(codes)
    step = Stopwatch(torch.optim.AdamW.step, fabric.device)
    original, torch.optim.AdamW.step = torch.optim.AdamW.step, lambda *args, **kwargs: step(*args, **kwargs)
    try:
        place = {"checkpoint": folder / "c.pt", "identity": "", "events": folder / "events"}
        started = time.perf_counter()
        pretrain(work, schedule, seed=0, fabric=fabric, **place)
        whole = time.perf_counter() - started
    finally:
        torch.optim.AdamW.step = original
    steps, inside = work.steps_per_epoch * schedule.epochs, sum(watch.seconds for watch in (*watches, step))
    memory = torch.cuda.max_memory_allocated() / 1e6 if fabric.device.type == "cuda" else 0.0
    return {"step_s": whole / steps, "outside": 100 * (1 - inside / whole), "a_second": work.batch * steps / whole} | {
        "gpu_mb": memory
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all systems and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    given = parser.parse_args(arguments)
    findings = []
    for name, build in SYSTEMS.items():
        runs = []
        for _ in range(given.rounds):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(measure(*build(Path(folder), given.steps), given.threads, Path(folder)))
        middle = pd.DataFrame(runs).median()
        told = f"a step of {middle['step_s']:.2f} s, {middle['a_second']:.0f} examples a second"
        if middle["gpu_mb"]:
            told += f", {middle['gpu_mb']:.0f} MB of the GPU"
        stage = f"pre-training step, {name}: percent outside forward, backward, optimiser"
        findings.append(Finding(stage, "limit", [run["outside"] for run in runs], 10, told))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "processor"
    keep("training_step", findings, threads=given.threads, device=device, data="SYNTHETIC noise")


if __name__ == "__main__":
    main()
