from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.reporting import figures, sleep_figures
from unimontage.reporting.canvas import palette
from unimontage.reporting.head import seen_from_above

CAPTIONS = sorted((Path(__file__).parents[2] / "workflow" / "report").glob("*.rst"))
DREAMER = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")


def subject_scores():
    rows = [(arm, f"s{k}", 0.5 + 0.1 * k) for arm in ("full", "scratch") for k in range(4)]
    table = pd.DataFrame(rows, columns=["arm", "subject", "value"])
    return table.assign(chance=0.5, metric="balanced_accuracy")


def summaries():
    return pd.DataFrame({"arm": ["scratch", "full"], "mean": [0.7, 0.6], "ci_low": 0.5, "ci_high": [0.8, np.nan]})


def history(validation=True):
    rows = [(f"1-{fold}", seed, epoch, 1 / epoch) for fold in range(2) for seed in range(2) for epoch in range(1, 6)]
    table = pd.DataFrame(rows, columns=["fold", "seed", "epoch", "train_loss"])
    return table.assign(val_loss=table["train_loss"] + 0.1 if validation else np.nan)


def contrast():
    return pd.DataFrame(
        {"dataset": "deap", "task": "valence", "protocol": "strict_trial", "arm": ["full", "scratch"]}
        | {
            "metric": "accuracy",
            "strict": [60.0, 55.0],
            "paper": [90.0, 85.0],
            "leakage": [30.0, 30.0],
            "ci_low": [20.0, np.nan],
            "ci_high": [40.0, np.nan],
            "scored": "by subject",
            "data": "SYNTHETIC",
        }
    )


STAGES = sleep_figures.STAGES
MONTAGES = {"sleep_edf": ("FPZ-CZ", "PZ-OZ"), "isruc": ("F3", "C3", "O1", "F4", "C4", "O2")}


def stage_scores(arms=("full", "scratch")):
    rows = [
        (arm, f"f1_{stage}", 0.5 + 0.05 * k + 0.01 * a) for a, arm in enumerate(arms) for k, stage in enumerate(STAGES)
    ]
    table = pd.DataFrame([*rows, ("full", "kappa", 0.1)], columns=["arm", "metric", "mean"])
    return table.assign(ci_low=table["mean"] - 0.1, ci_high=table["mean"] + 0.2)


def night():
    """Ten epochs, a gap of five, ten more; the third epoch is predicted wrongly."""
    truth = np.array([0, 0, 1, 2, 2, 3, 3, 3, 2, 4, 4, 4, 2, 2, 3, 3, 2, 1, 0, 0])
    predicted = truth.copy()
    predicted[2] = 2
    return truth, np.eye(5)[predicted] * 0.6 + 0.08, np.r_[1:11, 16:26]


def mixtures():
    rng = np.random.default_rng(1)
    return {name: rng.dirichlet(np.ones(len(channels)), 16) for name, channels in MONTAGES.items()}


def weights_history(seeds=(0, 1), kinds=("weight", "sigma", "loss")):
    table = pd.DataFrame([(seed, step) for seed in seeds for step in range(20)], columns=["seed", "step"])
    for k, kind in enumerate(kinds):
        table[f"{kind}_contrast"] = 1.0 + k + table["seed"]
        table[f"{kind}_band_masking"] = 2.0 + k
    return table


def budgets():
    rows = [
        (dataset, arm, labels, 0.5 + labels / 400)
        for dataset in MONTAGES
        for arm in ("full", "scratch")
        for labels in (100.0, 5.0, 10.0)
    ]
    table = pd.DataFrame(rows, columns=["dataset", "arm", "labels_pct", "mean"])
    return table.assign(metric="macro_f1", ci_low=table["mean"] - 0.1, ci_high=table["mean"] + 0.1)


def sizes():
    rows = [("isruc", r, d, r / 100 + d / 1000) for r in (16, 4, 8) for d in (72, 18)]
    return pd.DataFrame(rows[1:], columns=["dataset", "rows", "dimension", "mean"]).assign(metric="kappa")


def draw(name, synthetic):
    steps = pd.DataFrame({"step": range(100), "loss": 1.0, "spread": 0.5, "lr": np.linspace(1e-3, 0, 100)})
    points = np.random.default_rng(0).normal(size=(28, 2))
    arguments = {
        "subject_accuracies": (subject_scores(), summaries()),
        "confusion_matrices": ({"full": np.array([[3, 1], [0, 0]]), "scratch": np.eye(2)}, ("low", "high")),
        "learning_curves": (history(),),
        "pretraining_curves": (steps,),
        "attention_topomap": (DREAMER, np.linspace(0, 1, 14)),
        "embedding_map": (points, DREAMER * 2, ["low", "high"] * 14),
        "protocol_contrast_figure": (contrast(),),
    }
    arguments |= {
        "per_class_f1": (stage_scores(),),
        "hypnogram": night(),
        "alignment_topomaps": (mixtures(), MONTAGES),
        "task_weights": (weights_history(),),
        "budget_curves": (budgets(),),
        "alignment_grid": (sizes(),),
    }
    room = figures if hasattr(figures, name) else sleep_figures
    return getattr(room, name)(*arguments[name], synthetic=synthetic)


NAMES = (
    *("subject_accuracies", "confusion_matrices", "learning_curves", "pretraining_curves"),
    *("attention_topomap", "embedding_map", "protocol_contrast_figure"),
    *("per_class_f1", "hypnogram", "alignment_topomaps", "task_weights", "budget_curves", "alignment_grid"),
)


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_drawn_and_stamped_when_synthetic(name, tmp_path):
    stamped = draw(name, synthetic=True)
    assert stamped.get_suptitle().startswith("SYNTHETIC data: ")
    assert "SYNTHETIC" in [text.get_text() for text in stamped.texts]
    stamped.savefig(tmp_path / "figure.png", dpi=40)
    assert (tmp_path / "figure.png").stat().st_size > 1000


@pytest.mark.parametrize("name", NAMES)
def test_figures_of_real_data_are_not_stamped(name):
    plain = draw(name, synthetic=False)
    texts = [text.get_text() for text in plain.texts]
    assert not any("SYNTHETIC" in text for text in [*texts, plain.get_suptitle()])


def test_figures_leave_no_global_state():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    draw("learning_curves", synthetic=False)
    draw("attention_topomap", synthetic=False)
    assert plt.get_fignums() == before


def test_every_subject_is_a_dot_and_the_mean_stands_at_its_own_arm():
    axes = figures.subject_accuracies(subject_scores(), summaries(), synthetic=False).axes[0]
    dots = [points for points in axes.collections if len(points.get_offsets()) == 4]
    assert len(dots) == 2
    means = next(points for points in axes.collections if points.get_label() == "mean over subjects")
    np.testing.assert_allclose(means.get_offsets(), [[0.2, 60], [1.2, 70]])
    assert axes.get_ylabel() == "Balanced accuracy in percent"


def test_confusion_panels_show_shares_of_the_true_class():
    panels = draw("confusion_matrices", synthetic=False).axes
    assert [text.get_text() for text in panels[0].texts] == ["75", "25", "–", "–"]


def test_without_an_arm_that_has_epochs_the_figure_says_so():
    figure = figures.learning_curves(history()[:0].assign(arm=[]), synthetic=False)
    assert not figure.axes
    assert "No arm was trained by epochs." in [text.get_text() for text in figure.texts]


def test_without_validation_only_training_loss_is_drawn():
    figure = figures.learning_curves(history(validation=False), synthetic=False)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training, median of runs"]


def test_every_arm_has_a_panel_and_every_subject_its_own_lines():
    subjects = pd.concat([history(), history(), history()[:13]])  # three subjects, one after the other
    arms = pd.concat([subjects.assign(arm="full"), history().assign(arm="scratch")])
    panels = figures.learning_curves(arms, synthetic=False).axes
    assert [axes.get_title() for axes in panels] == ["full", "scratch"]
    assert [len(axes.lines) for axes in panels] == [2 * (11 + 1), 2 * (4 + 1)]
    np.testing.assert_allclose(panels[0].lines[0].get_ydata(), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])


def test_pretraining_draws_a_line_a_seed():
    steps = pd.DataFrame({"step": range(50), "loss": 1.0, "spread": 0.5, "lr": 1e-3})
    figure = figures.pretraining_curves(pd.concat([steps.assign(seed=0), steps.assign(seed=1)]), synthetic=False)
    assert [len(axes.lines) for axes in figure.axes] == [4, 4, 2]


def test_heads_of_several_arms_share_one_scale():
    values = pd.DataFrame({"full": np.linspace(0, 1, 14), "scratch": 0.5}, index=DREAMER)
    figure = figures.attention_topomaps(values, synthetic=False)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["full", "scratch"]
    assert [text.get_text() for text in figure.axes[1].texts] == list(DREAMER)
    assert {axes.images[0].get_clim() for axes in figure.axes[:2]} == {(0.0, 1.0)}


def test_the_head_is_seen_from_above_with_its_outline_at_the_10_20_ring():
    x, y = seen_from_above(("CZ", "FPZ", "OZ", "T7", "T8", "CB1", "CB2")).T
    radius = np.hypot(x, y)
    np.testing.assert_allclose(radius[0], 0, atol=0.05)
    np.testing.assert_allclose(radius[1:5], 1, atol=0.08)
    assert (radius[5:] > 1).all()
    assert y[1] > 0 > y[2]
    assert x[3] < 0 < x[4]


def test_equal_attention_everywhere_can_be_drawn(tmp_path):
    figures.attention_topomap(DREAMER, np.full(14, 1 / 14), synthetic=False).savefig(tmp_path / "map.png", dpi=40)


def test_more_channels_than_colours_are_still_told_apart():
    assert len({tuple(np.atleast_1d(colour)) for colour in palette(62)}) == 62


def test_each_stage_has_a_point_an_arm_with_its_interval():
    axes = draw("per_class_f1", synthetic=False).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(STAGES)
    dots = [marks for marks in axes.collections if marks.get_label() in ("full", "scratch")]
    np.testing.assert_allclose(dots[0].get_offsets()[:, 1], [50, 55, 60, 65, 70])
    np.testing.assert_allclose(dots[1].get_offsets()[:, 1], [51, 56, 61, 66, 71])
    assert (dots[0].get_offsets()[:, 0] < dots[1].get_offsets()[:, 0]).all()
    bars = [marks for marks in axes.collections if marks not in dots]
    np.testing.assert_allclose(bars[0].get_paths()[0].vertices[:, 1], [40, 70])


def test_an_arm_without_a_stage_leaves_its_place_free():
    table = stage_scores()
    axes = sleep_figures.per_class_f1(
        table[~((table["arm"] == "full") & (table["metric"] == "f1_N1"))], synthetic=False
    ).axes[0]
    first = next(marks for marks in axes.collections if marks.get_label() == "full")
    assert np.isnan(np.ma.filled(first.get_offsets()[:, 1], np.nan)).tolist() == [False, True, False, False, False]


def test_a_hypnogram_breaks_at_gaps_and_marks_where_stages_differ():
    figure = draw("hypnogram", synthetic=False)
    scored, predicted, differ, probability = figure.axes
    assert [len(axes.patches) for axes in (scored, predicted)] == [2, 2]  # two stretches of epochs
    edges = scored.patches[1].get_data().edges * 3600
    np.testing.assert_allclose(edges[[0, -1]], [15 * 30, 25 * 30])
    np.testing.assert_allclose(scored.patches[0].get_data().values, [0, 0, 2, 3, 3, 4, 4, 4, 3, 1])
    marks = differ.collections[0].get_segments()
    np.testing.assert_allclose([mark[0, 0] * 3600 for mark in marks], [2.5 * 30])
    assert "20 epochs, 95.0 percent agree" in scored.get_title()
    assert [label.get_text() for label in scored.get_yticklabels()] == list(STAGES)
    assert scored.get_yticks().tolist() == [0, 2, 3, 4, 1]
    assert probability.get_xlabel() == "hours of the recording"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(STAGES)


def test_a_night_out_of_order_or_without_epochs_is_refused():
    truth, probabilities, epochs = night()
    with pytest.raises(UserError, match="not in order"):
        sleep_figures.hypnogram(truth, probabilities, epochs[::-1], synthetic=False)
    with pytest.raises(UserError, match="at least one"):
        sleep_figures.hypnogram(truth[:0], probabilities[:0], epochs[:0], synthetic=False)


def test_alignment_weights_are_multiples_of_an_even_mixture():
    weights = mixtures()
    heads = draw("alignment_topomaps", synthetic=False).axes[:4]
    for (head, table), (name, own) in zip(np.reshape(heads, (2, 2)), weights.items(), strict=True):
        count = len(MONTAGES[name])
        assert head.get_title() == f"{name}, {count} channels"
        dots = head.collections[-1]
        np.testing.assert_allclose(dots.get_array(), own.mean(axis=0) * count)
        np.testing.assert_allclose(table.images[0].get_array(), own * count)
        assert [label.get_text() for label in table.get_xticklabels()] == list(MONTAGES[name])
        assert [text.get_text().split("\n")[0] for text in head.texts] == list(MONTAGES[name])
    assert [len(head.images) for head in heads[::2]] == [0, 1]  # two channels have nothing in between


def test_bipolar_channels_stand_between_their_electrodes():
    head = draw("alignment_topomaps", synthetic=False).axes[0]
    (_, front), (_, back) = head.collections[-1].get_offsets()
    assert front > 0 > back


def test_task_weights_have_a_panel_a_quantity_and_a_thick_median():
    figure = draw("task_weights", synthetic=False)
    assert [axes.get_ylabel() for axes in figure.axes] == ["weight", "sigma", "loss"]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "linear"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Contrast", "Band masking"]
    median = next(line for line in figure.axes[1].lines if line.get_label() == "Contrast")
    np.testing.assert_allclose(median.get_ydata(), 2.5)  # seeds at 2 and 3
    assert len(figure.axes[0].lines) == 2 * (2 + 1)


def test_quantities_that_were_not_recorded_have_no_panel():
    table = weights_history(kinds=("weight",)).query("seed == 0").drop(columns="seed")
    assert [axes.get_ylabel() for axes in sleep_figures.task_weights(table, synthetic=False).axes] == ["weight"]
    with pytest.raises(UserError, match="no weights of tasks"):
        sleep_figures.task_weights(table[["step"]], synthetic=False)


def test_budgets_have_a_panel_a_dataset_and_a_line_an_arm():
    figure = draw("budget_curves", synthetic=False)
    assert [axes.get_title() for axes in figure.axes] == list(MONTAGES)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["5", "10", "100"]
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_ylabel() == "Macro F1 in percent"
    for line in figure.axes[1].lines:
        np.testing.assert_allclose(line.get_ydata(), [51.25, 52.5, 75])


def test_the_grid_of_sizes_is_in_order_and_leaves_blanks():
    axes = draw("alignment_grid", synthetic=False).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["18", "72"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["4", "8", "16"]
    assert [text.get_text() for text in axes.texts] == ["5.8", "11.2", "9.8", "15.2", "17.8", "–"]


@pytest.mark.parametrize("caption", CAPTIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("wildcards", [{}, {"dataset": "deap", "recipe": "ucs", "comparison": "main"}])
def test_captions_render(caption, wildcards):
    docutils = pytest.importorskip("docutils.core")
    jinja2 = pytest.importorskip("jinja2")
    snakemake = SimpleNamespace(wildcards=SimpleNamespace(**wildcards), config={})
    text = jinja2.Environment().from_string(caption.read_text()).render(snakemake=snakemake)
    settings = {"halt_level": 2, "report_level": 2}
    body = docutils.publish_parts(text, writer="html", settings_overrides=settings)["html_body"]
    assert "{" not in body
    assert len(body) > 200


def test_every_figure_has_a_caption():
    stems = {path.stem for path in CAPTIONS}
    assert {name.removesuffix("_figure") for name in NAMES} <= stems
    assert {"selection_curves", "cost_curves", "kept_shares", "coverage", "gallery"} <= stems
    assert {"workflow", "results_table", "paired_differences", "published_tables", "efficiency"} <= stems
    assert {"distill_tables", "selection_card", "montage_card", "critical_differences", "ledger"} <= stems


def test_predicted_numbers_have_a_panel_for_each_arm_and_target():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(20)
    parts = [
        pd.DataFrame({"arm": arm, "target": target, "true": truth, "predicted": truth + shift})
        for shift, arm in enumerate(("good", "biased"))
        for target in ("hip", "knee", "ankle")
    ]
    figure = figures.predicted_numbers(pd.concat(parts), synthetic=True)
    panels = [axes for axes in figure.axes if axes.lines]
    assert len(panels) == 6
    assert [axes.get_title() for axes in panels[:3]] == ["hip", "knee", "ankle"]
    for k, axes in enumerate(panels):
        np.testing.assert_allclose(axes.lines[0].get_ydata() - axes.lines[0].get_xdata(), k // 3)
    assert any("SYNTHETIC" in text.get_text() for text in figure.texts)
