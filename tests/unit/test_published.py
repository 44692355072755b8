import re

import numpy as np
import pandas as pd
import pytest

from unimontage.config.arms import PaperRow
from unimontage.errors import UserError
from unimontage.reporting.published import VALUES, as_frame, lookup
from unimontage.reporting.published.sleep import DATASETS, MODELS, STAGE_F1, TITLES
from unimontage.reporting.published_rendering import efficiency_html, efficiency_text, published_html, published_text
from unimontage.reporting.published_tables import COLUMNS, GAIN, efficiency_table, published_tables

UNIVERSAL = [value for value in VALUES if value.system == "universal"]
SLEEP = [value for value in VALUES if value.system == "sleep"]
SHAPES = {  # numbers in each table of the article
    **{"table_1": 11 * 9, "table_2": 11 * 9, "table_3": 4 * 9, "table_4": 5 * 6, "table_5": 6 * 4, "table_6": 5 * 9},
    "table_10": 7 * 4,
}


def measured(rows=("rp_s", "seqclr", "mtssrl_md"), shift=0.01, synthetic=False, protocol="strict_subject"):
    """What a run might have measured: the article's numbers and a little more."""
    table = as_frame(SLEEP)
    table = table[table["row"].isin(rows) & (table["table"] != "table_10")]
    table = table.drop_duplicates(["row", "dataset", "labels_pct", "metric"])
    mean = table["value"] / 100 + shift
    budget = np.where(table["labels_pct"] == 100, "", "_" + table["labels_pct"].map("{:g}".format) + "pct")
    return table[["row", "dataset", "labels_pct", "metric"]].assign(
        **{"protocol": protocol + pd.Series(budget, index=table.index), "mean": mean, "sd": 0.02},
        **{"ci_low": mean - 0.03, "ci_high": mean + 0.03, "n_subjects": 20, "n_seeds": 5, "synthetic": synthetic},
    )


def cell(table, row, dataset, metric, labels_pct):
    at = {"row": row, "dataset": dataset, "metric": metric, "labels_pct": labels_pct}
    found = table[(table[list(at)] == pd.Series(at)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


def test_published_values_of_the_universal_system_are_those_of_the_article():
    found = {(row.row, row.dataset): row.value for row in UNIVERSAL}
    assert found == {
        ("full", "seed"): 99.27,
        ("full", "deap"): 93.69,
        ("full", "dreamer"): 93.93,
        ("scratch", "seed"): None,
        ("scratch", "deap"): 86.04,
        ("scratch", "dreamer"): 90.38,
        ("gcn", "deap"): 71.50,
        ("no_graph", "deap"): 77.25,
        ("transfer_ucs", "dreamer"): 93.05,
        ("transfer_intersection", "dreamer"): 94.08,
        ("within", "dreamer"): 93.93,
    }


def test_derived_values_are_the_full_model_minus_the_printed_gain():
    for row in UNIVERSAL:
        if row.origin == "derived":
            assert row.value == pytest.approx(lookup("full", row.dataset).value - row.gain)
        assert row.notes


def test_a_value_that_was_not_published_is_none():
    assert lookup(None, "deap") is None
    assert lookup("gcn", "seed") is None
    assert lookup("full", "deap", "kappa") is None
    assert lookup("mtssrl_md", "isruc", "kappa", 50) is None
    assert len(as_frame()) == len(VALUES)


def test_every_number_of_the_sleep_articles_tables_is_there_with_its_sd():
    table = as_frame(SLEEP)
    assert table.groupby("table").size().to_dict() == SHAPES
    assert table.loc[table["table"] != "table_10", "sd"].between(0.05, 4).all()
    assert table["value"].notna().all()
    assert not table.duplicated(["table", "row", "dataset", "labels_pct", "metric"]).any()


@pytest.mark.parametrize(
    ("row", "dataset", "metric", "labels_pct", "value", "sd"),
    [
        ("rp_s", "sleep_edf", "balanced_accuracy", 5, 69.97, 1.81),
        ("cpc_i", "isruc", "macro_f1", 5, 65.87, 0.29),
        ("ts_a", "anphy", "kappa", 5, 64.09, 0.59),
        ("seqclr", "anphy", "macro_f1", 10, 68.80, 1.06),
        ("atcnet", "isruc", "kappa", 100, 74.71, 0.20),
        ("fbm", "anphy", "balanced_accuracy", 10, 74.50, 1.28),
        ("equal", "sleep_edf", "macro_f1", 10, 74.16, 0.59),
        ("single_a", "anphy", "macro_f1", 10, 70.03, 0.52),
        ("single_i", "isruc", "balanced_accuracy", 5, 68.98, 1.94),
        ("mtssrl_md", "sleep_edf", "f1_REM", 10, 72.93, 1.92),
        ("cpc_s", "sleep_edf", "auroc", 10, 96.34, 0.09),
    ],
)
def test_single_numbers_stand_where_the_article_has_them(row, dataset, metric, labels_pct, value, sd):
    found = lookup(row, dataset, metric, labels_pct)
    assert (found.value, found.sd) == (value, sd)


def test_numbers_that_the_article_prints_twice_agree():
    table = as_frame(SLEEP)
    groups = table.groupby(["row", "dataset", "labels_pct", "metric"])
    assert (groups[["value", "sd"]].nunique() <= 1).all(axis=None)
    assert (groups.size() > 1).sum() > 20


def test_an_arm_can_name_every_row_of_the_article():
    rows = {value.row for value in SLEEP if value.table != "table_10"}
    assert rows <= set(PaperRow.__args__)
    assert {value.row for value in SLEEP} == set(MODELS)


def test_a_macro_f1_that_is_no_mean_of_its_stages_says_so():
    for row in ("rp_s", "ts_s", "cpc_s", "seqclr", "mtssrl_md"):
        mean = np.mean([lookup(row, "sleep_edf", metric, 10).value for metric in STAGE_F1])
        printed = lookup(row, "sleep_edf", "macro_f1", 10)
        assert (
            f"{mean:.2f} by table 6; {printed.value:.2f} is printed ({printed.value - mean:+.2f})" in printed.notes[0]
        )
    assert "(+1.34)" in printed.notes[0]
    assert "mean F1" not in " ".join(lookup("rp_s", "sleep_edf", "macro_f1", 5).notes)


@pytest.mark.parametrize(
    ("row", "dataset", "labels_pct", "words", "told"),
    [
        ("rp_s", "isruc", 5, "another number of channels", True),
        ("rp_i", "isruc", 5, "another number of channels", False),
        ("usleep", "isruc", 100, "whether pre-training saw", False),
        ("seqclr", "anphy", 10, "83 channels", True),
        ("mtssrl_md", "sleep_edf", 100, "Labels are drawn", False),
        ("mtssrl_md", "isruc", 100, "ATCNet has more on ISRUC", True),
    ],
)
def test_remarks_go_with_the_numbers_that_they_concern(row, dataset, labels_pct, words, told):
    assert (words in " ".join(lookup(row, dataset, "balanced_accuracy", labels_pct).notes)) is told


def test_tables_hold_the_articles_rows_beside_the_runs():
    tables = published_tables(measured())
    assert list(tables) == ["table_1", "table_2", "table_3", "table_4", "table_5", "table_6"]
    first = tables["table_1"]
    assert tuple(first) == COLUMNS
    block = first[(first["dataset"] == "isruc") & (first["metric"] == "kappa")]
    assert list(block["model"][:2]) == ["RP (sleep_edf)", "TS (sleep_edf)"]
    assert list(block["row"][-3:]) == ["seqclr", "mtssrl_md", GAIN]
    row = cell(first, "seqclr", "isruc", "kappa", 5)
    assert (row["paper"], row["paper_sd"], row["protocol"]) == (57.81, 1.75, "strict_subject")
    assert (row["ours"], row["ours_sd"], row["ci_low"]) == (pytest.approx(58.81), 2, pytest.approx(55.81))
    assert row["difference"] == pytest.approx(1)
    missing = cell(first, "ts_s", "isruc", "kappa", 5)
    assert (missing["status"], missing["paper"]) == ("not run", 50.87)
    assert np.isnan(missing["ours"])


def test_the_gain_is_over_the_best_other_row_of_the_same_table():
    table = published_tables(measured())["table_2"]
    gain = cell(table, GAIN, "isruc", "balanced_accuracy", 10)
    assert gain["paper"] == pytest.approx(74.61 - 70.85)  # CPC of isruc is the best baseline
    assert gain["ours"] == pytest.approx(74.61 - 68.26)  # of those that were run, SeqCLR
    assert gain["difference"] == pytest.approx(gain["ours"] - gain["paper"])
    assert (gain["paper_over"], gain["ours_over"], gain["others_run"]) == ("CPC (isruc)", "SeqCLR", "2 of 10")


def test_without_the_proposed_method_or_without_others_there_is_no_gain_of_ours():
    only = published_tables(measured(rows=("mtssrl_md",)))["table_1"]
    gain = cell(only, GAIN, "anphy", "kappa", 5)
    assert (gain["status"], gain["ours_over"]) == ("not run", "")
    others = published_tables(measured(rows=("rp_s",)))["table_1"]
    assert np.isnan(cell(others, GAIN, "anphy", "kappa", 5)["ours"])


def test_tables_that_the_run_fills_no_row_of_are_left_out():
    assert list(published_tables(measured(rows=("usleep",)))) == ["table_3"]
    assert published_tables(measured()[:0]) == {}
    assert published_text({}) == "Nothing to compare."


def test_a_metric_that_is_undefined_says_so():
    ours = measured()
    ours.loc[ours["metric"] == "auroc", "mean"] = np.nan
    table = published_tables(ours)["table_6"]
    assert cell(table, "seqclr", "sleep_edf", "auroc", 10)["status"] == "undefined"


def test_protocols_and_units_of_labels_are_kept_apart():
    strict, printed = measured(), measured(protocol="paper_subject", shift=0.05)
    whole = strict[strict["protocol"].str.endswith("pct")]
    whole = whole.assign(protocol=whole["protocol"] + "_subjects")
    table = published_tables(pd.concat([strict, printed, whole]))["table_1"]
    assert list(table["protocol"].unique()) == [
        "strict_subject",
        "paper_subject",
        "strict_subject, labels of whole subjects",
    ]
    assert (table.groupby("protocol").size() == 9 * 12).all()


def test_two_arms_for_one_row_are_refused():
    with pytest.raises(UserError, match="two arms have paper: rp_s on sleep_edf under strict_subject"):
        published_tables(pd.concat([measured(), measured(rows=("rp_s",))]))


def test_synthetic_and_real_data_never_share_a_published_table():
    ours = measured()
    with pytest.raises(UserError, match="would mix SYNTHETIC and real"):
        published_tables(ours.assign(synthetic=ours["dataset"] == "isruc"))


def test_the_text_has_one_line_a_model_and_fits_a_terminal():
    text = published_text(published_tables(measured()))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    start = lines.index("isruc, 5 % of the labels, strict_subject")
    model = next(line for line in lines[start:] if line.startswith("  SeqCLR"))
    assert re.findall(r"[-+±\d.]+", model) == [
        *("63.18±0.22", "64.18±2.00", "+1.00", "63.86±0.35", "64.86±2.00", "+1.00", "57.81±1.75", "58.81±2.00", "+1.00")
    ]
    assert "not run" in next(line for line in lines[start:] if line.startswith("  TS (isruc)"))
    assert any(line.startswith("  gain over best other") for line in lines)
    assert all(TITLES[f"table_{k}"] in text for k in range(1, 7))
    assert "SYNTHETIC" not in text


def test_the_text_leaves_out_blocks_without_a_number_of_the_run_and_the_page_keeps_them():
    ours = measured(rows=("seqclr", "mtssrl_md"))
    tables = published_tables(ours[ours["dataset"] == "isruc"])
    text, page = published_text(tables), published_html(tables, "Sleep")
    assert "isruc, 5 % of the labels, strict_subject" in text
    assert "anphy, 5 % of the labels" not in text
    assert "anphy, 5 % of the labels, strict_subject" in page
    assert "83 channels" not in text  # a remark on a dataset that was not run


def test_synthetic_tables_say_so_on_the_page_and_in_the_terminal():
    tables = published_tables(measured(synthetic=True))
    assert published_text(tables).startswith("SYNTHETIC data")
    page = published_html(tables, "Sleep")
    assert "<h1>SYNTHETIC data: Sleep</h1>" in page
    assert 'class="warning"' in page


def test_the_page_has_a_table_a_block_with_intervals_and_linked_remarks():
    page = published_html(published_tables(measured(rows=("usleep", "mtssrl_md"))), "Sleep <staging>")
    assert (
        page.count("<table>") == page.count("</table>") == 6 * 3 + 1 - 3 + 3
    )  # table 6 has one dataset, table 5 two budgets
    assert "Sleep &lt;staging&gt;" in page
    assert "78.10±2.00" in page
    assert "<small>75.1 to 81.1</small>" in page  # U-Sleep on isruc: 77.10 + 1, 3 points either way
    assert page.count("<tfoot>") == page.count("<table>")
    assert not re.search(r"https?://", page)
    assert all(f'id="note-{number}"' in page for number in set(re.findall(r'href="#note-(\d+)"', page)))


def profiled(row, dataset="isruc"):
    return {
        **{"row": row, "dataset": dataset, "parameters": 9824, "macs": 31_000_000, "flops": 62_000_000},
        **{"peak_memory_bytes": 5_400_000, "latency_ms": 1.25, "latency_iqr_ms": 0.1, "device": "x86_64"},
    }


def test_size_and_speed_stand_beside_the_articles():
    ours = pd.DataFrame([profiled("mtssrl_md"), profiled("rp_s"), profiled("rp_i"), profiled("usleep")])
    table = efficiency_table(ours)
    assert list(table["row"]) == [
        "deepsleepnet",
        "atcnet",
        "rp_s",
        "rp_i",
        "ts",
        "cpc",
        "seqclr",
        "mtssrl_md",
        "usleep",
    ]
    found = table.set_index("row")
    assert found.loc["mtssrl_md", "flops_g_paper"] == 4.87
    assert found.loc["mtssrl_md", "flops_g"] == pytest.approx(0.062)
    assert found.loc["mtssrl_md", "macs_g"] == pytest.approx(0.031)
    assert found.loc["rp_i", "parameters_m_paper"] == 0.007
    assert np.isnan(found.loc["usleep", "latency_ms_paper"])
    assert (found.loc["seqclr", "status"], found.loc["usleep", "status"]) == ("not run", "")
    text = efficiency_text(table)
    assert "4.870 / 0.062" in text
    assert "12948.2 / not run" in text
    page = efficiency_html(table, "Cost", synthetic=True)
    assert "SYNTHETIC data: Cost" in page
    assert "144.293 / not run" in page
    assert "called the smallest" in page


def test_the_article_names_three_datasets():
    assert {value.dataset for value in SLEEP} == {*DATASETS, ""}
