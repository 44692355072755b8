"""Supervised networks of braindecode on a target."""

from unimontage.config.arms import Braindecode
from unimontage.models.networks import build_network
from unimontage.training.built import Built
from unimontage.training.loop import parameter_group
from unimontage.windows import WindowPool


def build(arm: Braindecode, pool: WindowPool, classes: int) -> Built:
    """The arm's network for a target's electrodes, rate and window length."""
    network = build_network(
        arm.model, channels=pool.channels, sfreq_hz=pool.sfreq_hz, n_times=pool.n_times, classes=classes
    )
    notes = {"parameters": sum(parameter.numel() for parameter in network.parameters())}
    return Built(network, [parameter_group(network.parameters(), arm.lr)], notes)
