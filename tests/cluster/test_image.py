"""Jobs in a real image: a small one, made here, that borrows the packages of this environment and lacks one of them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unimontage import image

ROOT = Path(__file__).resolve().parents[2]
HOST = Path(next(entry for entry in sys.path if entry.endswith("site-packages")))
WITHIN = f"opt/venv/lib/python3.{sys.version_info.minor}/site-packages"
LOCK = image.LOCK.read_text()
LACKING = "umap"
IMPORT_IT = f"import unimontage.stages\nimport {LACKING}\n"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(apptainer: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Called with packages to leave out and the text of a lock: builds an image."""
    return lambda *without, lock=LOCK: _build(tmp_path_factory.mktemp("image"), without, lock)


def _build(folder: Path, without: tuple[str, ...], lock: str) -> Path:
    root = folder / "root"
    for name in ("usr", "etc", "dev", "proc", "sys", "tmp", "var/tmp", "root", "mnt", "opt/venv/bin", WITHIN):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "opt/venv/bin/python").symlink_to(Path(sys.executable).resolve())
    (root / "opt/venv/pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    for path in HOST.iterdir():
        if not path.name.startswith(without) and not path.name.startswith(("__editable__", "unimontage")):
            (root / WITHIN / path.name).symlink_to(f"/opt/host/{path.name}")
    (root / "opt/unimontage").mkdir()
    (root / "opt/unimontage/compute.lock").write_text(lock)
    recipe = (ROOT / "containers/compute.def").read_text()
    environment = re.search(r"^%environment\n.*?(?=^%)", recipe, re.M | re.S)[0]
    label = f"%labels\n    {image.LABEL} {image._sha256(root / 'opt/unimontage/compute.lock')}\n"
    (folder / "small.def").write_text(f"Bootstrap: localimage\nFrom: {root}\n\n{environment}\n{label}")
    command = ["apptainer", "build", folder / "small.sif", folder / "small.def"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(root)
    return folder / "small.sif"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Called with an image, a target and more rules: runs the workflow with them in the image."""

    def call(small: Path, target: str, rules: str = "") -> subprocess.CompletedProcess:
        flow = tmp_path / "Snakefile"
        flow.write_text(f'include: "{ROOT / "Snakefile"}"\n\n{rules}')
        binds = " ".join(f"--bind {path}" for path in ("/usr", sys.base_prefix, f"{HOST}:/opt/host"))
        command = [sys.executable, "-m", "snakemake", target, "--snakefile", flow, "--directory", tmp_path]
        command += ["--configfile", ROOT / "config" / "config.yaml", "--config", f"containers={{compute: {small}}}"]
        command += ["--cores", "1", "--sdm", "apptainer", f"--apptainer-args= {binds}"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
        return subprocess.run(list(map(str, command)), env=clean, capture_output=True, text=True, check=False)

    return call


def rule(script: Path, text: str, container: str = "compute") -> str:
    """A rule of one script."""
    script.write_text(text)
    return f'rule probe:\n    output: "probe"\n    log: "log"\n    container: {container}\n    script: "{script}"\n'


def test_the_check_passes_in_an_image_that_holds_the_lock(small, run):
    done = run(small(), "containers_check")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("packages as in compute.lock, all from /opt/venv") == 2
    assert "torch 2" in done.stdout
    assert f"from /{WITHIN}" in done.stdout
    assert f"from {HOST}" not in done.stdout


def test_a_package_that_the_image_lacks_is_not_the_hosts(small, run, tmp_path):
    __import__(LACKING)  # the host has it
    lacking = small(LACKING)
    done = run(lacking, "containers_check")
    assert done.returncode == 1
    assert re.search(
        r"1 of \d+ packages differ from compute.lock: umap-learn is missing; mend: make images", done.stderr
    )
    done = run(lacking, "probe", rule(tmp_path / "probe.py", IMPORT_IT))
    assert done.returncode == 1
    assert f"No module named '{LACKING}'" in done.stderr


def test_an_image_of_another_lock_is_refused_before_any_job(small, run):
    done = run(small(lock="torch==1.0 \\\n"), "containers_check")
    assert done.returncode == 1
    assert re.search(r"the image .*small\.sif is made from another lock .*; mend: make images", done.stderr)
    assert "Finished jobid" not in done.stderr


def test_a_rule_without_an_image_ends_where_the_run_asked_for_images(small, run, tmp_path):
    done = run(small(), "probe", rule(tmp_path / "probe.py", IMPORT_IT, container="None"))
    assert done.returncode == 1
    line = r"this job is outside the image .*small\.sif that the run asks for; mend: give the rule its `container:`"
    assert re.search(line, done.stderr)
    assert re.search(line, (tmp_path / "log").read_text())
