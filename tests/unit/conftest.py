"""Shared by the tests of readers: twins written once for a module, and copies that a test may damage.

A module that uses them says in `SHORT` what its twins are like.
"""

import shutil

import pytest

from unimontage import datasets


@pytest.fixture(scope="module")
def written(request, tmp_path_factory):
    """Twins written once for the whole module, by dataset and subject."""
    folders = {}

    def write(key, subject):
        if (key, subject) not in folders:
            folders[key, subject] = tmp_path_factory.mktemp(key) / "twin"
            datasets.load(key).write_twin(folders[key, subject], [subject], request.module.SHORT)
        return folders[key, subject]

    return write


@pytest.fixture
def twin(written, tmp_path):
    """A copy of a twin that the test may damage."""

    def copy(key, subject=None):
        return shutil.copytree(written(key, subject or datasets.facts(key).subjects[0]), tmp_path / key)

    return copy
