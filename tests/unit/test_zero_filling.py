"""A channel that a recording lacks is never taken for a flat one: it is refused, left out, or a mean of others."""

import numpy as np
import pytest
import torch
from test_aligned import pool, store
from test_training_ranks import ENCODER, SCHEDULE, ids

from unimontage.config.arms import Braindecode, Classical, Labram, Universal
from unimontage.config.recipes import UnivariateRecipe
from unimontage.errors import UserError
from unimontage.models.alignment import ALIGNMENTS, averaged, build_alignment
from unimontage.stages.select import _averaged
from unimontage.training import networks, pipelines, univariate
from unimontage.training.answer import UnivariateStart

LACKING = (0, 3)
NAMES = ("F3", "F4", "C3", "C4", "O1", "O2")
BY_DESIGN = "zero_padding"
"""A baseline of the field: its rows are zero where a dataset has no such channel, and its name says so."""


@pytest.fixture(params=[kind for kind in ALIGNMENTS if kind != BY_DESIGN])
def alignment(request):
    torch.manual_seed(0)
    return build_alignment(request.param, {"here": NAMES}).eval()


def test_an_alignment_refuses_a_missing_channel_or_takes_its_zero_for_no_signal(alignment):
    x = 1 + torch.rand(2, len(NAMES), 5)
    x[:, LACKING] = 0
    present = torch.ones(len(NAMES), dtype=torch.bool)
    present[list(LACKING)] = False
    try:
        with torch.no_grad():
            known, silent = alignment(x, "here", present), alignment(x, "here", None)
            x[:, LACKING] = 99.0  # whatever stands there
            other = alignment(x, "here", present)
    except UserError as error:
        assert "lacks C4, F3" in str(error)  # noqa: PT017
        return
    torch.testing.assert_close(known, other)
    assert not torch.allclose(known, silent)


def test_a_missing_channel_is_the_mean_of_those_that_are_there():
    x = torch.tensor([[[1.0], [9.0], [3.0]], [[1.0], [5.0], [3.0]]])
    present = torch.tensor([[True, False, True], [True, True, True]])
    assert averaged(x, present).flatten().tolist() == [1, 2, 3, 1, 5, 3]
    windows = np.where(present[:, :, None], x, np.nan)
    np.testing.assert_array_equal(_averaged(windows), averaged(x, present))


@pytest.mark.parametrize(
    "arm",
    [
        Braindecode(kind="braindecode", model="EEGNet"),
        Universal(kind="universal", recipe="ucs"),
        Labram(kind="labram", recipe="labram"),
    ],
    ids=lambda arm: arm.kind,
)
def test_networks_that_read_every_channel_refuse_a_recording_that_lacks_one(arm):
    with pytest.raises(UserError, match="isruc subject 1 has no channel F3"):
        networks.builder(arm, None, (), pool("isruc", (0,)), 5, None)


def test_pipelines_refuse_it_too():
    with pytest.raises(UserError, match="isruc subject 1 has no channel F3"):
        next(
            pipelines.answers(
                Classical(kind="classical", pipeline="de_svm"), pool("isruc", (0,)), None, seed=0, kept=None
            )
        )


def test_so_does_a_pretraining_on_single_channels():
    whole, lacking = store("isruc", "1"), store("isruc", "2", (0,))
    recipe = UnivariateRecipe.model_validate({"encoder": ENCODER, "schedule": SCHEDULE})
    start = UnivariateStart(encoder=recipe.encoder, vocabulary=tuple(sorted(NAMES)), rates=(whole.sfreq_hz,))
    with pytest.raises(UserError, match="isruc subject 2 has no channel F3"):
        univariate.work([whole, lacking], ids([whole, lacking]), recipe, start, 0)
