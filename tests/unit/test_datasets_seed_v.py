"""SEED-V in Neuroscan files: what is read, and how broken files are refused."""

import struct

import mne
import numpy as np
import pytest

from unimontage.datasets import seed_v
from unimontage.datasets.cnt import STEP_UV, open_cnt, read_cnt_header, stream_cnt
from unimontage.datasets.twin import MARKER, TwinSpec
from unimontage.errors import UserError

SHORT = TwinSpec(trial_s=1.0, sessions=("1",))
SAMPLES, EVENT_TABLE = 864, 886


@pytest.fixture
def twin(tmp_path):
    def write(subject="3"):
        seed_v.write_twin(tmp_path, [subject], SHORT)
        return tmp_path, tmp_path / "EEG_raw" / seed_v.file_name(subject, "1")

    return write


def patch(path, place, value):
    """Overwrite a number of the header."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<i", content, place, value)
    path.write_bytes(content)


def test_a_file_gives_back_what_was_written_by_the_default_reader_of_mne_too(tmp_path):
    data = 50 * np.random.default_rng(0).standard_normal((5, 3000))
    path = tmp_path / "x.cnt"
    stream_cnt(path, ("FP1", "CZ", "CB2", "M1", "HEO"), 1000, 3000, seed_v.datetime.datetime(2018, 8, 4, 9), [data])
    theirs = mne.io.read_raw_cnt(path, verbose="ERROR")  # finds the sample format by itself
    ours = open_cnt(path, {"CB2": "CB2", "FP1": "FP1"}, "")
    assert theirs.info["meas_date"].year == 2018
    assert theirs.info["bads"] == []
    np.testing.assert_allclose(theirs.get_data() * 1e6, data, atol=STEP_UV)
    np.testing.assert_allclose(ours.get_data() * 1e6, data[[2, 0]], atol=STEP_UV)


def test_a_session_has_the_62_channels_by_name_and_15_clips_inside_it(twin):
    root, path = twin()
    recording = seed_v.read(root, "3", "1")
    assert len(read_cnt_header(path, "").labels) == 66
    assert tuple(recording.raw.ch_names) == seed_v.CHANNELS
    assert recording.raw.info["sfreq"] == 1000
    assert not recording.raw.preload
    assert 1e-5 < np.median(recording.raw.get_data().std(axis=1)) < 1e-4
    assert recording.trials["emotion"].tolist() == list(seed_v.LABELS["1"])
    ends = recording.trials["onset_s"] + recording.trials["duration_s"]
    assert (ends[:-1].to_numpy() <= recording.trials["onset_s"][1:].to_numpy()).all()
    assert ends.iloc[-1] <= recording.raw.n_times / 1000


def test_real_files_have_their_clips_at_the_published_seconds(twin):
    root, _ = twin()
    (root / MARKER).unlink()
    with pytest.raises(UserError, match=r"3_1_20180414\.cnt ends after 31 s; expected clips up to second 3359"):
        seed_v.read(root, "3", "1")
    trials = seed_v._trials("2", None)
    assert trials["onset_s"].iloc[[0, -1]].tolist() == [30, 2741]
    assert trials["duration_s"].iloc[[0, -1]].tolist() == [237, 76]


def test_the_repaired_file_is_preferred(twin):
    root, damaged = twin("7")
    assert damaged.stat().st_size == 600
    assert seed_v.read(root, "7", "1").raw.filenames[0].name == "7_1_20180411_repaired.cnt"


def test_without_the_repaired_file_the_damaged_one_is_refused_in_one_line(twin):
    root, _ = twin("7")
    (root / "EEG_raw" / "7_1_20180411_repaired.cnt").unlink()
    with pytest.raises(UserError, match=r"7_1_20180411\.cnt has 600 bytes.*put 7_1_20180411_repaired\.cnt") as error:
        seed_v.read(root, "7", "1")
    assert "\n" not in str(error.value)


def test_a_wrong_number_of_samples_in_the_header_does_no_harm(twin):
    root, path = twin()
    whole = seed_v.read(root, "3", "1").raw.get_data()
    patch(path, SAMPLES, 1234)
    assert np.array_equal(seed_v.read(root, "3", "1").raw.get_data(), whole)


def test_a_truncated_file_is_refused(twin):
    root, path = twin()
    path.write_bytes(path.read_bytes()[:-10_000])
    with pytest.raises(UserError, match=r"samples up to byte \d+, of \d+ bytes.*truncated or damaged"):
        seed_v.read(root, "3", "1")


def test_something_else_under_the_name_is_refused(twin):
    root, path = twin()
    path.write_bytes(b"\0" * 5000)
    with pytest.raises(UserError, match="announces 0 channels"):
        seed_v.read(root, "3", "1")


def test_a_damaged_event_table_is_refused(twin):
    root, path = twin()
    patch(path, EVENT_TABLE, path.stat().st_size - 2)
    with pytest.raises(UserError, match="cannot be read as a CNT file"):
        seed_v.read(root, "3", "1")


@pytest.mark.parametrize(("fault", "message"), [("rate", "is sampled at 500 Hz"), ("channel", "lacks CZ")])
def test_other_rates_and_missing_channels_are_refused(tmp_path, fault, message):
    seed_v.write_twin(tmp_path, [], SHORT)
    labels = ["XX" if name == "CZ" and fault == "channel" else name for name in seed_v.CHANNELS]
    path = tmp_path / "EEG_raw" / seed_v.file_name("3", "1")
    rate = 500 if fault == "rate" else 1000
    start = seed_v.datetime.datetime(2018, 4, 14)
    stream_cnt(path, labels, rate, 40 * rate, start, [np.zeros((62, 40 * rate))])
    with pytest.raises(UserError, match=message):
        seed_v.read(tmp_path, "3", "1")
    findings = {finding.item: finding.agrees for finding in seed_v._check_session(path, "1", 1.0)}
    assert not findings["rate" if fault == "rate" else "channels"]


def test_fear_and_sadness_differ_in_the_signal_and_random_labels_do_not(tmp_path, monkeypatch):
    states = []
    original = seed_v.simulate
    monkeypatch.setattr(seed_v, "simulate", lambda *args: (states.append(tuple(args[3])), original(*args))[1])
    for labels in ("structured", "random"):
        seed_v.write_twin(tmp_path / labels, ["2"], TwinSpec(trial_s=0.5, labels=labels, sessions=("1",)))
    half = len(states) // 2
    assert set(states[:half]) == {(0.0, 0.0), *seed_v.MOODS}
    assert set(states[half:]) == {(0.0, 0.0)}


def test_pieces_that_do_not_add_up_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="90 samples written, 100 announced"):
        stream_cnt(tmp_path / "x.cnt", ("CZ",), 1000, 100, seed_v.datetime.datetime(2018, 1, 1), [np.zeros((1, 90))])
