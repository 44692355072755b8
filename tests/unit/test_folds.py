import numpy as np
import pandas as pd
import pytest

from unimontage.config.arms import Braindecode, Classical, Finetuning
from unimontage.config.splits import Splits
from unimontage.signal.windowing import digests
from unimontage.splits.files import read_table
from unimontage.stages.finetune import FinetuneRequest, finetune
from unimontage.stages.split import SplitRequest, split
from unimontage.training.folds import folds, normalised
from unimontage.windows import WindowPool, WindowStore, write_windows

CHANNELS = ("CZ", "FP1", "OZ")
SUBJECTS = ("s01", "s02", "s03", "s04")
TRIALS, WINDOWS, SAMPLES = 15, 3, 50
TASKS = {"seed": ("emotion", 3), "deap": ("valence", 2)}


def write(folder, dataset, subject, labels=None, signal_of=None):
    """A subject's store: one session of fifteen trials; ``labels`` and ``signal_of`` change what it holds."""
    number = SUBJECTS.index(subject)
    trial = np.repeat(np.arange(1, TRIALS + 1), WINDOWS)
    k = np.tile(np.arange(WINDOWS), TRIALS)
    rng = np.random.default_rng(number)
    mixing = rng.normal(0, 1, (len(CHANNELS), len(CHANNELS)))
    signal = mixing @ rng.normal(0, 20, (len(trial), len(CHANNELS), SAMPLES)) + rng.normal(0, 10, (len(CHANNELS), 1))
    if signal_of is not None:
        signal = signal_of(signal, trial)
    classes = np.array(labels if labels is not None else [(t + number) % TASKS[dataset][1] for t in range(TRIALS)])
    label = classes[trial - 1] * (4.0 if dataset == "deap" else 1.0) + (3.0 if dataset == "deap" else 0.0)
    table = pd.DataFrame(
        {
            "window": [f"{dataset}/{subject}/1/{t}/{i}" for t, i in zip(trial, k, strict=True)],
            "session": "1",
            "trial": trial,
            "start_s": k * 0.5,
            "start_sample": (trial * WINDOWS + k) * SAMPLES,
            "digest": digests(signal),
            TASKS[dataset][0]: label,
        }
    )
    path = folder / f"sub-{subject}.h5"
    attributes = {"dataset": dataset, "subject": subject, "synthetic": True}
    write_windows(path, signal, table, channels=CHANNELS, sfreq_hz=100, attributes=attributes)
    return path


def divide(folder, dataset, protocol, subjects, paths):
    """The split file of some subjects."""
    request = SplitRequest(
        roles={},
        windows=paths,
        dataset=dataset,
        task=TASKS[dataset][0],
        protocol=protocol,
        subjects=subjects,
        splits=Splits(folds=3),
        split=folder / f"{protocol}.parquet",
        code="",
    )
    split(request)
    return read_table(request.split)


PROTOCOLS = [("seed", "seed_9_6"), ("deap", "strict_loso"), ("deap", "strict_trial"), ("deap", "paper")]
STRICT = PROTOCOLS[:3]


def stores(folder, dataset, protocol, **changes):
    """Paths of the stores that a protocol needs; ``changes`` concern the target subject s02."""
    folder.mkdir(exist_ok=True)
    names = SUBJECTS if protocol == "strict_loso" else ("s02",)
    return tuple(write(folder, dataset, name, **(changes if name == "s02" else {})) for name in names)


def pool(paths):
    return WindowPool.of([WindowStore.open(path) for path in paths])


def ready(paths, table, recentred=False):
    """All folds as training gets them."""
    options = {
        "source": table.facts["normalisation"],
        "pooled": table.facts["protocol"] == "strict_loso",
        "recentred": recentred,
    }
    return [normalised(fold, **options) for fold in folds(pool(paths), table)]


def contents(part):
    return np.asarray(part.x).tobytes(), part.y.tobytes(), part.windows.tolist(), part.domain.tolist()


@pytest.mark.parametrize(("dataset", "protocol"), [("seed", "seed_9_6"), ("deap", "strict_loso")])
def test_other_test_labels_give_the_same_split_and_the_same_training_bit_for_bit(tmp_path, dataset, protocol):
    """Where one set of trials or subjects tests, its labels change nothing at all."""
    plain = stores(tmp_path / "plain", dataset, protocol)
    labels = [(t + 1) % TASKS[dataset][1] for t in range(TRIALS)]
    first_test = 9 if protocol == "seed_9_6" else 0
    flipped = [(value + 1) % TASKS[dataset][1] if t >= first_test else value for t, value in enumerate(labels)]
    other = stores(tmp_path / "other", dataset, protocol, labels=flipped)
    one, two = (
        divide(folder, dataset, protocol, ("s02",), paths)
        for folder, paths in ((tmp_path / "plain", plain), (tmp_path / "other", other))
    )
    assert one.facts["tables"] != two.facts["tables"]  # the labels did change
    assert one.facts | {"tables": None} == two.facts | {"tables": None}
    assert one.rows.to_csv() == two.rows.to_csv()
    for a, b in zip(ready(plain, one), ready(other, two), strict=True):
        assert contents(a.train) == contents(b.train)
        assert contents(a.val) == contents(b.val)
        assert contents(a.test) == contents(b.test)


@pytest.mark.parametrize(("dataset", "protocol"), PROTOCOLS)
def test_training_takes_labels_from_the_split_file_and_from_nowhere_else(tmp_path, dataset, protocol):
    plain = stores(tmp_path / "plain", dataset, protocol)
    table = divide(tmp_path, dataset, protocol, ("s02",), plain)
    labels = [(t + 2) % TASKS[dataset][1] for t in range(TRIALS)]
    other = stores(tmp_path / "other", dataset, protocol, labels=labels)
    for a, b in zip(ready(plain, table), ready(other, table), strict=True):
        assert [contents(part) for part in (a.train, a.val, a.test)] == [
            contents(part) for part in (b.train, b.val, b.test)
        ]
        assert set(a.test.y) == {-1}
        assert -1 not in a.train.y
        assert -1 not in a.val.y


@pytest.mark.parametrize("recentred", [False, True])
@pytest.mark.parametrize(("dataset", "protocol"), STRICT)
def test_the_test_signal_changes_nothing_that_trains(tmp_path, dataset, protocol, recentred):
    plain = stores(tmp_path / "plain", dataset, protocol)
    table = divide(tmp_path, dataset, protocol, ("s02",), plain)
    assert table.facts["normalisation"] == "training"
    for number, before in enumerate(ready(plain, table, recentred)):
        tested = {int(window.split("/")[3]) for window in before.test.windows}

        def disturbed(signal, trial, tested=tested):
            return np.where(np.isin(trial, list(tested))[:, None, None], signal[:, ::-1] * 7 + 30, signal)

        changed = stores(tmp_path / "changed", dataset, protocol, signal_of=disturbed)
        after = ready(changed, table, recentred)[number]
        assert contents(before.train) == contents(after.train)
        assert contents(before.val) == contents(after.val)
        assert contents(before.test) != contents(after.test)


def test_the_papers_protocol_normalises_by_test_windows_too(tmp_path):
    plain = stores(tmp_path / "plain", "deap", "paper")
    table = divide(tmp_path, "deap", "paper", ("s02",), plain)
    assert table.facts["normalisation"] == "all"
    before = ready(plain, table)[0]
    tested = set(before.test.windows)
    rows = pool(plain).ids.isin(tested)

    def disturbed(signal, trial):
        return np.where(rows[:, None, None], signal * 7, signal)

    after = ready(stores(tmp_path / "changed", "deap", "paper", signal_of=disturbed), table)[0]
    assert contents(before.train) != contents(after.train)


def test_test_windows_are_scaled_by_the_training_windows_of_their_session(tmp_path):
    paths = stores(tmp_path / "plain", "deap", "strict_trial")
    table = divide(tmp_path, "deap", "strict_trial", ("s02",), paths)
    (raw, *_), (fold, *_) = folds(pool(paths), table), ready(paths, table)
    mean = np.asarray(raw.train.x).mean((0, 2), dtype=np.float64)[:, None]
    deviation = np.asarray(raw.train.x).std((0, 2), dtype=np.float64)[:, None]
    for before, after in ((raw.train, fold.train), (raw.val, fold.val), (raw.test, fold.test)):
        expected = np.clip((before.x - mean) / deviation, -6, 6)
        np.testing.assert_allclose(after.x, expected, rtol=1e-4, atol=1e-4)


def test_every_window_comes_with_its_own_signal_and_label(tmp_path):
    paths = stores(tmp_path / "plain", "deap", "strict_trial")
    table = divide(tmp_path, "deap", "strict_trial", ("s02",), paths)
    store = WindowStore.open(paths[0])
    position = {window: row for row, window in enumerate(store.table["window"])}
    for fold in folds(pool(paths), table):
        for part in (fold.train, fold.val, fold.test):
            rows = [position[window] for window in part.windows]
            np.testing.assert_array_equal(part.x, store.signal[rows])
        known = fold.train + fold.val
        high = store.table["valence"].to_numpy()[[position[window] for window in known.windows]] > 5
        np.testing.assert_array_equal(known.y, high)
        assert len(known) + len(fold.test) == TRIALS * WINDOWS


def test_trials_without_a_label_are_in_no_fold(tmp_path):
    labels = [np.nan if t == 4 else t % 2 for t in range(TRIALS)]
    paths = stores(tmp_path / "plain", "deap", "strict_trial", labels=labels)
    table = divide(tmp_path, "deap", "strict_trial", ("s02",), paths)
    trials = table.rows["window"].str.split("/").str[3].astype(int)
    assert sorted(set(trials)) == [t for t in range(1, TRIALS + 1) if t != 5]


# Subjects that a job takes in turn.


@pytest.mark.parametrize(("dataset", "protocol"), [("seed", "seed_9_6"), ("deap", "strict_trial"), ("deap", "paper")])
def test_subjects_that_a_job_takes_in_turn_get_the_folds_that_each_would_get_alone(tmp_path, dataset, protocol):
    paths = [write(tmp_path, dataset, name) for name in SUBJECTS]
    alone = [divide(tmp_path, dataset, protocol, (name,), (path,)) for name, path in zip(SUBJECTS, paths, strict=True)]
    together = divide(tmp_path, dataset, protocol, SUBJECTS, tuple(paths))
    pd.testing.assert_frame_equal(together.rows, pd.concat([table.rows for table in alone], ignore_index=True))
    assert together.rows["fold"].nunique() == sum(table.rows["fold"].nunique() for table in alone)
    singly = [fold for path, table in zip(paths, alone, strict=True) for fold in ready((path,), table)]
    for one, two in zip(ready(tuple(paths), together), singly, strict=True):
        assert one.name == two.name
        for a, b in ((one.train, two.train), (one.val, two.val), (one.test, two.test)):
            assert np.array_equal(a.windows, b.windows)
            assert np.array_equal(a.x, b.x)
            assert np.array_equal(a.y, b.y)


ARMS = {
    "classical": Classical(kind="classical", pipeline="de_svm"),
    "network": Braindecode(kind="braindecode", model="EEGNet"),
}


@pytest.mark.parametrize("kind", ARMS)
def test_a_job_of_several_subjects_predicts_what_one_of_each_would(tmp_path, kind):
    paths = [write(tmp_path, "deap", name) for name in SUBJECTS]

    def predictions(names, windows):
        path = tmp_path / "+".join(names)
        divide(tmp_path, "deap", "strict_trial", names, windows)
        request = FinetuneRequest(
            **{"code": "", "windows": windows, "split": tmp_path / "strict_trial.parquet", "audit": path, "threads": 1},
            **{"arm": ARMS[kind], "finetuning": Finetuning(epochs=2, warmup_epochs=0, batch=16), "thawed": 0},
            **{"seeds": (0, 1), "precision": "float32", "resume": path / "resume", "predictions": path / "p.parquet"},
            **{"history": path / "h.csv", "card": path / "c.json"},
        )
        finetune(request)
        return read_table(request.predictions).rows

    singly = [predictions((name,), (path,)) for name, path in zip(SUBJECTS, paths, strict=True)]
    together = predictions(SUBJECTS, tuple(paths))
    pd.testing.assert_frame_equal(together, pd.concat(singly, ignore_index=True))
