"""Which configuration made a result: a short name for all in it that results depend on, and what two differ in."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from unimontage.config.root import Config

ASIDE = ("run", "results", "title", "adopt", "subjects_per_job", "containers")
ASIDE_OF_DATASETS = ("root", "mirror", "download")
"""Where files are and how jobs are cut; files themselves are known by their hashes."""


def essence(options: Mapping[str, Any]) -> dict[str, Any]:
    """What results depend on, of a configuration as JSON values with its defaults."""
    kept = _but(options, ASIDE)
    datasets = kept.get("datasets", {}).items()
    return kept | {"datasets": {key: _but(block, ASIDE_OF_DATASETS) for key, block in datasets}}


def identity(config: Config) -> str:
    """Name of a configuration: ``c`` and eight hexadecimal digits, which YAML never takes for a number."""
    text = json.dumps(essence(config.model_dump(mode="json")), sort_keys=True)
    return "c" + hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Paths of the options in which two configurations differ, such as ``datasets.deap.exclude``."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        if old != new:
            yield where
        return
    for key in dict.fromkeys((*old, *new)):
        inside = f"{where}.{key}".lstrip(".")
        if key in old and key in new:
            yield from differences(old[key], new[key], inside)
        else:
            yield inside


def _but(block: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name not in names}
