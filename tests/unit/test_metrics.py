import numpy as np
import pytest
from sklearn import metrics as sk

from unimontage.errors import UserError
from unimontage.evaluation.metrics import (
    METRICS,
    ONE_CLASS,
    average_precision,
    chance,
    class_f1,
    confusion,
    of_confusion,
    per_trial,
    score,
    subject_of,
)

CLASSES = ("negative", "neutral", "positive")


def random_predictions(seed, rows=200, classes=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, rows), rng.dirichlet(np.ones(classes), rows).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_three_class_metrics_are_scikit_learns(seed):
    truth, probabilities = random_predictions(seed)
    predicted = probabilities.argmax(1)
    found = score(truth, probabilities, CLASSES)
    assert found.reasons == {}
    assert found.values == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
            "macro_f1": sk.f1_score(truth, predicted, average="macro"),
            "weighted_f1": sk.f1_score(truth, predicted, average="weighted"),
            "kappa": sk.cohen_kappa_score(truth, predicted),
            "auroc": sk.roc_auc_score(
                truth, probabilities / probabilities.sum(1, keepdims=True), multi_class="ovr", average="macro"
            ),
        },
        abs=1e-6,
    )


@pytest.mark.parametrize("seed", range(3))
def test_binary_auroc_is_the_share_of_pairs_in_order(seed):
    truth, probabilities = random_predictions(seed, rows=60, classes=2)
    high, low = probabilities[truth == 1, 1], probabilities[truth == 0, 1]
    pairs = (high[:, None] > low).mean() + (high[:, None] == low).mean() / 2
    assert score(truth, probabilities, CLASSES[:2]).values["auroc"] == pytest.approx(pairs)


@pytest.mark.parametrize("digits", [1, 6])  # one digit makes many ties
def test_binary_auc_pr_is_scikit_learns_average_precision(digits):
    truth, probabilities = random_predictions(5, classes=2)
    probabilities = np.round(probabilities, digits)
    found = score(truth, probabilities, CLASSES[:2])
    assert tuple(found.values) == METRICS
    assert found.values["auc_pr"] == pytest.approx(sk.average_precision_score(truth, probabilities[:, 1]))


def test_weights_of_the_average_precision_are_repeats():
    rng = np.random.default_rng(3)
    own, values = rng.random(40) < 0.4, rng.random(40).round(1)
    weights = rng.integers(0, 4, (5, 40))
    expected = [sk.average_precision_score(np.repeat(own, row), np.repeat(values, row)) for row in weights]
    np.testing.assert_allclose(average_precision(own, values, weights), expected)
    assert np.isnan(average_precision(own, values, np.where(own, 0, 1)))


def test_auc_pr_of_values_that_say_nothing_is_the_share_of_the_class():
    assert chance(np.array([0] * 7 + [1] * 3), CLASSES[:2])["auc_pr"] == pytest.approx(0.3)
    assert "auc_pr" not in chance(np.array([0, 1, 2]), CLASSES)


def test_macro_f1_is_the_mean_of_the_class_f1s_made_by_hand():
    truth, probabilities = random_predictions(9)
    counts = confusion(truth, probabilities, CLASSES)
    f1 = 2 * np.diag(counts) / (counts.sum(0) + counts.sum(1))
    assert counts.sum() == len(truth)
    assert score(truth, probabilities, CLASSES).values["macro_f1"] == pytest.approx(f1.mean())


def test_macro_f1_skips_classes_that_nobody_names():
    truth = np.array([0, 1, 0, 1])
    probabilities = np.eye(3)[[0, 1, 1, 1]]
    assert score(truth, probabilities, CLASSES).values["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_one_class_in_a_fold_gives_reasons_and_no_error():
    found = score(np.array([1, 1, 1]), np.eye(3)[[1, 0, 1]], CLASSES)
    assert found.values["accuracy"] == pytest.approx(2 / 3)
    assert np.isnan(found.values["kappa"])
    assert np.isnan(found.values["auroc"])
    assert found.reasons == {"kappa": ONE_CLASS, "auroc": ONE_CLASS}


def test_an_absent_class_leaves_auroc_undefined_by_name():
    found = score(np.array([0, 2, 0, 2]), np.eye(3)[[0, 1, 0, 2]], CLASSES)
    assert np.isnan(found.values["auroc"])
    assert "neutral" in found.reasons["auroc"]
    assert np.isfinite(found.values["kappa"])


def test_predictions_that_are_not_finite_score_nan_with_a_reason():
    found = score(np.array([0, 1]), np.array([[np.nan, np.nan], [0.2, 0.8]]), CLASSES[:2])
    assert np.isnan(list(found.values.values())).all()
    assert set(found.reasons) == set(METRICS)


def test_chance_is_the_majority_rate_and_one_over_k():
    found = chance(np.array([0] * 5 + [1] * 3 + [2] * 2), CLASSES)
    assert found["accuracy"] == pytest.approx(0.5)
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["kappa"] == pytest.approx(0)
    assert found["auroc"] == pytest.approx(0.5)


def test_a_trial_is_judged_by_the_mean_of_its_windows():
    ids = ["seed/01/1/2/0", "seed/01/1/1/0", "seed/01/1/2/1"]
    trials, means = per_trial(ids, np.array([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]]))
    assert list(trials) == ["seed/01/1/2", "seed/01/1/1"]
    np.testing.assert_allclose(means, [[0.6, 0.4], [0.5, 0.5]])


def test_a_label_that_is_no_class_is_refused():
    with pytest.raises(UserError, match="class ids from -1"):
        score(np.array([-1, 0]), np.full((2, 2), 0.5), CLASSES[:2])


def test_a_wrong_number_of_columns_is_refused():
    with pytest.raises(UserError, match="one column a class"):
        score(np.array([0, 1]), np.full((2, 2), 0.5), CLASSES)


def test_many_count_matrices_at_once_give_what_each_gives():
    counts = np.random.default_rng(2).integers(0, 9, (4, 3, 5, 5))
    together = of_confusion(counts)
    for place in np.ndindex(4, 3):
        alone = {name: float(value) for name, value in of_confusion(counts[place]).items()}
        assert {name: float(values[place]) for name, values in together.items()} == pytest.approx(alone)


def test_f1_of_each_class_is_scikit_learns():
    truth, probabilities = random_predictions(3)
    found = class_f1(confusion(truth, probabilities, CLASSES))
    np.testing.assert_allclose(found, sk.f1_score(truth, probabilities.argmax(1), average=None))
    assert np.isnan(class_f1(np.diag([3, 0]))[1])


def test_equal_probabilities_count_half_in_the_auroc():
    truth = np.array([0, 1, 2, 0, 1, 2])
    probabilities = np.repeat([[0.5, 0.3, 0.2]], 6, axis=0)
    assert score(truth, probabilities, CLASSES).values["auroc"] == pytest.approx(0.5)


def test_the_subject_is_the_second_part_of_an_id():
    assert list(subject_of(["isruc/12/1/7/0", "isruc/3/1/7/0"])) == ["12", "3"]
