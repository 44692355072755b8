import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.errors import UserError
from unimontage.splits.protocols import paper, seed_9_6, strict_loso, strict_trial

quick = settings(max_examples=25)
FOLDS = st.integers(2, 4)
SEEDS = st.integers(0, 2**32 - 1)
SHARES = st.floats(0.01, 0.49)


def table(subject, session, labels, counts):
    """One row a window: trials from 1, each with its label and its number of windows."""
    trial = np.repeat(np.arange(1, len(labels) + 1), counts)
    k = np.concatenate([np.arange(count) for count in counts])
    ids = [f"deap/{subject}/{session}/{t}/{i}" for t, i in zip(trial, k, strict=True)]
    target = np.repeat(labels, counts)
    return pd.DataFrame({"window": ids, "subject": subject, "session": session, "trial": trial, "target": target})


@st.composite
def sessions(draw, subject="s01"):
    """Labelled windows of one subject that two to four folds can divide."""
    parts = []
    for session in range(draw(st.integers(1, 2))):
        members = [draw(st.integers(4, 7)), *draw(st.lists(st.integers(2, 6), min_size=1, max_size=2))]
        labels = draw(st.permutations(np.repeat(np.arange(len(members)), members).tolist()))
        counts = draw(st.lists(st.integers(2, 4), min_size=len(labels), max_size=len(labels)))
        parts.append(table(subject, str(session + 1), labels, counts))
    return pd.concat(parts, ignore_index=True)


@st.composite
def seed_sessions(draw):
    """Sessions of fifteen clips, as SEED has them, with any labels."""
    labels = [draw(st.lists(st.integers(0, 2), min_size=15, max_size=15)) for _ in range(draw(st.integers(1, 3)))]
    return pd.concat([table("1", str(i + 1), each, [2] * 15) for i, each in enumerate(labels)], ignore_index=True)


@st.composite
def people(draw):
    """Windows of three to six subjects, some of whom may have one class only."""
    names = [f"s{i:02d}" for i in range(1, draw(st.integers(3, 6)) + 1)]
    parts = []
    for name in names:
        labels = draw(st.lists(st.integers(0, 2), min_size=1, max_size=4))
        parts.append(table(name, "1", labels, [draw(st.integers(1, 3))] * len(labels)))
    return pd.concat(parts, ignore_index=True), draw(st.sampled_from(names))


def joined(split, windows):
    """Every row of a split with the trial, session and subject of its window."""
    return split.merge(windows.rename(columns={"target": "truth"}), on="window", validate="many_to_one")


@quick
@given(sessions(), FOLDS, SEEDS, SHARES)
def test_no_trial_is_on_both_sides_of_a_strict_fold(windows, folds, seed, share):
    split = joined(strict_trial(windows, folds=folds, seed=seed, validation=share), windows)
    assert (split.groupby(["fold", "session", "trial"])["role"].nunique() == 1).all()
    assert (split.groupby("fold")["session"].nunique() == 1).all()


@quick
@given(seed_sessions(), SEEDS, SHARES)
def test_seed_9_6_trains_on_the_first_nine_clips_only(windows, seed, share):
    split = joined(seed_9_6(windows, seed=seed, validation=share), windows)
    assert (split["trial"][split["role"] != "test"] <= 9).all()
    assert (split["trial"][split["role"] == "test"] > 9).all()
    assert split["window"].is_unique
    assert len(split) == len(windows)
    assert (split.groupby(["fold", "session", "trial"])["role"].nunique() == 1).all()


@quick
@given(people(), SEEDS, SHARES)
def test_a_left_out_subject_stands_nowhere_but_in_the_test(drawn, seed, share):
    windows, subject = drawn
    split = joined(strict_loso(windows, subject, seed=seed, validation=share), windows)
    assert set(split["subject"][split["role"] == "test"]) == {subject}
    assert set(split["role"][split["subject"] == subject]) == {"test"}
    assert (split.groupby("subject")["role"].nunique() == 1).all()
    assert sorted(split["window"]) == sorted(windows["window"])
    assert (split["role"] == "train").any()


@quick
@given(sessions(), FOLDS, SEEDS, SHARES)
def test_every_window_is_tested_exactly_once_over_the_folds_of_its_session(windows, folds, seed, share):
    strict = strict_trial(windows, folds=folds, seed=seed, validation=share)
    for split in (paper(windows, folds=folds, seed=seed), strict):
        assert sorted(split["window"][split["role"] == "test"]) == sorted(windows["window"])
        rows = joined(split, windows)
        assert (rows.groupby("session")["fold"].nunique() == folds).all()
        sizes = windows.groupby("session").size()
        for (_, session), group in rows.groupby(["fold", "session"]):
            assert group["window"].is_unique
            assert len(group) == sizes[session]


@quick
@given(sessions(), FOLDS, SEEDS, SHARES)
def test_validation_never_takes_the_last_trial_of_a_class(windows, folds, seed, share):
    split = strict_trial(windows, folds=folds, seed=seed, validation=share)
    for _, fold in split.groupby("fold"):
        known = fold[fold["role"] != "test"]
        assert set(known["target"]) == set(known["target"][known["role"] == "train"])


@quick
@given(seed_sessions(), SEEDS, SHARES)
def test_validation_of_seed_never_takes_the_last_trial_of_a_class(windows, seed, share):
    for _, fold in seed_9_6(windows, seed=seed, validation=share).groupby("fold"):
        known = fold[fold["role"] != "test"]
        assert set(known["target"]) == set(known["target"][known["role"] == "train"])


@quick
@given(people(), SEEDS, SHARES)
def test_validation_never_takes_the_last_subject_with_a_class(drawn, seed, share):
    windows, subject = drawn
    split = strict_loso(windows, subject, seed=seed, validation=share)
    known = split[split["role"] != "test"]
    assert set(known["target"]) == set(known["target"][known["role"] == "train"])


def test_one_subject_validates_where_every_subject_has_every_class():
    windows = pd.concat([table(f"s{i}", "1", [0, 1], [2, 2]) for i in range(5)], ignore_index=True)
    split = joined(strict_loso(windows, "s3", seed=0, validation=0.1), windows)
    assert split[split["role"] == "val"]["subject"].nunique() == 1
    assert split[split["role"] == "train"]["subject"].nunique() == 3


def same(a, b):
    """Whether two splits give every window of every fold the same role and target."""
    columns = ["fold", "window", "role", "target"]
    return [tuple(row) for row in sorted(a[columns].itertuples(index=False))] == [
        tuple(row) for row in sorted(b[columns].itertuples(index=False))
    ]


@quick
@given(sessions(), FOLDS, SEEDS, SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(windows, folds, seed, share, random):
    shuffled = windows.iloc[random.sample(range(len(windows)), len(windows))]
    assert same(paper(windows, folds=folds, seed=seed), paper(shuffled, folds=folds, seed=seed))
    options = {"folds": folds, "seed": seed, "validation": share}
    assert same(strict_trial(windows, **options), strict_trial(shuffled, **options))


@quick
@given(people(), SEEDS, SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_subjects_does_not_matter(drawn, seed, share, random):
    windows, subject = drawn
    shuffled = windows.iloc[random.sample(range(len(windows)), len(windows))]
    options = {"seed": seed, "validation": share}
    assert same(strict_loso(windows, subject, **options), strict_loso(shuffled, subject, **options))


@quick
@given(seed_sessions(), SEEDS, SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_clips_does_not_matter(windows, seed, share, random):
    shuffled = windows.iloc[random.sample(range(len(windows)), len(windows))]
    assert same(seed_9_6(windows, seed=seed, validation=share), seed_9_6(shuffled, seed=seed, validation=share))


@quick
@given(sessions(), people(), seed_sessions(), FOLDS, SEEDS, SHARES)
def test_no_split_tells_a_test_label(windows, drawn, clips, folds, seed, share):
    everyone, subject = drawn
    for split, source in (
        (paper(windows, folds=folds, seed=seed), windows),
        (strict_trial(windows, folds=folds, seed=seed, validation=share), windows),
        (seed_9_6(clips, seed=seed, validation=share), clips),
        (strict_loso(everyone, subject, seed=seed, validation=share), everyone),
    ):
        rows = joined(split, source)
        assert (rows["target"][rows["role"] == "test"] == -1).all()
        known = rows[rows["role"] != "test"]
        assert (known["target"] == known["truth"]).all()


@quick
@given(st.lists(st.integers(0, 2), min_size=1, max_size=8), st.integers(1, 3), st.integers(2, 5))
def test_what_cannot_be_divided_is_refused_in_one_line(labels, count, folds):
    windows = table("s01", "1", labels, [count] * len(labels))
    counts = np.bincount(labels)[np.unique(labels)]
    windows_suffice = count * counts.min() >= folds
    trials_suffice = counts.min() >= 2 and counts.max() >= folds
    for enough, divide in (
        (windows_suffice, lambda: paper(windows, folds=folds, seed=0)),
        (trials_suffice, lambda: strict_trial(windows, folds=folds, seed=0, validation=0.1)),
    ):
        if enough and len(counts) > 1:
            assert divide()["fold"].nunique() == folds
        else:
            with pytest.raises(UserError, match=r"\Asession 1 has .*\Z"):
                divide()


def test_seed_9_6_and_leaving_one_out_refuse_what_is_too_small():
    with pytest.raises(UserError, match="the last six test"):
        seed_9_6(table("1", "1", [0, 1] * 4, [2] * 8), seed=0, validation=0.1)
    pair = pd.concat([table(name, "1", [0, 1], [2, 2]) for name in ("s01", "s02")], ignore_index=True)
    with pytest.raises(UserError, match="finds 1 other"):
        strict_loso(pair, "s01", seed=0, validation=0.1)
