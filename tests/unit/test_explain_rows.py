"""Which jobs a row of a table rests on, from the words that stand in it."""

import pandas as pd
import pytest

from unimontage.dag.explain import rows_of, wanted
from unimontage.errors import UserError

ROWS = [
    {"dataset": "deap", "task": "valence", "protocol": "strict_trial", "arm": "svm", "paper_protocol": 60.0},
    {"dataset": "deap", "task": "valence", "protocol": "strict_trial", "arm": "net", "paper_protocol": None},
    {"dataset": "deap", "task": "mean of valence and arousal", "protocol": "paper", "arm": "svm"},
]


@pytest.fixture
def table(tmp_path):
    pd.DataFrame(ROWS).to_csv(tmp_path / "results.csv", index=False)
    return tmp_path / "results.csv"


@pytest.mark.parametrize("words", [["svm", "strict_trial"], ["arm=svm", "task=valence"], ["valence", "deap", "svm"]])
def test_words_choose_a_row_in_any_order(table, words):
    (row,) = rows_of(table, words).to_dict("records")
    assert (row["arm"], row["protocol"]) == ("svm", "strict_trial")


def test_a_row_beside_the_papers_protocol_rests_on_both(table):
    assert wanted(rows_of(table, ["svm", "valence"]))["protocol"] == {"strict_trial", "paper"}
    assert wanted(rows_of(table, ["net"]))["protocol"] == {"strict_trial"}


def test_a_mean_rests_on_its_tasks(table):
    assert wanted(rows_of(table, ["protocol=paper"]))["task"] == {"valence", "arousal"}


def test_a_difference_rests_on_the_reference_too():
    rows = pd.DataFrame([{"dataset": "deap", "arm": "svm", "reference": "net"}])
    assert wanted(rows) == {"dataset": {"deap"}, "arm": {"svm", "net"}}


def test_a_row_of_an_article_names_protocol_and_labels_apart():
    rows = pd.DataFrame([{"dataset": "isruc", "protocol": "strict_subject", "labels_pct": "5.0"}])
    assert "strict_subject_5pct" in wanted(rows)["protocol"]
    assert "strict_subject" not in wanted(rows)["protocol"]


def test_words_that_fit_no_row_are_refused_with_those_that_there_are(table):
    with pytest.raises(UserError, match="arm svm, net"):
        rows_of(table, ["nobody"])
