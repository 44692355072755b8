"""One seed draws the first weights, another the order of the data: each can be changed without the other."""

import pandas as pd
import pytest
import torch
from test_aligned import recipe as aligned
from test_aligned import source, start_of
from test_interruption import job, stopped_after  # noqa: F401
from test_training_ranks import ENCODER, SCHEDULE, ids, segments

from unimontage.config.recipes import UnivariateRecipe
from unimontage.splits.files import read_table
from unimontage.stages.finetune import finetune
from unimontage.training import networks, univariate
from unimontage.training.answer import UnivariateStart
from unimontage.training.epochs import AlignedWork


def contrastive(seed: int, order: int):
    members = [segments("a", 100.0, ("CZ", "FP1")), segments("b", 128.0, ("CZ", "OZ", "PO7"))]
    recipe = UnivariateRecipe.model_validate({"encoder": ENCODER, "schedule": SCHEDULE})
    start = UnivariateStart(encoder=recipe.encoder, vocabulary=("CZ", "FP1", "OZ", "PO7"), rates=(100.0, 128.0))
    return univariate.work(members, ids(members), recipe, start, seed, order)


def sleep(seed: int, order: int):
    sources, recipe = {"isruc": source("isruc")}, aligned()
    return AlignedWork(sources, recipe, start_of(recipe, ("isruc",)), seed, order)


def weights(work) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in work.trainee.parameters()])


def batch(work) -> str:
    return repr(work.batch_at(0))


@pytest.mark.parametrize("made", [contrastive, sleep])
def test_a_pretraining_draws_weights_and_order_from_seeds_of_their_own(made):
    here, other_weights, other_order = made(0, 0), made(1, 0), made(0, 1)
    assert torch.equal(weights(here), weights(other_order))
    assert not torch.equal(weights(here), weights(other_weights))
    assert batch(here) == batch(other_weights)
    assert batch(here) != batch(other_order)


def test_so_does_fine_tuning(job, monkeypatch):  # noqa: F811
    """What every training starts from, and what the order of its batches is drawn from."""
    begun, fit = [], networks.fit_fold

    def fit_fold(built, *rest, **options):
        begun.append((weights_of(built), options["seed"]))
        return fit(built, *rest, **options)

    monkeypatch.setattr(networks, "fit_fold", fit_fold)
    finetune(job("each"))
    finetune(job("one", order_seed=7))
    each, one = begun[: len(begun) // 2], begun[len(begun) // 2 :]
    assert [first for first, _ in each] == [first for first, _ in one]
    assert len({first for first, _ in one}) == 2
    assert {order for _, order in each} == {0, 1}
    assert {order for _, order in one} == {7}
    rows = [read_table(job(name).predictions).rows for name in ("each", "one")]
    assert not rows[0].equals(rows[1])
    pd.testing.assert_series_equal(rows[0]["window"], rows[1]["window"])


def weights_of(built) -> float:
    return float(sum(parameter.detach().double().abs().sum() for parameter in built.model.parameters()))
