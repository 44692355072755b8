"""Published numbers of the systems that are reproduced here, each with its remarks."""

from collections.abc import Iterable

import pandas as pd

from unimontage.reporting.published import sleep, universal
from unimontage.reporting.published.value import PublishedValue

__all__ = ["VALUES", "PublishedValue", "as_frame", "lookup"]

VALUES = (*universal.VALUES, *sleep.VALUES)


def lookup(
    row: str | None,
    dataset: str,
    metric: str = "accuracy",
    labels_pct: float = 100.0,
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
    values : iterable of PublishedValue
        Where to look; the first that fits is taken.
    """
    key = (row, dataset, metric, labels_pct)
    return next((v for v in values if (v.row, v.dataset, v.metric, v.labels_pct) == key), None)


def as_frame(values: Iterable[PublishedValue] = VALUES) -> pd.DataFrame:
    """All published numbers, one a row, with the fields of `PublishedValue`; remarks are joined as ``note``."""
    table = pd.DataFrame([vars(value) for value in values])
    table = table.astype({"value": "float64", "sd": "float64", "gain": "float64"})
    return table.assign(note=table.pop("notes").map(" ".join))
