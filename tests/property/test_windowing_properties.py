import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from unimontage.signal.windowing import cut, digests, gather


@st.composite
def recordings(draw):
    """Trials one after the other with gaps, at any rate, each long enough for a window."""
    sfreq_hz = draw(st.sampled_from([100.0, 128.0, 160.0, 200.0, 256.0]))
    length = draw(st.integers(8, 300))
    step = draw(st.integers(1, 400))
    gaps = draw(st.lists(st.floats(0, 3), min_size=1, max_size=8))
    extra = draw(st.lists(st.floats(0, 5), min_size=len(gaps), max_size=len(gaps)))
    durations = (length + 1) / sfreq_hz + np.array(extra)  # one sample to spare: rounding may take it
    onsets = np.cumsum(np.array(gaps) + np.r_[0.0, durations[:-1]])
    trials = pd.DataFrame({"trial": np.arange(1, len(gaps) + 1), "onset_s": onsets, "duration_s": durations})
    total = int(np.ceil((onsets[-1] + durations[-1]) * sfreq_hz)) + 1
    return trials, sfreq_hz, length, step, total


@given(recordings())
def test_no_window_crosses_its_trial_and_none_is_forgotten(recording):
    trials, sfreq_hz, length, step, total = recording
    table = cut(trials, sfreq_hz, length / sfreq_hz, step / sfreq_hz, samples_total=total, where="x")
    whose = trials.set_index("trial").loc[table.trial]
    onset, end = whose.onset_s.to_numpy() * sfreq_hz, (whose.onset_s + whose.duration_s).to_numpy() * sfreq_hz
    assert (table.start_sample >= onset - 0.5 - 1e-5).all()
    assert (table.start_sample + length <= end + 0.5 + 1e-5).all()
    last = table.groupby("trial").start_sample.max() + length
    left = (trials.onset_s + trials.duration_s).to_numpy() * sfreq_hz - last.to_numpy()
    assert (left < step + 0.5 + 1e-5).all()


@given(recordings())
def test_windows_are_in_order_and_numbered_within_each_trial(recording):
    trials, sfreq_hz, length, step, total = recording
    table = cut(trials, sfreq_hz, length / sfreq_hz, step / sfreq_hz, samples_total=total, where="x")
    assert list(table.trial.unique()) == list(trials.trial)
    for _, group in table.groupby("trial"):
        assert group.k.tolist() == list(range(len(group)))
        assert (np.diff(group.start_sample) == step).all()


@given(recordings())
def test_a_window_holds_exactly_the_samples_its_row_names(recording):
    trials, sfreq_hz, length, step, total = recording
    table = cut(trials, sfreq_hz, length / sfreq_hz, step / sfreq_hz, samples_total=total, where="x")
    ramp = np.arange(total, dtype=np.int32)[None]
    windows = gather(ramp, table.start_sample.to_numpy(), length)[:, 0]
    np.testing.assert_array_equal(windows, table.start_sample.to_numpy()[:, None] + np.arange(length))


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_a_digest_depends_on_its_own_window_alone(windows, channels, samples, seed):
    signal = np.random.default_rng(seed).normal(0, 30, (windows, channels, samples)).astype(np.float32)
    together = digests(signal)
    assert together.tolist() == [digests(window[None])[0] for window in signal]
