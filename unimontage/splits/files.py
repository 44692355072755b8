"""Split files: window ids by fold and role, with the hashes of the tables that they were made from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unimontage.errors import UserError
from unimontage.windows.atomic import atomic

KEY = b"unimontage"


@dataclass(frozen=True)
class Table:
    """A table and the facts that travel with it."""

    rows: pd.DataFrame
    facts: dict[str, Any]


def write_table(path: Path | str, rows: pd.DataFrame, facts: Mapping[str, Any]) -> None:
    """Write a table as parquet with ``facts`` (JSON values) in its header; the file appears whole or not at all."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    header = dict(table.schema.metadata or {}) | {KEY: json.dumps(dict(facts), sort_keys=True).encode()}
    with atomic(path) as aside:
        pq.write_table(table.replace_schema_metadata(header), aside)


def read_table(path: Path | str) -> Table:
    """Read a table that :func:`write_table` wrote.

    Raises
    ------
    UserError
        The file is missing, damaged, or something else.
    """
    try:
        table = pq.read_table(path)
        return Table(table.to_pandas(), json.loads(table.schema.metadata[KEY]))
    except FileNotFoundError as error:
        mend = f"run the same command again, with {path} after the word snakemake"
        raise UserError(f"{path} is missing", expected="a file that a rule wrote", mend=mend) from error
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} is not a table of this workflow: {reason}",
            expected="a parquet file that a rule wrote",
            mend=f"rm {path} and run the same command again",
        ) from error


def require_same_tables(split: Table, hashes: Mapping[str, str], where: str) -> None:
    """Refuse a split that was made from other windows than those at hand.

    Parameters
    ----------
    split : Table
        A split file; ``facts["tables"]`` maps subjects to table hashes.
    hashes : mapping
        Subject to the hash of the window table at hand.
    where : str
        The split file's path, for the message.
    """
    changed = [subject for subject, value in split.facts["tables"].items() if hashes.get(subject) != value]
    if changed:
        raise UserError(
            f"{where} was made from other windows of subject {', '.join(changed)}",
            expected="the window tables whose hashes it records",
            mend=f"rm {where} and run the same command again",
        )


def ids_by_role(split: pd.DataFrame, fold: str, roles: Sequence[str] = ("train", "val", "test")) -> list[pd.DataFrame]:
    """The rows of one fold, one table a role, in file order."""
    rows = split[split["fold"] == fold]
    return [rows[rows["role"] == role] for role in roles]
