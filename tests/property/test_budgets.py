"""Label budgets and the division by subject: what trains, and what never does."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.config import load_config
from unimontage.config.protocols import Division
from unimontage.dag.plan import Plan
from unimontage.errors import UserError
from unimontage.splits.budget import draw
from unimontage.splits.protocols import by_subject, official

percents = st.sampled_from([0.5, 1.0, 5.0, 10.0, 25.0, 50.0])


@st.composite
def nights(draw_value):
    """Window tables of some subjects with five stages of unlike frequency."""
    subjects = draw_value(st.integers(3, 9))
    rng = np.random.default_rng(draw_value(st.integers(0, 10_000)))
    tables = []
    for subject in range(subjects):
        count = int(rng.integers(30, 80))
        target = np.r_[np.arange(5), rng.choice(5, count, p=[0.3, 0.05, 0.4, 0.15, 0.1])]
        ids = [f"isruc/{subject}/1/{k}/0" for k in range(1, len(target) + 1)]
        tables.append(pd.DataFrame({"window": ids, "subject": str(subject), "target": target}))
    return pd.concat(tables, ignore_index=True)


def roles_of(table: pd.DataFrame) -> dict[str, str]:
    subjects = sorted(table["subject"].unique())
    return {subject: ("test", "val", "train")[min(rank, 2)] for rank, subject in enumerate(subjects)}


@given(nights())
def test_no_subject_has_two_roles_and_test_labels_are_hidden(table):
    roles = roles_of(table)
    folds = by_subject(table, roles)
    subject = folds["window"].str.split("/").str[1]
    assert (folds["role"] == subject.map(roles)).all()
    assert len(folds) == len(table)
    assert (folds["target"][folds["role"] == "test"] == -1).all()
    assert (folds["target"][folds["role"] != "test"] >= 0).all()


@given(nights(), percents, st.integers(0, 50))
def test_a_budget_of_windows_keeps_every_class_in_proportion(table, percent, seed):
    folds = by_subject(table, roles_of(table))
    thin = draw(folds, percent, "window", seed=seed, draws=1)
    whole, kept = (each[each["role"] == "train"]["target"].value_counts() for each in (folds, thin))
    for label, count in whole.items():
        assert abs(kept[label] - max(1, percent / 100 * count)) <= 1
    for role in ("val", "test"):
        pd.testing.assert_series_equal(
            thin["window"][thin["role"] == role], folds["window"][folds["role"] == role], check_index=False
        )


@given(nights(), st.integers(0, 50), st.sampled_from(["window", "subject"]))
def test_a_smaller_budget_is_part_of_a_larger_one(table, seed, unit):
    folds = by_subject(table, roles_of(table))
    trained = [set() for _ in range(3)]
    for place, percent in enumerate((5.0, 10.0, 50.0)):
        thin = draw(folds, percent, unit, seed=seed, draws=1)
        trained[place] = set(thin["window"][thin["role"] == "train"])
    assert trained[0] <= trained[1] <= trained[2]
    assert trained[0]


@given(nights(), percents)
def test_a_budget_of_subjects_takes_all_labels_of_a_few(table, percent):
    folds = by_subject(table, roles_of(table))
    thin = draw(folds, percent, "subject", seed=0, draws=1)
    subject = thin["window"][thin["role"] == "train"].str.split("/").str[1]
    others = [name for name, role in roles_of(table).items() if role == "train"]
    assert subject.nunique() == max(1, round(percent / 100 * len(others)))
    for name, count in subject.value_counts().items():
        assert count == (table["subject"] == name).sum()


@given(nights())
@settings(max_examples=20)
def test_several_draws_are_several_folds(table):
    folds = by_subject(table, roles_of(table))
    thin = draw(folds, 10.0, "window", seed=0, draws=3)
    assert list(thin["fold"].unique()) == ["0.0", "0.1", "0.2"]
    chosen = [frozenset(g["window"][g["role"] == "train"]) for _, g in thin.groupby("fold")]
    assert len(set(chosen)) > 1
    assert draw(folds, 100.0, "window", seed=0, draws=3) is folds


@given(st.sampled_from(["strict_subject", "strict_loso", "paper", "seed_9_6"]), percents, st.booleans())
def test_a_name_says_which_division_it_stands_for(protocol, percent, by_subjects):
    division = Division(protocol, percent, "subject" if by_subjects else "window")
    assert Division.parse(division.name) == division
    assert division.name.replace("_", "").isalnum()
    assert Division.parse(protocol) == Division(protocol)


@given(st.integers(3, 30), st.integers(0, 99))
@settings(max_examples=40)
def test_the_roles_of_a_dataset_are_shares_of_its_subjects(count, seed):
    options = {"run": "x", "datasets": {"isruc": {"synthetic": True, "subjects": count}}, "splits": {"seed": seed}}
    plan = Plan(load_config(options | {"recipes": {"r": {"kind": "univariate"}}}))
    roles = pd.Series(plan.roles("isruc"))
    counts = roles.value_counts()
    assert counts["test"] == max(1, round(0.2 * count))
    assert counts["val"] == max(1, round(0.2 * (count - counts["test"])))
    assert counts["train"] == count - counts["test"] - counts["val"] >= 1
    seen = {subject for _, subject in plan.corpus_subjects("isruc", "training-subjects")}
    assert seen == set(roles.index[roles == "train"])


def test_a_role_without_windows_is_refused():
    table = pd.DataFrame({"window": ["a/1/1/1/0", "a/2/1/1/0"], "subject": ["1", "2"], "target": [0, 0]})
    with pytest.raises(UserError, match="no labelled window of a subject that is to test"):
        by_subject(table, {"1": "train", "2": "val", "3": "test"})


@given(st.integers(0, 100), st.booleans())
def test_an_official_division_is_taken_as_it_is(seed, validate_on_test):
    rng = np.random.default_rng(seed)
    role = np.r_[["train", "val", "test"], rng.choice(["train", "val", "test"], 30)]
    windows = [f"tuev/{k}/1/1/0" for k in range(len(role))]
    table = pd.DataFrame({"window": windows, "target": rng.integers(0, 6, len(role))})
    folds = official(table, role, validate_on_test=validate_on_test)
    by_role = {name: set(rows["window"]) for name, rows in folds.groupby("role")}
    given_roles = {name: set(table["window"][role == name]) for name in ("train", "val", "test")}
    assert by_role["test"] == given_roles["test"]
    if validate_on_test:  # as a published pipeline does; the audit calls it a leak
        assert by_role["val"] == by_role["test"]
        assert by_role["train"] == given_roles["train"] | given_roles["val"]
    else:
        assert by_role == given_roles
    assert (folds["target"][folds["role"] == "test"] == -1).all()


def test_an_official_division_without_a_part_is_refused():
    table = pd.DataFrame({"window": ["a/1/1/1/0", "a/2/1/1/0"], "target": [0, 1]})
    with pytest.raises(UserError, match="no labelled window that is to val"):
        official(table, np.array(["train", "test"]), validate_on_test=False)
