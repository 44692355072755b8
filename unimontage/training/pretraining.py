"""Self-supervised pre-training, whatever is pre-trained."""

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from unimontage.config.recipes import PretrainingSchedule
from unimontage.errors import Interrupted
from unimontage.sharing import largest
from unimontage.training.checkpoint import load_checkpoint, save_checkpoint
from unimontage.training.interruption import LATE, TOLD, Interruption
from unimontage.training.loop import parameter_group, require_finite, step_seed, train
from unimontage.training.schedule import warmup_cosine

COLLAPSED = 0.1
"""Spread of the embeddings below which all segments look alike to the encoder."""


class Work(Protocol):
    """What is pre-trained, and on what.

    Attributes
    ----------
    trainee : nn.Module
        All that learns. Called with what :meth:`inputs` returns, it gives the loss and what else it measured: tensors
        of shape () by name, such as the spread of the embeddings.
    kept : nn.Module
        The part whose weights are saved.
    undecayed : tuple of nn.Parameter
        Parameters without weight decay.
    steps_per_epoch : int
    batch : int
        Examples of a step, in all processes together.
    """

    trainee: nn.Module
    kept: nn.Module
    undecayed: tuple[nn.Parameter, ...]
    steps_per_epoch: int
    batch: int

    def batch_at(self, step: int) -> Any:
        """What a step draws from the corpus; a function of the step alone, called in a thread of its own."""
        ...

    def inputs(self, batch: Any, generator: torch.Generator, fabric: Fabric) -> Any:
        """The trainee's input on the device, augmented."""
        ...

    def describe(self) -> dict[str, Any]:
        """What one must know to rebuild what is kept; JSON values."""
        ...


@dataclass
class Progress:
    """What was measured at every step so far.

    Attributes
    ----------
    columns : list of str
        ``loss``, ``gradient`` (its norm before it was clipped), what the trainee measured, and ``lr``.
    rows : Tensor, shape (S, 1 + columns)
        Number of the step and its values, on the processor.
    """

    columns: list[str]
    rows: Tensor
    _waiting: list[tuple[int, Tensor, float]] = field(default_factory=list, init=False)

    def add(self, step: int, measured: Mapping[str, Tensor], lr: float) -> None:
        """Note a step; what was measured stays on the device until it is asked for."""
        self.columns = [*measured, "lr"]
        self._waiting.append((step, torch.stack([value.detach().float() for value in measured.values()]), lr))

    def fetch(self) -> None:
        """Take over what the device has measured since the last time.

        Raises
        ------
        UserError
            A loss or a gradient is not finite.
        """
        if not self._waiting:
            return
        steps, values, rates = zip(*self._waiting, strict=True)
        self._waiting.clear()
        values = torch.stack(values).cpu()  # (S, measured)
        require_finite(values[:, :2], steps[0])
        rows = torch.cat([torch.tensor(steps)[:, None], values, torch.tensor(rates)[:, None]], dim=1)
        self.rows = torch.cat([self.rows, rows]) if len(self.rows) else rows

    def table(self) -> pd.DataFrame:
        """One row a step."""
        return pd.DataFrame(self.rows.numpy(), columns=["step", *self.columns]).astype({"step": int})

    def latest(self) -> dict[str, float]:
        """The last row by name."""
        return dict(zip(self.columns, self.rows[-1][1:].tolist(), strict=True))


def pretrain(
    work: Work,
    schedule: PretrainingSchedule,
    *,
    seed: int,
    fabric: Fabric,
    checkpoint: Path,
    identity: str,
    events: Path,
    deadline: float | None = None,
) -> pd.DataFrame:
    """Pre-train ``work.trainee`` in place, going on from ``checkpoint`` if it belongs to the same work.

    Parameters
    ----------
    work : Work
        What learns from what; its weights were drawn from ``seed``.
    schedule : PretrainingSchedule
        Optimiser and length.
    seed : int
        Seed of the order of the data and of the augmentation.
    fabric : Fabric
        Device.
    checkpoint : Path
        File to go on from; removed by the caller once the weights are safe.
    identity : str
        What the work is made of; a checkpoint of other work is not used.
    events : Path
        Folder for TensorBoard.
    deadline : float, optional
        Unix time at which the job ends.

    Returns
    -------
    DataFrame
        ``step``, ``loss``, ``gradient`` (its norm before it was clipped), ``spread`` (1 is healthy, 0 is collapsed),
        what else the trainee measures, and ``lr``.

    Raises
    ------
    Interrupted
        Told to stop, or short of time; ``checkpoint`` holds every step so far.
    UserError
        A loss or a gradient is not finite.

    Notes
    -----
    Several processes may do this together, each with its share of every batch. The first one writes.
    """
    first = fabric.is_global_zero
    state = fabric.broadcast(load_checkpoint(checkpoint, identity=identity) if first else None)
    model, optimizer = _set_up(work, schedule, fabric, state)
    start, progress = _so_far(state)
    steps, warmup = work.steps_per_epoch * schedule.epochs, work.steps_per_epoch * schedule.warmup_epochs
    measured: dict[str, Tensor] = {}
    with (
        SummaryWriter(str(events), purge_step=start) if first else nullcontext() as writer,
        tqdm(total=steps, initial=start, desc="pre-train", disable=not first) as bar,
        Interruption(deadline) as interruption,
    ):

        def after_step(step: int, loss: Tensor, norm: Tensor) -> bool:
            progress.add(step, {"loss": loss, "gradient": norm} | measured, optimizer.param_groups[0]["lr"])
            bar.update()
            ends = (step + 1) % work.steps_per_epoch == 0
            reason = _agreed(interruption.reason(), fabric)
            keeps = reason or (step + 1) % schedule.checkpoint_steps == 0 or step + 1 == steps
            if ends or keeps:
                progress.fetch()
            if first and ends:
                _log(writer, step, progress.latest(), bar)
            if first and keeps:
                save_checkpoint(checkpoint, _state(work, optimizer, progress, step) | {"identity": identity})
            if reason and step + 1 < steps:
                fabric.barrier()  # nobody leaves before the checkpoint is written
                raise Interrupted(f"{reason}: step {step + 1} of {steps} is kept, the next attempt goes on from there")
            return False

        train(
            fabric=fabric,
            model=model,
            optimizer=optimizer,
            batch_at=lambda step: (step, work.batch_at(step)),
            loss_of=_loss_of(work, model, seed, fabric, measured),
            rate_at=lambda step: warmup_cosine(step, steps=steps, warmup=warmup, floor=schedule.lr_min / schedule.lr),
            start=start,
            steps=steps,
            seed=seed,
            clip=schedule.clip,
            after_step=after_step,
        )
    work.trainee.cpu()
    _tell_of_collapse(progress.latest().get("spread", 1.0))
    return progress.table()


def _loss_of(
    work: Work, model: nn.Module, seed: int, fabric: Fabric, measured: dict[str, Tensor]
) -> Callable[[tuple[int, Any]], Tensor]:
    """From a step and its batch to the loss; what else the step measures goes into ``measured``."""

    def loss_of(drawn: tuple[int, Any]) -> Tensor:
        step, batch = drawn
        generator = torch.Generator(device=fabric.device).manual_seed(step_seed(seed, step))
        loss, others = model(work.inputs(batch, generator, fabric))
        measured.update(others)
        return loss

    return loss_of


def _agreed(reason: str | None, fabric: Fabric) -> str | None:
    """Why to stop, the same in all processes as soon as one has a reason."""
    reasons = (None, LATE, TOLD)
    return reasons[largest(reasons.index(reason), fabric.device)]


def _tell_of_collapse(spread: float) -> None:
    if spread < COLLAPSED:
        message = "collapsed: all embeddings point the same way (spread %.3f, healthy is near 1)"
        logging.getLogger("unimontage").warning(message, spread)


def _state(work: Work, optimizer: Optimizer, progress: Progress, step: int) -> dict[str, Any]:
    """What a checkpoint holds of model, optimiser and history after a step."""
    parts = {"model": work.trainee.state_dict(), "optimizer": optimizer.state_dict()}
    return parts | {"columns": progress.columns, "history": progress.rows, "step": step + 1}


def _so_far(state: Mapping[str, Any] | None) -> tuple[int, Progress]:
    """Steps that are done, and what was measured at them."""
    return (state["step"], Progress(state["columns"], state["history"])) if state else (0, Progress([], torch.empty(0)))


def _set_up(
    work: Work, schedule: PretrainingSchedule, fabric: Fabric, state: Mapping[str, Any] | None
) -> tuple[nn.Module, Optimizer]:
    """The module that trains and its optimiser, as drawn or as a checkpoint left them."""
    apart = {id(parameter) for parameter in work.undecayed}
    decayed = (parameter for parameter in work.trainee.parameters() if id(parameter) not in apart)
    groups = [parameter_group(decayed, schedule.lr)]
    if work.undecayed:
        groups.append(parameter_group(work.undecayed, schedule.lr) | {"weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay)
    if state:
        work.trainee.load_state_dict(state["model"])
    model, optimizer = fabric.setup(work.trainee, optimizer)
    if state:
        optimizer.load_state_dict(state["optimizer"])
    return model, optimizer


def _log(writer: SummaryWriter, step: int, values: Mapping[str, float], bar: tqdm) -> None:
    for name, value in values.items():
        writer.add_scalar(name, value, step)
    bar.set_postfix({name: f"{values[name]:.3g}" for name in ("loss", "spread", "lr") if name in values})
