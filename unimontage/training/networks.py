"""Networks on the folds and seeds of a split."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from lightning_fabric import Fabric
from tqdm import tqdm

from unimontage.config.arms import Aligned, Braindecode, Finetuning, Labram, Universal
from unimontage.config.protocols import SHARED, Division
from unimontage.splits.files import Table
from unimontage.training.answer import Answer, Start
from unimontage.training.built import Built
from unimontage.training.finetuning import fit_fold
from unimontage.training.folds import Fold, folds, normalised, require_complete
from unimontage.training.kept import Kept
from unimontage.windows import WindowPool

Builder = Callable[[Fold, int], Built]
SCALES = {Aligned: "recording", Labram: "microvolt"}
"""Arms that scale windows in a way of their own, whatever the protocol: as their pre-training did."""


def builder(
    arm: Universal | Aligned | Labram | Braindecode,
    start: Start | None,
    weights: Sequence[Path],
    pool: WindowPool,
    classes: int,
    fabric: Fabric,
) -> Builder:
    """How to build the arm's model, given a fold and the position of its seed.

    Parameters
    ----------
    arm : Universal, Aligned, Labram or Braindecode
        The condition.
    start : Start or None
        What the pre-trained part of an arm is built from.
    weights : sequence of Path
        Encoder weights, one a seed; empty to start from random ones.
    pool : WindowPool
        The target's electrodes, rate and window length.
    classes : int
        Number of classes, or of target values.
    fabric : Fabric
        Device, for a frozen encoder.
    """
    if not isinstance(arm, Aligned) or start.alignment.kind == "single":
        require_complete(pool)
    chosen = weights or [None]
    if isinstance(arm, Aligned):
        from unimontage.training import staging

        return lambda fold, place: staging.build(arm, start, pool, classes, chosen[place % len(chosen)])
    if isinstance(arm, Labram):
        from unimontage.training import judging

        return lambda fold, place: judging.build(arm, start, pool, classes, chosen[place % len(chosen)])
    if isinstance(arm, Universal):
        from unimontage.training import universal

        return lambda fold, place: universal.build(arm, start, pool, fold, classes, chosen[place % len(chosen)], fabric)
    from unimontage.training import supervised

    return lambda fold, place: supervised.build(arm, pool, classes)


def answers(
    build: Builder,
    arm: Universal | Aligned | Labram | Braindecode,
    pool: WindowPool,
    split: Table,
    options: Finetuning,
    thawed: int,
    seeds: Sequence[int],
    order: int | None,
    fabric: Fabric,
    kept: Kept,
) -> Iterator[Answer]:
    """Train every fold with every seed, but those that an earlier attempt has kept.

    Parameters
    ----------
    build : callable
        From :func:`builder`.
    arm : Universal, Aligned, Labram or Braindecode
        Says whether windows are recentred, and whether some training windows are left out.
    pool : WindowPool
        The windows.
    split : Table
        The folds; its facts say where normalisation takes its statistics from.
    options : Finetuning
        Schedule.
    thawed : int
        Epoch before which training does not stop early.
    seeds : sequence of int
        Training seeds: of the initial weights.
    order : int or None
        Seed of the order of the data and of dropout; None takes the training seed.
    fabric : Fabric
        Device.
    kept : Kept
        Where answers are kept as soon as they are there.
    """
    classes = len(split.facts["classes"])
    source = SCALES.get(type(arm)) or split.facts["normalisation"]
    scales = pool.scale if source == "recording" else None
    pooled = Division.parse(split.facts["protocol"]).protocol in SHARED
    recentred = type(arm) not in SCALES and arm.recentre
    thinning = isinstance(arm, Braindecode) and arm.distill.kept < 1
    device = torch.cuda.get_device_name() if fabric.device.type == "cuda" else "cpu"
    with tqdm(total=split.rows["fold"].nunique() * len(seeds), desc="folds and seeds") as bar:
        for whole in folds(pool, split):
            found = {seed: kept.get(whole.name, seed) for seed in seeds}
            if None in found.values():
                fold = _thinned(whole, pool, arm, fabric) if thinning else whole
                ready = normalised(fold, source=source, pooled=pooled, recentred=recentred, scales=scales)
            for place, seed in enumerate(seeds):
                answer = found[seed]
                if answer is None:
                    torch.manual_seed(seed)
                    built = build(ready, place)
                    seen = built.fold or ready
                    draws = seed if order is None else order
                    fitted = fit_fold(built, seen, classes, options, thawed=thawed, seed=draws, fabric=fabric)
                    explanation = built.explain(seen, fabric) if built.explain else {}
                    notes = {"training_windows": len(ready.train), "of": len(whole.train), "device": device}
                    answer = Answer(whole.name, whole.test.windows, seed, fitted, built.notes | explanation | notes)
                    kept.add(answer)
                yield answer
                bar.update()


def _thinned(fold: Fold, pool: WindowPool, arm: Braindecode, fabric: Fabric) -> Fold:
    from unimontage.training import thinning

    return thinning.thinned(fold, pool, arm.distill, fabric)
