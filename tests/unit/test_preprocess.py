"""Preprocessing of recordings that lie on disk as EDF files and are read by slices."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mne
import numpy as np
import pandas as pd
import pytest

from unimontage.config.data import Preprocessing
from unimontage.datasets.edf import Signals, write_edf
from unimontage.datasets.eegmmidb import FACTS
from unimontage.datasets.facts import Recording
from unimontage.errors import UserError
from unimontage.signal.windowing import digests
from unimontage.stages import preprocess as stage
from unimontage.stages.preprocess import PreprocessRequest, preprocess
from unimontage.windows import WindowPool, WindowStore

NAMES = ("F3", "F4", "C3", "C4", "O1", "O2")
RATE_HZ, EPOCH_S, EPOCHS = 200.0, 30.0, 12
OPTIONS = Preprocessing(highpass_hz=0.3, lowpass_hz=40.0, resample_hz=100.0)


def signal(seed=0, channels=6, seconds=EPOCH_S * EPOCHS):
    """Alpha of another amplitude in every channel, drifts and noise; microvolt."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    alpha = np.sin(2 * np.pi * 10 * time) * np.arange(10, 10 + 5 * channels, 5)[:, None]
    return alpha + 20 * np.sin(2 * np.pi * 0.02 * time) + rng.normal(0, 8, (channels, len(time)))


def epochs(count=EPOCHS, **labels):
    k = np.arange(count)
    return pd.DataFrame({"trial": k + 1, "onset_s": k * EPOCH_S, "duration_s": EPOCH_S} | labels)


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A dataset of one subject whose sessions are the EDF files that a test writes."""
    recordings = {}
    facts = replace(FACTS, sfreq_hz=RATE_HZ, channels=NAMES, continuous=True, amplitude_uv=(1.0, 200.0))

    def read(root: Path, subject: str, session: str) -> Recording:
        names, trials, missing = recordings[session]
        raw = mne.io.read_raw_edf(root / f"{session}.edf", preload=False, verbose="ERROR")
        return Recording(raw.pick(names), trials, missing, {"unscored": 2})

    def add(session="1", data=None, trials=None, names=NAMES, missing=()):
        data = signal() if data is None else data
        write_edf(tmp_path / f"{session}.edf", RATE_HZ, [Signals(names, data, "uV", limit=3000.0)], [])
        recordings[session] = list(names), epochs() if trials is None else trials, missing

    def run(channels=NAMES, options=OPTIONS, length_s=30.0, **changes):
        source = {"root": str(tmp_path), "synthetic": True, "files": [{"path": "1.edf", "sha256": "ab"}]}
        (tmp_path / "source.json").write_text(json.dumps(source))
        module = SimpleNamespace(FACTS=replace(facts, **changes), read=read)
        monkeypatch.setattr(stage, "load", lambda key: module)
        folder = tmp_path / "out"
        request = PreprocessRequest(
            code="c",
            source=tmp_path / "source.json",
            dataset="naps",
            subject="n1",
            sessions=tuple(recordings),
            channels=channels,
            preprocessing=options,
            length_s=length_s,
            step_s=length_s,
            windows=folder / "n1.h5",
            quality=folder / "n1.json",
        )
        preprocess(request)
        assert sorted(path.name for path in folder.iterdir()) == ["n1.h5", "n1.json"]
        quality = json.loads(request.quality.read_text())["sessions"]
        return WindowStore.open(request.windows), quality

    return SimpleNamespace(add=add, run=run, folder=tmp_path / "out")


def filtered(data_uv):
    """The whole recording by mne; microvolt."""
    raw = mne.io.RawArray(data_uv * 1e-6, mne.create_info(len(data_uv), RATE_HZ, "eeg"), verbose="ERROR")
    raw.filter(0.3, 40.0, picks="all", verbose="ERROR")
    return raw.resample(100.0, npad=0, verbose="ERROR").get_data() * 1e6


def test_a_night_on_disk_becomes_the_windows_of_its_filtered_signal(dataset):
    dataset.add(trials=epochs(stage=np.arange(12.0)).drop(index=[3, 4]))
    store, quality = dataset.run()
    assert store.signal.shape == (10, 6, 3000)
    assert store.sfreq_hz == 100
    assert store.table["window"].tolist()[2:4] == ["naps/n1/1/3/0", "naps/n1/1/6/0"]
    assert store.table["stage"].tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]
    whole = filtered(np.round(signal())).reshape(6, 12, 3000).transpose(1, 0, 2)
    difference = np.abs(store.signal[:] - np.delete(whole, [3, 4], axis=0))
    assert difference[1:-1].max() < 0.05  # mne changes the rate in one transform, whose ends meet
    assert quality["1"]["dropped"] == {"unscored": 2, "flat": 0}
    assert quality["1"]["flat"] == []
    assert quality["1"]["filtered_sd_uv"] == pytest.approx(np.median(whole.std(axis=(0, 2))), rel=0.01)


def test_digests_are_those_of_the_signal_before_it_is_rounded_and_the_largest_rounding_is_reported(
    dataset, monkeypatch
):
    seen = []
    monkeypatch.setattr(stage, "digests", lambda windows: seen.append(windows) or digests(windows))
    dataset.add("1", missing=("CZ",))
    store, quality = dataset.run(channels=("CZ", "C3"))
    conditioned = np.concatenate(seen)
    assert store.table["digest"].tolist() == digests(conditioned).tolist()
    rounding = np.abs(store.signal[:] - conditioned)[:, 1].max()
    assert 0 < rounding < np.abs(conditioned[:, 1]).max() / 65_000
    assert quality["1"]["rounding_uv"] == pytest.approx(rounding)


def test_the_scale_of_every_session_and_channel_travels_with_the_windows(dataset):
    dataset.add("1")
    dataset.add("2", data=3 * signal(1), trials=epochs(5))
    store, _ = dataset.run()
    pool = WindowPool.of([store])
    for session in "12":
        windows = store.signal[(store.table["session"] == session).to_numpy()].transpose(1, 0, 2).reshape(6, -1)
        low, median, high = np.percentile(windows, (25, 50, 75), axis=1)
        np.testing.assert_allclose(pool.scale[f"n1/{session}"][0], median, atol=0.02)
        np.testing.assert_allclose(pool.scale[f"n1/{session}"][1], 0.7413 * (high - low), rtol=0.01)
    assert len(store.table) == 17
    assert store.table["session"].tolist() == ["1"] * 12 + ["2"] * 5


def test_epochs_in_which_nothing_moves_are_dropped_and_counted(dataset):
    data = signal()
    data[:, 40_000:] = 0.0  # from 200 s on: the epochs from 210 s on hold nothing, that before holds something
    dataset.add(data=data)
    store, quality = dataset.run()
    assert store.table["trial"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert quality["1"]["dropped"]["flat"] == 5
    assert quality["1"]["flat"] == []


def test_wake_around_the_night_is_cropped_and_counted(dataset):
    dataset.add(trials=epochs(stage=[0.0] * 5 + [1.0, 2.0] + [0.0] * 5))
    store, quality = dataset.run(options=OPTIONS.model_copy(update={"crop_wake_min": 1.0}))
    assert store.table["trial"].tolist() == [4, 5, 6, 7, 8, 9]
    assert quality["1"]["dropped"] == {"unscored": 2, "wake": 6, "flat": 0}


def test_wake_cannot_be_cropped_where_there_are_no_stages(dataset):
    dataset.add()
    with pytest.raises(UserError, match="no sleep stages"):
        dataset.run(options=OPTIONS.model_copy(update={"crop_wake_min": 1.0}))


def test_channels_are_stored_in_the_order_asked_for(dataset):
    dataset.add()
    store, _ = dataset.run(channels=("O2", "F3"))
    assert store.channels == ("O2", "F3")
    sd = store.signal[:].std(axis=(0, 2))
    assert sd[0] > 2 * sd[1]


def test_a_montage_of_one_channel_works(dataset):
    dataset.add(data=signal(channels=1), names=("C3",))
    store, quality = dataset.run(channels=("C3",))
    assert store.signal.shape == (12, 1, 3000)
    assert quality["1"]["flat"] == []


def test_a_channel_known_to_be_missing_is_nan_and_listed(dataset):
    dataset.add("1", missing=("CZ",))
    dataset.add("2", data=signal(channels=7), names=(*NAMES, "CZ"))
    store, quality = dataset.run(channels=("CZ", "C3"))
    first = (store.table["session"] == "1").to_numpy()
    assert np.isnan(store.signal[first, 0]).all()
    assert np.isfinite(store.signal[first, 1]).all()
    assert np.isfinite(store.signal[~first]).all()
    assert store.attributes["missing"] == {"1": ["CZ"], "2": []}
    assert quality["1"]["missing"] == ["CZ"]
    assert np.isnan(WindowPool.of([store]).scale["n1/1"][1]).tolist() == [True, False]


@pytest.mark.parametrize(("channels", "odd"), [(("C3", "CZ", "FZ"), "CZ, FZ"), (("FZ",), "FZ")])
def test_a_channel_that_is_not_there_is_an_error_that_says_what_is(dataset, channels, odd):
    dataset.add()
    with pytest.raises(UserError, match=f"session 1: no channel {odd}; the file holds F3, F4, C3, C4, O1, O2;"):
        dataset.run(channels=channels)
    assert not list(dataset.folder.iterdir())


def test_a_recording_without_any_channel_asked_for_is_an_error(dataset):
    dataset.add(missing=("CZ",))
    with pytest.raises(UserError, match="no channel CZ"):
        dataset.run(channels=("CZ",))


def test_a_window_longer_than_an_epoch_is_refused(dataset):
    dataset.add()
    with pytest.raises(UserError, match="trial 1 offers 30 s; expected at least one window of 60 s"):
        dataset.run(length_s=60.0)


def test_trials_need_not_be_in_the_order_of_time(dataset):
    order = [7, 2, 3, 11, 0]
    dataset.add(trials=epochs().iloc[order])
    shuffled, _ = dataset.run(length_s=10.0)
    dataset.add()
    sorted_, _ = dataset.run(length_s=10.0)
    rows = [3 * trial + k for trial in order for k in range(3)]
    np.testing.assert_array_equal(shuffled.signal, sorted_.signal[rows])
    assert shuffled.table["digest"].tolist() == sorted_.table["digest"].iloc[rows].tolist()


def test_a_bad_channel_stops_the_subject_or_is_interpolated(dataset):
    data = signal()
    data[2] = 5.0
    dataset.add(data=data)
    with pytest.raises(UserError, match="bad channels: flat C3"):
        dataset.run()
    assert not list(dataset.folder.iterdir())
    store, quality = dataset.run(options=OPTIONS.model_copy(update={"bad_channels": "interpolate"}))
    assert quality["1"]["flat"] == ["C3"]
    assert store.signal[:, 2].std() > 5


def test_a_wrong_unit_is_found_after_filtering_and_leaves_nothing(dataset):
    dataset.add()
    with pytest.raises(UserError, match=r"session 1: the median channel .* microvolts were read as volts"):
        dataset.run(amplitude_uv=(1e-5, 1e-4))
    assert not list(dataset.folder.iterdir())


def test_a_rate_unlike_the_others_needs_a_common_one(dataset):
    dataset.add()
    kept = OPTIONS.model_copy(update={"resample_hz": None})
    with pytest.raises(UserError, match=r"sampled at 200 Hz, others of the dataset at 100 Hz.*resample_hz: 100"):
        dataset.run(options=kept, sfreq_hz=100.0, rates_hz=(100.0, 200.0))
    store, _ = dataset.run(sfreq_hz=100.0, rates_hz=(100.0, 200.0))
    assert store.sfreq_hz == 100


NIGHT = """
    import resource
    import sys

    import mne
    import numpy as np

    from unimontage.signal.filtering import design
    from unimontage.signal.quality import Inspection
    from unimontage.signal.streaming import Reader, conditioned, windows_of
    from unimontage.windows import WindowWriter

    raw = mne.io.read_raw_edf(sys.argv[1], preload=False, verbose="ERROR")
    names = tuple(raw.ch_names)
    reader, inspection = Reader(raw, names), Inspection(names, 1000.0)
    chain = design(
        1000.0, [reader.samples], highpass_hz=0.3, lowpass_hz=40.0, notch_hz=50.0, resample_hz=100.0
    )
    starts = np.arange(0, reader.samples // 10 - 2999, 3000)

    def steps(slices, stretches):
        for data in slices:
            inspection.add(data)
        with WindowWriter(sys.argv[2], channels=names, samples=3000, sfreq_hz=100.0) as writer:
            for rows, windows in windows_of(stretches, starts, 3000):
                writer.write(rows[0], windows)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    before = peak()
    steps(reader.slices(), conditioned(reader, [0], chain))
    print(peak() - before)
"""


@pytest.mark.parametrize("minutes", [3, 30])
def test_a_long_recording_needs_no_more_memory_than_a_short_one(tmp_path, minutes):
    """Half an hour of 32 channels at 1000 Hz is 460 MB in double precision; most of it must never be there at once."""
    night = tmp_path / "night.edf"
    second = np.random.default_rng(0).normal(0, 50, (32, 1000))
    write_edf(night, 1000.0, [Signals([f"E{i}" for i in range(32)], second, "uV", limit=3000.0)], [])
    content = night.read_bytes()
    size = int(content[184:192])  # of the header, which the record of a second follows
    records = f"{minutes * 60:<8}".encode()
    night.write_bytes(content[:236] + records + content[244:size] + content[size:] * (minutes * 60))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NIGHT), str(night), str(tmp_path / "a.h5")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200
