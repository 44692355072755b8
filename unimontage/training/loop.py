"""The one training loop."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torch.optim import Optimizer

from unimontage.errors import UserError

Batch = TypeVar("Batch")


def train(
    *,
    fabric: Fabric,
    model: nn.Module,
    optimizer: Optimizer,
    batch_at: Callable[[int], Batch],
    loss_of: Callable[[Batch], Tensor],
    rate_at: Callable[[int], float],
    start: int,
    steps: int,
    seed: int,
    clip: float,
    after_step: Callable[[int, Tensor, Tensor], bool],
) -> None:
    """Train from step ``start`` to ``steps``, or until ``after_step`` says stop.

    Whatever a step draws depends on ``seed`` and the number of the step alone, so a run that was interrupted and goes
    on repeats an uninterrupted one bit for bit on a processor. Nothing here waits for a GPU: steps are handed to it
    while it is still at the one before.

    Parameters
    ----------
    fabric : Fabric
        The device that ``model`` and ``optimizer`` were set up on.
    model : nn.Module
        Its gradients are clipped.
    optimizer : Optimizer
        Its groups come from :func:`parameter_group`.
    batch_at : callable
        Step to batch; called one step ahead in a thread of its own, so that the device does not wait for data. A GPU
        fetches its tensors by itself.
    loss_of : callable
        Batch to loss, shape ().
    rate_at : callable
        Step to factor on the peak rates.
    start, steps : int
        First step and the number of steps in all.
    seed : int
        Seed of dropout and everything else that the model draws.
    clip : float
        Largest norm of the gradient.
    after_step : callable
        Step, loss and norm of the gradient, both of shape () and on the device, to whether to stop. A norm that is not
        finite has spoilt the weights: :func:`require_finite`.
    """

    def fetch(step: int) -> Batch:
        return pinned(batch_at(step)) if fabric.device.type == "cuda" else batch_at(step)

    for step, batch in _ahead(fetch, start, steps):
        torch.manual_seed(step_seed(seed, step))
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate_at(step)
        with fabric.autocast():
            loss = loss_of(batch)
        optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        norm = fabric.clip_gradients(model, optimizer, max_norm=clip, error_if_nonfinite=False)
        optimizer.step()
        if after_step(step, loss.detach(), norm):
            return


def require_finite(measured: Tensor, step: int) -> None:
    """Refuse to go on with weights that are spoilt.

    Parameters
    ----------
    measured : Tensor, shape (S, 2)
        Loss and norm of the gradient, on the processor, of S steps from ``step`` on.

    Raises
    ------
    UserError
        Names the first step that has a number that is not finite.
    """
    bad = (~measured.isfinite()).any(1).nonzero()
    if len(bad):
        loss, norm = measured[bad[0, 0]].tolist()
        raise UserError(
            f"training broke at step {step + int(bad[0, 0]) + 1}: loss {loss:g}, norm of the gradient {norm:g}",
            expected="finite numbers",
            mend="a lower lr, or precision: float32",
        )


def pinned(batch: Batch) -> Batch:
    """A batch whose tensors a GPU copies while the processor goes on; what lies on a GPU stays there."""

    def pin(x: Tensor) -> Tensor:
        return x if x.is_cuda else x.pin_memory()

    return apply_to_collection(batch, Tensor, pin)


def parameter_group(parameters: Iterable[nn.Parameter], peak: float) -> dict[str, Any]:
    """Parameters and the peak of their learning rate, for an optimiser that :func:`train` steers."""
    return {"params": list(parameters), "lr": peak, "peak": peak}


def step_seed(seed: int, step: int) -> int:
    """A seed for one step of one run."""
    return (seed * 1_000_003 + step * 7919 + 17) % (2**63)


def _ahead(batch_at: Callable[[int], Batch], start: int, steps: int) -> Iterator[tuple[int, Batch]]:
    """Batches in order, the next one being fetched while the present one is used."""
    if start >= steps:
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(batch_at, start)
        for step in range(start, steps):
            batch = coming.result()
            if step + 1 < steps:
                coming = pool.submit(batch_at, step + 1)
            yield step, batch
