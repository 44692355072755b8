"""Several processes that share every batch: they end where one process ends with the same batch, up to rounding."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from test_aligned import CHOICES, source, start_of
from test_aligned import recipe as aligned
from test_masked_training import ids, masked, stores

from unimontage.config.recipes import TokenizerRecipe, UnivariateRecipe
from unimontage.errors import UserError
from unimontage.models.neural_tokenizer import NeuralTokenizer
from unimontage.models.weights import save_weights
from unimontage.training import masked as patches
from unimontage.training import univariate
from unimontage.training.answer import LabramStart, UnivariateStart
from unimontage.training.devices import Layout, open_device
from unimontage.training.epochs import AlignedWork
from unimontage.training.pretraining import Work, pretrain
from unimontage.training.ranks import launch
from unimontage.windows.store import WindowStore

pytestmark = pytest.mark.slow

RTOL, ATOL = 1e-4, 1e-5  # of float32 sums in another order, through some steps
STOP = 2  # step at which a training is broken off
SCHEDULE = {"epochs": 2, "warmup_epochs": 0, "batch": 10, "lr": 1e-3, "checkpoint_steps": 1}
ENCODER = {"width": 4, "patches": 4, "d": 16, "layers": 1, "heads": 2, "ffn": 16}
NIGHTS = {"epochs": 2, "warmup_epochs": 0, "batch": 5, "windows_per_epoch": 10, "checkpoint_steps": 1}
SLEEP = {
    "sleep": {},
    "single": {"alignment": {"kind": "single"}, "objectives": {"views": {"kind": "contrast", "loss": "nt_xent"}}},
    "position": CHOICES["relative positioning"],
    "prediction": CHOICES["predictive coding"],
    "pieces": CHOICES["equal weights"],
}
KINDS = ("nt_xent", "simsiam", "cnn", *SLEEP, "tokenizer", "masked")


class Job(NamedTuple):
    """Trainings to do one after the other, in a folder of their own."""

    folder: Path
    kinds: tuple[str, ...]
    layout: Layout
    stop: bool = False


def segments(dataset: str, rate: float, channels: tuple[str, ...]) -> WindowStore:
    rng = np.random.default_rng(int(rate))
    x = 20 * rng.standard_normal((11, len(channels), int(rate)), dtype=np.float32)
    names = [f"{dataset}/1/1/{k}/0" for k in range(len(x))]
    table = pd.DataFrame({"window": names, "session": "1", "start_sample": np.arange(len(x)) * int(rate)})
    return WindowStore(x, table, channels, rate, {"dataset": dataset, "subject": "1"})


def univariate_work(kind: str) -> tuple[Work, object]:
    members = [segments("a", 100.0, ("CZ", "FP1")), segments("b", 128.0, ("CZ", "OZ", "PO7"))]
    own = ENCODER | ({"tokenizer": "cnn"} if kind == "cnn" else {})
    objective = {"kind": "nt_xent" if kind == "cnn" else kind}
    recipe = UnivariateRecipe.model_validate({"encoder": own, "objective": objective, "schedule": SCHEDULE})
    start = UnivariateStart(encoder=recipe.encoder, vocabulary=("CZ", "FP1", "OZ", "PO7"), rates=(100.0, 128.0))
    return univariate.work(members, ids(members), recipe, start, 0), recipe.schedule


def work_of(kind: str, folder: Path) -> tuple[Work, object]:
    """What one kind of recipe trains, the same in every process."""
    if kind in ("nt_xent", "simsiam", "cnn"):
        return univariate_work(kind)
    if kind in SLEEP:
        recipe = aligned(**{"schedule": NIGHTS} | SLEEP[kind])
        recipe = recipe.model_copy(update={"schedule": recipe.schedule.model_copy(update={"checkpoint_steps": 1})})
        sources = {"sleep_edf": source("sleep_edf"), "isruc": source("isruc", (0, 3))}
        return AlignedWork(sources, recipe, start_of(recipe, tuple(sources)), seed=0), recipe.schedule
    schedule = {"epochs": 1, "warmup_epochs": 0, "batch": 4, "checkpoint_steps": 1}  # nine windows a montage: 4, 4, 1
    start = LabramStart(size="tiny", tokenizer_size="tiny", codes=16)
    recipe = TokenizerRecipe(size="tiny", codes=16, schedule=schedule) if kind == "tokenizer" else masked()
    torch.manual_seed(7)
    tokenizer = folder / "tokenizer.safetensors"
    if not tokenizer.exists():
        save_weights(tokenizer, NeuralTokenizer("tiny", codes=16), {})
    found = patches.work(stores(), ids(stores()), recipe, start, 0, tokenizer=tokenizer, whole=None)
    return found, recipe.schedule


class BrokenOffError(Exception):
    """The end of a training that is broken off."""


def breaking(draw, step: int):
    """Draw, but not the batch of a certain step."""
    if step == STOP:
        raise BrokenOffError
    return draw(step)


def train(job: Job) -> None:
    """What every process does; the first one writes."""
    fabric = open_device(1, "float32", job.layout)
    for kind in job.kinds:
        folder = job.folder / kind
        own = job.folder / f"{kind}-{fabric.global_rank}"
        own.mkdir(parents=True, exist_ok=True)
        work, schedule = work_of(kind, own)
        if job.stop:
            work.batch_at = partial(breaking, work.batch_at)
        options = {"seed": 0, "fabric": fabric, "checkpoint": folder / "c.pt", "identity": kind, "events": folder}
        with pytest.MonkeyPatch.context() as patch:
            # a bias before a norm has no gradient but rounding, which Adam would make as large as any other
            patch.setattr(torch.optim, "AdamW", partial(torch.optim.AdamW, eps=1e-4))
            try:
                history = pretrain(work, schedule, **options)
            except BrokenOffError:
                continue
        torch.save(work.kept.state_dict(), own / "weights.pt")
        history.to_csv(own / "history.csv", index=False)


@pytest.fixture(autouse=True, scope="module")
def ranks_find_this_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def together(folder: Path, processes: int, **options) -> Path:
    job = Job(folder, options.pop("kinds", KINDS), Layout(1, processes), **options)
    launch(train, job, job.layout, folder=folder) if processes > 1 else train(job)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    return together(tmp_path_factory.mktemp("alone"), 1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    return together(tmp_path_factory.mktemp("pair"), 2)


def assert_alike(one: Path, other: Path) -> None:
    ours, theirs = (pd.read_csv(folder / "history.csv") for folder in (one, other))
    assert list(ours) == list(theirs)
    np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=RTOL, atol=ATOL)
    first, second = (torch.load(folder / "weights.pt", weights_only=True) for folder in (one, other))
    assert first.keys() == second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=RTOL, atol=ATOL, msg=lambda text, n=name: f"{n}: {text}")


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_end_where_one_ends(alone, pair, kind):
    assert_alike(alone / f"{kind}-0", pair / f"{kind}-0")


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 3)])
def test_a_training_goes_on_with_another_number_of_processes(alone, tmp_path, before, after):
    kinds = ("nt_xent", "sleep", "tokenizer")
    together(tmp_path, before, kinds=kinds, stop=True)
    assert all(torch.load(tmp_path / kind / "c.pt", weights_only=True)["step"] == STOP for kind in kinds)
    together(tmp_path, after, kinds=kinds)
    for kind in kinds:
        assert_alike(alone / f"{kind}-0", tmp_path / f"{kind}-0")


def test_only_the_first_process_writes(pair):
    for kind in KINDS:
        assert len(list((pair / kind).glob("events.*"))) == 1


def fail(job: Job) -> None:
    """A process fails, the other one waits for it."""
    fabric = open_device(1, "float32", job.layout)
    if fabric.global_rank == 1:
        raise {"user": UserError("no windows", mend="more"), "bug": KeyError("x")}[job.kinds[0]]
    fabric.barrier()


@pytest.mark.parametrize(
    ("kind", "error", "text"), [("user", UserError, "no windows; mend: more"), ("bug", RuntimeError, "KeyError")]
)
def test_what_one_process_raises_ends_all(tmp_path, kind, error, text):
    with pytest.raises(error, match=text):
        launch(fail, Job(tmp_path, (kind,), Layout(1, 2)), Layout(1, 2), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_gpus_that_do_not_divide_among_nodes_are_refused():
    with pytest.raises(UserError, match=r"3 GPUs on 2 nodes; expected as many on each node; mend: .*gpu: 2, nodes: 2"):
        Layout.of(3, 2)
    assert (Layout.of(0, 1), Layout.of(4, 2)) == (Layout(), Layout(2, 2))
