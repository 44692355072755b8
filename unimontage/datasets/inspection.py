"""Hold a user's files against what is known of the dataset, before anything is computed from them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from unimontage.datasets import load
from unimontage.datasets.facts import DatasetFacts, Finding
from unimontage.datasets.sources import matches
from unimontage.datasets.twin import read_marker
from unimontage.errors import UserError


def inspect(key: str, root: Path) -> list[Finding]:
    """Compare every file found under `root` with the facts of a dataset.

    Parameters
    ----------
    key : str
        Dataset.
    root : Path
        Folder of the dataset, in the layout its owners distribute.

    Returns
    -------
    list of Finding
        Each file and item once. A subject with no file at all is counted, not reported as a fault: part of a dataset is
        a dataset to work with.

    Raises
    ------
    UserError
        If the dataset is unknown, or the folder is absent or holds no file of it.
    """
    module, root = load(key), Path(root)
    facts: DatasetFacts = module.FACTS
    present = [subject for subject in facts.subjects if _present(facts, subject, root)] if root.is_dir() else []
    if not present:
        raise UserError(
            f"{root} holds no file of {facts.key}" if root.is_dir() else f"there is no folder {root}",
            expected=f"for example {facts.files(facts.subjects[0])[0][0]}",
            mend=facts.how_to_obtain,
        )
    findings = [
        Finding(str(root), "subjects", f"{len(present)} of {len(facts.subjects)}", "any number", True),
        Finding(str(root), "origin", "synthetic" if read_marker(root) else "not marked synthetic", "either", True),
    ]
    for subject in present:
        try:
            findings += module.check(root, subject)
        except UserError as error:
            findings.append(Finding(f"subject {subject}", "files", error.what, "a complete set", False))
    return list(dict.fromkeys(findings))  # files that subjects share are checked once for each


def _present(facts: DatasetFacts, subject: str, root: Path) -> bool:
    """Whether any file that belongs to this subject alone is there; any file at all, where subjects share all."""
    names = {name for alternative in facts.files(subject) for name in alternative}
    if facts.grouped:
        return any(facts.group_of(path.relative_to(root)) == subject for name in names for path in matches(root, name))
    other = next(name for name in facts.subjects if name != subject)
    own = names - {name for alternative in facts.files(other) for name in alternative}
    return any(matches(root, name) for name in own or names)


def describe(findings: Sequence[Finding]) -> str:
    """Readable account: a line for each file that agrees, a line for each item that does not, and a summary."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        by_file.setdefault(finding.file, []).append(finding)
    lines, faulty = [], 0
    for file, items in by_file.items():
        wrong = [item for item in items if not item.agrees]
        faulty += bool(wrong)
        if not wrong:
            lines.append(f"agrees   {file}: " + ", ".join(f"{item.item} {item.found}" for item in items))
        lines += [f"DIFFERS  {file}: {item.item} {item.found} (expected {item.expected})" for item in wrong]
    noun = "entry" if len(by_file) == 1 else "entries"
    lines.append(f"{len(by_file)} {noun}: {len(by_file) - faulty} agree with the facts, {faulty} do not")
    return "\n".join(lines)


def show(key: str, root: Path, out: TextIO | None = None) -> int:
    """Print what `inspect` finds.

    Parameters
    ----------
    key : str
    root : Path
    out : text file, optional
        Standard output by default.

    Returns
    -------
    int
        Exit code: 0 if everything agrees, 1 otherwise.
    """
    findings = inspect(key, root)
    print(describe(findings), file=out or sys.stdout)
    return 0 if all(finding.agrees for finding in findings) else 1
