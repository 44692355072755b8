"""Another number of threads adds in another order: results are equal within the tolerance of the documentation."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from test_aligned import MONTAGES, run, source
from test_aligned import recipe as aligned
from test_interruption import job  # noqa: F401

from unimontage.splits.files import read_table
from unimontage.stages.finetune import finetune
from unimontage.training import devices

DOCUMENTED = Path(__file__).parents[2] / "docs/experiments.md"


@pytest.fixture
def close() -> float:
    """Most that a probability or a weight may move by, as the documentation states it."""
    yield float(re.search(r"no probability and no weight moved by more than ([\d.]+\d)", DOCUMENTED.read_text())[1])
    torch.set_num_threads(1)


def test_probabilities_are_equal_within_the_stated_tolerance(job, close):  # noqa: F811
    rows = []
    for threads in (1, 2):
        finetune(job(f"with{threads}", threads=threads))
        assert torch.get_num_threads() == threads
        rows.append(read_table(job(f"with{threads}").predictions).rows)
    columns = [name for name in rows[0] if name.startswith("p_")]
    np.testing.assert_allclose(rows[0][columns], rows[1][columns], atol=close, rtol=0)


def test_weights_of_a_pretraining_are_too(tmp_path, close, monkeypatch):
    opened, states = devices.open_device, []
    for threads in (1, 2):
        monkeypatch.setattr("test_aligned.open_device", lambda _, *rest, n=threads: opened(n, *rest))
        work, _ = run(aligned(), {name: source(name) for name in list(MONTAGES)[:2]}, tmp_path / str(threads))
        assert torch.get_num_threads() == threads
        states.append(work.kept.state_dict())
    moved = max(float((states[0][name].double() - states[1][name].double()).abs().max()) for name in states[0])
    assert moved <= close
