from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from unimontage.reporting import figures

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
        {"dataset": "deap", "task": "valence", "arm": ["full", "scratch"], "metric": "accuracy"}
        | {"strict_trial": [60.0, 55.0], "paper": [90.0, 85.0], "leakage": [30.0, 30.0], "data": "SYNTHETIC"}
    )


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
    return getattr(figures, name)(*arguments[name], synthetic=synthetic)


NAMES = (
    *("subject_accuracies", "confusion_matrices", "learning_curves", "pretraining_curves"),
    *("attention_topomap", "embedding_map", "protocol_contrast_figure"),
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
    x, y = figures._seen_from_above(("CZ", "FPZ", "OZ", "T7", "T8", "CB1", "CB2")).T
    radius = np.hypot(x, y)
    np.testing.assert_allclose(radius[0], 0, atol=0.05)
    np.testing.assert_allclose(radius[1:5], 1, atol=0.08)
    assert (radius[5:] > 1).all()
    assert y[1] > 0 > y[2]
    assert x[3] < 0 < x[4]


def test_equal_attention_everywhere_can_be_drawn(tmp_path):
    figures.attention_topomap(DREAMER, np.full(14, 1 / 14), synthetic=False).savefig(tmp_path / "map.png", dpi=40)


def test_more_channels_than_colours_are_still_told_apart():
    assert len({tuple(np.atleast_1d(colour)) for colour in figures._colours(62)}) == 62


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
    assert {"workflow", "results_table", "paired_differences"} <= stems
