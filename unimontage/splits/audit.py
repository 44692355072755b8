"""The leakage audit: what training, normalisation and pre-training know of the test windows.

It goes by the names of windows, by where they lie, and by what they hold: their exact content, and landmarks that a
shift in time, a gain and another reference leave in place. It cannot recognise a copy that was filtered or resampled in
another way, has other channels or channels with unlike gains, or is buried in noise; nor can it know that two names are
one person, that several subjects saw the same stimulus, or what a person who chose the options had seen before.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from unimontage.signal.windowing import STILL, marks_of

HARMLESS = ("training", "recording")
"""Where normalisation may take its statistics from: training windows, or each recording by itself."""
ALIKE, FEWEST = 0.5, 4
"""Share and number of a window's landmarks that another recording has too when it is a copy."""
UNKNOWN = -1
"""What stands in a split in place of the label of a test window."""


@dataclass(frozen=True)
class Leak:
    """One way in which test data reached training.

    Attributes
    ----------
    kind : str
        shared_window, shared_trial, shared_subject, overlapping_samples, duplicated_signal, resembling_signal,
        normalisation, pretraining, pretraining_subject or test_labels.
    fold : str
        Fold in which it was found.
    count : int
        Test windows concerned.
    example : str
        The first of them.
    """

    kind: str
    fold: str
    count: int
    example: str

    def __str__(self) -> str:
        """One phrase for logs and errors."""
        return f"{self.kind.replace('_', ' ')} in fold {self.fold}: {self.count} test windows, first {self.example}"

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


def audit_fold(
    train: pd.DataFrame, test: pd.DataFrame, *, fold: str, samples: int, between_subjects: bool = False
) -> list[Leak]:
    """Look for test data among the windows that a fold trains and validates on.

    Parameters
    ----------
    train, test : DataFrame
        Window tables (``window``, ``subject``, ``session``, ``trial``, ``start_sample``, ``digest``); ``train`` holds
        the validation windows too.
    fold : str
        Name of the fold.
    samples : int
        Length of a window in samples.
    between_subjects : bool
        Also refuse a test subject among the training subjects.

    Returns
    -------
    list of Leak
        Empty when the fold is clean.
    """
    trial = ["subject", "session", "trial"]
    found = {
        "shared_window": test["window"].isin(train["window"]),
        "shared_trial": _keys(test, trial).isin(_keys(train, trial)),
        "overlapping_samples": _overlaps(train, test, samples),
        "duplicated_signal": _copied(train, test) & ~test["window"].isin(train["window"]),
    }
    found["resembling_signal"] = _resembles(train, test) & ~found["shared_window"] & ~found["duplicated_signal"]
    if between_subjects:
        found["shared_subject"] = test["subject"].isin(train["subject"])
    return _leaks(found, test, fold)


def audit_pretraining(seen: pd.DataFrame, test: pd.DataFrame, *, fold: str) -> list[Leak]:
    """Look for test windows, copies of their signal, and their subjects in what an encoder was pre-trained on.

    Parameters
    ----------
    seen : DataFrame
        ``window`` and ``digest`` of the pre-training windows.
    test : DataFrame
        ``window`` and ``digest`` of the test windows.
    fold : str
        Name of the fold.
    """
    same = test["window"].isin(seen["window"]) | _copied(seen, test) | _resembles(seen, test)
    return _leaks({"pretraining": same, "pretraining_subject": _person(test).isin(_person(seen)) & ~same}, test, fold)


def audit_labels(rows: pd.DataFrame, *, fold: str) -> list[Leak]:
    """No split may hold the labels that it is to be tested on; evaluation reads them elsewhere.

    Parameters
    ----------
    rows : DataFrame
        ``window`` and ``target`` of the test rows of a split.
    fold : str
        Name of the fold.
    """
    return _leaks({"test_labels": rows["target"] != UNKNOWN}, rows, fold)


def audit_normalisation(source: str, *, fold: str, test: pd.DataFrame) -> list[Leak]:
    """Normalisation must take its statistics from training windows, or from each recording by itself.

    Parameters
    ----------
    source : str
        What the statistics come from: ``training``, ``recording`` or ``all``.
    fold : str
        Name of the fold.
    test : DataFrame
        Window table of the test windows.
    """
    return _leaks({"normalisation": pd.Series(source not in HARMLESS, index=test.index)}, test, fold)


def _leaks(found: Mapping[str, pd.Series], test: pd.DataFrame, fold: str) -> list[Leak]:
    return [
        Leak(kind, fold, int(hit.sum()), str(test["window"][hit].iloc[0])) for kind, hit in found.items() if hit.any()
    ]


def _keys(table: pd.DataFrame, columns: list[str]) -> pd.Series:
    return table[columns].astype(str).agg("/".join, axis=1) if len(table) else pd.Series(dtype=str)


def _person(table: pd.DataFrame) -> pd.Series:
    """Dataset and subject of each window, from its id."""
    return table["window"].str.extract("^([^/]+/[^/]+)/", expand=False)


def _copied(known: pd.DataFrame, test: pd.DataFrame) -> pd.Series:
    """Test windows whose content others have too; windows in which nothing moves have none."""
    return test["digest"].isin(known["digest"]) & ~test["digest"].str.startswith(STILL)


def _resembles(known: pd.DataFrame, test: pd.DataFrame) -> pd.Series:
    """Test windows that share landmarks with others: shifted, amplified or re-referenced copies."""
    marks, place = marks_of(test["digest"])
    hits = np.bincount(place[np.isin(marks, marks_of(known["digest"])[0])], minlength=len(test))
    own = np.bincount(place, minlength=len(test))
    return pd.Series((hits >= FEWEST) & (hits >= ALIKE * own), index=test.index)


def _overlaps(train: pd.DataFrame, test: pd.DataFrame, samples: int) -> pd.Series:
    """Test windows that share a sample with a training window of the same session."""
    hit = pd.Series(False, index=test.index)
    starts = {
        key: group["start_sample"].sort_values().to_numpy() for key, group in train.groupby(["subject", "session"])
    }
    for key, group in test.groupby(["subject", "session"]):
        others = starts.get(key)
        if others is None:
            continue
        start = group["start_sample"].to_numpy()
        # the first training window that ends after the test window starts; does it start before the test window ends?
        first = others.searchsorted(start - samples, side="right")
        inside = first < len(others)
        hit.loc[group.index[inside]] = others[first[inside]] < start[inside] + samples
    return hit
