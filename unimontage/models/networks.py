"""Published networks of the braindecode library, built for a montage, a rate and a window."""

import difflib
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from unimontage.errors import UserError
from unimontage.montage.positions import positions_3d


def build_network(
    name: str, *, channels: Sequence[str], sfreq_hz: float, n_times: int, classes: int, **options: Any
) -> nn.Module:
    """Build a network from scratch; its weights are drawn from torch's global generator, so seed that before.

    Parameters
    ----------
    name : str
        One of :data:`NETWORKS`.
    channels : sequence of str, length C
        Canonical electrode names, in the order of the signal.
    sfreq_hz : float
        Sampling rate.
    n_times, classes : int
        Samples T of a window; outputs.
    **options
        Arguments of the braindecode class, in place of those chosen here.

    Returns
    -------
    nn.Module
        From (B, C, T) to logits (B, classes).

    Raises
    ------
    UserError
        No such network or option, or a window, rate or montage that the network cannot take.

    Notes
    -----
    EEGNet: Lawhern et al. 2018. TSception: Ding et al. 2022. EEGConformer: Song et al. 2023. DGCNN: Song et al. 2018.
    DeepSleepNet: Supratak et al. 2017, here without the epochs around. USleep: Perslev et al. 2021, one epoch
    at a time. ATCNet: Altaheri et al. 2023.
    """
    if name not in NETWORKS:
        close = difflib.get_close_matches(name, NETWORKS, n=1, cutoff=0.3) or list(NETWORKS)
        raise UserError(f"no network {name!r}", expected=", ".join(NETWORKS), mend=f"model: {close[0]}")
    factory = getattr(_braindecode(), name)
    given = _DEFAULTS[name](tuple(channels), sfreq_hz, n_times) | options
    _check_options(name, factory, options)
    _check_length(name, factory, given, n_times, sfreq_hz)
    shape = {"n_chans": len(channels), "n_times": n_times, "sfreq": sfreq_hz, "n_outputs": classes}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = factory(**shape, **given)
            _probe(network, (2, len(channels), n_times), classes)
    # Each network fails in its own way when a layer shrinks to nothing.
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError, AssertionError) as error:
        raise _refusal(name, len(channels), n_times, sfreq_hz, error) from error
    return network


def _refusal(name: str, channels: int, n_times: int, sfreq_hz: float, error: Exception) -> UserError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(
        f"{name} cannot take {channels} channels and windows of {n_times} samples at {sfreq_hz:g} Hz: {reason}",
        expected="a window, rate and montage that leave something after every layer",
        mend="windows: {length_s: ...} longer, or another network",
    )


def _eegnet(channels: tuple[str, ...], sfreq_hz: float, n_times: int) -> dict[str, Any]:
    # Half a second, as published, where the window is 1 s; else the 64 taps that are half a second at 128 Hz.
    return {"kernel_length": int(sfreq_hz) // 2} if n_times == round(sfreq_hz) else {}


def _dgcnn(channels: tuple[str, ...], sfreq_hz: float, n_times: int) -> dict[str, Any]:
    places = zip(channels, positions_3d(channels), strict=True)
    # The layout of mne's channel records: three coordinates, then nine numbers that only magnetometers need.
    return {"chs_info": [{"ch_name": name, "kind": 2, "loc": np.r_[place, np.zeros(9)]} for name, place in places]}


def _usleep(channels: tuple[str, ...], sfreq_hz: float, n_times: int) -> dict[str, Any]:
    return {"ensure_odd_conv_size": True}  # 9 samples at 128 Hz; at other rates it may come out even and be refused


def _nothing(channels: tuple[str, ...], sfreq_hz: float, n_times: int) -> dict[str, Any]:
    return {}


_DEFAULTS: dict[str, Callable[[tuple[str, ...], float, int], dict[str, Any]]] = {
    "EEGNet": _eegnet,
    "TSception": _nothing,
    "EEGConformer": _nothing,
    "DGCNN": _dgcnn,
    "DeepSleepNet": _nothing,
    "USleep": _usleep,
    "ATCNet": _nothing,
}
NETWORKS = tuple(_DEFAULTS)
"""Names that :func:`build_network` knows."""


def _braindecode() -> Any:
    """The library's models, imported only where one is built: it takes seconds and warns about its dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import braindecode.models
    return braindecode.models


def _check_options(name: str, factory: type[nn.Module], options: dict[str, Any]) -> None:
    known = set(inspect.signature(factory).parameters) - {"kwargs"}
    unknown = [option for option in options if option not in known]
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1)
        raise UserError(
            f"{name} has no option {unknown[0]!r}",
            expected=f"options of braindecode.models.{name}",
            mend=f"{close[0]}: {options[unknown[0]]!r}" if close else f"leave {unknown[0]} out",
        )


def _check_length(name: str, factory: type[nn.Module], given: dict[str, Any], n_times: int, sfreq_hz: float) -> None:
    """Refuse a window shorter than the network's filters and pools, before a layer deep inside says so."""
    defaults = {key: parameter.default for key, parameter in inspect.signature(factory).parameters.items()}
    sizes = defaults | given
    if name == "EEGNet":
        shortest, why = sizes["pool1_kernel_size"] * sizes["pool2_kernel_size"], "pool1_kernel_size, pool2_kernel_size"
    elif name == "EEGConformer":
        shortest = sizes["filter_time_length"] + sizes["pool_time_length"] - 1
        why = "filter_time_length, pool_time_length"
    else:
        return
    if n_times < shortest:
        raise UserError(
            f"{name} cannot take windows of {n_times} samples ({n_times / sfreq_hz:g} s at {sfreq_hz:g} Hz)",
            expected=f"at least {shortest} samples",
            mend=f"windows: {{length_s: {np.ceil(100 * shortest / sfreq_hz) / 100:g}}}, or smaller {why}",
        )


@torch.no_grad()
def _probe(network: nn.Module, shape: tuple[int, int, int], classes: int) -> None:
    """One forward pass over zeros, after which the network is as new."""
    out = network.eval()(torch.zeros(shape))
    network.train()
    if out.shape != (shape[0], classes):
        raise ValueError(f"it gives {tuple(out.shape)} instead of {(shape[0], classes)}")
    for module in network.modules():  # while it is built, the library measures layers in training mode
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
