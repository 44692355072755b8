import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from unimontage.dag.fingerprint import PACKAGE, ROOT

FLOORS = (
    {"errors"},
    {"image", "sharing"},
    {"montage", "signal", "config"},
    {"datasets", "windows", "splits"},
    {"models", "objectives", "distillation"},
    {"training"},
    {"evaluation"},
    {"reporting"},
    {"stages"},
)
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
PLANNING = {"errors", "image", "config", "datasets", "montage", "dag"}  # what the planner may know
HEAVY = ("torch", "mne", "scipy", "h5py", "sklearn", "braindecode", "lightning_fabric", "matplotlib")
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_LINES_OF_A_SCRIPT = 400, 60, 25

MODULES = sorted(ROOT.rglob("*.py"))
SCRIPTS = sorted((ROOT.parent / "workflow" / "scripts").glob("*.py"))


def name_of(path):
    """A file's module name within the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree):
    """Modules of the package that a file imports anywhere, and the names that it takes from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module, alias.name) for alias in node.names)


def rooms(path):
    """Rooms that a file imports from, with its own."""
    tree = ast.parse(path.read_text())
    found = {
        (taken if module == PACKAGE else module.split(".")[1])
        for module, taken in imports(tree)
        if module.split(".")[0] == PACKAGE
    }
    return name_of(path).split(".")[0], found


def test_every_room_has_its_floor():
    found = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert found - {"dag"} <= set(LEVEL)


def test_nothing_imports_upwards():
    upwards = []
    for path in MODULES:
        room, found = rooms(path)
        if room in LEVEL:
            upwards += [(name_of(path), other) for other in found if other == "dag" or LEVEL[other] > LEVEL[room]]
    assert upwards == []


def test_the_planner_knows_no_computing():
    for path in (ROOT / "dag").glob("*.py"):
        assert rooms(path)[1] <= PLANNING, path.name
        taken = {module for module, _ in imports(ast.parse(path.read_text())) if module.startswith(f"{PACKAGE}.")}
        outside = {module for module in taken if module.split(".")[1] in ("datasets", "montage")}
        assert outside <= {
            f"{PACKAGE}.{name}" for name in ("datasets", "datasets.facts", "montage.contract", "montage.schema")
        }


def light_modules():
    """What is imported where the workflow is only planned."""
    folders = ("config", "dag", "datasets")
    return ["errors", *(name_of(path) for folder in folders for path in sorted((ROOT / folder).glob("*.py")))]


def test_planning_loads_nothing_heavy(tmp_path):
    """In one fresh process, which notes the first module that brings a heavy one along."""
    code = f"""
import importlib, json, sys
heavy, loaded = {HEAVY!r}, {{}}
for name in {light_modules()!r}:
    importlib.import_module("{PACKAGE}." + name if name else "{PACKAGE}")
    for other in heavy:
        if other in sys.modules:
            loaded.setdefault(other, name)
from unimontage.datasets import facts, keys
assert all(facts(key).subjects for key in keys())
loaded |= {{other: "facts" for other in heavy if other in sys.modules and other not in loaded}}
print(json.dumps(loaded))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_hands_over_and_computes_nothing(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES_OF_A_SCRIPT
    docstring, *body = ast.parse(text).body
    assert isinstance(docstring, ast.Expr)
    *head, call = body
    assert all(isinstance(node, ast.ImportFrom) and node.module.startswith(f"{PACKAGE}.stages") for node in head)
    stage = next(node.names[0].name for node in head if node.names[0].name != "run")
    assert ast.unparse(call) == f"run({stage}, snakemake)"


def test_every_script_belongs_to_a_rule_and_every_rule_to_a_script():
    rules = "\n".join(path.read_text() for path in (ROOT.parent / "rules").glob("*.smk"))
    named = {Path(line.strip().strip('"')).name for line in rules.splitlines() if "workflow/scripts/" in line}
    assert named == {path.name for path in SCRIPTS}


def test_no_module_is_too_long_to_read_in_one_sitting():
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}


def test_no_function_is_too_long_to_keep_in_mind():
    """Without its docstring."""
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = node.end_lineno - node.lineno + 1
                if ast.get_docstring(node) is not None:
                    size -= node.body[0].end_lineno - node.body[0].lineno + 1
                if size > MOST_LINES_OF_A_FUNCTION:
                    found[f"{name_of(path)}.{node.name}"] = size
    assert found == {}
