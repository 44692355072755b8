"""Windows in the memory of a device are those on disk, whichever system draws them."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unimontage.montage.schema import Vocabulary
from unimontage.training import corpus, epochs, patches, residence
from unimontage.training.residence import PROCESSOR, OnDisk, Resident, readers
from unimontage.windows import WindowPool, WindowStore, write_windows
from unimontage.windows.store import KEYS

MONTAGES = {"a": ("C3", "CZ"), "b": ("CZ", "FZ", "OZ")}


def store(folder, dataset, subject, windows, missing=False):
    """Windows of noise, of two sessions; in one of them the last channel may be missing."""
    channels, k = MONTAGES[dataset], np.arange(windows)
    signal = np.random.default_rng([ord(dataset), int(subject), windows]).normal(5, 30, (windows, len(channels), 50))
    session = np.where(k < windows // 2, "1", "2")
    if missing:
        signal[session == "1", -1] = np.nan
    columns = {"window": [f"{dataset}/{subject}/{s}/{i + 1}/0" for i, s in zip(k, session, strict=True)]}
    columns |= {"session": session, "trial": k + 1, "start_s": 0.0, "start_sample": 50 * k, "digest": ""}
    path = folder / f"{dataset}{subject}.h5"
    attributes = {"dataset": dataset, "subject": subject}
    table = pd.DataFrame(columns)[list(KEYS)]
    write_windows(path, signal, table, channels=channels, sfreq_hz=100, attributes=attributes)
    return WindowStore.open(path)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return [store(folder, dataset, subject, 10 + int(subject)) for dataset in "ab" for subject in "123"]


@pytest.fixture
def resident(monkeypatch):
    """As on a GPU with room."""

    def all_resident(pools, device):
        return [Resident.of(pool, PROCESSOR) for pool in pools]

    for module in (corpus, epochs, patches):
        monkeypatch.setattr(module, "readers", all_resident)


@given(data=st.data())
def test_what_is_read_is_the_same_bit_for_bit(stores, data):
    for pool in WindowPool.alike(stores):
        rows = np.array(data.draw(st.lists(st.integers(0, len(pool.ids) - 1), max_size=9)), dtype=int)
        channels = np.array([data.draw(st.integers(0, len(pool.channels) - 1)) for _ in rows], dtype=int)
        disk, memory = OnDisk(pool), Resident.of(pool, PROCESSOR)
        assert torch.equal(disk.windows(rows), memory.windows(rows))
        assert torch.equal(disk.segments(rows, channels), memory.segments(rows, channels))


def test_pools_keep_the_order_of_their_stores_and_never_mix_montages(stores):
    pools = WindowPool.alike(stores[::-1])
    assert [pool.channels for pool in pools] == [MONTAGES["b"], MONTAGES["a"]]
    assert [s.attributes["subject"] for s in pools[0].stores] == ["3", "2", "1"]


def drawn_segments(stores):
    ids = [name for each in stores for name in each.table["window"]]
    made = corpus.SegmentCorpus(stores, ids[3:], Vocabulary.union(MONTAGES.values()), [100.0])
    return [(part.x, part.channel, part.window) for part in made.segments(np.arange(40), np.random.default_rng(0))]


def drawn_examples(stores):
    pool = WindowPool.of([each for each in stores if each.attributes["dataset"] == "b"])
    reader = epochs.readers([pool], PROCESSOR)[0]
    source = epochs.Source.of(pool, pool.ids, reader)
    found = source.examples(np.arange(12).reshape(6, 2), np.zeros(6))
    return [(found.x, found.present, found.microvolt)]


def drawn_patches(stores):
    ids = [name for each in stores for name in each.table["window"]]
    made = patches.PatchCorpus(stores, ids, batch=7, interleave=True, seed=3)
    return [(made.batch_at(step).x,) for step in range(2 * len(made))]


@pytest.mark.parametrize("draw", [drawn_segments, drawn_examples, drawn_patches])
def test_every_system_draws_the_same_batches_from_either(stores, draw, request, tmp_path):
    if draw is drawn_examples:
        stores = [*stores, store(tmp_path, "b", "9", 12, missing=True)]
    expected = draw(stores)
    request.getfixturevalue("resident")
    found = draw(stores)
    assert len(found) == len(expected) > 0
    for ours, plain in zip(found, expected, strict=True):
        for a, b in zip(ours, plain, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_windows_move_to_a_gpu_where_all_fit_into_half_of_what_is_free(stores, monkeypatch):
    pools = WindowPool.alike(stores)
    monkeypatch.setattr(Resident, "of", classmethod(lambda cls, pool, device: cls(device, len(pool.ids))))
    needed, gpu = residence.size(pools), torch.device("cuda", 0)
    assert needed == sum(2 * np.prod(each.signal.shape) for each in stores)
    for free, kind in ((2 * needed, Resident), (2 * needed - 2, OnDisk)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10 * needed))
        assert {type(reader) for reader in readers(pools, gpu)} == {kind}
    assert {type(reader) for reader in readers(pools, PROCESSOR)} == {OnDisk}
