"""Rules twin and locate: native files, synthetic or real, and their hashes."""

import json
import shutil
from pathlib import Path

from unimontage.config.data import Dataset
from unimontage.datasets import load, sources
from unimontage.datasets.twin import TwinSpec, read_marker
from unimontage.stages.request import Request, logger
from unimontage.windows.atomic import atomic


class TwinRequest(Request):
    """Write the synthetic stand-in of a dataset."""

    dataset: str
    subjects: tuple[str, ...]
    sessions: tuple[str, ...]
    config: Dataset
    marker: Path


class LocateRequest(Request):
    """Find a subject's native files, fetching them where that is allowed and asked for."""

    dataset: str
    subject: str
    sessions: tuple[str, ...]
    config: Dataset
    marker: Path | None = None
    manifest: Path


def write_twin(request: TwinRequest) -> None:
    """Write all subjects of a stand-in aside and move the folder into place when it is whole."""
    module = load(request.dataset)
    twin = request.config.twin
    spec = TwinSpec(
        seed=twin.seed, trial_s=twin.trial_s, night_h=twin.night_h, labels=twin.labels, sessions=request.sessions
    )
    folder = request.marker.parent
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        files = module.write_twin(aside, request.subjects, spec)
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    logger.info("wrote %d files of a synthetic %s to %s", len(files), module.FACTS.title, folder)


def locate(request: LocateRequest) -> None:
    """Record where a subject's files are, how large they are and what they hash to."""
    facts = load(request.dataset).FACTS
    root = request.marker.parent if request.marker else Path(request.config.root)
    if request.config.download:
        sources.download(facts, request.subject, root, request.config.mirror)
    paths = sources.locate(facts, request.subject, root, request.sessions)
    manifest = {
        "dataset": request.dataset,
        "subject": request.subject,
        "synthetic": read_marker(root) is not None,
        "root": str(root),
        "files": sources.manifest(paths, root),
        "code": request.code,
    }
    with atomic(request.manifest) as aside:
        aside.write_text(json.dumps(manifest, indent=1))
    logger.info("%s %s: %d files", request.dataset, request.subject, len(paths))
