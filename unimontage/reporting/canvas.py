"""An empty figure, stamped where it must be, and colours that everybody can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unimontage.evaluation.scales import name_of, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with every common form of colour blindness; yellow and grey last.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000", "#999999", "#F0E442")
BLUE, ORANGE = OKABE_ITO[:2]
QUIET = "#767676"
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">")


def new_figure(width: float, height: float, title: str, synthetic: bool) -> Figure:
    """An empty figure of so many inches, without a display; stamped if its data are synthetic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    figure.suptitle(f"SYNTHETIC data: {title}" if synthetic else title, fontsize=12)
    if synthetic:
        size = 11 * min(width, 2 * height)
        style = {"color": "black", "alpha": 0.13, "rotation": 25, "zorder": 10, "weight": "bold"}
        figure.text(0.5, 0.5, "SYNTHETIC", size=size, ha="center", va="center", **style)
    return figure


def tidy(axes: Axes) -> Axes:
    """The axes without the lines above and on the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    return axes


def hue(k: int) -> str:
    """Colour of group k; the palette begins anew after its last."""
    return OKABE_ITO[k % len(OKABE_ITO)]


def palette(count: int) -> list:
    """A colour a group: the palette while it lasts, else an even walk through a perceptually uniform map."""
    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 1, count)))


def words(key: str) -> str:
    """A key as a label: ``balanced_accuracy`` becomes Balanced accuracy, ``auroc`` AUROC."""
    name = name_of(key)
    return name[0].upper() + name[1:]


def axis_label(metric: str) -> str:
    """A metric as the label of an axis: whether it is in percent, and which way is better where it is not upwards."""
    scale = scale_of(metric)
    return words(metric) + " in percent" * scale.percent + ", lower is better" * scale.lower_is_better
