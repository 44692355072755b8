"""Whether two runs of the same configuration came to the same results."""

import hashlib
from pathlib import Path

from unimontage.splits.files import read_table

BYTES = ("windows/**/*.h5", "pretraining/**/*.safetensors", "pretraining/**/history.csv", "tables/**/*.csv")
ROWS = ("splits/**/*.parquet", "within_subject/**/*.parquet", "scores/**/*.parquet")
"""Their headers name folders and hashes of files that differ."""


def different(one: Path, two: Path, *more: str) -> list[str]:
    """Results that only one of two runs has, or that differ between them; ``more`` are patterns of further tables."""
    found, of_rows = [], (*ROWS, *more)
    for pattern in (*BYTES, *of_rows):
        names = [{path.relative_to(folder) for path in folder.glob(pattern)} for folder in (one, two)]
        assert any(names), f"neither run has {pattern}"
        found += sorted(names[0] ^ names[1])
        same = _same_rows if pattern in of_rows else _same_bytes
        found += [name for name in sorted(names[0] & names[1]) if not same(one / name, two / name)]
    return list(map(str, found))


def _same_rows(one: Path, two: Path) -> bool:
    return read_table(one).rows.equals(read_table(two).rows)


def _same_bytes(one: Path, two: Path) -> bool:
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in (one, two)]
    return digests[0] == digests[1]
