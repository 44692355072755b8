"""Python-2 pickles of arrays: read without running code, written as Python 2 wrote them."""

import io
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unimontage.errors import UserError

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler that rebuilds numpy arrays and refuses every other name; a pickle can otherwise run any program."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve the three names an array needs."""
        if module in _ARRAY_MODULES and name == "_reconstruct":
            from numpy._core.multiarray import _reconstruct

            return _reconstruct
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise _ForbiddenNameError(f"{module}.{name}")


class _ForbiddenNameError(Exception):
    pass


def load_arrays(path: Path, mend: str) -> dict[str, np.ndarray]:
    """Read a pickled dictionary of arrays, protocol 0 to 2.

    Parameters
    ----------
    path : Path
    mend : str
        What to do about a broken file.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    UserError
        If the pickle refers to anything but arrays, stops early, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = ArrayUnpickler(file, encoding="latin1").load()
    except _ForbiddenNameError as error:
        raise UserError(
            f"{path.name} is a pickle that wants to load {error}, which could run code; it was not opened",
            expected="a pickle of plain numpy arrays",
            mend="do not open this file with anything else; download the original again",
        ) from error
    # A damaged pickle can trip any opcode, so any of these means the same to the reader.
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise UserError(
            f"{path.name} cannot be read as a pickle ({path.stat().st_size} bytes; {error})",
            expected="a complete file; this one is truncated or damaged",
            mend=mend,
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, np.ndarray) for value in content.values()):
        raise UserError(f"{path.name} holds a {type(content).__name__}", expected="a dictionary of arrays", mend=mend)
    return content


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a dictionary of arrays with the opcodes Python 2 and its numpy emitted (protocol 2).

    Python 3 writes other opcodes and newer module names even at protocol 2, so `pickle.dump` cannot stand in.

    Parameters
    ----------
    path : Path
    arrays : mapping of str to ndarray
        Floating point, each below 2 GiB.
    """
    with path.open("wb") as file:
        file.write(b"\x80\x02}(")  # PROTO 2, EMPTY_DICT, MARK
        for key, array in arrays.items():
            file.write(_text(key.encode("ascii")))
            _write_array(file, np.ascontiguousarray(array))
        file.write(b"u.")  # SETITEMS, STOP


def _write_array(file: BinaryIO, array: np.ndarray) -> None:
    """``_reconstruct(ndarray, (0,), 'b')``, then its state."""
    out = io.BytesIO()
    out.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n")
    out.write(_integer(0) + b"\x85" + _text(b"b") + b"\x87R")  # TUPLE1, TUPLE3, REDUCE
    out.write(b"(" + _integer(1) + b"(" + b"".join(_integer(n) for n in array.shape) + b"t")
    out.write(b"cnumpy\ndtype\n" + _text(array.dtype.str[1:].encode("ascii")) + _integer(0) + _integer(1) + b"\x87R")
    out.write(b"(" + _integer(3) + _text(b"<") + b"NNN" + _integer(-1) + _integer(-1) + _integer(0) + b"tb")
    out.write(b"\x89T" + struct.pack("<i", array.nbytes))  # NEWFALSE (C order), BINSTRING
    file.write(out.getvalue())
    file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
    file.write(b"tb")  # TUPLE, BUILD


def _integer(value: int) -> bytes:
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def _text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value  # SHORT_BINSTRING
