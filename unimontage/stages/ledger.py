"""Rule ledger, and the command of that name: every published number beside what runs have measured of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unimontage.errors import UserError
from unimontage.reporting.ledger import ledger, measured_costs, measured_scores
from unimontage.reporting.ledger_rendering import ledger_html, ledger_text
from unimontage.stages.evaluate import write_text
from unimontage.stages.request import Request

SYSTEMS = {"results": "universal", "published": "sleep", "distilled": "distill"}
"""The published system whose article scores as a table does: by subject, or over all test windows together."""
COSTS = "efficiency"


class LedgerRequest(Request):
    """Hold the published numbers against the tables of a run."""

    tables: tuple[Path, ...]
    planned: tuple[dict[str, Any], ...]
    title: str
    csv: Path
    html: Path
    txt: Path


def account(request: LedgerRequest) -> None:
    """Write a run's ledger."""
    write_ledger(book(request.tables, request.planned), request.title, request.csv, request.html, request.txt)


def book(tables: Sequence[Path], planned: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The ledger of any number of tables, of any number of runs.

    Parameters
    ----------
    tables : sequence of Path
        ``<results>/<run>/tables/<comparison>/`` with ``results.csv``, ``published.csv``, ``distilled.csv`` or
        ``efficiency.csv``.
    planned : sequence of dict
        From `unimontage.dag.fillers.fillers`.

    Raises
    ------
    UserError
        A table was written by an older version, or synthetic and real data would mix.
    """
    parts = [part for part in map(_measured, tables) if len(part)]
    return ledger(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(), planned)


def measured_tables(runs: Sequence[Path]) -> list[Path]:
    """The tables of runs that a ledger reads.

    Raises
    ------
    UserError
        A folder holds none.
    """
    found = []
    for run in runs:
        own = [path for part in (*SYSTEMS, COSTS) for path in sorted(run.glob(f"tables/*/{part}.csv"))]
        if not own:
            raise UserError(
                f"{run} holds no tables",
                expected="the folder of a finished run, for example results/demo",
                mend="snakemake --profile profiles/local",
            )
        found += own
    return found


def write_ledger(table: pd.DataFrame, title: str, csv: Path, html: Path, txt: Path) -> None:
    """Write a ledger as table, page and text."""
    write_text(csv, table.to_csv(index=False))
    write_text(html, ledger_html(table, title))
    write_text(txt, ledger_text(table) + "\n")


def _measured(path: Path) -> pd.DataFrame:
    """What one table of a run says about published numbers."""
    run = path.parents[2].name
    try:
        table = pd.read_csv(path, keep_default_na=True)
        return measured_costs(table, run) if path.stem == COSTS else measured_scores(table, run, SYSTEMS[path.stem])
    except pd.errors.EmptyDataError:  # nothing of the article's was run
        return pd.DataFrame()
    except KeyError as error:
        raise UserError(
            f"{path} lacks {error}",
            expected="a table of this version of the workflow",
            mend="run the same snakemake command again",
        ) from error
