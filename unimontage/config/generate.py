"""Files that are made from the models, so that they cannot disagree with them.

``python -m unimontage.config.generate --fix`` writes them, ``--check`` says which are stale.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.json_schema import GenerateJsonSchema

from unimontage.config.base import Block
from unimontage.config.options import annotations, as_yaml, bare, describe, is_block, kinds, meaning, options
from unimontage.config.problems import EXAMPLES
from unimontage.config.root import Config

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python -m unimontage.config.generate --fix"
WIDTH = 110
NAMES = {
    **{"Dataset": "deap", "UnivariateRecipe": "ucs", "AlignedRecipe": "sleep"},
    **{"TokenizerRecipe": "codes", "MaskedRecipe": "labram"},
    **{"Universal": "full", "Aligned": "staged", "Labram": "judged", "Braindecode": "eegnet", "Classical": "de_svm"},
    **{"Contrast": "augmentation", "TemporalShuffling": "shuffling", "BandMasking": "bands"},
    **{"RelativePositioning": "position", "PredictiveCoding": "prediction"},
}
SHOWN = {
    "root": "data/deap",
    ("arms", "staged", "recipe"): "sleep",
    ("arms", "judged", "recipe"): "labram",
    ("recipes", "labram", "tokenizer"): "codes",
    ("within_subject", "arms"): ["full", "eegnet", "de_svm"],
}
"""Values shown in place of a default that would make the example illegal."""


def default_yaml() -> str:
    """Every option once, with its default and its meaning; a legal configuration by itself."""
    head = (
        f"# Every option with its default. Made by `{COMMAND}`; what is written here by hand is lost.\n"
        "# Write into your own file only what differs. Names and values marked `example` are examples, not defaults.\n"
        "# yaml-language-server: $schema=schema.json\n"
    )
    return head + "\n".join(_lines(Config, (), set())) + "\n"


def schema_json() -> str:
    """JSON schema, which editors use to complete and to underline."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Config.model_json_schema(
        schema_generator=_Untitled
    )
    schema["patternProperties"] = {"^x-": {"description": "Holds anchors; ignored."}}
    for block in schema["$defs"].values():
        if "kind" in block["properties"]:  # the loader wants it written, because two blocks differ by it
            block["required"] = list(dict.fromkeys(["kind", *block.get("required", [])]))
    for option in schema["properties"].values():
        if "patternProperties" in option:
            option["additionalProperties"] = False
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def configuration_md() -> str:
    """Table of all options for the documentation; a block that stands in several places is written once."""
    places: dict[type[Block], list[str]] = {Config: ["The run"]}
    rows: dict[type[Block], dict[str, str]] = {}
    for option in options():
        place = ".".join(option.path[:-1]).replace(".[]", "[]")
        if place and place not in places.setdefault(option.block, []):
            places[option.block].append(place)
        default = "**must be set**" if option.required else f"`{as_yaml(option.default)}`"
        words = describe(option.annotation)
        if is_block(option.annotation) or kinds(option.annotation):
            default = "its options' defaults"
        cells = (f"`{option.path[-1]}`", words, default, option.doc)
        rows.setdefault(option.block, {})[option.path[-1]] = " | ".join(cell.replace("|", "\\|") for cell in cells)
    parts = [
        "# Configuration\n\n"
        f"Made from the models by `{COMMAND}`; edit `unimontage/config/*.py` instead. `<name>` stands for a name of "
        "your choice, `[]` for an item of a list, a kind in brackets for the `kind` of the block. "
        "[config/README.md](../config/README.md) says how configurations are organised.\n"
    ]
    for block, options_of_block in rows.items():
        title = ", ".join(f"`{place}`" if block is not Config else place for place in places[block])
        table = "\n".join(f"| {row} |" for row in options_of_block.values())
        parts.append(
            f"## {title}\n\n{' '.join((block.__doc__ or '').split())}\n\n"
            f"| option | type | default | meaning |\n|---|---|---|---|\n{table}\n"
        )
    return "\n".join(parts)


FILES: dict[str, Callable[[], str]] = {
    "config/default.yaml": default_yaml,
    "config/schema.json": schema_json,
    "docs/configuration.md": configuration_md,
}


def stale(root: Path | None = None) -> list[str]:
    """Generated files that are missing or differ from what the models say."""
    root = root or ROOT
    return [name for name, make in FILES.items() if not (root / name).is_file() or (root / name).read_text() != make()]


def write(root: Path | None = None) -> list[str]:
    """Write the stale files; their names."""
    root = root or ROOT
    names = stale(root)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(FILES[name](), encoding="utf-8")
    return names


class _Untitled(GenerateJsonSchema):
    """Without titles, which would only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _lines(block: type[Block], path: tuple[str, ...], seen: set[type[Block]]) -> Iterator[str]:
    """Lines of YAML of a block; comments only where the block has not stood before."""
    known, indent = block in seen, "  " * len(path)
    seen.add(block)
    for name, annotation in annotations(block).items():
        field = block.model_fields[name]
        if not known:
            yield from _comment(block, name, annotation, indent, blank=not path)
        here = (*path, name)
        plain = bare(annotation)
        if is_block(plain):
            yield f"{indent}{name}:"
            yield from _lines(plain, here, seen)
        elif kinds(annotation):
            yield f"{indent}{name}:"
            shown, *others = kinds(annotation).values()
            yield from _lines(shown, here, seen)
            for other in others:
                yield f"{indent}  # or"
                yield from (f"{indent}  # {line.removeprefix(indent + '  ')}" for line in _lines(other, here, seen))
        elif get_origin(plain) is dict:
            yield f"{indent}{name}:"
            for entry in _entries(get_args(plain)[1]):
                yield f"{indent}  {NAMES[entry.__name__]}:  # example"
                yield from _lines(entry, (*here, NAMES[entry.__name__]), seen)
        elif here == ("within_subject", "targets"):
            yield f"{indent}{name}:  # example"
            yield from _item(get_args(plain)[0], here, seen)
        else:
            value, example = _value(field, here)
            yield f"{indent}{name}: {as_yaml(value)}" + ("  # example" if example else "")


def _entries(annotation: Any) -> list[type[Block]]:
    return list(kinds(annotation).values()) or [bare(annotation)]


def _item(block: type[Block], path: tuple[str, ...], seen: set[type[Block]]) -> Iterator[str]:
    """A block as the only item of a list: its first option carries the dash."""
    dashed = False
    for line in _lines(block, (*path, "[]"), seen):
        text = line.lstrip()
        outdented = line[: len(line) - len(text) - 2]
        if dashed:
            yield line
        else:
            dashed = not text.startswith("#")
            yield f"{outdented}- {text}" if dashed else f"{outdented}{text}"


def _comment(block: type[Block], name: str, annotation: Any, indent: str, *, blank: bool) -> Iterator[str]:
    if blank:
        yield ""
    words = "" if is_block(annotation) else f" [{describe(annotation)}]"
    text = meaning(block, name) + words
    yield from (f"{indent}# {line}" for line in textwrap.wrap(text, WIDTH - len(indent), break_on_hyphens=False))


def _value(field: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
    """Value to show, and whether it is an example instead of a default."""
    for key in (path, path[-1]):
        if key in SHOWN:
            return SHOWN[key], True
    if path[-1] == "kind":
        return get_args(field.annotation)[0], False
    if field.is_required():
        return EXAMPLES[path[-1]], True
    return field.get_default(call_default_factory=True), False


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or say which are stale."""
    parser = argparse.ArgumentParser(prog="python -m unimontage.config.generate", description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--fix", action="store_true", help="write the files (the default)")
    choice.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    check = parser.parse_args(arguments).check
    names = stale() if check else write()
    if check and names:
        sys.stderr.write(f"stale: {', '.join(names)}; mend: {COMMAND}\n")
        return 1
    sys.stdout.write(f"written: {', '.join(names)}\n" if names else "all files are up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
