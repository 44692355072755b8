import numpy as np
import pytest
import torch
from torch import nn

from unimontage.errors import UserError
from unimontage.evaluation.efficiency import count_macs, profile


class Wrapped(nn.Module):
    """A recurrent layer below the top, with something after it."""

    def __init__(self, layer, width):
        super().__init__()
        self.inner = nn.ModuleList([layer])
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.inner[0](x)[0])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def macs_of(model, *inputs):
    with torch.no_grad():
        return count_macs(model.eval(), inputs)


def test_a_convolution_is_counted_by_its_definition():
    macs, recurrent = macs_of(nn.Conv1d(6, 8, 50, stride=6, padding=22), torch.randn(1, 6, 3000))
    assert macs == 8 * 6 * 50 * ((3000 + 44 - 50) // 6 + 1)
    assert recurrent == 0


def test_attention_is_counted_although_torch_would_fuse_it():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    macs, _ = macs_of(layer, torch.randn(1, 24, 16))
    projections, products, feedforward = 4 * 24 * 16 * 16, 2 * 24 * 24 * 16, 2 * 24 * 16 * 32
    assert macs == projections + products + feedforward
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers_are_counted_once_and_by_formula(kind, gates):
    model = Wrapped(kind(8, 16, num_layers=2, bidirectional=True, batch_first=True), 32)
    macs, recurrent = macs_of(model, torch.randn(1, 30, 8))
    assert recurrent == 30 * 2 * gates * 16 * ((8 + 16) + (32 + 16))
    assert macs == recurrent + 30 * 32 * 3


def test_a_recurrent_layer_at_the_top_is_counted_too():
    macs, recurrent = macs_of(nn.GRU(8, 16), torch.randn(30, 1, 8))
    assert macs == recurrent == 30 * 3 * 16 * (8 + 16)


def test_a_projection_of_an_lstm_is_counted():
    macs, _ = macs_of(nn.LSTM(8, 16, proj_size=4), torch.randn(30, 1, 8))
    assert macs == 30 * (4 * 16 * (8 + 4) + 16 * 4)


def test_peak_memory_is_weights_inputs_and_the_most_alive_at_a_time():
    model = nn.Sequential(nn.Linear(100, 4000), nn.ReLU(), nn.Linear(4000, 10))
    x = torch.randn(1, 50, 100)
    found = profile(model, x, runs=2, warmup=1)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    assert found["peak_memory_bytes"] == weights + x.nbytes + 2 * 50 * 4000 * 4  # both sides of the ReLU


def test_a_profile_is_of_the_evaluated_model_and_leaves_it_as_it_was():
    seen = []

    class Watched(nn.Linear):
        def forward(self, x, name):
            seen.append((self.training, torch.is_grad_enabled(), name))
            return super().forward(x)

    model = Watched(5, 2).train()
    found = profile(model, (torch.randn(1, 5), "sleep_edf"), runs=7, warmup=3)
    assert len(seen) == 7 + 3 + 2  # one pass to count, one for memory
    assert set(seen) == {(False, False, "sleep_edf")}
    assert model.training
    assert (found["parameters"], found["macs"], found["flops"]) == (12, 10, 20)
    assert found["latency_ms"] > 0
    assert found["latency_iqr_ms"] >= 0
    assert (found["runs"], found["warmup"], found["threads"]) == (7, 3, 1)


def test_latency_is_the_median_of_the_runs_after_the_warm_up(monkeypatch):
    ticks = np.cumsum([0, 5.0, 0, 0.001, 0, 0.003, 0, 0.002])  # a slow first pass, then 1, 3 and 2 ms
    clock = iter(ticks)
    monkeypatch.setattr("unimontage.evaluation.efficiency.time.perf_counter", lambda: next(clock))
    found = profile(nn.Linear(2, 2), torch.randn(1, 2), runs=3, warmup=1)
    assert found["latency_ms"] == pytest.approx(2)
    assert found["latency_iqr_ms"] == pytest.approx(1)


def test_a_batch_of_several_is_refused():
    with pytest.raises(UserError, match=r"shape \(4, 5\).*a batch of one"):
        profile(nn.Linear(5, 2), torch.randn(4, 5))
    with pytest.raises(UserError, match="without a tensor"):
        profile(nn.Linear(5, 2), ("sleep_edf",))
