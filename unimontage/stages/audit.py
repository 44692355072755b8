"""Rule audit: no training job starts before its split has been searched for leaks."""

import json
from pathlib import Path

import pandas as pd

from unimontage.config.protocols import ACROSS_SUBJECTS, PRINTED, Division
from unimontage.errors import UserError
from unimontage.splits.audit import Leak, audit_fold, audit_labels, audit_normalisation, audit_pretraining
from unimontage.splits.files import Table, ids_by_role, read_table, require_same_tables
from unimontage.stages.request import Request, logger
from unimontage.windows import WindowStore
from unimontage.windows.atomic import atomic


class AuditRequest(Request):
    """Search one split, and the pre-trainings of the arms that use it, for leaks."""

    windows: tuple[Path, ...]
    split: Path
    corpora: tuple[Path, ...]
    audit: Path


def audit(request: AuditRequest) -> None:
    """Write what was found; stop when a strict protocol leaks.

    Raises
    ------
    UserError
        A strict split shares trials, samples or signal with its training windows, or with a pre-training.
    """
    split = read_table(request.split)
    stores = [WindowStore.open(path) for path in request.windows]
    require_same_tables(
        split, {s.attributes["subject"]: s.attributes["table_hash"] for s in stores}, str(request.split)
    )
    table = pd.concat([store.table.assign(subject=store.attributes["subject"]) for store in stores])
    table = table.set_index("window", drop=False)
    seen = [(path, read_table(path)) for path in request.corpora]
    leaks = [
        (source, leak)
        for fold in split.rows["fold"].unique()
        for source, leak in _leaks(fold, split, table, seen, stores[0].signal.shape[2])
    ]
    strict = Division.parse(split.facts["protocol"]).protocol not in PRINTED
    verdict = "clean" if not leaks else "leaks" if strict else "leaks, as this protocol does by design"
    report = {
        "protocol": split.facts["protocol"],
        "verdict": verdict,
        "pretraining": [str(path) for path in request.corpora],
        "leaks": [leak.as_dict() | {"source": source} for source, leak in leaks],
        "synthetic": split.facts["synthetic"],
    }
    logger.info("%s: %s", split.facts["protocol"], verdict)
    if strict and leaks:
        source, leak = leaks[0]
        raise UserError(
            f"{request.split} leaks ({source}): {leak}" + (f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""),
            expected="no test window, or copy of its signal, in training",
            mend="look for the same recording under two names and `exclude:` one of them",
        )
    with atomic(request.audit) as aside:
        aside.write_text(json.dumps(report, indent=1))


def _leaks(
    fold: str, split: Table, table: pd.DataFrame, seen: list[tuple[Path, Table]], samples: int
) -> list[tuple[str, Leak]]:
    train, val, test = (table.loc[rows["window"]] for rows in ids_by_role(split.rows, fold))
    between = Division.parse(split.facts["protocol"]).protocol in ACROSS_SUBJECTS
    within = audit_fold(pd.concat([train, val]), test, fold=fold, samples=samples, between_subjects=between)
    within += audit_normalisation(split.facts["normalisation"], fold=fold, test=test)
    test_rows = split.rows[(split.rows["fold"] == fold) & (split.rows["role"] == "test")]
    within += audit_labels(test_rows, fold=fold)
    found = [("training", leak) for leak in within]
    for path, ids in seen:
        found += [(f"{path.parent.name}/{path.stem}", leak) for leak in audit_pretraining(ids.rows, test, fold=fold)]
    return found
