"""How fast windows are selected, beside the published way, the best plain loop, and pyod.

``python -m benchmarks.selection --n 100000`` compares k-center and outlier scores on SYNTHETIC latents, in one process
and turn by turn, and checks that the choices are the same. ``--paired`` runs the published way to its end between two
runs of k-center, which takes long. ``--stream`` measures latents mapped from a file.
"""

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pandas as pd
from tqdm import tqdm

from unimontage.distillation.hbos import hbos_scores, moments, outliers, standardise
from unimontage.distillation.kcenter import k_center

RESULTS = Path(__file__).parent / "results"
WIDTH, SAMPLED = 64, 30  # dimensions; picks of the published way that are timed
LANES = 64


def isotropic(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal((n, WIDTH), dtype=np.float32)


def clustered(rng: np.random.Generator, n: int) -> np.ndarray:
    centres, basis = 3 * rng.standard_normal((200, WIDTH)), rng.standard_normal((200, 8, WIDTH))
    label, inside = rng.integers(0, 200, n), rng.standard_normal((n, 8), dtype=np.float32)
    latents = 0.1 * rng.standard_normal((n, WIDTH), dtype=np.float32)
    for k in range(200):
        latents[label == k] += centres[k] + inside[label == k] @ basis[k]
    return latents


def recordings(rng: np.random.Generator, n: int) -> np.ndarray:
    """Slow walks of twelve factors, bent, with noise and one artefact in a hundred windows."""
    from scipy.signal import lfilter

    factors = lfilter([0.3], [1, -0.95], rng.standard_normal((n, 12)), axis=0).astype(np.float32)
    latents = np.tanh(factors @ rng.standard_normal((12, WIDTH), dtype=np.float32))
    latents += 0.05 * rng.standard_normal((n, WIDTH), dtype=np.float32)
    return latents * np.where(rng.random((n, 1)) < 0.01, rng.uniform(1, 4, (n, 1)), 1).astype(np.float32)


CLOUDS = {cloud.__name__: cloud for cloud in (isotropic, clustered, recordings)}


def published(latents: np.ndarray, k: int, first: int) -> tuple[np.ndarray, list[float]]:
    """Picks of the published loop, and the seconds of each: a row of scikit-learn's distances, a minimum, an argmax."""
    from sklearn.metrics import pairwise_distances

    bound, index, seconds = np.full((len(latents), 1), np.inf), [first], []
    for _ in tqdm(range(k - 1), desc="published"):
        start = time.perf_counter()
        distance = pairwise_distances(latents, latents[index[-1]].reshape(1, -1), metric="euclidean", n_jobs=-1)
        np.minimum(bound, distance, out=bound)
        index.append(int(bound.argmax()))
        seconds.append(time.perf_counter() - start)
    return np.array(index), seconds


@numba.njit(parallel=True, cache=True)
def _pass(columns: np.ndarray, centre: np.ndarray, bound: np.ndarray, top: np.ndarray) -> None:
    """Distances, minima and the largest of every block (B, d, LANES), in one pass over the memory."""
    for b in numba.prange(len(columns)):
        top[b] = _block(columns[b], centre, bound[b])


@numba.njit(cache=True)
def _block(columns: np.ndarray, centre: np.ndarray, bound: np.ndarray) -> np.float32:
    """A block (d, LANES): a function of its own, or the compiler does not see that lanes are independent."""
    total = np.zeros(LANES, dtype=np.float32)
    for t in range(columns.shape[0]):
        c = centre[t]
        for lane in range(LANES):
            difference = columns[t, lane] - c
            total[lane] += difference * difference
    top = np.float32(-1)
    for lane in range(LANES):
        bound[lane] = min(bound[lane], total[lane])
        top = max(top, bound[lane])
    return top


def fused(latents: np.ndarray, k: int, first: int) -> np.ndarray:
    """The plain loop with one fused pass over all windows a pick; the distances are those of k_center."""
    blocks = -(-len(latents) // LANES)
    padded = np.zeros((blocks * LANES, latents.shape[1]), dtype=np.float32)
    padded[: len(latents)] = latents
    columns = np.ascontiguousarray(padded.reshape(blocks, LANES, -1).transpose(0, 2, 1))
    bound, top, index = np.full((blocks, LANES), np.float32(np.inf)), np.empty(blocks, dtype=np.float32), [first]
    bound.ravel()[len(latents) :] = -1
    while True:
        bound.ravel()[index[-1]] = -1
        if len(index) == k:
            return np.array(index)
        _pass(columns, latents[index[-1]], bound, top)
        block = int(top.argmax())
        index.append(block * LANES + int(bound[block].argmax()))


def timed(work: Callable, *args, **options) -> tuple[object, dict[str, float]]:
    """What a call returns, and its seconds by the clock and on the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work(*args, **options)
    return result, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def compare_centres(n: int, k: int, rounds: int) -> pd.DataFrame:
    """A row a cloud and round: seconds of each way, and whether the lists are the same."""
    warm = isotropic(np.random.default_rng(1), 500)
    fused(warm, 20, int(k_center(warm, 20).index[0]))
    rows = []
    for name, cloud in CLOUDS.items():
        latents = cloud(np.random.default_rng(0), n)
        for number in range(rounds):
            found, ours = timed(k_center, latents, k)
            plain, theirs = timed(fused, latents, k, int(found.index[0]))
            row = {"cloud": name, "round": number + 1, "k_center_s": ours["wall_s"], "k_center_cpu_s": ours["cpu_s"]}
            row |= {"fused_s": theirs["wall_s"], "fused_cpu_s": theirs["cpu_s"]}
            row |= {"published_s": statistics.median(published(latents, SAMPLED, int(found.index[0]))[1]) * k}
            rows.append(row | {"same_list": bool(np.array_equal(found.index, plain))})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def paired(n: int, k: int) -> str:
    """K-center before and after the published way, which runs to its end, on the same latents."""
    k_center(isotropic(np.random.default_rng(1), 500), 20)
    latents = recordings(np.random.default_rng(0), n)
    found, before = timed(k_center, latents, k)
    (index, _), theirs = timed(published, latents, k, int(found.index[0]))
    _, after = timed(k_center, latents, k)
    same = int((np.cumsum(index != found.index) == 0).sum())
    ours = (before["wall_s"] + after["wall_s"]) / 2
    return (
        f"SYNTHETIC recordings, {n} x {WIDTH}, {k} chosen, everything to its end, in one run.\n\n"
        f"| way | s | CPU s |\n|---|---|---|\n"
        f"| k_center, before | {before['wall_s']:.2f} | {before['cpu_s']:.2f} |\n"
        f"| published: a row of scikit-learn's distances a pick | {theirs['wall_s']:.0f} | {theirs['cpu_s']:.0f} |\n"
        f"| k_center, after | {after['wall_s']:.2f} | {after['cpu_s']:.2f} |\n\n"
        f"Published / this, by the clock: {theirs['wall_s'] / ours:.0f}. The lists agree in their first {same} picks.\n"
    )


def compare_scores(n: int, rounds: int) -> pd.DataFrame:
    """A row a kind of bins and round: seconds here and of pyod's fit, and the largest difference of the scores."""
    from pyod.models.hbos import HBOS

    latents = recordings(np.random.default_rng(0), n)
    standard = standardise(latents, *moments(latents)).astype(np.float64)
    rows = []
    for bins in (10, "auto"):
        hbos_scores(latents[:500], bins)
        HBOS(n_bins=bins).fit(standard[:500])
        for number in range(rounds if bins == 10 else 1):  # pyod takes minutes for automatic bins
            scores, ours = timed(hbos_scores, latents, bins)
            oracle, theirs = timed(HBOS(n_bins=bins).fit, standard)
            other = oracle.decision_scores_
            row = {"bins": str(bins), "round": number + 1, "hbos_s": ours["wall_s"], "pyod_s": theirs["wall_s"]}
            row |= {"largest_difference": float(np.abs(scores - other).max())}
            rows.append(row | {"same_outliers": bool((outliers(scores, 0.01) == outliers(other, 0.01)).all())})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def summary(centres: pd.DataFrame, scores: pd.DataFrame, title: str) -> str:
    lines = [f"# Selection, {title}", "", "SYNTHETIC latents. Medians over rounds; ratios within a round."]
    lines += [f"Published way: median of {SAMPLED} picks times k, not run to the end.", ""]
    lines += ["| latents | k_center s | CPU s | fused / this | published / this | same list as the plain loop |"]
    lines += ["|---|---|---|---|---|---|"]
    for name, part in centres.groupby("cloud", sort=False):
        plain, paper = ((part[each] / part["k_center_s"]).median() for each in ("fused_s", "published_s"))
        ours = f"{part['k_center_s'].median():.2f} | {part['k_center_cpu_s'].median():.2f}"
        lines.append(f"| {name} | {ours} | {plain:.1f} | {paper:.0f} | {part['same_list'].all()} |")
    lines += [
        "",
        "| bins | hbos s | pyod / this | largest difference | same outliers at 1 % |",
        "|---|---|---|---|---|",
    ]
    for bins, part in scores.groupby("bins", sort=False):
        ratio, worst = (part["pyod_s"] / part["hbos_s"]).median(), part["largest_difference"].max()
        ours = part["hbos_s"].median()
        lines.append(f"| {bins} | {ours:.2f} | {ratio:.1f} | {worst:.1e} | {part['same_outliers'].all()} |")
    return "\n".join([*lines, ""])


def stream(n: int, fraction: float) -> str:
    """K-center on latents mapped from a file, and the most memory this process ever held, the map included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latents.npy"
        mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, WIDTH))
        rng = np.random.default_rng(0)
        for row in range(0, n, 100_000):
            mapped[row : row + 100_000] = recordings(rng, len(mapped[row : row + 100_000]))
        del mapped
        _, seconds = timed(k_center, np.load(path, mmap_mode="r"), max(1, int(fraction * n)))
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"SYNTHETIC, {n} x {WIDTH} mapped from a file ({n * WIDTH * 4 / 2**30:.2f} GiB), {fraction:.1%} chosen: "
        f"{seconds['wall_s']:.1f} s, {seconds['cpu_s']:.1f} s of CPU, peak RSS {peak_gb:.2f} GiB\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, help="windows (100 000; 400 000 with --paired, 2 000 000 with --stream)")
    parser.add_argument("--fraction", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument("--paired", action="store_true")
    parser.add_argument("--stream", action="store_true")
    given = parser.parse_args()
    numba.set_num_threads(given.threads)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, threads {given.threads}"
    RESULTS.mkdir(exist_ok=True)
    if given.stream:
        text = f"# Selection from a file, {machine}\n\n{stream(given.n or 2_000_000, given.fraction)}"
        (RESULTS / "selection_stream.md").write_text(text)
    elif given.paired:
        n = given.n or 400_000
        text = f"# Selection in one paired run, {machine}\n\n{paired(n, max(1, int(given.fraction * n)))}"
        (RESULTS / "selection_paired.md").write_text(text)
    else:
        n = given.n or 100_000
        centres = compare_centres(n, max(1, int(given.fraction * n)), given.rounds)
        scores = compare_scores(n, given.rounds)
        centres.to_csv(RESULTS / "selection_centres.csv", index=False)
        scores.to_csv(RESULTS / "selection_scores.csv", index=False)
        text = summary(centres, scores, f"{n} x {WIDTH}, {given.fraction:.1%}, {machine}")
        (RESULTS / "selection.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
