from collections import Counter
from itertools import chain

import numpy as np
import pandas as pd
import pytest

from unimontage.dag.fillers import fillers
from unimontage.errors import UserError
from unimontage.evaluation.aggregate import summarise, with_rating_mean
from unimontage.reporting import ledger as books
from unimontage.reporting.ledger import EVERY_VALUE, counts, ledger, measured_costs, measured_scores
from unimontage.reporting.ledger_rendering import ledger_html, ledger_text
from unimontage.reporting.published import distill, sleep, universal
from unimontage.reporting.published.described import WHY
from unimontage.reporting.tables import results_table
from unimontage.stages.ledger import book, measured_tables

# Rows and columns of the articles' tables as they were read there, cells without a number left out.
PRINTED = {
    ("universal", ""): 3 + 3 + 2 + 2 + 1,  # full, scratch, two graphs, two transfers, pre-trained within the dataset
    ("sleep", "table_1"): 11 * 9,
    ("sleep", "table_2"): 11 * 9,
    ("sleep", "table_3"): 4 * 9,
    ("sleep", "table_4"): 5 * 6,
    ("sleep", "table_5"): 6 * 4,
    ("sleep", "table_6"): 5 * 9,
    ("sleep", "table_7"): 3 * (3 + 2 * 5 + 1),  # subjects, rate, channels; epochs of five stages and shares; epochs
    ("sleep", "table_8"): 6 * 2,
    ("sleep", "table_9"): 6 * 2,
    ("sleep", "table_10"): 7 * 4,
    ("sleep", "appendix_f"): 3 * 3,
    ("distill", "selection"): 2 * 5 + 6 * 3,  # five methods for two metrics, three for the others
    ("distill", "outliers"): 3 * 3,
    ("distill", "hours"): 2,
}
# What each article leaves open or gets wrong, and how many such flags were raised against it.
FLAGS = {
    "universal": (
        *(universal.LEAKY_FOLDS, universal.SEEN_IN_PRETRAINING, universal.SAME_MONTAGE, universal.UNION_LOSES),
        *(universal.STATIC_GRAPH, universal.SLOW_SCRATCH, universal.UNSTATED),
    ),
    "distill": (
        *(distill.NOT_ABOVE, distill.COPIED, distill.TOKENIZER_SAW_ALL, distill.VALIDATION_IS_TEST),
        *(distill.PRIVATE_SUBJECTS, distill.LOADER, distill.COMPRESSOR_DEFECTS, distill.OUTLIER_SHARE),
        *(distill.PRIVATE_CORPUS, distill.FEWER_UPDATES, distill.FILE_BY_FILE, distill.WITHIN_TRIALS),
        distill.LABRAM_CHOICES,
    ),
    "sleep": (
        *(sleep.WEIGHTS_DISAGREE, sleep.MISFITS[sleep.PROPOSED], sleep.EFFICIENCY_NOTES[sleep.PROPOSED][1]),
        *(sleep.RELATIVE_GAINS, sleep.GAMMA_FILTERED_AWAY, sleep.WHOLE_DAY, sleep.SEEN_IN_PRETRAINING),
        *(sleep.ELEVEN_OF_83, sleep.OTHER_MONTAGE, sleep.ALIGNMENT_UNTESTED, sleep.LABELS_OF_EVERY_SUBJECT),
    ),
}
RAISED = {"universal": 7, "distill": 12 + 1, "sleep": 11}
NOTHING = pd.DataFrame()
QUICK = {"resamples": 200, "confidence": 0.95}


def subject_scores(level, protocol="strict_trial", dataset="deap", tasks=("valence", "arousal"), subjects=12, **more):
    """Accuracies of an arm that stands for the row `full`, around a level."""
    rng = np.random.default_rng(0)
    known = {"dataset": dataset, "protocol": protocol, "arm": "full", "paper_key": "full", "kept_pct": 100.0}
    rows = [
        {**known, "task": task, "classes": "low, high", "subject": f"s{k}", "unit": "window", "metric": "accuracy"}
        | {"value": level + rng.normal(0, 0.02), "synthetic": False, "reason": "", "chance": 0.5}
        for task in tasks
        for k in range(subjects)
    ]
    return pd.DataFrame(rows).assign(sd_folds=0.0, sd_seeds=0.0, n_folds=1, n_seeds=1, **more)


def results(*scores):
    subjects = with_rating_mean(pd.concat(scores, ignore_index=True))
    return results_table(summarise(subjects, *QUICK.values(), np.random.default_rng(0)))


def booked(*scores, planned=(), run="mine"):
    table = ledger(measured_scores(results(*scores), run, "universal"), planned)
    return table[table["run"] != ""].set_index(["dataset", "protocol"])


def test_every_number_of_every_printed_table_is_held():
    assert Counter((value.system, value.table) for value in EVERY_VALUE) == PRINTED
    table = ledger(NOTHING, [])
    assert counts(table).set_index(["system", "table"])["numbers"].to_dict() == PRINTED
    assert len(table) == sum(PRINTED.values())


def test_no_number_is_held_twice():
    places = [tuple(getattr(value, name) for name in books.NUMBER) for value in EVERY_VALUE]
    assert len(set(places)) == len(places)


def test_what_the_articles_leave_open_is_a_remark_of_some_number():
    for system, flags in FLAGS.items():
        told = set(chain.from_iterable(value.notes for value in EVERY_VALUE if value.system == system))
        assert len(set(flags)) == RAISED[system]
        assert set(flags) <= told


def test_every_score_has_an_experiment_that_measures_it():
    """Where an arm loses its `paper`, or a target its budget, a number would have nobody to measure it."""
    table = ledger(NOTHING, fillers())
    scored = table[~table["table"].isin(WHY)]
    assert len(scored) >= sum(PRINTED.values()) - sum(PRINTED[place] for place in PRINTED if place[1] in WHY)
    assert (scored["filled_by"] != "").all()
    assert set(table.loc[table["filled_by"] == "", "table"]) == set(WHY)
    assert (table.loc[table["filled_by"] == "", "because"] != "").all()


def test_an_empty_row_names_the_experiment_and_the_arm():
    table = ledger(NOTHING, fillers())
    chosen = table[(table["row"] == "gcn") & (table["protocol"] == "paper")]
    assert chosen["filled_by"].tolist() == ["universal.yaml, within_subject: gcn_distance"]
    assert chosen["verdict"].tolist() == ["not run"]


def test_a_row_that_no_experiment_fills_says_why():
    one = {"config": "x.yaml", "comparison": "within_subject", "arm": "full", "protocol": "paper", "costs": False}
    planned = [one | {"row": "full", "dataset": "seed", "labels_pct": 10.0, "kept_pct": 100.0}]
    table = ledger(NOTHING, planned).set_index(["row", "dataset"])["because"]
    assert table["full", "seed"] == "no experiment runs the arm of this row with 100 % of the labels"
    assert table["full", "deap"] == "no experiment runs the arm of this row on deap"
    assert table["gcn", "deap"] == "no arm of an experiment stands for this row"


def test_the_verdict_goes_by_the_interval():
    found = booked(
        subject_scores(0.9369, "paper"),
        subject_scores(0.6, "strict_trial"),
        subject_scores(0.9999, "paper", "dreamer"),
    )
    assert found.loc[("deap", "paper"), "verdict"] == "reproduced"
    assert found.loc[("deap", "strict_trial"), "verdict"] == "lower"
    assert found.loc[("dreamer", "paper"), "verdict"] == "higher"
    assert found.loc[("deap", "strict_trial"), "difference"] == pytest.approx(60 - 93.69, abs=2)
    assert set(found["task"]) == {"mean of valence and arousal"}, "the article prints one number for both"


def test_no_interval_is_no_verdict():
    found = booked(subject_scores(0.9369, "paper", subjects=2))
    assert found["verdict"].tolist() == ["cannot be compared"]
    assert "fewer than three subjects" in found["because"].iloc[0]


def test_stand_ins_never_reproduce():
    found = booked(subject_scores(0.9369, "paper", synthetic=True))
    assert found["verdict"].tolist() == ["SYNTHETIC"]


def test_what_was_run_is_not_asked_for_again_and_what_was_not_is():
    scores = measured_scores(results(subject_scores(0.9, "paper")), "mine", "universal")
    table = ledger(scores, fillers())
    rows = table[(table["row"] == "full") & (table["dataset"] == "deap")].set_index("protocol")
    assert rows["verdict"].to_dict() == {"paper": "lower", "strict_trial": "not run", "strict_loso": "not run"}
    assert rows["filled_by"].str.contains("universal.yaml").all()


def test_several_runs_are_joined_but_not_real_ones_with_stand_ins():
    real = measured_scores(results(subject_scores(0.9, "paper")), "first", "universal")
    again = measured_scores(results(subject_scores(0.94, "paper")), "second", "universal")
    table = ledger(pd.concat([real, again], ignore_index=True), [])
    assert table.loc[table["run"] != "", "run"].tolist() == ["first", "second"]
    assert len(table.drop_duplicates(books.NUMBER)) == sum(PRINTED.values())
    twins = measured_scores(results(subject_scores(0.9, "paper", "seed", synthetic=True)), "demo", "universal")
    with pytest.raises(UserError, match="SYNTHETIC and real") as caught:
        ledger(pd.concat([real, twins], ignore_index=True), [])
    assert "\n" not in str(caught.value)


def test_counts_agree_within_a_tenth_and_times_are_of_a_machine():
    measured = {"parameters_m": 0.0109, "flops_g": 4.0, "peak_memory_mb": 67.0, "latency_ms": 3.2}
    costs = pd.DataFrame([{"row": "mtssrl_md", "dataset": "isruc", "status": "", "data": "real", **measured}])
    table = ledger(measured_costs(costs, "mine"), [])
    found = table[table["run"] != ""].set_index("metric")["verdict"]
    assert found.to_dict() == {
        "parameters_m": "reproduced",
        "flops_g": "lower",
        "peak_memory_mb": "cannot be compared",
        "latency_ms": "cannot be compared",
    }


def test_the_page_and_the_text_hold_what_the_table_holds():
    table = ledger(measured_scores(results(subject_scores(0.9, "paper")), "mine", "universal"), fillers())
    page, text = ledger_html(table, "Ledger"), ledger_text(table)
    assert page.count("<tr>") == len(table) + len(PRINTED) + len(PRINTED) + 1  # rows, summary, a head for each table
    assert max(map(len, text.splitlines())) <= 120
    assert "mine: paper" in text
    assert "universal.yaml, within_subject: gcn_distance" in text
    assert "SYNTHETIC data" not in page + text


def test_tables_on_disk_are_found_and_old_ones_refused(tmp_path):
    folder = tmp_path / "mine" / "tables" / "within_subject"
    folder.mkdir(parents=True)
    table = results(subject_scores(0.9, "paper"))
    table.to_csv(folder / "results.csv", index=False)
    (folder / "published.csv").write_text("\n")
    found = book(measured_tables([tmp_path / "mine"]), fillers())
    assert found.loc[found["run"] == "mine", "verdict"].tolist() == ["lower"]
    table.drop(columns="row").to_csv(folder / "results.csv", index=False)
    with pytest.raises(UserError, match="lacks 'row'"):
        book(measured_tables([tmp_path / "mine"]), [])
    with pytest.raises(UserError, match="holds no tables"):
        measured_tables([tmp_path])
