"""Every option of the configuration as data: its path, type in words, default and meaning."""

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from unimontage.config.base import Block
from unimontage.config.root import Config

SINGULARS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
PLURALS = {int: "whole numbers", float: "numbers", str: "names"}


@dataclass(frozen=True)
class Option:
    """One key that a user may write.

    Attributes
    ----------
    path : tuple of str
        Keys from the top; ``<name>`` where the user chooses the name.
    annotation : type
        Of the value.
    required : bool
        Whether it must be written.
    default : object
        Value if it is not written; None if it must be.
    doc : str
        What it means, in one line.
    block : type
        Block that holds it.
    """

    path: tuple[str, ...]
    annotation: Any
    required: bool
    default: Any
    doc: str
    block: type[Block]


@cache
def annotations(block: type[Block]) -> dict[str, Any]:
    """Annotation of each key of a block, constraints included."""
    hints = get_type_hints(block, include_extras=True)
    return {name: hints[name] for name in block.model_fields}


def bare(annotation: Any) -> Any:
    """The annotation without its constraints."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def members(annotation: Any) -> tuple[Any, ...]:
    """Alternatives of a union, in the order written; the annotation itself if it is none."""
    plain = bare(annotation)
    return get_args(plain) if get_origin(plain) in (Union, types.UnionType) else (annotation,)


def is_block(annotation: Any) -> bool:
    """Whether the value is a block of options."""
    return isinstance(bare(annotation), type) and issubclass(bare(annotation), Block)


def kinds(annotation: Any) -> dict[str, type[Block]]:
    """Blocks of a union that its ``kind`` tells apart, by kind; empty for anything else."""
    alternatives = members(annotation)
    if len(alternatives) < 2 or not all(is_block(alternative) for alternative in alternatives):
        return {}
    return {block_kind(block): block for block in alternatives}


def block_kind(block: type[Block]) -> str | None:
    """Value of ``kind`` that belongs to a block; None if the block has no such key."""
    return get_args(annotations(block)["kind"])[0] if "kind" in block.model_fields else None


def inside(annotation: Any, key: Any, value: Any = None) -> Any:
    """Annotation of what stands under ``key`` in a value of this annotation; None if nothing may.

    Parameters
    ----------
    annotation : type
        Of the outer value.
    key : str or int
        Key of a mapping or position in a list.
    value : object
        The outer value, which tells the kind where there are several.
    """
    for alternative in members(annotation):
        plain = bare(alternative)
        if get_origin(plain) is dict and isinstance(key, str):
            return get_args(plain)[1]
        if get_origin(plain) is tuple and isinstance(key, int):
            return get_args(plain)[0]
    if kinds(annotation):
        kind = value.get("kind") if isinstance(value, Mapping) else None
        annotation = kinds(annotation).get(kind) if isinstance(kind, str) else None
    return annotations(bare(annotation)).get(key) if annotation is not None and is_block(annotation) else None


def fits(annotation: Any, value: Any) -> bool:
    """Whether a value, as YAML gives it, is legal."""
    try:
        _adapter(annotation).validate_json(json.dumps(value, default=str), strict=True)
    except ValueError:
        return False
    return True


def as_yaml(value: Any) -> str:
    """A value as one line of YAML."""
    text = yaml.safe_dump(_listed(value), default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def describe(annotation: Any) -> str:
    """Type of a value in words that a user of the YAML file knows."""
    if kinds(annotation):
        return f"a block of kind {either(list(kinds(annotation)))}"
    return either([word for alternative in members(annotation) for word in _words(alternative)])


def meaning(block: type[Block], name: str) -> str:
    """What an option means, in one line; of a block without words of its own, what the block is for."""
    annotation = annotations(block)[name]
    text = block.model_fields[name].description or (bare(annotation).__doc__ if is_block(annotation) else "") or ""
    return " ".join(text.split())


def options(block: type[Block] = Config, path: tuple[str, ...] = ()) -> Iterator[Option]:
    """All options in the order of the models; a block's own option comes before those it holds.

    The blocks of a union follow each other, with ``(kind)`` in their path.
    """
    for name, annotation in annotations(block).items():
        field = block.model_fields[name]
        required, here = field.is_required() or name == "kind", (*path, name)
        default = None if required else field.get_default(call_default_factory=True)
        yield Option(here, annotation, required, default, meaning(block, name), block)
        plain = bare(annotation)
        if get_origin(plain) is dict:
            here, plain = (*here, "<name>"), get_args(plain)[1]
        elif get_origin(plain) is tuple and is_block(get_args(plain)[0]):
            here, plain = (*here, "[]"), get_args(plain)[0]
        if is_block(plain):
            yield from options(bare(plain), here)
        for kind, alternative in kinds(plain).items():
            yield from options(alternative, (*here[:-1], f"{here[-1]} ({kind})"))


def _words(annotation: Any) -> list[str]:
    """Ways to write a value that is no union."""
    plain, limits = bare(annotation), _limits(annotation)
    if get_origin(plain) is Literal:
        return [str(choice) for choice in get_args(plain)]
    if get_origin(plain) is tuple:
        item = get_args(plain)[0]
        return [f"a list of {PLURALS.get(bare(item)) or ('blocks' if is_block(item) else describe(item))}{limits}"]
    if get_origin(plain) is dict:
        return [f"named blocks{limits}"]
    if is_block(plain):
        return ["a block of options"]
    return [SINGULARS[plain] + limits]


def either(words: list[str]) -> str:
    """Alternatives in words: a, b or c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _limits(annotation: Any) -> str:
    words = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}
    found = []
    for constraint in _constraints(annotation):
        if isinstance(constraint, MinLen):
            found.append("(one or more)")
        for kind, (attribute, word) in words.items():
            if isinstance(constraint, kind):
                found.append(f"{word} {getattr(constraint, attribute):g}")
    return " " + " and ".join(found) if found else ""


def _constraints(annotation: Any) -> list[Any]:
    if get_origin(annotation) is not Annotated:
        return []
    return [each for field in get_args(annotation)[1:] if isinstance(field, FieldInfo) for each in field.metadata]


@cache
def _adapter(annotation: Any) -> TypeAdapter:
    return TypeAdapter(annotation)


def _listed(value: Any) -> Any:
    """Tuples as lists and blocks as what was set in them, so that YAML has no tags."""
    if isinstance(value, Block):
        value = value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, tuple | list):
        return [_listed(each) for each in value]
    return {key: _listed(each) for key, each in value.items()} if isinstance(value, Mapping) else value
