"""Sum the losses of several tasks, with equal weights or with learned ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

LARGEST = 6.0  # log variance, either way: weights between 1/800 and 200


def uncertainty_weighted(loss: Tensor, log_variance: Tensor) -> Tensor:
    """Loss of one task, weighted by a learned variance that has its price.

    Parameters
    ----------
    loss : Tensor, shape ()
        Loss L of the task.
    log_variance : Tensor, shape ()
        s, the logarithm of the variance sigma^2.

    Returns
    -------
    Tensor, shape ()
        ``L / (2 sigma^2) + log sigma``.

    Notes
    -----
    Kendall, Gal & Cipolla 2018, eq. 7; MTSSRL-MD, eq. 4. For L > 0 it is least where sigma^2 = L. For L < 0 it has no
    minimum: it falls without bound as sigma goes to 0.
    """
    return 0.5 * (torch.exp(-log_variance) * loss + log_variance)


class TaskWeighting(nn.Module):
    """Turn the losses of several tasks into one.

    Parameters
    ----------
    lowest : mapping of str to float
        Smallest value that the loss of each task can take.
    kind : {"uncertainty", "equal", "uncertainty_literal"}
        ``equal``: the plain sum. ``uncertainty``: each task has a learned variance, and its loss is counted from its
        smallest value, so that none is negative. ``uncertainty_literal``: without that shift, as published; a task
        whose loss becomes negative (the negative cosine of SimSiam) then drives its variance to the bound.

    Notes
    -----
    Log variances start at 0 and are kept in [-6, 6], both where they are used and where they are stored: beyond the
    bound there would be no gradient to bring them back. They want no weight decay.
    """

    def __init__(
        self,
        lowest: Mapping[str, float],
        kind: Literal["uncertainty", "equal", "uncertainty_literal"] = "uncertainty",
    ) -> None:
        super().__init__()
        self.shift = {task: -value if kind == "uncertainty" else 0.0 for task, value in lowest.items()}
        self.learned = kind != "equal"
        names = lowest if self.learned else ()
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in names})

    def forward(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh and sum.

        Parameters
        ----------
        losses : mapping of str to Tensor of shape ()
            Loss of every task.

        Returns
        -------
        total : Tensor, shape ()
        report : dict of str to Tensor of shape ()
            For each task ``weight_<task>``, ``weighted_<task>`` (weight times the shifted loss) and, where it is
            learned, ``sigma_<task>``; detached.
        """
        if not self.learned:
            total = torch.stack(list(losses.values())).sum()
            one = torch.ones_like(total.detach())
            return total, self._report({task: (one, loss) for task, loss in losses.items()})
        terms, report = [], {}
        for task, loss in losses.items():
            s, shifted = self._within_bounds(task), loss + self.shift[task]
            terms.append(uncertainty_weighted(shifted, s))
            report |= self._report({task: (0.5 * torch.exp(-s), shifted)})
            report[f"sigma_{task}"] = torch.exp(0.5 * s).detach()
        return torch.stack(terms).sum(), report

    def _within_bounds(self, task: str) -> Tensor:
        parameter = self.log_variance[task]
        with torch.no_grad():
            parameter.clamp_(-LARGEST, LARGEST)
        return parameter

    @staticmethod
    def _report(weighted: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        report = {}
        for task, (weight, loss) in weighted.items():
            report[f"weight_{task}"] = weight.detach()
            report[f"weighted_{task}"] = (weight * loss).detach()
        return report
