"""No option that nothing reads, and no stage that is handed what it does not use: both promise something false."""

import ast
import importlib
from pathlib import Path

import pytest
from pydantic import BaseModel

from unimontage.config.root import Config
from unimontage.stages.request import Request

ROOT = Path(__file__).resolve().parents[2]
STAGES = sorted(p.stem for p in (ROOT / "unimontage/stages").glob("*.py") if p.stem not in ("__init__", "request"))


def attributes(source: str) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}


def blocks(model: type[BaseModel], seen: dict[str, set[str]]) -> dict[str, set[str]]:
    """Options of a block and of all blocks below it, by block."""
    if model.__name__ not in seen:
        seen[model.__name__] = set(model.model_fields)
        for field in model.model_fields.values():
            for inner in _models(field.annotation):
                blocks(inner, seen)
    return seen


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]


def test_every_option_is_read_outside_the_configuration() -> None:
    code = [p for p in (ROOT / "unimontage").rglob("*.py") if "config" not in p.relative_to(ROOT).parts]
    words = set().union(*(attributes(path.read_text()) for path in code))
    text = "\n".join(path.read_text() for path in [*code, ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
    unread = [
        f"{block}.{option}"
        for block, options in blocks(Config, {}).items()
        for option in options
        # Graph and Context reach their layers as keyword arguments of the same names; comparisons by name.
        if option not in words and not any(form in text for form in (f".{option}", f"{option}: ", f'"{option}"'))
    ]
    assert not unread


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_every_param_of_its_request(stage: str) -> None:
    module = importlib.import_module(f"unimontage.stages.{stage}")
    used = attributes(Path(module.__file__).read_text())
    for kind in vars(module).values():
        if isinstance(kind, type) and issubclass(kind, Request) and kind.__module__ == module.__name__:
            params = {name for name, field in kind.model_fields.items() if "Path" not in str(field.annotation)}
            # `code` exists so that Snakemake sees it change; most stages also write it into what they make.
            assert params - used <= {"code"}, kind.__name__
