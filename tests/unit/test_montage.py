"""Electrode names, positions and the channel vocabulary."""

import warnings

import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.montage.names import KNOWN, canonical, canonical_channels, derivation
from unimontage.montage.positions import positions_2d, positions_3d
from unimontage.montage.schema import Vocabulary


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("Fc5.", "FC5"),
        ("C3..", "C3"),
        ("T10.", "T10"),
        ("EEG Fp1", "FP1"),
        ("EEG T3-REF", "T7"),
        ("EEG T6-LE", "P8"),
        ("C3-A2", "C3"),
        ("O1-M2", "O1"),
        ("t5", "P7"),
        ("CB1", "CB1"),
        ("A1", "A1"),
        ("EEG Fpz-Cz", "FPZ-CZ"),
        ("EEG Pz-Oz", "PZ-OZ"),
        ("Fp1 - T3", "FP1-T7"),
        ("T3-T5-REF", "T7-P7"),
        ("Fc5.-Cz.", "FC5-CZ"),
    ],
)
def test_every_recorders_spelling_becomes_one_name(spelling, expected):
    assert canonical(spelling) == expected


def test_the_derivation_between_the_ears_is_not_taken_for_an_ear():
    assert canonical("EEG A2-A1") == "A2-A1"


def test_two_scalp_electrodes_are_a_channel_and_neither_alone():
    assert derivation("FPZ-CZ") == ("FPZ", "CZ")
    assert canonical_channels(["EEG Fpz-Cz", "Cz", "F3-M2"], "x.edf") == ("FPZ-CZ", "CZ", "F3")
    assert all(derivation(name) is None for name in ("CZ", "A2-A1", "A1-CZ", "CZ-CZ", "CZ-", "-CZ", "CZ-PZ-OZ"))


@pytest.mark.parametrize("name", ["A2-A1", "A1-Cz", "Cz-Cz", "Cz-XY"])
def test_a_derivation_of_anything_else_is_refused(name):
    with pytest.raises(UserError, match=r"x\.edf: channel .* no known electrode.*two of them as A-B"):
        canonical_channels([name], "x.edf")


def test_all_names_of_the_template_are_known():
    import mne

    template = {canonical(name) for name in mne.channels.make_standard_montage("colin27_1005").ch_names}
    assert template | {"CB1", "CB2"} == KNOWN


def test_an_unknown_electrode_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"x\.edf: channel 'FPZZ' is no known electrode.*nearest: FPZ"):
        canonical_channels(["CZ", "FPZZ"], "x.edf")


def test_an_electrode_under_two_spellings_is_refused():
    with pytest.raises(UserError, match=r"x\.edf: electrode T7 occurs 2 times \(as T3, T7\)"):
        canonical_channels(["T3", "CZ", "T7"], "x.edf")


def test_positions_are_a_head_in_metres_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        left, right, front, back, top = positions_3d(["T3", "T8", "Fpz", "Oz", "CZ"])
    assert left[0] < -0.06 < 0.06 < right[0]
    assert front[1] > 0.07
    assert back[1] < -0.1
    assert top[2] > 0.09


def test_cerebellar_sites_stand_at_po9_and_po10():
    assert np.array_equal(positions_3d(["CB1", "CB2"]), positions_3d(["PO9", "PO10"]))


def test_an_electrode_without_a_position_is_named():
    with pytest.raises(UserError, match="no template position for A2-A1"):
        positions_3d(["CZ", "A2-A1"])


def test_no_positions_of_no_channels():
    assert positions_3d([]).shape == (0, 3)
    assert positions_2d([]).shape == (0, 2)


@pytest.mark.parametrize("positions", [positions_2d, positions_3d])
def test_a_derivation_stands_half_way_between_its_electrodes(positions):
    pair, (fpz, cz) = positions(["EEG Fpz-Cz"])[0], positions(["FPZ", "CZ"])
    np.testing.assert_allclose(pair, (fpz + cz) / 2)


def test_the_whole_template_fills_the_unit_square_right_and_front_up():
    everything = positions_2d(sorted(KNOWN))
    np.testing.assert_allclose([everything.min(0), everything.max(0)], [[0, 0], [1, 1]], atol=1e-12)
    (left, _), (right, _), (_, front), (_, back), vertex = positions_2d(["T7", "T8", "FPZ", "OZ", "CZ"])
    assert left < 0.2 < 0.8 < right
    assert back < 0.2 < 0.8 < front
    np.testing.assert_allclose(vertex, 0.5, atol=0.05)


def test_a_flat_place_does_not_depend_on_the_montage():
    alone, among = positions_2d(["OZ"])[0], positions_2d(["FPZ", "OZ", "PZ"])[1]
    assert np.array_equal(alone, among)


def test_the_flat_head_keeps_the_angles_from_the_vertex():
    """Equidistant: the midline sites, which are a tenth of the arc apart, stay evenly spaced."""
    midline = positions_2d(["FZ", "FCZ", "CZ", "CPZ", "PZ"])[:, 1]
    steps = -np.diff(midline)
    assert steps.max() / steps.min() < 1.15


def test_index_zero_stands_for_every_electrode_outside_the_vocabulary():
    vocabulary = Vocabulary.union([["Cz", "Fc5."], ["T3"]])
    assert vocabulary.names == ("CZ", "FC5", "T7")
    index = vocabulary.index(["T7", "CZ", "PO9", "EEG T3-REF"])
    assert index.tolist() == [3, 1, 0, 3]
    assert index.dtype == np.int64


def test_the_published_set_relations_hold():
    from unimontage.datasets import facts

    seed, deap, dreamer = (facts(key).channels for key in ("seed", "deap", "dreamer"))
    assert len(Vocabulary.union([seed, deap])) == 62
    assert len(Vocabulary.intersection([seed, deap])) == 32
    assert Vocabulary.intersection([seed, deap, dreamer]).names == tuple(sorted(dreamer))


def test_montages_without_a_common_electrode_have_no_intersection():
    with pytest.raises(UserError, match=r"no electrode in common.*vocabulary: ucs"):
        Vocabulary.intersection([["CZ"], ["OZ"]])


def test_an_unsorted_vocabulary_is_refused_because_its_indices_would_mean_something_else():
    with pytest.raises(UserError, match=r"not sorted.*expected CZ, FZ"):
        Vocabulary(("FZ", "CZ"))


def test_an_empty_vocabulary_is_refused():
    with pytest.raises(UserError, match="empty"):
        Vocabulary(())
