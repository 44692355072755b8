"""Trainees that are compiled: one graph each, and the loss and the gradients of the plain ones."""

import logging
from functools import partial

import pytest
import torch
from test_training_ranks import KINDS, work_of

from unimontage.errors import UserError
from unimontage.training import devices, pretraining
from unimontage.training.devices import compiled_for, open_device

GPU = torch.device("cuda")
WHOLE = sorted({*KINDS} - {"prediction"})  # whose recurrent network torch leaves out of a graph
QUICK = ("nt_xent", "sleep")
TRACED = partial(torch.compile, backend="aot_eager")  # all of the compilation but the code for a GPU


@pytest.fixture(autouse=True)
def forget_graphs():
    yield
    torch._dynamo.reset()


def learn(trainee, given):
    """Loss and gradients."""
    torch.manual_seed(3)
    trainee.zero_grad()
    loss, _ = trainee(given)
    loss.backward()
    return loss, [p.grad.clone() for p in trainee.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in WHOLE]
)
def test_a_step_is_one_graph_and_learns_the_same(kind, tmp_path):
    work, _ = work_of(kind, tmp_path)
    given = work.inputs(work.batch_at(0), torch.Generator().manual_seed(1), open_device(1))
    work.trainee(given)  # a codebook begins with its first batch
    before = {name: tensor.clone() for name, tensor in work.trainee.state_dict().items()}
    expected = learn(work.trainee, given)
    work.trainee.load_state_dict(before)  # running averages
    found = learn(TRACED(work.trainee, fullgraph=True), given)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_compiled_pretraining_is_the_plain_one(tmp_path, monkeypatch):
    histories, names = [], []
    for compiled in (False, True):
        work, schedule = work_of("nt_xent", tmp_path)
        monkeypatch.setattr(pretraining, "compiled_for", lambda device, module: TRACED(module))
        place = {"checkpoint": tmp_path / "c.pt", "identity": str(compiled), "events": tmp_path}
        fabric = open_device(1, "float32")
        histories.append(pretraining.pretrain(work, schedule, seed=0, fabric=fabric, compiled=compiled, **place))
        names.append([*torch.load(tmp_path / "c.pt", weights_only=True)["model"]])
    torch.testing.assert_close(*(torch.tensor(history.to_numpy()) for history in histories), rtol=1e-4, atol=1e-6)
    assert names[0] == names[1]


def test_nothing_is_compiled_for_a_processor_and_that_is_said(caplog):
    module = torch.nn.Linear(2, 2)
    with caplog.at_level(logging.WARNING, "unimontage"):
        assert compiled_for(torch.device("cpu"), module) is module
    assert "nothing is compiled" in caplog.text


def test_several_processes_are_refused(monkeypatch):
    """Their gradients would be wrong."""
    monkeypatch.setattr(devices, "processes", lambda: 2)
    with pytest.raises(UserError, match="2 GPUs for one pre-training; expected one or the other; mend: compiled: fals"):
        compiled_for(GPU, torch.nn.Linear(2, 2))


def test_a_gpu_needs_a_compiler(monkeypatch):
    module = torch.nn.Linear(2, 2)
    monkeypatch.setattr(devices.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "clang" else None)
    assert compiled_for(GPU, module)._orig_mod is module
    monkeypatch.setattr(devices.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="without a C compiler; expected gcc or clang; mend: compiled: false"):
        compiled_for(GPU, module)
