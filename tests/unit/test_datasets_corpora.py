"""The table of pre-training corpora adds up and names datasets that exist."""

import re
from pathlib import Path

import pytest

from unimontage import datasets

PAGE = Path(__file__).parents[2] / "docs" / "corpora.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| ")]
BODY = [row for row in ROWS[1:] if not row[0].startswith("**")]
HOURS = [float(row[2]) for row in BODY]


def test_the_hours_add_up_to_the_sum_below_them():
    (total,) = (row[2].strip("*") for row in ROWS if row[0].startswith("**"))
    assert len(BODY) == 16
    assert sum(HOURS) == pytest.approx(float(total), abs=1e-6)
    assert f"add up to {total} hours" in TEXT


def test_the_shares_in_the_text_follow_from_the_table():
    private = sum(h for h, row in zip(HOURS, BODY, strict=True) if row[5] == "not public")
    of_tuh = sum(h for h, row in zip(HOURS, BODY, strict=True) if row[6] == "`tuh`")
    assert f"{private:.2f} hours, {100 * private / sum(HOURS):.0f} %" in TEXT
    assert f"{of_tuh:.2f} hours, {100 * of_tuh / sum(HOURS):.0f} %" in TEXT


def test_what_is_read_here_is_a_dataset():
    named = {name for row in BODY for name in re.findall(r"`(\w+)`", row[6])}
    assert named == {"eegmmidb", "seed", "tuh"}
    assert named <= set(datasets.keys())
    assert all(re.match(r"no$|`\w+`", row[6]) for row in BODY)


def test_the_channels_to_ask_for_are_known():
    listed = re.search(r"channels: \[([^\]]+)\]", TEXT)[1].split(", ")
    assert len(listed) == 19
    assert set(listed) <= set(datasets.facts("tuh").channels)
