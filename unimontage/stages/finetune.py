"""Rules within_subject, cross_subject and transfer: one arm on one target subject, all folds and seeds."""

import hashlib
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from tqdm import tqdm

from unimontage.config.arms import Arm, Classical, Finetuning, Universal
from unimontage.config.base import Block
from unimontage.config.recipes import Encoder
from unimontage.splits.files import Table, read_table, require_same_tables, write_table
from unimontage.stages.request import Request, logger
from unimontage.training.devices import open_device
from unimontage.training.finetuning import Fitted, fit_fold
from unimontage.training.folds import Fold, folds, normalised
from unimontage.windows import WindowPool, WindowStore
from unimontage.windows.atomic import atomic

HISTORY = ("fold", "seed", "epoch", "train_loss", "val_loss")


class Start(Block):
    """What an arm's encoder is built from."""

    encoder: Encoder
    vocabulary: tuple[str, ...]
    rates: tuple[float, ...]


class FinetuneRequest(Request):
    """Train one arm on one target subject and predict its test windows."""

    windows: tuple[Path, ...]
    split: Path
    audit: Path
    weights: tuple[Path, ...] = ()
    arm: Arm
    start: Start | None = None
    finetuning: Finetuning
    seeds: tuple[int, ...]
    precision: str = "auto"
    threads: int
    predictions: Path
    history: Path
    card: Path


@dataclass(frozen=True)
class Answer:
    """What one fold and seed gave."""

    fold: Fold
    seed: int
    fitted: Fitted
    notes: dict[str, object]


def finetune(request: FinetuneRequest) -> None:
    """Train every fold and seed of a job and write predictions, learning curves and the job's card."""
    split = read_table(request.split)
    stores = [WindowStore.open(path) for path in request.windows]
    tables = {store.attributes["subject"]: store.attributes["table_hash"] for store in stores}
    require_same_tables(split, tables, str(request.split))
    pool = WindowPool.of(stores)
    answers = list(_answers(request, pool, split))
    facts = split.facts | {
        "arm": request.arm.model_dump(mode="json"),
        "finetuning": request.finetuning.model_dump(mode="json"),
        "seeds": sorted({answer.seed for answer in answers}),
        "split_sha256": _sha256(request.split),
        "weights_sha256": {str(path): _sha256(path) for path in request.weights},
        "code": request.code,
        "versions": {name: version(name) for name in ("torch", "mne", "numpy", "scikit-learn", "braindecode")},
        "hardware": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu",
    }
    write_table(request.predictions, pd.concat([_rows(answer) for answer in answers], ignore_index=True), facts)
    _write_history(request.history, answers)
    with atomic(request.card) as aside:
        aside.write_text(json.dumps(facts | _notes(answers), indent=1))
    logger.info("%d folds, seeds %s", len({answer.fold.name for answer in answers}), facts["seeds"])


def _answers(request: FinetuneRequest, pool: WindowPool, split: Table) -> Iterator[Answer]:
    if isinstance(request.arm, Classical):
        yield from _classical(request, pool, split)
        return
    fabric = open_device(request.threads, request.precision)
    pooled = split.facts["protocol"] == "strict_loso"
    names = split.rows["fold"].unique()
    with tqdm(total=len(names) * len(request.seeds), desc="folds and seeds") as bar:
        for fold in folds(pool, split):
            ready = normalised(fold, source=split.facts["normalisation"], pooled=pooled, recentred=request.arm.recentre)
            for position, seed in enumerate(request.seeds):
                yield _trained(request, pool, split, ready, position, seed, fabric)
                bar.update()


def _trained(
    request: FinetuneRequest, pool: WindowPool, split: Table, fold: Fold, position: int, seed: int, fabric: Fabric
) -> Answer:
    """One fold and seed of a network."""
    classes = len(split.facts["classes"])
    torch.manual_seed(seed)
    if isinstance(request.arm, Universal):
        from unimontage.training import universal

        start, weights = request.start, request.weights[position] if request.weights else None
        built = universal.build(request.arm, start.encoder, start.vocabulary, start.rates, pool, fold, classes, weights)
    else:
        from unimontage.training import supervised

        built = supervised.build(request.arm, pool, classes)
    fitted = fit_fold(built.model, built.groups, fold, classes, request.finetuning, seed=seed, fabric=fabric)
    explanation = built.explain(fold, fabric) if built.explain else {}
    return Answer(fold, seed, fitted, built.notes | explanation)


def _classical(request: FinetuneRequest, pool: WindowPool, split: Table) -> Iterator[Answer]:
    """Every fold of a pipeline, once: it draws nothing that a seed would change, and has no epoch to choose."""
    from unimontage.models.classical import build_pipeline

    seed = request.seeds[0]
    for fold in folds(pool, split):
        known = fold.train + fold.val
        pipeline = build_pipeline(
            request.arm.pipeline,
            sfreq_hz=pool.sfreq_hz,
            channels=pool.channels,
            seed=seed,
            recentre=request.arm.recentre,
        )
        pipeline.fit(known.x, known.y, known.domain)
        probabilities = _all_classes(
            pipeline.predict_proba(fold.test.x, fold.test.domain), pipeline.classes_, len(split.facts["classes"])
        )
        history = pd.DataFrame({"epoch": [], "train_loss": [], "val_loss": []})
        yield Answer(fold, seed, Fitted(probabilities, history, 0), {"training_windows": len(known)})


def _all_classes(probabilities: np.ndarray, known: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities of all classes; one that training never saw has none."""
    full = np.zeros((len(probabilities), classes), dtype=np.float32)
    full[:, known] = probabilities
    return full


def _rows(answer: Answer) -> pd.DataFrame:
    probabilities = answer.fitted.probabilities
    columns = {f"p_{k}": probabilities[:, k] for k in range(probabilities.shape[1])}
    key = {"fold": answer.fold.name, "seed": answer.seed, "window": answer.fold.test.windows}
    return pd.DataFrame(key | columns)


def _write_history(path: Path, answers: Sequence[Answer]) -> None:
    parts = [answer.fitted.history.assign(fold=answer.fold.name, seed=answer.seed) for answer in answers]
    with atomic(path) as aside:
        pd.concat(parts, ignore_index=True)[list(HISTORY)].to_csv(aside, index=False)


def _notes(answers: Sequence[Answer]) -> dict[str, object]:
    """What the card says of the training itself."""
    runs = [{"fold": a.fold.name, "seed": a.seed, "epoch": a.fitted.epoch} | a.notes for a in answers]
    return {"runs": runs}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
