"""Nights in their native files: what readers return and refuse, and what the synthetic twins hold."""

import datetime
import tracemalloc

import mne
import numpy as np
import pytest

from unimontage import datasets
from unimontage.datasets import anphy, dreams, isruc, sleep_edf
from unimontage.datasets.edf import Track, stream_edf
from unimontage.datasets.edf_header import read_header
from unimontage.datasets.hypnogram import EPOCH_S, STAGES
from unimontage.datasets.night import draw_night
from unimontage.datasets.sleep_simulation import SleepRig, another_night, draw_sleeper, simulate_night
from unimontage.datasets.twin import MARKER, TwinSpec, read_marker
from unimontage.errors import UserError

SHORT = TwinSpec(night_h=0.1, sessions=("1",))
NIGHTS = ("anphy", "dreams", "isruc", "sleep_edf")
W, N1, N2, N3, REM = range(5)


def write_edf(path, labels, rate=200.0, seconds=60, unit="uV", rng=None):
    """Noise of 20 microvolt under so many labels, each with its own number of microvolts added."""
    rng = rng or np.random.default_rng(0)
    data = [20 * rng.standard_normal(round(rate * seconds)) + i for i in range(len(labels))]
    tracks = [Track(label, rate, unit, 500.0) for label in labels]
    stream_edf(path, tracks, 1, seconds, datetime.datetime(2000, 1, 1), [data])
    return np.array(data)


@pytest.mark.parametrize("key", NIGHTS)
def test_a_night_has_channels_in_volts_and_numbered_epochs_inside_it(written, key):
    facts = datasets.facts(key)
    subject = facts.subjects[0]
    root = written(key, subject)
    recording = datasets.load(key).read(root, subject, "1")
    raw, trials = recording.raw, recording.trials
    assert read_marker(root)["synthetic"]
    assert set(facts.channels) == set(raw.ch_names) & set(facts.channels) | set(recording.missing)
    assert set(raw.ch_names) <= set(facts.known_channels)
    assert set(raw.get_channel_types()) == {"eeg"}
    assert raw.info["sfreq"] in facts.known_rates_hz
    assert 2e-6 < np.median(raw.get_data(stop=20_000).std(axis=1)) < 2e-4
    assert np.array_equal(trials["onset_s"], (trials["trial"] - 1) * EPOCH_S)
    assert (trials["duration_s"] == EPOCH_S).all()
    assert (trials["onset_s"] + EPOCH_S).max() <= raw.n_times / raw.info["sfreq"]
    assert trials["stage"].dtype == np.float64
    for task in facts.tasks.values():
        assert task.classes == STAGES
        assert set(task.targets(trials)) <= set(range(5))


@pytest.mark.parametrize(("key", "lazy"), [("anphy", True), ("sleep_edf", True), ("isruc", False), ("dreams", False)])
def test_a_night_stays_on_disk_where_its_format_allows(written, key, lazy):
    subject = datasets.facts(key).subjects[0]
    assert datasets.load(key).read(written(key, subject), subject, "1").raw.preload is not lazy


@pytest.mark.parametrize("key", NIGHTS)
def test_a_sleeper_is_the_same_whoever_else_is_written_and_differs_by_seed(tmp_path, key):
    module = datasets.load(key)
    first, second = module.FACTS.subjects[:2]
    module.write_twin(tmp_path / "both", [first, second], SHORT)
    module.write_twin(tmp_path / "one", [second], SHORT)
    module.write_twin(tmp_path / "other", [second], TwinSpec(seed=1, night_h=0.1, sessions=("1",)))
    both, one, other = (module.read(tmp_path / name, second, "1") for name in ("both", "one", "other"))
    assert np.array_equal(both.raw.get_data(stop=5000), one.raw.get_data(stop=5000))
    assert both.trials.equals(one.trials)
    assert not np.array_equal(both.raw.get_data(stop=5000), other.raw.get_data(stop=5000))


@pytest.mark.parametrize("key", NIGHTS)
def test_a_missing_subject_is_one_line_that_offers_to_leave_it_out(tmp_path, key):
    facts = datasets.facts(key)
    with pytest.raises(UserError) as error:
        datasets.load(key).read(tmp_path, facts.subjects[3], "1")
    assert "\n" not in str(error.value)
    assert facts.files(facts.subjects[3], ("1",))[0][0] in str(error.value)
    assert f"`datasets: {{{key}: {{exclude: [{facts.subjects[3]}]}}}}`" in str(error.value)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("anphy", "EPCTL01/EPCTL01.edf"),
        ("isruc", "1/1.rec"),
        ("sleep_edf", "sleep-cassette/SC4001E0-PSG.edf"),
        ("sleep_edf", "sleep-cassette/SC4001?-Hypnogram.edf"),
    ],
)
def test_a_truncated_night_is_refused(twin, key, name):
    root = twin(key)
    path = next(root.glob(name.replace("SC4001?", "SC4001*")))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=rf"{path.name} is truncated.*exclude: \[{datasets.facts(key).subjects[0]}\]"):
        datasets.load(key).read(root, datasets.facts(key).subjects[0], "1")


@pytest.mark.parametrize("key", NIGHTS)
def test_a_night_too_short_to_be_one_is_not_written(tmp_path, key):
    with pytest.raises(UserError, match=r"nights of 0\.05 h are too short.*at least 0\.1 h.*night_h: 8"):
        datasets.load(key).write_twin(tmp_path, [datasets.facts(key).subjects[0]], TwinSpec(night_h=0.05))


# Sleep-EDF


def test_sleep_edf_has_the_day_around_the_night_and_the_signals_of_the_release(twin):
    root = twin("sleep_edf")
    psg = root / "sleep-cassette" / "SC4001E0-PSG.edf"
    header = read_header(psg, "")
    assert header.labels == (
        "EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "Resp oro-nasal", "EMG submental", "Temp rectal", "Event marker",
    )  # fmt: skip
    assert header.record_s == 30
    assert header.samples == (3000, 3000, 3000, 30, 30, 30, 30)
    marks = mne.read_annotations(next(psg.parent.glob("SC4001*-Hypnogram.edf")))
    assert marks.description[-1] == "Sleep stage ?"
    assert marks.onset[-1] == header.duration_s < marks.onset[-1] + marks.duration[-1]
    recording = sleep_edf.read(root, "SC400", "1")
    assert recording.raw.ch_names == ["FPZ-CZ", "PZ-OZ"]
    day = round(0.25 * 0.1 * 3600 / EPOCH_S)
    stages = recording.trials.set_index("trial")["stage"].reindex(range(1, 12 + 2 * day + 1)).to_numpy()
    assert set(stages[:day]) | set(stages[-day:]) <= {W}


def test_a_folder_with_hyphens_does_not_confuse_the_pairs(tmp_path):
    root = tmp_path / "a-b-c"
    sleep_edf.write_twin(root, ["SC400", "SC413"], TwinSpec(night_h=0.1))
    assert len(sleep_edf.read(root, "SC400", "2").trials) > 10
    assert len(list((root / "sleep-cassette").iterdir())) == 6
    with pytest.raises(UserError, match="sleep_edf has no session 2 of subject SC413; expected session 1"):
        sleep_edf.read(root, "SC413", "2")


@pytest.mark.parametrize("name", ["SC4001F0-PSG.edf", "SC4001EZ-Hypnogram.edf"])
def test_two_files_for_one_night_are_refused(twin, name):
    root = twin("sleep_edf")
    (root / "sleep-cassette" / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"SC400: 2 files match sleep-cassette/SC4001\*"):
        sleep_edf.read(root, "SC400", "1")


def test_a_scoring_of_another_day_is_refused(twin):
    root = twin("sleep_edf")
    path = next((root / "sleep-cassette").glob("*Hypnogram.edf"))
    content = path.read_bytes()
    path.write_bytes(content[:168] + b"24.04.8915.00.00" + content[184:])
    with pytest.raises(UserError, match=r"Hypnogram\.edf begins at 24\.04\.8915\.00\.00, SC4001E0-PSG\.edf at"):
        sleep_edf.read(root, "SC400", "1")


def test_a_polysomnogram_without_its_eeg_is_refused(twin):
    root = twin("sleep_edf")
    write_edf(root / "sleep-cassette" / "SC4001E0-PSG.edf", ["EEG Fpz-Cz", "EOG horizontal"], rate=100.0)
    with pytest.raises(UserError, match="lacks EEG Pz-Oz"):
        sleep_edf.read(root, "SC400", "1")


# ISRUC


@pytest.mark.parametrize(
    ("subject", "labels"),
    [
        ("1", ["F3-M2", "C3-M2", "O1-M2", "F4-M1", "C4-M1", "O2-M1"]),
        ("4", ["F3-A2", "C3-A2", "O1-A2", "F4-A1", "C4-A1", "O2-A1"]),
        ("8", ["C3-A2", "O1-A2", "C4-A1", "O2-A1"]),
        ("40", ["F3", "C3", "O1", "F4", "C4", "O2", "A1", "A2"]),
    ],
)
def test_each_way_to_name_the_channels_gives_the_same_montage(written, subject, labels):
    root = written("isruc", subject)
    assert read_header(root / subject / f"{subject}.rec", "").labels[: len(labels)] == tuple(labels)
    recording = isruc.read(root, subject, "1")
    missing = ("F3", "F4") if subject == "8" else ()
    assert recording.missing == missing
    assert recording.raw.ch_names == [name for name in isruc.FACTS.channels if name not in missing]


def test_bare_electrodes_are_referred_to_the_opposite_mastoid(twin):
    root = twin("isruc", "40")
    labels = ["A2", "M1", "F3", "C3", "O1", "O2", "C4", "F4"]
    data = write_edf(root / "40" / "40.rec", labels, seconds=360)
    raw = isruc.read(root, "40", "1").raw
    for channel, reference in zip(isruc.FACTS.channels, ("A2", "A2", "A2", "M1", "M1", "M1"), strict=True):
        expected = data[labels.index(channel)] - data[labels.index(reference)]
        assert np.abs(raw.get_data(channel)[0] * 1e6 - expected).max() < 0.02


def test_bare_electrodes_without_mastoids_are_refused(twin):
    root = twin("isruc", "40")
    write_edf(root / "40" / "40.rec", ["F3", "C3", "O1", "F4", "C4", "O2", "A1"])
    with pytest.raises(
        UserError, match=r"40\.rec holds F3 without an ear or mastoid, A2 or M2; expected F3-A2, .*exclude: \[40\]"
    ):
        isruc.read(root, "40", "1")


def test_a_night_without_any_eeg_is_refused(twin):
    root = twin("isruc")
    write_edf(root / "1" / "1.rec", ["X1", "SaO2"])
    with pytest.raises(UserError, match=r"1\.rec holds no EEG \(X1, SaO2\)"):
        isruc.read(root, "1", "1")


def test_the_second_expert_may_stop_early_and_mostly_agrees(twin):
    root = twin("isruc")
    path = root / "1" / "1_2.txt"
    assert path.read_text().endswith("\n\n")
    path.write_text("\n".join(path.read_text().split()[:-2]) + "\n")
    trials = isruc.read(root, "1", "1").trials
    assert trials["stage_2"].isna().tolist() == [False] * (len(trials) - 2) + [True] * 2
    assert (trials["stage"] == trials["stage_2"]).mean() > 0.5
    targets = isruc.FACTS.tasks["stages_expert_2"].targets(trials)
    assert (targets[-2:] == -1).all()


def test_a_signal_that_ends_within_an_epoch_loses_it(written):
    recording = isruc.read(written("isruc", "5"), "5", "1")
    assert recording.dropped == {"unfinished": 1}
    assert len(recording.trials) == recording.raw.n_times // round(200 * EPOCH_S)


# ANPHY


def test_anphy_gives_every_electrode_and_nothing_else(twin):
    root = twin("anphy", "EPCTL06")
    labels = read_header(root / "EPCTL06" / "EPCTL06.edf", "").labels
    assert len(labels) == 94
    assert {"C1-", "ECG1", "Fp1", "Cz"} <= set(labels)
    recording = anphy.read(root, "EPCTL06", "1")
    assert tuple(recording.raw.ch_names) == anphy.HIGH_DENSITY
    assert recording.missing == ()
    assert recording.dropped == {"lights": 2}
    assert recording.trials["trial"].iloc[0] == 2


def test_anphy_scorings_may_have_longer_names_but_only_one(twin):
    root = twin("anphy")
    path = root / "EPCTL01" / "EPCTL01.txt"
    path.rename(path.with_name("EPCTL01_scoring.txt"))
    assert len(anphy.read(root, "EPCTL01", "1").trials) == 12
    path.write_text("W 0 30\n")
    with pytest.raises(UserError, match=r"2 files match EPCTL01/EPCTL01\*\.txt"):
        anphy.read(root, "EPCTL01", "1")


def test_an_anphy_file_with_other_electrodes_says_which_of_the_usual_ones_it_lacks(twin):
    root = twin("anphy")
    write_edf(root / "EPCTL01" / "EPCTL01.edf", ["fp1", "CZ", "EOG1", "Fz", "F9"], rate=1000.0)
    recording = anphy.read(root, "EPCTL01", "1")
    assert recording.raw.ch_names == ["FP1", "CZ", "FZ", "F9"]
    assert recording.missing == ("F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "PZ")


@pytest.mark.parametrize("line", ["W 0", "W zero 30", "W 0 30 0"])
def test_anphy_lines_that_are_no_stage_and_two_numbers_are_refused(twin, line):
    root = twin("anphy")
    (root / "EPCTL01" / "EPCTL01.txt").write_text(line + "\n")
    with pytest.raises(UserError, match=r"EPCTL01\.txt has 1 lines.*expected lines of stage, onset and duration"):
        anphy.read(root, "EPCTL01", "1")


def test_a_slice_of_a_dense_night_takes_memory_for_the_slice_alone(written):
    root = written("anphy", "EPCTL01")
    tracemalloc.start()
    raw = anphy.read(root, "EPCTL01", "1").raw
    data = raw.get_data(["CZ", "FZ"], start=200_000, stop=230_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert data.shape == (2, 30_000)
    assert peak < 60e6 < raw.n_times * len(raw.ch_names) * 8


def test_slices_are_what_the_whole_is(written):
    raw = anphy.read(written("anphy", "EPCTL01"), "EPCTL01", "1").raw
    part = raw.get_data(["PZ", "AF3"], start=123_456, stop=130_000)
    assert np.array_equal(raw.load_data(verbose="ERROR").get_data(["PZ", "AF3"])[:, 123_456:130_000], part)


# DREAMS


@pytest.mark.parametrize(
    ("subject", "rate", "counts"),
    [
        ("excerpt1", 100.0, [10, 1, 36, 13, 0]),
        ("excerpt2", 200.0, [0, 4, 32, 24, 0]),
        ("excerpt3", 50.0, [6, 12, 39, 3, 0]),
    ],
)
def test_real_excerpts_have_one_channel_and_their_own_rate(realdata, subject, rate, counts):
    recording = dreams.read(realdata / "dreams_spindles", subject, "1")
    assert recording.raw.ch_names == ["CZ"]  # C3 in two of them: both are central
    assert recording.missing == ()
    assert recording.raw.info["sfreq"] == rate
    assert recording.raw.n_times == 1800 * rate
    assert 5e-6 < recording.raw.get_data().std() < 1e-4
    assert np.bincount(recording.trials["stage"].astype(int), minlength=5).tolist() == counts


def test_real_deep_sleep_has_the_slow_waves_that_its_stages_promise(realdata):
    recording = dreams.read(realdata / "dreams_spindles", "excerpt2", "1")
    epochs = recording.raw.get_data().reshape(60, -1)
    power = np.abs(np.fft.rfft(epochs, axis=1)) ** 2
    slow = np.log(power[:, 15:60].mean(axis=1))  # 0.5 to 2 Hz
    stage = recording.trials["stage"]
    assert slow[stage == N3].mean() > slow[stage == N2].mean() + 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("[C3-A1]", "[O1-A1]"),
            r"excerpt1\.txt begins with '\[O1-A1\]'; expected the channel C3",
        ),
        (lambda text: text.replace("\n", "\nx", 1), r"excerpt1\.txt: could not convert"),
        (lambda text: "", r"excerpt1\.txt begins with ''"),
    ],
)
def test_an_excerpt_that_is_not_one_is_refused(twin, change, message):
    root = twin("dreams")
    path = root / "excerpt1.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message):
        dreams.read(root, "excerpt1", "1")


def test_an_unmarked_excerpt_has_half_an_hour(twin):
    root = twin("dreams")
    (root / MARKER).unlink()
    with pytest.raises(UserError, match=r"has 36000 samples, 360 s at 100 Hz; expected 1800 s"):
        dreams.read(root, "excerpt1", "1")


# Synthetic nights


def test_nights_have_the_shares_of_stages_that_adults_have():
    nights = np.array([draw_night(8.0, np.random.default_rng(i)) for i in range(30)])
    assert nights.shape == (30, 960)
    shares = (nights[..., None] == np.arange(5)).mean(axis=(0, 1))
    assert (shares > (0.03, 0.03, 0.38, 0.12, 0.15)).all()
    assert (shares < (0.12, 0.12, 0.55, 0.24, 0.28)).all()
    early, late = nights[:, :320], nights[:, 640:]
    assert (early == N3).mean() > 2 * (late == N3).mean()
    assert (late == REM).mean() > 1.5 * (early == REM).mean()
    assert (nights[:, 1:] == nights[:, :-1]).mean() > 0.8
    assert not ((nights[:, :-1] == W) & (nights[:, 1:] == N3)).any()


@pytest.mark.parametrize("hours", [0.25, 0.5, 2.0])
def test_short_nights_have_all_stages_too(hours):
    assert all(len(set(draw_night(hours, np.random.default_rng(i)))) == 5 for i in range(30))


RIG = SleepRig(("FZ", "CZ", "POZ", "FPZ"), 100.0, (0.2, 45.0))


@pytest.fixture(scope="module")
def powers():
    """Mean log power (stages, channels, bands) over eight people; bands 0.5-2, 4-7, 8-12, 12-15, 25-40 Hz."""
    stages = np.repeat(np.arange(5), 20)
    bands = ((0.5, 2), (4, 7), (8, 12), (12, 15), (25, 40))
    frequencies = np.fft.rfftfreq(3000, 0.01)
    found = []
    for i in range(8):
        rng = np.random.default_rng(i)
        signal = np.concatenate(list(simulate_night(RIG, draw_sleeper(RIG, rng), stages, rng)), axis=1)
        power = np.abs(np.fft.rfft(signal.reshape(4, 100, 3000), axis=-1)) ** 2  # (C, E, F)
        logs = [np.log(power[..., (frequencies >= a) & (frequencies < b)].mean(axis=-1)) for a, b in bands]
        found.append(np.stack(logs, axis=-1).reshape(4, 5, 20, 5).mean(axis=2).swapaxes(0, 1))
    return np.mean(found, axis=0)


@pytest.mark.parametrize(
    ("channel", "band", "more", "less"),
    [
        (0, 0, N3, N2),  # slow waves
        (0, 0, N2, REM),
        (1, 1, N1, W),  # theta
        (2, 2, W, N1),  # alpha drops out
        (2, 2, W, REM),
        (1, 3, N2, REM),  # spindles
        (1, 3, N2, W),
        (1, 4, W, REM),  # muscle tone
    ],
)
def test_each_stage_has_its_marks(powers, channel, band, more, less):
    assert powers[more, channel, band] > powers[less, channel, band] + 0.3


def test_without_structure_the_signal_knows_nothing_of_the_stages():
    signals = []
    for stages in (np.zeros(12, int), np.arange(12) % 5):
        rng = np.random.default_rng(0)
        signals.append(np.concatenate(list(simulate_night(RIG, draw_sleeper(RIG, rng), stages, rng, False)), axis=1))
    assert np.array_equal(*signals)


@pytest.mark.parametrize("key", NIGHTS)
def test_random_labels_switch_the_structure_off(tmp_path, key, monkeypatch):
    module, asked = datasets.load(key), []
    original = module.simulate_night

    def watch(rig, sleeper, stages, rng, structured):
        asked.append(structured)
        return original(rig, sleeper, stages, rng, structured)

    monkeypatch.setattr(module, "simulate_night", watch)
    spec = TwinSpec(night_h=0.1, labels="random", sessions=("1",))
    module.write_twin(tmp_path, [module.FACTS.subjects[0]], spec)
    assert asked == [False]
    assert module.read(tmp_path, module.FACTS.subjects[0], "1").trials["stage"].nunique() >= 3


def test_a_derivation_is_the_difference_of_its_electrodes():
    rigs = SleepRig(("FPZ", "CZ"), 100.0, (0.2, 40.0)), SleepRig(("FPZ-CZ",), 100.0, (0.2, 40.0))
    signals = []
    for rig in rigs:
        rng = np.random.default_rng(3)
        signals.append(np.concatenate(list(simulate_night(rig, draw_sleeper(rig, rng), [N2] * 7, rng)), axis=1))
    assert np.allclose(signals[0][0] - signals[0][1], signals[1][0], atol=1e-4)


def test_people_differ_in_gain_and_spindles_and_nights_differ_less():
    people = [draw_sleeper(RIG, np.random.default_rng(i)) for i in range(100)]
    assert 0.15 < np.log([person.gain[0] for person in people]).std() < 0.35
    assert 12 <= min(person.spindle_hz for person in people) < max(person.spindle_hz for person in people) <= 15
    change = np.log(another_night(people[0], np.random.default_rng(0)).gain / people[0].gain)
    assert 0 < np.abs(change).max() < 0.3


def test_a_long_night_is_never_in_memory_as_a_whole():
    rig = SleepRig(("F3", "F4", "C3", "C4", "O1", "O2"), 200.0, (0.2, 40.0))
    rng = np.random.default_rng(0)
    sleeper, stages = draw_sleeper(rig, rng), draw_night(2.0, rng)
    tracemalloc.start()
    samples = sum(piece.shape[1] for piece in simulate_night(rig, sleeper, stages, rng))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == len(stages) * EPOCH_S * rig.sfreq_hz
    assert peak < 0.5 * samples * len(rig.derivations) * 4


def test_a_file_written_in_pieces_is_read_as_one(tmp_path):
    rng = np.random.default_rng(0)
    fast, slow = 50 * rng.standard_normal((2, 1000)), rng.standard_normal(10)
    fast[0, 17] = 1e6  # beyond the range
    tracks = [Track("Cz", 100.0, "uV", 400.0), Track("Pz", 100.0, "uV", 400.0), Track("Temp", 1.0, "DegC", 50.0)]
    pieces = [(fast[0, :600], fast[1, :600], slow[:6]), (fast[0, 600:], fast[1, 600:], slow[6:])]
    start = datetime.datetime(2001, 2, 3, 4, 5, 6)
    stream_edf(tmp_path / "x.edf", tracks, 2, 5, start, pieces)
    raw = mne.io.read_raw_edf(tmp_path / "x.edf", include=["Cz", "Pz"], verbose="ERROR")
    assert raw.info["meas_date"].replace(tzinfo=None) == start
    expected = np.clip(fast, -400, 400)
    assert np.abs(raw.get_data() * 1e6 - expected).max() <= 400 / 32767
    with pytest.raises(ValueError, match="3 records written, 5 announced"):
        stream_edf(tmp_path / "y.edf", tracks, 2, 5, start, pieces[:1])
