"""A critical-difference diagram: arms by mean rank, joined where they cannot be told apart."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from unimontage.evaluation.ranks import Ranking
from unimontage.reporting.canvas import hue, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def critical_differences(
    ranking: Ranking, *, confidence: float, synthetic: bool, title: str = "Arms by mean rank"
) -> Figure:
    """Arms on a line by their mean rank, with a bar through those that cannot be told apart.

    Parameters
    ----------
    ranking : Ranking
        From `unimontage.evaluation.ranks.rank_arms`.
    confidence : float
        Two arms are joined unless they differ at 1 - `confidence`.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    from scikit_posthocs import critical_difference_diagram

    arms = list(ranking.ranks.index)
    figure = new_figure(11.0, 2.4 + 0.22 * len(arms), title, synthetic)
    axes = figure.subplots()
    alpha = 1 - confidence
    if ranking.n_subjects:
        drawn = critical_difference_diagram(
            ranking.ranks,
            1.0 - ranking.apart(alpha),
            alpha=0.5,
            ax=axes,
            label_fmt_left="{label} ({rank:.2f})",
            label_fmt_right="({rank:.2f}) {label}",
            color_palette={arm: hue(k) for k, arm in enumerate(arms)},
            label_props={"fontsize": 9},
            crossbar_props={"marker": "o", "markersize": 5},
        )
        for name in drawn["labels"]:
            name.set_color("black")  # a light hue is no colour for words
    else:
        axes.set_axis_off()
    friedman = f"Friedman: chi² = {ranking.chi2:.2f}, {len(arms) - 1} degrees of freedom, p = {ranking.p:.2g}"
    facts = (
        f"rank 1 is the best; {ranking.n_subjects} subjects",
        friedman if ranking.p == ranking.p else "",
        ranking.reason,
    )
    figure.supxlabel(textwrap.fill("; ".join(filter(None, facts)), 120), fontsize=9)
    return figure
