"""Stores that hold windows of noise, for benchmarks; SYNTHETIC."""

from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.datasets import facts
from unimontage.windows import WindowStore, write_windows
from unimontage.windows.store import KEYS


def noise_store(
    folder: Path, dataset: str, windows: int, samples: int, sfreq_hz: float
) -> tuple[WindowStore, np.ndarray]:
    """Consecutive windows with the channels of a dataset, 20 microvolt of noise.

    Returns
    -------
    store : WindowStore
    signal : ndarray, shape (windows, C, samples), float32
        What it holds, before it was rounded.
    """
    channels, k = facts(dataset).channels, np.arange(windows)
    signal = 20 * np.random.default_rng(0).standard_normal((windows, len(channels), samples), dtype=np.float32)
    columns = {"window": [f"{dataset}/1/1/{i + 1}/0" for i in k], "session": "1", "trial": k + 1}
    table = pd.DataFrame(columns | {"start_s": 0.0, "start_sample": k * samples, "digest": ""})[list(KEYS)]
    path = folder / f"{dataset}.h5"
    attributes = {"dataset": dataset, "subject": "1"}
    write_windows(path, signal, table, channels=channels, sfreq_hz=sfreq_hz, attributes=attributes)
    return WindowStore.open(path), signal
