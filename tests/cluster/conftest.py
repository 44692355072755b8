"""A SLURM cluster for the tests of this folder, where there can be one."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm import Cluster, obstacle


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; without one the tests skip, or fail where UNIMONTAGE_CLUSTER says that there must be one."""
    reason = obstacle()
    if reason and os.environ.get("UNIMONTAGE_CLUSTER") == "required":
        pytest.fail(f"no SLURM here: {reason}")
    if reason:
        pytest.skip(f"no SLURM here: {reason}")
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        Path(folder).chmod(0o755)  # munge and the database want a path that every user may walk
        with Cluster(Path(folder)) as running:
            yield running
