"""Electrode names, positions and the channel vocabulary."""

import warnings

import numpy as np
import pytest

from unimontage.errors import UserError
from unimontage.montage.names import KNOWN, canonical, canonical_channels
from unimontage.montage.positions import positions_3d
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
    ],
)
def test_every_recorders_spelling_becomes_one_name(spelling, expected):
    assert canonical(spelling) == expected


def test_the_derivation_between_the_ears_is_not_taken_for_an_ear():
    assert canonical("EEG A2-A1") == "A2-A1"


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
