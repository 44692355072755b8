"""A batch that several processes share: each has some of its rows, and all together draw and judge as one would.

The loss is the same number in every process. What flows back into a process's own rows is multiplied by the number of
processes, because gradients are averaged over them in the end. A batch of fewer examples than processes is not shared:
every process has all of it, and comes to the same. With one process nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


class _Whole(NamedTuple):
    """The batch that the rows at hand are a share of, and how often the rows follow each other."""

    total: int
    times: int


_whole: ContextVar[_Whole | None] = ContextVar("_whole", default=None)


def processes() -> int:
    """Processes that share every batch; 1 where there is one alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share(total: int, rank: int | None = None) -> slice:
    """Rows of a batch of ``total`` that belong to a process, by default to this one; some may have one more."""
    count = processes()
    if total < count:
        return slice(0, total)
    if rank is None:
        rank = dist.get_rank() if count > 1 else 0
    return slice(total * rank // count, total * (rank + 1) // count)


@contextmanager
def sharing(total: int) -> Iterator[None]:
    """Rows that pass inside are this process's share of a batch of ``total`` examples, some rows an example."""
    token = _whole.set(_Whole(total, 1) if 1 < processes() <= total else None)
    try:
        yield
    finally:
        _whole.reset(token)


@contextmanager
def repeated(times: int) -> Iterator[None]:
    """Rows that pass inside are all rows of the share, then all of them again, so many times."""
    whole = _whole.get()
    token = _whole.set(whole and whole._replace(times=times))
    try:
        yield
    finally:
        _whole.reset(token)


def shared() -> bool:
    """Whether the rows at hand are a share of a batch."""
    return _whole.get() is not None


def drawn(draw: Callable[[int], Tensor], rows: int, dim: int = 0) -> Tensor:
    """Random numbers for the rows at hand: those that one process would have drawn for them.

    Parameters
    ----------
    draw : callable
        Draws for so many rows.
    rows : int
        Rows at hand.
    dim : int
        Dimension of what is drawn that goes over rows.
    """
    return own(draw(everyone(rows)), dim)


def everyone(rows: int) -> int:
    """Rows of the whole batch that the rows at hand are a share of."""
    whole = _whole.get()
    return rows if whole is None else whole.times * whole.total * _own(whole, rows)[1]


def own(everything: Tensor, dim: int = 0) -> Tensor:
    """What belongs to the rows at hand, of something with a row for each row of the whole batch along ``dim``."""
    whole = _whole.get()
    if whole is None:
        return everything
    mine, each = share(whole.total), everything.shape[dim] // (whole.times * whole.total)
    times = everything.unflatten(dim, (whole.times, -1))
    return times.narrow(dim + 1, each * mine.start, each * (mine.stop - mine.start)).flatten(dim, dim + 1)


def gathered(x: Tensor) -> Tensor:
    """Rows of the whole batch from each process's share x, shape (rows, ...), with gradient."""
    whole = _whole.get()
    return x if whole is None else _Gather.apply(x, whole)


def averaged(mean: Tensor) -> Tensor:
    """Mean over the whole batch from the mean over each process's share, with gradient; any shape."""
    whole = _whole.get()
    if whole is None:
        return mean
    own = share(whole.total)
    return _Average.apply(mean, (own.stop - own.start) / whole.total)


def summed(x: Tensor) -> Tensor:
    """Sum over all processes, with gradient."""
    return x if _whole.get() is None else _Sum.apply(x)


def largest(value: int, device: torch.device) -> int:
    """The largest of the numbers that all processes have."""
    if processes() == 1:
        return value
    number = torch.tensor(value, device=device)
    dist.all_reduce(number, dist.ReduceOp.MAX)
    return int(number)


def _own(whole: _Whole, rows: int) -> tuple[slice, int]:
    """Own examples, and rows of each."""
    own = share(whole.total)
    return own, rows // (whole.times * (own.stop - own.start))


class _Gather(Function):
    """Everyone's rows in the order of processes, that of the whole batch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, whole: _Whole) -> Tensor:
        own, each = _own(whole, len(x))
        ctx.own = slice(each * own.start, each * own.stop)
        shares = [share(whole.total, rank) for rank in range(processes())]
        sizes = [each * (rows.stop - rows.start) for rows in shares]
        padded = x.new_zeros(max(sizes), *x.shape[1:])  # what is exchanged has to be of one size
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad[ctx.own] * processes(), None


class _Average(Function):
    """Mean of means, weighted by the rows behind each."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        result = mean * weight
        dist.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.weight * processes(), None


class _Sum(Function):
    """Sum over processes; what depends on it in any process flows back to all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        result = x.clone()
        dist.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        result = grad.clone()
        dist.all_reduce(result)
        return result
