"""What the report says first, and how it is put together."""

import numpy as np
import pandas as pd
import pytest

from unimontage.reporting.page import content_of, page
from unimontage.reporting.report import Exhibit, Part, report_page
from unimontage.reporting.summary import against_chance, findings, gaps, headline


def row(arm: str, mean: float, low: float, high: float, **other: object) -> dict[str, object]:
    place = {"dataset": "deap", "task": "valence", "protocol": "strict_trial", "unit": "window", "metric": "accuracy"}
    known = {"arm": arm, "mean": mean, "ci_low": low, "ci_high": high, "confidence": 0.95, "n": 8, "chance": 50.0}
    rest = {"paper_protocol": np.nan, "published": np.nan, "origin": "", "data": "real", "note": ""}
    return place | known | rest | other


@pytest.fixture
def results() -> pd.DataFrame:
    rows = [
        row("mine", 60, 55, 65),
        row("svm", 70, 45, 80),
        row("net", 40, 30, 45),
        row("broken", np.nan, np.nan, np.nan, note="fold 1 has one class\nand more"),
        row("mine", 90, 85, 95, protocol="paper"),
    ]
    return pd.DataFrame(rows)


def test_the_headline_is_strict_and_holds_the_reference_and_the_best_other(results: pd.DataFrame) -> None:
    shown = headline(results, "mine")
    assert list(shown["protocol"].unique()) == ["strict_trial"]
    assert list(zip(shown["arm"], shown["role"], shown["verdict"], strict=True)) == [
        ("mine", "reference", "better"),
        ("svm", "best of 2 others", "not told apart"),
    ]


def test_the_best_error_is_the_lowest_and_better_is_below_chance(results: pd.DataFrame) -> None:
    shown = headline(results.assign(metric="rmse"), "mine")
    assert list(shown["arm"]) == ["mine", "net"]
    assert list(shown["verdict"]) == ["worse", "better"]


def test_without_an_interval_there_is_no_verdict() -> None:
    assert against_chance(pd.Series(row("mine", 99, np.nan, np.nan))) == "no interval"


def test_subjects_of_one_class_make_no_level_of_chance() -> None:
    """Whoever answers with a constant is right about such a subject, which a network then cannot surpass."""
    alone = row("mine", 48, 31, 75)
    assert against_chance(pd.Series({**alone, "metric": "balanced_accuracy", "chance": 83.3})) == "one class"
    assert against_chance(pd.Series({**alone, "metric": "balanced_accuracy", "chance": 50.0})) == "not told apart"
    assert against_chance(pd.Series({**alone, "metric": "accuracy", "chance": 83.3})) == "worse"


def test_the_sentences_count_what_the_tables_hold(results: pd.DataFrame) -> None:
    place = {"dataset": "deap", "task": "valence", "protocol": "strict_trial", "metric": "accuracy"}
    differences = pd.DataFrame(
        [place | {"arm": a, "points": d, "p_holm": p} for a, d, p in (("svm", 10, 0.01), ("net", -1, 0.5))]
    )
    contrast = pd.DataFrame(
        [
            place | {"arm": a, "strict": s, "paper": p, "leakage": p - s}
            for a, s, p in (("mine", 60, 90), ("svm", 70, 72))
        ]
    )
    chance, told, leakage = findings(headline(results, "mine"), differences, contrast, "mine")
    assert chance.endswith("1 better than chance.")
    assert "1 of 2 paired differences" in told
    assert "svm on deap, valence, strict_trial +10.0 points" in told
    assert "+16.0 points at the median of 2" in leakage
    assert "mine on deap, valence, strict_trial: 60.00 strictly, 90.00 as in the papers" in leakage


def test_where_only_strict_protocols_ran_leakage_is_said_to_be_unmeasured(results: pd.DataFrame) -> None:
    nothing = pd.DataFrame(columns=["arm", "points", "p_holm"])
    _, told, leakage = findings(headline(results, "mine"), nothing, None, "mine")
    assert told == "No paired difference from mine could be tested."
    assert "not measured" in leakage


def test_what_has_no_number_is_named_with_its_reason(results: pd.DataFrame) -> None:
    unsure = results.assign(ci_low=results["ci_low"].where(results["arm"] != "net"))
    assert gaps(unsure) == [
        "broken on deap, valence, strict_trial: no number. fold 1 has one class",
        "1 of 5 rows have no interval: they rest on 8 subjects or fewer.",
    ]


def test_a_page_within_a_page_keeps_its_anchors_apart_and_its_headings_below() -> None:
    inner = page('<h2 id="a">A</h2><a href="#note-1">1</a><li id="note-1">x</li>', "Inner", synthetic=False)
    assert content_of(inner, "one") == '\n<h4 id="one-a">A</h4><a href="#one-note-1">1</a><li id="one-note-1">x</li>\n'


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_stamp_is_on_every_section_and_figure_or_nowhere(synthetic: bool) -> None:
    shown = [
        Exhibit("t.html", "Within subject", "", "Results", "<p>Look.</p>", "<table></table>", False, ["t.csv"]),
        Exhibit("f.png", "Within subject", "deap, valence", "Learning", "<p>Look.</p>", "<img>", True),
    ]
    text = report_page("A <run>", Part("Summary", "<p>First.</p>"), shown, [Part("Last", "")], synthetic)
    assert text.count('class="stamp"') == (6 if synthetic else 0)
    assert ("SYNTHETIC" in text) == synthetic
    assert text.index("First.") < text.index("t.csv") < text.index("f.png") < text.index('id="last"')
    assert "A &lt;run&gt;" in text
    assert '<a href="#within-subject-deap-valence">deap, valence</a>' in text, "the contents"
