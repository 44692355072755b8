"""Random views of whole batches, beside one window after the other: ``python -m benchmarks.augmentation``.

One window after the other is what a data set's ``__getitem__`` does with numpy and scipy: draws of its own,
``np.interp``, a Butterworth band-stop. All on one thread.
How equal the operations are, given the same draws, is measured for all but the band-stop, whose filter differs.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import butter, sosfiltfilt
from torch import Tensor

from benchmarks.measuring import Finding, keep, take_turns
from unimontage.config.recipes import Augmentation
from unimontage.signal import augment, seqclr

SLEEP_HZ = 100.0
UNIVARIATE, SLEEP = (256, 800), (100, 6, 3000)
OPTIONS = Augmentation()


def univariate_window(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One view of one segment (T,)."""
    grid, scale = np.arange(len(x)), rng.uniform(OPTIONS.crop_min, 1)
    view = np.interp(rng.uniform(0, 1 - scale) * (len(x) - 1) + scale * grid, grid, x)
    if rng.random() < OPTIONS.probability:
        view = view * rng.uniform(OPTIONS.scale_low, OPTIONS.scale_high)
    if rng.random() < OPTIONS.probability:
        view = view + rng.uniform(0, OPTIONS.noise_max) * view.std() * rng.standard_normal(len(x))
    if rng.random() < OPTIONS.probability:
        length = rng.integers(0, int(OPTIONS.mask_max * len(x)) + 1)
        start = rng.integers(0, len(x) - length + 1)
        view[start : start + length] = 0
    return view.astype(np.float32)


def sleep_window(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One view of one window (C, T): two of six operations."""
    for operation in sorted(rng.choice(seqclr.OPERATIONS, seqclr.A_VIEW, replace=False)):
        x = SLEEP_OPERATIONS[operation](x, rng)
    return x.astype(np.float32)


def _shift(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    most = round(seqclr.SHIFT_S * SLEEP_HZ)
    return np.roll(x, rng.integers(-most, most + 1), axis=1)


def _mask(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = rng.integers(0, round(seqclr.MASK_S * SLEEP_HZ) + 1)
    start = rng.integers(0, x.shape[1] - length + 1)
    x = x.copy()
    x[:, start : start + length] = 0
    return x


def _stop(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    centre, half = rng.uniform(*seqclr.STOP_HZ), seqclr.STOP_WIDTH_HZ / 2
    return sosfiltfilt(butter(4, (centre - half, centre + half), "bandstop", fs=SLEEP_HZ, output="sos"), x)


SLEEP_OPERATIONS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    lambda x, rng: x * rng.uniform(*seqclr.SCALE),
    _shift,
    lambda x, rng: x + 0.1 * rng.uniform(-seqclr.OFFSET_UV, seqclr.OFFSET_UV),
    _mask,
    lambda x, rng: x + rng.uniform(0, seqclr.NOISE) * rng.standard_normal(x.shape),
    _stop,
)


def one_by_one(window: Callable, x: np.ndarray) -> Callable[[], Tensor]:
    """A batch, window after window."""
    rng = np.random.default_rng(0)
    return lambda: torch.from_numpy(np.stack([window(each, rng) for each in x]))


def equal_univariate(x: Tensor) -> float:
    """Largest difference of crop, scale, noise and mask to numpy's, given the same draws, in float64."""
    x, chance = x.double(), torch.Generator().manual_seed(0)
    crop = augment.draw_crop(x, chance, OPTIONS.crop_min)
    grid = np.arange(x.shape[1])
    triples = zip(x.numpy(), crop.start.numpy(), crop.scale.numpy(), strict=True)
    expected = [np.interp(start * (len(grid) - 1) + scale * grid, grid, row) for row, start, scale in triples]
    return float(np.abs(augment.apply_crop(x, crop).numpy() - expected).max())


def equal_sleep(x: Tensor) -> float:
    """Largest difference of shift and band-stop to numpy's, given the same draws, in float64."""
    x = x.double()
    chance = torch.Generator().manual_seed(0)
    view = seqclr.draw(x, seqclr.choose(len(x), chance), chance, SLEEP_HZ, microvolt=0.1)
    shifted = [np.roll(row, int(shift), axis=1) for row, shift in zip(x.numpy(), view.shift, strict=True)]
    frequency = np.fft.rfftfreq(x.shape[2], 1 / SLEEP_HZ)
    stopped = []
    for row, centre in zip(x.numpy(), view.centre_hz.numpy(), strict=True):
        spectrum = np.fft.rfft(row)
        spectrum[:, np.abs(frequency - centre) <= seqclr.STOP_WIDTH_HZ / 2] = 0
        stopped.append(np.fft.irfft(spectrum, n=x.shape[2]))
    pairs = (
        (seqclr.apply_shift(x, view.shift), shifted),
        (seqclr.apply_band_stop(x, view.centre_hz, SLEEP_HZ), stopped),
    )
    return float(max(np.abs(ours.numpy() - plain).max() for ours, plain in pairs))


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    chance = torch.Generator().manual_seed(0)
    findings = []
    segments = torch.randn(UNIVARIATE)
    ways = {"ours": lambda: augment.augment(segments, chance, OPTIONS)}
    seconds = take_turns(ways | {"theirs": one_by_one(univariate_window, segments.numpy())}, given.rounds, repeats=5)
    stage, peer = (
        "a view of 256 segments of 800 samples: crop, scale, noise, mask",
        "numpy, one segment after the other",
    )
    equal = f"given the same draws {equal_univariate(segments):.0e} in float64"
    findings.append(Finding(stage, peer, (seconds["theirs"] / seconds["ours"]).tolist(), 1, equal))
    for windows, goal in ((segments[:, None], 20), (torch.randn(SLEEP), 3)):
        ways = {"ours": lambda windows=windows: seqclr.seqclr_view(windows, chance, SLEEP_HZ)}
        ways["theirs"] = one_by_one(sleep_window, windows.numpy())
        seconds = take_turns(ways, given.rounds)
        stage = f"a view of {len(windows)} windows of {windows.shape[1]} x {windows.shape[2]}: two of six operations"
        equal = f"given the same draws {equal_sleep(windows):.0e} in float64"
        ratios = (seconds["theirs"] / seconds["ours"]).tolist()
        findings.append(Finding(stage, "numpy and scipy, one window after the other", ratios, goal, equal))
    keep("augmentation", findings, threads=1)


if __name__ == "__main__":
    main()
