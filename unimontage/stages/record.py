"""The record of a job, its result card: what it was asked, read and wrote, by which code, and what it took.

Every job of every rule leaves one beside its log. With the same software, all but ``measured`` is the same whenever the
job is done again.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

FORMAT = 1
"""Of the file; `unimontage explain` reads no other."""
PACKAGES = (
    *("braindecode", "h5py", "lightning-fabric", "mne", "numba", "numpy", "pandas", "pyarrow", "pyod", "pyriemann"),
    *("scikit-learn", "scipy", "snakemake", "torch", "torch-geometric", "unimontage"),
)
ASIDE = {"code", "deadline"}
"""Of a request: one has a place of its own, the other is another each time."""
HOME = Path(__file__).resolve().parents[2]
LOCK = HOME / "containers" / "compute.lock"


def write_record(request: BaseModel, snakemake: Any, measured: Mapping[str, Any]) -> None:
    """Write the record of a job that is done.

    Parameters
    ----------
    request : Request
        What the rule asked; its paths are files that were read or written.
    snakemake : object
        The rule's side of the script.
    measured : mapping
        From :meth:`unimontage.stages.meter.Meter.read`.
    """
    log = Path(snakemake.log[0])
    root = next(folder.parent for folder in log.parents if folder.name == "logs")
    place = log.relative_to(root / "logs").with_suffix("")
    outputs = set(dict(snakemake.output.items()))
    files = {name: list(_paths(value)) for name, value in request}
    facts = {
        "format": FORMAT,
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards.items()),
        "root": str(root),
        "log": str(log),
        "benchmark": str(root / "benchmarks" / f"{place}.jsonl"),
        "configuration": max((path.stem for path in (root / "configurations").glob("*.yaml")), default=None),
        "config": request.model_dump(mode="json", exclude=ASIDE | {name for name, found in files.items() if found}),
        "code": request.code,
        "software": software(),
        "reads": _hashes(path for name, found in files.items() if name not in outputs for path in found),
        "writes": _hashes((path for name in outputs for path in files[name]), whole=True),
        "measured": measured,
    }
    path = root / "records" / f"{place}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    aside.replace(path)


def software() -> dict[str, Any]:
    """Versions of what a job computes with, and the state of the working tree."""
    return {
        "git": git_state(HOME),
        "python": sys.version.split()[0],
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "image": os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER"),
        "lock": sha256(LOCK) if LOCK.is_file() else None,
    }


def git_state(folder: Path) -> dict[str, Any]:
    """The commit of a working tree and whether files differ from it; null with the reason where nothing is known."""
    if not (folder / ".git").exists():
        return {"commit": None, "changed": None, "reason": "no git repository"}
    try:
        commit = _git(folder, "rev-parse", "HEAD").strip()
        changed = bool(_git(folder, "status", "--porcelain", "--untracked-files=no").strip())
        return {"commit": commit, "changed": changed, "reason": None}
    except (OSError, subprocess.SubprocessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[0]
        return {"commit": None, "changed": None, "reason": reason}


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hashes(paths: Iterator[Path], whole: bool = False) -> dict[str, dict[str, str]]:
    """By path, the SHA-256 of each file; a window store that is read goes by the hash of its table.

    That covers the digest of every window, and saves reading many gigabytes again in every job.
    """
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        if not path.is_file():  # a folder for checkpoints
            continue
        table = _table_hash(path) if path.suffix == ".h5" else None
        found[str(path)] = {"table": table} if table else {}
        if whole or not table:
            found[str(path)]["sha256"] = sha256(path)
    return found


def _table_hash(path: Path) -> str:
    import h5py  # not before a window store is met: the check of the environment must run without

    with h5py.File(path, "r") as file:
        return json.loads(bytes(file["attributes"][()]))["table_hash"]


def _paths(value: Any) -> Iterator[Path]:
    """Paths within a value, however deep."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _paths(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _paths(each)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
