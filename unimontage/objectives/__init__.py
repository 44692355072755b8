"""Self-supervised objectives: each owns its heads and turns embeddings into one loss.

Two kinds: those of two embeddings, which are called with both views of the same segments, and those of windows, which
draw their own examples from recordings (:class:`unimontage.objectives.segments.SegmentObjective`).

Adding an objective is one file and one line below. The line is a string, so that reading this table imports neither
torch nor any other objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from unimontage.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from unimontage.objectives.segments import SegmentObjective

OBJECTIVES: dict[str, str] = {
    "nt_xent": "unimontage.objectives.nt_xent:NTXent",
    "simsiam": "unimontage.objectives.simsiam:SimSiam",
}
SEGMENT_OBJECTIVES: dict[str, str] = {
    "contrast": "unimontage.objectives.contrast:AugmentedContrast",
    "temporal_shuffling": "unimontage.objectives.temporal_shuffling:TemporalShuffling",
    "band_masking": "unimontage.objectives.band_masking:BandMasking",
    "relative_positioning": "unimontage.objectives.relative_positioning:RelativePositioning",
    "cpc": "unimontage.objectives.cpc:PredictiveCoding",
}


def build_objective(kind: str, d: int, **options: Any) -> nn.Module:
    """Build the objective of two embeddings named ``kind``.

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
    return _class_of(kind, OBJECTIVES)(d, **options)


def build_segment_objective(kind: str, d: int, samples: int, sfreq_hz: float, **options: Any) -> SegmentObjective:
    """Build the objective of windows named ``kind``.

    Parameters
    ----------
    kind : str
        A key of ``SEGMENT_OBJECTIVES``.
    d : int
        Width of the encoder's embedding.
    samples : int
        Samples of a window.
    sfreq_hz : float
        Sampling rate.
    **options
        Keyword arguments of that objective, e.g. ``near``.

    Returns
    -------
    SegmentObjective

    Raises
    ------
    UserError
        If no objective has this name, or it cannot take such windows.
    """
    return _class_of(kind, SEGMENT_OBJECTIVES)(d, samples, sfreq_hz, **options)


def _class_of(kind: str, table: Mapping[str, str]) -> type[nn.Module]:
    if kind not in table:
        near = get_close_matches(kind, table, n=1) or list(table)[:1]
        raise UserError(
            f"objective '{kind}' does not exist",
            expected="one of " + ", ".join(table),
            mend=f"objective: {{kind: {near[0]}}}",
        )
    module, _, name = table[kind].partition(":")
    return getattr(import_module(module), name)
