import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unimontage.dag.fingerprint import PACKAGE, ROOT, closure, fingerprint
from unimontage.dag.params import CHOICES, PRETRAININGS
from unimontage.models.aligned import ENCODERS
from unimontage.models.tokenizers import TOKENIZERS
from unimontage.objectives import OBJECTIVES, SEGMENT_OBJECTIVES

STAGES = sorted(f"stages.{path.stem}" for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


def test_a_fingerprint_is_not_the_hash_of_nothing():
    """A hash that starts from the wrong folder finds no file and never changes."""
    nothing = {hashlib.sha256(data).hexdigest()[:16] for data in (b"", b"\0", b"unimontage")}
    prints = {module: fingerprint(module) for module in STAGES}
    assert len(set(prints.values())) == len(STAGES)
    assert not nothing & set(prints.values())
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in prints.values())


def test_a_fingerprint_is_the_same_wherever_it_is_taken(tmp_path):
    code = "from unimontage.dag.fingerprint import fingerprint; print(fingerprint('stages.pretrain'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fingerprint("stages.pretrain")


def test_the_order_of_modules_does_not_matter_and_each_counts():
    both = fingerprint("stages.pretrain", "objectives.simsiam")
    assert both == fingerprint("objectives.simsiam", "stages.pretrain")
    assert both != fingerprint("stages.pretrain")


@pytest.mark.parametrize("module", ["stages.pretrian", "nothing", "datasets.seed.x"])
def test_a_module_that_does_not_exist_is_an_error(module):
    with pytest.raises(ModuleNotFoundError, match="no module unimontage"):
        fingerprint(module)


def test_a_choice_that_was_not_made_does_not_count():
    covered = closure("stages.pretrain", "objectives.simsiam")
    assert "unimontage.objectives.simsiam" in covered
    assert "unimontage.objectives.nt_xent" not in covered
    assert not any(name.startswith("unimontage.models.classical") for name in closure("stages.finetune"))
    assert not any(name.startswith("unimontage.datasets.deap") for name in closure("stages.preprocess"))


def test_what_every_pretraining_uses_counts():
    covered = {name.removeprefix("unimontage.") for name in closure("stages.pretrain", *PRETRAININGS.values())}
    assert {
        "models.encoder",
        "models.tokenizers",
        "models.weights",
        "objectives",
        "signal.augment",
        "signal.normalise",
        "training.corpus",
        "training.loop",
        "training.schedule",
        "windows.store",
    } <= covered


# Edits, on a copy of the package.

EDITS = {
    "nothing": None,
    "a comment": ("def warmup_cosine(", "# a remark\ndef warmup_cosine("),
    "a docstring": ("Factor on the peak learning rate: linear", "Linear"),
    "layout": ("return (step + 1) / (warmup + 1)", "return (step + 1)   /   (\n            warmup + 1)"),
    "the body of a function": ("return (step + 1) / (warmup + 1)", "return (step + 2) / (warmup + 2)"),
    "a default": ("floor: float = 0.0", "floor: float = 0.1"),
    "a text that is no docstring": ("import math", "import math\n\nNAME = 'x'"),
}
READ = """
import json
from unimontage.dag.fingerprint import ROOT, fingerprint
modules = ("stages.pretrain", "stages.finetune", "stages.preprocess", "training.networks", "training.schedule")
print(json.dumps({"root": str(ROOT)} | {module: fingerprint(module) for module in modules}))
"""


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """Fingerprints that a copy of the package gives after each edit of its learning-rate schedule."""
    prints = {}
    for number, (name, change) in enumerate(EDITS.items()):
        folder = tmp_path_factory.mktemp(f"copy{number}")
        shutil.copytree(ROOT, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / PACKAGE / "training" / "schedule.py"
        if change:
            assert path.read_text().count(change[0]) == 1
            path.write_text(path.read_text().replace(*change))
        done = subprocess.run([sys.executable, "-c", READ], cwd=folder, capture_output=True, text=True, check=True)
        prints[name] = json.loads(done.stdout)
        assert Path(prints[name].pop("root")) == folder / PACKAGE
    return prints


@pytest.mark.parametrize("edit", ["a comment", "a docstring", "layout"])
def test_what_does_not_run_does_not_count(edited, edit):
    assert edited[edit] == edited["nothing"]


@pytest.mark.parametrize("edit", ["the body of a function", "a default", "a text that is no docstring"])
def test_what_runs_counts_for_those_who_use_it_and_for_no_others(edited, edit):
    before, after = edited["nothing"], edited[edit]
    changed = {module for module in before if before[module] != after[module]}
    assert changed == {"stages.pretrain", "training.networks", "training.schedule"}


# Imports that the fingerprint does not follow.


def hidden_imports():
    """Modules of the package that are imported inside functions, by the module that does it."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text())
        here = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                for name in names:
                    inside = name.removeprefix(f"{PACKAGE}.")
                    if inside != name and (ROOT / Path(*inside.split("."))).with_suffix(".py").is_file():
                        found.setdefault(here, set()).add(inside)
    return found


def test_every_import_inside_a_function_is_a_choice_that_a_rule_names():
    chosen = {module for modules in CHOICES.values() for module in modules} | set(PRETRAININGS.values())
    chosen |= {"distillation.m3d", "training.thinning"}  # named where windows are chosen: by rule select, by an arm
    hidden = {module: names for module, names in hidden_imports().items() if module != "__main__"}
    assert set().union(*hidden.values()) == chosen
    for modules in CHOICES.values():
        named = {name.removeprefix(f"{PACKAGE}.") for name in closure("stages.finetune", *modules)}
        assert set(modules) <= set().union(*(names for module, names in hidden.items() if module in named))


def test_tables_of_names_point_to_where_the_fingerprint_looks():
    """Objectives and tokenizers are imported by name: an objective from the file that rule pretrain names."""
    for kind, place in (OBJECTIVES | SEGMENT_OBJECTIVES).items():
        assert place.partition(":")[0] == f"{PACKAGE}.objectives.{kind}"
    for kind, place in ENCODERS.items():
        assert place.partition(":")[0] == f"{PACKAGE}.models.{kind}"
    covered = closure("stages.pretrain", *PRETRAININGS.values())
    assert {place.partition(":")[0] for place in TOKENIZERS.values()} <= covered


def test_only_known_places_import_by_name():
    """What is imported by a computed name is invisible to the fingerprint."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if re.search(r"\bimport_module\(|__import__\(", path.read_text())
    }
    assert users == {"datasets/__init__.py", "models/aligned.py", "models/tokenizers.py", "objectives/__init__.py"}


def test_every_rule_with_a_script_names_the_stage_that_its_script_runs():
    rules = "\n".join(path.read_text() for path in (ROOT.parent / "rules").glob("*.smk"))
    params = (ROOT / "dag" / "params.py").read_text()
    for block in re.split(r"^rule ", rules, flags=re.MULTILINE)[1:]:
        name = block.partition(":")[0]
        script = ROOT.parent / "workflow" / "scripts" / Path(re.search(r'"(.*\.py)"', block)[1]).name
        (stage,) = (s for s in re.findall(r"from unimontage\.(stages\.\w+)", script.read_text()) if s[7:] != "request")
        expression = re.search(r"code=(.*),\n", block)[1]
        method = re.fullmatch(r"params_of\.(\w+)", expression)
        if method:
            expression = re.search(rf"def {method[1]}\(.*?(?=\n    def |\n\S)", params, flags=re.DOTALL)[0]
        assert f'"{stage}"' in expression, name
