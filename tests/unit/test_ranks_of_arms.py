import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from unimontage.config.evaluation import Evaluation
from unimontage.evaluation.ranks import rank_arms
from unimontage.reporting.rank_figure import critical_differences
from unimontage.splits.files import write_table
from unimontage.stages.ranks import RanksRequest, rank_target


def scores(subjects=12, step=0.05, arms=("best", "good", "fair", "poor")):
    rng = np.random.default_rng(0)
    level = rng.uniform(0.6, 0.8, (subjects, 1)) - step * np.arange(len(arms))
    return pd.DataFrame(level + rng.normal(0, 0.02, (subjects, len(arms))), columns=list(arms))


def joined(figure):
    """Arms under each bar of a diagram, by the mean ranks at which the bar has its dots."""
    bars = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    return [sorted(np.round(line.get_xdata(), 6)) for line in bars]


def test_arms_far_apart_are_told_apart_in_their_order():
    ranking = rank_arms(scores(step=0.2))
    assert ranking.ranks.to_dict() == {"best": 1, "good": 2, "fair": 3, "poor": 4}
    assert ranking.p < 0.001
    assert ranking.apart(0.05).to_numpy().sum() == 12  # all pairs, both ways round
    assert joined(critical_differences(ranking, confidence=0.95, synthetic=False)) == []


def test_where_lower_is_better_the_order_turns():
    assert list(rank_arms(scores(step=0.2), lower_is_better=True).ranks.index) == ["poor", "fair", "good", "best"]


def test_arms_alike_share_one_bar_even_if_a_pair_differs():
    ranking = rank_arms(scores(step=0.2))._replace(p=0.2)  # Friedman's test does not reject
    (bar,) = joined(critical_differences(ranking, confidence=0.95, synthetic=False))
    assert bar == [1, 2, 3, 4]


def test_ties_everywhere_are_drawn_and_named():
    same = pd.DataFrame(np.tile([[0.5], [0.7], [0.6]], 4), columns=list("abcd"))
    ranking = rank_arms(same)
    assert ranking.ranks.eq(2.5).all()
    assert np.isnan(ranking.p)
    assert ranking.pairs["p_holm"].eq(1).all()
    assert "every subject has one score for all arms" in ranking.reason
    assert "one score for all arms" in critical_differences(ranking, confidence=0.95, synthetic=False).get_supxlabel()


def test_a_tie_but_for_rounding_shares_its_rank():
    table = pd.DataFrame({"a": [0.3] * 6, "b": [0.1 + 0.2] * 6, "c": [0.2] * 6, "d": [0.1] * 6})
    assert rank_arms(table).ranks.to_dict() == {"a": 1.5, "b": 1.5, "c": 3, "d": 4}


@pytest.mark.parametrize("subjects", [0, 1, 5])
def test_few_subjects_tell_no_arms_apart(subjects, tmp_path):
    ranking = rank_arms(scores(step=0.2).head(subjects))
    assert not ranking.apart(0.05).to_numpy().any()
    assert f"with {subjects} subjects no two arms can be told apart" in ranking.reason
    critical_differences(ranking, confidence=0.95, synthetic=True).savefig(tmp_path / "figure.png", dpi=40)


def test_a_subject_without_a_score_is_left_out_and_counted():
    table = scores()
    table.loc[0, "good"] = np.nan
    ranking = rank_arms(table)
    assert ranking.n_subjects == 11
    assert ranking.reason == "1 of 12 subjects have no score of some arm"


def test_the_stage_writes_each_pair_and_a_stamped_picture(tmp_path):
    table = scores().rename_axis("subject").reset_index().melt("subject", var_name="arm")
    known = {"dataset": "deap", "task": "valence", "protocol": "strict_trial", "unit": "window", "metric": "accuracy"}
    rows = table.assign(**known, fold="0", seed=0, chance=0.5, reason="", synthetic=True)
    write_table(tmp_path / "scores.parquet", rows, {"synthetic": True})
    paths = {"table": tmp_path / "ranks.csv", "figure": tmp_path / "ranks.png"}
    rank_target(RanksRequest(scores=tmp_path / "scores.parquet", evaluation=Evaluation(), code="x", **paths))
    found = pd.read_csv(paths["table"])
    assert len(found) == 6
    assert (found["data"] == "SYNTHETIC").all()
    assert found["p_holm"].between(0, 1).all()
    assert plt.imread(paths["figure"]).shape[0] > 300


def test_a_diagram_leaves_no_global_state_and_stamps_what_is_synthetic():
    before = plt.get_fignums()
    stamped, plain = (
        critical_differences(rank_arms(scores()), confidence=0.95, synthetic=kind) for kind in (True, False)
    )
    assert plt.get_fignums() == before
    assert stamped.get_suptitle().startswith("SYNTHETIC data: ")
    assert "SYNTHETIC" not in plain.get_suptitle()
