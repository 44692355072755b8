"""Shared by all tests: one thread, no deadline for examples, and where real recordings are."""

import os
from pathlib import Path

import hypothesis
import pytest

try:
    import torch
except ImportError:  # the environment that only plans the workflow has none
    torch = None

if torch is not None:
    torch.set_num_threads(1)


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
