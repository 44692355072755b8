"""From YAML, or from what Snakemake made of it, to a typed configuration."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from unimontage.config.options import as_yaml, fits, inside
from unimontage.config.problems import EXAMPLES, readable, together
from unimontage.config.root import Config
from unimontage.errors import UserError

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
WORDS = {"true": True, "false": False, "null": None}


def load_config(source: Path | str | Mapping[str, Any]) -> Config:
    """Read a configuration.

    Parameters
    ----------
    source : Path, str or mapping
        A YAML file, or what Snakemake made of one (its ``config``). Top-level keys that start with ``x-`` may hold
        anchors and are dropped.

    Returns
    -------
    Config
        Closed and frozen. Whether its parts fit each other is for ``unimontage.dag.legality.check`` to say.

    Raises
    ------
    UserError
        The file is missing or no YAML, or an option is unknown, missing or of the wrong type; the message holds the
        option's path and the YAML to write.
    """
    data = read_options(source)
    try:
        return Config.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        where = "the configuration" if isinstance(source, Mapping) else str(source)
        raise together(readable(error, data), where) from None


def read_options(source: Path | str | Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says, not yet validated: ``x-`` keys dropped, text such as ``1e-4`` a number.

    Raises
    ------
    UserError
        The file is missing, no YAML, or holds a key twice.
    """
    data = source if isinstance(source, Mapping) else _parse(Path(source))
    kept = {key: value for key, value in data.items() if not str(key).startswith("x-")}
    return _typed(kept, Config)


def _parse(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_duplicates(yaml.compose(text, Loader=yaml.SafeLoader), path)
        data = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", expected="a YAML file", mend="check the path") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text: {error}", mend="save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {error}", mend="check indentation and quotes at that line") from None
    if not isinstance(data, Mapping):
        raise UserError(
            f"{path} holds no options",
            mend=f"write at least run: {EXAMPLES['run']} and datasets: {as_yaml(EXAMPLES['datasets'])}",
        )
    return data


def _refuse_duplicates(root: yaml.Node | None, path: Path) -> None:
    """YAML keeps the last of two equal keys without a word: half an experiment would vanish."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue  # an anchor that stands in several places
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            names = [key.value for key in keys]
            for position, key in enumerate(keys):
                if key.value in names[:position]:
                    line = key.start_mark.line + 1
                    raise UserError(
                        f"{path}, line {line}: {key.value} stands twice in a block", mend="keep one of them"
                    )
            waiting += [value for _, value in node.value]


def _typed(value: Any, annotation: Any) -> Any:
    """The same value with text as a number, true, false or null wherever text cannot stand.

    YAML 1.1 takes 1e-4 for text (it wants 1.0e-4), and ``snakemake --config`` takes all that stands in brackets for it.
    """
    if isinstance(value, Mapping):
        return {str(key): _typed(each, inside(annotation, key, value)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(each, inside(annotation, position, value)) for position, each in enumerate(value)]
    if annotation is None or not isinstance(value, str) or fits(annotation, value):
        return value
    candidates = [WORDS[value]] if value in WORDS else []
    if NUMBER.fullmatch(value):
        candidates += [each for each in (float(value), int(float(value))) if each == float(value)]
    return next((each for each in candidates if fits(annotation, each)), value)
