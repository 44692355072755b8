"""From a number in a table, or from any file of a run, back to the input files and the commands that made it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from unimontage.config.protocols import PRINTED, Division
from unimontage.dag.records import Run, Step, chain, changed_inputs, faults, native_files, sha256
from unimontage.errors import UserError

CELL = ("dataset", "task", "protocol", "arm")
"""Columns of a table that are wildcards of the jobs behind it."""
MEAN = "mean of "
PAGES = (".txt", ".html")


def explain(result: Path, words: Sequence[str]) -> Iterator[str]:
    """Lines that lead from a result to its input files; every hash on the way is compared with the file.

    Parameters
    ----------
    result : Path
        A file of a run. Of a table as a page or a text, the csv file beside it is taken.
    words : sequence of str
        Which rows of a table: values that stand in it, or ``column=value``. None for the whole of it.

    Raises
    ------
    UserError
        The result is missing or unknown, no row fits, or, after the last line, a file is missing or was changed.
    """
    beside = result.with_suffix(".csv")
    table = beside if result.suffix in PAGES and beside.is_file() else result
    if words and table.suffix != ".csv":
        raise UserError(f"{result} has no rows to choose {' '.join(words)} from", expected="a table of the run")
    run = Run.of(table)
    name = run.name(table)
    if table.is_file() and words:
        rows = rows_of(table, words)
        yield from _row_lines(rows)
    else:
        rows = pd.DataFrame()
    steps = chain(run, name, wanted(rows))
    for step in steps:
        yield from _step_lines(run, step)
    inputs = native_files(run, steps)
    if not inputs:
        what = f"nothing that the run has computed is behind {result} {' '.join(words)}".rstrip()
        raise UserError(what, expected="a row with numbers of the run")
    yield "input files"
    yield from (f"  {path}  sha256 {expected}" for path, expected in inputs)
    wrong = list(faults(run, steps)) + list(changed_inputs(inputs))
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UserError(wrong[0].what + more, expected=wrong[0].expected, mend=wrong[0].mend)
    files = sum(len(step.files) for step in steps)
    yield f"{files} files of {len(steps)} jobs and {len(inputs)} input files: every hash is as it was recorded"


def rows_of(table: Path, words: Sequence[str]) -> pd.DataFrame:
    """Rows of a table that every word fits: a value in some column, or ``column=value``.

    Raises
    ------
    UserError
        No row fits, with the values that there are.
    """
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    for word in words:
        column, given, value = word.partition("=")
        if given and column not in rows:
            raise UserError(f"{table} has no column {column}", expected=f"one of {', '.join(rows.columns)}")
        fits = rows[column] == value if given else (rows == word).any(axis=1)
        if not fits.any():
            known = {name: rows[name].unique() for name in CELL if name in rows}
            told = "; ".join(f"{name} {', '.join(values)}" for name, values in known.items())
            raise UserError(f"no row of {table} fits {word} and the words before it", expected=told or "another word")
        rows = rows[fits]
    return rows


def wanted(rows: pd.DataFrame) -> dict[str, set[str]]:
    """Values that the wildcards of jobs behind some rows of a table can have, by wildcard."""
    found = {name: set(rows[name]) - {""} for name in CELL if name in rows}
    if "arm" in found and "reference" in rows:
        found["arm"] |= set(rows["reference"])
    if "task" in found:
        found["task"] = {part for task in found["task"] for part in _tasks(task)}
    if "protocol" in found and "labels_pct" in rows:
        found["protocol"] = {
            name for row in zip(rows["protocol"], rows["labels_pct"], strict=True) for name in _budgets(*row)
        }
    beside = rows.get("paper_protocol", rows.get("leakage"))
    if "protocol" in found and beside is not None and (beside != "").any():
        found["protocol"] |= set(filter(None, map(_printed, found["protocol"])))
    return {name: values for name, values in found.items() if values}


def _row_lines(rows: pd.DataFrame) -> Iterator[str]:
    """Each chosen row: what it is about, then its numbers."""
    for _, row in rows.iterrows():
        filled = {column: value for column, value in row.items() if value and column != "note"}
        yield "row  " + ", ".join(f"{column} {value}" for column, value in filled.items())


def _step_lines(run: Run, step: Step) -> Iterator[str]:
    facts = step.record.facts
    yield f"{facts['rule']}  {' '.join(facts['wildcards'].values())}".rstrip()
    for name in sorted(step.files):
        path = run.place(name)
        yield f"  file       {name}" + (f"  sha256 {sha256(path)[:16]}" if path.is_file() else "  missing")
    trained = _trained(run, step)
    if trained:
        yield f"  trained    {trained}"
    took = facts["measured"]
    where = f"{took['wall_s']:.1f} s from {took['started']} on {took['hardware']['host']}"
    yield f"  made by    configuration {facts['configuration']}, code {facts['code']}, {where}"
    yield f"  record     {step.record.place}"
    yield f"  log        {facts['log']}"
    yield f"  benchmark  {facts['benchmark']}"
    yield f"  again      {run.again(sorted(step.files)[0])}"


def _trained(run: Run, step: Step) -> str:
    """Folds and seeds behind predictions, from the card beside them."""
    cards = [run.place(name) for name in step.record.facts["writes"] if name.endswith(".json")]
    if not step.record.of_an_arm or not cards or not cards[0].is_file():
        return ""
    runs = json.loads(cards[0].read_text(encoding="utf-8")).get("runs", [])
    folds, seeds = (list(dict.fromkeys(str(one[key]) for one in runs)) for key in ("fold", "seed"))
    return f"folds {', '.join(folds)}; seeds {', '.join(seeds)}"


def _tasks(task: str) -> list[str]:
    """The tasks that a row is about: a mean names several."""
    return task.removeprefix(MEAN).replace(" and ", ", ").split(", ") if task.startswith(MEAN) else [task]


def _budgets(protocol: str, percent: str) -> list[str]:
    """What a protocol is called with a share of the training labels, whatever is counted."""
    if not protocol or not percent:
        return [protocol]
    return [Division(protocol, float(percent), unit).name for unit in ("window", "subject")]


def _printed(protocol: str) -> str | None:
    """The paper's protocol beside a strict one."""
    division = Division.parse(protocol)
    papers = (paper for paper, strict in PRINTED.items() if strict == division.protocol)
    return next((replace(division, protocol=paper).name for paper in papers), None)
