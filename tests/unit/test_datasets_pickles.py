"""Pickles of arrays: what is read, and what is refused."""

import os
import pickle
import pickletools

import numpy as np
import pytest

from unimontage.datasets.pickles import load_arrays, write_arrays
from unimontage.errors import UserError

MEND = "copy the file again"


class Shell:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def arrays():
    return {"data": np.arange(24.0).reshape(2, 3, 4), "labels": np.array([[1.5, -2.0], [5.0, 9.0]])}


def test_arrays_come_back_as_they_were(tmp_path, arrays):
    write_arrays(tmp_path / "s01.dat", arrays)
    loaded = load_arrays(tmp_path / "s01.dat", MEND)
    assert list(loaded) == ["data", "labels"]
    for name, array in arrays.items():
        assert np.array_equal(loaded[name], array)


def test_a_written_file_is_what_everyone_elses_reader_expects(tmp_path, arrays):
    write_arrays(tmp_path / "s01.dat", arrays)
    content = pickle.loads((tmp_path / "s01.dat").read_bytes(), encoding="latin1")
    assert np.array_equal(content["data"], arrays["data"])


def test_a_written_file_uses_the_opcodes_of_python_2(tmp_path, arrays):
    write_arrays(tmp_path / "s01.dat", arrays)
    opcodes = list(pickletools.genops((tmp_path / "s01.dat").read_bytes()))
    names = {opcode.name for opcode, *_ in opcodes}
    assert opcodes[0][:2] == (opcodes[0][0], 2)
    assert {"SHORT_BINSTRING", "BINSTRING"} <= names
    assert not names & {"BINUNICODE", "SHORT_BINBYTES", "STACK_GLOBAL"}
    assert {arg for opcode, arg, _ in opcodes if opcode.name == "GLOBAL"} == {
        "numpy.core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
    }


def test_the_text_protocol_of_python_2_is_read(tmp_path):
    array = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 256.0]])
    raw = "".join(f"\\x{byte:02x}" for byte in array.tobytes()).encode()
    (tmp_path / "old.dat").write_bytes(
        b"(dp0\nS'labels'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\n"
        b"tp6\nRp7\n(I1\n(I2\nI3\ntp8\ncnumpy\ndtype\np9\n(S'f8'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'<'\np13\nNNNI-1\n"
        b"I-1\nI0\ntp14\nbI00\nS'" + raw + b"'\np15\ntp16\nbs."
    )
    assert np.array_equal(load_arrays(tmp_path / "old.dat", MEND)["labels"], array)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_pickle_that_would_run_a_program_is_refused_and_nothing_runs(tmp_path, protocol):
    trace = tmp_path / "trace"
    content = {"data": Shell(f"touch {trace}"), "labels": 0}
    (tmp_path / "evil.dat").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(UserError, match=r"evil\.dat is a pickle that wants to load .*system, which could run code"):
        load_arrays(tmp_path / "evil.dat", MEND)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["builtins eval", "numpy load", "numpy.core.multiarray fromfile", "_codecs encode"])
def test_no_other_name_is_resolved_even_from_numpy(tmp_path, name):
    module, attribute = name.split()
    (tmp_path / "x.dat").write_bytes(f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(UserError, match="could run code"):
        load_arrays(tmp_path / "x.dat", MEND)


@pytest.mark.parametrize("kept", [0, 1, 40, -100, -1])
def test_a_truncated_pickle_is_named_with_its_size_and_the_remedy(tmp_path, arrays, kept):
    path = tmp_path / "s05.dat"
    write_arrays(path, arrays)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=rf"s05\.dat cannot be read.*{path.stat().st_size} bytes.*copy the file again"):
        load_arrays(path, MEND)


def test_something_else_than_arrays_is_refused(tmp_path):
    (tmp_path / "x.dat").write_bytes(pickle.dumps([1, 2, 3], protocol=2))
    with pytest.raises(UserError, match="holds a list; expected a dictionary of arrays"):
        load_arrays(tmp_path / "x.dat", MEND)
