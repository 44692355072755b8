"""Figures of sleep staging. Each function returns a matplotlib figure that belongs to no global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.evaluation.scales import scale_of
from unimontage.reporting.canvas import BLUE, MARKERS, ORANGE, QUIET, axis_label, hue, new_figure, tidy, words
from unimontage.reporting.head import outline, seen_from_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STAGES = ("W", "N1", "N2", "N3", "REM")
DEPTH = (0, 2, 3, 4, 1)
"""Height of each stage below the top of a hypnogram, REM next to wake."""
EPOCH_S = 30.0
FEWEST_TO_INTERPOLATE = 4


def per_class_f1(table: pd.DataFrame, *, synthetic: bool, title: str = "F1 of each stage") -> Figure:
    """F1 of each stage, arms side by side with their intervals.

    Parameters
    ----------
    table : DataFrame
        Columns ``arm, metric, mean, ci_low, ci_high`` from `unimontage.evaluation.pooled.summarise_pooled`, of one
        dataset and protocol, as fractions; of its metrics those of `STAGES` (``f1_W``) are drawn.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    arms = list(table["arm"].unique())
    figure = new_figure(max(6.4, 2.4 + 0.24 * len(arms) * len(STAGES)), 4.4, title, synthetic)
    axes = tidy(figure.subplots())
    shifts = _spread(len(arms), 0.7)
    for k, (arm, shift) in enumerate(zip(arms, shifts, strict=True)):
        own = table[table["arm"] == arm].set_index("metric").reindex([f"f1_{stage}" for stage in STAGES])
        own = own[["mean", "ci_low", "ci_high"]] * 100
        _points(axes, np.arange(len(STAGES)) + shift, own, k, arm)
    axes.set_xticks(range(len(STAGES)), STAGES)
    axes.set_xlim(-0.5, len(STAGES) - 0.5)
    axes.set_ylim(0, 100)
    axes.set_ylabel("F1 in percent")
    figure.legend(loc="outside lower center", ncols=min(4, len(arms)), frameon=False)
    return figure


def hypnogram(
    truth: np.ndarray,
    probabilities: np.ndarray,
    epochs: np.ndarray,
    *,
    synthetic: bool,
    title: str = "One night",
) -> Figure:
    """One night: the scorer's stages, the model's, where they disagree, and the model's probabilities.

    Parameters
    ----------
    truth : ndarray of int, shape (N,)
        Stage of each epoch, an index of `STAGES`.
    probabilities : ndarray, shape (N, 5)
        Predicted probability of each stage.
    epochs : ndarray of int, shape (N,)
        Position of each epoch in the recording, ascending, from 1. Lines break where epochs are missing.
    synthetic : bool
        Stamp the figure.
    title : str

    Raises
    ------
    UserError
        If shapes do not fit, or epochs do not ascend.
    """
    truth, probabilities, epochs = (np.asarray(values) for values in (truth, probabilities, epochs))
    if probabilities.shape != (len(truth), len(STAGES)) or epochs.shape != truth.shape or not len(truth):
        raise UserError(
            f"a night of {len(truth)} stages, {len(epochs)} epochs and probabilities of shape {probabilities.shape}",
            expected=f"as many of each, at least one, and {len(STAGES)} probabilities an epoch",
        )
    if (np.diff(epochs) <= 0).any():
        raise UserError("the epochs of a night are not in order", expected="each epoch once, in order of time")
    predicted = probabilities.argmax(axis=1)  # (N,)
    figure = new_figure(9.0, 6.4, title, synthetic)
    panels = figure.subplots(4, 1, sharex=True, height_ratios=(3, 3, 0.5, 2))
    hours = (epochs - 1) * EPOCH_S / 3600
    for axes, stages, colour, label in zip(
        panels, (truth, predicted), (BLUE, ORANGE), ("scored", "predicted"), strict=False
    ):
        _stairs(tidy(axes), stages, epochs, colour)
        axes.set_ylabel(label)
    wrong = truth != predicted
    panels[2].vlines(hours[wrong] + EPOCH_S / 7200, 0, 1, color="black", linewidth=0.8)
    panels[2].set(yticks=[], ylim=(0, 1))
    panels[2].set_ylabel("differ", rotation=0, ha="right", va="center")
    _probabilities(tidy(panels[3]), probabilities, epochs)
    panels[3].set_xlabel("hours of the recording")
    panels[0].set_title(f"{len(truth)} epochs, {100 * (1 - wrong.mean()):.1f} percent agree", fontsize=10)
    figure.legend(*panels[3].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def alignment_topomaps(
    weights: Mapping[str, np.ndarray],
    channels: Mapping[str, Sequence[str]],
    *,
    synthetic: bool,
    title: str = "What the channel alignment takes from each electrode",
) -> Figure:
    """A head for each dataset with the mean weight of each electrode, and all weights beside it.

    Parameters
    ----------
    weights : mapping of str to ndarray, shape (R, C)
        By dataset, the weight that each of R rows gives to each of C electrodes; a row adds up to 1.
    channels : mapping of str to sequence of str
        By dataset, the C electrodes or bipolar channels.
    synthetic : bool
        Stamp the figure.
    title : str

    Notes
    -----
    Weights are drawn as multiples of 1/C, what an even mixture would give, so that montages of different sizes share
    a scale. Between electrodes the head is interpolated where there are at least four.
    """
    relative = {name: np.asarray(own, dtype=np.float64) * len(channels[name]) for name, own in weights.items()}
    figure = new_figure(10.0, 0.8 + 3.4 * len(relative), title, synthetic)
    panels = figure.subplots(len(relative), 2, squeeze=False, width_ratios=(1, 1.5))
    means = {name: own.mean(axis=0) for name, own in relative.items()}  # (C,)
    on_heads = _limits(means.values())
    in_maps = _limits(relative.values())
    for (head, table), (name, own) in zip(panels, relative.items(), strict=True):
        dots = _head(head, means[name], channels[name], on_heads)
        head.set_title(f"{name}, {own.shape[1]} channels", fontsize=10)
        image = table.imshow(own, aspect="auto", cmap="cividis", vmin=in_maps[0], vmax=in_maps[1], interpolation="none")
        rotation = 90 if own.shape[1] > 16 else 0
        table.set_xticks(
            range(own.shape[1]), channels[name], fontsize=8 if own.shape[1] <= 32 else 5, rotation=rotation
        )
        table.set_ylabel("aligned row")
    figure.colorbar(dots, ax=panels[:, 0], shrink=0.6, label="mean weight, 1 is an even mixture", location="left")
    figure.colorbar(image, ax=panels[:, 1], shrink=0.6, label="weight, 1 is an even mixture")
    return figure


def task_weights(history: pd.DataFrame, *, synthetic: bool, title: str = "Learned weights of the tasks") -> Figure:
    """Weight, sigma and loss of each task by step: single seeds thin, their median thick.

    Parameters
    ----------
    history : DataFrame
        Columns ``step``, where wanted ``seed``, and ``weight_``, ``sigma_`` and ``loss_`` with the name of each task.
        Quantities that the table lacks have no panel.
    synthetic : bool
        Stamp the figure.
    title : str

    Raises
    ------
    UserError
        If the table has none of these columns.
    """
    labels = {"weight": "weight", "sigma": "sigma", "loss": "loss"}
    present = [kind for kind in labels if any(name.startswith(f"{kind}_") for name in history.columns)]
    if not present:
        raise UserError("the history has no weights of tasks", expected="columns such as weight_contrast")
    columns = [name for name in history.columns if name.partition("_")[0] in present]
    tasks = list(dict.fromkeys(name.partition("_")[2] for name in columns))
    figure = new_figure(7.0, 1.2 + 2.2 * len(present), title, synthetic)
    panels = figure.subplots(len(present), 1, sharex=True, squeeze=False).ravel()
    keyed = history if "seed" in history.columns else history.assign(seed=0)
    for axes, kind in zip(panels, present, strict=True):
        tidy(axes).set_ylabel(labels[kind])
        for k, task in enumerate(tasks):
            if f"{kind}_{task}" in columns:
                runs = keyed.pivot(index="step", columns="seed", values=f"{kind}_{task}")  # (steps, seeds)
                axes.plot(runs.index, runs, color=hue(k), linewidth=0.6, alpha=0.35)
                axes.plot(runs.index, runs.median(axis=1), color=hue(k), linewidth=2, label=words(task))
    if "sigma" in present:
        panels[present.index("sigma")].set_yscale("log")
    panels[-1].set_xlabel("step")
    handles = {line.get_label(): line for axes in panels for line in axes.lines if not line.get_label().startswith("_")}
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=len(tasks), frameon=False)
    return figure


def budget_curves(table: pd.DataFrame, *, synthetic: bool, title: str = "Scores by share of labels") -> Figure:
    """A metric against the share of training labels, a panel a dataset and a line an arm, with intervals.

    Parameters
    ----------
    table : DataFrame
        Columns ``dataset, arm, labels_pct, metric, mean, ci_low, ci_high``, of one metric and protocol, as fractions.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    datasets, arms = list(table["dataset"].unique()), list(table["arm"].unique())
    budgets = np.sort(table["labels_pct"].unique())
    metric = table["metric"].iloc[0]
    table = table.assign(**{name: table[name] * scale_of(metric).factor for name in ("mean", "ci_low", "ci_high")})
    figure = new_figure(max(6.4, 3.4 * len(datasets)), 4.4, title, synthetic)
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False).ravel()
    shifts = np.exp(_spread(len(arms), 0.2))  # budgets stand on a logarithmic axis
    for axes, dataset in zip(panels, datasets, strict=True):
        tidy(axes).set_title(dataset, fontsize=10)
        for k, (arm, shift) in enumerate(zip(arms, shifts, strict=True)):
            own = table[(table["dataset"] == dataset) & (table["arm"] == arm)].sort_values("labels_pct")
            axes.plot(own["labels_pct"] * shift, own["mean"], color=hue(k), linewidth=1)
            _points(axes, own["labels_pct"].to_numpy() * shift, own, k, arm)
        axes.set_xscale("log")
        axes.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
        axes.minorticks_off()
        axes.set_xlabel("percent of the training labels")
    panels[0].set_ylabel(axis_label(metric))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(arms)), frameon=False)
    return figure


def alignment_grid(table: pd.DataFrame, *, synthetic: bool, title: str = "Size of the channel alignment") -> Figure:
    """A metric by number of aligned rows and dimension of the position embedding, a heat map a dataset.

    Parameters
    ----------
    table : DataFrame
        Columns ``dataset, rows, dimension, metric, mean``, of one metric and protocol, as fractions. Sizes that did not
        run are left blank.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    datasets = list(table["dataset"].unique())
    rows, dimensions = np.sort(table["rows"].unique()), np.sort(table["dimension"].unique())
    metric = table["metric"].iloc[0]
    scale = scale_of(metric)
    figure = new_figure(
        max(5.0, (1.2 + 0.7 * len(dimensions)) * len(datasets)), 2.2 + 0.45 * len(rows), title, synthetic
    )
    panels = figure.subplots(1, len(datasets), sharey=True, squeeze=False).ravel()
    for axes, dataset in zip(panels, datasets, strict=True):
        own = table[table["dataset"] == dataset].pivot(index="rows", columns="dimension", values="mean")
        values = own.reindex(index=rows, columns=dimensions).to_numpy() * scale.factor  # (rows, dimensions)
        low, high = _limits([values])
        image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto", origin="lower")
        for (row, column), value in np.ndenumerate(values):
            shade = "black" if value > (low + high) / 2 else "white"
            missing = np.isnan(value)
            text, colour = ("–", QUIET) if missing else (f"{value:.{scale.coarse}f}", shade)
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
        axes.set_title(dataset, fontsize=10)
        axes.set_xticks(range(len(dimensions)), dimensions)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel("embedding dimension")
        figure.colorbar(image, ax=axes, shrink=0.8)
    panels[0].set_ylabel("aligned rows")
    figure.supxlabel(f"{axis_label(metric)}; each dataset has its own scale", fontsize=9)
    return figure


def _points(axes: Axes, places: np.ndarray, rows: pd.DataFrame, k: int, label: str) -> None:
    """Means of group k with their intervals."""
    axes.scatter(places, rows["mean"], marker=MARKERS[k % len(MARKERS)], s=30, color=hue(k), label=label, zorder=3)
    axes.vlines(places, rows["ci_low"], rows["ci_high"], color=hue(k), linewidth=1.2, zorder=2)


def _spread(count: int, width: float) -> np.ndarray:
    """Shifts that set `count` groups side by side around 0, shape (count,)."""
    return (np.arange(count) - (count - 1) / 2) * width / max(count, 1)


def _limits(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    """Smallest and largest defined value of all arrays."""
    values = np.concatenate([np.ravel(values) for values in arrays])
    return float(np.nanmin(values)), float(np.nanmax(values))


def _stairs(axes: Axes, stages: np.ndarray, epochs: np.ndarray, colour: str) -> None:
    """One hypnogram; broken where epochs are missing, REM drawn thick."""
    heights = np.array(DEPTH)[stages].astype(np.float64)  # (N,)
    gaps = np.flatnonzero(np.diff(epochs) > 1) + 1
    ends = np.append(gaps, len(epochs))
    for start, end in zip(np.append(0, gaps), ends, strict=True):
        edges = np.append(epochs[start:end] - 1, epochs[end - 1]) * EPOCH_S / 3600
        axes.stairs(heights[start:end], edges, baseline=None, color=colour, linewidth=1)
    rem = stages == STAGES.index("REM")
    begin = (epochs[rem] - 1) * EPOCH_S / 3600
    axes.hlines(heights[rem], begin, begin + EPOCH_S / 3600, color=colour, linewidth=4)
    axes.set_yticks(DEPTH, STAGES)
    axes.set_ylim(4.5, -0.5)


def _probabilities(axes: Axes, probabilities: np.ndarray, epochs: np.ndarray) -> None:
    """Stacked probabilities of the stages; nothing where epochs are missing."""
    first, last = int(epochs[0]) - 1, int(epochs[-1])
    dense = np.zeros((last, len(STAGES)))
    dense[epochs - 1] = probabilities
    hours = np.arange(last) * EPOCH_S / 3600
    colours = [hue(k) for k in range(len(STAGES))]
    axes.stackplot(hours[first:], dense[first:].T, step="post", colors=colours, labels=STAGES, linewidth=0)
    axes.set(ylim=(0, 1), yticks=[0, 1])
    axes.set_ylabel("probability")


def _head(axes: Axes, values: np.ndarray, channels: Sequence[str], limits: tuple[float, float]) -> object:
    """Values on a head: a dot at each electrode, and colours between them where there are enough; gives the dots."""
    from matplotlib.patheffects import withStroke

    places = seen_from_above(channels)  # (C, 2)
    rim = outline(axes)
    if len(channels) >= FEWEST_TO_INTERPOLATE:
        import mne

        style = {"show": False, "sphere": (0.0, 0.0, 0.0, 1.0), "extrapolate": "head", "cmap": "cividis"}
        style |= {"sensors": False, "contours": 0, "outlines": None, "vlim": limits}
        image, _ = mne.viz.plot_topomap(values, places, axes=axes, **style)
        image.set_clip_path(rim)
        axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25))
    low, high = limits
    dots = axes.scatter(*places.T, c=values, s=160, cmap="cividis", vmin=low, vmax=high, edgecolor="black", zorder=5)
    halo = [withStroke(linewidth=1.5, foreground="white")]
    for name, value, place in zip(channels, values, places, strict=True):
        text = f"{name}\n{value:.2f}" if len(channels) <= 16 else name
        axes.annotate(
            text,
            place,
            (0, -9),
            textcoords="offset points",
            fontsize=7,
            ha="center",
            va="top",
            zorder=6,
            path_effects=halo,
        )
    return dots
