import re

import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.evaluation.aggregate import summarise
from unimontage.evaluation.paired import paired_differences
from unimontage.evaluation.scales import scale_of
from unimontage.reporting import distill_figures as draw
from unimontage.reporting.distill_rendering import claims, distill_html, distill_text
from unimontage.reporting.distill_tables import COLUMNS, distill_table
from unimontage.reporting.published import VALUES, as_frame, lookup
from unimontage.reporting.published.distill import CLAIMED, FULL, FULL_SUPERVISED, MODELS
from unimontage.reporting.selection_card import ids_hash, selection_card, selection_html, selection_text
from unimontage.reporting.tables import differences_table, results_table, to_html, to_text

DISTILL = [value for value in VALUES if value.system == "distill"]
SIGNS = re.compile(r"[-+][\d.]+")


def measured(rows=("dlite", "random", FULL), shift=0.01, synthetic=False, protocol="strict_official"):
    """What a run might have measured: the article's numbers and a little more."""
    table = as_frame(DISTILL)
    table = table[table["row"].isin(rows)]
    mean = table["value"] / table["metric"].map(lambda metric: scale_of(metric).factor) + shift
    return table[["row", "dataset", "metric", "kept_pct"]].assign(
        **{"protocol": protocol, "mean": mean, "sd": 0.02, "ci_low": mean - 0.03, "ci_high": mean + 0.03},
        **{"n_subjects": 20, "n_seeds": 5, "synthetic": synthetic},
    )


def cell(table, row, dataset, metric):
    found = table[(table["row"] == row) & (table["dataset"] == dataset) & (table["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_every_number_of_the_article_is_there():
    found = {(v.row, v.dataset, v.metric): v.value for v in DISTILL}
    assert len(found) == len(DISTILL) == 28 + 9
    assert found["dlite", "seed_v", "accuracy"] == 38.6
    assert found["m3d", "mobi", "pearson_r"] == 0.465
    assert found[FULL, "mobi", "r2"] == 0.288
    assert found["random", "tuab", "auroc"] == 90.0
    assert found[FULL, "tuev", "weighted_f1"] == 83.1
    assert found["tau_1", "seed", "kappa"] == 31.3
    assert found[FULL_SUPERVISED, "seed", "macro_f1"] == 55.4
    assert {v.kept_pct for v in DISTILL if v.row in ("dlite", "random", "pca", "m3d")} == {5}
    assert {v.kept_pct for v in DISTILL if v.row in ("tau_0", "tau_1")} == {25}
    assert {v.kept_pct for v in DISTILL if v.row in (FULL, FULL_SUPERVISED)} == {100}
    assert {v.row for v in DISTILL} == set(MODELS)


def test_a_number_of_another_share_is_not_found():
    assert lookup("dlite", "tuev", "balanced_accuracy").value == 62.9
    assert lookup("dlite", "tuev", "balanced_accuracy", kept_pct=5.0).value == 62.9
    assert lookup("dlite", "tuev", "balanced_accuracy", kept_pct=25.0) is None


@pytest.mark.parametrize(
    ("row", "dataset", "metric", "words", "told"),
    [
        ("dlite", "tuev", "balanced_accuracy", "said to surpass", True),
        ("dlite", "mobi", "pearson_r", "said to surpass", False),
        ("dlite", "tuab", "auroc", "said to surpass", False),
        ("dlite", "seed_v", "accuracy", "said to surpass", False),
        (FULL, "tuev", "weighted_f1", "likely copied", True),
        (FULL, "tuev", "weighted_f1", "twentieth of the updates", False),
        ("random", "tuab", "auroc", "first recordings", True),
        ("dlite", "tuab", "auroc", "first recordings", False),
        ("pca", "mobi", "pearson_r", "exports other windows", True),
        ("tau_0", "seed", "kappa", "exports other windows", False),
        ("tau_0", "seed", "kappa", "tokenizer", False),
        ("tau_1", "seed", "kappa", "folds appear to divide", True),
        ("dlite", "seed_v", "accuracy", "16 subjects are public", True),
        ("m3d", "mobi", "pearson_r", "5 passes", True),
        ("random", "tuev", "weighted_f1", "same folder", True),
    ],
)
def test_remarks_go_with_the_numbers_that_they_concern(row, dataset, metric, words, told):
    assert (words in " ".join(lookup(row, dataset, metric).notes)) is told


def test_the_article_is_above_all_data_in_two_of_six_claimed_numbers():
    table = distill_table(measured())
    assert tuple(table) == COLUMNS
    claimed = table[table["claimed"]]
    assert set(claimed["dataset"]) == set(CLAIMED)
    above = {(row["dataset"], row["metric"]) for _, row in claimed.iterrows() if row["paper_above"] == "yes"}
    assert above == {("mobi", "pearson_r"), ("tuab", "auroc")}
    assert len(claimed) == 6


def test_ours_is_compared_with_our_own_run_on_all_windows():
    ours = measured()
    ours.loc[(ours["row"] == FULL) & (ours["dataset"] == "tuev"), "mean"] = 0.1
    table = distill_table(ours)
    row = cell(table, "dlite", "tuev", "balanced_accuracy")
    assert (row["paper_above"], row["ours_above"]) == ("no", "yes")
    assert row["ours_to_all"] == pytest.approx(63.9 - 10)
    assert row["difference"] == pytest.approx(1)
    assert cell(table, FULL, "tuev", "balanced_accuracy")["ours_above"] == ""
    mobi = cell(table, "dlite", "mobi", "pearson_r")
    assert (mobi["ours"], mobi["paper"], mobi["ours_sd"]) == (pytest.approx(0.56), 0.55, 0.02)


def test_without_all_windows_of_our_own_nothing_is_said_of_ours():
    table = distill_table(measured(rows=("dlite",)))
    row = cell(table, "dlite", "tuab", "auroc")
    assert (row["paper_above"], row["ours_above"], row["status"]) == ("yes", "", "")
    assert cell(table, FULL, "tuab", "auroc")["status"] == "not run"
    said = next(text for text in claims(table) if text.startswith("tuab"))
    assert "By its numbers: balanced accuracy no; AUROC yes." in said
    assert "AUROC unknown, since all windows were not run" in said


def test_another_share_or_label_budget_is_no_row_of_the_article():
    ours = measured()
    assert len(distill_table(ours.assign(kept_pct=20.0))) == 0
    assert len(distill_table(ours.assign(protocol="strict_official_10pct"))) == 0
    assert distill_text(distill_table(ours[:0])) == "Nothing to compare."
    assert "Nothing to compare." in distill_html(distill_table(ours[:0]), "Distillation")


def test_only_datasets_with_a_number_of_ours_are_shown():
    ours = measured()
    assert list(distill_table(ours[ours["dataset"] == "tuab"])["dataset"].unique()) == ["tuab"]


def test_cells_and_kinds_of_data_are_never_mixed():
    with pytest.raises(UserError, match="two arms have paper: dlite on seed_v"):
        distill_table(pd.concat([measured(), measured(rows=("dlite",))]))
    ours = measured()
    with pytest.raises(UserError, match="would mix SYNTHETIC and real"):
        distill_table(ours.assign(synthetic=ours["dataset"] == "tuab"))


def test_the_text_has_a_line_a_method_and_fits_a_terminal():
    text = distill_text(distill_table(measured(synthetic=True)))
    lines = text.splitlines()
    assert lines[0].startswith("SYNTHETIC data")
    assert max(map(len, lines)) <= 120
    start = lines.index("tuev, Balanced accuracy, strict_official")
    line = next(line for line in lines[start:] if line.startswith("  EEG-DLite"))
    assert line.split() == [
        *("EEG-DLite", "5", "%", "62.90", "-1.20", "no"),
        *("63.90±2.00", "60.90", "to", "66.90", "-1.20", "no", "+1.00"),
    ]
    mobi = lines.index("mobi, Pearson r, strict_official")
    assert "0.560±0.020" in next(line for line in lines[mobi:] if line.startswith("  EEG-DLite"))
    assert any(line.startswith("tuev: the article says that 5 percent surpass all data.") for line in lines)


def test_the_page_links_remarks_and_says_synthetic():
    page = distill_html(distill_table(measured(synthetic=True)), "Distillation <5 %>")
    assert "<h1>SYNTHETIC data: Distillation &lt;5 %&gt;</h1>" in page
    assert page.count("<table>") == 8
    links = set(re.findall(r'href="#note-(\d+)"', page))
    assert links
    assert all(f'id="note-{number}"' in page for number in links)
    assert not re.search(r"https?://", page)


def regression_scores():
    rng = np.random.default_rng(0)
    rows = [
        {"arm": arm, "subject": f"s{s}", "metric": metric, "value": level + rng.normal(0, 0.02), "paper_key": key}
        for arm, key, better in (("small", "dlite", 0.05), ("all", FULL, 0.0))
        for s in range(8)
        for metric, level in {"pearson_r": 0.5 + better, "r2": 0.2, "rmse": 0.2 - better}.items()
    ]
    known = {"dataset": "mobi", "task": "gait", "protocol": "strict_official", "unit": "window", "synthetic": False}
    return pd.DataFrame(rows).assign(**known, chance=0.0, sd_folds=0.0, sd_seeds=0.0, n_folds=1, n_seeds=2, reason="")


def test_errors_and_correlations_are_no_percent():
    summaries = summarise(regression_scores(), 200, 0.95, np.random.default_rng(0))
    table = results_table(summaries, metric="rmse")
    assert table["mean"].tolist() == pytest.approx([0.15, 0.2], abs=0.03)
    assert table["pearson_r"].tolist() == pytest.approx([0.55, 0.5], abs=0.03)
    assert "accuracy" not in table
    text, page = to_text(table), to_html(table, "Gait", synthetic=False)
    assert "Mean RMSE per window over n subjects" in text
    assert "Lower is better." in text
    assert "percent" not in text
    assert re.search(r"small +0\.1\d\d ", text)
    assert "0 to 100" not in page
    correlation = results_table(summaries, metric="pearson_r").set_index("arm")
    assert correlation.loc["small", "published"] == 0.55
    assert correlation.loc["small", "difference"] == pytest.approx(correlation.loc["small", "mean"] - 0.55)


def test_the_share_kept_chooses_the_published_number_and_keeps_pairs_together():
    scores = regression_scores()
    scores = scores.assign(kept_pct=scores["arm"].map({"small": 10.0, "all": 100.0}))
    table = results_table(summarise(scores, 200, 0.95, np.random.default_rng(0)), metric="pearson_r").set_index("arm")
    assert np.isnan(table.loc["small", "published"])
    assert table.loc["all", "published"] == 0.538
    pairs = paired_differences(scores, "all", resamples=200, confidence=0.95, rng=np.random.default_rng(0))
    found = differences_table(pairs, metric="rmse")
    assert found["points"].item() == pytest.approx(-0.05, abs=0.03)
    text = to_text(found)
    assert "Differences of RMSE per window, subject by subject" in text
    assert "Difference" in text
    assert "Points" not in text
    assert " points" not in text


def shares_table():
    rows = [
        (dataset, "task", metric, method, kept, level + kept / 100)
        for dataset, metric, level in (("tuev", "balanced_accuracy", 0.5), ("mobi", "pearson_r", 0.3))
        for method, kept in (("dlite", 5.0), ("random", 10.0), ("dlite", 1.0), ("random", 1.0), ("full", 100.0))
    ]
    table = pd.DataFrame(rows, columns=["dataset", "task", "metric", "method", "kept_pct", "mean"])
    table = table.assign(protocol="strict_official", ci_low=table["mean"] - 0.05, ci_high=table["mean"] + 0.05)
    hours = {"compressor_h": 1.0, "selection_h": 0.25, "pretraining_h": table["kept_pct"] / 10}
    table = table.assign(**hours)
    table.loc[table["method"] != "dlite", "compressor_h"] = 0.0
    return table


def kept_table():
    kinds = {"dataset": ["tuev", "mobi"], "subject": ["s1", "s2"], "class": ["left", "right"]}
    rows = [(kind, d, name, 0.02 * (k + 1)) for kind, names in kinds.items() for d, k, name in _groups(kind, names)]
    return pd.DataFrame(rows, columns=["kind", "dataset", "group", "share"])


def _groups(kind, names):
    if kind == "dataset":
        return [(name, k, name) for k, name in enumerate(names)]
    return [(dataset, k, name) for dataset in ("tuev", "mobi") for k, name in enumerate(names)]


def coverage_table():
    rows = [(d, m, k, 10 / k, 3 / k) for d in ("tuev", "mobi") for m in ("dlite", "random") for k in (1.0, 5.0)]
    return pd.DataFrame(rows, columns=["dataset", "method", "kept_pct", "radius", "mean_distance"])


def examples():
    rng = np.random.default_rng(0)
    windows = {"kept": rng.normal(size=(3, 4, 200)) * 20, "dropped": rng.normal(size=(2, 4, 200)) * 20}
    windows["kept"][0, 1] = np.nan
    windows["outlier"] = rng.normal(size=(1, 4, 200)) * 2000
    scores = {"kept": np.array([1.0, 2.0, 3.0]), "dropped": np.array([np.nan, 1.5]), "outlier": np.array([44.4])}
    return windows, scores, ("C3", "C4", "O1", "O2"), 100.0


FIGURES = {
    "selection_curves": lambda **stamp: draw.selection_curves(shares_table(), **stamp),
    "cost_curves": lambda **stamp: draw.cost_curves(shares_table(), **stamp),
    "kept_shares": lambda **stamp: draw.kept_shares(kept_table(), 0.05, **stamp),
    "coverage": lambda **stamp: draw.coverage(coverage_table(), **stamp),
    "gallery": lambda **stamp: draw.gallery(*examples(), **stamp),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_and_stamped_when_synthetic(name, tmp_path):
    stamped, plain = FIGURES[name](synthetic=True), FIGURES[name](synthetic=False)
    assert stamped.get_suptitle().startswith("SYNTHETIC data: ")
    assert "SYNTHETIC" in [text.get_text() for text in stamped.texts]
    assert "SYNTHETIC" not in " ".join([text.get_text() for text in plain.texts] + [plain.get_suptitle()])
    stamped.savefig(tmp_path / "figure.png", dpi=40)
    assert (tmp_path / "figure.png").stat().st_size > 1000


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_each_task_has_a_panel_on_its_own_scale_and_all_windows_dashed():
    figure = draw.selection_curves(shares_table(), synthetic=False)
    first, second = figure.axes
    assert (first.get_ylabel(), second.get_ylabel()) == ("Balanced accuracy in percent", "Pearson r")
    lines = lines_of(first)
    assert list(lines) == ["dlite", "random", "all windows"]
    assert lines["dlite"].get_ydata() == pytest.approx([51, 55])
    assert lines["all windows"].get_linestyle() == "--"
    assert lines["all windows"].get_ydata() == pytest.approx([150, 150])
    assert lines_of(second)["dlite"].get_ydata() == pytest.approx([0.31, 0.35])
    with pytest.raises(UserError, match="dlite has two scores for 5 %"):
        draw.selection_curves(pd.concat([shares_table(), shares_table().iloc[:1]]), synthetic=False)


def test_hours_are_stacked_and_those_of_all_windows_stand_beside():
    figure = draw.cost_curves(shares_table(), synthetic=False)
    scores, hours = figure.axes[0], figure.axes[-1]
    assert lines_of(scores)["dlite"].get_xdata() == pytest.approx([1.35, 1.75])
    assert lines_of(scores)["all windows"].get_xdata() == pytest.approx([10.25])
    names = [label.get_text() for label in hours.get_yticklabels()]
    assert names == ["all windows, 100 %", "dlite, 5 %", "dlite, 1 %", "random, 10 %", "random, 1 %"]
    ends = sorted({round(bar.get_x() + bar.get_width(), 3) for bar in hours.patches[-5:]})
    assert ends == [0.35, 1.25, 1.35, 1.75, 10.25]
    with pytest.raises(UserError, match="hours of dlite at 5 % are not known"):
        draw.cost_curves(shares_table().replace({"compressor_h": {1.0: np.nan}}), synthetic=False)


def test_kept_shares_stand_against_the_asked_one():
    figure = draw.kept_shares(kept_table(), 0.05, synthetic=False)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["by dataset, 2", "by subject, 4", "by class, 4"]
    subjects = figure.axes[1]
    assert subjects.lines[0].get_xdata() == [5, 5]
    points = subjects.collections[0].get_offsets()
    names = [label.get_text() for label in subjects.get_yticklabels()]
    found = {names[int(y)]: x for x, y in points}
    assert found == pytest.approx({"tuev s1": 2, "mobi s1": 2, "tuev s2": 4, "mobi s2": 4})
    assert not draw.kept_shares(kept_table(), synthetic=False).axes[0].lines


def test_coverage_has_the_farthest_and_the_mean_distance():
    axes = draw.coverage(coverage_table(), synthetic=False).axes[0]
    lines = lines_of(axes)
    assert lines["dlite, farthest"].get_ydata() == pytest.approx([10, 2])
    assert lines["dlite, mean"].get_ydata() == pytest.approx([3, 0.6])


def test_the_gallery_has_one_scale_that_outliers_do_not_set():
    windows, scores, channels, sfreq_hz = examples()
    figure = draw.gallery(windows, scores, channels, sfreq_hz, synthetic=False)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [
        *("score 1.0", "score 2.0", "score 3.0", "no score", "score 1.5", "score 44.4")
    ]
    assert len({axes.get_ylim() for axes in shown}) == 1
    low, high = shown[0].get_ylim()
    assert (high - low) / 5 == pytest.approx(80, rel=0.1)  # four SDs of 20 microvolts between traces
    assert [label.get_text() for label in shown[0].get_yticklabels()] == list(channels)
    bar = [text.get_text() for text in shown[-1].texts]
    assert bar == ["100 µV, 1 s"]
    x, y = shown[-1].lines[-1].get_data()
    assert (y[0] - y[1], x[2] - x[1]) == (pytest.approx(100), 1)
    with pytest.raises(UserError, match="at least one window"):
        draw.gallery({"kept": windows["kept"]}, {"kept": scores["dropped"]}, channels, sfreq_hz, synthetic=False)


def selection(synthetic=True):
    ids = [f"{d}/s{s}/1/{t}/0" for d in ("deap", "eegmat") for s in range(2) for t in range(25)]
    table = pd.DataFrame({"window": ids, "oddness": np.linspace(0, 9.9, 100), "eligible": True, "rank": -1})
    table.loc[95:, "eligible"] = False
    table.loc[[3, 40, 60], "rank"] = [2, 0, 1]
    distill = {"method": "dlite", "kept": 0.03, "outliers": 0.05, "compressor": {"depth": 6}}
    facts = {"selection": "dlite_3", "corpus": "both", "synthetic": synthetic, "code": "ab12", "distill": distill}
    return facts | {"holdout": "none", "radius": []}, table


def test_a_card_says_what_was_selected_from_what():
    facts, table = selection()
    card = selection_card(facts, table)
    assert card["windows"] == {"of": 100, "removed": 5, "chosen": 3, "kept_pct": 3.0}
    assert [(e["dataset"], e["of"], e["chosen"], e["kept_pct"]) for e in card["datasets"]] == [
        ("deap", 50, 2, 4.0),
        ("eegmat", 50, 1, 2.0),
    ]
    assert card["subjects"] == {"of": 4, "kept": 3, "least_pct": 0.0, "most_pct": 4.0}
    assert card["oddness"]["removed as outliers"]["lowest"] == pytest.approx(9.5)
    assert card["oddness"]["chosen"]["median"] == pytest.approx(4.0)
    assert (card["method"], card["options"]["kept"], card["code"]) == ("dlite", 0.03, "ab12")
    assert card["more"] == {"holdout": "none", "radius": []}
    assert any("2512.12210" in text for text in card["cite"])
    assert any(text.startswith("DEAP") for text in card["cite"])


def test_the_hash_depends_on_the_windows_and_not_on_their_order():
    facts, table = selection()
    card = selection_card(facts, table)
    assert selection_card(facts, table.sample(frac=1, random_state=0))["ids_sha256"] == card["ids_sha256"]
    assert card["ids_sha256"] == ids_hash(["deap/s0/1/3/0", "deap/s1/1/15/0", "eegmat/s0/1/10/0"])
    other = table.assign(rank=table["rank"].replace(2, -1))
    assert selection_card(facts, other)["ids_sha256"] != card["ids_sha256"]
    assert selection_card(facts | {"ids_sha256": card["ids_sha256"]}, table) == card
    with pytest.raises(UserError, match="facts and table of one selection"):
        selection_card(facts | {"ids_sha256": card["ids_sha256"]}, other)


def test_a_selection_that_is_not_sound_has_no_card():
    facts, table = selection()
    with pytest.raises(UserError, match="is there twice"):
        selection_card(facts, pd.concat([table, table.iloc[:1]]))
    with pytest.raises(UserError, match="although it was removed"):
        selection_card(facts, table.assign(rank=np.arange(100)))
    with pytest.raises(UserError, match="has no code, oddness"):
        selection_card({k: v for k, v in facts.items() if k != "code"}, table.drop(columns="oddness"))


def test_a_card_can_be_read_on_a_page_and_in_the_terminal():
    facts, table = selection()
    card = selection_card(facts, table)
    text, page = selection_text(card), selection_html(card)
    assert text.startswith("SYNTHETIC data")
    assert max(map(len, text.splitlines())) <= 120
    assert "deap: 2 of 50 (4 %)" in text
    assert "  compressor.depth: 6" in text.splitlines()
    assert "<h1>SYNTHETIC data: Selection dlite_3</h1>" in page
    for shown in (text, page):
        assert card["ids_sha256"] in shown
        assert "under the licences of their datasets" in " ".join(shown.split())
    assert not re.search(r'(src|href)="https?://', page)
    assert "SYNTHETIC" not in selection_text(selection_card(*selection(synthetic=False)))


def test_a_method_without_scores_has_a_card():
    facts, table = selection()
    facts["distill"] = {"method": "random", "kept": 0.03}
    card = selection_card(facts, table.assign(oddness=np.nan, eligible=True))
    assert card["oddness"] == {"chosen": None, "not chosen": None, "removed as outliers": None}
    assert "Outlier score, chosen: none" in selection_text(card)
    assert not any("2512.12210" in text for text in card["cite"])
