"""Printed numbers that are no scores: the article's data, settings and learned weights, for the ledger alone."""

from collections.abc import Sequence

from unimontage.reporting.published.distill import COMPRESSOR_NOT_COUNTED, HOURS, KEPT_PCT, SECOND_HAND
from unimontage.reporting.published.sleep import (
    DATASETS,
    ELEVEN_OF_83,
    GAMMA_FILTERED_AWAY,
    WEIGHTS_DISAGREE,
    WHOLE_DAY,
)
from unimontage.reporting.published.value import PublishedValue

DATA, SETTING = "the article's data are described, nothing is scored", "a setting of the article and no score"
LEARNED = "what an objective learned belongs to its data and its losses"
HOURS_OF_A_MACHINE = "hours belong to a machine and to a corpus, and the article's corpus is partly private"
WHY = {"table_7": DATA, "table_8": SETTING, "table_9": SETTING, "appendix_f": LEARNED, "hours": HOURS_OF_A_MACHINE}
"""Why the numbers of a table are not compared with a run's."""
TITLES = {
    "table_7": "Epochs of the three datasets",
    "table_8": "Ranges of the augmentations",
    "table_9": "Frequency bands that are masked",
    "appendix_f": "Learned variances, weights and weighted losses of the objectives",
    "hours": "Hours of pre-training",
}
SHORT_NIGHTS = (
    "The epochs of ANPHY-Sleep make less than five hours a night, although nights there are longer; what was left out "
    "is not stated."
)
MICROVOLT_AND_NOT = "A shift in microvolt and a noise of at most 0.2 do not belong to the same scale of the signal."
ABOVE_THE_FILTER = "Signals are low-passed at 40 Hz, so a stop band above that does nothing."

STAGES = ("W", "N1", "N2", "N3", "REM")
TABLE_7_COLUMNS = (
    *("subjects", "sfreq_hz", "channels"),
    *(column for stage in STAGES for column in (f"epochs_{stage}", f"share_{stage}")),
    "epochs",
)
TABLE_7 = """
sleep_edf   20  100  2  72354 68.02   2804  2.64  17799 16.73   5703  5.36   7717  7.25  106377
isruc      100  200  6  20079 23.06  11043 12.68  27480 31.55  17242 19.80  11243 12.91   87087
anphy       29 1000 11   3322 20.10   1663 10.06   6564 39.72   2985 18.06   1992 12.05   16526
"""
TABLE_8 = """
amplitude_scale      0.5    2
time_shift_samples  -100  100
dc_shift_uv          -10   10
zero_masking_samples   0  100
gaussian_noise_sd      0  0.2
band_stop_centre_hz  2.8 47.5
"""
TABLE_9 = """
delta  0.5  4
theta    4  8
alpha    8 12
sigma   12 16
beta    16 30
gamma   30 50
"""
APPENDIX_F = """
aug      1e-4  0.91   1.48
ts_task   6.7  0.014  0.50
fbm      1.34  0.07   0.50
"""
NOTES = {
    ("table_7", "sleep_edf"): (WHOLE_DAY,),
    ("table_7", "anphy"): (ELEVEN_OF_83, SHORT_NIGHTS),
    ("table_8", "dc_shift_uv"): (MICROVOLT_AND_NOT,),
    ("table_8", "gaussian_noise_sd"): (MICROVOLT_AND_NOT,),
    ("table_8", "band_stop_centre_hz"): (ABOVE_THE_FILTER,),
    ("table_9", "gamma"): (GAMMA_FILTERED_AWAY,),
    **{("appendix_f", row): (WEIGHTS_DISAGREE,) for row in ("aug", "ts_task", "fbm")},
}


def _read(table: str, metrics: Sequence[str], text: str) -> list[PublishedValue]:
    """Numbers of a table of the sleep article, one line a row; a row that is a dataset is one."""
    values = []
    for row, *cells in map(str.split, text.strip().splitlines()):
        dataset, notes = row if row in DATASETS else "", NOTES.get((table, row), ())
        values += [
            PublishedValue("sleep", table, row, dataset, metric, float(cell), notes=notes)
            for metric, cell in zip(metrics, cells, strict=True)
        ]
    return values


VALUES = (
    *_read("table_7", TABLE_7_COLUMNS, TABLE_7),
    *_read("table_8", ("smallest", "largest"), TABLE_8),
    *_read("table_9", ("from_hz", "to_hz"), TABLE_9),
    *_read("appendix_f", ("variance", "weight", "weighted_loss"), APPENDIX_F),
    *(
        PublishedValue(
            *("distill", "hours", row, "", "hours", hours),
            kept_pct=KEPT_PCT.get(row, 100.0),
            notes=(COMPRESSOR_NOT_COUNTED, SECOND_HAND),
        )
        for row, hours in HOURS.items()
    ),
)
