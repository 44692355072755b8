"""One published number and how far it can be trusted."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PublishedValue:
    """One published number.

    Parameters
    ----------
    system : str
        Key of the published system.
    table : str
        Table of the article, as ``table_1``; empty for a number in its text.
    row : str
        Row of the article, as an arm's ``paper`` names it.
    dataset : str
        Key of the target dataset; empty for a number that belongs to none, such as a count of parameters.
    metric : str
        Metric, as in `unimontage.evaluation.pooled`, or a quantity of an efficiency table.
    value : float or None
        On the scale of the metric (`unimontage.evaluation.scales`): percent, or the unit that it names; None where the
        article reports a failure and no number.
    labels_pct : float
        Percent of the training labels that are used.
    kept_pct : float
        Percent of the training windows that are kept before training: of the pre-training corpus, or, where there is
        no pre-training, of the labelled windows, chosen for what they show and not drawn as a budget of labels is.
    sd : float or None
        What the article prints behind the plus-minus sign.
    origin : {"quoted", "derived"}
        Printed in the article, or computed from what it prints.
    notes : tuple of str
        What to know before comparing with it, a remark each.
    gain : float or None
        The difference to the full model that the article prints, in points; a derived value comes from it.
    """

    system: str
    table: str
    row: str
    dataset: str
    metric: str
    value: float | None
    labels_pct: float = 100.0
    kept_pct: float = 100.0
    sd: float | None = None
    origin: Literal["quoted", "derived"] = "quoted"
    notes: tuple[str, ...] = ()
    gain: float | None = None
