"""Supervised training on a part of the labelled windows: what is left out, and what is never looked at."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from unimontage.config.distillation import Choice
from unimontage.training.devices import open_device
from unimontage.training.folds import Fold, Part
from unimontage.training.thinning import thinned
from unimontage.windows import WindowPool, WindowView
from unimontage.windows.store import WindowStore

CLASSES, TRAIN, VAL, TEST = 3, 60, 12, 12
SMALL = {"depth": 1, "width": 2, "epochs": 1, "batch": 16}


@pytest.fixture(scope="module")
def pool() -> WindowPool:
    count = TRAIN + VAL + TEST
    signal = 20 * np.random.default_rng(0).standard_normal((count, 4, 100), dtype=np.float32)
    ids = [f"seed/1/1/{k}/0" for k in range(1, count + 1)]
    table = pd.DataFrame({"window": ids, "session": "1", "start_sample": np.arange(count) * 100})
    attributes = {"dataset": "seed", "subject": "1"}
    return WindowPool.of([WindowStore(signal, table, ("FZ", "CZ", "PZ", "OZ"), 100.0, attributes)])


@pytest.fixture(scope="module")
def fold(pool: WindowPool) -> Fold:
    parts = np.split(np.arange(TRAIN + VAL + TEST), [TRAIN, TRAIN + VAL])
    domain = np.full(TRAIN + VAL + TEST, "1/1", dtype=object)
    return Fold("0", *(Part(WindowView(pool, p), p % CLASSES, domain[p], pool.ids[p].to_numpy(object)) for p in parts))


@pytest.mark.parametrize("method", ["dlite", "random", "stride", "pca", "kmeans", "hbos_random", "m3d"])
def test_every_method_keeps_its_share_of_every_class(fold, pool, method):
    choice = Choice(kept=0.25, method=method, compressor=SMALL)
    found = thinned(fold, pool, choice, open_device(1))
    assert np.bincount(found.train.y).tolist() == [TRAIN // CLASSES // 4] * CLASSES
    assert set(found.train.windows) < set(fold.train.windows)
    np.testing.assert_array_equal(found.train.x, pool.windows(pool.rows(found.train.windows)))
    assert found.val is fold.val
    assert found.test is fold.test


def test_the_choice_depends_on_the_training_windows_alone(fold, pool):
    choice, fabric = Choice(kept=0.25, compressor=SMALL), open_device(1)
    whole = pool.windows(np.arange(len(pool.ids)))
    whole[TRAIN:] *= 100
    other = WindowPool.of([WindowStore(whole, pool.stores[0].table, pool.channels, 100.0, pool.stores[0].attributes)])
    found = [thinned(fold, each, choice, fabric).train.windows for each in (pool, other)]
    np.testing.assert_array_equal(*found)


def test_an_artefact_is_kept_unless_outliers_are_removed(fold, pool):
    whole = pool.windows(np.arange(len(pool.ids)))
    whole[0] *= 200
    scaled = replace(fold, train=replace(fold.train, x=whole[:TRAIN]))
    loud = WindowPool.of([WindowStore(whole, pool.stores[0].table, pool.channels, 100.0, pool.stores[0].attributes)])
    kept = {
        tau: thinned(scaled, loud, Choice(kept=0.25, method="pca", outliers=tau), open_device(1)).train.windows
        for tau in (0, 0.05)
    }
    assert pool.ids[0] in kept[0]
    assert pool.ids[0] not in kept[0.05]
