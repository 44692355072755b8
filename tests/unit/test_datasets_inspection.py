"""A user's files held against the facts."""

import io

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from unimontage import datasets
from unimontage.datasets import deap, dreamer, eegmmidb, inspection, seed
from unimontage.datasets.edf import Signals, write_edf
from unimontage.datasets.twin import MARKER, TwinSpec
from unimontage.errors import UserError

SHORT = TwinSpec(trial_s=1.0, night_h=0.1)


def shown(key, root):
    """Exit code and printed lines."""
    out = io.StringIO()
    code = inspection.show(key, root, out)
    return code, out.getvalue().splitlines()


@pytest.mark.parametrize("key", datasets.keys())
def test_a_twin_agrees_with_the_facts(tmp_path, key):
    module = datasets.load(key)
    module.write_twin(tmp_path, module.FACTS.subjects[1:2], SHORT)
    code, lines = shown(key, tmp_path)
    assert code == 0
    assert "origin synthetic" in lines[0]
    assert lines[-1].endswith("0 do not")
    assert not any(line.startswith("DIFFERS") for line in lines)


def test_real_files_agree_with_the_facts(realdata):
    for key in ("eegmat", "eegmmidb"):
        code, lines = shown(key, realdata / f"physionet_{key}")
        assert code == 0, lines
        assert "subjects 9 of" in lines[0]


def test_seed_with_other_lengths_labels_and_shapes_differs(tmp_path):
    seed.write_twin(tmp_path, ["4"], SHORT)
    (tmp_path / MARKER).unlink()
    folder = tmp_path / "Preprocessed_EEG"
    savemat(folder / "label.mat", {"label": -np.array(seed.CLIP_LABELS)[None]})
    first = {name: value for name, value in loadmat(folder / "4_20140621.mat").items() if "_eeg" in name}
    last = next(name for name in first if name.endswith("_eeg15"))
    savemat(folder / "4_20140621.mat", {name: value[:60] for name, value in first.items() if name != last})
    code, lines = shown("seed", tmp_path)
    assert code == 1
    differing = [line for line in lines if line.startswith("DIFFERS")]
    assert any("4_20140621.mat: trials 14 (expected 15)" in line for line in differing)
    assert any("4_20140621.mat: channels 60 (expected 62)" in line for line in differing)
    assert any("4_20140702.mat: lengths of trials 1, 2, 3" in line for line in differing)
    assert any("label.mat: labels" in line for line in differing)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("seed", "Preprocessed_EEG/1_20131030.mat"),
        ("seed", "Preprocessed_EEG/label.mat"),
        ("deap", "data_preprocessed_python/s01.dat"),
        ("dreamer", "DREAMER.mat"),
        ("eegmmidb", "S001/S001R08.edf"),
        ("eegmat", "Subject00_2.edf"),
        ("sleep_edf", "sleep-cassette/SC4002E0-PSG.edf"),
        ("isruc", "1/1.rec"),
        ("anphy", "EPCTL01/EPCTL01.edf"),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_truncated_file_differs_and_the_others_are_still_inspected(tmp_path, key, name, share):
    module = datasets.load(key)
    module.write_twin(tmp_path, module.FACTS.subjects[:1], SHORT)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    code, lines = shown(key, tmp_path)
    assert code == 1
    assert any(line.startswith("DIFFERS") and path.name in line for line in lines)


def test_an_incomplete_subject_differs_and_an_absent_one_does_not(tmp_path):
    eegmmidb.write_twin(tmp_path, ["S001", "S002"], SHORT)
    (tmp_path / "S002" / "S002R12.edf").unlink()
    code, lines = shown("eegmmidb", tmp_path)
    assert code == 1
    differing = [line for line in lines if line.startswith("DIFFERS")]
    assert len(differing) == 1
    assert "missing S002/S002R12.edf" in differing[0]


def test_an_edf_file_in_another_unit_rate_or_montage_differs(tmp_path):
    eegmmidb.write_twin(tmp_path, ["S001"], SHORT)
    noise = np.random.default_rng(0).standard_normal((2, 256))
    write_edf(tmp_path / "S001" / "S001R04.edf", 128.0, [Signals(["Fc5.", "Xx"], noise, "mV")], [])
    code, lines = shown("eegmmidb", tmp_path)
    text = "\n".join(line for line in lines if line.startswith("DIFFERS"))
    assert code == 1
    assert "rate 128 Hz (expected 160 Hz)" in text
    assert "unit mV (expected uV)" in text
    assert "channels 2 (differing: " in text
    assert "XX" in text


def test_ratings_and_amplitudes_out_of_range_differ(tmp_path, monkeypatch):
    deap.write_twin(tmp_path, ["s01"], SHORT)
    original = deap._load
    monkeypatch.setattr(deap, "_load", lambda *a, **k: tuple(1e-6 * x for x in original(*a, **k)))
    code, lines = shown("deap", tmp_path)
    assert code == 1
    assert sum(line.startswith("DIFFERS") for line in lines) == 2


def test_a_replaced_file_is_looked_at_again(tmp_path):
    dreamer.write_twin(tmp_path, ["1"], SHORT)
    assert shown("dreamer", tmp_path)[0] == 0
    release = loadmat(tmp_path / "DREAMER.mat")["DREAMER"]
    content = {name: release[name][0, 0] for name in release.dtype.names} | {"EEG_SamplingRate": 256.0}
    savemat(tmp_path / "DREAMER.mat", {"DREAMER": content})
    assert shown("dreamer", tmp_path)[0] == 1


def test_an_empty_or_absent_folder_is_answered_with_what_belongs_there(tmp_path):
    with pytest.raises(
        UserError, match=r"holds no file of deap; expected for example data_preprocessed_python/s01\.dat"
    ):
        inspection.inspect("deap", tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        inspection.inspect("deap", tmp_path / "nowhere")
