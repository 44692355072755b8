"""MoBI in its text files: what is read, and how broken files are refused."""

import numpy as np
import pytest

from unimontage.datasets import mobi
from unimontage.datasets.twin import TwinSpec
from unimontage.errors import UserError

SHORT = TwinSpec(trial_s=12.0, sessions=("T02",))
STEPS = 5  # samples of a hop


@pytest.fixture
def twin(tmp_path):
    mobi.write_twin(tmp_path, ["SL03"], SHORT)
    return tmp_path


def lines_of(path, change):
    """Rewrite the lines of a file."""
    path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))


def numbers(path, head):
    return np.array([[float(v) for v in line.split("\t")[:-1]] for line in path.read_text().splitlines()[head:]])


def test_every_trial_has_the_angles_of_its_last_sample(twin):
    recording = mobi.read(twin, "SL03", "T02")
    angles = numbers(twin / "SL03-T02" / "joints.txt", 2)
    last = np.rint((recording.trials["onset_s"] + mobi.WINDOW_S) * 100).astype(int) - 1
    assert len(recording.trials) == (1200 - 200) // STEPS + 1
    assert np.allclose(np.diff(recording.trials["onset_s"]), mobi.HOP_S)
    assert last.iloc[-1] == 1199
    targets = mobi.FACTS.tasks["joint_angles"].targets(recording.trials)
    np.testing.assert_allclose(targets, angles[last, 1:7] / 90, rtol=1e-6)
    both = mobi.FACTS.tasks["joint_angles_12"].targets(recording.trials)
    np.testing.assert_allclose(both[:, 6:], angles[last, 7:] / 90, rtol=1e-6)


def test_channels_are_found_by_name_where_they_were_moved_to(twin):
    recording = mobi.read(twin, "SL03", "T02")
    columns = numbers(twin / "SL03-T02" / "eeg.txt", 1)[:, 1:]
    data = dict(zip(recording.raw.ch_names, recording.raw.get_data() * 1e6, strict=True))
    assert tuple(data) == mobi.CHANNELS
    assert len(data) == 60
    assert not set(mobi.EYES) & set(data)
    for channel, column in (("FCZ", "T7"), ("AFZ", "T8"), ("PO8", "PO8")):
        np.testing.assert_allclose(data[channel], columns[:, mobi.CAP.index(column)])


def test_the_order_of_the_columns_is_that_of_the_impedances(twin):
    names = twin / "SL03-T02" / mobi.NAMES
    before = mobi.read(twin, "SL03", "T02").raw.get_data(picks=["FP1", "PO8"])
    lines_of(
        names, lambda lines: [line.replace("FP1", "?").replace("PO8", "FP1").replace("?", "PO8") for line in lines]
    )
    assert np.array_equal(mobi.read(twin, "SL03", "T02").raw.get_data(picks=["PO8", "FP1"]), before)


def test_lines_without_a_tab_at_the_end_are_the_same(twin):
    whole = mobi.read(twin, "SL03", "T02")
    for name in ("eeg.txt", "joints.txt"):
        lines_of(twin / "SL03-T02" / name, lambda lines: [line.rstrip("\t") for line in lines])
    again = mobi.read(twin, "SL03", "T02")
    assert np.array_equal(whole.raw.get_data(), again.raw.get_data())
    assert whole.trials.equals(again.trials)


def test_clipped_samples_and_gaps_are_counted(twin):
    def change(lines):
        fields = lines[50].split("\t")
        fields[3], fields[4] = "3276.7", "-3276.8"
        shifted = [line.split("\t", 1) for line in lines[600:]]
        later = [f"{float(time) + 0.1:.2f}\t{rest}" for time, rest in shifted]
        return [*lines[:50], "\t".join(fields), *lines[51:600], *later]

    lines_of(twin / "SL03-T02" / "eeg.txt", change)
    assert mobi.read(twin, "SL03", "T02").notes == {"clipped_samples": 2, "gaps": 1}


def test_trials_beyond_the_angles_are_counted(twin):
    lines_of(twin / "SL03-T02" / "joints.txt", lambda lines: lines[:-50])
    recording = mobi.read(twin, "SL03", "T02")
    assert recording.dropped == {"no_angles": 10}
    assert len(recording.trials) == 191


def test_angles_of_another_walk_are_refused(twin):
    lines_of(twin / "SL03-T02" / "joints.txt", lambda lines: lines[:-500])
    with pytest.raises(
        UserError, match=r"SL03-T02: joints\.txt runs from second 0 to 6\.99, eeg\.txt from 0 to 11\.99"
    ):
        mobi.read(twin, "SL03", "T02")


def test_another_rate_is_refused(twin):
    def change(lines):
        rows = [line.split("\t", 1)[1] for line in lines[1:]]
        return [lines[0], *(f"{i * 0.003:.3f}\t{row}" for i, row in enumerate(rows))]

    lines_of(twin / "SL03-T02" / "eeg.txt", change)
    with pytest.raises(UserError, match=r"sampled at 333\.3 Hz by its time column; expected 100 Hz"):
        mobi.read(twin, "SL03", "T02")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("eeg.txt", lambda lines: [line.rsplit("\t", 2)[0] for line in lines], "eeg.txt has 64 columns"),
        ("eeg.txt", lambda lines: [*lines[:9], lines[9].replace("\t", "\tx", 1)], "eeg.txt cannot be read"),
        ("eeg.txt", lambda lines: lines[:1], "eeg.txt cannot be read"),
        ("joints.txt", lambda lines: [line.split("\t", 1)[0] for line in lines], "joints.txt has 1 columns"),
        (mobi.NAMES, lambda lines: lines[:40], "names 19 channels"),
        (mobi.NAMES, lambda lines: [line.replace("CPz", "CPx") for line in lines], "lacks CPZ"),
        (mobi.NAMES, lambda lines: lines[:5], "names 0 channels"),
    ],
)
def test_broken_files_are_refused_in_one_line(twin, name, change, message):
    lines_of(twin / "SL03-T02" / name, change)
    with pytest.raises(UserError, match=message) as error:
        mobi.read(twin, "SL03", "T02")
    assert "\n" not in str(error.value)


def test_the_gait_is_in_the_signal_unless_labels_are_random(tmp_path):
    explained = {}
    for labels in ("structured", "random"):
        mobi.write_twin(tmp_path / labels, ["SL01"], TwinSpec(trial_s=120.0, labels=labels, sessions=("T01",)))
        recording = mobi.read(tmp_path / labels, "SL01", "T01")
        raw = recording.raw.filter(0.3, 3.0, verbose="ERROR").get_data(picks=["C1", "C2", "CZ", "FC1", "FC2"]) * 1e6
        last = np.rint((recording.trials["onset_s"] + mobi.WINDOW_S) * 100).astype(int) - 1
        angle = recording.trials["hip_right"] - recording.trials["hip_right"].mean()
        fit = np.linalg.lstsq(raw[:, last].T, angle, rcond=None)[0]
        explained[labels] = 1 - ((angle - raw[:, last].T @ fit) ** 2).sum() / (angle**2).sum()
    assert explained["structured"] > 0.07 > explained["random"]
