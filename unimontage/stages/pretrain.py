"""Rule pretrain: self-supervised pre-training of one recipe on one corpus."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from unimontage.config.recipes import MaskedRecipe, Recipe, TokenizerRecipe, UnivariateRecipe
from unimontage.errors import UserError
from unimontage.models.weights import save_weights
from unimontage.splits.files import read_table, require_same_tables
from unimontage.stages.request import Request, logger
from unimontage.training.answer import Start
from unimontage.training.devices import Layout, open_device
from unimontage.training.pretraining import Work
from unimontage.training.pretraining import pretrain as fit
from unimontage.training.ranks import launch
from unimontage.windows import WindowStore
from unimontage.windows.atomic import atomic

FEWEST_WINDOWS = 4


class PretrainRequest(Request):
    """Pre-train one encoder."""

    windows: tuple[Path, ...]
    ids: Path
    tokenizer: tuple[Path, ...] = ()
    recipe: Recipe
    start: Start
    seed: int
    order_seed: int | None = None
    precision: str = "auto"
    resume: Path
    events: Path
    threads: int
    gpus: int = 1
    nodes: int = 1
    deadline: float | None = None
    weights: Path
    config: Path
    history: Path


def pretrain(request: PretrainRequest) -> None:
    """Pre-train an encoder and write its weights; go on from a checkpoint of the same work.

    Several GPUs share every batch. What comes out is the same, but for rounding.
    """
    layout = Layout.of(request.gpus, request.nodes)
    if layout.processes == 1:
        _train(request)
    else:
        launch(_train, request, layout, folder=request.resume)


def _train(request: PretrainRequest) -> None:
    """What one process does, alone or together with others."""
    layout = Layout.of(request.gpus, request.nodes)
    fabric = open_device(request.threads, request.precision, layout)
    stores = [WindowStore.open(path) for path in request.windows]
    ids = read_table(request.ids)
    hashes = {f"{s.attributes['dataset']}/{s.attributes['subject']}": s.attributes["table_hash"] for s in stores}
    require_same_tables(ids, hashes, str(request.ids))
    if len(ids.rows) < FEWEST_WINDOWS:
        raise UserError(f"{request.ids} lists {len(ids.rows)} windows", expected="at least four")
    logger.info("%d windows of %d subjects", len(ids.rows), len(stores))
    work = _work(request, stores, ids.rows["window"], ids.facts.get("of", len(ids.rows)), fabric.device)
    if work.batch < layout.processes:
        raise UserError(f"a batch of {work.batch} for {layout.processes} processes", expected="one row each at least")
    identity = _identity(request, hashes)
    checkpoint = request.resume / "checkpoint.pt"
    history = fit(
        work,
        request.recipe.schedule,
        seed=_order(request),
        fabric=fabric,
        checkpoint=checkpoint,
        identity=identity,
        events=request.events,
        deadline=request.deadline,
    )
    facts = {
        "corpus": ids.facts["corpus"],
        "holdout": ids.facts["holdout"],
        "synthetic": ids.facts["synthetic"],
        "seed": request.seed,
        "order_seed": _order(request),
        "tables": hashes,
        "windows": len(ids.rows),
        "selection": ids.facts.get("selection"),
        "code": request.code,
        "identity": identity,
        "processes": layout.processes,
    }
    if not fabric.is_global_zero:
        return
    save_weights(request.weights, work.kept, work.describe() | facts)
    _write_history(request.history, history)
    checkpoint.unlink(missing_ok=True)
    logger.info("loss %.3f", history["loss"].iloc[-1])


def _work(
    request: PretrainRequest, stores: Sequence[WindowStore], windows: pd.Series, whole: int, device: torch.device
) -> Work:
    """What the recipe pre-trains, on the windows that it may see; ``whole`` of them before any choice."""
    drawn = (request.recipe, request.start, request.seed, _order(request), device)
    if isinstance(request.recipe, UnivariateRecipe):
        from unimontage.training import univariate

        return univariate.work(stores, windows, *drawn)
    if isinstance(request.recipe, TokenizerRecipe | MaskedRecipe):
        from unimontage.training import masked

        chosen = {"tokenizer": next(iter(request.tokenizer), None), "whole": whole}
        return masked.work(stores, windows, *drawn, **chosen)
    from unimontage.training import epochs

    return epochs.work(stores, windows, *drawn)


def _order(request: PretrainRequest) -> int:
    """Seed of everything but the initial weights."""
    return request.seed if request.order_seed is None else request.order_seed


def _identity(request: PretrainRequest, hashes: dict[str, str]) -> str:
    """Hash of all that the weights depend on."""
    parts = {
        "code": request.code,
        "recipe": request.recipe.model_dump(mode="json"),
        "start": request.start.model_dump(mode="json"),
        "seed": request.seed,
        "order_seed": request.order_seed,
        "precision": request.precision,
        "tables": hashes,
        "files": [hashlib.sha256(path.read_bytes()).hexdigest() for path in (request.ids, *request.tokenizer)],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _write_history(path: Path, history: pd.DataFrame) -> None:
    with atomic(path) as aside:
        history.to_csv(aside, index=False)
