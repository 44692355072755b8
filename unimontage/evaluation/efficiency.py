"""What a model costs: parameters, multiplications, memory and time of one example."""

import platform
import time
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode

from unimontage.errors import UserError

GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}
MEMORY_EVENT = "[memory]"


def profile(model: nn.Module, example: Tensor | tuple, runs: int = 100, warmup: int = 20) -> dict[str, float | str]:
    """Measure a model on one example, in evaluation mode and without gradients.

    Parameters
    ----------
    model : Module
        On the device that is measured. All its parameters count, so it should hold nothing that the example does not
        pass: the alignment of one dataset, the encoder and the classifier, but no heads of pre-training.
    example : Tensor or tuple
        The model's input, or its inputs; tensors have a batch of 1 and are on the model's device.
    runs, warmup : int
        Timed passes, and passes before them.

    Returns
    -------
    dict
        ``parameters``; ``macs`` (multiply-accumulates), ``flops`` (two for each) and ``recurrent_macs`` (the part of
        them that is had by formula); ``peak_memory_bytes``; ``latency_ms`` (median) and ``latency_iqr_ms`` of the timed
        passes, each waited for; ``runs``, ``warmup``, ``device`` and ``threads``.

    Raises
    ------
    UserError
        If the batch is not 1.

    Notes
    -----
    Multiplications of convolutions, linear layers and attention are counted by torch's flop counter; element-wise work,
    biases and Fourier transforms are not. It sees no fused kernels, so attention runs unfused while it is counted, and
    recurrent layers are counted by formula: gates x steps x hidden x (inputs + hidden), a direction and layer.

    Peak memory is that of weights, inputs and the most that is alive at a time in one pass. On CUDA what lives is
    measured by torch's allocator, on a CPU by torch's profiler from every allocation and release of tensors; memory of
    the process and of libraries is not part of it.
    """
    inputs = example if isinstance(example, tuple) else (example,)
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    if not tensors or tensors[0].shape[0] != 1:
        found = f"an example of shape {tuple(tensors[0].shape)}" if tensors else "an example without a tensor"
        raise UserError(f"{found} to profile", expected="a batch of one example")
    device = tensors[0].device
    with _evaluating(model), torch.no_grad():
        macs, recurrent = count_macs(model, inputs)
        milliseconds = _latencies(lambda: model(*inputs), device, runs, warmup)
        peak = _cuda_peak(model, inputs, device) if device.type == "cuda" else _cpu_peak(model, inputs)
    fixed = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers(), *tensors))
    low, median, high = np.percentile(milliseconds, [25, 50, 75])
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **{"macs": macs, "flops": 2 * macs, "recurrent_macs": recurrent, "peak_memory_bytes": fixed + peak},
        **{"latency_ms": float(median), "latency_iqr_ms": float(high - low), "runs": runs, "warmup": warmup},
        **{"device": _device_name(device), "threads": torch.get_num_threads()},
    }


def count_macs(model: nn.Module, inputs: tuple) -> tuple[int, int]:
    """Multiply-accumulates of one pass, and how many of them belong to recurrent layers."""
    recurrent: list[int] = []
    layers = {name: layer for name, layer in model.named_modules() if type(layer) in GATES}
    hooks = [
        layer.register_forward_hook(lambda layer, args, output: recurrent.append(_recurrent_macs(layer, args[0])))
        for layer in layers.values()
    ]
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for hook in hooks:
            hook.remove()
    counts = counter.get_flop_counts()
    names = [".".join(filter(None, (type(model).__name__, name))) for name in layers]
    seen = sum(sum(counts.get(name, {}).values()) for name in names)  # some backends show the counter their inside
    return (counter.get_total_flops() - seen) // 2 + sum(recurrent), sum(recurrent)


def _recurrent_macs(layer: nn.RNNBase, x: Tensor) -> int:
    """Of a pass over x, shape (B, T, F) or (T, B, F), or without a batch."""
    steps = x.shape[:-1].numel()
    directions = 2 if layer.bidirectional else 1
    out = layer.proj_size or layer.hidden_size
    inputs = [layer.input_size, *[out * directions] * (layer.num_layers - 1)]  # of each layer
    gates = GATES[type(layer)] * layer.hidden_size * sum(width + out for width in inputs)
    projection = layer.num_layers * layer.hidden_size * layer.proj_size
    return steps * directions * (gates + projection)


def _latencies(call: Callable[[], object], device: torch.device, runs: int, warmup: int) -> np.ndarray:
    """Milliseconds of each timed pass, shape (runs,)."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    marks = []
    for _ in range(warmup + runs):
        wait()
        start = time.perf_counter()
        call()
        wait()
        marks.append(time.perf_counter() - start)
    return 1e3 * np.array(marks[warmup:])


def _cuda_peak(model: nn.Module, inputs: tuple, device: torch.device) -> int:
    """Most bytes that one pass has allocated at a time, beyond what was there before."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    model(*inputs)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _cpu_peak(model: nn.Module, inputs: tuple) -> int:
    """Most bytes that one pass has allocated at a time."""
    with torch.profiler.profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        model(*inputs)
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == MEMORY_EVENT]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return int(np.cumsum(changes).max(initial=0))


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


@contextmanager
def _evaluating(model: nn.Module):
    """Evaluation mode, and afterwards the mode of before."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
