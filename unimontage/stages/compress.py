"""Rule compress: train a compressor on a corpus and give each of its windows a short vector."""

import hashlib
import json
from pathlib import Path

from unimontage.config.distillation import Compressor
from unimontage.distillation.latents import LatentWriter
from unimontage.models.weights import save_weights
from unimontage.splits.files import read_table, require_same_tables
from unimontage.stages.request import Request, logger
from unimontage.training.compression import CompressorWork, rows_of, schedule
from unimontage.training.devices import open_device
from unimontage.training.folds import require_complete
from unimontage.training.pretraining import pretrain
from unimontage.windows import WindowPool, WindowStore
from unimontage.windows.atomic import atomic


class CompressRequest(Request):
    """Compress the windows of one corpus of one montage."""

    windows: tuple[Path, ...]
    ids: Path
    compressor: Compressor
    seed: int
    precision: str = "auto"
    resume: Path
    events: Path
    threads: int
    deadline: float | None = None
    weights: Path
    config: Path
    latents: Path
    latent_ids: Path
    history: Path


def compress(request: CompressRequest) -> None:
    """Train a compressor, going on from a checkpoint of the same work, and encode every window of the corpus."""
    stores = [WindowStore.open(path) for path in request.windows]
    ids = read_table(request.ids)
    hashes = {f"{s.attributes['dataset']}/{s.attributes['subject']}": s.attributes["table_hash"] for s in stores}
    require_same_tables(ids, hashes, str(request.ids))
    pool = WindowPool.of(stores)
    require_complete(pool)
    rows = rows_of(pool, ids.rows["window"])
    work = CompressorWork(pool, rows, request.compressor, request.seed)
    identity = _identity(request, hashes)
    checkpoint, fabric = request.resume / "checkpoint.pt", open_device(request.threads, request.precision)
    logger.info("%d windows of %d subjects", len(rows), len(stores))
    history = pretrain(
        work,
        schedule(request.compressor),
        seed=request.seed,
        fabric=fabric,
        checkpoint=checkpoint,
        identity=identity,
        events=request.events,
        deadline=request.deadline,
    )
    facts = {name: ids.facts[name] for name in ("corpus", "holdout", "tables", "synthetic")}
    facts |= {"seed": request.seed, "compressor": request.compressor.model_dump(), "code": request.code}
    save_weights(request.weights, work.kept, work.describe() | facts)
    with LatentWriter(request.latents, 8 * request.compressor.width) as writer:
        for chosen, values in work.latents(rows, fabric):
            writer.append(pool.ids[chosen], values)
        writer.finish()
    with atomic(request.history) as aside:
        history.to_csv(aside, index=False)
    checkpoint.unlink(missing_ok=True)
    logger.info("loss %.3f", history["loss"].iloc[-1])


def _identity(request: CompressRequest, hashes: dict[str, str]) -> str:
    """Hash of all that the compressor depends on."""
    parts = {"code": request.code, "options": request.compressor.model_dump(), "seed": request.seed, "tables": hashes}
    return hashlib.sha256(json.dumps(parts | {"precision": request.precision}, sort_keys=True).encode()).hexdigest()
