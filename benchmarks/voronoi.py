"""Choose with skmatter, for :mod:`benchmarks.selection`: ``python benchmarks/voronoi.py LATENTS K FIRST CHOSEN``.

Runs in an environment of its own, which wants an older scikit-learn than this project has. Prints the seconds.
"""

import sys
import time

import numpy as np
from skmatter.sample_selection import VoronoiFPS


def main(latents: str, k: str, first: str, chosen: str) -> None:
    """Farthest points one after the other; Voronoi cells spare most of the distances."""
    x = np.load(latents)
    selector = VoronoiFPS(n_to_select=int(k), initialize=int(first))
    start = time.perf_counter()
    selector.fit(x)
    print(time.perf_counter() - start)
    np.save(chosen, selector.selected_idx_)


if __name__ == "__main__":
    main(*sys.argv[1:])
