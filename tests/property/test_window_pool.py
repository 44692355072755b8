import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.errors import UserError
from unimontage.signal.normalise import scale_of, scaled
from unimontage.windows import WindowPool, WindowStore, WindowView

quick = settings(max_examples=50)


def store(subject, sizes, start=0, channels=("CZ", "PZ"), rate=100.0):
    """A store in memory with ``sizes[i]`` windows in session i + 1; every value of a window is its number."""
    session = np.repeat([str(i + 1) for i in range(len(sizes))], sizes)
    number = np.arange(start, start + len(session))
    signal = np.broadcast_to(number[:, None, None], (len(session), len(channels), 3)).astype(np.float32)
    ids = [f"deap/{subject}/{s}/1/{k}" for k, s in enumerate(session)]
    table = pd.DataFrame({"window": ids, "session": session})
    scale = {str(i + 1): {"median": [float(i), np.nan], "sd": [2.0, np.nan]} for i in range(len(sizes))}
    missing = {str(i + 1): ["PZ"] for i in range(len(sizes))}
    return WindowStore(signal, table, channels, rate, {"subject": subject, "scale": scale, "missing": missing})


@st.composite
def pools(draw):
    """One to three subjects of one or two sessions, and ids of theirs in any order, some of them twice."""
    stores, start = [], 0
    for subject in range(draw(st.integers(1, 3))):
        sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=2))
        stores.append(store(f"s{subject}", sizes, start))
        start += sum(sizes)
    ids = [window for each in stores for window in each.table["window"]]
    return stores, draw(st.lists(st.sampled_from(ids), max_size=20))


@quick
@given(pools())
def test_ids_are_found_in_any_order(drawn):
    stores, ids = drawn
    pool = WindowPool.of(stores)
    numbers = {
        window: signal[0, 0]
        for each in stores
        for window, signal in zip(each.table["window"], each.signal, strict=True)
    }
    rows = pool.rows(ids)
    assert pool.windows(rows)[:, 1, 2].tolist() == [numbers[window] for window in ids]
    assert pool.ids[rows].tolist() == ids
    assert pool.domain[rows].tolist() == ["/".join(window.split("/")[1:3]) for window in ids]


@quick
@given(pools(), st.data())
def test_a_view_is_the_array_that_it_stands_for(drawn, data):
    stores, ids = drawn
    pool = WindowPool.of(stores)
    rows = pool.rows(ids)
    domain = pool.domain[rows]
    index = np.array(data.draw(st.lists(st.integers(0, len(ids) - 1), max_size=9)) if ids else [], dtype=int)
    plain = pool.windows(rows)
    scale = scale_of(domain, pool.scale)
    views = {"plain": WindowView(pool, rows), "scaled": WindowView(pool, rows).scaled_by(scale)}
    arrays = {"plain": plain, "scaled": scaled(plain, *scale)}
    for name, view in views.items():
        array = arrays[name]
        assert len(view) == len(array)
        np.testing.assert_array_equal(np.asarray(view), array)
        np.testing.assert_array_equal(view[index], array[index])
        np.testing.assert_array_equal(view[2:5], array[2:5])
        np.testing.assert_array_equal(np.asarray(view.take(index)), array[index])
        np.testing.assert_array_equal(np.concatenate([view, view]), np.concatenate([array, array]))


def test_a_view_reads_what_is_asked_for_and_no_more(monkeypatch):
    pool, read = WindowPool.of([store("s1", [50])]), []
    windows = WindowPool.windows
    monkeypatch.setattr(WindowPool, "windows", lambda self, rows: read.append(len(rows)) or windows(self, rows))
    view = WindowView(pool, np.arange(40)).scaled_by(scale_of(pool.domain[:40], pool.scale)).take(np.arange(0, 40, 2))
    assert read == []
    assert view[:3].shape == (3, 2, 3)
    assert read == [3]


@quick
@given(pools(), st.integers(0, 20))
def test_an_id_that_is_not_there_is_named(drawn, place):
    stores, ids = drawn
    ids.insert(min(place, len(ids)), "deap/s0/1/1/99")
    with pytest.raises(UserError, match="window deap/s0/1/1/99 is not in the window store"):
        WindowPool.of(stores).rows(ids)


@pytest.mark.parametrize("odd", [{"channels": ("PZ", "CZ")}, {"channels": ("CZ",)}, {"rate": 128.0}])
def test_subjects_with_other_channels_or_rates_are_not_mixed(odd):
    with pytest.raises(UserError, match="s1 and s2 differ in channels or rate"):
        WindowPool.of([store("s1", [2]), store("s2", [2], **odd)])


def test_windows_of_another_length_are_not_mixed():
    short = store("s2", [2])
    short = WindowStore(short.signal[:, :, :2], short.table, short.channels, short.sfreq_hz, short.attributes)
    with pytest.raises(UserError, match=r"s1 and s2 differ.*one window length"):
        WindowPool.of([store("s1", [2]), short])


@pytest.mark.parametrize("position", [-1, 4])
def test_a_position_outside_the_pool_is_never_wrapped_around(position):
    with pytest.raises(IndexError, match="of 4 windows"):
        WindowPool.of([store("s1", [2]), store("s2", [2], 2)]).windows(np.array([0, position]))


def test_scale_and_missing_channels_are_known_by_domain():
    pool = WindowPool.of([store("s1", [2, 1]), store("s2", [3])])
    assert list(pool.scale) == list(pool.missing) == ["s1/1", "s1/2", "s2/1"]
    median, sd = pool.scale["s1/2"]
    np.testing.assert_array_equal(median, [1.0, np.nan])
    np.testing.assert_array_equal(sd, [2.0, np.nan])
    assert pool.missing["s2/1"] == ("PZ",)


def test_a_store_without_scale_is_named():
    bare = store("s1", [2])
    bare = WindowStore(bare.signal, bare.table, bare.channels, bare.sfreq_hz, {"subject": "s1"})
    pool = WindowPool.of([bare])
    assert pool.missing == {"s1/1": ()}
    with pytest.raises(UserError, match="store of subject s1 says nothing of its scale"):
        _ = pool.scale
