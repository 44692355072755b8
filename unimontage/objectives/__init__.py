"""Self-supervised objectives: each owns its projection heads and turns two embeddings into one loss.

Adding an objective is one file and one line below. The line is a string, so that reading this table imports neither
torch nor any other objective.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from unimontage.errors import UserError

if TYPE_CHECKING:
    from torch import nn

OBJECTIVES: dict[str, str] = {
    "nt_xent": "unimontage.objectives.nt_xent:NTXent",
    "simsiam": "unimontage.objectives.simsiam:SimSiam",
}


def build_objective(kind: str, d: int, **options: Any) -> nn.Module:
    """Build the objective named ``kind`` for embeddings of width ``d``.

    Parameters
    ----------
    kind : str
        A key of ``OBJECTIVES``.
    d : int
        Width of the encoder's embedding.
    **options
        Keyword arguments of that objective, e.g. ``temperature``.

    Returns
    -------
    nn.Module
        Called with two embeddings of shape (B, d); returns the loss, shape ().

    Raises
    ------
    UserError
        If no objective has this name.
    """
    if kind not in OBJECTIVES:
        near = get_close_matches(kind, OBJECTIVES, n=1) or list(OBJECTIVES)[:1]
        raise UserError(
            f"objective '{kind}' does not exist",
            expected="one of " + ", ".join(OBJECTIVES),
            mend=f"objective: {{kind: {near[0]}}}",
        )
    module, _, name = OBJECTIVES[kind].partition(":")
    return getattr(import_module(module), name)(d, **options)
