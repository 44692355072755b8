"""A SLURM cluster for the tests of this folder, where there can be one."""

import os
from collections.abc import Iterator

import pytest
from slurm import Cluster, obstacle


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster; without one the tests skip, or fail where UNIMONTAGE_CLUSTER says that there must be one."""
    reason = obstacle()
    if reason and os.environ.get("UNIMONTAGE_CLUSTER") == "required":
        pytest.fail(f"no SLURM here: {reason}")
    if reason:
        pytest.skip(f"no SLURM here: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    for above in (folder, *folder.parents[:2]):
        above.chmod(0o755)  # the database has a user of its own
    with Cluster(folder) as running:
        yield running
