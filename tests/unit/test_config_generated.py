"""Files made from the models: up to date, complete, and of use."""

import json
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

from unimontage.config import load_config
from unimontage.config.generate import (
    COMMAND,
    FILES,
    ROOT,
    configuration_md,
    default_yaml,
    main,
    schema_json,
    stale,
    write,
)
from unimontage.config.loader import read_options
from unimontage.config.options import options
from unimontage.dag.legality import check

EXPERIMENTS = sorted([*(ROOT / "config" / "experiments").glob("*.yaml"), *(ROOT / "config").glob("*.yaml")])


@pytest.mark.parametrize("name", FILES)
def test_generated_files_are_up_to_date(name, request):
    if request.config.getoption("--fix"):
        write()
    assert name not in stale(), f"{name} is stale; mend: {COMMAND}, or pytest {__file__} --fix"


def test_the_command_says_what_is_stale_and_renews_it(tmp_path, capsys):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "default.yaml").write_text("run: old\n")
    assert stale(tmp_path) == list(FILES)
    assert write(tmp_path) == list(FILES)
    assert stale(tmp_path) == []


def test_a_stale_file_fails_the_check_with_the_command_that_mends_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("unimontage.config.generate.ROOT", tmp_path)
    assert main(["--check"]) == 1
    assert COMMAND in capsys.readouterr().err
    assert main(["--fix"]) == 0
    assert main(["--check"]) == 0


def test_every_option_is_documented():
    undocumented = [".".join(option.path) for option in options() if not option.doc.endswith(".")]
    assert undocumented == []


def test_every_option_stands_once_in_the_documentation():
    rows, block = Counter(), None
    for line in configuration_md().splitlines():
        if line.startswith("## "):
            block = line
        elif line.startswith("| `"):
            rows[block, line.split("`")[1]] += 1
    assert set(rows.values()) == {1}
    assert len(rows) == len({(option.block, option.path[-1]) for option in options()})


def test_every_option_stands_in_the_default_file_and_is_explained_there():
    words = " ".join(line.strip().lstrip("# ") for line in default_yaml().splitlines())
    for option in options():
        assert option.doc in words, option.path


def test_the_default_file_is_a_legal_configuration_and_holds_the_defaults():
    config = load_config(yaml.safe_load(default_yaml()))
    check(config)
    assert config.finetuning == type(config.finetuning)()
    assert config.recipes["ucs"] == type(config.recipes["ucs"])()
    assert config.arms["full"] == type(config.arms["full"])(recipe="ucs")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_schema_accepts_every_configuration(path: Path):
    jsonschema.validate(read_options(path), json.loads(schema_json()))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_configuration_is_legal(path: Path):
    check(load_config(path))


@pytest.mark.parametrize(
    "typo",
    [
        "recipes: {ucs: {kind: univariate, schedule: {epoch: 3}}}",
        "window: {length_s: 2}",
        "arms: {a: {kind: universal}}",
        "arms: {a: {pipeline: de_svm}}",
        "recipes: {ucs: {kind: univariate, objective: {temperature: 1}}}",
        "datasets: {deap: {synthetic: maybe}}",
        "recipes: {'my recipe': {kind: univariate}}",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(typo):
    data = {"run": "demo", "datasets": {"deap": {"root": "data"}}}
    jsonschema.validate(data, json.loads(schema_json()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data | yaml.safe_load(typo), json.loads(schema_json()))


def test_the_schema_allows_keys_that_hold_anchors():
    data = {"run": "demo", "datasets": {"deap": {}}, "x-short": {"anything": 1}}
    jsonschema.validate(data, json.loads(schema_json()))
