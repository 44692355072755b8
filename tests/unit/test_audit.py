import json
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd
import pytest

from unimontage.errors import UserError
from unimontage.signal.windowing import digests
from unimontage.splits.audit import audit_fold, audit_normalisation, audit_pretraining
from unimontage.splits.files import write_table
from unimontage.stages.audit import AuditRequest, audit
from unimontage.stages.corpus import CorpusRequest, corpus
from unimontage.windows import WindowStore, write_windows

SAMPLES = 100


def windows(subject="s01", session="1", trials=4, count=3, step=SAMPLES, gap=0, dataset="deap"):
    """A table of windows: trials one after the other, ``gap`` samples between two, windows ``step`` samples apart."""
    trial = np.repeat(np.arange(1, trials + 1), count)
    k = np.tile(np.arange(count), trials)
    length = (count - 1) * step + SAMPLES + gap
    ids = [f"{dataset}/{subject}/{session}/{t}/{i}" for t, i in zip(trial, k, strict=True)]
    return pd.DataFrame(
        {
            "window": ids,
            "subject": subject,
            "session": session,
            "trial": trial,
            "start_sample": (trial - 1) * length + k * step,
            "digest": [blake2b(window.encode(), digest_size=8).hexdigest() for window in ids],
        }
    )


def found(train, test, **options):
    """Kind and count of every leak of a fold."""
    leaks = audit_fold(train, test, fold="1-0", samples=SAMPLES, **options)
    return {leak.kind: leak.count for leak in leaks}


# What must be caught.


def test_a_window_on_both_sides_is_caught():
    table = windows()
    train, test = table[table.trial <= 2], table[(table.trial > 2) | (table.window == "deap/s01/1/1/1")]
    assert found(train, test) == {"shared_window": 1, "shared_trial": 1, "overlapping_samples": 1}


def test_a_trial_on_both_sides_is_caught():
    table = windows()
    train, test = table[table.index % 3 < 2], table[table.index % 3 == 2]
    assert found(train, test) == {"shared_trial": 4}


def test_the_last_fifth_of_every_trial_is_no_strict_test_set():
    """A published helper called KFoldGroupbyTrial does this."""
    table = windows(count=5)
    train, test = table[table.index % 5 < 4], table[table.index % 5 == 4]
    assert found(train, test)["shared_trial"] == 4


def test_windows_that_overlap_across_the_border_of_a_fold_are_caught():
    """Two trials that share samples, as windows with a short step do where trials are cut from one stream."""
    table = windows(step=50, gap=-75)
    train, test = table[table.trial <= 2], table[table.trial > 2]
    assert found(train, test) == {"overlapping_samples": 2}


@pytest.mark.parametrize("shift", [-99, -1, 0, 1, 99])
def test_one_shared_sample_is_enough(shift):
    train, test = windows(trials=1, count=1), windows(trials=1, count=1)
    test = test.assign(window="other", trial=7, start_sample=train.start_sample + shift, digest="other")
    assert found(train, test) == {"overlapping_samples": 1}


def test_the_same_signal_under_another_id_is_caught():
    table = windows()
    train, test = table[table.trial <= 2], table[table.trial > 2].copy()
    test.loc[test.index[:2], "digest"] = train["digest"].iloc[:2].to_numpy()
    assert found(train, test) == {"duplicated_signal": 2}


def test_the_same_recording_under_another_subject_is_caught():
    train, test = windows("s01"), windows("s02").assign(digest=windows("s01")["digest"])
    assert found(train, test, between_subjects=True) == {"duplicated_signal": 12}


def test_copies_are_told_by_what_they_hold_and_not_by_their_names():
    signal = np.random.default_rng(0).normal(0, 30, (12, 4, SAMPLES)).astype(np.float32)
    copied = np.concatenate([signal[:3], signal[3:] + 1.0])
    train, test = windows("s01").assign(digest=digests(signal)), windows("s02").assign(digest=digests(copied))
    assert found(train, test) == {"duplicated_signal": 3, "resembling_signal": 9}, "the others lie a microvolt higher"


def test_the_left_out_subject_among_the_others_is_caught():
    train = pd.concat([windows("s01"), windows("s02", session="2")])
    assert found(train, windows("s02"), between_subjects=True) == {"shared_subject": 12}


@pytest.mark.parametrize("source", ["all", "test", ""])
def test_statistics_of_anything_but_training_windows_are_caught(source):
    (leak,) = audit_normalisation(source, fold="1-0", test=windows())
    assert (leak.kind, leak.count, leak.fold) == ("normalisation", 12, "1-0")


def test_pretraining_on_a_test_window_is_caught():
    test = windows()
    seen = windows("s02").iloc[:4]
    seen = pd.concat([seen, test.iloc[[5]]])[["window", "digest"]]
    leak, subject = audit_pretraining(seen, test, fold="1-0")
    assert (leak.kind, leak.count, leak.example) == ("pretraining", 1, "deap/s01/1/2/2")
    assert (subject.kind, subject.count) == ("pretraining_subject", 11)


def test_pretraining_on_a_copy_of_a_test_window_is_caught():
    test = windows()
    seen = windows(dataset="seed").assign(digest=test["digest"].to_numpy()[::-1])[["window", "digest"]]
    (leak,) = audit_pretraining(seen, test, fold="1-0")
    assert (leak.kind, leak.count) == ("pretraining", 12)


def test_a_leak_says_where_it_is_in_one_phrase():
    (leak,) = audit_normalisation("all", fold="2-1", test=windows())
    assert str(leak) == "normalisation in fold 2-1: 12 test windows, first deap/s01/1/1/0"
    assert json.loads(json.dumps(leak.as_dict()))["count"] == 12


# What must pass.


def test_whole_trials_apart_are_clean():
    table = windows()
    assert not found(table[table.trial <= 2], table[table.trial > 2])


def test_interleaved_trials_are_clean():
    table = windows()
    assert not found(table[table.trial % 2 == 0], table[table.trial % 2 == 1])


def test_overlapping_windows_are_clean_as_long_as_they_stay_on_one_side():
    table = windows(step=25)
    assert not found(table[table.trial != 2], table[table.trial == 2])


def test_the_same_place_in_another_session_is_clean():
    assert not found(windows(session="1"), windows(session="2"))


def test_the_same_place_in_another_subject_is_clean():
    assert not found(windows("s01"), windows("s02"), between_subjects=True)


def test_the_same_subject_in_another_fold_is_clean_within_subjects():
    assert not found(windows(session="1"), windows(session="2"), between_subjects=False)


def test_copies_within_training_are_no_leak():
    table = windows()
    train = table[table.trial <= 2].assign(digest="f1a7" * 4)
    assert not found(train, table[table.trial > 2])


def test_windows_that_touch_are_clean():
    train, test = windows(trials=1, count=1), windows(trials=1, count=1)
    test = test.assign(window="other", trial=7, start_sample=train.start_sample + SAMPLES, digest="0" * 16)
    assert not found(train, test)
    assert not found(test, train)


def test_statistics_of_training_windows_are_clean():
    assert not audit_normalisation("training", fold="1-0", test=windows())


def test_pretraining_on_others_is_clean():
    seen = pd.concat([windows("s02"), windows("s01", dataset="seed")])
    assert not audit_pretraining(seen[["window", "digest"]], windows("s01"), fold="1-0")


def test_nothing_to_train_on_and_nothing_to_test_are_clean():
    assert not found(windows()[:0], windows())
    assert not found(windows(), windows()[:0])


def test_other_numbers_of_rows_do_not_matter():
    """Tables that come out of a selection keep their row numbers; those mean nothing."""
    table = windows(step=50, gap=-75)
    train, test = table[table.trial <= 2], table[table.trial > 2]
    expected = found(train, test)
    assert found(train.set_index("window", drop=False), test.set_index("window", drop=False)) == expected
    assert found(train[::-1], test[::-1]) == expected


# The rule.


@dataclass
class Run:
    """Window stores, a split and a corpus on disk."""

    stores: dict
    folder: object

    def split(self, rows, protocol="strict_trial", normalisation="training"):
        path = self.folder / "split.parquet"
        hashes = {name: WindowStore.open(store).attributes["table_hash"] for name, store in self.stores.items()}
        facts = {"protocol": protocol, "normalisation": normalisation, "synthetic": True, "tables": hashes}
        write_table(path, rows, facts)
        return path

    def corpus(self, *names):
        path = self.folder / "pretraining" / "corpora" / "deap" / "all.parquet"
        stores = tuple(self.stores[name] for name in names)
        corpus(CorpusRequest(windows=stores, corpus="deap", holdout="all", ids=path, code=""))
        return path

    def audit(self, split, *corpora):
        request = AuditRequest(
            windows=tuple(self.stores.values()),
            split=split,
            corpora=corpora,
            audit=self.folder / "audits" / "sub-s01.json",
            code="",
        )
        audit(request)
        return json.loads(request.audit.read_text())


@pytest.fixture
def run(tmp_path):
    stores = {}
    for number, name in enumerate(("s01", "s02", "s03")):
        table = windows(name).drop(columns="subject").assign(start_s=0.0)
        signal = np.random.default_rng(number).normal(0, 30, (len(table), 2, SAMPLES)).astype(np.float32)
        table["digest"] = digests(signal)
        table = table[["window", "session", "trial", "start_s", "start_sample", "digest"]]
        stores[name] = tmp_path / f"sub-{name}.h5"
        attributes = {"dataset": "deap", "subject": name, "synthetic": True}
        write_windows(stores[name], signal, table, channels=("CZ", "PZ"), sfreq_hz=100, attributes=attributes)
    return Run(stores, tmp_path)


def fold(role):
    """Rows of one fold of subject s01 from a role for each of its twelve windows."""
    target = np.where(np.array(role) == "test", -1, 0)
    return pd.DataFrame({"fold": "1-0", "role": role, "window": windows()["window"], "target": target})


BY_TRIAL = ["train"] * 6 + ["val"] * 3 + ["test"] * 3


def test_the_rule_passes_a_clean_strict_split(run):
    report = run.audit(run.split(fold(BY_TRIAL)), run.corpus("s02", "s03"))
    assert report["verdict"] == "clean"
    assert report["leaks"] == []
    assert report["synthetic"]


def check_stopped(run, split, *corpora, reason):
    """A strict split is stopped in one line and no report is written that a training job could take for a pass."""
    with pytest.raises(UserError, match=reason) as caught:
        run.audit(split, *corpora)
    assert "\n" not in str(caught.value)
    assert not (run.folder / "audits").exists()


def test_the_rule_stops_a_strict_split_that_shares_trials(run):
    rows = fold(["train", "val", "test"] * 4)
    check_stopped(run, run.split(rows), reason=r"leaks \(training\): shared trial in fold 1-0: 4 test windows")


def test_the_rule_looks_at_validation_windows_too(run):
    rows = fold(["train"] * 8 + ["val"] + ["test"] * 3)
    rows = pd.concat([rows, rows[-1:].assign(role="val")])
    check_stopped(run, run.split(rows), reason=r"shared window in fold 1-0: 1 test windows")


def test_the_rule_stops_a_strict_split_after_contaminated_pretraining(run):
    reason = r"leaks \(deap/all\): pretraining in fold 1-0: 3 test windows, first deap/s01/1/4/0"
    check_stopped(run, run.split(fold(BY_TRIAL)), run.corpus("s01", "s02"), reason=reason)


def test_the_rule_stops_a_strict_split_that_normalises_by_all_windows(run):
    split = run.split(fold(BY_TRIAL), normalisation="all")
    check_stopped(run, split, reason=r"normalisation in fold 1-0")


def test_the_rule_stops_when_the_left_out_subject_trains(run):
    rows = pd.concat([fold(BY_TRIAL), fold(["train"] * 12).assign(window=windows("s02")["window"])])
    check_stopped(run, run.split(rows, protocol="strict_loso"), reason=r"shared subject in fold 1-0: 3 test windows")


def test_the_rule_stops_for_a_recording_under_two_names(run):
    copy = WindowStore.open(run.stores["s01"])
    table = copy.table.assign(window=copy.table["window"].str.replace("s01", "s02"))
    attributes = {"dataset": "deap", "subject": "s02", "synthetic": True}
    write_windows(run.stores["s02"], copy.signal, table, channels=copy.channels, sfreq_hz=100, attributes=attributes)
    rows = pd.concat([fold(["test"] * 12), fold(["train"] * 12).assign(window=windows("s02")["window"])])
    reason = r"duplicated signal in fold 1-0: 12 test windows.*`exclude:`"
    check_stopped(run, run.split(rows, protocol="strict_loso"), reason=reason)


def test_the_rule_refuses_a_split_of_other_windows(run):
    split = run.split(fold(BY_TRIAL))
    store = WindowStore.open(run.stores["s01"])
    attributes = {"dataset": "deap", "subject": "s01", "synthetic": True}
    write_windows(
        run.stores["s01"],
        store.signal[:-1],
        store.table[:-1],
        channels=store.channels,
        sfreq_hz=100,
        attributes=attributes,
    )
    check_stopped(run, split, reason=r"made from other windows of subject s01")


def test_the_rule_passes_the_papers_protocol_and_records_what_it_leaks(run):
    split = run.split(fold(["train", "train", "test"] * 4), protocol="paper", normalisation="all")
    report = run.audit(split, run.corpus("s01", "s02"))
    assert report["verdict"] == "leaks, as this protocol does by design"
    leaks = {(leak["kind"], leak["source"], leak["count"]) for leak in report["leaks"]}
    assert leaks == {("shared_trial", "training", 4), ("normalisation", "training", 4), ("pretraining", "deap/all", 4)}
