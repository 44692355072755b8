import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.evaluation.aggregate import per_subject, score_predictions, with_rating_mean
from unimontage.evaluation.contrast import BY_SUBJECT, TOGETHER, pooled_contrasts, subject_contrasts
from unimontage.evaluation.intervals import bca_interval
from unimontage.reporting.contrast import contrast_html, contrast_table, contrast_text, sentences

CLASSES = ("low", "high")
OPTIONS = {"resamples": 300, "confidence": 0.95}


def subject_scores(levels, subjects=10, arms=("full", "scratch"), dataset="deap", tasks=("valence",), **more):
    """Accuracies of arms under protocols, each around its level."""
    rng = np.random.default_rng(0)
    rows = [
        {"dataset": dataset, "task": task, "protocol": protocol, "arm": arm, "subject": f"s{k}"}
        | {"value": level + rng.normal(0, 0.03)}
        for protocol, level in levels.items()
        for task in tasks
        for arm in arms
        for k in range(subjects)
    ]
    known = {"classes": ", ".join(CLASSES), "unit": "window", "metric": "accuracy", "synthetic": False, "reason": ""}
    known |= {"chance": 0.5, "sd_folds": 0.0, "sd_seeds": 0.0, "n_folds": 5, "n_seeds": 1, "paper_key": "full"}
    return pd.DataFrame(rows).assign(**known | more)


def contrasted(scores):
    return contrast_table(subject_contrasts(scores, **OPTIONS, rng=np.random.default_rng(0)))


def predictions(right, subjects=5, windows=40, seed=0):
    """Predictions of windows of several subjects, a share of them right, and the truth."""
    rng = np.random.default_rng(seed)
    ids = [f"isruc/{s}/1/{k}/0" for s in range(subjects) for k in range(windows)]
    labels = pd.Series(np.random.default_rng(1).integers(0, 2, len(ids)), index=pd.Index(ids))
    hit = rng.random(len(ids)) < right
    likely = np.where(hit, labels, 1 - labels) * 0.8 + 0.1
    table = pd.DataFrame({"fold": "0", "seed": 0, "window": ids, "p_0": 1 - likely, "p_1": likely})
    return table, labels


@pytest.mark.parametrize(
    ("printed", "strict"),
    [
        ("paper", "strict_trial"),
        ("paper_subject", "strict_subject"),
        ("paper_official", "strict_official"),
        ("paper_subject_10pct", "strict_subject_10pct"),
        ("paper_subject_5pct_subjects", "strict_subject_5pct_subjects"),
    ],
)
def test_every_protocol_of_a_paper_meets_its_strict_twin(printed, strict):
    table = contrasted(subject_scores({printed: 0.9, strict: 0.6}))
    assert table[["protocol", "printed", "scored"]].drop_duplicates().values.tolist() == [[strict, printed, BY_SUBJECT]]
    assert list(table["arm"]) == ["full", "scratch"]
    np.testing.assert_allclose(table["leakage"], table["paper"] - table["strict"])
    assert table["leakage"].between(25, 35).all()
    assert ((table["ci_low"] < table["leakage"]) & (table["leakage"] < table["ci_high"])).all()


def test_the_interval_is_that_of_the_differences_of_single_subjects():
    """Subjects differ far more than the protocols do: only a paired interval sees the difference."""
    scores = subject_scores({"paper": 0.0, "strict_trial": 0.0}, arms=("full",))
    spread = np.tile(np.linspace(0.3, 0.9, 10), 2)
    added = np.repeat([0.05, 0.0], 10) + np.random.default_rng(0).normal(0, 0.005, 20)
    scores["value"] = spread + added
    (row,) = contrasted(scores).to_dict("records")
    differences = 100 * (scores["value"].to_numpy()[:10] - scores["value"].to_numpy()[10:])
    assert row["leakage"] == pytest.approx(differences.mean())
    expected = bca_interval(differences, 5000, 0.95, np.random.default_rng(1))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(expected[:2], abs=0.3)
    assert row["p"] < 0.01


def test_an_arm_under_one_protocol_or_with_other_labels_has_no_contrast():
    assert len(contrasted(subject_scores({"strict_trial": 0.6, "strict_loso": 0.5}))) == 0
    assert len(contrasted(subject_scores({"strict_trial": 0.6, "paper_10pct": 0.9}))) == 0
    both = pd.concat([subject_scores({"paper": 0.9}, arms=("full", "b")), subject_scores({"strict_trial": 0.6})])
    assert set(contrasted(both)["arm"]) == {"full"}


def test_the_mean_of_tasks_is_contrasted_too():
    scores = with_rating_mean(subject_scores({"paper": 0.9, "strict_trial": 0.6}, tasks=("valence", "arousal")))
    assert set(contrasted(scores)["task"]) == {"valence", "arousal", "mean of valence and arousal"}


def test_other_subjects_under_one_of_the_protocols_are_refused():
    scores = subject_scores({"paper": 0.9, "strict_trial": 0.6})
    with pytest.raises(UserError, match="different subjects"):
        contrasted(scores[~((scores["subject"] == "s3") & (scores["protocol"] == "paper"))])


def test_twins_and_real_data_do_not_meet():
    levels = {"paper": 0.9, "strict_trial": 0.6}
    mixed = [subject_scores(levels), subject_scores(levels, dataset="dreamer", synthetic=True)]
    with pytest.raises(UserError, match="SYNTHETIC and real"):
        contrasted(pd.concat(mixed))


def test_windows_together_are_contrasted_over_the_same_draws_of_subjects():
    (printed, truth), (strict, _) = predictions(0.9), predictions(0.6, seed=5)
    place = {"dataset": "isruc", "task": "stages", "protocol": "strict_subject", "printed": "paper_subject"}
    place |= {"arm": "full", "synthetic": False}
    options = OPTIONS | {"metrics": ("kappa", "pearson_r"), "rng": np.random.default_rng(0)}
    (row,) = pooled_contrasts(printed, strict, truth, CLASSES, place, **options).to_dict("records")
    assert (row["scored"], row["metric"], row["n_subjects"]) == (TOGETHER, "kappa", 5)
    assert row["leakage"] == pytest.approx(row["paper"] - row["strict"])
    assert row["ci_low"] < row["leakage"] < row["ci_high"]
    (same,) = pooled_contrasts(strict, strict, truth, CLASSES, place, **options).to_dict("records")
    assert same["leakage"] == 0
    fewer = printed[~printed["window"].str.startswith("isruc/4/")]
    (odd,) = pooled_contrasts(fewer, strict, truth, CLASSES, place, **options).to_dict("records")
    assert np.isnan(odd["ci_low"])
    assert "different subjects" in odd["reason"]


def test_scores_of_predictions_lead_to_the_same_contrast():
    """The chain of the rule: predictions, scores by fold, scores by subject, contrast."""
    parts = []
    for protocol, (table, truth) in {"paper": predictions(0.95), "strict_trial": predictions(0.6, seed=2)}.items():
        scores = score_predictions(table, truth, CLASSES)
        known = {"dataset": "isruc", "task": "stages", "protocol": protocol, "arm": "full", "synthetic": False}
        parts.append(scores.assign(**known, classes=", ".join(CLASSES)))
    scores = per_subject(pd.concat(parts))
    scores = scores[(scores["metric"] == "accuracy") & (scores["unit"] == "window")]
    (row,) = contrasted(scores).to_dict("records")
    assert row["paper"] == pytest.approx(95, abs=5)
    assert row["n"] == 5


def test_a_sentence_says_what_it_is_worth_and_how_sure_that_is():
    clear = contrasted(subject_scores({"paper": 0.9, "strict_trial": 0.6}, arms=("full",)))
    (said,) = sentences(clear)
    assert said.startswith("deap, valence, full, by subject: +")
    assert " points of accuracy (95% interval +" in said
    assert "10 subjects), from " in said
    assert " under strict_trial to " in said
    assert said.endswith(" under paper, which allows windows of the test trials in training and in pre-training.")
    (doubtful,) = sentences(contrasted(subject_scores({"paper_official": 0.6, "strict_official": 0.6}, arms=("full",))))
    assert doubtful.endswith("which allows an epoch chosen on the test windows.")
    assert "which may be none, from " in doubtful
    (few,) = sentences(contrasted(subject_scores({"paper": 0.9, "strict_trial": 0.6}, 2, arms=("full",))))
    assert "(no interval, 2 subjects)" in few


def test_the_text_fits_a_terminal_and_an_empty_table_is_a_page_too():
    table = contrasted(subject_scores({"paper": 0.9, "strict_trial": 0.6}, synthetic=True))
    text = contrast_text(table, "Within")
    assert max(map(len, text.splitlines())) <= 120
    assert "SYNTHETIC data" in text
    assert contrast_html(table, "Within", True).count("<li>") == 2
    for words in (contrast_text(table[:0], "Within"), contrast_html(table[:0], "Within", False)):
        assert "Nothing to compare." in words
