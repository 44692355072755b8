import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.signal.windowing import cut, digests, gather


def trials_of(*places, **labels):
    table = pd.DataFrame(places, columns=["onset_s", "duration_s"])
    table.insert(0, "trial", np.arange(1, len(table) + 1))
    return table.assign(**labels)


def cut_all(trials, sfreq_hz=128.0, length_s=1.0, step_s=1.0, samples_total=10_000, **part):
    return cut(trials, sfreq_hz, length_s, step_s, samples_total=samples_total, where="sub-01", **part)


def test_a_minute_holds_sixty_windows_of_a_second_with_the_labels_of_its_trial():
    table = cut_all(trials_of((0, 60.0), (60.0, 3.5), valence=[7.0, 2.0]))
    assert list(table.columns) == ["trial", "k", "start_s", "start_sample", "valence"]
    assert table.groupby("trial").size().to_dict() == {1: 60, 2: 3}
    assert table[table.trial == 2][["k", "start_s", "start_sample"]].values.tolist() == [
        [0, 0.0, 7680],
        [1, 1.0, 7808],
        [2, 2.0, 7936],
    ]
    assert table.valence.tolist() == [7.0] * 60 + [2.0] * 3


def test_overlapping_windows_step_by_the_step():
    table = cut_all(trials_of((1.0, 3.0)), length_s=2.0, step_s=0.5)
    assert table.start_sample.tolist() == [128, 192, 256]
    assert table.start_s.tolist() == [0.0, 0.5, 1.0]


def test_a_part_of_a_trial_is_counted_from_its_onset():
    table = cut_all(trials_of((10.0, 4.1)), start_s=0.5, stop_s=3.5)
    assert table.start_s.tolist() == [0.5, 1.5, 2.5]
    assert table.start_sample.tolist() == [1344, 1472, 1600]


def test_only_the_last_seconds_of_a_long_trial_are_used_and_a_short_one_whole():
    table = cut_all(trials_of((0.0, 10.0), (20.0, 2.0)), last_s=3.0)
    assert table.start_s.tolist() == [7.0, 8.0, 9.0, 0.0, 1.0]


def test_a_stop_beyond_the_trial_means_its_end():
    assert len(cut_all(trials_of((0.0, 3.0), (3.0, 9.0)), stop_s=5.0)) == 8


def test_a_trial_of_whole_windows_keeps_them_all_wherever_it_starts():
    # 125 samples from between two samples on: halves that round to even would lose one of them.
    onsets = (np.arange(50) * 127 + 0.5) / 125
    table = cut_all(trials_of(*((onset, 1.0) for onset in onsets)), sfreq_hz=125.0)
    assert len(table) == 50


def test_a_trial_shorter_than_a_window_is_named_with_its_seconds():
    with pytest.raises(UserError, match=r"sub-01: trial 2 offers 0.5 s; expected at least one window of 1 s; mend"):
        cut_all(trials_of((0.0, 5.0), (5.0, 0.5)))


@pytest.mark.parametrize("place", [(9.5, 1.0), (-1.0, 2.0), (float("nan"), 1.0), (0.0, float("nan"))])
def test_a_trial_outside_the_recording_is_an_error(place):
    with pytest.raises(UserError, match="trial 1 lies at"):
        cut_all(trials_of(place), samples_total=1280)


def test_a_window_of_half_a_sample_is_an_error_with_the_nearest_length():
    with pytest.raises(UserError, match=r"length_s 0.33 s is 42.24 samples at 128 Hz.*length_s: 0.328125"):
        cut_all(trials_of((0.0, 5.0)), length_s=0.33)


def test_no_trials_are_an_error():
    with pytest.raises(UserError, match="no trials"):
        cut_all(trials_of())


def test_gathered_windows_are_the_samples_at_their_starts():
    data = np.arange(40, dtype=np.float32).reshape(2, 20)
    windows = gather(data, np.array([0, 15, 3]), 5)
    assert windows.shape == (3, 2, 5)
    assert windows.flags.c_contiguous
    assert windows.dtype == np.float32
    np.testing.assert_array_equal(windows[1], data[:, 15:20])


@pytest.mark.parametrize("start", [-1, 16])
def test_a_window_that_leaves_the_signal_is_never_wrapped_around(start):
    with pytest.raises(ValueError, match="windows of 5 samples"):
        gather(np.zeros((2, 20)), np.array([start]), 5)


def test_equal_windows_have_equal_digests_and_a_change_of_a_tenth_microvolt_another():
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 20, (3, 4, 128)).round(2).astype(np.float32)
    signal[1] = signal[0] + 1e-4
    signal[2] = signal[0]
    signal[2, 3, 100] += 0.1
    first, same, other = digests(signal)
    assert first == same != other
    assert all(len(text) == 16 * 9 and int(text, 16) >= 0 for text in (first, other)), "a hash and eight landmarks"


def test_a_zero_has_no_sign_in_a_digest():
    assert digests(np.zeros((1, 2, 3)))[0] == digests(-np.zeros((1, 2, 3)))[0]


def test_a_channel_that_is_lacking_is_part_of_the_digest_and_no_level_of_another():
    signal = np.random.default_rng(0).normal(0, 20, (3, 2, 128)).astype(np.float32)
    signal[1:] = signal[0]
    signal[:2, 1] = np.nan
    first, same, other = digests(signal)
    assert first == same != other
