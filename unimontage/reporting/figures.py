"""Figures. Each function returns a matplotlib figure that was made without a display and belongs to no global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unimontage.evaluation.scales import name_of, scale_of
from unimontage.reporting.canvas import BLUE, ORANGE, QUIET, axis_label, hue, new_figure, palette, tidy
from unimontage.reporting.head import seen_from_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def subject_accuracies(
    scores: pd.DataFrame,
    summaries: pd.DataFrame | None = None,
    *,
    synthetic: bool,
    title: str = "Scores of single subjects",
) -> Figure:
    """One dot a subject and arm, subjects joined by lines, with means and intervals beside them.

    Parameters
    ----------
    scores : DataFrame
        From `per_subject`, of one dataset, task, protocol, unit and metric.
    summaries : DataFrame, optional
        From `summarise`, the same selection. Without it means stand alone.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    arms = list(scores["arm"].unique())
    factor = scale_of(scores["metric"].iloc[0]).factor
    wide = scores.pivot(index="subject", columns="arm", values="value")[arms] * factor  # (subjects, arms)
    figure = new_figure(max(5.0, 1.5 + 1.3 * len(arms)), 4.8, title, synthetic)
    axes = tidy(figure.subplots())
    places = np.arange(len(arms))
    axes.plot(places, wide.to_numpy().T, color=QUIET, linewidth=0.6, alpha=0.4, zorder=1)
    for k, arm in enumerate(arms):
        axes.scatter(np.full(len(wide), k), wide[arm], s=22, color=hue(k), alpha=0.75, linewidth=0, zorder=2)
    means = wide.mean() if summaries is None else summaries.set_index("arm").loc[arms, "mean"] * factor
    axes.scatter(places + 0.2, means, marker="D", s=34, color="black", zorder=3, label="mean over subjects")
    if summaries is not None:
        bounds = summaries.set_index("arm").loc[arms, ["ci_low", "ci_high"]] * factor
        axes.vlines(places + 0.2, bounds["ci_low"], bounds["ci_high"], color="black", label="interval of the mean")
    axes.axhline(scores["chance"].mean() * factor, color=QUIET, linestyle="--", linewidth=1, label="chance")
    axes.set_xticks(places, arms, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.4, len(arms) - 0.4)
    axes.set_ylabel(axis_label(scores["metric"].iloc[0]))
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def confusion_matrices(
    matrices: Mapping[str, np.ndarray],
    classes: Sequence[str],
    *,
    synthetic: bool,
    title: str = "Confusion of classes",
) -> Figure:
    """One panel an arm: share of each true class (row) that was given each name (column).

    Parameters
    ----------
    matrices : mapping of str to ndarray, shape (K, K)
        Counts by arm, true classes along the first axis, from `unimontage.evaluation.metrics.confusion`.
    classes : sequence of str
        The K class names.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    per_row = min(4, len(matrices))
    rows = -(-len(matrices) // per_row)
    side = 1.3 + 0.45 * len(classes)
    figure = new_figure(max(5.0, per_row * side + 1), rows * (side + 0.3) + 1, title, synthetic)
    panels = figure.subplots(rows, per_row, squeeze=False, sharey=True).ravel()
    for axes, (arm, counts) in zip(panels, matrices.items(), strict=False):
        counts = np.asarray(counts, dtype=np.float64)
        totals = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0) * 100  # (K, K)
        image = axes.imshow(shares, vmin=0, vmax=100, cmap="cividis")
        for row, column in np.ndindex(*shares.shape):
            share = shares[row, column]
            text = "–" if np.isnan(share) else f"{share:.0f}"
            axes.text(column, row, text, ha="center", va="center", color="black" if share > 55 else "white")
        axes.set_title(arm, fontsize=10)
        axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), classes)
    for axes in panels[len(matrices) :]:
        axes.set_visible(False)
    figure.supxlabel("predicted class", fontsize=10)
    figure.supylabel("true class", fontsize=10)
    figure.colorbar(image, ax=panels, label="percent of the true class", shrink=0.8)
    return figure


def predicted_numbers(table: pd.DataFrame, *, synthetic: bool, title: str = "Predicted numbers") -> Figure:
    """Predicted against true values, a row of panels an arm and a panel a target; on the line they agree.

    Parameters
    ----------
    table : DataFrame
        Columns ``arm, target, true, predicted``, one row a window and target, in the targets' unit.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    arms, targets = list(table["arm"].unique()), list(table["target"].unique())
    figure = new_figure(max(5.0, 1 + 1.6 * len(targets)), 1 + 1.7 * len(arms), title, synthetic)
    panels = figure.subplots(len(arms), len(targets), squeeze=False, sharex="col", sharey="col")
    for (arm, target), own in table.groupby(["arm", "target"], sort=False):
        row, column = arms.index(arm), targets.index(target)
        axes = tidy(panels[row, column])
        axes.plot(own["true"], own["predicted"], ".", color=hue(row), markersize=2, alpha=0.4)
        low, high = own["true"].min(), own["true"].max()
        axes.plot([low, high], [low, high], color=QUIET, linewidth=1)
        if row == 0:
            axes.set_title(target, fontsize=9)
        if column == 0:
            axes.set_ylabel(arm, fontsize=9)
    figure.supxlabel("true", fontsize=10)
    figure.supylabel("predicted", fontsize=10)
    return figure


def learning_curves(history: pd.DataFrame, *, synthetic: bool, title: str = "Fine-tuning") -> Figure:
    """Training and validation loss by epoch, one panel an arm, one thin line a run, the median thick.

    Parameters
    ----------
    history : DataFrame
        Columns ``fold, seed, epoch, train_loss, val_loss``, where wanted ``arm`` and any others that tell runs apart;
        ``val_loss`` is NaN where there is no validation set. An epoch that is not above the one before, for the same
        fold, seed and others, begins another run, so the histories of several subjects may follow each other.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    arms = dict(list(history.groupby("arm", sort=False))) if "arm" in history.columns else {"": history}
    if not arms:  # classical pipelines have no epochs
        figure = new_figure(6.4, 1.6, title, synthetic)
        figure.text(0.5, 0.4, "No arm was trained by epochs.", ha="center", fontsize=10)
        return figure
    per_row = min(3, len(arms))
    rows = -(-len(arms) // per_row)
    figure = new_figure(max(6.4, 3.6 * per_row), 1.6 + 2.8 * rows, title, synthetic)
    panels = figure.subplots(rows, per_row, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (arm, runs) in zip(panels, arms.items(), strict=False):
        tidy(axes).set_title(arm, fontsize=10)
        _losses(axes, runs)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("epoch")
    for axes in panels[len(arms) :]:
        axes.set_visible(False)
    figure.supylabel("loss in nats", fontsize=10)
    lines = {line.get_label(): line for axes in panels for line in axes.lines if not line.get_label().startswith("_")}
    figure.legend(handles=list(lines.values()), loc="outside lower center", ncols=2, frameon=False)
    return figure


CURVES = {
    "loss": ("loss", 3.0),
    "spread": ("spread", 2.0),
    "usage": ("codes in use", 2.0),
    "lr": ("learning rate", 1.4),
}
"""What is drawn of a pre-training, with its label and the height of its panel."""


def pretraining_curves(history: pd.DataFrame, *, synthetic: bool, title: str = "Pre-training") -> Figure:
    """Loss, learning rate and what of spread and codes in use was measured by step, on one axis of steps.

    Parameters
    ----------
    history : DataFrame
        Columns ``step, loss, lr``, where they were measured ``spread`` (of the embeddings: zero means that all inputs
        get one embedding) and ``usage`` (share of a tokenizer's codes), and where there are several runs ``seed``.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    shown = [name for name in CURVES if name in history.columns]
    figure = new_figure(6.4, 2.2 + 1.4 * len(shown), title, synthetic)
    heights = [CURVES[name][1] for name in shown]
    panels = figure.subplots(len(shown), 1, sharex=True, height_ratios=heights)
    runs = dict(list(history.groupby("seed"))) if "seed" in history.columns else {0: history}
    for axes, column in zip(panels, shown, strict=True):
        tidy(axes).set_ylabel(CURVES[column][0])
        for k, (seed, run) in enumerate(runs.items()):
            smooth = run[column].rolling(max(1, len(run) // 50), min_periods=1).mean()
            axes.plot(run["step"], smooth if column != "lr" else run[column], color=hue(k), label=f"seed {seed}")
            if column != "lr":
                axes.plot(run["step"], run[column], color=hue(k), linewidth=0.8, alpha=0.3)
        if column in ("spread", "usage"):
            axes.set_ylim(bottom=0)
    panels[-1].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    panels[-1].set_xlabel("step")
    if len(runs) > 1:
        panels[-1].legend(frameon=False, fontsize=9)
    figure.align_ylabels(panels)
    return figure


def attention_topomap(
    channels: Sequence[str], values: np.ndarray, *, synthetic: bool, title: str = "Attention received by electrodes"
) -> Figure:
    """`attention_topomaps` of a single head: C electrode names and one value for each, shape (C,)."""
    return attention_topomaps(pd.DataFrame({"": values}, index=list(channels)), synthetic=synthetic, title=title)


def attention_topomaps(
    values: pd.DataFrame, *, synthetic: bool, title: str = "Attention received by electrodes"
) -> Figure:
    """One template head an arm, seen from above, nose up, all on one colour scale.

    Parameters
    ----------
    values : DataFrame
        For example the mean attention that each electrode (row) receives in each arm (column). CB1 and CB2 are drawn at
        PO9 and PO10, so no montage may hold both of such a pair.
    synthetic : bool
        Stamp the figure.
    title : str

    Raises
    ------
    UserError
        If an electrode has no template position.
    """
    import mne
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=1.5, foreground="white")]  # names stay readable on dark ground
    per_row = min(3, values.shape[1])
    rows = -(-values.shape[1] // per_row)
    figure = new_figure(1.0 + 4.2 * per_row, 0.8 + 4.0 * rows, title, synthetic)
    panels = figure.subplots(rows, per_row, squeeze=False).ravel()
    names = [str(name) for name in values.index]
    places = seen_from_above(names)  # (C, 2)
    bounds = (float(values.min(axis=None)), float(values.max(axis=None)))
    style = {"show": False, "sphere": (0.0, 0.0, 0.0, 1.0), "extrapolate": "head", "cmap": "cividis", "sensors": False}
    for axes, (arm, received) in zip(panels, values.items(), strict=False):
        contours = 4 if np.ptp(received) else 0  # equal values have no contours
        image, _ = mne.viz.plot_topomap(
            received.to_numpy(dtype=np.float64),
            places,
            **{"axes": axes, "vlim": bounds, "contours": contours, **style},
        )
        axes.set_title(arm, fontsize=10)
        for name, place in zip(names, places, strict=True):
            axes.text(*place, name, fontsize=8 if len(names) <= 32 else 6, ha="center", va="center", path_effects=halo)
    for axes in panels[values.shape[1] :]:
        axes.set_visible(False)
    figure.colorbar(image, ax=panels, shrink=0.7, label="attention")
    return figure


def embedding_map(
    points: np.ndarray,
    channels: Sequence[str],
    labels: Sequence[str],
    *,
    synthetic: bool,
    title: str = "Embeddings in two dimensions",
) -> Figure:
    """The same points twice: coloured by channel, and coloured by class.

    Parameters
    ----------
    points : ndarray, shape (N, 2)
        Embeddings brought to two dimensions.
    channels, labels : sequence of str, length N
        Electrode and class of each point.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    points = np.asarray(points)
    figure = new_figure(11.0, 7.0, title, synthetic)
    panels = figure.subplots(2, 2, height_ratios=(3, 1))
    columns = {"channel": 10, "class": 3}
    for (axes, key), names, what in zip(panels.T, (channels, labels), columns, strict=True):
        axes.spines[:].set_visible(False)
        axes.set_title(f"coloured by {what}", fontsize=11)
        axes.set(xticks=[], yticks=[])
        groups = sorted(set(names))
        colours = palette(len(groups))
        codes = pd.Categorical(names, categories=groups).codes
        order = np.random.default_rng(0).permutation(len(points))  # so that no group hides the others
        axes.scatter(*points[order].T, s=14, c=[colours[code] for code in codes[order]], linewidth=0, alpha=0.75)
        handles = [key.scatter([], [], s=24, color=colours[k], label=name) for k, name in enumerate(groups)]
        key.set_axis_off()
        key.legend(
            handles=handles, ncols=columns[what], fontsize=7, frameon=False, loc="upper center", columnspacing=0.8
        )
    return figure


def protocol_contrast_figure(
    contrast: pd.DataFrame, *, synthetic: bool, title: str = "What leakage is worth"
) -> Figure:
    """One line an arm from its strict score to its score under the paper's protocol.

    Parameters
    ----------
    contrast : DataFrame
        From `unimontage.reporting.contrast.contrast_table`; each metric has axes of its own.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    parts = [part for _, part in contrast.groupby("metric", sort=False)] or [contrast]
    figure = new_figure(8.0, 1.2 + 0.6 * len(parts) + 0.34 * len(contrast), title, synthetic)
    sizes = {"height_ratios": [1 + len(part) for part in parts]}
    for axes, part in zip(figure.subplots(len(parts), squeeze=False, gridspec_kw=sizes)[:, 0], parts, strict=True):
        _contrast_lines(tidy(axes), part)
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _contrast_lines(axes: Axes, contrast: pd.DataFrame) -> None:
    """One metric's lines, each with the difference and its interval at the end."""
    heights = np.arange(len(contrast))[::-1]
    axes.hlines(heights, contrast["strict"], contrast["paper"], color=QUIET, linewidth=2, zorder=1)
    axes.scatter(contrast["strict"], heights, color=BLUE, s=44, zorder=2, label="strict protocol")
    axes.scatter(contrast["paper"], heights, color=ORANGE, s=44, marker="D", zorder=2, label="paper's protocol")
    for height, (_, row) in zip(heights, contrast.iterrows(), strict=True):
        digits, end = scale_of(row["metric"]).coarse, max(row["strict"], row["paper"])
        text = f"{row['leakage']:+.{digits}f}"
        if not pd.isna(row["ci_low"]):
            text += f" ({row['ci_low']:+.{digits}f} to {row['ci_high']:+.{digits}f})"
        axes.annotate(text, (end, height), xytext=(9, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(heights, contrast[["dataset", "task", "protocol", "arm", "scored"]].agg(", ".join, axis=1))
    axes.margins(x=0.5, y=0.2)
    metric = contrast["metric"].iloc[0] if len(contrast) else "score"
    percent = scale_of(metric).percent
    axes.set_xlabel(f"mean {name_of(metric)}" + (" in percent; the numbers are points" if percent else ""))


def _losses(axes: Axes, history: pd.DataFrame) -> None:
    """Losses of one arm: single runs faint, their median strong."""
    losses = ("train_loss", "val_loss")
    keys = [column for column in history.columns if column not in ("epoch", *losses)]
    again = history.groupby(keys, dropna=False)["epoch"].diff() <= 0
    history = history.assign(run=again.groupby([history[key] for key in keys], dropna=False).cumsum())
    for column, colour, label in zip(losses, (BLUE, ORANGE), ("training", "validation"), strict=True):
        runs = history.pivot(index="epoch", columns=[*keys, "run"], values=column)  # (epochs, runs)
        if runs.notna().to_numpy().any():
            axes.plot(runs.index, runs, color=colour, linewidth=0.6, alpha=0.25)
            axes.plot(runs.index, runs.median(axis=1), color=colour, linewidth=2.2, label=f"{label}, median of runs")
