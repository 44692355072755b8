"""What is wrong with a configuration, in one line that holds the YAML to write instead."""

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from unimontage.config.base import Block
from unimontage.config.options import (
    Option,
    annotations,
    as_yaml,
    bare,
    describe,
    either,
    fits,
    inside,
    is_block,
    kinds,
    members,
    options,
)
from unimontage.config.root import Config
from unimontage.errors import UserError

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the configuration."""

SHOWN = 3
SWITCHES = {"yes": True, "on": True, "true": True, "1": True, "no": False, "off": False, "false": False, "0": False}
EXAMPLES = {
    "run": "my_run",
    "datasets": {"deap": {"root": "data/deap"}},
    "dataset": "deap",
    "tasks": ["valence"],
    "protocols": ["strict_trial"],
    "recipe": "ucs",
    "model": "EEGNet",
    "pipeline": "de_svm",
}
"""Values that stand in for required options, in messages and in the generated files."""


def together(problems: Iterable[UserError], where: str) -> UserError:
    """One error for all problems of a configuration: one line, the first three in full."""
    problems = list(problems)
    if len(problems) == 1:
        only = problems[0]
        return UserError(f"{where}: {only.what}", expected=only.expected, mend=only.mend)
    shown = "; ".join(f"({number}) {problem}" for number, problem in enumerate(problems[:SHOWN], 1))
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return UserError(f"{where} has {len(problems)} problems: {shown}{more}")


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one most likely means; None if nothing is near."""
    lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(str(name).lower(), lower, n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def nested(path: Path, value: Any) -> str:
    """YAML that sets the option at ``path``; from the last list downwards if the path leads through one."""
    keys = list(path)
    while any(isinstance(key, int) for key in keys):
        keys = keys[1:]
    for key in reversed(keys[1:]):
        value = {key: value}
    return as_yaml({keys[0]: value})[1:-1] if keys else as_yaml(value)


def readable(error: ValidationError, data: Mapping[str, Any]) -> list[UserError]:
    """One problem an option; pydantic reports every alternative of a union, and a list as well as its items.

    Parameters
    ----------
    error : ValidationError
        Of the whole configuration.
    data : mapping
        What was validated.
    """
    found: dict[Path, UserError] = {}
    for detail in error.errors():
        path, annotation, value = _locate(detail["loc"], data)
        if path not in found:
            found[path] = _problem(detail["type"], path, annotation, value, data)
    return [found[path] for path in found if not any(path == other[: len(path)] != other for other in found)]


def _locate(location: Path, data: Any) -> tuple[Path, Any, Any]:
    """Path, annotation and value of pydantic's location, which also holds names of a union's alternatives."""
    path: Path = ()
    annotation, value = Config, data
    for part in location:
        if part == "[key]":
            break  # the name itself is at fault
        if kinds(annotation):
            if part in kinds(annotation):
                annotation = kinds(annotation)[part]
                continue  # the kind of a block is no part of its path
        elif len(members(annotation)) > 1:
            break  # what follows names alternatives: the option as a whole is at fault
        annotation, path = inside(annotation, part, value), (*path, part)
        value = _under(value, part)
    return path, annotation, value


def _under(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None


def _problem(kind: str, path: Path, annotation: Any, value: Any, data: Any) -> UserError:
    name = dotted(path)
    if kind == "extra_forbidden":
        return _unknown(path, _locate_block(path[:-1], data))
    if kind == "string_pattern_mismatch":
        wrong = value if isinstance(value, str) else path[-1]
        legal = re.sub(r"\W", "_", str(wrong)).strip("_") or "a"
        return UserError(
            f"{name}: {wrong!r} is no name", expected="letters, digits and underscores", mend=f"write {legal}"
        )
    if kind == "missing":
        written = nested(path, _example(path, annotation))
        return UserError(f"{name} is missing", expected=describe(annotation), mend=f"write {written}")
    if kinds(annotation):
        return _wrong_kind(name, annotation, value)
    suggestion = _suggestion(path, annotation, value)
    if isinstance(path[-1], int):  # show the whole list, mended at the place
        whole = list(reduce(_under, path[:-1], data))
        whole[path[-1]] = suggestion
        path, suggestion = path[:-1], whole
    written = nested(path, suggestion)
    return UserError(f"{name} is {_shown(value)}", expected=describe(annotation), mend=f"write {written}")


def _locate_block(path: Path, data: Any) -> type[Block]:
    annotation = Config
    for part in path:
        annotation, data = inside(annotation, part, data), _under(data, part)
    return kinds(annotation)[data["kind"]] if kinds(annotation) else bare(annotation)


def _unknown(path: Path, block: type[Block]) -> UserError:
    """An unknown key: the nearest legal one beside it, or the place where such a key does stand."""
    near = nearest(path[-1], annotations(block))
    if near is not None:
        return UserError(f"{dotted(path)} is no option", mend=f"write {dotted((*path[:-1], near))}")
    below = [".".join(each.path) for each in options(block, path[:-1]) if each.path[-1] == path[-1]]
    anywhere = [".".join(each.path) for each in options() if each.path[-1] == path[-1]]
    legal = ", ".join(annotations(block))
    places = sorted(below or anywhere, key=lambda place: place.count("."))  # the nearest is meant
    mend = f"its place is {places[0]}" if below + anywhere else f"delete it, or write one of {legal}"
    return UserError(f"{dotted(path)} is no option", mend=mend)


def _wrong_kind(name: str, annotation: Any, value: Any) -> UserError:
    """A block without a kind, or with one that does not exist."""
    blocks = kinds(annotation)
    keys = set(value) if isinstance(value, Mapping) else set()
    likely = max(blocks, key=lambda kind: len(keys & set(annotations(blocks[kind]))))
    found = value.get("kind") if isinstance(value, Mapping) else None
    what = f"{name} is {_shown(value)}" if not isinstance(value, Mapping) else f"{name} has no kind"
    if found is not None:
        likely, what = nearest(found, blocks) or likely, f"{name} has kind {found}"
    example = {"kind": likely} | ({} if keys else _required(blocks[likely]))
    return UserError(
        what, expected=f"kind {either(list(blocks))}", mend=f"write {name}: {as_yaml(example)[:-1]}, ...}}"
    )


def _suggestion(path: Path, annotation: Any, value: Any) -> Any:
    """The legal value that is nearest to what was written."""
    candidates: list[Any] = []
    if isinstance(value, str):
        choices = [c for each in members(annotation) if get_origin(bare(each)) is Literal for c in get_args(bare(each))]
        candidates += [SWITCHES.get(value.lower()), _number(value), nearest(value, choices)]
    elif isinstance(value, int | float):
        candidates += [SWITCHES.get(str(value)), int(value) if value == value // 1 else None, str(value)]
    elif isinstance(value, list):
        candidates += [[str(each) for each in value], value[0] if len(value) == 1 else None]
    if isinstance(value, str | int | float):
        candidates += [[value], [str(value)]]
    fitting = [each for each in candidates if each is not None and fits(annotation, each)]
    return fitting[0] if fitting else _example(path, annotation)


def _example(path: Path, annotation: Any) -> Any:
    """The default of an option, or a legal example of one that has none."""
    if path[-1] in EXAMPLES and fits(annotation, EXAMPLES[path[-1]]):
        return EXAMPLES[path[-1]]
    if is_block(annotation):
        return _required(bare(annotation))
    option = next((each for each in options() if _same(each, path)), None)
    if option is not None:
        return option.default
    item = next((each for each in options() if _same(each, path[:-1])), None)
    return EXAMPLES.get(item.path[-1], item.default or [None])[0] if item is not None else None


def _required(block: type[Block]) -> dict[str, Any]:
    """The least that a block must hold."""
    return {each: EXAMPLES[each] for each in annotations(block) if block.model_fields[each].is_required()}


def _same(option: Option, path: Path) -> bool:
    """Whether a path leads to an option."""
    generic = [part.split(" (")[0] for part in option.path]
    return len(generic) == len(path) and all(
        part == key or part == "<name>" or (part == "[]" and isinstance(key, int))
        for part, key in zip(generic, path, strict=True)
    )


def dotted(path: Path) -> str:
    """A path in words: ``within_subject.targets[0].tasks``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the configuration"


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    names = {bool: "a switch", int: "a number", float: "a number", str: "text", list: "a list", dict: "a block"}
    text = as_yaml(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({names.get(type(value), type(value).__name__)})"
