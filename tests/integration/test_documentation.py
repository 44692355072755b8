"""What the documentation says is true: its commands and code run, its paths, numbers and messages are the code's."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import networkx
import pytest
import yaml

from unimontage.config import load_config
from unimontage.dag.fillers import stands_for
from unimontage.dag.legality import check
from unimontage.dag.paths import Paths
from unimontage.dag.plan import Job, Plan
from unimontage.datasets import facts, keys

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [ROOT / "config/README.md", ROOT / "containers/README.md"]
EXTENDING = ROOT / "docs/extending.md"
UNIVERSAL = ROOT / "config/experiments/universal.yaml"
SHOWN = ("Snakefile", "config", "docs", "profiles", "rules", "unimontage", "workflow")
"""What a command may look at: copied, so that nothing here depends on results of earlier runs."""

NOT_RUN = {
    r"make images( BASE=debootstrap)?": "wants Apptainer",
    r"make (demo|test|test-cluster|environment)": "sets the environment up; make test runs this very test",
    r"source .*/activate|cd \w+": "lasts in the reader's terminal only",
    r"(git clone|python3\.11 -m venv|\.venv-driver/bin/pip|uv pip compile) .*": "wants a package index or the network",
    r"skopeo .*": "wants the network",
    r"conda .*": "wants conda",
    r"squeue .*|python -m unimontage preflight.*": "wants SLURM",
    r"snakemake (prepared )?--profile .*": "computes a run; its dry run is executed, or that of a like one",
    r"snakemake containers_check .*": "tests/cluster does it, in images and through SLURM",
    r"snakemake -n --quiet rules( --profile profiles/slurm)?": "tests/dag/test_dryrun.py plans the demo so",
    r"snakemake -n --quiet rules --configfile config/experiments/universal\.yaml": "takes too long for a test; its "
    "jobs are counted from the plan below, in a way that is held against the dry run of open.yaml",
    r"unimontage (results|explain|ledger) results/.*|tensorboard .*": "wants a finished run",
    r"snakemake --unlock": "wants a locked folder",
    r"python -m benchmarks\..*": "takes minutes to hours",
    r"(pytest|pre-commit) .*": "runs or changes the developer's own checkout",
}
NOT_THERE = {
    "containers/compute.sif": "is built by the reader",
    "containers/compute-0.1.0.sif": "is built by the reader",
    "profiles/default": "must not exist",
}


@dataclass(frozen=True)
class Fenced:
    """A fenced block."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> tuple[str, bool] | None:
        """The file that the block is or changes, by its first line, and whether the block follows at its end."""
        found = re.match(r"# ([\w./-]+/[\w.-]+\.\w+)( \(at the end\))?\n", self.text)
        return (found[1], bool(found[2])) if found else None

    @property
    def body(self) -> str:
        """The block without the line that names its file."""
        return self.text.split("\n", 1)[1] if self.file else self.text


def fenced(*pages: Path) -> list[Fenced]:
    """All fenced blocks of some pages, in order."""
    blocks = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^ *```(\w*)\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL):
            blocks.append(Fenced(page, text[: match.start()].count("\n") + 1, match[1], match[2]))
    return blocks


def commands(*pages: Path) -> list[str]:
    """Command lines of some pages, each once."""
    texts = [block.text for block in fenced(*pages) if block.language in ("bash", "console", "sh")]
    lines = [line.removeprefix("$ ").strip() for text in texts for line in text.replace("\\\n", " ").splitlines()]
    return list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def excused(command: str) -> bool:
    return any(re.fullmatch(pattern, command) for pattern in NOT_RUN)


def tables(page: Path, heading: str) -> list[list[str]]:
    """Cells of the table rows below a heading, without head and rule."""
    section = page.read_text(encoding="utf-8").split(f"\n{heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def spans(text: str) -> list[str]:
    """Code spans of a text."""
    return re.findall(r"`([^`]+)`", text)


def clone(folder: Path) -> Path:
    """What the commands look at, as after a fresh clone."""
    for name in SHOWN:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy2(source, folder / name)
    return folder


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "", "OMP_NUM_THREADS": "1"}


def run_all(lines: list[str], folder: Path) -> dict[str, str]:
    """Run commands in a folder, two at a time; what each printed."""

    def run(line: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["bash", "-c", line], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
        )

    with ThreadPoolExecutor(2) as pool:
        done = dict(zip(lines, pool.map(run, lines), strict=True))
    failed = {line: (each.stdout + each.stderr)[-1500:] for line, each in done.items() if each.returncode}
    assert not failed, "\n\n".join(f"$ {line}\n{text}" for line, text in failed.items())
    return {line: each.stdout + each.stderr for line, each in done.items()}


def execute(blocks: list[Fenced], folder: Path) -> None:
    """Run pieces of Python one after the other, each by itself; one process, since torch takes seconds to import."""
    pieces = [[f"{block.page.name}:{block.line}", block.text] for block in blocks]
    runner = "import json, sys\nfor name, text in json.load(sys.stdin): exec(compile(text, name, 'exec'), {})"
    done = subprocess.run(
        [sys.executable, "-c", runner],
        input=json.dumps(pieces),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def put(blocks: list[Fenced], folder: Path) -> None:
    """Write, lengthen and change the files that blocks name."""
    for block in blocks:
        if block.file is None:
            continue
        name, at_the_end = block.file
        path = folder / name
        if block.language == "diff":
            path.write_text(changed(path.read_text(), block), encoding="utf-8")
        elif at_the_end:
            path.write_text(path.read_text().rstrip() + "\n\n\n" + block.body.lstrip(), encoding="utf-8")
        else:
            assert not path.exists(), f"{block.page.name}:{block.line} would overwrite {name}"
            path.write_text(block.body, encoding="utf-8")


def changed(text: str, block: Fenced) -> str:
    """A file's text after the change that a block shows."""
    lines = block.body.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    assert text.count(before) == 1, f"{block.page.name}:{block.line}: {block.file[0]} has changed:\n{before}"
    return text.replace(before, after)


def counted(plan: Plan) -> dict[str, int]:
    """Jobs of each rule, from an empty folder."""
    jobs = [(name, job) for name in plan.active() for job in plan.jobs(name)]
    targets = [(name, *target) for name in plan.active() for target in plan.targets(name)]
    starts, config = plan.pretrainings(), plan.config
    subjects = sum(len(plan.subjects(dataset)) for dataset in config.datasets)
    whole = sum(start["holdout"] == "all" for start in starts)
    numbers = Counter(name for name, _ in jobs) | {
        "twin": sum(dataset.synthetic for dataset in config.datasets.values()),
        "locate": subjects,
        "preprocess": subjects,
        "split": len({(job.dataset, job.task, job.protocol, job.subjects) for _, job in jobs}),
        "audit": len({audited(plan, job) for _, job in jobs}),
        "corpus": len({(start["corpus"], start["holdout"]) for start in starts}),
        "pretrain": len(starts) * len(config.seeds),
        "score": len(targets),
        "figures": len(targets),
        "ranks": sum(len(plan.arms(*target)) > 3 for target in targets),
        "attention": sum(bool(plan.attentive(*target)) for target in targets),
        "pretraining_figure": whole,
        "embedding": whole,
        "table": len(plan.active()),
        "contrast": sum(plan.contrasted(name) for name in plan.active()),
        "montage": len(config.datasets),
        "ledger": int(stands_for(plan, plan.active())),
        "report": 1,
        "all": 1,
    }
    numbers = {rule: number for rule, number in numbers.items() if number}
    return numbers | {"total": sum(numbers.values())}


def audited(plan: Plan, job: Job) -> tuple[str, ...]:
    """What one audit covers: a split, and the pre-training that a job starts from."""
    start = plan.pretrained(job) or {"corpus": "none", "holdout": "none"}
    return (job.dataset, job.task, job.protocol, job.subjects, start["corpus"], start["holdout"])


def planned(output: str) -> dict[str, int]:
    """Jobs of each rule, as a dry run prints them."""
    return {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)}


def drawn_edges(chart: str) -> set[tuple[frozenset[str], frozenset[str]]]:
    """Solid arrows of the README's picture; a box may stand for several rules."""
    boxes = {name: frozenset({name}) for name in re.findall(r"\w+", chart)}
    for name, label in re.findall(r'(\w+)\["([^"]+)"\]', chart):
        words = [line for line in label.split("<br/>") if re.fullmatch(r"[a-z_]+", line)]
        boxes[name] = frozenset(words)
    arrows = re.findall(r"^ *(\w+)(?:\[.*?\])? --> (\w+)", chart, flags=re.MULTILINE)
    return {(boxes[a], boxes[b]) for a, b in arrows}


def reduced_edges(rulegraph: str, boxes: set[frozenset[str]]) -> set[tuple[frozenset[str], frozenset[str]]]:
    """Arrows of Snakemake's rule graph between boxes, without those that follow from others."""
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", rulegraph))
    box = {rule: found for found in boxes for rule in found}
    pairs = [(names[a], names[b]) for a, b in re.findall(r"(id\d+) --> (id\d+)", rulegraph)]
    graph = networkx.DiGraph([(box[a], box[b]) for a, b in pairs if b != "all"])
    return set(networkx.transitive_reduction(graph).edges)


def test_every_command_is_run_here_or_has_a_reason_not_to_be():
    known = set(commands(*PAGES))
    unused = [p for p in NOT_RUN if not any(re.fullmatch(p, command) for command in known)]
    assert not unused
    cheap = ("snakemake -n", "snakemake --rulegraph", "unimontage ", "python -m ")
    odd = [command for command in known if not excused(command) and not command.startswith(cheap)]
    assert not odd, "run it here, or say in NOT_RUN why not"


@pytest.mark.slow
def test_commands_and_code_of_the_documentation_work(tmp_path):
    folder = clone(tmp_path)
    pages = [page for page in PAGES if page != EXTENDING]
    blocks = fenced(*pages)
    put(blocks, folder)
    execute([block for block in blocks if block.language == "python" and not block.file], folder)
    shutil.copytree(folder / "data/seed-twin", folder / "data/seed")  # a reader has real files there
    printed = run_all([command for command in commands(*pages) if not excused(command)], folder)

    opened = next(text for command, text in printed.items() if command.endswith("experiments/open.yaml"))
    plan = Plan(load_config(folder / "config/experiments/open.yaml"))
    assert planned(opened) == counted(plan)

    chart = next(block.text for block in blocks if block.language == "mermaid")
    drawn = drawn_edges(chart)
    rulegraph = next(text for command, text in printed.items() if "--rulegraph" in command)
    assert reduced_edges(rulegraph, {box for edge in drawn for box in edge}) == drawn

    shown = [line for block in blocks if block.language == "text" for line in block.text.splitlines()]
    everything = "\n".join(printed.values())
    assert shown
    assert [line for line in shown if line not in everything] == []


@pytest.mark.slow
def test_the_examples_of_extending_work_together(tmp_path):
    folder = clone(tmp_path)
    blocks = fenced(EXTENDING)
    put(blocks, folder)
    execute([block for block in blocks if block.language == "python" and not block.file], folder)
    printed = run_all(commands(EXTENDING), folder)
    jobs = planned(next(text for command, text in printed.items() if command.startswith("snakemake")))
    assert jobs["twin"] == jobs["fold_scores"] == 1
    assert jobs["within_subject"] == 3 * 2  # arms by hold-out groups


def test_the_job_counts_of_the_full_experiment_are_the_plans():
    rows = tables(ROOT / "docs/experiments.md", "## How many jobs")
    written = {rule.strip("`"): int(jobs) for rule, jobs, _ in rows}
    plan = Plan(load_config(UNIVERSAL))
    assert written == counted(plan)
    recipes = Counter(start["recipe"] for start in plan.pretrainings())
    assert sorted(recipes.values()) == [3, 3, 5, 5, 5, 5, 6, 16]  # as the page adds up


def test_the_results_are_where_the_documentation_says():
    paths = Paths("")
    known = [getattr(paths, name) for name, kind in vars(Paths).items() if isinstance(kind, property) and name != "job"]
    known = [path for path in known if path not in (paths.pretraining, paths.twin)]
    of_job = (paths.predictions, paths.history, paths.card)
    known += [path("{comparison}") for path in of_job]
    known += [paths.table(suffix) for suffix in ("csv", "html", "txt")]
    known += [paths.table(suffix, "differences") for suffix in ("csv", "html")]
    known += [paths.table(suffix, "leakage") for suffix in ("csv", "html", "txt", "png")]
    known += [paths.table(suffix, part) for part in ("published", "efficiency") for suffix in ("csv", "html", "txt")]
    known += [paths.montage(suffix) for suffix in ("png", "csv")]
    known += [paths.ledger(suffix) for suffix in ("csv", "html", "txt")]
    known += [paths.table(suffix, "distilled") for suffix in ("csv", "html", "txt")]
    known += [paths.table("png", part) for part in ("budgets", "alignment_grid", "kept", "hours", "coverage")]
    of_target = (*paths.target_figures, "ranks", "attention", "classes", "hypnogram")
    known += [paths.figure(name) for name in (*of_target, *paths.recipe_figures)]
    folders = [paths.twin, "/configurations/", "/resume/"]
    folders += [jobs("{rule}", "x") for jobs in (paths.record, paths.log, paths.benchmark)]
    assert paths.resume("/x") == "/resume/x"
    written = []
    for _, cell in tables(ROOT / "docs/experiments.md", "## What comes out where"):
        first, *others = re.sub(r"<(\w+)>", r"{\1}", cell).replace("`", "").split(", ")
        written += [f"/{first}", *(f"/{first.rpartition('/')[0]}/{other}" for other in others)]
    assert sorted(path for path in written if not path.endswith("/")) == sorted(known)
    for folder, path in zip([path for path in written if path.endswith("/")], folders, strict=True):
        assert path.startswith(folder)


def test_the_resources_in_the_documentation_are_those_of_the_rules():
    asked = {}
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for part in re.split(r"^(?=rule |use rule )", file.read_text(), flags=re.MULTILINE)[1:]:
            name = re.match(r"(?:use rule \w+ as|rule) (\w+)", part)[1]
            threads = re.search(r"threads: (\d+)", part)
            inherited = "4" if part.startswith("use rule within_subject") else "1"
            numbers = [re.search(rf"{word}\(([^)]+)\)", part)[1] for word in ("gigabytes", "minutes")]
            numbers = [re.sub(r", each=(\d+)", r", and \1 a subject", number) for number in numbers]
            asked[name] = [*numbers, threads[1] if threads else inherited, "gpu=" in part]
    rows = tables(ROOT / "docs/cluster.md", "## 4. Your site")
    written = {spans(row[0])[0]: [*row[1:4], bool(row[4])] for row in rows if len(row) == 5 and spans(row[0])}
    assert written == asked


def test_every_message_that_is_explained_can_occur():
    code = "\n".join(path.read_text() for path in (ROOT / "unimontage").rglob("*.py"))
    explained = [text for row in tables(ROOT / "docs/data.md", "## What the errors mean") for text in spans(row[0])]
    assert len(explained) > 20
    assert [text for text in explained if text not in code] == []


@pytest.mark.parametrize("key", keys())
def test_the_folders_of_a_dataset_are_those_its_reader_looks_for(key):
    page = (ROOT / "docs/data.md").read_text()
    known = facts(key)
    for first, *_ in known.files(known.subjects[0]):
        assert f"data/{key}/{first}" in page
    assert f"`{key}`" in page


def test_pieces_of_configuration_are_legal():
    def over(base: dict, top: dict) -> dict:
        return base | {k: over(base.get(k) or {}, v) if isinstance(v, dict) else v for k, v in top.items()}

    base = yaml.safe_load(UNIVERSAL.read_text())
    blocks = [block for block in fenced(*PAGES) if block.language == "yaml" and block.page != EXTENDING]
    assert blocks
    for block in blocks:
        check(load_config(over(base, yaml.safe_load(block.text))))


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in slugs(linked), target
    put_here = {block.file[0] for block in fenced(*PAGES) if block.file}
    prose = re.sub(r"^```(python|diff|rst|yaml)\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    folders = "|".join((*SHOWN[1:], "tests", "containers"))
    mentioned = set(re.findall(rf"(?<![\w/.<>-])((?:{folders})/[\w./-]*\w)", prose))
    absent = [path for path in mentioned - put_here - NOT_THERE.keys() if not (ROOT / path).exists()]
    assert not absent


def test_nothing_that_is_said_to_be_absent_is_there():
    assert not any((ROOT / name).exists() for name, why in NOT_THERE.items() if why == "must not exist")
