import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn import metrics as sk

from unimontage.errors import UserError
from unimontage.evaluation.aggregate import per_subject, score_predictions, summarise
from unimontage.evaluation.metrics import NOT_FINITE
from unimontage.evaluation.paired import paired_differences
from unimontage.evaluation.pooled import SUMMARY, ValuePool, pooled_scores, summarise_pooled
from unimontage.evaluation.regression import FEW_WINDOWS, REGRESSION_METRICS, mean_guess, score_values
from unimontage.evaluation.scales import name_of, scale_of

TARGETS = ("hip", "knee", "ankle")


def job(seeds=(0, 1), subjects=6, folds=("0",), windows=40, noise=0.6):
    """Predictions of joint angles; subjects differ in how well they are predicted, targets in their offset."""
    rng = np.random.default_rng(3)
    ids = [f"mobi/s{s:02d}/T0{1 + k % 3}/{k // 4}/{k % 4}" for s in range(subjects) for k in range(windows)]
    truth = pd.DataFrame(rng.normal([100.0, -3.0, 0.0], size=(len(ids), 3)), index=ids, columns=list(TARGETS))
    owner = np.repeat(np.arange(subjects), windows)
    parts = []
    for seed in seeds:
        for fold in folds:
            predicted = truth.to_numpy() + rng.normal(size=truth.shape) * (noise + 0.2 * owner[:, None])
            columns = {f"p_{k}": predicted[:, k] for k in range(3)}
            parts.append(pd.DataFrame({"fold": fold, "seed": seed, "window": ids, **columns}))
    return pd.concat(parts, ignore_index=True), truth


def expected(truth, predicted):
    return {
        "pearson_r": np.mean([pearsonr(truth[:, k], predicted[:, k])[0] for k in range(truth.shape[1])]),
        "r2": sk.r2_score(truth, predicted),
        "rmse": np.sqrt(sk.mean_squared_error(truth.ravel(), predicted.ravel())),
    }


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_metrics_are_those_of_scipy_and_scikit_learn(offset):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(50, 3)) * [1, 5, 0.1] + offset
    predicted = truth + rng.normal(size=truth.shape)
    found = score_values(truth, predicted, TARGETS)
    assert found.values == pytest.approx(expected(truth, predicted), rel=1e-6)
    assert found.reasons == {}


def test_a_constant_target_counts_as_zero_and_says_so():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(2, 20, 3))
    truth[:, 1] = 0.5
    found = score_values(truth, predicted, TARGETS)
    own = [pearsonr(truth[:, k], predicted[:, k])[0] for k in (0, 2)]
    assert found.values["pearson_r"] == pytest.approx(sum(own) / 3)
    assert found.values["r2"] == pytest.approx(sk.r2_score(truth, predicted))
    assert found.reasons["pearson_r"] == "knee or its prediction is constant in the test fold and counts as 0"
    assert set(found.reasons) == {"pearson_r", "r2"}


def test_a_constant_prediction_has_no_correlation_and_keeps_its_r2():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20, 3))
    predicted = truth.copy()
    predicted[:, 0] = 0.3
    found = score_values(truth, predicted, TARGETS)
    assert found.values["pearson_r"] == pytest.approx(2 / 3)
    assert found.values["r2"] == pytest.approx(sk.r2_score(truth, predicted))
    assert list(found.reasons) == ["pearson_r"]


def test_the_mean_as_a_guess_has_no_correlation_and_the_sd_as_error():
    truth = np.random.default_rng(0).normal(size=(30, 3)) + 7
    spread = np.sqrt(truth.var(axis=0).mean())
    assert mean_guess(truth, TARGETS) == pytest.approx({"pearson_r": 0, "r2": 0, "rmse": spread}, abs=1e-12)


def test_one_window_has_an_error_and_no_correlation():
    found = score_values(np.ones((1, 3)), np.zeros((1, 3)), TARGETS)
    assert found.values["rmse"] == 1
    assert np.isnan([found.values["pearson_r"], found.values["r2"]]).all()
    assert found.reasons == {"pearson_r": FEW_WINDOWS, "r2": FEW_WINDOWS}


def test_bad_input_is_named():
    truth = np.ones((4, 3))
    assert set(score_values(truth, truth * np.nan, TARGETS).reasons.values()) == {NOT_FINITE}
    with pytest.raises(UserError, match="knee is not a finite number"):
        score_values(np.where([[False, True, False]], np.nan, truth), truth, TARGETS)
    with pytest.raises(UserError, match="hip, knee, ankle"):
        score_values(truth, truth[:, :2], TARGETS)
    predictions, values = job()
    with pytest.raises(UserError, match="no column ankle"):
        score_predictions(predictions, values.drop(columns="ankle"), TARGETS)
    with pytest.raises(UserError, match="have no target value"):
        score_predictions(predictions, values.iloc[1:], TARGETS)


def test_every_subject_fold_and_seed_has_the_scores_of_its_windows():
    predictions, truth = job(folds=("0", "1"))
    scores = score_predictions(predictions, truth, TARGETS)
    assert len(scores) == 6 * 2 * 2 * 2 * 3
    rows = predictions[(predictions["fold"] == "1") & (predictions["seed"] == 0)]
    rows = rows[rows["window"].str.startswith("mobi/s02/")]
    own = scores.query("subject == 's02' and fold == '1' and seed == 0").set_index(["unit", "metric"])["value"]
    wanted = expected(truth.loc[rows["window"]].to_numpy(), rows.filter(like="p_").to_numpy())
    assert own["window"].to_dict() == pytest.approx(wanted)
    trial = rows["window"].str.rpartition("/")[0].to_numpy()
    means = [own.groupby(trial).mean().to_numpy() for own in (truth.loc[rows["window"]], rows.filter(like="p_"))]
    assert own["trial"].to_dict() == pytest.approx(expected(*means))


def test_scores_of_numbers_go_through_subjects_summaries_and_pairs():
    better, truth = job(noise=0.3)
    worse, _ = job(noise=1.2)
    parts = [score_predictions(p, truth, TARGETS).assign(arm=arm) for arm, p in {"a": better, "b": worse}.items()]
    subjects = per_subject(pd.concat(parts).assign(dataset="mobi", task="gait", protocol="official"))
    summary = summarise(subjects, 200, 0.95, np.random.default_rng(0)).set_index(["arm", "unit", "metric"])
    assert summary.loc[("a", "window", "rmse"), "mean"] < summary.loc[("b", "window", "rmse"), "mean"]
    assert summary.loc[("a", "window", "rmse"), "chance"] > summary.loc[("a", "window", "rmse"), "mean"]
    pairs = paired_differences(subjects, "a", resamples=200, confidence=0.95, rng=np.random.default_rng(0))
    found = pairs.set_index(["unit", "metric"]).loc["window"]
    assert found.loc["rmse", "difference"] > 0 > found.loc["pearson_r", "difference"]
    assert set(pairs["metric"]) == set(REGRESSION_METRICS)


def test_a_remark_on_a_defined_value_reaches_the_summary():
    predictions, truth = job(seeds=(0,))
    truth.loc[truth.index.str.startswith("mobi/s02/"), "knee"] = 5.0
    subjects = per_subject(score_predictions(predictions, truth, TARGETS).query("unit == 'window'"))
    row = summarise(subjects, 200, 0.95, np.random.default_rng(0)).set_index("metric").loc["pearson_r"]
    assert row["n_subjects"] == 6
    assert row["reason"].startswith("in 1 of 6 subjects: in 1 of 1 folds: knee or its prediction is constant")


def test_pooled_metrics_are_over_all_windows_of_a_run():
    predictions, truth = job()
    found = pooled_scores(predictions, truth, TARGETS)
    rows = predictions[predictions["seed"] == 1]
    wanted = expected(truth.loc[rows["window"]].to_numpy(), rows.filter(like="p_").to_numpy())
    assert found[found["seed"] == 1].set_index("metric")["value"].to_dict() == pytest.approx(wanted)
    summary = summarise_pooled(
        predictions, truth, TARGETS, resamples=200, confidence=0.95, rng=np.random.default_rng(0)
    )
    assert list(summary) == list(SUMMARY)
    assert tuple(summary["metric"]) == REGRESSION_METRICS
    assert ((summary["ci_low"] < summary["mean"]) & (summary["mean"] < summary["ci_high"])).all()


def test_drawn_subjects_score_as_their_windows_repeated():
    predictions, truth = job(seeds=(0,), subjects=4)
    pool = ValuePool(predictions, truth, TARGETS)
    times = np.array([2, 0, 1, 3])
    rows = np.repeat(np.arange(len(predictions)), np.repeat(times, 40))
    wanted = expected(truth.to_numpy()[rows], predictions.filter(like="p_").to_numpy()[rows])
    assert {name: pool.metric(name, times[None])[0, 0] for name in pool.metrics} == pytest.approx(wanted)


def test_a_run_that_is_not_finite_is_undefined_with_its_reason():
    predictions, truth = job()
    predictions.loc[3, "p_1"] = np.nan
    found = pooled_scores(predictions, truth, TARGETS)
    assert found.loc[found["seed"] == 0, "value"].isna().all()
    assert set(found.loc[found["seed"] == 0, "reason"]) == {NOT_FINITE}
    assert found.loc[found["seed"] == 1, "value"].notna().all()


def test_only_fractions_are_shown_in_percent():
    assert (scale_of("kappa").factor, scale_of("rmse").factor) == (100, 1)
    assert [name for name in ("auroc", "pearson_r", "r2", "rmse") if scale_of(name).lower_is_better] == ["rmse"]
    assert [name_of(name) for name in ("balanced_accuracy", "f1_N1", "r2")] == ["balanced accuracy", "F1 N1", "R²"]
