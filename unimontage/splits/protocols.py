"""Protocols: how windows are divided into training, validation and test.

Every function takes a table with one row a labelled window (``window``, ``subject``, ``session``, ``trial``,
``target``) and returns a table with one row a window and fold (``fold``, ``role``, ``window``, ``target``).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from unimontage.errors import UserError

SEED_TRAINING_TRIALS = 9


def paper(windows: pd.DataFrame, *, folds: int, seed: int) -> pd.DataFrame:
    """Random stratified folds over windows, within each session; neighbours of one trial fall on both sides.

    This is the reconstruction of the published protocol, kept under its name so that its price can be measured. It has
    no validation set: the last epoch counts.
    """
    parts = []
    # in one order, whatever the table's: the draw assigns positions
    for session, group in windows.sort_values("window").groupby("session", sort=True):
        _require_members(group["target"].value_counts(), folds, f"session {session}", "windows")
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        for k, (_, test) in enumerate(splitter.split(group, group["target"])):
            role = np.full(len(group), "train", dtype=object)
            role[test] = "test"
            parts.append(_fold(group, f"{session}-{k}", role))
    return pd.concat(parts, ignore_index=True)


def strict_trial(windows: pd.DataFrame, *, folds: int, seed: int, validation: float) -> pd.DataFrame:
    """Stratified folds over whole trials, within each session.

    A share ``validation`` of each fold's training trials, at least one a class, chooses the epoch.
    """
    parts = []
    for session, group in windows.groupby("session", sort=True):
        trials = _trials(group)
        _require_members(trials["target"].value_counts(), folds, f"session {session}", "trials", at_least=2)
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        for k, (_, test) in enumerate(_quietly(splitter, trials)):
            parts.append(
                _trial_fold(group, trials, trials["trial"].to_numpy()[test], f"{session}-{k}", seed, k, validation)
            )
    return pd.concat(parts, ignore_index=True)


def seed_9_6(windows: pd.DataFrame, *, seed: int, validation: float) -> pd.DataFrame:
    """The usual division of SEED: the first nine clips of a session train, the last six test."""
    parts = []
    for session, group in windows.groupby("session", sort=True):
        trials = _trials(group)
        test = trials["trial"][trials["trial"] > SEED_TRAINING_TRIALS].to_numpy()
        if not len(test):
            raise UserError(
                f"session {session} has trials {sorted(trials['trial'])}",
                expected="fifteen trials, of which the last six test",
                mend="use protocol strict_trial",
            )
        parts.append(_trial_fold(group, trials, test, f"{session}-0", seed, 0, validation))
    return pd.concat(parts, ignore_index=True)


def strict_loso(windows: pd.DataFrame, subject: str, *, seed: int, validation: float) -> pd.DataFrame:
    """Leave one subject out: ``subject`` tests, a share of the others validates, the rest trains."""
    others = sorted(set(windows["subject"]) - {subject})
    if len(others) < 2:
        raise UserError(
            f"strict_loso for subject {subject} finds {len(others)} other subjects with labels",
            expected="at least two: one to train on and one to validate",
            mend="add subjects to the dataset",
        )
    order = np.random.default_rng([seed, _number(subject)]).permutation(others)
    count = max(1, round(validation * len(others)))
    chosen = _validation_subjects(windows[windows["subject"] != subject], order, count)
    role = np.where(windows["subject"] == subject, "test", np.where(windows["subject"].isin(chosen), "val", "train"))
    return _fold(windows, "0", role)


def by_subject(windows: pd.DataFrame, roles: Mapping[str, str]) -> pd.DataFrame:
    """Divide by subject: each one wholly trains, validates or tests.

    Parameters
    ----------
    windows : DataFrame
        One row a labelled window.
    roles : mapping
        Subject to ``train``, ``val`` or ``test``.

    Raises
    ------
    UserError
        A role has no labelled window, or training lacks a class that the others have.
    """
    role = windows["subject"].map(roles).to_numpy()
    for wanted in ("train", "val", "test"):
        if not (role == wanted).any():
            raise UserError(f"no labelled window of a subject that is to {wanted}", mend="add subjects to the dataset")
    lost = set(windows["target"]) - set(windows["target"][role == "train"])
    if lost:
        raise UserError(
            f"no training subject has class {', '.join(map(str, sorted(lost)))}",
            expected="every class in training",
            mend="splits: {seed: ...} divides the subjects otherwise",
        )
    return _fold(windows, "0", role)


def official(windows: pd.DataFrame, role: np.ndarray, *, validate_on_test: bool) -> pd.DataFrame:
    """Divide as the dataset comes divided.

    Parameters
    ----------
    windows : DataFrame
        One row a labelled window.
    role : ndarray of str, shape (rows,)
        ``train``, ``val`` or ``test``.
    validate_on_test : bool
        Choose the epoch on the test windows, as a published pipeline does; what should have validated then trains.

    Raises
    ------
    UserError
        A role has no labelled window.
    """
    for wanted in ("train", "val", "test"):
        if not (role == wanted).any():
            raise UserError(
                f"no labelled window that is to {wanted}",
                expected="subjects and sessions of every part of the official division",
                mend="datasets: {...: {subjects: all, sessions: all}}",
            )
    if not validate_on_test:
        return _fold(windows, "0", role)
    folds = _fold(windows, "0", np.where(role == "val", "train", role))
    test = windows[role == "test"]
    again = pd.DataFrame({"fold": "0", "role": "val", "window": test["window"], "target": test["target"]})
    return pd.concat([folds, again], ignore_index=True)


def _fold(windows: pd.DataFrame, fold: str, role: np.ndarray) -> pd.DataFrame:
    target = np.where(role == "test", -1, windows["target"])  # test labels belong to evaluation
    return pd.DataFrame({"fold": fold, "role": role, "window": windows["window"].to_numpy(), "target": target})


def _trial_fold(
    windows: pd.DataFrame,
    trials: pd.DataFrame,
    test: np.ndarray,
    fold: str,
    seed: int,
    k: int,
    validation: float,
) -> pd.DataFrame:
    rest = trials[~trials["trial"].isin(test)]
    rng = np.random.default_rng([seed, k])
    chosen = np.concatenate([[], *_validation_trials(rest, validation, rng)])
    role = np.where(windows["trial"].isin(test), "test", np.where(windows["trial"].isin(chosen), "val", "train"))
    return _fold(windows, fold, role)


def _validation_trials(trials: pd.DataFrame, share: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Trials of each class that validate: a share, at least one, never the last one."""
    for _, members in trials.groupby("target", sort=True):
        count = min(max(1, round(share * len(members))), len(members) - 1)
        yield rng.choice(members["trial"].to_numpy(), size=count, replace=False)


def _validation_subjects(windows: pd.DataFrame, order: np.ndarray, count: int) -> list[str]:
    """The first ``count`` subjects without whom the others still have every class."""
    classes, chosen = windows["target"].nunique(), []
    for subject in order:
        rest = windows[~windows["subject"].isin([*chosen, subject])]
        if len(chosen) < count and rest["target"].nunique() == classes:
            chosen.append(subject)
    return chosen


def _trials(windows: pd.DataFrame) -> pd.DataFrame:
    return windows.drop_duplicates("trial")[["trial", "target"]].sort_values("trial", ignore_index=True)


def _quietly(splitter: StratifiedKFold, trials: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split without scikit-learn's warning about rare classes: such folds are scored NaN with their reason."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        yield from splitter.split(trials, trials["target"])


def _require_members(counts: pd.Series, folds: int, where: str, what: str, at_least: int | None = None) -> None:
    if counts.sum() < folds or counts.max() < folds or counts.min() < (at_least or folds):
        found = ", ".join(f"class {label}: {count}" for label, count in counts.sort_index().items())
        raise UserError(
            f"{where} has too few {what} for {folds} folds ({found})",
            expected=f"at least {folds} {what} of the commonest class and {at_least or folds} of the rarest",
            mend=f"splits: {{folds: {max(2, int(counts.min()))}}}, or exclude the subject",
        )
    if len(counts) < 2:
        raise UserError(f"{where} has one class only", expected="at least two", mend="exclude the subject")


def _number(subject: str) -> int:
    """A stable number for a subject's name."""
    return int.from_bytes(subject.encode(), "little") % (2**32)
