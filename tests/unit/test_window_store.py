import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.windows import WindowPool, WindowStore, WindowWriter, write_windows
from unimontage.windows.atomic import atomic
from unimontage.windows.scale import MOST_SAMPLES, ScaleSample, scales
from unimontage.windows.signal import restored, rounded
from unimontage.windows.store import KEYS, table_hash

CHANNELS = ("FP1", "CZ", "OZ")
ATTRIBUTES = {"dataset": "deap", "subject": "s01", "synthetic": True, "source": {"s01.dat": "ab"}}


def windows(count=6, samples=40, seed=0):
    """Signal (N, 3, T) in microvolt and its table, with a label that is sometimes missing."""
    signal = np.random.default_rng(seed).normal(0, 30, (count, len(CHANNELS), samples)).astype(np.float32)
    k = np.arange(count)
    table = pd.DataFrame(
        {
            "window": [f"deap/s01/1/{i // 2 + 1}/{i % 2}" for i in k],
            "session": "1",
            "trial": k // 2 + 1,
            "start_s": k % 2 * 1.0,
            "start_sample": k * samples,
            "digest": [f"{i:016x}" for i in k],
            "valence": np.where(k % 3 == 0, np.nan, k * 1.5),
        }
    )
    return signal, table


@pytest.fixture
def written(tmp_path):
    signal, table = windows()
    path = tmp_path / "deap" / "sub-s01.h5"
    write_windows(path, signal, table, channels=CHANNELS, sfreq_hz=128.0, attributes=ATTRIBUTES)
    return path


def test_a_store_comes_back_as_it_was_written(written):
    signal, table = windows()
    store = WindowStore.open(written)
    np.testing.assert_array_equal(store.signal, restored(*rounded(signal)))
    assert store.signal.dtype == np.asarray(store.signal).dtype == np.float32
    pd.testing.assert_frame_equal(store.table, table, check_dtype=False)
    assert (store.channels, store.sfreq_hz) == (CHANNELS, 128.0)
    assert ATTRIBUTES.items() <= store.attributes.items()
    assert store.attributes["unit"] == "uV"


def test_the_same_windows_are_the_same_bytes_whenever_they_are_written(written, tmp_path):
    signal, table = windows()
    time.sleep(1.1)  # HDF5 counts in seconds
    again = tmp_path / "again.h5"
    write_windows(again, signal, table, channels=CHANNELS, sfreq_hz=128.0, attributes=ATTRIBUTES)
    assert again.read_bytes() == written.read_bytes()


def test_any_program_that_reads_hdf5_finds_the_signal_and_the_table(written):
    signal, table = windows()
    with h5py.File(written) as file:
        found = file["signal"][()] * file["step_uv"][()][:, :, None]
        np.testing.assert_array_equal(found, restored(*rounded(signal)))
        assert file["table/trial"][()].tolist() == table["trial"].tolist()


def test_the_signal_stays_on_disk_until_it_is_indexed(written):
    store = WindowStore.open(written)
    for part in (store.signal.numbers, store.signal.step_uv):
        assert isinstance(part, np.memmap)
        assert not part.flags.writeable
    assert all(each.signal is store.signal for each in WindowPool.of([store, store]).stores)


def test_one_row_and_channel_can_be_read_alone(written):
    signal = WindowStore.open(written).signal
    np.testing.assert_array_equal(signal[[4, 0], [2, 1]], signal[:][[4, 0], [2, 1]])


def test_a_signal_in_another_layout_or_precision_is_stored_all_the_same(tmp_path):
    signal, table = windows()
    other = np.asfortranarray(signal.astype(np.float64))
    write_windows(tmp_path / "a.h5", other, table, channels=CHANNELS, sfreq_hz=128, attributes={})
    np.testing.assert_array_equal(WindowStore.open(tmp_path / "a.h5").signal, restored(*rounded(signal)))


def test_text_of_any_alphabet_comes_back(tmp_path):
    signal, table = windows()
    table = table.assign(session=["Übung", "α", "1", "1", "", "1"])
    attributes = {"source": {"Müller/β.dat": "ab"}}
    write_windows(tmp_path / "a.h5", signal, table, channels=CHANNELS, sfreq_hz=128, attributes=attributes)
    store = WindowStore.open(tmp_path / "a.h5")
    assert store.table["session"].tolist() == table["session"].tolist()
    assert store.attributes["source"] == attributes["source"]


def test_the_table_hash_is_that_of_the_table_read_back(written):
    store = WindowStore.open(written)
    assert store.attributes["table_hash"] == table_hash(store.table)


@pytest.mark.parametrize("column", ["window", "trial", "digest", "valence"])
def test_the_table_hash_follows_ids_contents_and_labels(written, column):
    table = WindowStore.open(written).table
    value = table[column].iloc[1]
    changed = table.copy()
    changed.loc[1, column] = f"{value}x" if isinstance(value, str) else value + 1
    assert table_hash(changed) != table_hash(table)


def test_only_the_file_is_left_in_the_folder(written):
    assert [path.name for path in written.parent.iterdir()] == ["sub-s01.h5"]


def test_an_id_that_stands_twice_is_refused(tmp_path):
    signal, table = windows()
    table.loc[3, "window"] = table.loc[0, "window"]
    with pytest.raises(UserError, match="window deap/s01/1/1/0 stands twice"):
        write_windows(tmp_path / "a.h5", signal, table, channels=CHANNELS, sfreq_hz=128, attributes={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", ["rows", "channels", "columns"])
def test_parts_that_do_not_fit_each_other_are_refused(tmp_path, fault):
    signal, table = windows()
    channels = CHANNELS[:2] if fault == "channels" else CHANNELS
    table = table[:-1] if fault == "rows" else table[list(KEYS[::-1])] if fault == "columns" else table
    with pytest.raises(UserError, match="expected one row a window"):
        write_windows(tmp_path / "a.h5", signal, table, channels=channels, sfreq_hz=128, attributes={})
    assert not list(tmp_path.iterdir())


def test_a_store_written_by_parts_in_any_order_is_the_one_written_at_once(tmp_path, written):
    signal, table = windows()
    stored = restored(*rounded(signal))
    attributes = {"scale": scales(stored, table["session"].to_numpy())} | ATTRIBUTES
    with WindowWriter(tmp_path / "a.h5", channels=CHANNELS, samples=40, sfreq_hz=128.0) as writer:
        for rows in (slice(4, 6), slice(0, 1), slice(1, 4)):
            writer.write(rows.start, signal[rows].astype(np.float64))
        writer.finish(table, attributes)
    assert (tmp_path / "a.h5").read_bytes() == written.read_bytes()


def test_a_description_longer_than_an_hdf5_attribute_can_be_comes_back(tmp_path):
    signal, table = windows()
    long = {"source": {f"night-{i}.edf": "ab" * 32 for i in range(2000)}}
    write_windows(tmp_path / "a.h5", signal, table, channels=CHANNELS, sfreq_hz=128, attributes=long)
    assert WindowStore.open(tmp_path / "a.h5").attributes["source"] == long["source"]


@pytest.mark.parametrize("fault", ["unfinished", "error", "row forgotten", "other shape"])
def test_a_store_that_is_not_complete_leaves_nothing(tmp_path, fault):
    signal, table = windows()

    def write():
        with WindowWriter(tmp_path / "a.h5", channels=CHANNELS, samples=40, sfreq_hz=128.0) as writer:
            writer.write(0, signal[:, :2] if fault == "other shape" else signal[:5])
            if fault == "error":
                raise OSError("the native file cannot be read")
            if fault == "row forgotten":
                writer.finish(table, {})

    kinds = {"error": (OSError, "^the native file"), "row forgotten": (UserError, "5 windows, 6 table rows")}
    if fault == "unfinished":
        write()
    else:
        kind, match = kinds.get(fault, (UserError, "windows of 2 channels and 40 samples; expected 3 and 40"))
        with pytest.raises(kind, match=match):
            write()
    assert not list(tmp_path.iterdir())


def test_the_scale_of_a_session_is_its_median_and_quartile_range(written):
    store = WindowStore.open(written)
    scale = store.attributes["scale"]["1"]
    flat = store.signal[:].transpose(1, 0, 2).reshape(3, -1)
    quartiles = np.percentile(flat, (25, 50, 75), axis=1)
    np.testing.assert_allclose(scale["median"], quartiles[1], rtol=1e-5)
    np.testing.assert_allclose(scale["sd"], 0.7413 * (quartiles[2] - quartiles[0]), rtol=1e-5)


def test_the_scale_of_a_long_session_is_the_same_by_parts_and_close_to_that_of_every_sample():
    signal = np.random.default_rng(0).normal(3, 20, (700, 2, 1000)).astype(np.float32)
    signal[:, 1] = np.nan
    sample = ScaleSample(700, 1000)
    for first in (0, 300, 301):
        last = {0: 300, 300: 301, 301: 700}[first]
        sample.add(first, signal[first:last])
    scale = sample.scale()
    whole = scales(signal, np.full(700, "1"))["1"]
    np.testing.assert_equal(scale, whole)
    assert scale["median"][0] == pytest.approx(3, abs=0.3)
    assert scale["sd"][0] == pytest.approx(20, rel=0.01)
    assert np.isnan([scale["median"][1], scale["sd"][1]]).all()
    assert sum(len(part) for part in sample._parts) <= MOST_SAMPLES


def check_refused(path):
    """A file is refused in one line that names it and says how to go on."""
    with pytest.raises(UserError) as caught:
        WindowStore.open(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path} is not a readable window store")
    assert message.endswith(f"mend: rm {path} and run the same command again")


@pytest.mark.parametrize("keep", [0, 10, 700, -1])
def test_a_truncated_store_is_one_line(written, keep):
    written.write_bytes(written.read_bytes()[:keep])
    check_refused(written)


def test_zeros_where_the_description_was_are_one_line(written):
    good = written.read_bytes()
    written.write_bytes(bytes(512) + good[512:])
    check_refused(written)


def test_any_stretch_of_zeros_ends_at_once_in_one_line_or_harmless(written):
    """HDF5 reads a damaged heap of strings for ever: there must be none."""
    good = written.read_bytes()
    for start in range(0, len(good), 64):
        written.write_bytes(good[:start] + bytes(64) + good[start + 64 :])
        try:
            WindowStore.open(written)
        except UserError:
            check_refused(written)


def test_a_file_of_another_kind_is_one_line(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("no store")
    check_refused(text)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    check_refused(tmp_path / "other.h5")


def test_a_missing_store_is_one_line(tmp_path):
    with pytest.raises(
        UserError,
        match=r"absent.h5 is missing; mend: run the same command again, with .*absent.h5 after the word snakemake\Z",
    ):
        WindowStore.open(tmp_path / "absent.h5")


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic(path) as aside:
            aside.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with atomic(tmp_path / "a.txt") as aside:
        code = f"""
            from unimontage.windows.atomic import atomic
            with atomic({str(tmp_path / "a.txt")!r}) as aside:
                aside.write_text("theirs")
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
        aside.write_text("ours")
    assert (tmp_path / "a.txt").read_text() == "ours"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "in the way").write_text("a file")
    broken = atomic(tmp_path / "in the way" / "a.txt")
    with pytest.raises(UserError, match=r"a.txt could not be written: (Not a directory|File exists)"):
        broken.__enter__()


WRITERS = """
    import sys
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import torch

    from unimontage.errors import UserError
    from unimontage.models.weights import save_weights
    from unimontage.splits.files import write_table
    from unimontage.training.checkpoint import save_checkpoint
    from unimontage.windows import write_windows

    sys.path.insert(0, sys.argv[2])
    from test_window_store import ATTRIBUTES, CHANNELS, windows

    folder = Path(sys.argv[1])


    def store(count, samples):
        signal, table = windows(count, samples)
        write_windows(folder / "a.h5", signal, table, channels=CHANNELS, sfreq_hz=128, attributes=ATTRIBUTES)


    cases = {
        "much signal": lambda: store(1000, 100),
        "a little too much signal": lambda: store(336, 100),
        "much table": lambda: store(3000, 1),
        "checkpoint": lambda: save_checkpoint(folder / "a.pt", {"x": torch.zeros(100_000)}),
        "weights": lambda: save_weights(folder / "a.safetensors", torch.nn.Linear(300, 300), {}),
        "table": lambda: write_table(folder / "a.parquet", pd.DataFrame({"x": np.random.rand(100_000)}), {}),
    }
    for name, write in cases.items():
        try:
            write()
        except UserError as error:
            left = [path.name for path in folder.iterdir() if path.suffix != ".json"]
            print("|".join([name, str(error), *left]))
"""


@pytest.fixture
def full_disk(tmp_path):
    """A folder with room for 200 kB: a small file system where that is allowed, else a limit on file size."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    limit = "" if mounted else "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
    yield folder, limit
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(full_disk):
    """In a process of its own: HDF5 used to end one that met a full disk with a segmentation fault."""
    folder, limit = full_disk
    code = limit + textwrap.dedent(WRITERS)
    beside = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), beside], capture_output=True, text=True, check=False, cwd=beside
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [
        "much signal",
        "a little too much signal",
        "much table",
        "checkpoint",
        "weights",
        "table",
    ]
    for name, message, *left in lines:
        assert "could not be written: " in message, name
        assert "mend: free space under" in message, name
        assert not left, name
