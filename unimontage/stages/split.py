"""Rule split: which windows train, validate and test."""

from pathlib import Path

import numpy as np
import pandas as pd

from unimontage.config.protocols import POOLED, PRINTED, SHARED, Division
from unimontage.config.splits import Splits
from unimontage.datasets import facts
from unimontage.errors import UserError
from unimontage.splits import protocols
from unimontage.splits.budget import draw
from unimontage.splits.files import write_table
from unimontage.stages.request import Request, logger
from unimontage.windows import WindowStore


class SplitRequest(Request):
    """Divide the windows of the subjects that a job tests."""

    windows: tuple[Path, ...]
    dataset: str
    task: str
    protocol: str
    subjects: tuple[str, ...]
    roles: dict[str, str]
    splits: Splits
    split: Path


def split(request: SplitRequest) -> None:
    """Write the folds of target subjects under a protocol, one subject after the other."""
    task = facts(request.dataset).tasks[request.task]
    stores = [WindowStore.open(path) for path in request.windows]
    table = pd.concat([_labelled(store, task, request.splits.threshold_inclusive) for store in stores])
    table = table[table["target"] >= 0].reset_index(drop=True)
    pooled = Division.parse(request.protocol).protocol in POOLED
    units = ["all"] if pooled else request.subjects
    folds = pd.concat([_of_unit(table, unit, request) for unit in units], ignore_index=True)
    write_table(
        request.split,
        folds,
        {
            "dataset": request.dataset,
            "task": request.task,
            "classes": list(task.classes),
            "protocol": request.protocol,
            "subjects": list(request.subjects),
            "splits": request.splits.model_dump(),
            "normalisation": _normalisation(request),
            "tables": {store.attributes["subject"]: store.attributes["table_hash"] for store in stores},
            "synthetic": any(store.attributes["synthetic"] for store in stores),
            "code": request.code,
        },
    )
    counts = folds.groupby("role", observed=True).size().to_dict()
    logger.info("%d folds, %s", folds["fold"].nunique(), counts)


def _labelled(store: WindowStore, task: object, inclusive: bool) -> pd.DataFrame:
    table = store.table[["window", "session", "trial"]].copy()
    table["subject"] = store.attributes["subject"]
    targets = task.targets(store.table, inclusive)
    table["target"] = np.where(np.isnan(targets).any(axis=1), -1, 0) if task.regression else targets.astype(np.int64)
    return table


def _of_unit(table: pd.DataFrame, unit: str, request: SplitRequest) -> pd.DataFrame:
    """The folds of one subject, whose name they bear, or of all at once."""
    shared = Division.parse(request.protocol).protocol in SHARED
    try:
        folds = _divide(table if shared else table[table["subject"] == unit], unit, request)
    except UserError as error:
        where = f"{request.dataset} subject {unit}, task {request.task}, protocol {request.protocol}"
        raise UserError(f"{where}: {error.what}", expected=error.expected, mend=error.mend) from error
    return folds.assign(fold=f"{unit}-" + folds["fold"])


def _divide(table: pd.DataFrame, unit: str, request: SplitRequest) -> pd.DataFrame:
    options = request.splits
    folds = options.folds or facts(request.dataset).strict_folds
    division = Division.parse(request.protocol)
    match division.protocol:
        case "paper":
            divided = protocols.paper(table, folds=folds, seed=options.seed)
        case "strict_trial":
            divided = protocols.strict_trial(table, folds=folds, seed=options.seed, validation=options.validation)
        case "seed_9_6":
            divided = protocols.seed_9_6(table, seed=options.seed, validation=options.validation)
        case "strict_loso":
            divided = protocols.strict_loso(table, unit, seed=options.seed, validation=options.validation)
        case "strict_subject" | "paper_subject":
            divided = protocols.by_subject(table, request.roles)
        case "strict_official" | "paper_official":
            keys = zip(table["subject"], table["session"], table["trial"], strict=True)
            roles = np.array([facts(request.dataset).official(*key) for key in keys], dtype=object)
            divided = protocols.official(table, roles, validate_on_test=division.protocol == "paper_official")
    return draw(divided, division.percent, division.unit, seed=options.seed, draws=options.label_draws)


def _normalisation(request: SplitRequest) -> str:
    """What the windows of a fold are scaled by."""
    if facts(request.dataset).continuous:
        return "recording"
    return "all" if request.protocol in PRINTED else "training"
