"""A montage as heads: what becomes of each electrode in the recordings and in each model."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from unimontage.errors import UserError
from unimontage.montage.contract import STATES, State
from unimontage.reporting.canvas import MARKERS, OKABE_ITO, new_figure
from unimontage.reporting.head import outline, seen_from_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, INCHES, NAMED = 3, 3.4, 4
STYLES = dict(zip(STATES, zip(OKABE_ITO, MARKERS, strict=False), strict=False))


def montage_card(contract: Mapping[str, Mapping[str, State]], *, synthetic: bool, title: str) -> Figure:
    """Draw a head for the recordings and for each model, one for models that agree, with a mark an electrode.

    Parameters
    ----------
    contract : mapping of str to mapping
        By model, the state of each channel; bipolar channels stand between their electrodes.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    heads = _alike(contract)
    rows = math.ceil(len(heads) / COLUMNS)
    figure = new_figure(COLUMNS * INCHES, 1.2 + rows * (INCHES + 0.8), title, synthetic)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels[len(heads) :]:
        axes.set_axis_off()
    for axes, (models, states) in zip(panels, heads, strict=False):
        _head(axes, models, states)
    handles = {h.get_label(): h for axes in panels for h in axes.get_legend_handles_labels()[0]}
    ordered = [handles[name] for name in map(_meaning, STATES) if name in handles]
    figure.legend(handles=ordered, loc="outside lower center", ncols=min(3, len(ordered)), frameon=False, fontsize=9)
    return figure


def contract_table(contract: Mapping[str, Mapping[str, State]]) -> pd.DataFrame:
    """One row a model and channel: ``model``, ``channel``, ``state``, ``note``."""
    rows = [(model, channel, *state) for model, states in contract.items() for channel, state in states.items()]
    return pd.DataFrame(rows, columns=["model", "channel", "state", "note"])


def _alike(contract: Mapping[str, Mapping[str, State]]) -> list[tuple[list[str], Mapping[str, State]]]:
    """Models that agree about every channel, and what they agree on; the recordings stand alone."""
    found: list[tuple[list[str], Mapping[str, State]]] = []
    for model, states in contract.items():
        same = next((models for models, others in found[1:] if others == states), None)
        if same is None:
            found.append(([model], states))
        else:
            same.append(model)
    return found


def _head(axes: Axes, models: Sequence[str], states: Mapping[str, State]) -> None:
    placed, homeless = {}, []
    for channel in states:
        try:
            placed[channel] = seen_from_above([channel])[0]
        except UserError:  # A1-A2 and the like stand nowhere on a scalp
            homeless.append(channel)
    outline(axes)
    size = 8 if len(placed) <= 32 else 5.5
    for state, (colour, marker) in STYLES.items():
        here = [channel for channel in placed if states[channel].state == state]
        if here:
            x, y = zip(*(placed[channel] for channel in here), strict=True)
            style = {"marker": marker, "color": colour, "markersize": size, "linestyle": "none", "zorder": 5}
            axes.plot(x, y, label=_meaning(state), **style)
    for channel, (x, y) in placed.items():
        axes.annotate(channel, (x, y), (0, -size), textcoords="offset points", ha="center", va="top", fontsize=size - 2)
    counts = Counter(state.state for state in states.values())
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)
    told += f"; nowhere on the scalp: {', '.join(homeless)}" if homeless else ""
    names = "; ".join(models[:NAMED]) + f"; and {len(models) - NAMED} more" * (len(models) > NAMED)
    axes.set_title("\n".join([*textwrap.wrap(names, 50), *textwrap.wrap(told, 54)]), fontsize=8)


def _meaning(state: str) -> str:
    return f"{state}: {STATES[state]}"
