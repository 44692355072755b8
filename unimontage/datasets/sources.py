"""Where a dataset's files come from: on disk, or from the server of an open release."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from unimontage.datasets.facts import Access, DatasetFacts, Download
from unimontage.errors import UserError


def locate(facts: DatasetFacts, subject: str, root: Path, sessions: Sequence[str] | None = None) -> list[Path]:
    """Find the files a subject needs.

    Parameters
    ----------
    facts : DatasetFacts
    subject : str
    root : Path
        Folder of the dataset.
    sessions : sequence of str, optional
        Only these sessions; all by default.

    Returns
    -------
    list of Path
        The first complete alternative of ``facts.files``. Of a grouped dataset: what the folder holds of the group,
        which may be nothing.

    Raises
    ------
    UserError
        If no alternative is complete: what was looked for, where, and how to obtain it. If several files match a
        pattern, and if the dataset has none of the sessions. For a grouped dataset, if the folder holds nothing of
        any group.
    """
    if subject not in facts.subjects:
        raise UserError(
            f"{facts.key} has no subject {subject!r}", expected=f"{facts.subjects[0]} to {facts.subjects[-1]}"
        )
    if sessions and not set(sessions) & set(facts.sessions_of(subject)):
        raise UserError(
            f"{facts.key} has no session {', '.join(sessions)} of subject {subject}",
            expected=f"session {', '.join(facts.sessions_of(subject))}",
            mend=f"leave the subject out with `datasets: {{{facts.key}: {{exclude: [{subject}]}}}}`",
        )
    root = Path(root)
    if facts.grouped:
        return _members(facts, subject, root)
    missing = []
    for alternative in facts.files(subject, sessions):
        found = {name: matches(root, name) for name in alternative}
        absent = [name for name, paths in found.items() if not paths]
        if not absent:
            return [_only(facts.key, subject, name, paths) for name, paths in found.items()]
        missing.append(absent[0] + (f" and {len(absent) - 1} more" if len(absent) > 1 else ""))
    raise UserError(
        f"{facts.key} subject {subject}: no complete set of files in {root} (missing {'; or '.join(missing)})",
        expected=facts.how_to_obtain,
        mend=f"`datasets: {{{facts.key}: {{root: FOLDER}}}}` if the files are elsewhere, "
        f"`datasets: {{{facts.key}: {{exclude: [{subject}]}}}}` to do without the subject, "
        f"`datasets: {{{facts.key}: {{synthetic: true}}}}` for a synthetic stand-in",
    )


def _members(facts: DatasetFacts, subject: str, root: Path) -> list[Path]:
    """Files of a group of patients."""
    found = [path for name in facts.files(subject)[0] for path in matches(root, name)]
    groups = [facts.group_of(path.relative_to(root)) for path in found]
    if not any(groups):
        raise UserError(
            f"{facts.key}: no file in {root} belongs to the dataset ({len(found)} have such a name)",
            expected=facts.how_to_obtain,
            mend=f"`datasets: {{{facts.key}: {{root: FOLDER}}}}` if the files are elsewhere, "
            f"`datasets: {{{facts.key}: {{synthetic: true}}}}` for a synthetic stand-in",
        )
    return [path for path, group in zip(found, groups, strict=True) if group == subject]


def matches(root: Path, name: str) -> list[Path]:
    """Files under `root` that a name of ``facts.files``, perhaps a pattern, stands for."""
    candidates = sorted(Path(root).glob(name)) if "*" in name else [Path(root) / name]
    return [path for path in candidates if path.is_file()]


def _only(key: str, subject: str, name: str, paths: Sequence[Path]) -> Path:
    if len(paths) > 1:
        raise UserError(
            f"{key} subject {subject}: {len(paths)} files match {name} ({', '.join(path.name for path in paths)})",
            expected="one file",
            mend="remove the one that is not of the release",
        )
    return paths[0]


def download(facts: DatasetFacts, subject: str, root: Path, mirror: str | None = None) -> list[Path]:
    """Fetch a subject's files of an open dataset, each verified by its SHA-256.

    A file is written aside and renamed once its checksum is right. One that is already there is hashed and, if it is
    wrong, deleted and fetched again.

    Parameters
    ----------
    facts : DatasetFacts
    subject : str
    root : Path
        Created if absent.
    mirror : str, optional
        Address that serves the same tree; the release's own is the default.

    Returns
    -------
    list of Path

    Raises
    ------
    UserError
        If the dataset is not open, a file has no known checksum, the server fails, or the checksum is wrong.
    """
    if facts.access is not Access.OPEN or facts.download is None:
        raise UserError(
            f"{facts.key} cannot be downloaded by a program",
            expected=facts.how_to_obtain,
            mend=f"`datasets: {{{facts.key}: {{root: FOLDER}}}}` or `datasets: {{{facts.key}: {{synthetic: true}}}}`",
        )
    if subject not in facts.subjects:
        raise UserError(
            f"{facts.key} has no subject {subject!r}", expected=f"{facts.subjects[0]} to {facts.subjects[-1]}"
        )
    root, base = Path(root), (mirror or facts.download.base_url).rstrip("/") + "/"
    wanted = facts.files(subject)[0]
    checksums = _checksums(facts.download, wanted, base)
    names = [name for pattern in wanted for name in fnmatch.filter(checksums, pattern)]
    return [_fetch(base + name, root / name, checksums[name], facts.key) for name in names]


def _checksums(source: Download, names: Sequence[str], base: str) -> Mapping[str, str]:
    """Known SHA-256 by file name; the release's own list is asked only for what is not known here."""
    known = dict(source.checksums())
    unknown = [name for name in names if not fnmatch.filter(known, name)]
    if unknown and source.release_sums:
        for line in _read_text(base + source.release_sums).splitlines():
            digest, _, name = line.strip().partition(" ")
            known.setdefault(name.strip().lstrip("*").removeprefix("./"), digest)
        unknown = [name for name in names if not fnmatch.filter(known, name)]
    if unknown:
        raise UserError(
            f"no checksum is known for {', '.join(unknown)}", expected=f"one in {base}{source.release_sums}"
        )
    return known


def _read_text(url: str) -> str:
    import requests

    try:
        answer = requests.get(url, timeout=60)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise UserError(f"{url} could not be read ({error})", mend="try again, or name a mirror") from error
    return answer.text


def _fetch(url: str, target: Path, sha256: str, key: str) -> Path:
    import pooch
    import requests

    if target.is_file():
        if _sha256(target) == sha256:
            return target
        target.unlink()  # a wrong file must not be taken for the right one by a later step
    pooch.get_logger().setLevel("WARNING")
    try:
        # pooch streams into a temporary file beside the target, checks it, and moves it.
        pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=target.name, path=target.parent, progressbar=False)
    except ValueError as error:
        target.unlink(missing_ok=True)
        raise UserError(
            f"{key}: {url} has another checksum than the release",
            expected=f"SHA-256 {sha256}",
            mend="try again; if it stays wrong the server or a proxy alters the file, so name a mirror with "
            f"`datasets: {{{key}: {{mirror: ADDRESS}}}}`",
        ) from error
    except (requests.RequestException, OSError) as error:
        raise UserError(
            f"{key}: {url} could not be downloaded ({type(error).__name__}: {error})",
            expected="a reachable server",
            mend=f"try again, name a mirror with `datasets: {{{key}: {{mirror: ADDRESS}}}}`, or put the file at "
            f"{target}",
        ) from error
    return target


def manifest(paths: Sequence[Path], root: Path) -> list[dict[str, str | int]]:
    """Path relative to `root`, size in bytes and SHA-256 of each file, sorted by path."""
    entries = [
        {"path": Path(path).relative_to(root).as_posix(), "bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in map(Path, paths)
    ]
    return sorted(entries, key=lambda entry: entry["path"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
