"""Files appear whole or not at all."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unimontage.errors import UserError


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; rename it to ``path`` on success, remove it on failure.

    Parameters
    ----------
    path : Path or str
        The file to appear. Its folder is made when it is missing.

    Raises
    ------
    UserError
        The disk is full, or the folder cannot be written.
    """
    path = Path(path)
    aside = beside(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        try:
            yield aside
            to_disk(aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` have left beside it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*.part"):
        left.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Wait until a file is on the disk: else a node that loses power may leave its name without its bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def beside(path: Path) -> Path:
    """Name of the file that this process writes before it becomes ``path``."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} could not be written: {os.strerror(error.errno) if error.errno else error}",
            expected="a folder that can be written and has room",
            mend=f"free space under {path.parent} or set another `results:` folder, and run the same command again",
        ) from error
