"""Which configuration made a result: a short name for all in it that results depend on, and what two differ in."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from unimontage.config.base import Block
from unimontage.config.root import Config

ASIDE = ("run", "results", "title", "adopt", "subjects_per_job", "containers")
ASIDE_OF_DATASETS = ("root", "mirror", "download")
"""Where files are and how jobs are cut; files themselves are known by their hashes."""


def stated(value: Any) -> Any:
    """A configuration, or a part of one, as JSON values without what is at its default.

    So an option that a later version adds makes no other configuration. A ``kind`` always stays: it says what the other
    options mean.
    """
    if isinstance(value, Block):
        fields = type(value).model_fields.items()
        known = {name: (getattr(value, name), field.get_default(call_default_factory=True)) for name, field in fields}
        return {name: stated(own) for name, (own, default) in known.items() if name == "kind" or own != default}
    if isinstance(value, Mapping):
        return {key: stated(each) for key, each in value.items()}
    return [stated(each) for each in value] if isinstance(value, tuple | list) else value


def essence(options: Mapping[str, Any]) -> dict[str, Any]:
    """What results depend on, of a configuration as :func:`stated` gives it."""
    kept = _but(options, ASIDE)
    datasets = kept.get("datasets", {}).items()
    return kept | {"datasets": {key: _but(block, ASIDE_OF_DATASETS) for key, block in datasets}}


def identity(config: Config) -> str:
    """Name of a configuration: ``c`` and eight hexadecimal digits, which YAML never takes for a number."""
    text = json.dumps(essence(stated(config)), sort_keys=True)
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
