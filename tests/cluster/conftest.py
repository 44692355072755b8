"""A SLURM cluster and images for the tests of this folder, where there can be any."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm import Cluster, obstacle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; without one the tests skip, or fail where UNIMONTAGE_CLUSTER says that there must be one."""
    if reason := obstacle():
        _without(f"no SLURM here: {reason}", "UNIMONTAGE_CLUSTER")
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        Path(folder).chmod(0o755)  # munge and the database want a path that every user may walk
        with Cluster(Path(folder)) as running:
            yield running


@pytest.fixture(scope="session")
def without_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profile as a site without Apptainer writes it."""
    folder = tmp_path_factory.mktemp("profile")
    lines = (ROOT / "profiles" / "slurm" / "config.yaml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("software-deployment-method:")]
    (folder / "config.yaml").write_text("".join(kept))
    return folder


@pytest.fixture(scope="session")
def apptainer() -> None:
    """Apptainer; without it the tests skip, or fail where UNIMONTAGE_IMAGES says that there must be images."""
    if not shutil.which("apptainer"):
        _without("no Apptainer here", "UNIMONTAGE_IMAGES")


@pytest.fixture(scope="session")
def compute(apptainer: None) -> Path:
    """The image that ``make images`` builds."""
    path = ROOT / "containers" / "compute.sif"
    if not path.exists():
        _without(f"no {path}: make images builds it", "UNIMONTAGE_IMAGES")
    return path


def _without(reason: str, variable: str) -> None:
    (pytest.fail if os.environ.get(variable) == "required" else pytest.skip)(reason)
