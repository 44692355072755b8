"""From what a scorer wrote to the epochs of a recording."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unimontage.datasets.edf import read_stretches
from unimontage.datasets.hypnogram import (
    ANPHY_LETTERS,
    DREAMS_DIGITS,
    EPOCH_S,
    ISRUC_DIGITS,
    LONGEST_MISMATCH,
    SLEEP_EDF_TEXTS,
    STAGES,
    crop_wake,
    fit,
    from_codes,
    from_majority,
    from_stretches,
    read_lines,
)
from unimontage.errors import UserError


def stretches(text, vocabulary=ANPHY_LETTERS, start_s=0.0):
    """Epochs given as blank-separated codes, one stretch each."""
    codes = text.split()
    return from_stretches(start_s + EPOCH_S * np.arange(len(codes)), [EPOCH_S] * len(codes), codes, vocabulary, "x.txt")


def night(*stages):
    """Trial table of consecutive epochs."""
    number = np.arange(len(stages))
    return pd.DataFrame(
        {"trial": number + 1, "onset_s": number * EPOCH_S, "duration_s": EPOCH_S, "stage": np.array(stages, float)}
    )


@given(st.lists(st.sampled_from(list(SLEEP_EDF_TEXTS)), min_size=1, max_size=60))
def test_long_stretches_and_single_epochs_say_the_same(codes):
    first = [i for i in range(len(codes)) if i == 0 or codes[i] != codes[i - 1]]
    lengths = np.diff([*first, len(codes)])
    merged = from_stretches(
        np.array(first) * EPOCH_S, lengths * EPOCH_S, [codes[i] for i in first], SLEEP_EDF_TEXTS, "x.edf"
    )
    assert merged.names.tolist() == [SLEEP_EDF_TEXTS[code] for code in codes]


def test_stages_three_and_four_are_one_and_numbers_follow_the_order_of_the_stages():
    hypnogram = from_codes(list(SLEEP_EDF_TEXTS), SLEEP_EDF_TEXTS, "x.edf")
    assert hypnogram.stage[:6].tolist() == [0, 1, 2, 3, 3, 4]
    assert np.isnan(hypnogram.stage[6:]).all()
    assert from_codes("01235", ISRUC_DIGITS, "x.txt").stage.tolist() == [0, 1, 2, 3, 4]


def test_epochs_without_a_stage_leave_a_gap_in_the_numbers_and_are_counted():
    trials, dropped = fit(stretches("L W N1 L N2 R L"), 7 * EPOCH_S, "")
    assert trials["trial"].tolist() == [2, 3, 5, 6]
    assert trials["onset_s"].tolist() == [30, 60, 120, 150]
    assert trials["stage"].tolist() == [0, 1, 2, 4]
    assert dropped == {"lights": 3}


def test_a_scoring_that_outlasts_the_signal_loses_the_epochs_beyond_it():
    trials, dropped = fit(stretches("W N1 N2 N2 N3 N3"), 3.5 * EPOCH_S, "")
    assert trials["trial"].tolist() == [1, 2, 3]
    assert dropped == {"after_signal": 2, "unfinished": 1}


def test_a_signal_that_outlasts_the_scoring_has_unscored_epochs():
    trials, dropped = fit(stretches("W N1 N2"), 5.9 * EPOCH_S, "")
    assert len(trials) == 3
    assert dropped == {"unscored": 2}


def test_a_scoring_that_began_before_the_signal_loses_its_first_epochs():
    trials, dropped = fit(stretches("W W N1 N2", start_s=-60.0), 2 * EPOCH_S, "")
    assert trials["trial"].tolist() == [1, 2]
    assert trials["stage"].tolist() == [1, 2]
    assert dropped == {"before_signal": 2}


def test_an_unscored_tail_may_be_as_long_as_it_likes():
    hypnogram = from_stretches([0, 60], [60, 86_400], ["Sleep stage W", "Sleep stage ?"], SLEEP_EDF_TEXTS, "x.edf")
    trials, dropped = fit(hypnogram, 90.0, "")
    assert len(trials) == 2
    assert dropped == {"unscored": 1}


@pytest.mark.parametrize(
    ("scored", "signal", "message"),
    [
        (LONGEST_MISMATCH + 3, 2, "ends 121 epochs after the signal"),
        (2, LONGEST_MISMATCH + 3, "ends 121 epochs before the end of the signal"),
    ],
)
def test_more_than_an_hour_of_difference_is_another_recording(scored, signal, message):
    with pytest.raises(UserError, match=rf"x\.txt: the scoring {message}.*mend: MEND"):
        fit(stretches("W " * scored), signal * EPOCH_S, "MEND")


def test_a_scoring_that_lies_beside_the_signal_is_refused():
    with pytest.raises(UserError, match=r"x\.txt: no scored epoch lies in the signal of 4\.0 epochs"):
        fit(stretches("W N1", start_s=300.0), 4 * EPOCH_S, "")


@pytest.mark.parametrize("code", ["N4", "4", ""])
def test_an_unknown_stage_is_named_with_file_code_and_place(code):
    with pytest.raises(UserError, match=rf"x\.txt, onset 30 s: '{code}' is no known stage; expected one of W, N1"):
        from_stretches([0, 30], [30, 30], ["W", code], ANPHY_LETTERS, "x.txt")
    with pytest.raises(UserError, match=rf"x\.txt, line 2: '{code}' is no known stage"):
        from_codes(["0", code], ISRUC_DIGITS, "x.txt")


def test_two_stages_at_a_time_are_refused_but_lights_may_lie_on_a_stage():
    with pytest.raises(UserError, match="two stages overlap at 30 s"):
        from_stretches([0, 30], [60, 30], ["W", "N1"], ANPHY_LETTERS, "x.txt")
    hypnogram = from_stretches([0, 0, 30], [0, 30, 30], ["L", "W", "N1"], ANPHY_LETTERS, "x.txt")
    assert hypnogram.names.tolist() == ["W", "N1"]


def test_finer_codes_are_settled_by_majority_and_a_tie_by_nobody():
    codes = [*"555522", *"101225", *"555222", *(["-1"] * 4), *"55", *"44"]
    hypnogram = from_majority(codes, DREAMS_DIGITS, 6, "x.txt")
    assert hypnogram.names.tolist() == ["W", "N3", "unscored", "movement"]
    with pytest.raises(UserError, match=r"line 4: '7' is no known stage"):
        from_majority(["5", "5", "7"], DREAMS_DIGITS, 6, "x.txt")


def test_a_second_opinion_is_looked_up_by_the_place_of_the_epoch():
    second = from_codes("0125", ISRUC_DIGITS, "x.txt")
    assert np.array_equal(second.at(pd.Series([2, 4, 9])), [1, 4, np.nan], equal_nan=True)


def test_blank_lines_at_the_end_of_a_file_are_no_epochs(tmp_path):
    (tmp_path / "x.txt").write_text("0\r\n 2 \r\n5\r\n\r\n\n")
    assert read_lines(tmp_path / "x.txt") == ["0", "2", "5"]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 30))
def test_wake_is_cropped_to_the_minutes_around_sleep(stages, epochs):
    trials = night(*stages)
    asleep = np.flatnonzero(np.array(stages) > 0)
    if not len(asleep):
        with pytest.raises(UserError, match="epochs is sleep"):
            crop_wake(trials, epochs / 2)
        return
    cropped, dropped = crop_wake(trials, epochs / 2)
    expected = np.arange(max(0, asleep[0] - epochs), min(len(stages), asleep[-1] + 1 + epochs))
    assert cropped["trial"].tolist() == (expected + 1).tolist()
    assert dropped == len(stages) - len(cropped)


def test_a_night_without_sleep_cannot_be_cropped():
    with pytest.raises(UserError, match=r"none of the 3 scored epochs is sleep.*crop_wake_min: null"):
        crop_wake(night(0, 0, 0), 30)


# Published counts of these nights after the usual crop of 30 minutes: W, N1, N2, N3, REM.
REAL = {
    "SC4001EC": (79_500, (188, 58, 250, 220, 125)),
    "SC4002EC": (84_900, (183, 59, 373, 297, 215)),
    "SC4011EH": (84_060, (157, 109, 562, 105, 170)),
}


@pytest.mark.parametrize("name", REAL)
def test_real_nights_have_the_counts_that_others_find(realdata, name):
    signal_s, counts = REAL[name]
    path = realdata / "sleep_edf_hypnograms" / f"{name}-Hypnogram.edf"
    hypnogram = from_stretches(*read_stretches(path, ""), SLEEP_EDF_TEXTS, path.name)
    trials, dropped = fit(hypnogram, signal_s, "")
    assert set(dropped) <= {"movement", "unscored"}
    assert len(trials) + sum(dropped.values()) == signal_s / EPOCH_S
    cropped, _ = crop_wake(trials, 30)
    assert np.bincount(cropped["stage"].astype(int), minlength=len(STAGES)).tolist() == list(counts)


def test_real_stages_written_every_five_seconds_become_half_minutes(realdata):
    path = realdata / "dreams_spindles" / "Hypnogram_excerpt2.txt"
    trials, dropped = fit(from_majority(read_lines(path)[1:], DREAMS_DIGITS, 6, path.name), 1800.0, "")
    assert len(trials) == 60
    assert not dropped
    assert np.bincount(trials["stage"].astype(int)).tolist() == [0, 4, 32, 24]
