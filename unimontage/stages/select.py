"""Rule select: which windows of a corpus a distilled pre-training sees."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import pandas as pd

from unimontage.config.distillation import Distillation
from unimontage.datasets import facts
from unimontage.distillation.budget import budget
from unimontage.distillation.coverage import coverage
from unimontage.distillation.latents import Latents
from unimontage.distillation.selection import arguments
from unimontage.distillation.selection import select as choose
from unimontage.errors import UserError
from unimontage.reporting import distill_figures as draw
from unimontage.reporting.selection_card import selection_card, selection_html
from unimontage.splits.files import Table, read_table, require_same_tables, write_table
from unimontage.stages.evaluate import write_text
from unimontage.stages.figures import save
from unimontage.stages.request import Request, logger
from unimontage.windows import WindowPool, WindowStore

SHOWN = 6  # windows of each kind in the gallery


class SelectRequest(Request):
    """Choose windows of a corpus, part by part."""

    ids: tuple[Path, ...]
    latents: tuple[Path, ...] = ()
    latent_ids: tuple[Path, ...] = ()
    windows: tuple[Path, ...]
    parts: tuple[str, ...]
    distill: Distillation
    corpus: str
    holdout: str
    selection: str
    kept: Path
    table: Path
    card: Path
    html: Path
    gallery: Path
    shares: Path
    threads: int


@dataclass(frozen=True)
class Part:
    """The windows within which one choice is made."""

    pool: WindowPool
    rows: np.ndarray
    table: pd.DataFrame
    latents: np.ndarray | None


def select(request: SelectRequest) -> None:
    """Write the chosen windows, all windows with what was thought of them, the card, and pictures."""
    numba.set_num_threads(max(1, min(request.threads, numba.config.NUMBA_NUM_THREADS)))
    stores = [WindowStore.open(path) for path in request.windows]
    listed = [read_table(path) for path in request.ids]
    tables = {f"{s.attributes['dataset']}/{s.attributes['subject']}": s.attributes["table_hash"] for s in stores}
    for ids, path in zip(listed, request.ids, strict=True):
        require_same_tables(ids, tables, str(path))
    latents = [Latents.open(path) for path in request.latents] or [None] * len(request.parts)
    parts = [_part(name, ids, found, stores) for name, ids, found in zip(request.parts, listed, latents, strict=True)]
    chosen = [_choose(part, request.distill) for part in parts]
    everything = pd.concat(chosen, ignore_index=True)
    kept = everything[everything["rank"] >= 0]
    known = {
        "corpus": request.corpus,
        "holdout": request.holdout,
        "tables": tables,
        "synthetic": any(store.attributes["synthetic"] for store in stores),
        "selection": request.selection,
        "distill": request.distill.model_dump(mode="json"),
        "of": len(everything),
        "ids_sha256": hashlib.sha256("\n".join(sorted(kept["window"])).encode()).hexdigest(),
        "radius": {
            name: _radius(part, table)
            for name, part, table in zip(request.parts, parts, chosen, strict=True)
            if part.latents is not None
        },
        "code": request.code,
    }
    write_table(request.table, everything, known)
    write_table(request.kept, kept[["window", "digest"]].reset_index(drop=True), known)
    _report(request, parts, chosen, known)
    logger.info("%d of %d windows", len(kept), len(everything))


def _part(name: str, ids: Table, latents: Latents | None, stores: Sequence[WindowStore]) -> Part:
    """Windows of some datasets of one montage, in the order of their ids."""
    datasets = name.split("+")
    pool = WindowPool.of([store for store in stores if store.attributes["dataset"] in datasets])
    windows = ids.rows["window"]
    if latents is not None:
        if set(latents.ids) != set(windows):
            raise UserError(
                f"the latents of {name} are those of other windows",
                expected="one latent for every window of the corpus",
                mend="run the same command again",
            )
        windows = pd.Series(latents.ids)
    rows = pool.rows(windows)
    whole = pd.concat(
        [s.table.assign(dataset=s.attributes["dataset"], subject=s.attributes["subject"]) for s in pool.stores],
        ignore_index=True,
    )
    return Part(pool, rows, whole.iloc[rows].reset_index(drop=True), None if latents is None else latents.values)


def _choose(part: Part, options: Distillation) -> pd.DataFrame:
    """All windows of a part: outlier score, whether they could be chosen, rank of the choice (-1: not chosen)."""
    table = part.table
    subjects = table["dataset"] + "/" + table["subject"]
    found = choose(
        n=budget(options.kept, len(table)),
        kept=np.ones(len(table), dtype=bool),
        latents=part.latents,
        subjects=subjects.to_numpy(),
        recordings=(subjects + "/" + table["session"]).to_numpy(),
        starts=table["start_sample"].to_numpy(),
        windows=lambda positions: _averaged(part.pool.windows(part.rows[positions])),
        **arguments(options),
    )
    rank, score = np.full(len(table), -1), np.full(len(table), np.nan)
    rank[found.index], score[found.index] = np.arange(len(found.index)), found.score
    oddness = np.nan if found.oddness is None else found.oddness
    columns = table[["window", "digest", "dataset", "subject"]]
    return columns.assign(eligible=found.kept, oddness=oddness, rank=rank, score=score, label=_labels(table))


def _averaged(windows: np.ndarray) -> np.ndarray:
    """Windows (N, C, T) in which every missing channel is the mean of those that are there."""
    missing = np.isnan(windows)
    return np.where(missing, np.nanmean(windows, axis=1, keepdims=True), windows) if missing.any() else windows


def _labels(table: pd.DataFrame) -> np.ndarray:
    """Class of each window in its dataset's first task, for the picture of what was kept; nothing is chosen by it."""
    labels = np.full(len(table), "unlabelled", dtype=object)
    for dataset, rows in table.groupby("dataset").indices.items():
        task = next(iter(facts(dataset).tasks.values()), None)
        if task is not None and not task.regression:
            names = np.array([*task.classes, "unlabelled"], dtype=object)
            labels[rows] = names[task.targets(table.iloc[rows])]
    return labels


def _radius(part: Part, table: pd.DataFrame) -> dict[str, float]:
    """How far the windows of a part are from the nearest chosen one, in the space of the latents."""
    found = coverage(part.latents, np.flatnonzero(table["rank"] >= 0), table["eligible"].to_numpy())
    return {"radius": float(found.radius), "mean_distance": float(found.mean)}


def _report(request: SelectRequest, parts: Sequence[Part], chosen: Sequence[pd.DataFrame], known: dict) -> None:
    table, stamp = pd.concat(chosen, ignore_index=True), {"synthetic": known["synthetic"]}
    card = selection_card(known, table)
    write_text(request.card, json.dumps(card, indent=1))
    write_text(request.html, selection_html(card))
    save(draw.kept_shares(_shares(table), request.distill.kept, **stamp), request.shares)
    part, mine = parts[0], chosen[0]
    groups = {
        "kept": mine.index[mine["rank"] >= 0],
        "dropped": mine.index[mine["eligible"] & (mine["rank"] < 0)],
        "outlier": mine.sort_values("oddness", ascending=False).index[: (~mine["eligible"]).sum()],
    }
    shown = {name: index[:SHOWN].to_numpy() for name, index in groups.items()}
    pictures = {name: part.pool.windows(part.rows[index]) for name, index in shown.items()}
    scores = {name: mine["oddness"].to_numpy()[index] for name, index in shown.items()}
    save(draw.gallery(pictures, scores, part.pool.channels, part.pool.sfreq_hz, **stamp), request.gallery)


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    """Share of the windows that was kept, by dataset, subject and class."""
    parts = []
    for kind, group in (("dataset", table["dataset"]), ("subject", table["subject"]), ("class", table["label"])):
        grouped = (table["rank"] >= 0).groupby([table["dataset"], group.rename("group")])
        parts.append(grouped.mean().rename("share").reset_index().assign(kind=kind))
    return pd.concat(parts, ignore_index=True)
