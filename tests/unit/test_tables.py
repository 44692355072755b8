import html.parser
import re

import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.evaluation.aggregate import summarise, with_rating_mean
from unimontage.evaluation.metrics import METRICS
from unimontage.evaluation.paired import paired_differences
from unimontage.reporting.rendering import _runs
from unimontage.reporting.tables import differences_table, results_table, to_html, to_text

ARMS = {"pretrained_gat_with_a_long_name": "full", "scratch": "scratch", "eegnet": None}
MEAN = "mean of valence and arousal"


def subject_scores(synthetic=False, datasets=("seed", "deap"), subjects=8):
    rng = np.random.default_rng(4)
    tasks = {
        "seed": {"emotion": "negative|neutral|positive"},
        "deap": dict.fromkeys(("valence", "arousal"), "low|high"),
    }
    rows = [
        {
            **{"dataset": dataset, "task": task, "classes": classes, "protocol": protocol, "arm": arm},
            **{"paper_key": key, "subject": f"s{subject:02d}", "unit": unit, "metric": metric},
            **{"value": min(1.0, level + rng.normal(0, 0.05)), "reason": ""},
        }
        for dataset in datasets
        for task, classes in tasks[dataset].items()
        for protocol, level in {"paper": 0.9, "strict_loso": 0.55, "strict_trial": 0.6}.items()
        for arm, key in ARMS.items()
        for subject in range(subjects)
        for unit in ("window", "trial")
        for metric in METRICS
    ]
    spread = {"sd_folds": 0.1, "sd_seeds": 0.02, "n_folds": 5, "n_seeds": 2}
    return pd.DataFrame(rows).assign(chance=0.5, synthetic=synthetic, **spread)


@pytest.fixture(scope="module")
def scores():
    return with_rating_mean(subject_scores())


@pytest.fixture(scope="module")
def summaries(scores):
    return summarise(scores, 100, 0.95, np.random.default_rng(0))


@pytest.fixture(scope="module")
def table(summaries):
    return results_table(summaries)


def test_strict_protocols_come_first_and_task_means_last(table):
    assert list(table["protocol"].unique()) == ["strict_trial", "strict_loso", "paper"]
    assert list(table["task"].unique()) == ["emotion", "valence", "arousal", MEAN]
    assert list(table["arm"][:3]) == list(ARMS)
    assert len(table) == 4 * 3 * 3


def test_the_table_holds_the_summaries_in_percent(table, summaries):
    key = {"dataset": "deap", "task": MEAN, "protocol": "strict_loso", "arm": "scratch"}
    row = table.loc[(table[list(key)] == pd.Series(key)).all(axis=1)].iloc[0]
    source = summaries.loc[(summaries[list(key)] == pd.Series(key)).all(axis=1) & (summaries["unit"] == "window")]
    source = source.set_index("metric")
    assert row["mean"] == pytest.approx(100 * source.loc["accuracy", "mean"])
    assert row["ci_low"] == pytest.approx(100 * source.loc["accuracy", "ci_low"])
    assert row["kappa"] == pytest.approx(100 * source.loc["kappa", "mean"])
    assert (row["n"], row["chance"], row["data"]) == (8, 50, "real")


def test_published_values_stand_beside_the_arm_that_reproduces_them(table):
    full = table[(table["arm"] == "pretrained_gat_with_a_long_name") & (table["protocol"] == "paper")]
    published = dict(zip(full["task"], full["published"], strict=True))
    assert published == {"emotion": 99.27, "valence": 93.69, "arousal": 93.69, MEAN: 93.69}
    np.testing.assert_allclose(full["difference"], full["mean"] - full["published"])
    assert table.loc[table["arm"] == "eegnet", "published"].isna().all()
    assert table.loc[table["arm"] == "eegnet", "note"].eq("").all()


def test_the_score_under_the_paper_protocol_is_repeated_beside_the_strict_one(table):
    keys = ["dataset", "task", "arm"]
    under = table[table["protocol"] == "paper"].set_index(keys)["mean"]
    strict = table[table["protocol"] == "strict_trial"].set_index(keys)["paper_protocol"]
    pd.testing.assert_series_equal(strict, under.loc[strict.index], check_names=False)


def test_another_metric_and_unit_have_no_published_value(summaries):
    found = results_table(summaries, metric="kappa", unit="trial")
    assert found["published"].isna().all()
    assert "accuracy" in found.columns
    assert set(found["unit"]) == {"trial"}


def test_synthetic_and_real_data_never_share_a_table(summaries):
    mixed = summaries.assign(synthetic=summaries["dataset"] == "deap")
    with pytest.raises(UserError, match=r"seed \(real\), deap \(SYNTHETIC\)|deap \(SYNTHETIC\), seed \(real\)"):
        results_table(mixed)


def test_a_table_without_rows_is_refused(summaries):
    with pytest.raises(UserError, match="no summary of accuracy per recording"):
        results_table(summaries, unit="recording")


def test_differences_are_in_points(scores):
    scores = scores[(scores["unit"] == "window") & (scores["protocol"] == "paper")]
    found = paired_differences(scores, "scratch", resamples=100, confidence=0.95, rng=np.random.default_rng(0))
    shown = differences_table(found)
    chosen = found[(found["unit"] == "window") & (found["metric"] == "accuracy")]
    assert sorted(shown["points"]) == pytest.approx(sorted(100 * chosen["difference"]))
    assert "p (Holm)" in to_text(shown)
    assert "p (Holm)" in to_html(shown, "Differences", False)


def test_the_text_fits_a_terminal_and_numbers_its_remarks(table):
    text = to_text(table)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert "deap, mean of valence and arousal, strict_trial" in lines
    assert "~86.04" in text
    assert "SYNTHETIC" not in text
    remarks = lines[lines.index("Remarks, by the numbers at the ends of the rows") + 1 :]
    assert remarks[0].startswith("  1  ")


def test_many_remarks_squeeze_no_name(table):
    alone = to_text(table.assign(note="One."))
    some = "\n".join(f"Remark {k}." for k in range(0, 60, 2))
    all_of_them = "\n".join(f"Remark {k}." for k in range(60))
    crowded = to_text(table.assign(note=[some if k else all_of_them for k in range(len(table))]))
    assert max(map(len, crowded.splitlines())) <= 120
    assert "      remarks 1,3,5,7," in crowded
    for arm in ("scratch", "eegnet"):
        assert f"  {arm} " in alone
        assert f"  {arm} " in crowded


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([4], "4"), ([3, 1, 2, 9, 7, 8], "1-3,7-9"), ([5, 6, 8], "5-6,8")]
)
def test_numbers_that_follow_each_other_are_a_run(numbers, text):
    assert _runs(numbers) == text


def test_long_names_on_both_sides_still_fit(scores):
    names = {arm: f"{arm}_{'x' * 60}" for arm in ARMS}
    scores = scores[(scores["unit"] == "window") & (scores["metric"] == "accuracy")]
    renamed = scores.assign(arm=scores["arm"].map(names))
    found = paired_differences(renamed, names["scratch"], resamples=100, confidence=0.95, rng=np.random.default_rng(0))
    assert max(map(len, to_text(differences_table(found)).splitlines())) <= 120


def test_synthetic_tables_say_so_in_text_and_page():
    scores = subject_scores(synthetic=True, datasets=("deap",), subjects=3)
    table = results_table(summarise(scores, 100, 0.95, np.random.default_rng(0)))
    warning = "SYNTHETIC data: these numbers say nothing about brains."
    assert to_text(table).splitlines()[0] == warning
    page = to_html(table, "Results", synthetic=False)
    assert warning in page
    assert "<h1>SYNTHETIC data: Results</h1>" in page


class Page(html.parser.HTMLParser):
    """Collects cells, and fails on tags that do not close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag in ("meta", "line", "circle", "path"):
            return
        self.open.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(dict(attributes))

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(table):
    text = to_html(table, "Results <of> a run", synthetic=False)
    page = Page()
    page.feed(text)
    assert page.open == []
    assert len(page.rows) == 1 + len(table)
    assert len({len(row) for row in page.rows}) == 1
    assert all(link.startswith("#note-") for link in page.links)
    assert not re.search(r"https?://", text)
    assert "Results &lt;of&gt; a run" in text
    assert "nan" not in {cell.get("data-key") for row in page.rows for cell in row}


def test_a_budget_of_labels_finds_the_numbers_of_that_budget():
    rows = subject_scores(datasets=("deap",), subjects=4)
    rows = rows[(rows["task"] == "valence") & (rows["protocol"] != "strict_loso")]
    names = {"strict_trial": "strict_subject_5pct", "paper": "paper_subject_5pct"}
    sleep = rows.assign(dataset="isruc", task="stages", protocol=rows["protocol"].map(names), paper_key="seqclr")
    summaries = summarise(sleep, 100, 0.95, np.random.default_rng(0))
    table = results_table(summaries, metric="kappa")
    assert set(table["published"]) == {57.81}
    assert list(table["protocol"].unique()) == ["strict_subject_5pct", "paper_subject_5pct"]
    assert table["paper_protocol"].notna().all()


def test_protocols_with_other_labels_are_not_contrasted():
    rows = subject_scores(datasets=("deap",), subjects=4)
    rows = rows[rows["protocol"] != "strict_loso"]
    rows = rows.assign(protocol=rows["protocol"].replace("paper", "paper_10pct"))
    table = results_table(summarise(rows, 100, 0.95, np.random.default_rng(0)))
    assert table.loc[table["protocol"] == "strict_trial", "paper_protocol"].isna().all()
