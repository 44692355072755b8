"""Planted leaks, each of another kind, that the rule must stop, and clean designs that it must pass.

Recordings are made anew for each case, cut, written, split and audited as in a run.
"""

import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from scipy.signal import butter, sosfiltfilt

from unimontage.errors import UserError
from unimontage.signal.windowing import digests
from unimontage.splits import protocols
from unimontage.splits.budget import draw
from unimontage.splits.files import write_table
from unimontage.stages.audit import AuditRequest, audit
from unimontage.stages.corpus import CorpusRequest, corpus
from unimontage.windows import WindowStore, write_windows

RATE_HZ, SAMPLES, TRIALS, WINDOWS = 100, 200, 6, 4
TRIAL = SAMPLES * WINDOWS
CHANNELS = ("FZ", "CZ", "PZ", "OZ")


def recording(seed, channels=4, trials=TRIALS):
    """Noise that falls with frequency, low-passed as sleep is, and mixed over the channels; microvolt."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(channels, trials * TRIAL))
    slow = sosfiltfilt(butter(1, 4, fs=RATE_HZ, output="sos"), raw)
    fast = sosfiltfilt(butter(4, 40, fs=RATE_HZ, output="sos"), raw)
    return 30 * (rng.normal(size=(channels, channels)) @ (slow + 0.3 * fast))


def cut(dataset, subject, signal, session="1", step=SAMPLES):
    """Windows of a recording whose trials follow each other, and their table."""
    count = (TRIAL - SAMPLES) // step + 1
    trial = np.repeat(np.arange(1, signal.shape[1] // TRIAL + 1), count)
    k = np.tile(np.arange(count), len(trial) // count)
    start = (trial - 1) * TRIAL + k * step
    windows = np.stack([signal[:, s : s + SAMPLES] for s in start]).astype(np.float32)
    ids = [f"{dataset}/{subject}/{session}/{t}/{i}" for t, i in zip(trial, k, strict=True)]
    place = {"window": ids, "session": session, "trial": trial, "start_s": k * step / RATE_HZ, "start_sample": start}
    return windows, pd.DataFrame(place | {"digest": digests(windows), "target": trial % 2})


@dataclass
class Design:
    """Recordings by subject, how their windows are divided, and what pre-training saw."""

    subjects: dict = field(default_factory=lambda: {name: recording(k) for k, name in enumerate("abc")})
    others: dict = field(default_factory=lambda: {"x": recording(11), "y": recording(12)})  # of another dataset
    sessions: tuple = ("1",)
    protocol: str = "strict_loso"
    divide: object = None
    normalisation: str = "training"
    seen: tuple = ("x", "y")
    step: int = SAMPLES

    def windows(self):
        """The labelled windows of the target, all sessions; a session is another recording of the subject."""
        parts = [cut("deap", s, r, n, self.step) for s, r in self.recordings() for n, r in r.items()]
        table = pd.concat([table for _, table in parts], ignore_index=True)
        return table.assign(subject=table["window"].str.split("/").str[1])

    def recordings(self):
        for subject, signal in self.subjects.items():
            yield (
                subject,
                {n: signal if n == "1" else recording([len(subject), int(n), ord(subject)]) for n in self.sessions},
            )


def run(design, folder):
    """Write the design's files and audit them: the report."""
    stores, hashes = {}, {}
    for dataset, group in (
        ("deap", dict(design.recordings())),
        ("seed", {s: {"1": r} for s, r in design.others.items()}),
    ):
        for subject, sessions in group.items():
            parts = [cut(dataset, subject, signal, name, design.step) for name, signal in sessions.items()]
            path = folder / dataset / f"sub-{subject}.h5"
            table = pd.concat([table for _, table in parts], ignore_index=True)
            attributes = {"dataset": dataset, "subject": subject, "synthetic": True}
            signal = np.concatenate([windows for windows, _ in parts])
            names = CHANNELS[: signal.shape[1]]
            write_windows(path, signal, table, channels=names, sfreq_hz=RATE_HZ, attributes=attributes)
            stores[subject] = path
            if dataset == "deap":
                hashes[subject] = WindowStore.open(path).attributes["table_hash"]
    ids = folder / "corpora" / "mixed" / "all.parquet"
    seen = tuple(stores[name] for name in design.seen)
    if seen:
        corpus(CorpusRequest(windows=seen, corpus="mixed", holdout="all", ids=ids, code=""))
    known = {"protocol": design.protocol, "normalisation": design.normalisation, "synthetic": True, "tables": hashes}
    write_table(folder / "split.parquet", design.divide(design.windows()), known)
    request = {"windows": tuple(stores[s] for s in design.subjects), "split": folder / "split.parquet", "code": ""}
    audit(AuditRequest(**request, corpora=(ids,) * bool(seen), audit=folder / "audit.json"))
    return json.loads((folder / "audit.json").read_text())


# Divisions. Where a real protocol does what is wanted, it is the one that divides.


def rows(windows, role):
    target = np.where(np.asarray(role) == "test", -1, windows["target"])
    return pd.DataFrame({"fold": "0", "role": role, "window": windows["window"], "target": target})


def left_out(windows):
    """One subject tests, another validates, the rest trains."""
    return protocols.strict_loso(windows, "a", seed=0, validation=0.1)


def by_trial(windows):
    return protocols.strict_trial(windows, folds=3, seed=0, validation=0.2)


def within(**more):
    """One subject, whole trials apart."""
    return (
        Design(subjects={"a": recording(0)}, protocol="strict_trial", divide=by_trial)
        if not more
        else Design(**{"subjects": {"a": recording(0)}, "protocol": "strict_trial", "divide": by_trial} | more)
    )


def across(**more):
    return Design(**{"divide": left_out} | more)


def copied(change):
    """Subject c is the changed recording of the test subject a."""
    return across(subjects={"a": recording(0), "b": recording(1), "c": change(recording(0)), "d": recording(3)})


def pretrained(change):
    """Subject x of the pre-training corpus is the changed recording of the test subject a."""
    return across(others={"x": change(recording(0)), "y": recording(12)})


def the_test_again(windows, role):
    """The test windows once more, in another role and with their labels."""
    folds = left_out(windows)
    test = windows[windows["subject"] == "a"]
    return pd.concat([folds, rows(test, [role] * len(test))], ignore_index=True)


def budget_of_all(windows):
    """A label budget that is drawn from all windows and not from those that train."""
    folds = left_out(windows)
    drawn = draw(rows(windows, ["train"] * len(windows)), 25.0, "window", seed=0, draws=1)
    return pd.concat([folds[folds["role"] != "train"], drawn], ignore_index=True)


def halves_of_trials(windows):
    return rows(windows, np.where(windows["window"].str[-1].astype(int) < WINDOWS // 2, "train", "test"))


def neighbours(windows):
    return rows(windows, np.where(np.arange(len(windows)) % 2, "train", "test"))


def by_number(windows):
    """Trials whose numbers were given twice over: names differ, samples do not."""
    shifted = windows["window"].str.replace("/1/1/", "/1/9/")
    return rows(windows.assign(window=shifted), np.where(windows["trial"] == 1, "test", "train"))


def with_labels(windows):
    return left_out(windows).merge(windows[["window", "target"]], on="window", suffixes=("_hidden", ""))[
        ["fold", "role", "window", "target"]
    ]


def some_of_a(windows):
    """Subject a both tests and trains, in different trials."""
    return rows(windows, np.where((windows["subject"] == "a") & (windows["trial"] > 3), "test", "train"))


def overlapped(windows):
    """Trials of a recording that was cut with overlapping windows; every other window tests."""
    return rows(windows, np.where(windows["start_sample"] % SAMPLES, "train", "test"))


def moved(signal):
    return np.roll(signal, 70, axis=1)


def rereferenced(signal):
    return signal - signal.mean(axis=0)


PLANTED = {
    "a test window trains": (across(divide=lambda w: the_test_again(w, "train")), "shared_window"),
    "the test windows validate": (across(divide=lambda w: the_test_again(w, "val")), "shared_window"),
    "the budget of labels is drawn from all windows": (across(divide=budget_of_all), "shared_window"),
    "the halves of each trial are parted": (within(divide=halves_of_trials), "shared_trial"),
    "every other window tests": (within(divide=neighbours), "shared_trial"),
    "windows overlap": (within(divide=overlapped, step=SAMPLES // 2), "overlapping_samples"),
    "the left-out subject trains on other trials": (across(divide=some_of_a), "shared_subject"),
    "a recording stands under two names": (copied(lambda signal: signal), "duplicated_signal"),
    "a copy is amplified": (copied(lambda signal: 2.5 * signal), "resembling_signal"),
    "a copy has another reference": (copied(rereferenced), "resembling_signal"),
    "a copy has its polarity turned": (copied(lambda signal: -signal), "resembling_signal"),
    "a copy begins later": (copied(moved), "resembling_signal"),
    "a copy begins later, louder, and with another reference": (
        copied(lambda signal: 3 * rereferenced(moved(signal))),
        "resembling_signal",
    ),
    "a copy was rounded to whole steps of an amplifier": (
        copied(lambda signal: np.round(signal / 0.5) * 0.5),
        "resembling_signal",
    ),
    "all windows are normalised by": (across(normalisation="all"), "normalisation"),
    "the split holds the test labels": (across(divide=with_labels), "test_labels"),
    "pre-training saw the test windows": (across(seen=("a", "x")), "pretraining"),
    "pre-training saw the same recording in another dataset": (pretrained(lambda signal: signal), "pretraining"),
    "pre-training saw a shifted and amplified copy": (pretrained(lambda signal: 4 * moved(signal)), "pretraining"),
    "pre-training saw the test subject in other sessions": (
        within(sessions=("1", "2"), seen=("a", "x"), divide=lambda w: by_trial(w[w["session"] == "1"])),
        "pretraining",
    ),
}


def first_session(windows):
    return rows(windows, np.where(windows["session"] == "1", "train", "test"))


def budget(windows):
    return draw(left_out(windows), 25.0, "window", seed=0, draws=3)


def roles(windows):
    return protocols.by_subject(windows, {"a": "test", "b": "val", "c": "train"})


def clipped(signal):
    """An amplifier at its bounds for the first trial."""
    return np.concatenate([np.full((len(signal), TRIAL), 500.0), signal[:, TRIAL:]], axis=1)


def hummed(signal):
    """Mains far above the EEG, the same for everyone."""
    hum = 400 * np.sin(2 * np.pi * 25 * np.arange(signal.shape[1]) / RATE_HZ)
    return signal + np.linspace(0.5, 1.5, len(signal))[:, None] * hum


def with_other_ids(change):
    return {name: change(recording(k)) for k, name in enumerate("abc")}


CLEAN = {
    "a subject is left out": across(),
    "whole trials are left out": within(),
    "nothing is pre-trained": across(seen=()),
    "subjects are divided once": across(divide=roles, protocol="strict_subject"),
    "one session trains and the other tests": within(sessions=("1", "2"), divide=first_session),
    "pre-training saw the training subjects too": across(seen=("b", "c", "x")),
    "pre-training saw other subjects only": within(seen=("x", "y")),
    "labels are drawn from training windows": across(divide=budget, protocol="strict_loso_25pct"),
    "each recording is normalised by itself": across(normalisation="recording"),
    "windows overlap within their trials": within(step=SAMPLES // 4),
    "a copy stands twice in training": across(
        subjects={"a": recording(0), "b": recording(1), "c": recording(2), "d": recording(2)}
    ),
    "two datasets name a subject alike": across(others={"x": recording(11), "y": recording(12), "aa": recording(13)}),
    "the mains hum in every recording": across(subjects=with_other_ids(hummed)),
    "the amplifiers stand still for a while": across(subjects=with_other_ids(clipped)),
    "two channels": across(subjects=with_other_ids(lambda s: s[:2]), seen=()),
    "one channel": across(subjects=with_other_ids(lambda s: s[:1]), seen=()),
    "many subjects": across(subjects={chr(97 + k): recording(100 + k) for k in range(12)}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_leak_is_stopped(name, tmp_path):
    design, kind = PLANTED[name]
    with pytest.raises(UserError, match="leaks") as caught:
        run(design, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "audit.json").exists()
    # A paper's protocol is not stopped: its report lists all that was found.
    design.protocol = "paper" if design.protocol == "strict_trial" else "paper_subject"
    assert kind in {leak["kind"] for leak in run(design, tmp_path)["leaks"]}


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_design_passes(name, tmp_path):
    report = run(CLEAN[name], tmp_path)
    assert (report["verdict"], report["leaks"]) == ("clean", [])


def test_there_are_twelve_of_each_and_more():
    assert len(PLANTED) >= 12
    assert len({kind for _, kind in PLANTED.values()}) == 9
    assert len(CLEAN) >= 12


BEYOND = {
    "resampled": lambda signal: np.stack(
        [np.interp(np.arange(signal.shape[1]) * 0.97, np.arange(signal.shape[1]), c) for c in signal]
    ),
    "filtered in another way": lambda signal: sosfiltfilt(
        butter(4, [4, 15], "bandpass", fs=RATE_HZ, output="sos"), signal
    ),
    "scaled channel by channel": lambda signal: signal * np.array([[8], [1], [0.1], [3]]),
    "buried in noise": lambda signal: signal + np.random.default_rng(0).normal(0, signal.std(), signal.shape),
}


@pytest.mark.parametrize("change", BEYOND)
def test_what_the_audit_says_that_it_cannot_recognise_passes(change, tmp_path):
    """Where one of these is caught one day, the audit's own description is to be changed."""
    assert run(copied(BEYOND[change]), tmp_path)["verdict"] == "clean"
