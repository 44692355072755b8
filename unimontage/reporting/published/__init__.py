"""Published numbers of the systems that are reproduced here, each with its remarks."""

from collections.abc import Iterable
from math import isclose

import pandas as pd

from unimontage.reporting.published import distill, sleep, universal
from unimontage.reporting.published.value import PublishedValue

__all__ = ["VALUES", "PublishedValue", "as_frame", "lookup"]

VALUES = (*universal.VALUES, *sleep.VALUES, *distill.VALUES)


def lookup(
    row: str | None,
    dataset: str,
    metric: str = "accuracy",
    labels_pct: float = 100.0,
    kept_pct: float | None = None,
    values: Iterable[PublishedValue] = VALUES,
) -> PublishedValue | None:
    """Published number of an arm on a dataset, or None where no article has one.

    Parameters
    ----------
    row : str or None
        What the arm's ``paper`` says.
    dataset, metric : str
        Keys of the dataset and the metric.
    labels_pct : float
        Percent of the training labels that the arm used.
    kept_pct : float, optional
        Percent of the pre-training windows that the arm's encoder saw; by default whatever the article kept.
    values : iterable of PublishedValue
        Where to look; the first that fits is taken.
    """
    key = (row, dataset, metric, labels_pct)
    found = (v for v in values if (v.row, v.dataset, v.metric, v.labels_pct) == key)
    return next((v for v in found if kept_pct is None or isclose(v.kept_pct, kept_pct)), None)


def as_frame(values: Iterable[PublishedValue] = VALUES) -> pd.DataFrame:
    """All published numbers, one a row, with the fields of `PublishedValue`; remarks are joined as ``note``."""
    table = pd.DataFrame([vars(value) for value in values])
    table = table.astype({"value": "float64", "sd": "float64", "gain": "float64"})
    return table.assign(note=table.pop("notes").map(" ".join))
