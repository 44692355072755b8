"""Figures of distillation: what is kept, what it costs, what it gives. Each function returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.evaluation.scales import scale_of
from unimontage.reporting.canvas import MARKERS, ORANGE, QUIET, axis_label, hue, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALL = "full"
"""Name of the method that keeps all windows."""
PANEL = ["dataset", "task", "protocol", "metric"]
COSTS = {"compressor": "compressor and latents", "selection": "selection", "pretraining": "pre-training"}
KINDS = ("dataset", "subject", "class")
MOST_NAMES = 40
FATES = {"kept": "chosen", "dropped": "not chosen", "outlier": "removed as outliers"}
"""What became of the windows of a gallery, and how it is shown."""


def selection_curves(table: pd.DataFrame, *, synthetic: bool, title: str = "Scores by share of windows kept") -> Figure:
    """A metric against the share of windows that was trained on, a panel a task and a line a method.

    Parameters
    ----------
    table : DataFrame
        Columns ``dataset, task, protocol, metric, method, kept_pct, mean, ci_low, ci_high``, as the evaluation gives
        them (fractions, not percent); panels may have different metrics. The method ``full``, which keeps all
        windows, is a dashed line with its interval as a band.
    synthetic : bool
        Stamp the figure.
    title : str

    Raises
    ------
    UserError
        If a method has two scores for one share.
    """
    table = _shown(table)
    twice = table.duplicated([*PANEL, "method", "kept_pct"])
    if twice.any():
        row = table[twice].iloc[0]
        raise UserError(
            f"{row['dataset']} {row['task']}: {row['method']} has two scores for {row['kept_pct']:g} % of the windows",
            expected="one score a method and share",
            mend="leave out arms that differ in something else than method and share",
        )
    methods = _methods(table)
    panels = list(table.groupby(PANEL, sort=False))
    figure = new_figure(max(6.4, 3.4 * len(panels)), 4.6, title, synthetic)
    shares = np.sort(table.loc[table["method"] != ALL, "kept_pct"].unique())
    for axes, ((dataset, task, protocol, metric), own) in zip(_row(figure, len(panels)), panels, strict=True):
        tidy(axes).set_title(f"{dataset}, {task}\n{protocol}", fontsize=10)
        for k, method in enumerate(methods):
            line = own[own["method"] == method].sort_values("kept_pct")
            shifted = line["kept_pct"] * 1.03 ** (k - (len(methods) - 1) / 2)  # so that intervals stand side by side
            axes.plot(shifted, line["mean"], color=hue(k), marker=_marker(k), markersize=5, linewidth=1.2, label=method)
            axes.vlines(shifted, line["ci_low"], line["ci_high"], color=hue(k), linewidth=1)
        _all_windows(axes, own[own["method"] == ALL])
        axes.set_xscale("log")
        axes.set_xticks(shares, [f"{share:g}" for share in shares])
        axes.minorticks_off()
        axes.set_xlabel("percent of the windows kept")
        axes.set_ylabel(axis_label(metric))
    _legend(figure)
    return figure


def cost_curves(table: pd.DataFrame, *, synthetic: bool, title: str = "Scores by hours of computing") -> Figure:
    """A metric against all hours that lead to it, a panel a task, and below them what the hours went into.

    Parameters
    ----------
    table : DataFrame
        Columns ``dataset, task, protocol, metric, method, kept_pct, mean, ci_low, ci_high``, as in `selection_curves`,
        and ``compressor_h, selection_h, pretraining_h``: hours. Pre-training on all windows is the method ``full``;
        what it does not need costs it 0 hours.
    synthetic : bool
        Stamp the figure.
    title : str

    Raises
    ------
    UserError
        If hours are absent: without them the arm would seem to be free.
    """
    table = _shown(table)
    names = [f"{part}_h" for part in COSTS]
    missing = table[names].isna().any(axis=1)
    if missing.any():
        row = table[missing].iloc[0]
        raise UserError(f"the hours of {row['method']} at {row['kept_pct']:g} % are not known", expected="all of them")
    table = table.assign(hours=table[names].sum(axis=1))
    runs = table.drop_duplicates(["method", "kept_pct"]).sort_values("hours", ascending=False)
    panels = list(table.groupby(PANEL, sort=False))
    figure = new_figure(max(7.0, 3.6 * len(panels)), 4.8 + 0.28 * len(runs), title, synthetic)
    grid = figure.add_gridspec(2, len(panels), height_ratios=(3.4, 0.8 + 0.28 * len(runs)))
    methods = [*_methods(table), ALL]
    for k, ((dataset, task, protocol, metric), own) in enumerate(panels):
        axes = tidy(figure.add_subplot(grid[0, k]))
        axes.set_title(f"{dataset}, {task}\n{protocol}", fontsize=10)
        _scores_by_hours(axes, own, methods)
        axes.set_ylabel(axis_label(metric))
    _hours(tidy(figure.add_subplot(grid[1, :])), runs)
    _legend(figure)
    return figure


def kept_shares(
    table: pd.DataFrame, asked: float | None = None, *, synthetic: bool, title: str = "What was kept"
) -> Figure:
    """Share of the windows of each dataset, subject and class that was kept, against the share that was asked for.

    Parameters
    ----------
    table : DataFrame
        Columns ``kind`` (dataset, subject or class), ``dataset``, ``group`` (its name) and ``share`` (0 to 1); where
        wanted ``method``, each of which has a colour.
    asked : float, optional
        The share that was asked for, 0 to 1, drawn as a dashed line.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    table = table if "method" in table.columns else table.assign(method="kept")
    name = table["group"].astype(str)
    if table["dataset"].nunique() > 1:
        name = name.where(table["kind"] == "dataset", table["dataset"] + " " + name)
    table = table.assign(name=name)
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    tallest = max(table.loc[table["kind"] == kind, "name"].nunique() for kind in kinds)
    figure = new_figure(max(6.4, 3.6 * len(kinds)), 2.2 + 0.22 * min(tallest, MOST_NAMES), title, synthetic)
    methods = list(table["method"].unique())
    for axes, kind in zip(_row(figure, len(kinds)), kinds, strict=True):
        own = table[table["kind"] == kind]
        order = own.groupby("name", sort=False)["share"].mean().sort_values()
        places = pd.Series(np.arange(len(order)), index=order.index)
        tidy(axes).set_title(f"by {kind}, {len(order)}", fontsize=10)
        for k, method in enumerate(methods):
            line = own[own["method"] == method]
            axes.scatter(100 * line["share"], places[line["name"]], s=26, color=hue(k), marker=_marker(k), label=method)
        if asked is not None:
            axes.axvline(100 * asked, color=QUIET, linestyle="--", linewidth=1, label="asked for")
        few = len(order) <= MOST_NAMES
        axes.set_yticks(places if few else [], order.index if few else [])
        axes.set_xlim(left=0)
        axes.set_xlabel("percent of its windows kept")
    _legend(figure)
    return figure


def coverage(table: pd.DataFrame, *, synthetic: bool, title: str = "How far windows are from the kept ones") -> Figure:
    """Distance of windows to the nearest kept one by share kept, a panel a dataset and a line a method.

    Parameters
    ----------
    table : DataFrame
        Columns ``dataset, method, kept_pct, radius`` (the largest distance) and ``mean_distance``, in units of the
        latents.
    synthetic : bool
        Stamp the figure.
    title : str
    """
    datasets, methods = list(table["dataset"].unique()), list(table["method"].unique())
    shares = np.sort(table["kept_pct"].unique())
    figure = new_figure(max(6.4, 3.4 * len(datasets)), 4.4, title, synthetic)
    for axes, dataset in zip(_row(figure, len(datasets)), datasets, strict=True):
        tidy(axes).set_title(dataset, fontsize=10)
        for k, method in enumerate(methods):
            own = table[(table["dataset"] == dataset) & (table["method"] == method)].sort_values("kept_pct")
            style = {"color": hue(k), "marker": _marker(k), "markersize": 5, "linewidth": 1.2}
            axes.plot(own["kept_pct"], own["radius"], label=f"{method}, farthest", **style)
            axes.plot(own["kept_pct"], own["mean_distance"], linestyle=":", label=f"{method}, mean", **style)
        axes.set_xscale("log")
        axes.set_xticks(shares, [f"{share:g}" for share in shares])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("percent of the windows kept")
        axes.set_ylabel("distance in the latent space")
    _legend(figure)
    return figure


def gallery(
    windows: Mapping[str, np.ndarray],
    scores: Mapping[str, np.ndarray],
    channels: Sequence[str],
    sfreq_hz: float,
    *,
    synthetic: bool,
    title: str = "Windows and their outlier scores",
) -> Figure:
    """Signals of windows that were chosen, not chosen and removed, a row each, with their outlier scores.

    Parameters
    ----------
    windows : mapping of str to ndarray, shape (n, C, T)
        By what became of them (``kept``, ``dropped``, ``outlier``), examples in microvolt; channels that a recording
        lacks are NaN and stay blank. A kind without windows has no row, and a kind with fewer windows empty places.
    scores : mapping of str to ndarray, shape (n,)
        Their outlier scores; NaN where the method has none.
    channels : sequence of str
        The C channel names.
    sfreq_hz : float
        Sampling rate.
    synthetic : bool
        Stamp the figure.
    title : str

    Raises
    ------
    UserError
        If a kind has no scores, or another number of them, or there are no windows at all.

    Notes
    -----
    All panels have one scale, that of the first two kinds, so that artefacts look as large as they are; they are cut
    off at the edge of a panel.
    """
    shapes = {kind: np.shape(own) for kind, own in windows.items() if len(own)}
    odd = [kind for kind, shape in shapes.items() if np.shape(scores.get(kind, ())) != shape[:1]]
    if odd or not shapes:
        raise UserError(
            f"a gallery of {', '.join(f'{len(own)} {kind}' for kind, own in windows.items())} windows",
            expected="at least one window, and a score for each",
        )
    spacing = _spacing([windows[kind] for kind in shapes])
    columns = max(shape[0] for shape in shapes.values())
    height = 1.6 + min(4.0, 0.5 + 0.11 * len(channels)) * len(shapes)
    figure = new_figure(1.2 + 2.0 * columns, height, title, synthetic)
    panels = figure.subplots(len(shapes), columns, squeeze=False)
    for row, kind in zip(panels, shapes, strict=True):
        for axes in row[len(windows[kind]) :]:
            axes.set_visible(False)
        for axes, signal, score in zip(row, windows[kind], scores[kind], strict=False):
            _traces(axes, np.asarray(signal), spacing, sfreq_hz)
            axes.set_title("no score" if np.isnan(score) else f"score {score:.1f}", fontsize=9)
        row[0].set_ylabel(FATES.get(kind, kind), fontsize=10)
        row[0].set_yticks(-spacing * np.arange(len(channels)), channels, fontsize=8 if len(channels) <= 16 else 5)
        row[0].tick_params(axis="y", length=0)
    _scale_bar(panels[-1, 0], spacing, shapes[kind][2] / sfreq_hz)
    return figure


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Means and intervals on the scale of each row's metric."""
    factors = table["metric"].map(lambda metric: scale_of(metric).factor)
    return table.assign(**{name: table[name] * factors for name in ("mean", "ci_low", "ci_high")})


def _methods(table: pd.DataFrame) -> list[str]:
    return [method for method in table["method"].unique() if method != ALL]


def _marker(k: int) -> str:
    return MARKERS[k % len(MARKERS)]


def _row(figure: Figure, count: int) -> np.ndarray:
    return figure.subplots(1, count, squeeze=False).ravel()


def _legend(figure: Figure) -> None:
    """One legend for all panels, each entry once."""
    handles = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)


def _all_windows(axes: Axes, rows: pd.DataFrame) -> None:
    """The score of all windows as a dashed line, with its interval as a band."""
    for _, row in rows.iterrows():
        axes.axhline(row["mean"], color="black", linestyle="--", linewidth=1, label="all windows")
        if not np.isnan(row["ci_low"]):
            axes.axhspan(row["ci_low"], row["ci_high"], color="black", alpha=0.07, linewidth=0)


def _scores_by_hours(axes: Axes, rows: pd.DataFrame, methods: Sequence[str]) -> None:
    for k, method in enumerate(methods):
        own = rows[rows["method"] == method].sort_values("hours")
        colour, label = ("black", "all windows") if method == ALL else (hue(k), method)
        axes.plot(own["hours"], own["mean"], color=colour, marker=_marker(k), markersize=6, linewidth=0.8, label=label)
        axes.vlines(own["hours"], own["ci_low"], own["ci_high"], color=colour, linewidth=1)
        for _, row in own.iterrows():
            place = (row["hours"], row["mean"])
            axes.annotate(f"{row['kept_pct']:g} %", place, (5, 4), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("hours, compressor to pre-training")


def _hours(axes: Axes, runs: pd.DataFrame) -> None:
    """Hours of each run, stacked by what they went into."""
    places = np.arange(len(runs))
    left = np.zeros(len(runs))
    for shade, (part, label) in zip(("#cccccc", "#888888", "#333333"), COSTS.items(), strict=True):
        hours = runs[f"{part}_h"].to_numpy()
        axes.barh(places, hours, left=left, color=shade, label=label, height=0.7)
        left = left + hours
    for place, total in zip(places, left, strict=True):
        axes.annotate(f"{total:.3g} h", (total, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    names = runs["method"].replace(ALL, "all windows")
    axes.set_yticks(places, [f"{name}, {kept:g} %" for name, kept in zip(names, runs["kept_pct"], strict=True)])
    axes.margins(x=0.1)
    axes.set_xlabel("hours")


def _spacing(groups: Sequence[np.ndarray]) -> float:
    """Microvolts between two traces: four times the median SD of a channel in the first two kinds of windows."""
    spreads = np.concatenate([np.asarray(own).std(axis=2).ravel() for own in groups[:2]])
    usual = float(np.median(spreads[np.isfinite(spreads)])) if np.isfinite(spreads).any() else 0.0
    return 4 * usual if usual > 0 else 1.0


def _traces(axes: Axes, signal: np.ndarray, spacing: float, sfreq_hz: float) -> None:
    """Channels of one window below each other, (C, T); cut off at the edge of the panel."""
    places = -spacing * np.arange(len(signal))
    centred = signal - np.median(signal, axis=1, keepdims=True)
    axes.plot(np.arange(signal.shape[1]) / sfreq_hz, (centred + places[:, None]).T, color="black", linewidth=0.4)
    axes.set_ylim(places[-1] - spacing, spacing)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _scale_bar(axes: Axes, spacing: float, seconds: float) -> None:
    """How tall so many microvolts and how long one second is, at the lower left of a panel."""
    magnitude = 10.0 ** np.floor(np.log10(2 * spacing))
    height = next(step * magnitude for step in (5, 2, 1) if step * magnitude <= 2 * spacing)
    length = 1.0 if seconds >= 2 else seconds / 4
    low, _ = axes.get_ylim()
    axes.plot([0, 0, length], [low + height, low, low], color=ORANGE, linewidth=2, clip_on=False, zorder=6)
    text = f"{height:g} µV, {length:g} s"
    axes.annotate(text, (0, low), (0, -4), textcoords="offset points", fontsize=8, color=ORANGE, va="top")
