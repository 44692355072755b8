import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from unimontage.errors import UserError
from unimontage.evaluation.metrics import METRICS, NOT_FINITE
from unimontage.evaluation.pooled import SUMMARY, Pool, ordered_pairs, pooled_scores, summarise_pooled

STAGES = ("W", "N1", "N2", "N3", "REM")


def job(seeds=(0, 1, 2), subjects=6, classes=STAGES, digits=2):
    """Predictions of one job; subjects differ in how many epochs they have and in how well they are predicted."""
    rng = np.random.default_rng(8)
    number = len(classes)
    sizes = 40 + 15 * np.arange(subjects)
    ids = [f"isruc/{s}/1/{k}/0" for s, size in enumerate(sizes) for k in range(size)]
    owner = np.repeat(np.arange(subjects), sizes)
    truth = pd.Series(rng.integers(0, number, len(ids)), index=ids)
    parts = []
    for seed in seeds:
        z = rng.normal(size=(len(ids), number))
        z[np.arange(len(ids)), truth] += 0.4 + 0.3 * owner
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        columns = {f"p_{k}": np.round(p[:, k], digits) for k in range(number)}  # rounding makes ties
        parts.append(pd.DataFrame({"fold": "0", "seed": seed, "window": ids, **columns}))
    return pd.concat(parts), truth


def of_seed(predictions, truth, seed):
    rows = predictions[predictions["seed"] == seed]
    return truth[rows["window"]].to_numpy(), rows.filter(like="p_").to_numpy()


def test_pooled_metrics_are_scikit_learns():
    predictions, truth = job()
    found = pooled_scores(predictions, truth, STAGES)
    assert len(found) == 3 * (len(METRICS) - 1 + 5)  # AUC-PR is for two classes
    assert found["reason"].eq("").all()
    y, p = of_seed(predictions, truth, 1)
    values = found[found["seed"] == 1].set_index("metric")["value"]
    expected = {
        "accuracy": sk.accuracy_score(y, p.argmax(1)),
        "balanced_accuracy": sk.balanced_accuracy_score(y, p.argmax(1)),
        "macro_f1": sk.f1_score(y, p.argmax(1), average="macro"),
        "weighted_f1": sk.f1_score(y, p.argmax(1), average="weighted"),
        "kappa": sk.cohen_kappa_score(y, p.argmax(1)),
        "auroc": sk.roc_auc_score(np.eye(5)[y], p, average="macro"),
    }
    expected |= dict(zip([f"f1_{s}" for s in STAGES], sk.f1_score(y, p.argmax(1), average=None), strict=True))
    assert values.to_dict() == pytest.approx(expected)


def test_two_classes_have_the_auroc_of_the_second():
    predictions, truth = job(seeds=(0,), classes=("low", "high"))
    y, p = of_seed(predictions, truth, 0)
    found = pooled_scores(predictions, truth, ("low", "high")).set_index("metric")["value"]
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(y, p[:, 1]))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_drawn_subjects_score_as_their_windows_repeated(times):
    predictions, truth = job(seeds=(0,), subjects=4)
    pool = Pool(predictions, truth, STAGES)
    owner = predictions["window"].str.split("/").str[1].astype(int).to_numpy()
    y, p = of_seed(predictions, truth, 0)
    rows = np.repeat(np.arange(len(y)), np.array(times)[owner])
    found = {name: pool.metric(name, np.array([times]))[0, 0] for name in pool.metrics}
    if not len(rows):
        assert np.isnan(found["accuracy"])
        return
    y, p = y[rows], p[rows]
    assert found["kappa"] == pytest.approx(sk.cohen_kappa_score(y, p.argmax(1)))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(y, p.argmax(1), average="macro"))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(np.eye(5)[y], p, average="macro"))


def test_ordered_pairs_are_counted_between_subjects():
    own = np.array([True, False, True, False])
    pairs = ordered_pairs(own, np.array([0.9, 0.5, 0.5, 0.1]), np.array([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(pairs, [[1, 1], [0.5, 1]])


def test_a_summary_is_over_seeds_with_an_interval_over_subjects():
    predictions, truth = job()
    summary = summarise_pooled(
        predictions, truth, STAGES, resamples=400, confidence=0.95, rng=np.random.default_rng(0)
    ).set_index("metric")
    scores = pooled_scores(predictions, truth, STAGES)
    values = scores.loc[scores["metric"] == "kappa", "value"]
    row = summary.loc["kappa"]
    assert (row["mean"], row["sd"]) == (pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))
    assert (row["n_subjects"], row["n_seeds"], row["n_runs"], row["n_windows"]) == (6, 3, 3, len(truth))
    assert ((summary["ci_low"] < summary["mean"]) & (summary["mean"] < summary["ci_high"])).all()
    # Subjects differ far more than seeds do, so an interval from single epochs would be a fraction of this one.
    accuracy = summary.loc["accuracy"]
    epochs = 1.96 * np.sqrt(accuracy["mean"] * (1 - accuracy["mean"]) / len(truth))
    assert accuracy["ci_high"] - accuracy["ci_low"] > 3 * epochs
    assert list(summary.reset_index()) == list(SUMMARY)


def test_the_same_generator_gives_the_same_summary_in_any_order_of_rows():
    predictions, truth = job(seeds=(0, 1))
    options = {"resamples": 100, "confidence": 0.9}
    first = summarise_pooled(predictions, truth, STAGES, rng=np.random.default_rng(1), **options)
    shuffled = predictions.sample(frac=1, random_state=0)
    second = summarise_pooled(shuffled, truth, STAGES, rng=np.random.default_rng(1), **options)
    pd.testing.assert_frame_equal(first, second)


def test_folds_of_different_windows_are_put_together():
    predictions, truth = job(seeds=(0,))
    split = predictions.assign(fold=predictions["window"].str.split("/").str[1])
    pd.testing.assert_frame_equal(pooled_scores(split, truth, STAGES), pooled_scores(predictions, truth, STAGES))


def test_another_draw_of_labels_is_another_run():
    predictions, truth = job(seeds=(0, 1))
    draws = predictions.assign(seed=0, fold=np.where(predictions["seed"] == 0, "0.0", "0.1"))
    found, expected = pooled_scores(draws, truth, STAGES), pooled_scores(predictions, truth, STAGES)
    assert set(zip(found["seed"], found["draw"], strict=True)) == {(0, 0), (0, 1)}
    np.testing.assert_allclose(found["value"], expected["value"])
    row = summarise_pooled(draws, truth, STAGES, resamples=100, confidence=0.9, rng=np.random.default_rng(0)).iloc[0]
    assert (row["n_seeds"], row["n_runs"]) == (1, 2)
    assert row["sd"] > 0


def test_a_seed_that_diverged_is_left_out_with_its_reason():
    predictions, truth = job(seeds=(0, 1))
    predictions.loc[predictions["seed"] == 1, "p_2"] = np.nan
    scores = pooled_scores(predictions, truth, STAGES)
    assert scores.loc[scores["seed"] == 1, "value"].isna().all()
    assert set(scores.loc[scores["seed"] == 1, "reason"]) == {NOT_FINITE}
    summary = summarise_pooled(
        predictions, truth, STAGES, resamples=100, confidence=0.95, rng=np.random.default_rng(0)
    ).set_index("metric")
    expected = scores[(scores["seed"] == 0) & (scores["metric"] == "auroc")]["value"].item()
    assert summary.loc["auroc", "mean"] == pytest.approx(expected)
    assert summary.loc["auroc", "reason"] == f"undefined in 1 of 2 runs: {NOT_FINITE}"
    assert summary["ci_low"].notna().all()


def test_an_absent_class_leaves_its_f1_and_the_auroc_undefined():
    predictions, truth = job(seeds=(0,))
    predictions, truth = predictions[truth[predictions["window"]].to_numpy() != 3].copy(), truth[truth != 3]
    predictions["p_3"] = 0.0
    found = pooled_scores(predictions, truth, STAGES).set_index("metric")
    assert found.loc[["auroc", "f1_N3"], "value"].isna().all()
    assert found.loc["auroc", "reason"] == "a class is absent"
    assert found.loc["macro_f1", "value"] == pytest.approx(
        sk.f1_score(truth[predictions["window"]], predictions.filter(like="p_").to_numpy().argmax(1), average="macro")
    )


def test_two_subjects_have_no_interval():
    row = summarise_pooled(
        *job(seeds=(0,), subjects=2), STAGES, resamples=100, confidence=0.95, rng=np.random.default_rng(0)
    ).iloc[0]
    assert np.isnan(row["ci_low"])
    assert "fewer than 3 subjects" in row["reason"]


def test_a_window_without_a_label_is_refused():
    predictions, truth = job(seeds=(0,))
    with pytest.raises(UserError, match="have no label"):
        pooled_scores(predictions, truth.iloc[1:], STAGES)
