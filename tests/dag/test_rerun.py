"""An edit of the library reruns the jobs that use it and no others, seen through the params of all jobs of a run."""

import json
import shutil
import subprocess
import sys

import pytest

from unimontage.dag.fingerprint import PACKAGE, ROOT

HEAD = {"graph": {"heads": 2, "head_width": 16}}
CONFIG = {
    "run": "x",
    "seeds": [0, 1],
    "datasets": {name: {"synthetic": True, "subjects": 4} for name in ("deap", "seed")},
    "splits": {"holdout_groups": 2},
    "recipes": {
        "contrastive": {"kind": "univariate", "objective": {"kind": "nt_xent"}},
        "siamese": {"kind": "univariate", "objective": {"kind": "simsiam"}},
        "unused": {"kind": "univariate", "objective": {"kind": "simsiam"}},
    },
    "arms": {
        "contrastive": {"kind": "universal", "recipe": "contrastive"},
        "siamese": {"kind": "universal", "recipe": "siamese"},
        "scratch": {"kind": "universal", "recipe": "siamese", "init": "scratch"},
        "eegnet": {"kind": "braindecode", "model": "EEGNet"},
        "de_svm": {"kind": "classical", "pipeline": "de_svm"},
    },
    "within_subject": {
        "targets": [
            {"dataset": "deap", "tasks": ["valence"], "protocols": ["strict_trial", "paper"]},
            {"dataset": "seed", "tasks": ["emotion"], "protocols": ["seed_9_6"]},
        ],
        "arms": ["contrastive", "siamese", "scratch", "eegnet", "de_svm"],
    },
    "cross_subject": {
        "targets": [{"dataset": "deap", "tasks": ["valence"], "protocols": ["strict_loso"]}],
        "arms": ["siamese", "eegnet"],
    },
}

# Evaluates the `code` of every job of the run in a copy of the package, before and after an edit of each module.
PROBE = """
import json, re, sys
from pathlib import Path
from types import SimpleNamespace

import unimontage
from unimontage.config import load_config
from unimontage.dag import fingerprint as prints
from unimontage.dag.inputs import Inputs
from unimontage.dag.params import Params
from unimontage.dag.paths import Paths
from unimontage.dag.plan import Plan

config, rules, edits = json.loads(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
package = Path(unimontage.__file__).parent
plan = Plan(load_config(config))
names = {"fingerprint": prints.fingerprint, "params_of": Params(plan)}

code = {}
for path in rules.glob("*.smk"):
    for block in re.split(r"^(?:use )?rule ", path.read_text(), flags=re.MULTILINE)[1:]:
        name = re.match(r"(?:\\w+ as )?(\\w+)", block)[1]
        found = re.search(r"code=(.*),$", block, flags=re.MULTILINE)
        code[name] = found[1] if found else "params_of.finetune_code"  # a rule that is another one with other files

per_dataset = [{"dataset": d} for d in config["datasets"]]
targets = [
    {"comparison": c, "dataset": d, "task": t, "protocol": p} for c in plan.active() for d, t, p in plan.targets(c)
]
starts = plan.pretrainings()
jobs = {
    **dict.fromkeys(("twin", "locate", "preprocess", "montage"), per_dataset),
    **dict.fromkeys(("audit", "score", "figures", "ranks", "attention", "pooled", "nights"), targets),
    "split": [target | {"subject": "s01"} for target in targets],
    **dict.fromkeys(("corpus", "pretrain", "pretraining_figure", "embedding"), starts),
    **dict.fromkeys(("alignment_figure", "task_weights_figure"), starts),
    **dict.fromkeys(("compress", "select"), []),  # nothing is distilled here
    **dict.fromkeys(("table", "contrast", "published", "alignment_grid"), [{"comparison": c} for c in plan.active()]),
    **dict.fromkeys(("efficiency", "distilled", "selection_cost"), [{"comparison": c} for c in plan.active()]),
    **{c: [vars(job) for job in plan.jobs(c)] for c in plan.active()},
    "transfer": [],
    **dict.fromkeys(("environment", "environment_on_gpu", "ledger", "report"), [{}]),
}
assert set(jobs) == set(code), set(jobs) ^ set(code)


def everything():
    for function in vars(prints).values():
        getattr(function, "cache_clear", lambda: None)()
    found = {}
    for rule, wildcards in jobs.items():
        value = eval(code[rule], names)
        for each in wildcards:
            mark = value if isinstance(value, str) else value(SimpleNamespace(**each))
            found[json.dumps([rule, each], sort_keys=True)] = mark
    return found


before, changed = everything(), {}
for module in edits:
    path = package / f"{module.replace('.', '/')}.py"
    text = path.read_text()
    path.write_text(text + "\\n\\nEDITED = True\\n")
    after = everything()
    changed[module] = [json.loads(job) for job in before if before[job] != after[job]]
    path.write_text(text)

inputs, paths = Inputs(plan, Paths("results")), Paths("results")
weights = {
    json.dumps([c, vars(job)], sort_keys=True): inputs.weights(SimpleNamespace(**vars(job)))
    for c in plan.active() for job in plan.jobs(c)
}
made = {json.dumps(start, sort_keys=True): paths.weights.format(**start, seed=0) for start in starts}
print(json.dumps({"all": [json.loads(job) for job in before], "changed": changed, "weights": weights, "made": made}))
"""

EDITS = (
    "objectives.simsiam",
    "objectives.nt_xent",
    "datasets.deap",
    "training.universal",
    "training.supervised",
    "models.classical",
    "models.encoder",
    "splits.protocols",
    "signal.filtering",
    "evaluation.intervals",
    "training.loop",
    "errors",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What each edit changes."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    arguments = [json.dumps(CONFIG), str(ROOT.parent / "rules"), json.dumps(EDITS)]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rules(jobs):
    return {rule for rule, _ in jobs}


def matching(run, *names, **wanted):
    """Jobs of some rules with some wildcards."""
    return [
        [rule, wildcards]
        for rule, wildcards in run["all"]
        if (not names or rule in names) and all(wildcards.get(key) in values for key, values in wanted.items())
    ]


FINETUNING = ("within_subject", "cross_subject")


@pytest.mark.parametrize(("kind", "recipe"), [("simsiam", "siamese"), ("nt_xent", "contrastive")])
def test_an_edit_of_an_objective_pretrains_the_recipes_that_use_it(run, kind, recipe):
    changed = run["changed"][f"objectives.{kind}"]
    assert changed
    assert changed == matching(run, "pretrain", recipe=[recipe])


def test_what_starts_from_such_weights_follows_and_nothing_else_does(run):
    stale = {run["made"][json.dumps(start, sort_keys=True)] for _, start in run["changed"]["objectives.simsiam"]}
    follow = [json.loads(job) for job, weights in run["weights"].items() if stale & set(weights)]
    assert {job["arm"] for _, job in follow} == {"siamese"}
    assert len(follow) == len(matching(run, *FINETUNING, arm=["siamese"]))


def test_an_edit_of_a_dataset_concerns_that_dataset(run):
    changed = run["changed"]["datasets.deap"]
    assert changed == matching(run, "twin", "locate", "preprocess", "split", dataset=["deap"])


@pytest.mark.parametrize(
    ("module", "arms"),
    [
        ("training.universal", ["contrastive", "siamese", "scratch"]),
        ("training.supervised", ["eegnet"]),
        ("models.classical", ["de_svm"]),
    ],
)
def test_an_edit_of_a_kind_of_model_trains_the_arms_of_that_kind(run, module, arms):
    trained = [job for job in run["changed"][module] if job[0] != "efficiency"]  # which builds networks to measure them
    assert trained == matching(run, *FINETUNING, arm=arms)


def test_an_edit_of_the_encoder_concerns_pretraining_the_arms_that_have_one_and_their_picture(run):
    arms = ["contrastive", "siamese", "scratch"]
    expected = matching(run, "pretrain", "embedding") + matching(run, *FINETUNING, arm=arms)
    assert sorted(run["changed"]["models.encoder"], key=json.dumps) == sorted(expected, key=json.dumps)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("splits.protocols", {"split"}),
        ("signal.filtering", {"preprocess"}),
        ("training.loop", {"pretrain", "within_subject", "cross_subject", "efficiency"}),
    ],
)
def test_an_edit_of_a_shared_part_concerns_the_rules_that_use_it(run, module, expected):
    assert rules(run["changed"][module]) == expected


def test_an_edit_of_the_statistics_trains_nothing(run):
    changed = rules(run["changed"]["evaluation.intervals"])
    assert "table" in changed
    assert not changed & {"split", "audit", "corpus", "pretrain", *FINETUNING}


def test_what_every_stage_uses_concerns_every_job(run):
    assert run["changed"]["errors"] == run["all"]
