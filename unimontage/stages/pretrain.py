"""Rule pretrain: self-supervised pre-training of one recipe on one corpus."""

import hashlib
import json
from pathlib import Path

import pandas as pd

from unimontage.config.recipes import Recipe
from unimontage.errors import UserError
from unimontage.models.weights import save_weights
from unimontage.montage.schema import Vocabulary
from unimontage.splits.files import read_table, require_same_tables
from unimontage.stages.request import Request, logger
from unimontage.training.corpus import SegmentCorpus
from unimontage.training.devices import open_device
from unimontage.training.pretraining import describe
from unimontage.training.pretraining import pretrain as fit
from unimontage.windows import WindowStore
from unimontage.windows.atomic import atomic


class PretrainRequest(Request):
    """Pre-train one encoder."""

    windows: tuple[Path, ...]
    ids: Path
    recipe: Recipe
    vocabulary: tuple[str, ...]
    rates: tuple[float, ...]
    seed: int
    precision: str = "auto"
    resume: Path
    events: Path
    threads: int
    weights: Path
    config: Path
    history: Path


def pretrain(request: PretrainRequest) -> None:
    """Pre-train an encoder and write its weights; go on from a checkpoint of the same work."""
    stores = [WindowStore.open(path) for path in request.windows]
    ids = read_table(request.ids)
    hashes = {f"{s.attributes['dataset']}/{s.attributes['subject']}": s.attributes["table_hash"] for s in stores}
    require_same_tables(ids, hashes, str(request.ids))
    vocabulary = Vocabulary(request.vocabulary)
    corpus = SegmentCorpus(stores, ids.rows["window"], vocabulary, request.rates)
    if len(corpus) < 4:
        raise UserError(f"{request.ids} lists {len(corpus)} windows", expected="at least four to contrast")
    identity = _identity(request, hashes)
    checkpoint = request.resume / "checkpoint.pt"
    logger.info("%d windows of %d subjects, %d electrodes", len(corpus), len(stores), len(vocabulary))
    encoder, history = fit(
        corpus,
        request.recipe,
        vocabulary,
        request.rates,
        seed=request.seed,
        fabric=open_device(request.threads, request.precision),
        checkpoint=checkpoint,
        identity=identity,
        events=request.events,
    )
    facts = {
        "corpus": ids.facts["corpus"],
        "holdout": ids.facts["holdout"],
        "synthetic": ids.facts["synthetic"],
        "seed": request.seed,
        "tables": hashes,
        "code": request.code,
        "identity": identity,
    }
    save_weights(request.weights, encoder, describe(request.recipe, vocabulary, request.rates) | facts)
    _write_history(request.history, history)
    checkpoint.unlink(missing_ok=True)
    logger.info("loss %.3f, spread %.2f", history["loss"].iloc[-1], history["spread"].iloc[-1])


def _identity(request: PretrainRequest, hashes: dict[str, str]) -> str:
    """Hash of all that the weights depend on."""
    parts = {
        "code": request.code,
        "recipe": request.recipe.model_dump(mode="json"),
        "vocabulary": request.vocabulary,
        "rates": request.rates,
        "seed": request.seed,
        "precision": request.precision,
        "tables": hashes,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _write_history(path: Path, history: pd.DataFrame) -> None:
    with atomic(path) as aside:
        history.to_csv(aside, index=False)
