"""Training steps on a GPU, as far as they show without one: on tensors that know where they lie but hold no numbers.

An operation that mixes devices or kinds of numbers is an error there, and so is one whose result the processor would
have to wait for, so that the GPU would run out of work at every step.
"""

from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from lightning_fabric.utilities import move_data_to_device
from lightning_utilities.core.apply_func import apply_to_collection
from test_aligned import SAMPLES, pool, start_of
from test_aligned import arm as aligned_arm
from test_aligned import recipe as aligned
from test_aligned import store as night
from test_masked_training import ids, store, stores
from test_models import classifier
from test_networks import EPOCH, SHORT, SLEEP
from test_training_ranks import KINDS, segments, work_of
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from unimontage.config.arms import Labram
from unimontage.models.compressor import Compressor
from unimontage.models.networks import NETWORKS, build_network
from unimontage.montage.schema import Vocabulary
from unimontage.training import corpus, judging, patches, staging
from unimontage.training.answer import LabramStart
from unimontage.training.devices import open_device
from unimontage.training.epochs import Source
from unimontage.training.loop import pinned
from unimontage.training.residence import Resident
from unimontage.training.universal import OnMontage
from unimontage.windows import WindowPool
from unimontage.windows.signal import StoredSignal, rounded

GPU = torch.device("cuda:0")


class NoWay(TorchDispatchMode):
    """Nothing comes back from the GPU."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **kwargs or {})
        if operation is torch.ops.aten._to_copy.default and args[0].is_cuda and not out.is_cuda:
            raise AssertionError("the processor waits for a GPU")
        return out


class Pretended:
    """The part of a Fabric that prepares and makes a step."""

    device = GPU

    def to_device(self, what):
        return move_data_to_device(what, GPU) if not isinstance(what, torch.nn.Module) else what.to(GPU)


@contextmanager
def pretended_gpu():
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), NoWay():
            torch.set_autocast_enabled("cuda", True)
            torch.set_autocast_dtype("cuda", torch.bfloat16)
            yield Pretended()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"prediction"}))  # torch cannot pretend its recurrent network
def test_a_step_of_pretraining_stays_on_the_device_and_waits_for_nothing(kind, tmp_path):
    work, _ = work_of(kind, tmp_path)
    fabric = open_device(1)
    work.trainee(work.inputs(work.batch_at(0), torch.Generator(), fabric))  # a first step may ask how things stand
    with pretended_gpu() as fabric:
        batch = work.batch_at(1)
        work.trainee.to(GPU).train()
        loss, measured = work.trainee(work.inputs(batch, torch.Generator(), fabric))
    assert loss.device == GPU
    assert loss.requires_grad
    assert {name: value.device for name, value in measured.items()} == dict.fromkeys(measured, GPU)


def resident(members):
    """A pool of some stores, in 16 bits, and the windows of it on the GPU."""
    pool = WindowPool.of([replace(one, signal=StoredSignal(*rounded(one.signal))) for one in members])
    return pool, Resident.of(pool, GPU)


def draw_epochs():
    target, reader = resident([night("isruc", "1", (0, 3)), night("isruc", "2")])
    source = Source.of(target, target.ids, reader)
    return source.examples(np.arange(12).reshape(6, 2), np.zeros(6, dtype=np.int64)).x


def draw_segments():
    members = [segments("a", 100.0, ("CZ", "FP1"))]
    vocabulary, rng = Vocabulary(("CZ", "FP1")), np.random.default_rng(0)
    (drawn,) = corpus.SegmentCorpus(members, ids(members), vocabulary, (100.0,)).segments(np.arange(8), rng)
    return drawn.x


def draw_patches():
    members = stores()
    return patches.PatchCorpus(members, ids(members), batch=4, interleave=True, seed=0).batch_at(1).x


@pytest.mark.parametrize("draw", [draw_epochs, draw_segments, draw_patches])
def test_batches_of_windows_that_live_on_a_gpu_are_made_there(draw, monkeypatch):
    for module in (corpus, patches):
        monkeypatch.setattr(module, "readers", lambda pools, device: [resident(pool.stores)[1] for pool in pools])
    with pretended_gpu():
        assert draw().device == GPU


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_fetches_all_tensors_of_a_batch_by_itself(kind, tmp_path, monkeypatch):
    batch, seen = work_of(kind, tmp_path)[0].batch_at(0), []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: seen.append(x) or x.clone())
    apart = pinned((0, batch))[1]
    own, copies = [], []
    apply_to_collection(batch, torch.Tensor, own.append)
    apply_to_collection(apart, torch.Tensor, copies.append)
    assert [id(x) for x in seen] == [id(x) for x in own]
    assert len(own) > 0
    for one, other in zip(own, copies, strict=True):
        assert one is not other
        assert torch.equal(one, other)


def network(name):
    sizes = EPOCH if name in SLEEP else SHORT
    return build_network(name, **sizes), (len(sizes["channels"]), sizes["n_times"])


def on_montage(mode, kind):
    return OnMontage(classifier(mode, kind), torch.arange(4), 1), (4, 128)


def staged():
    built = staging.build(aligned_arm(init="scratch"), start_of(aligned(), ("isruc",), "isruc"), pool("isruc"), 5, None)
    return built.model, (6, SAMPLES)


def judge():
    target = WindowPool.of([store("second")])
    return judging.build(Labram(recipe="r"), LabramStart(size="tiny"), target, 3, None).model, (2, 400)


MODELS = {name: partial(network, name) for name in NETWORKS if name != "DeepSleepNet"}  # it has a recurrent network
MODELS |= {f"{mode} {kind}": partial(on_montage, mode, kind) for mode in ("node", "patch") for kind in ("gat", "none")}
MODELS |= {"aligned": staged, "labram": judge}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_so_does_a_step_of_fine_tuning(model):
    torch.manual_seed(0)
    model, shape = model()
    model.train()(torch.zeros(6, *shape))
    with pretended_gpu() as fabric:
        logits = model.to(GPU)(fabric.to_device(torch.randn(6, *shape, device="cpu")))
        loss = torch.nn.functional.cross_entropy(logits, torch.zeros(6, dtype=torch.int64, device=GPU))
    assert loss.device == GPU
    assert loss.requires_grad


def test_and_a_step_of_a_compressor():
    torch.manual_seed(0)
    compressor = Compressor(2, 20, width=4, d=32, depth=1)
    with pretended_gpu():
        assert compressor.to(GPU)(torch.randn(6, 2, 200, device=GPU)).total.device == GPU


@pytest.mark.parametrize(
    "mistake", [lambda x: x.cpu(), lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x + torch.ones(3)]
)
def test_the_pretence_notices(mistake):
    with pretended_gpu(), pytest.raises((AssertionError, RuntimeError)):
        mistake(torch.zeros(3, device=GPU))
