"""What images and environments are made from, and a job that is not where it should be."""

import os
import re
import subprocess
import sys
import tomllib
from types import ModuleType, SimpleNamespace

import pytest
import yaml

from unimontage import image
from unimontage.errors import UserError
from unimontage.stages.environment import differences, read_lock

CONTAINERS = image.ROOT / "containers"
LOCKED = read_lock(image.LOCK)


def section(name):
    """A section of the definition of the image."""
    return re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", (CONTAINERS / "compute.def").read_text(), re.M | re.S)[1]


def test_the_base_is_pinned_and_the_recipe_has_no_templates_that_a_shell_would_see():
    assert re.search(r"^ +FROM=python@sha256:[0-9a-f]{64}$", section("arguments"), re.M)
    for name in ("post", "test", "environment"):
        assert "{{" not in section(name)


@pytest.mark.parametrize("name", ["compute", "driver"])
def test_every_package_of_a_lock_is_hashed(name):
    entries = re.split(r"\n(?=\S)", (CONTAINERS / f"{name}.lock").read_text().strip())
    assert len(entries) > 50
    assert [entry for entry in entries if not re.match(r"\S+==\S+ \\\n +--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_the_lock_has_every_requirement_in_its_version():
    project = tomllib.loads((image.ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for requirement in (*project["dependencies"], *extras["compute"], *extras["dev"]):
        name, relation, version = re.match(r"([\w.-]+)(?:\[.*\])?(==|>=)([\d.]+)$", requirement).groups()
        assert relation == ">=" or LOCKED[name] == version, requirement
        assert name in LOCKED


def test_the_environment_of_conda_is_the_lock_on_the_same_python():
    python, pip, packages = yaml.safe_load((CONTAINERS / "environment.yaml").read_text())["dependencies"]
    assert python == "python=3.11"
    assert pip == "pip"
    assert packages == {"pip": [f"-r {image.LOCK.name}"]}


def test_a_package_that_is_missing_old_or_from_elsewhere_differs_from_the_lock():
    locked, own = dict.fromkeys(("good", "missing", "old", "foreign"), "2"), f"{sys.prefix}/lib"
    found = {"good": ("2", own), "missing": None, "old": ("1", own), "foreign": ("2", "/elsewhere")}
    assert differences(locked, found) == ["missing is missing", "old 1 instead of 2", "foreign from /elsewhere"]


# A job and its image.


@pytest.fixture
def inside(monkeypatch):
    """A job in the image that its run asked for, made from this tree's lock."""
    monkeypatch.setenv(image.ASKED, "compute.sif")
    monkeypatch.setenv("APPTAINER_CONTAINER", "compute.sif")
    monkeypatch.setattr(image, "LOCK_INSIDE", image.LOCK)
    job = SimpleNamespace(
        path=list(sys.path),
        modules={"__main__": sys.modules["__main__"]},
        exit=sys.exit,
        prefix=sys.prefix,
        base_prefix=sys.base_prefix,
    )  # what other tests left in this process is none of its business
    monkeypatch.setattr(image, "sys", job)
    return job


def test_only_the_image_and_this_tree_serve_a_job(inside):
    inside.path += ["/mnt/snakemake_searchpaths/item_0", "/somewhere/site-packages"]
    image.enter()
    assert not any(entry.startswith(("/mnt", "/somewhere")) for entry in inside.path)
    assert any(entry.endswith("site-packages") for entry in inside.path)


def test_a_package_that_the_host_lent_already_ends_the_job(inside):
    lent = ModuleType("lent.part")
    lent.__file__ = "/mnt/snakemake_searchpaths/item_0/lent/part.py"
    inside.modules["lent.part"] = lent
    with pytest.raises(SystemExit, match=r"the package lent is not the image's own: it comes from /mnt/"):
        image.enter()


def test_an_image_of_another_lock_ends_the_job_and_its_log_says_so(inside, monkeypatch, tmp_path):
    other, log = tmp_path / "compute.lock", tmp_path / "log"
    other.write_text("torch==1.0\n")
    monkeypatch.setattr(image, "LOCK_INSIDE", other)
    monkeypatch.setattr(sys.modules["__main__"], "snakemake", SimpleNamespace(log=[str(log)]), raising=False)
    with pytest.raises(SystemExit, match=r"compute\.sif is made from another lock"):
        image.enter()
    assert re.fullmatch(r"the image .* is made from another lock .*; mend: make images\n", log.read_text())


def test_a_job_outside_its_image_ends_with_one_line_and_before_anything_heavy(monkeypatch):
    for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        monkeypatch.delenv(name, raising=False)
    environment = os.environ | {image.ASKED: "compute.sif"}
    command = [sys.executable, "-c", "import unimontage.stages.pretrain"]
    done = subprocess.run(command, env=environment, cwd=image.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"this job is outside the image compute\.sif .*", done.stderr.strip())


def test_an_image_that_is_not_there_is_noticed_before_anything_is_submitted():
    with pytest.raises(UserError, match=r"there is no image nowhere\.sif; mend: make images"):
        image.inspect("nowhere.sif")
    image.inspect("docker://an/address")  # Snakemake pulls it; its jobs look at it
