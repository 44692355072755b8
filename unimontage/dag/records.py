"""Records of jobs, walked from a result back to the input files; what of them is missing or was changed."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from unimontage.dag.history import history
from unimontage.errors import UserError

FORMAT = 1
"""Of the records that this version writes."""


@dataclass
class Record:
    """What a job left beside its log.

    Attributes
    ----------
    facts : dict
        As :func:`unimontage.stages.record.write_record` wrote it.
    place : str
        Where it is.
    """

    facts: dict[str, Any]
    place: str

    @property
    def of_an_arm(self) -> bool:
        """Whether the job trained an arm: what is above has chosen among arms, what is below belongs to it."""
        return "arm" in self.facts["wildcards"]


@dataclass
class Step:
    """A job of a chain, and those of its files through which the chain leads."""

    record: Record
    files: list[str] = field(default_factory=list)


class Run:
    """A run's folder with the records of its jobs.

    Parameters
    ----------
    folder : Path
        The folder, wherever it stands now; records name files from where Snakemake ran.

    Raises
    ------
    UserError
        There are no records, or they are of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.makers, self.root = folder, {}, ""
        for path in sorted(folder.glob("records/**/*.json")):
            facts = _read(path)
            self.root = facts["root"]
            record = Record(facts, str(Path(self.root, path.relative_to(folder))))
            for name in (*record.facts["writes"], record.facts["benchmark"]):
                self.makers[name] = record

    @classmethod
    def of(cls, result: Path) -> "Run":
        """The run that a file belongs to."""
        folder = next((folder for folder in result.absolute().parents if (folder / "records").is_dir()), None)
        if folder is None:
            raise UserError(
                f"no folder above {result} holds records of jobs: it is no result of a run, or of an older version",
                expected="a file of a run, for example results/demo/tables/within_subject/results.csv",
                mend="run the workflow again with this version; it computes what has no record",
            )
        return cls(folder)

    def name(self, path: Path) -> str:
        """A file's name in the records."""
        return str(Path(self.root, path.absolute().relative_to(self.folder)))

    def inside(self, name: str) -> bool:
        """Whether a file that records name belongs to the run."""
        return Path(name).is_relative_to(self.root)

    def place(self, name: str) -> Path:
        """Where a file is that records name."""
        return self.folder / Path(name).relative_to(self.root) if self.inside(name) else Path(name)

    def again(self, name: str) -> str:
        """Command that makes just this file anew."""
        kept = history(self.folder)
        config = f" --configfile {Path(self.root, kept[-1].path.relative_to(self.folder))}" if kept else ""
        return f"snakemake {name} --force --profile profiles/local{config}"


def chain(run: Run, result: str, choice: Mapping[str, set[str]]) -> list[Step]:
    """Jobs that a result was made by, each after those that use what it makes.

    Parameters
    ----------
    run : Run
        Where its records are.
    result : str
        The file, as records name it.
    choice : mapping
        Values by wildcard; what jobs that score and tabulate have read is followed to these only.

    Raises
    ------
    UserError
        The result has no record.
    """
    if not run.place(result).exists() and result not in run.makers:
        raise UserError(f"there is no {run.place(result)}", expected="a file of the run")
    if result not in run.makers:
        raise UserError(
            f"{result} has no record: it was made by hand or by an older version",
            expected="a file that a job of this version wrote",
            mend=run.again(result),
        )
    steps: dict[int, Step] = {}

    def visit(name: str, choice: Mapping[str, set[str]]) -> None:
        record = run.makers.get(name)
        if record is None or name in seen:
            return
        seen.add(name)
        inside = {} if record.of_an_arm else choice
        for read in followed(run, record, inside):
            visit(read, inside)
        steps.setdefault(id(record), Step(record)).files.append(name)

    seen: set[str] = set()
    visit(result, choice)
    return list(reversed(steps.values()))


def followed(run: Run, record: Record, choice: Mapping[str, set[str]]) -> Iterator[str]:
    """Files that a job read and that a choice of wildcards leads to."""
    for name in record.facts["reads"]:
        maker = run.makers.get(name)
        wildcards = maker.facts["wildcards"] if maker else {}
        if all(wildcards[key] in values for key, values in choice.items() if key in wildcards):
            yield name


def faults(run: Run, steps: Sequence[Step]) -> Iterator[UserError]:
    """What of a chain is missing or is no longer what its records say; every file is read and hashed."""
    shown = {name for step in steps for name in step.files}
    for step in steps:
        written, read = step.record.facts["writes"], step.record.facts["reads"]
        for name in step.files:
            if name in written:
                yield from _compared(run.place(name), written[name]["sha256"], "the job", run.again(name))
        for name, hashes in read.items():
            maker = run.makers.get(name)
            if maker is None and run.inside(name):
                yield UserError(f"{name} has no record: an older version made it", mend=run.again(name))
            if maker is None or name not in shown:  # an input file, or a part of the run that was not asked for
                continue
            now = maker.facts["writes"].get(name, hashes)
            if any(now[kind] != value for kind, value in hashes.items()):
                what = f"{name} was made anew after {step.files[0]} had been made of it"
                yield UserError(what, mend=run.again(step.files[0]))


def native_files(run: Run, steps: Sequence[Step]) -> list[tuple[Path, str]]:
    """Input files at the end of a chain with the SHA-256 that was recorded when they were found."""
    found: dict[Path, str] = {}
    for step in steps:
        for name in step.files:
            if step.record.facts["rule"] == "locate" and run.place(name).is_file():
                manifest = json.loads(run.place(name).read_text(encoding="utf-8"))
                folder = run.place(manifest["root"])
                found |= {folder / entry["path"]: entry["sha256"] for entry in manifest["files"]}
        reads = {name: hashes for name, hashes in step.record.facts["reads"].items() if name not in run.makers}
        found |= {run.place(name): hashes["sha256"] for name, hashes in reads.items() if not run.inside(name)}
    return sorted(found.items())


def changed_inputs(files: Sequence[tuple[Path, str]]) -> Iterator[UserError]:
    """Input files that are missing or are no longer what they were."""
    for path, expected in files:
        yield from _compared(path, expected, "the run", "put back the file that was read, or run the workflow again")


def _compared(path: Path, expected: str | None, who: str, mend: str) -> Iterator[UserError]:
    if not path.is_file():
        yield UserError(f"{path} is missing", expected=f"the file that {who} recorded", mend=mend)
    elif expected and sha256(path) != expected:
        what = f"{path} has been changed: its sha256 is {sha256(path)[:16]}"
        yield UserError(what, expected=f"{expected[:16]}, as {who} recorded", mend=mend)


@cache
def sha256(path: Path) -> str:
    """SHA-256 of a file; each is read once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] == FORMAT:
            return facts
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{path} is no record of this version", mend=f"rm {path}, and run the workflow again")
