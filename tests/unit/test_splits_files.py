import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unimontage.errors import UserError
from unimontage.splits.files import ids_by_role, read_table, require_same_tables, write_table

FACTS = {"protocol": "strict_trial", "tables": {"s01": "aa", "s02": "bb"}, "synthetic": True, "folds": [1, 2]}


def rows():
    return pd.DataFrame(
        {
            "fold": ["1-0", "1-0", "1-0", "1-1", "1-1", "1-1"],
            "role": ["test", "train", "val", "train", "test", "train"],
            "window": ["c", "a", "b", "c", "b", "a"],
            "target": [-1, 0, 1, 2, -1, 0],
        }
    )


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "new folder" / "sub-s01.parquet"
    write_table(path, rows(), FACTS)
    return path


def test_a_table_comes_back_as_it_was_with_its_facts(written):
    table = read_table(written)
    pd.testing.assert_frame_equal(table.rows, rows(), check_dtype=False)
    assert table.rows["target"].dtype == np.int64
    assert table.facts == FACTS


def test_the_same_table_gives_the_same_bytes(written, tmp_path):
    write_table(tmp_path / "again.parquet", rows(), dict(reversed(FACTS.items())))
    assert (tmp_path / "again.parquet").read_bytes() == written.read_bytes()


def test_only_the_file_is_left_in_the_folder(written):
    assert [path.name for path in written.parent.iterdir()] == ["sub-s01.parquet"]


def test_a_failed_write_leaves_the_old_table(written, monkeypatch):
    before = written.read_bytes()

    def broken(table, path):
        path.write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(UserError, match="No space left on device"):
        write_table(written, rows(), FACTS)
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == ["sub-s01.parquet"]


def test_what_a_killed_process_left_beside_a_file_is_gone_once_it_is_written_again(written):
    left, other = written.parent / ".sub-s01.parquet.4711.part", written.parent / ".sub-s01.parquet.csv.4711.part"
    for path in (left, other):
        path.write_bytes(b"half")
    write_table(written, rows(), FACTS)
    assert sorted(path.name for path in written.parent.iterdir()) == [other.name, "sub-s01.parquet"]


def check_refused(path):
    """A file is refused in one line that names it and says how to go on."""
    with pytest.raises(UserError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert f"rm {path}" in message


def test_a_missing_table_is_one_line(tmp_path):
    with pytest.raises(
        UserError, match=r"absent.parquet is missing; .* with .*absent.parquet after the word snakemake\Z"
    ):
        read_table(tmp_path / "absent.parquet")


@pytest.mark.parametrize("keep", [0, 3, 200, -1])
def test_a_truncated_table_is_one_line(written, keep):
    written.write_bytes(written.read_bytes()[:keep])
    check_refused(written)


def test_any_stretch_of_zeros_is_one_line_or_harmless(written):
    good = written.read_bytes()
    for start in range(0, len(good), 16):
        written.write_bytes(good[:start] + bytes(16) + good[start + 16 :])
        try:
            read_table(written)
        except UserError:
            check_refused(written)


def test_a_table_without_facts_is_one_line(tmp_path):
    foreign = tmp_path / "foreign.parquet"
    rows().to_parquet(foreign)
    check_refused(foreign)
    bare = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"a": [1]}), bare)
    check_refused(bare)


def test_facts_that_are_no_json_are_one_line(tmp_path):
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"unimontage": '{"tables": '}), path)
    check_refused(path)


def test_a_text_file_is_one_line(tmp_path):
    path = tmp_path / "text.parquet"
    path.write_text(json.dumps(FACTS))
    check_refused(path)


def test_the_tables_that_a_split_was_made_from_are_accepted(written):
    require_same_tables(read_table(written), {"s01": "aa", "s02": "bb", "s03": "not in the split"}, str(written))


@pytest.mark.parametrize(
    ("hashes", "named"), [({"s01": "aa", "s02": "cc"}, "s02"), ({"s01": "aa"}, "s02"), ({}, "s01, s02")]
)
def test_other_tables_are_refused_with_their_subjects(written, hashes, named):
    with pytest.raises(UserError, match=rf"made from other windows of subject {named};.*mend: rm {written}"):
        require_same_tables(read_table(written), hashes, str(written))


def test_a_fold_comes_apart_by_role_in_the_order_of_the_file(written):
    train, val, test = ids_by_role(read_table(written).rows, "1-1")
    assert train["window"].tolist() == ["c", "a"]
    assert val.empty
    assert test["window"].tolist() == ["b"]
