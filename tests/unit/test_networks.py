import warnings

import numpy as np
import pytest
import torch

from unimontage.errors import UserError
from unimontage.models.networks import NETWORKS, build_network

MONTAGE_62 = (
    *("FP1", "FPZ", "FP2", "AF3", "AF4", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8", "FT7", "FC5"),
    *("FC3", "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "CZ", "C2", "C4", "C6", "T8"),
    *("TP7", "CP5", "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "PZ", "P2", "P4"),
    *("P6", "P8", "PO7", "PO5", "PO3", "POZ", "PO4", "PO6", "PO8", "CB1", "O1", "OZ", "O2", "CB2"),
)
MONTAGE_14 = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


SLEEP = ("DeepSleepNet", "USleep", "ATCNet")  # for epochs of half a minute
OTHERS = tuple(name for name in NETWORKS if name not in SLEEP)
EPOCH = {"channels": ("FPZ-CZ", "PZ-OZ"), "sfreq_hz": 100.0, "n_times": 3000, "classes": 5}
SHORT = {"channels": MONTAGE_14, "sfreq_hz": 128, "n_times": 128, "classes": 2}


@pytest.mark.parametrize(
    ("name", "weights"), [("DeepSleepNet", 40_473_477), ("USleep", 2_482_011), ("ATCNet", 113_257)]
)
def test_networks_for_sleep_have_their_published_sizes_and_train(name, weights):
    torch.manual_seed(0)
    network = build_network(name, **EPOCH)
    assert size(network) == weights
    logits = network(torch.randn(2, 2, 3000))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 4])).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_an_even_kernel_is_made_odd():
    build_network("USleep", **EPOCH | {"sfreq_hz": 200.0, "n_times": 6000})


@pytest.mark.parametrize(("channels", "sfreq_hz", "n_times"), [(MONTAGE_62, 200.0, 200), (MONTAGE_14, 128.0, 256)])
@pytest.mark.parametrize("name", OTHERS)
def test_every_network_gives_logits_that_train(name, channels, sfreq_hz, n_times):
    torch.manual_seed(0)
    network = build_network(name, channels=channels, sfreq_hz=sfreq_hz, n_times=n_times, classes=3)
    assert network.training
    logits = network(torch.randn(4, len(channels), n_times))
    assert logits.shape == (4, 3)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_decides_the_weights(name):
    def weights(seed):
        torch.manual_seed(seed)
        network = build_network(name, **(EPOCH if name in SLEEP else SHORT))
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


@pytest.mark.parametrize(
    ("channels", "n_times", "classes", "expected"), [(62, 200, 3, 2387), (32, 128, 2, 1746), (14, 128, 2, 1458)]
)
def test_eegnet_has_the_published_number_of_weights(channels, n_times, classes, expected):
    network = build_network(
        "EEGNet", channels=MONTAGE_62[:channels], sfreq_hz=n_times, n_times=n_times, classes=classes, kernel_length=64
    )
    assert size(network) == expected


def test_the_kernel_of_eegnet_is_half_a_second_in_windows_of_a_second():
    one = build_network("EEGNet", channels=MONTAGE_14, sfreq_hz=200, n_times=200, classes=2)
    two = build_network("EEGNet", channels=MONTAGE_14, sfreq_hz=200, n_times=400, classes=2)
    assert (one.kernel_length, two.kernel_length) == (100, 64)


def test_dgcnn_starts_from_the_distances_between_electrodes():
    torch.manual_seed(0)
    network = build_network("DGCNN", channels=MONTAGE_62, sfreq_hz=200, n_times=200, classes=3)
    adjacency = network.learnable_adjacency.adjacency.detach().numpy()
    fz, near, far = (MONTAGE_62.index(site) for site in ("FZ", "F1", "OZ"))
    assert adjacency[fz, near] > adjacency[fz, far] + 0.2


def test_building_is_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in NETWORKS:
            build_network(name, **(EPOCH if name in SLEEP else SHORT))


@pytest.mark.parametrize(
    ("name", "n_times", "match"),
    [
        ("EEGConformer", 64, r"windows of 64 samples \(0.5 s at 128 Hz\); expected at least 99 samples; .*0.78"),
        ("EEGNet", 16, "expected at least 32 samples; mend: windows: {length_s: 0.25}"),
        ("TSception", 1, "TSception cannot take 14 channels and windows of 1 samples at 128 Hz"),
    ],
)
def test_a_window_too_short_for_a_network_is_an_error_with_the_mend(name, n_times, match):
    with pytest.raises(UserError, match=match):
        build_network(name, channels=MONTAGE_14, sfreq_hz=128, n_times=n_times, classes=2)


def test_the_shortest_window_named_in_the_error_is_enough():
    build_network("EEGConformer", channels=MONTAGE_14, sfreq_hz=128, n_times=99, classes=2)
    build_network("EEGConformer", channels=MONTAGE_14, sfreq_hz=128, n_times=64, classes=2, pool_time_length=30)
    build_network("EEGNet", channels=MONTAGE_14, sfreq_hz=128, n_times=32, classes=2)


def test_unknown_networks_options_and_electrodes_are_errors():
    with pytest.raises(UserError, match=r"no network 'EEGnet'; .*mend: model: EEGNet"):
        build_network("EEGnet", channels=MONTAGE_14, sfreq_hz=128, n_times=128, classes=2)
    with pytest.raises(UserError, match=r"EEGNet has no option 'dropprob'; .*mend: drop_prob: 0.5"):
        build_network("EEGNet", channels=MONTAGE_14, sfreq_hz=128, n_times=128, classes=2, dropprob=0.5)
    with pytest.raises(UserError, match="position"):
        build_network("DGCNN", channels=["CZ", "X99"], sfreq_hz=128, n_times=128, classes=2)


def test_the_probe_leaves_no_trace_in_batch_statistics():
    network = build_network("EEGNet", channels=MONTAGE_14, sfreq_hz=128, n_times=128, classes=2)
    assert int(network.bnorm_2.num_batches_tracked) == 0
    np.testing.assert_array_equal(network.bnorm_2.running_mean.numpy(), 0)
