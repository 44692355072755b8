"""Shared by all tests: one thread, no deadline for examples, where real recordings are, and how a small run is made."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import hypothesis
import pytest
import yaml

try:
    import torch
except ImportError:  # the environment that only plans the workflow has none
    torch = None

if torch is not None:
    torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]
HERE = ("--cores", "2", "--quiet", "rules", "--scheduler", "greedy")

hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Folder of openly licensed recordings in their original files; the test skips where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "realdata"
    folder = Path(os.environ.get("UNIMONTAGE_REALDATA") or beside)
    if not folder.is_dir():
        pytest.skip("no real recordings here: set UNIMONTAGE_REALDATA to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def snakemake() -> Callable[..., subprocess.CompletedProcess]:
    """Called with a folder, a configuration and arguments: runs it there as a user would, by default on two cores."""
    return _snakemake


def _snakemake(
    folder: Path,
    config: dict,
    *arguments: str,
    where: tuple[str, ...] = HERE,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", path, *where]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "SLURM"))}
    variables = clean | {"PYTHONDONTWRITEBYTECODE": ""} | dict(environment or {})
    return subprocess.run(list(map(str, command)), env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def small_run() -> Callable[[dict], dict]:
    """Called with the options of DEAP: one pre-training, one pre-trained and one classical arm within each subject."""
    return _small_run


def _small_run(deap: dict) -> dict:
    unfiltered = {"highpass_hz": None, "lowpass_hz": None}  # trials of two seconds are shorter than the filters
    arm = {"graph": {"layers": 1, "heads": 2, "head_width": 4}, "context": {"layers": 1, "heads": 2, "ffn": 16}}
    encoder = {"width": 4, "patches": 4, "d": 8, "layers": 1, "heads": 2, "ffn": 16}
    schedule = {"epochs": 2, "warmup_epochs": 0, "batch": 32}
    return {
        "run": "small",
        "seeds": [0],
        "datasets": {"deap": deap | {"preprocessing": unfiltered}},
        "splits": {"folds": 2, "holdout_groups": 2},
        "recipes": {"ucs": {"kind": "univariate", "encoder": encoder, "schedule": schedule}},
        "arms": {
            "pretrained": arm | {"kind": "universal", "recipe": "ucs"},
            "svm": {"kind": "classical", "pipeline": "de_svm"},
        },
        "finetuning": {"epochs": 2, "warmup_epochs": 0},
        "within_subject": {
            "targets": [{"dataset": "deap", "tasks": ["valence"], "protocols": ["strict_trial"]}],
            "arms": ["pretrained", "svm"],
        },
    }
