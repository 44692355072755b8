"""The leakage audit: what training, normalisation and pre-training know of the test windows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

HARMLESS = ("training", "recording")
"""Where normalisation may take its statistics from: training windows, or each recording by itself."""


@dataclass(frozen=True)
class Leak:
    """One way in which test data reached training.

    Attributes
    ----------
    kind : str
        shared_window, shared_trial, shared_subject, overlapping_samples, duplicated_signal, normalisation or
        pretraining.
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
        "duplicated_signal": test["digest"].isin(train["digest"]) & ~test["window"].isin(train["window"]),
    }
    if between_subjects:
        found["shared_subject"] = test["subject"].isin(train["subject"])
    return _leaks(found, test, fold)


def audit_pretraining(seen: pd.DataFrame, test: pd.DataFrame, *, fold: str) -> list[Leak]:
    """Look for test windows, or other copies of their signal, among the windows that an encoder was pre-trained on.

    Parameters
    ----------
    seen : DataFrame
        ``window`` and ``digest`` of the pre-training windows.
    test : DataFrame
        ``window`` and ``digest`` of the test windows.
    fold : str
        Name of the fold.
    """
    return _leaks(
        {"pretraining": test["window"].isin(seen["window"]) | test["digest"].isin(seen["digest"])}, test, fold
    )


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
