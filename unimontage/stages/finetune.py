"""Rules within_subject, cross_subject and transfer: one arm on some target subjects, all folds and seeds."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from unimontage.config.arms import Arm, Classical, Finetuning
from unimontage.errors import Interrupted
from unimontage.splits.files import Table, read_table, require_same_tables, write_table
from unimontage.stages.request import Request, logger
from unimontage.training.answer import Answer, Start
from unimontage.training.interruption import Interruption
from unimontage.training.kept import Kept
from unimontage.windows import WindowPool, WindowStore
from unimontage.windows.atomic import atomic

HISTORY = ("fold", "seed", "epoch", "train_loss", "val_loss")


class FinetuneRequest(Request):
    """Train one arm on the folds of some target subjects and predict their test windows."""

    windows: tuple[Path, ...]
    split: Path
    audit: Path
    weights: tuple[Path, ...] = ()
    arm: Arm
    start: Start | None = None
    finetuning: Finetuning
    thawed: int
    seeds: tuple[int, ...]
    order_seed: int | None = None
    precision: str = "auto"
    resume: Path
    deadline: float | None = None
    threads: int
    predictions: Path
    history: Path
    card: Path


def finetune(request: FinetuneRequest) -> None:
    """Train every fold and seed of a job and write predictions, learning curves and the job's card."""
    split = read_table(request.split)
    stores = [WindowStore.open(path) for path in request.windows]
    tables = {store.attributes["subject"]: store.attributes["table_hash"] for store in stores}
    require_same_tables(split, tables, str(request.split))
    known = split.facts | {
        "arm": request.arm.model_dump(mode="json"),
        "finetuning": request.finetuning.model_dump(mode="json"),
        "split_sha256": _sha256(request.split),
        "weights_sha256": {str(path): _sha256(path) for path in request.weights},
        "code": request.code,
    }
    kept = Kept(request.resume, _identity(request, known))
    answers = _uninterrupted(request, WindowPool.of(stores), split, kept)
    facts = known | {"seeds": sorted({answer.seed for answer in answers})}
    write_table(request.predictions, pd.concat([_rows(answer) for answer in answers], ignore_index=True), facts)
    _write_history(request.history, answers)
    with atomic(request.card) as aside:
        aside.write_text(json.dumps(facts | _notes(answers), indent=1))
    kept.clear()
    logger.info("%d folds, seeds %s", len({answer.fold for answer in answers}), facts["seeds"])


def _identity(request: FinetuneRequest, known: dict[str, object]) -> str:
    """Hash of all that an answer depends on."""
    start = request.start and request.start.model_dump(mode="json")
    parts = known | {"start": start, "thawed": request.thawed, "seeds": request.seeds, "precision": request.precision}
    parts["order_seed"] = request.order_seed
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _uninterrupted(request: FinetuneRequest, pool: WindowPool, split: Table, kept: Kept) -> list[Answer]:
    """All answers; stops between two of them where the batch system wants the machine back."""
    runs = 1 if isinstance(request.arm, Classical) else len(request.seeds)
    answers, total = [], split.rows["fold"].nunique() * runs
    with Interruption(request.deadline) as interruption:
        for answer in _answers(request, pool, split, kept):
            answers.append(answer)
            reason = interruption.reason()
            if reason and len(answers) < total:
                done = f"{len(answers)} of {total} folds and seeds are kept"
                raise Interrupted(f"{reason}: {done}, the next attempt goes on from there")
    return answers


def _answers(request: FinetuneRequest, pool: WindowPool, split: Table, kept: Kept) -> Iterator[Answer]:
    """One answer a fold and seed, from whatever kind of model the arm is."""
    if isinstance(request.arm, Classical):
        from unimontage.training import pipelines

        return pipelines.answers(request.arm, pool, split, seed=request.seeds[0], kept=kept)
    from unimontage.training import networks
    from unimontage.training.devices import open_device

    fabric = open_device(request.threads, request.precision)
    classes = len(split.facts["classes"])
    builder = networks.builder(request.arm, request.start, request.weights, pool, classes, fabric)
    schedule = {"options": request.finetuning, "thawed": request.thawed, "seeds": request.seeds}
    schedule["order"] = request.order_seed
    return networks.answers(builder, request.arm, pool, split, fabric=fabric, kept=kept, **schedule)


def _rows(answer: Answer) -> pd.DataFrame:
    table = answer.table()
    table.insert(0, "fold", answer.fold)
    table.insert(1, "seed", answer.seed)
    return table


def _write_history(path: Path, answers: Sequence[Answer]) -> None:
    parts = [answer.fitted.history.assign(fold=answer.fold, seed=answer.seed) for answer in answers]
    with atomic(path) as aside:
        pd.concat(parts, ignore_index=True)[list(HISTORY)].to_csv(aside, index=False)


def _notes(answers: Sequence[Answer]) -> dict[str, object]:
    """What the card says of the training itself."""
    runs = [{"fold": a.fold, "seed": a.seed, "epoch": a.fitted.epoch} | a.notes for a in answers]
    return {"runs": runs}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
