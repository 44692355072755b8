"""Whether two runs of the same configuration came to the same results."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.splits.files import read_table
from unimontage.windows import WindowStore

BYTES = ("windows/**/*.h5", "pretraining/**/*.safetensors", "pretraining/**/history.csv", "tables/**/*.csv")
ROWS = ("splits/**/*.parquet", "within_subject/**/*.parquet", "scores/**/*.parquet")
"""Their headers name folders and hashes of files that differ."""

PROBABILITY, POINTS = 1e-3, 0.1
"""How far predictions, and percentages in tables, may move with the number of threads."""


def different(one: Path, two: Path) -> list[str]:
    """Results that only one of two runs has, or that differ between them; all that should be equal is looked at."""
    found = []
    for pattern in (*BYTES, *ROWS):
        names = [{path.relative_to(folder) for path in folder.glob(pattern)} for folder in (one, two)]
        assert any(names), f"neither run has {pattern}"
        found += sorted(names[0] ^ names[1])
        same = _same_rows if pattern in ROWS else _same_bytes
        found += [name for name in sorted(names[0] & names[1]) if not same(one / name, two / name)]
    return list(map(str, found))


def apart(one: Path, two: Path) -> list[str]:
    """Results that only one of two runs has, or that differ by more than other numbers of threads explain."""
    found = []
    alike = {"windows/**/*.h5": _same_windows, "splits/**/*.parquet": _same_rows, "tables/**/*.csv": _near_numbers}
    alike |= dict.fromkeys(("within_subject/**/*.parquet", "transfer/**/*.parquet"), _near_probabilities)
    for pattern, near in alike.items():
        names = [{path.relative_to(folder) for path in folder.glob(pattern)} for folder in (one, two)]
        assert any(names), f"neither run has {pattern}"
        found += sorted(names[0] ^ names[1])
        found += [name for name in sorted(names[0] & names[1]) if not near(one / name, two / name)]
    return list(map(str, found))


def _same_windows(one: Path, two: Path) -> bool:
    stores = [WindowStore.open(path) for path in (one, two)]  # a stand-in's native file may hold the time of its making
    return np.array_equal(*(store.signal[:] for store in stores)) and stores[0].table.equals(stores[1].table)


def _near_probabilities(one: Path, two: Path) -> bool:
    tables = [read_table(path).rows for path in (one, two)]
    chances = [name for name in tables[0] if name.startswith("p_")]
    same = tables[0].drop(columns=chances).equals(tables[1].drop(columns=chances))
    return same and np.allclose(*(table[chances] for table in tables), rtol=0, atol=PROBABILITY)


def _near_numbers(one: Path, two: Path) -> bool:
    tables = [pd.read_csv(path).select_dtypes("number") for path in (one, two)]
    return np.allclose(*tables, rtol=0, atol=POINTS, equal_nan=True)


def _same_rows(one: Path, two: Path) -> bool:
    return read_table(one).rows.equals(read_table(two).rows)


def _same_bytes(one: Path, two: Path) -> bool:
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in (one, two)]
    return digests[0] == digests[1]
