"""How fast windows are selected, beside the published way, the best plain loop, skmatter, and pyod.

``python -m benchmarks.selection`` compares k-center, run to its end, and outlier scores on SYNTHETIC latents, in one
process and turn by turn. Each pick of a plain loop costs the same, so a round times some of its picks. That the lists
are the same is seen by running the loop to its end once. skmatter runs to its end, in an environment that is made for
it and wants a package index. Then k-center chooses from 2.25 million latents that lie in a file. ``--parts paired``
runs the published way to its end between two runs of k-center, which takes long.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numba
import numpy as np
from tqdm import tqdm

from benchmarks.measuring import Finding, keep, take_turns
from unimontage.distillation.hbos import hbos_scores, moments, outliers, standardise
from unimontage.distillation.kcenter import k_center

WIDTH, COLUMNS = 64, 4  # dimensions; how many of them pyod searches the number of bins of, which takes it minutes each
PICKS = {"published": 20, "fused": 300}  # picks that are timed a round
PARTS = ["centres", "pruned", "scores", "large", "paired"]
PEER = ("skmatter==0.4.1", "scikit-learn==1.8.0", *(f"{name}=={version(name)}" for name in ("numpy", "scipy")))
LARGE = 2_250_000  # windows of 4 s in 2,500 hours
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


def published(latents: np.ndarray, k: int, first: int) -> np.ndarray:
    """Picks of the published loop: a row of scikit-learn's distances, a minimum, an argmax."""
    from sklearn.metrics import pairwise_distances

    bound, index = np.full((len(latents), 1), np.inf), [first]
    for _ in tqdm(range(k - 1), desc="published", disable=k <= max(PICKS.values())):
        distance = pairwise_distances(latents, latents[index[-1]].reshape(1, -1), metric="euclidean", n_jobs=-1)
        np.minimum(bound, distance, out=bound)
        index.append(int(bound.argmax()))
    return np.array(index)


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


def laid_out(latents: np.ndarray) -> np.ndarray:
    """Latents in blocks (B, d, LANES), as a fused pass reads them fastest."""
    blocks = -(-len(latents) // LANES)
    padded = np.zeros((blocks * LANES, latents.shape[1]), dtype=np.float32)
    padded[: len(latents)] = latents
    return np.ascontiguousarray(padded.reshape(blocks, LANES, -1).transpose(0, 2, 1))


def fused(latents: np.ndarray, columns: np.ndarray, k: int, first: int) -> np.ndarray:
    """The plain loop with one fused pass over all windows a pick; the distances are those of k_center."""
    bound, top = np.full((len(columns), LANES), np.float32(np.inf)), np.empty(len(columns), dtype=np.float32)
    bound.ravel()[len(latents) :] = -1
    index = [first]
    while True:
        bound.ravel()[index[-1]] = -1
        if len(index) == k:
            return np.array(index)
        _pass(columns, latents[index[-1]], bound, top)
        block = int(top.argmax())
        index.append(block * LANES + int(bound[block].argmax()))


def one_thread(work: Callable[[], object], threads: int) -> Callable[[], object]:
    """A call on one thread."""

    def alone() -> object:
        numba.set_num_threads(1)
        try:
            return work()
        finally:
            numba.set_num_threads(threads)

    return alone


def compare_centres(n: int, k: int, rounds: int, threads: int) -> list[Finding]:
    """K-center to its end, beside picks of the two plain loops, on each cloud."""
    findings = []
    for name, cloud in CLOUDS.items():
        latents = cloud(np.random.default_rng(0), n)
        columns, found = laid_out(latents), k_center(latents, k).index
        first = int(found[0])
        ways = {"k_center": lambda latents=latents: k_center(latents, k)}
        ways["published"] = lambda latents=latents, first=first: published(latents, PICKS["published"], first)
        plain = lambda picks, latents=latents, columns=columns, first=first: fused(latents, columns, picks, first)  # noqa: E731
        ways["fused"] = one_thread(lambda plain=plain: plain(PICKS["fused"]), threads)
        ways["one pass of the memory"] = one_thread(lambda columns=columns: columns.sum(dtype=np.float32), threads)
        seconds = take_turns(ways, rounds)
        same = bool(np.array_equal(found, plain(k)))
        bound = float((seconds["k_center"] / seconds["one pass of the memory"] / k).median())
        for way, goal in (("published", 150), ("fused", 8)):
            ratios = (seconds[way] / (PICKS[way] - 1) * k / seconds["k_center"]).tolist()
            peer = {
                "published": "scikit-learn, a row of distances a pick",
                "fused": "one fused pass a pick, one thread",
            }
            stage, equal = f"k-center, {n} x {WIDTH}, {k} chosen, {name}", f"same list: {same}"
            findings.append(Finding(stage, peer[way], ratios, goal, equal, bound))
    return findings


def compare_pruned(n: int, k: int, rounds: int, threads: int) -> list[Finding]:
    """K-center and skmatter, both to their end on one thread, on each cloud."""
    findings = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = environment(folder / "skmatter")
        for cloud in CLOUDS.values():
            latents = cloud(np.random.default_rng(0), n)
            np.save(folder / "latents.npy", latents)
            found = k_center(latents, k).index
            ours = one_thread(lambda latents=latents: k_center(latents, k), threads)
            arguments = [folder / "latents.npy", str(k), str(found[0]), folder / "chosen.npy"]
            ratios = []
            for _ in tqdm(range(rounds), desc=cloud.__name__):
                theirs = peer_seconds(python, arguments)
                start = time.perf_counter()
                ours()
                ratios.append(theirs / (time.perf_counter() - start))
            same = (np.load(folder / "chosen.npy") == found).mean()
            stage = f"k-center, {n} x {WIDTH}, {k} chosen, {cloud.__name__}, one thread"
            findings.append(Finding(stage, "skmatter VoronoiFPS", ratios, 3, f"{same:.1%} of the list the same"))
    return findings


def environment(folder: Path) -> Path:
    """The Python of a new environment that has skmatter."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", *PEER], check=True)
    return folder / "bin" / "python"


def peer_seconds(python: Path, arguments: Sequence[str | Path]) -> float:
    """Seconds that skmatter says it took, on one thread."""
    alone = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    script = Path(__file__).with_name("voronoi.py")
    done = subprocess.run([python, script, *arguments], capture_output=True, text=True, check=True, env=alone)
    return float(done.stdout)


def compare_scores(n: int, rounds: int) -> list[Finding]:
    """Outlier scores with ten bins, and with bins that are searched, beside pyod's."""
    from pyod.models.hbos import HBOS

    latents = recordings(np.random.default_rng(0), n)
    standard = standardise(latents, *moments(latents)).astype(np.float64)
    findings = []
    for bins, goal, width in ((10, 8, WIDTH), ("auto", 50, COLUMNS)):
        ours, theirs = np.ascontiguousarray(latents[:, :width]), np.ascontiguousarray(standard[:, :width])
        oracle = HBOS(n_bins=bins)
        ways = {"ours": lambda bins=bins, ours=ours: hbos_scores(ours, bins)}
        ways["pyod"] = lambda oracle=oracle, theirs=theirs: oracle.fit(theirs)
        seconds = take_turns(ways, rounds)
        scores, other = hbos_scores(ours, bins), oracle.decision_scores_
        same = bool((outliers(scores, 0.01) == outliers(other, 0.01)).all())
        equal = f"scores {np.abs(scores - other).max():.0e}, same outliers at 1 %: {same}"
        stage = f"HBOS, {n} x {width}, bins {bins}"
        findings.append(Finding(stage, "pyod", (seconds["pyod"] / seconds["ours"]).tolist(), goal, equal))
    return findings


def from_a_file(n: int, fraction: float) -> tuple[float, float]:
    """Seconds of k-center on latents mapped from a file, and the most GiB this process ever held, the map included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latents.npy"
        mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, WIDTH))
        rng = np.random.default_rng(0)
        for row in range(0, n, 100_000):
            mapped[row : row + 100_000] = recordings(rng, len(mapped[row : row + 100_000]))
        del mapped
        start = time.perf_counter()
        k_center(np.load(path, mmap_mode="r"), max(1, int(fraction * n)))
        # Not getrusage: what it tells begins with the most that the process which started this one had held.
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return time.perf_counter() - start, int(peak[1]) / 2**20


def paired(n: int, k: int) -> list[Finding]:
    """K-center before and after the published way, which runs to its end, on the same latents."""
    k_center(isotropic(np.random.default_rng(1), 500), 20)
    latents, clock = recordings(np.random.default_rng(0), n), [time.perf_counter()]
    found = k_center(latents, k).index
    clock.append(time.perf_counter())
    index = published(latents, k, int(found[0]))
    clock.append(time.perf_counter())
    k_center(latents, k)
    clock.append(time.perf_counter())
    before, theirs, after = np.diff(clock)
    equal = f"the lists agree in their first {int((np.cumsum(index != found) == 0).sum())} picks"
    stage = f"k-center, {n} x {WIDTH}, {k} chosen, recordings"
    return [Finding(stage, "scikit-learn, to its end", [theirs / before, theirs / after], 150, equal)]


def large(n: int, fraction: float) -> list[Finding]:
    """Seconds and memory of three processes that choose from a file."""
    command = [sys.executable, "-m", "benchmarks.selection", "--from-a-file", "--large", str(n)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    stage = f"k-center, {n} x {WIDTH} in a file, {fraction:.0%} chosen"
    limits = zip(("seconds", "GiB"), (180, 2), zip(*runs, strict=True), strict=True)
    return [Finding(f"{stage}, {what}", "limit", [float(v) for v in values], limit) for what, limit, values in limits]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=400_000)
    parser.add_argument("--pruned", type=int, default=100_000)
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--large", type=int, default=LARGE)
    parser.add_argument("--fraction", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1])
    parser.add_argument("--from-a-file", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    numba.set_num_threads(given.threads)
    if given.from_a_file:
        print(*from_a_file(given.large, given.fraction))
        return
    k = max(1, int(given.fraction * given.n))
    about = {"threads": given.threads, "data": "SYNTHETIC latents"}
    bound = {"bound": "the memory read once a pick, on one thread"}
    if "centres" in given.parts:
        keep("selection_centres", compare_centres(given.n, k, given.rounds, given.threads), **bound, **about)
    if "pruned" in given.parts:
        few = max(1, int(given.fraction * given.pruned))
        keep("selection_pruned", compare_pruned(given.pruned, few, given.rounds, given.threads), peer=PEER[0], **about)
    if "scores" in given.parts:
        keep("selection_scores", compare_scores(given.scores, given.rounds), **about)
    if "large" in given.parts:
        keep("selection_large", large(given.large, given.fraction), **about)
    if "paired" in given.parts:
        keep("selection_paired", paired(given.n, k), **about)


if __name__ == "__main__":
    main()
