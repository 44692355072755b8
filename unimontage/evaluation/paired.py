"""Arms against a reference arm, subject by subject: difference, interval, effect sizes, and corrected p."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.evaluation.aggregate import SUBJECT_VALUES, grouped
from unimontage.evaluation.effects import hedges_g, rank_biserial
from unimontage.evaluation.intervals import bca_interval, holm, named_generator, sign_flip

DIFFERENCE_VALUES = (
    *("difference", "sd", "n_subjects", "ci_low", "ci_high", "confidence", "hedges_g", "rank_biserial"),
    *("p", "flips", "p_holm", "tests", "reason"),
)
ARM_COLUMNS = ("arm", "paper_key", "kept_pct")
FAMILY = ("protocol", "unit", "metric")


def paired_differences(
    subject_scores: pd.DataFrame,
    reference_arm: str,
    *,
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
    family: Sequence[str] = FAMILY,
) -> pd.DataFrame:
    """Each arm minus the reference arm, subject by subject.

    Parameters
    ----------
    subject_scores : DataFrame
        From `unimontage.evaluation.aggregate.per_subject`, with arm, subject and protocol. Of other columns only
        ``paper_key`` and ``kept_pct`` may differ between arms.
    reference_arm : str
        The arm that the others are compared with.
    resamples, confidence, rng
        As in `unimontage.evaluation.aggregate.summarise`.
    family : sequence of str
        Rows that agree in these columns are one family for Holm's correction: by default all arms, datasets and tasks
        of a protocol.

    Returns
    -------
    DataFrame
        The identifying columns, ``arm``, ``reference`` and `DIFFERENCE_VALUES`, differences as fractions. ``flips``
        says which patterns of signs p was compared with, ``tests`` how many p values the family has. Subjects for
        whom either score is NaN are left out and counted in the reason.

    Raises
    ------
    UserError
        If the reference arm is absent, or two arms have different subjects.
    """
    keys = [column for column in subject_scores.columns if column not in (*SUBJECT_VALUES, *ARM_COLUMNS, "subject")]
    root = int(rng.integers(2**32))
    rows = []
    for key, group in grouped(subject_scores, keys):
        place = dict(zip(keys, key, strict=True))
        _require_same_subjects(group, reference_arm, place)
        wide = group.pivot(index="subject", columns="arm", values="value")  # (subjects, arms)
        for arm in (arm for arm in group["arm"].unique() if arm != reference_arm):
            differences = (wide[arm] - wide[reference_arm]).to_numpy()
            row = _difference(differences, resamples, confidence, named_generator(root, *key, arm))
            rows.append(place | {"arm": arm, "reference": reference_arm} | row)
    table = pd.DataFrame(rows, columns=[*keys, "arm", "reference", *DIFFERENCE_VALUES, "least"])
    if len(table):
        table = pd.concat([_corrected(own) for _, own in grouped(table, list(family))]).sort_index()
    return table.drop(columns="least")


def _difference(differences: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator) -> dict:
    defined = differences[~np.isnan(differences)]
    n, lost = len(defined), int(np.isnan(differences).sum())
    interval = bca_interval(defined, resamples, confidence, rng)
    test = sign_flip(defined, rng)
    effect = hedges_g(defined)
    left_out = f"undefined for {lost} of {len(differences)} subjects" if lost else ""
    without = interval.reason.replace("no interval", "no interval and no g") if np.isnan(effect) else interval.reason
    return {
        "difference": defined.mean() if n else np.nan,
        "sd": defined.std(ddof=1) if n > 1 else np.nan,
        "n_subjects": n,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "confidence": confidence,
        "hedges_g": effect,
        "rank_biserial": rank_biserial(defined),
        "p": test.p,
        "flips": test.flips,
        "least": test.least,
        "reason": "; ".join(filter(None, (left_out, without, test.reason))),
    }


def _corrected(family: pd.DataFrame) -> pd.DataFrame:
    """One family with its size, its corrected p, and a remark where the correction leaves no room for 0.05."""
    least = family["least"].to_numpy()
    floors = [own * (least >= own).sum() for own in least]  # the others may come first in Holm's order
    tests = int(family["p"].notna().sum())
    weak = [
        f"with {row.n_subjects} subjects and {tests} tests p (Holm) cannot fall below {min(floor, 1):.2g}"
        if row.least <= 0.05 < floor
        else ""
        for row, floor in zip(family.itertuples(), floors, strict=True)
    ]
    reasons = ["; ".join(filter(None, both)) for both in zip(family["reason"], weak, strict=True)]
    return family.assign(p_holm=holm(family["p"].to_numpy()), tests=tests, reason=reasons)


def _require_same_subjects(group: pd.DataFrame, reference: str, where: dict[str, object]) -> None:
    subjects = {arm: set(members["subject"]) for arm, members in group.groupby("arm", sort=False)}
    place = " ".join(str(where[key]) for key in ("dataset", "task", "protocol") if key in where)
    if reference not in subjects:
        raise UserError(f"{place}: no scores of reference arm {reference}", expected=f"it beside {', '.join(subjects)}")
    for arm, members in subjects.items():
        odd = sorted(members ^ subjects[reference])
        if odd:
            raise UserError(
                f"{place}: arms {arm} and {reference} have different subjects; only one of them has {', '.join(odd)}",
                expected="the same subjects in every arm of a comparison",
                mend="let the missing jobs finish, or exclude these subjects",
            )
