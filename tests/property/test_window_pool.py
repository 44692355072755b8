import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.errors import UserError
from unimontage.windows import WindowPool, WindowStore

quick = settings(deadline=None, max_examples=50)


def store(subject, sizes, start=0, channels=("CZ", "PZ"), rate=100.0):
    """A store in memory with ``sizes[i]`` windows in session i + 1; every value of a window is its number."""
    session = np.repeat([str(i + 1) for i in range(len(sizes))], sizes)
    number = np.arange(start, start + len(session))
    signal = np.broadcast_to(number[:, None, None], (len(session), len(channels), 3)).astype(np.float32)
    ids = [f"deap/{subject}/{s}/1/{k}" for k, s in enumerate(session)]
    table = pd.DataFrame({"window": ids, "session": session})
    return WindowStore(signal, table, channels, rate, {"subject": subject})


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
    assert pool.signal[rows, 1, 2].tolist() == [numbers[window] for window in ids]
    assert pool.ids[rows].tolist() == ids
    assert pool.domain[rows].tolist() == ["/".join(window.split("/")[1:3]) for window in ids]


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
