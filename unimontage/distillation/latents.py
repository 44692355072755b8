"""Latents on disk: a plain .npy file of float32, read through a memory map, and a table of window ids beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.splits.files import read_table, write_table
from unimontage.windows.atomic import beside, writing


@dataclass(frozen=True)
class Latents:
    """The latents of windows.

    Attributes
    ----------
    values : ndarray of float32, shape (N, d)
        Mapped from the file: read only where it is indexed.
    ids : Index, length N
        Window ids; row i of ``values`` belongs to id i.
    """

    values: np.ndarray
    ids: pd.Index

    @classmethod
    def open(cls, path: Path | str) -> "Latents":
        """Open latents without reading their values.

        Raises
        ------
        UserError
            A file is missing, damaged, or the two do not belong together.
        """
        path = Path(path)
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing", mend="run the same command again") from error
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} is not a readable array: {error}",
                expected="a .npy file of latents",
                mend=f"rm {path} and run the same command again",
            ) from error
        table = read_table(ids_beside(path))
        shape = (len(table.rows), table.facts.get("width"))
        if values.shape != shape or values.dtype != np.float32:
            raise UserError(
                f"{path} holds {values.dtype} values of shape {values.shape}, and {ids_beside(path)} speaks of {shape}",
                expected="float32 latents and the ids that were written with them",
                mend=f"rm {path} and run the same command again",
            )
        return cls(values.view(np.ndarray), pd.Index(table.rows["window"]))


def ids_beside(path: Path) -> Path:
    """The table of window ids that goes with a file of latents."""
    return path.with_suffix(".ids.parquet")


class LatentWriter:
    """Latents that grow by batches; both files appear whole on :meth:`finish`, or not at all.

    Use it as a context manager: leaving it without :meth:`finish` removes what was written.

    Parameters
    ----------
    path : Path or str
        The .npy file; the ids go to :func:`ids_beside` it.
    width : int
        Dimensions d.
    """

    def __init__(self, path: Path | str, width: int) -> None:
        self._path, self._aside, self._width = Path(path), beside(Path(path)), width
        self._ids: list[str] = []
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._aside.open("wb")
            self._head()

    def __enter__(self) -> "LatentWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._aside.unlink(missing_ok=True)  # renamed already where all went well

    def append(self, windows: Sequence[str], values: np.ndarray) -> None:
        """Write the next latents.

        Parameters
        ----------
        windows : sequence of str, length n
            Their window ids.
        values : ndarray, shape (n, d)
            Stored as float32.

        Raises
        ------
        UserError
            The parts do not fit each other, a value is not finite, or the disk is full.
        """
        if values.shape != (len(windows), self._width):
            raise UserError(
                f"{self._path}: latents of shape {values.shape} for {len(windows)} windows",
                expected=f"({len(windows)}, {self._width})",
            )
        if not math.isfinite(values.sum(dtype=np.float64)):
            raise UserError(
                f"{self._path}: the latents of windows {windows[0]} to {windows[-1]} are not all finite",
                mend="train the compressor again; its loss has diverged",
            )
        with writing(self._path):
            self._file.write(np.ascontiguousarray(values, dtype="<f4"))
        self._ids += list(windows)

    def finish(self) -> None:
        """Give both files their names.

        Raises
        ------
        UserError
            Nothing was written, an id stands twice, or the disk is full.
        """
        ids = pd.Series(self._ids, name="window", dtype=object)
        if ids.empty or ids.duplicated().any():
            twice = "no latents" if ids.empty else f"window {ids[ids.duplicated()].iloc[0]} stands twice"
            raise UserError(f"{self._path}: {twice}", expected="one latent a window, and at least one")
        with writing(self._path):
            self._file.seek(0)
            self._head()
            self._file.close()
            write_table(ids_beside(self._path), ids.to_frame(), {"width": self._width})
            self._aside.replace(self._path)

    def _head(self) -> None:
        """The header, as long for any number of rows: numpy leaves room for the first axis to grow."""
        shape = (len(self._ids), self._width)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "<f4", "fortran_order": False, "shape": shape})
