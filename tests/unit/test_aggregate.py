import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.evaluation.aggregate import (
    mean_of_tasks,
    per_subject,
    score_predictions,
    summarise,
    with_rating_mean,
)
from unimontage.evaluation.metrics import METRICS, score
from unimontage.evaluation.paired import paired_differences

CLASSES = ("low", "high")


def job(seeds=(0, 1), sessions=("1", "2"), folds=2, trials=4, windows=3):
    """Predictions of one subject: every fold of a session tests half of its trials."""
    rng = np.random.default_rng(5)
    rows, truth = [], {}
    for session in sessions:
        for trial in range(trials):
            for k in range(windows):
                truth[f"deap/s01/{session}/{trial + 1}/{k}"] = (trial // folds) % 2
    for seed in seeds:
        for window in truth:
            session, trial = window.split("/")[2:4]
            high = rng.random()
            rows.append((f"{session}-{int(trial) % folds}", seed, window, 1 - high, high))
    return pd.DataFrame(rows, columns=["fold", "seed", "window", "p_0", "p_1"]), pd.Series(truth)


def subject_table(values, **columns):
    """One accuracy per (arm, subject)."""
    rows = [
        {"arm": arm, "subject": f"s{i + 1:02d}", "value": value}
        for arm, scores in values.items()
        for i, value in enumerate(scores)
    ]
    base = {
        **{"dataset": "deap", "task": "valence", "protocol": "strict_trial", "classes": "low|high"},
        **{"synthetic": False, "unit": "window", "metric": "accuracy", "chance": 0.5, "sd_folds": 0.1},
        **{"sd_seeds": np.nan, "n_folds": 5, "n_seeds": 1, "reason": ""},
    }
    return pd.DataFrame(rows).assign(**(base | columns))


def test_every_fold_seed_unit_and_metric_has_a_row():
    scores = score_predictions(*job(), CLASSES)
    assert len(scores) == 4 * 2 * 2 * len(METRICS)
    assert list(scores) == ["subject", "fold", "seed", "unit", "metric", "value", "chance", "reason"]
    assert scores["subject"].eq("s01").all()
    assert scores["reason"].eq("").all()
    assert set(scores.loc[scores["metric"] == "accuracy", "chance"]) == {0.5}


def test_a_folds_score_is_the_score_of_its_rows():
    predictions, truth = job()
    scores = score_predictions(predictions, truth, CLASSES)
    rows = predictions[(predictions["fold"] == "2-1") & (predictions["seed"] == 1)]
    expected = score(truth[rows["window"]].to_numpy(), rows[["p_0", "p_1"]].to_numpy(), CLASSES).values
    found = scores[(scores["fold"] == "2-1") & (scores["seed"] == 1) & (scores["unit"] == "window")]
    assert dict(zip(found["metric"], found["value"], strict=True)) == pytest.approx(expected)


def test_folds_of_one_trial_keep_auroc_as_nan_with_its_reason():
    predictions, truth = job(seeds=(0,), sessions=("1",))
    predictions["fold"] = "1-" + predictions["window"].str.split("/").str[3]
    scores = score_predictions(predictions, truth, CLASSES)
    auroc = scores[scores["metric"] == "auroc"]
    assert auroc["value"].isna().all()
    assert (auroc["reason"] == "one class in the test fold").all()
    assert scores[scores["metric"] == "accuracy"]["chance"].eq(0.5).all()  # of the subject, not of the fold
    subject = per_subject(scores).set_index(["unit", "metric"])
    assert subject.loc[("window", "auroc"), "reason"] == "undefined in 4 of 4 folds: one class in the test fold"


def test_a_label_that_changes_within_a_trial_leaves_the_trial_unit_undefined():
    predictions, truth = job(seeds=(0,))
    truth.iloc[0] = 1 - truth.iloc[0]
    scores = score_predictions(predictions, truth, CLASSES).query("fold == '1-1'").set_index(["unit", "metric"])
    assert scores.loc["trial", "value"].isna().all()
    assert scores.loc["window", "value"].notna().all()


def test_subjects_of_one_job_are_scored_by_themselves():
    predictions, truth = job(seeds=(0,))
    other = predictions.assign(window=predictions["window"].str.replace("s01", "s02"), p_0=1.0, p_1=0.0)
    both = score_predictions(
        pd.concat([predictions, other]),
        pd.concat([truth, truth.rename(lambda name: name.replace("s01", "s02"))]),
        CLASSES,
    )
    assert list(both["subject"].unique()) == ["s01", "s02"]
    alone = score_predictions(predictions, truth, CLASSES)
    pd.testing.assert_frame_equal(both[both["subject"] == "s01"].reset_index(drop=True), alone)
    second = both[(both["subject"] == "s02") & (both["metric"] == "balanced_accuracy")]
    assert second["value"].eq(0.5).all()
    assert len(per_subject(both)) == 2 * len(per_subject(alone))


def test_chance_is_that_of_the_subject():
    predictions, truth = job(seeds=(0,))
    other = predictions.assign(window=predictions["window"].str.replace("s01", "s02"))
    easy = pd.Series(1, index=truth.index.str.replace("s01", "s02")).mask(np.arange(len(truth)) < 3, 0)
    both = score_predictions(pd.concat([predictions, other]), pd.concat([truth, easy]), CLASSES)
    chances = both[(both["metric"] == "accuracy") & (both["unit"] == "window")].groupby("subject")["chance"].first()
    assert chances.to_dict() == pytest.approx({"s01": 0.5, "s02": 21 / 24})


def test_a_trial_of_one_window_scores_as_that_window():
    scores = score_predictions(*job(windows=1), CLASSES).set_index(["fold", "seed", "metric"])
    window, trial = (scores.loc[scores["unit"] == unit, "value"] for unit in ("window", "trial"))
    pd.testing.assert_series_equal(window, trial)


@pytest.mark.parametrize("damage", ["twice", "unlabelled", "columns", "classes"])
def test_predictions_that_do_not_fit_are_refused(damage):
    predictions, truth = job()
    if damage == "twice":
        predictions = pd.concat([predictions, predictions.iloc[[0]]])
    if damage == "unlabelled":
        truth = truth.iloc[1:]
    if damage == "columns":
        predictions = predictions.drop(columns="p_1")
    if damage == "classes":
        predictions["p_2"] = 0.0
    with pytest.raises(UserError):
        score_predictions(predictions, truth, CLASSES)


def test_a_subjects_value_is_the_mean_over_folds_then_sessions_then_seeds():
    scores = pd.DataFrame(
        [("1-0", 0, 0.2), ("1-1", 0, 0.4), ("2-0", 0, 0.9), ("1-0", 1, 0.6), ("1-1", 1, 0.6), ("2-0", 1, 0.8)],
        columns=["fold", "seed", "value"],
    ).assign(unit="window", metric="accuracy", chance=0.5, reason="")
    row = per_subject(scores).iloc[0]
    seeds = [(0.3 + 0.9) / 2, (0.6 + 0.8) / 2]
    assert row["value"] == pytest.approx(np.mean(seeds))
    assert row["sd_seeds"] == pytest.approx(np.std(seeds, ddof=1))
    assert row["sd_folds"] == pytest.approx(np.mean([np.std([0.2, 0.4], ddof=1), 0]))
    assert (row["n_folds"], row["n_seeds"]) == (3, 2)


def test_jobs_without_their_names_are_not_averaged_together():
    scores = score_predictions(*job(), CLASSES)
    with pytest.raises(UserError, match="scored twice"):
        per_subject(pd.concat([scores, scores]))


def test_a_summary_is_over_subjects():
    values = [0.5, 0.6, 0.8, 0.9]
    row = summarise(subject_table({"gat": values}), 300, 0.95, np.random.default_rng(0)).iloc[0]
    assert row["mean"] == pytest.approx(0.7)
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))
    assert row["n_subjects"] == 4
    assert row["ci_low"] < 0.7 < row["ci_high"]
    assert row["chance"] == 0.5
    assert row["reason"] == ""


def test_a_rows_interval_does_not_depend_on_the_other_arms():
    both = subject_table({"gat": [0.5, 0.6, 0.8, 0.9], "none": [0.4, 0.5, 0.6, 0.8]})
    alone = both[both["arm"] == "none"]
    with_other, without = (summarise(table, 100, 0.95, np.random.default_rng(2)) for table in (both, alone))
    assert with_other.query("arm == 'none'")["ci_low"].item() == without["ci_low"].item()


def test_undefined_subjects_are_counted_and_named():
    table = subject_table({"gat": [0.5, np.nan, 0.8, 0.9]})
    table.loc[1, "reason"] = "one class in the test fold"
    row = summarise(table, 100, 0.95, np.random.default_rng(0)).iloc[0]
    assert row["n_subjects"] == 3
    assert row["mean"] == pytest.approx(2.2 / 3)
    assert row["reason"] == "undefined in 1 of 4 subjects: one class in the test fold"


def test_two_subjects_have_a_mean_and_no_interval():
    row = summarise(subject_table({"gat": [0.5, 0.7]}), 100, 0.95, np.random.default_rng(0)).iloc[0]
    assert row["mean"] == pytest.approx(0.6)
    assert np.isnan(row["ci_low"])
    assert "fewer than 3" in row["reason"]


def test_ratings_are_averaged_subject_by_subject():
    valence = subject_table({"gat": [0.5, 0.7, 0.9]})
    arousal = subject_table({"gat": [0.6, 0.6, 0.7]}, task="arousal")
    table = with_rating_mean(pd.concat([valence, arousal]))
    means = table[table["task"] == "mean of valence and arousal"]
    np.testing.assert_allclose(means["value"], [0.55, 0.65, 0.8])
    assert list(means["subject"]) == ["s01", "s02", "s03"]
    assert list(table) == list(valence)


def test_a_subject_with_one_rating_has_no_mean():
    valence = subject_table({"gat": [0.5, 0.7]})
    arousal = subject_table({"gat": [0.6]}, task="arousal")
    means = mean_of_tasks(pd.concat([valence, arousal]), ("valence", "arousal"))
    assert means["value"].isna().tolist() == [False, True]
    assert means["reason"].tolist()[1] == "not every task of the mean is scored"


def test_tasks_with_other_classes_are_not_averaged():
    table = pd.concat(
        [subject_table({"gat": [0.5]}), subject_table({"gat": [0.6]}, task="va4", classes="LVLA|LVHA|HVLA|HVHA")]
    )
    with pytest.raises(UserError, match="same classes"):
        mean_of_tasks(table, ("valence", "va4"))


def test_a_dataset_with_one_rating_or_unlike_ratings_gets_no_mean_row():
    valence = subject_table({"gat": [0.5, 0.7]})
    unlike = subject_table({"gat": [0.5, 0.7]}, task="arousal", classes="calm|excited")
    assert len(with_rating_mean(valence)) == 2
    assert len(with_rating_mean(pd.concat([valence, unlike]))) == 4


def test_arms_are_compared_subject_by_subject():
    table = subject_table({"full": [0.6, 0.7, 0.8, 0.9, 0.75, 0.5], "gcn": [0.5, 0.55, 0.7, 0.85, 0.65, 0.45]})
    row = paired_differences(table, "full", resamples=200, confidence=0.95, rng=np.random.default_rng(0)).iloc[0]
    assert row["difference"] == pytest.approx(np.mean([-0.1, -0.15, -0.1, -0.05, -0.1, -0.05]))
    assert row["p"] == pytest.approx(2 / 64)
    assert row["ci_low"] < row["difference"] < row["ci_high"] < 0
    assert (row["arm"], row["reference"], row["n_subjects"]) == ("gcn", "full", 6)


def test_holm_corrects_over_the_arms_of_a_protocol():
    full = [0.6, 0.7, 0.8, 0.9, 0.75, 0.5]
    table = subject_table({"full": full, "a": np.subtract(full, 0.1) * 0.9, "b": np.add(full, [0.1, -0.1] * 3) * 0.99})
    found = paired_differences(table, "full", resamples=100, confidence=0.95, rng=np.random.default_rng(0))
    p = dict(zip(found["arm"], found["p"], strict=True))
    corrected = dict(zip(found["arm"], found["p_holm"], strict=True))
    assert p["a"] < p["b"]
    assert corrected["a"] == pytest.approx(2 * p["a"])
    assert corrected["b"] == pytest.approx(max(p["b"], 2 * p["a"]))


def test_arms_with_different_subjects_are_refused_by_name():
    table = subject_table({"full": [0.6, 0.7, 0.8], "gcn": [0.5, 0.55]})
    with pytest.raises(UserError, match=r"only one of them has s03"):
        paired_differences(table, "full", resamples=100, confidence=0.95, rng=np.random.default_rng(0))


def test_a_reference_arm_without_scores_is_refused():
    with pytest.raises(UserError, match="reference arm best"):
        paired_differences(
            subject_table({"full": [0.6]}), "best", resamples=100, confidence=0.95, rng=np.random.default_rng(0)
        )


def test_a_subject_undefined_in_one_arm_leaves_the_pair():
    table = subject_table({"full": [0.6, 0.7, 0.8], "gcn": [0.5, np.nan, 0.6]})
    row = paired_differences(table, "full", resamples=100, confidence=0.95, rng=np.random.default_rng(0)).iloc[0]
    assert row["n_subjects"] == 2
    assert row["difference"] == pytest.approx(-0.15)
    assert "undefined for 1 of 3 subjects" in row["reason"]


def compared(table, reference="full"):
    return paired_differences(table, reference, resamples=100, confidence=0.95, rng=np.random.default_rng(0))


def test_the_effect_of_a_difference_has_its_direction():
    full = np.array([0.6, 0.7, 0.8, 0.9, 0.75, 0.5])
    found = compared(
        subject_table({"full": full, "better": np.add(full, [0.1, 0.05, 0.02, 0.1, 0.1, 0.05]), "worse": full - 0.1})
    )
    better, worse = found.iloc[0], found.iloc[1]
    assert better["rank_biserial"] == 1
    assert better["hedges_g"] > 1
    assert worse["rank_biserial"] == -1
    assert np.isnan(worse["hedges_g"])  # every subject loses the same
    assert "no interval and no g: every subject has the same value" in worse["reason"]


def test_the_table_says_which_p_are_exact():
    rng = np.random.default_rng(3)
    for subjects, flips in {13: "all 8192", 14: "9999 drawn"}.items():
        found = compared(subject_table({"full": rng.random(subjects), "gcn": rng.random(subjects)}))
        assert found["flips"].tolist() == [flips]


def test_one_subject_gives_a_difference_and_the_reasons_for_the_rest():
    row = compared(subject_table({"full": [0.6], "gcn": [0.5]})).iloc[0]
    assert row["difference"] == pytest.approx(-0.1)
    assert row[["sd", "ci_low", "hedges_g", "rank_biserial", "p", "p_holm"]].isna().all()
    assert (row["n_subjects"], row["flips"], row["tests"]) == (1, "", 0)
    assert row["reason"] == "no interval and no g: fewer than 3 subjects; no test: fewer than 2 subjects"


def test_arms_that_tie_everywhere_do_not_differ():
    row = compared(subject_table({"full": [0.6, 0.7, 0.8, 0.9, 0.5, 0.4], "gcn": [0.6, 0.7, 0.8, 0.9, 0.5, 0.4]})).iloc[
        0
    ]
    assert (row["difference"], row["p"], row["p_holm"], row["rank_biserial"]) == (0, 1, 1, 0)
    assert "every subject has the same value" in row["reason"]


def test_ties_are_ties_although_they_differ_by_rounding():
    """0.7 - 0.6 and 0.8 - 0.7 are not the same number to a computer."""
    row = compared(subject_table({"full": [0.6, 0.8, 0.2, 0.9], "gcn": [0.7, 0.7, 0.3, 0.8]})).iloc[0]
    assert (row["p"], row["rank_biserial"]) == (1, 0)


def test_a_family_too_large_for_its_subjects_says_so():
    rng = np.random.default_rng(0)
    table = subject_table({name: rng.random(8) for name in ("full", *(f"a{k}" for k in range(9)))})
    found = compared(table)
    assert found["tests"].eq(9).all()
    assert found["reason"].eq("with 8 subjects and 9 tests p (Holm) cannot fall below 0.07").all()
    assert compared(table[table["arm"].isin(["full", "a0"])])["reason"].eq("").all()
