"""Runs a configuration as a user would, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def snakemake() -> Callable[..., subprocess.CompletedProcess]:
    """Called with a folder, a configuration and arguments of the command line."""
    return _snakemake


def _snakemake(folder: Path, config: dict, *arguments: str) -> subprocess.CompletedProcess:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", path, "--cores", "2", "--quiet", "rules", "--scheduler", "greedy", *arguments]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
