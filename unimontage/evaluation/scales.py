"""What a metric is called, how its numbers are shown, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How the numbers of a metric are shown.

    Parameters
    ----------
    factor : float
        What a number is multiplied by before it is shown: 100 for a fraction that is read as percent.
    digits, coarse : int
        Decimals of a mean, and of its spread.
    lower_is_better : bool
    """

    factor: float = 100.0
    digits: int = 2
    coarse: int = 1
    lower_is_better: bool = False

    @property
    def percent(self) -> bool:
        """Whether the numbers are read as percent, and their differences as points."""
        return self.factor == 100.0


PERCENT = Scale()
SCALES = {
    "pearson_r": Scale(1.0, 3, 3),
    "r2": Scale(1.0, 3, 3),
    "rmse": Scale(1.0, 3, 3, lower_is_better=True),  # in the unit of the targets
}
NAMES = {
    **{"macro_f1": "macro F1", "weighted_f1": "weighted F1", "auroc": "AUROC", "auc_pr": "AUC-PR"},
    **{"pearson_r": "Pearson r", "r2": "R²", "rmse": "RMSE"},
}


def scale_of(metric: str) -> Scale:
    """Scale of a metric; percent for all that are fractions."""
    return SCALES.get(metric, PERCENT)


def name_of(metric: str) -> str:
    """A metric within a sentence: ``balanced_accuracy`` becomes balanced accuracy, ``auroc`` AUROC, ``f1_N1`` F1 N1."""
    if metric.startswith("f1_"):
        return f"F1 {metric.removeprefix('f1_')}"
    return NAMES.get(metric, metric.replace("_", " "))
