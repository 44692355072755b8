"""A batch that several processes share: each has some of its rows, and all together draw and judge as one would.

The loss is the same number in every process. What flows back into a process's own rows is multiplied by the number of
processes, because gradients are averaged over them in the end. A batch of fewer examples than processes is not shared:
every process has all of it, and comes to the same. With one process nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


class _Whole(NamedTuple):
    """The batch that the rows at hand are a share of, and how often the rows follow each other."""

    total: int
    times: int


_whole: _Whole | None = None
"""Of the rows that pass just now."""


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
    with _passing(_Whole(total, 1) if 1 < processes() <= total else None):
        yield


@contextmanager
def repeated(times: int) -> Iterator[None]:
    """Rows that pass inside are all rows of the share, then all of them again, so many times."""
    with _passing(_whole and _whole._replace(times=times)):
        yield


@contextmanager
def _passing(whole: _Whole | None) -> Iterator[None]:
    global _whole
    before, _whole = _whole, whole
    try:
        yield
    finally:
        _whole = before


def shared() -> bool:
    """Whether the rows at hand are a share of a batch."""
    return _whole is not None


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
    return rows if _whole is None else _whole.times * _whole.total * _own(_whole, rows)[1]


def own(everything: Tensor, dim: int = 0) -> Tensor:
    """What belongs to the rows at hand, of something with a row for each row of the whole batch along ``dim``."""
    if _whole is None:
        return everything
    mine, each = share(_whole.total), everything.shape[dim] // (_whole.times * _whole.total)
    times = everything.unflatten(dim, (_whole.times, -1))
    return times.narrow(dim + 1, each * mine.start, each * (mine.stop - mine.start)).flatten(dim, dim + 1)


def gathered(x: Tensor) -> Tensor:
    """Rows of the whole batch from each process's share x, shape (rows, ...), with gradient."""
    return x if _whole is None else _Gather.apply(x, _whole)


def averaged(mean: Tensor) -> Tensor:
    """Mean over the whole batch from the mean over each process's share, with gradient; any shape."""
    if _whole is None:
        return mean
    mine = share(_whole.total)
    return _Average.apply(mean, (mine.stop - mine.start) / _whole.total)


def summed(x: Tensor) -> Tensor:
    """Sum over all processes, with gradient."""
    return x if _whole is None else _Sum.apply(x)


def largest(value: int, device: torch.device) -> int:
    """The largest of the numbers that all processes have."""
    if processes() == 1:
        return value
    number = torch.tensor(value, device=device)
    dist.all_reduce(number, dist.ReduceOp.MAX)
    return int(number)


def _own(whole: _Whole, rows: int) -> tuple[slice, int]:
    """Own examples, and rows of each."""
    mine = share(whole.total)
    return mine, rows // (whole.times * (mine.stop - mine.start))


class _Gather(Function):
    """Everyone's rows in the order of processes, that of the whole batch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, whole: _Whole) -> Tensor:
        mine, each = _own(whole, len(x))
        ctx.own = slice(each * mine.start, each * mine.stop)
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
