"""Published numbers of the sleep system (MTSSRL-MD, ICLR 2026 submission 24689), tables 1 to 6 and 10 of the article.

Every table is kept as the article prints it, in percent, mean±SD; what to know before comparing is added by `_notes`.
"""

from collections.abc import Sequence
from itertools import product

from unimontage.reporting.published.value import PublishedValue

DATASETS = ("sleep_edf", "isruc", "anphy")
PROPOSED = "mtssrl_md"
SINGLE_TASKS = ("rp", "ts", "cpc")
SUPERVISED = ("deepsleepnet", "usleep", "atcnet")
SOURCES = {"s": "sleep_edf", "i": "isruc", "a": "anphy"}

ALL_EPOCHS = "Read as a metric of all test epochs together; a mean over subjects is another number."
SPLITS_UNSTATED = "Test subjects and seeds are not published, nor is what the SD is taken over."
LABELS_OF_EVERY_SUBJECT = (
    "Labels are drawn over all training epochs, so the few labels come from every training subject and from all stages."
)
SEEN_IN_PRETRAINING = "It is not stated whether pre-training saw the test subjects, without their labels."
WHOLE_DAY = (
    "Two thirds of the epochs of Sleep-EDF are wake by the article's counts, so recordings were not cut to the night; "
    "wake in the daytime is easy and raises kappa and the F1 of wake."
)
ELEVEN_OF_83 = "ANPHY is described by its 83 channels, but 11 are used, and they are not named."
OTHER_MONTAGE = "It is not stated how a network pre-trained on one montage is fitted to another number of channels."
RELATIVE_GAINS = "The article's gains over other methods are relative percentages; the gains here are in points."
WEIGHTS_DISAGREE = (
    "Learned weights with a loss that falls below zero have no optimum, and the printed variances, weights and "
    "weighted losses do not agree with each other."
)
ALIGNMENT_UNTESTED = (
    "No row replaces the channel alignment by something simpler, so what the alignment itself contributes is not shown."
)
GAMMA_FILTERED_AWAY = "The highest masked band begins at 30 Hz, and signals are low-passed at 40 Hz."
ATCNET_LEADS = "ATCNet has more on ISRUC in all three metrics, contrary to the claim to surpass supervised training."
WITHIN_ONE_SD = "The lead over ATCNet on Sleep-EDF is within one SD."
NOT_ALWAYS_BEST = (
    "On ANPHY band masking alone has the higher balanced accuracy (74.50 against 74.33), contrary to the claim that "
    "learned weights are best throughout."
)
NEARLY_ALL = "Band masking alone comes within 1.4 points of the full method on every dataset."
EFFICIENCY_NOTES = {
    "deepsleepnet": (
        "The published DeepSleepNet has about 25 million parameters with one channel; this count depends on the number "
        "of channels, which is not stated.",
    ),
    "seqclr": ("Thirteen gigabytes for one example are not explained.",),
    PROPOSED: (
        "It is called the smallest, although three rows of this table have fewer parameters.",
        "So few parameters and so many operations do not fit the described encoder of pooled convolutions; the "
        "operations need attention at nearly full temporal resolution, or were counted on a batch.",
    ),
}

MODELS = {
    **{f"{task}_{key}": f"{task.upper()} ({source})" for key, source in SOURCES.items() for task in SINGLE_TASKS},
    **{task: task.upper() for task in SINGLE_TASKS},
    **{"seqclr": "SeqCLR", "deepsleepnet": "DeepSleepNet", "usleep": "U-Sleep", "atcnet": "ATCNet"},
    **{"aug": "contrast alone", "ts_task": "shuffling alone", "fbm": "band masking alone", "equal": "equal weights"},
    **{f"single_{key}": f"{source} alone" for key, source in SOURCES.items()},
    PROPOSED: "MTSSRL-MD",
}
"""How rows are shown."""

TITLES = {
    "table_1": "5 percent of the labels",
    "table_2": "10 percent of the labels",
    "table_3": "All labels, against supervised networks",
    "table_4": "Pre-training tasks and their weights, 10 percent of the labels",
    "table_5": "Pre-training on one dataset or on three",
    "table_6": "F1 of the stages, Sleep-EDF, 10 percent of the labels",
    "table_10": "Size and speed, batch 1",
}

AGREEMENT = ("balanced_accuracy", "macro_f1", "kappa")
STAGE_F1 = ("f1_W", "f1_N1", "f1_N2", "f1_N3", "f1_REM")
EFFICIENCY = ("parameters_m", "flops_g", "peak_memory_mb", "latency_ms")

TABLE_1 = """
rp_s       69.97±1.81 67.13±0.78 73.04±1.18   60.30±1.22 59.60±1.01 53.11±1.49   60.34±1.89 60.03±1.22 57.00±1.95
ts_s       68.69±2.17 67.76±0.90 74.70±0.78   57.55±1.20 57.68±1.26 50.87±2.01   60.13±2.13 59.97±1.58 56.43±2.94
cpc_s      72.23±1.38 70.63±0.86 77.95±1.22   67.41±0.77 67.15±0.58 62.05±1.28   63.48±1.88 64.02±1.78 62.11±2.22
rp_i       65.78±2.28 64.61±1.41 72.36±1.55   59.79±0.53 59.31±0.40 51.89±1.36   60.86±2.06 59.97±1.34 55.21±2.77
ts_i       67.52±1.65 65.40±1.50 70.94±2.38   59.40±0.76 59.08±0.18 52.10±0.35   60.29±2.37 59.58±2.13 53.81±3.85
cpc_i      71.28±1.44 69.73±0.81 77.54±0.86   66.21±0.23 65.87±0.29 60.93±0.54   64.46±1.74 64.53±1.83 62.36±2.04
rp_a       69.10±1.66 67.39±0.85 74.48±0.85   62.87±1.49 63.20±1.34 57.67±1.84   62.77±0.81 63.35±0.76 63.01±0.93
ts_a       69.60±1.26 68.98±0.81 77.00±0.88   62.46±1.71 62.05±1.90 57.47±2.43   64.28±0.50 64.30±1.00 64.09±0.59
cpc_a      69.06±1.92 68.14±1.01 75.26±0.57   63.93±0.65 64.07±0.49 58.41±1.06   64.73±1.14 64.71±0.99 64.08±0.50
seqclr     71.02±1.67 69.38±0.82 76.21±0.75   63.18±0.22 63.86±0.35 57.81±1.75   64.31±1.00 63.77±1.26 62.50±1.05
mtssrl_md  76.07±0.76 74.62±0.90 80.53±0.95   71.03±0.63 71.12±0.41 67.00±0.75   68.02±0.97 67.76±0.84 66.04±0.76
"""

TABLE_2 = """
rp_s       70.90±1.24 67.74±0.64 73.83±1.25   63.49±1.68 62.76±1.24 57.80±2.02   62.68±2.18 62.70±1.99 59.84±2.34
ts_s       73.00±1.50 70.07±0.51 75.26±1.28   67.14±1.37 66.74±1.44 62.37±1.09   64.80±1.17 62.17±1.00 64.17±1.09
cpc_s      74.76±0.38 72.07±0.22 78.63±0.49   68.45±1.41 68.27±1.30 64.02±1.82   67.39±1.37 67.60±1.30 65.41±1.55
rp_i       73.14±1.02 70.17±0.89 76.55±1.10   67.37±0.44 67.18±0.48 62.33±0.62   63.70±1.51 63.30±1.65 60.41±2.57
ts_i       73.10±0.97 70.66±0.46 76.60±1.92   68.96±0.78 68.86±0.41 64.21±0.71   65.59±1.05 65.11±1.19 60.16±1.46
cpc_i      75.56±0.89 73.25±0.52 79.70±0.94   70.85±0.30 70.53±0.26 66.47±0.60   69.35±1.85 69.62±1.44 67.10±1.16
rp_a       72.73±0.45 70.72±0.32 77.78±0.45   69.43±0.33 68.83±0.34 64.77±0.35   66.74±1.18 67.27±1.26 65.42±0.87
ts_a       74.15±1.06 72.02±0.83 78.75±0.56   70.74±0.64 70.08±0.49 66.44±0.70   70.15±0.47 70.26±0.57 67.18±1.35
cpc_a      74.58±0.90 71.84±0.49 78.13±1.61   70.74±0.41 70.47±0.26 66.41±0.69   71.09±0.97 70.91±1.11 68.09±1.14
seqclr     73.20±1.35 70.25±1.50 76.24±1.04   68.26±0.30 67.84±0.38 63.94±1.01   69.24±1.16 68.80±1.06 66.23±1.26
mtssrl_md  79.51±0.79 76.94±1.20 81.93±0.95   74.61±0.53 74.24±0.35 68.93±0.65   74.33±0.93 74.52±1.29 70.22±0.80
"""

TABLE_3 = """
deepsleepnet  77.54±0.92 74.34±0.81 79.83±1.19   75.45±0.30 74.54±0.16 70.56±0.18   78.90±0.18 77.34±0.43 75.90±0.36
usleep        79.95±1.41 76.92±0.97 82.15±1.10   77.10±0.73 77.06±0.59 73.81±0.35   77.20±1.20 77.06±0.50 74.72±1.31
atcnet        81.57±0.84 78.46±0.55 83.55±0.73   78.14±0.34 78.31±0.15 74.71±0.20   77.80±1.10 77.60±0.53 75.00±0.52
mtssrl_md     82.26±1.23 78.82±0.64 83.96±0.98   77.78±0.26 77.83±0.12 74.25±0.12   79.26±0.78 79.20±0.64 77.15±0.85
"""

TABLE_4 = """
aug        77.34±0.45 73.45±0.53   72.25±0.27 71.67±0.32   72.61±1.47 72.31±1.23
ts_task    77.82±0.87 74.24±0.96   73.79±0.22 73.34±0.16   72.20±1.07 70.88±1.22
fbm        78.23±0.79 75.61±0.68   73.51±0.13 73.31±0.16   74.50±1.28 73.94±1.04
equal      77.55±0.77 74.16±0.59   72.58±0.86 72.53±0.84   73.43±1.50 73.05±1.61
mtssrl_md  79.51±0.79 76.94±1.20   74.61±0.53 74.24±0.35   74.33±0.93 74.52±1.29
"""

TABLE_5 = {  # balanced accuracy and macro F1 with 5 percent of the labels, then with 10
    "sleep_edf": """
single_s   72.73±1.59 70.82±1.57   76.39±1.62 72.43±1.34
mtssrl_md  76.07±0.76 74.62±0.90   79.51±0.79 76.94±1.20
""",
    "isruc": """
single_i   68.98±1.94 68.52±1.11   72.04±0.78 71.78±1.34
mtssrl_md  71.03±0.63 71.12±0.41   74.61±0.53 74.24±0.35
""",
    "anphy": """
single_a   64.32±1.70 63.12±1.37   70.60±2.08 70.03±0.52
mtssrl_md  68.02±0.97 67.76±0.84   74.33±0.93 74.52±1.29
""",
}

TABLE_6 = """
rp_s       70.90±1.24 67.74±0.64 95.16±0.54 73.83±1.25   95.42±0.46 21.26±2.89 82.01±1.35 83.47±0.70 61.57±1.03
ts_s       73.00±1.50 70.07±0.51 95.99±0.28 75.26±1.28   95.52±0.61 28.03±1.20 83.34±0.75 84.30±0.84 64.13±1.65
cpc_s      74.76±0.38 72.07±0.22 96.34±0.09 78.63±0.49   96.93±0.39 28.52±2.35 84.36±0.79 84.81±1.09 68.74±0.59
seqclr     73.20±1.35 70.25±1.50 96.14±0.36 76.24±1.04   97.88±0.84 32.07±1.48 81.09±1.32 82.45±0.87 63.62±1.03
mtssrl_md  79.51±0.79 76.94±1.20 97.44±0.28 81.93±0.95   97.26±0.40 34.06±2.52 86.83±0.60 86.94±0.65 72.93±1.92
"""

TABLE_10 = """
deepsleepnet  144.293  0.31   2710.5    4.0
atcnet          0.113  0.03     94.6  138.8
rp              0.007  0.10     84.0    3.9
ts              0.007  0.10     84.0    3.7
cpc             0.007  0.10     84.6    4.5
seqclr          0.868  0.31  12948.2  236.1
mtssrl_md       0.010  4.87     67.0    3.2
"""


def _read(table: str, columns: Sequence[tuple[str, float, str]], text: str) -> list[PublishedValue]:
    """Numbers of a printed table whose columns are (dataset, percent of labels, metric)."""
    values = []
    for row, *cells in map(str.split, text.strip().splitlines()):
        for (dataset, labels_pct, metric), cell in zip(columns, cells, strict=True):
            value, *sd = map(float, cell.split("±"))
            place = ("sleep", table, row, dataset, metric, value, labels_pct)
            notes = _notes(table, row, dataset, metric, labels_pct)
            values.append(PublishedValue(*place, sd=sd[0] if sd else None, notes=notes))
    return values


def _misfits() -> dict[str, str]:
    """Remark on the macro F1 of each row of table 6: it is not the mean of the row's five F1."""
    remarks = {}
    for row, *cells in map(str.split, TABLE_6.strip().splitlines()):
        _, printed, _, _, *stages = (float(cell.split("±")[0]) for cell in cells)
        mean = sum(stages) / len(stages)
        remarks[row] = (
            f"Macro F1 is the mean F1 of the five stages, which is {mean:.2f} by table 6; {printed:.2f} is printed "
            f"({printed - mean:+.2f}). There the proposed method is above that mean and every other row below it."
        )
    return remarks


MISFITS = _misfits()


def _notes(table: str, row: str, dataset: str, metric: str, labels_pct: float) -> tuple[str, ...]:
    """What to know before comparing with a number."""
    if table == "table_10":
        return EFFICIENCY_NOTES.get(row, ())
    macro_f1_of_table_6 = (dataset, metric, labels_pct) == ("sleep_edf", "macro_f1", 10)
    source = SOURCES.get(row.rpartition("_")[2])
    told = {
        MISFITS.get(row, ""): macro_f1_of_table_6 and row in MISFITS,
        ALL_EPOCHS: True,
        SPLITS_UNSTATED: True,
        LABELS_OF_EVERY_SUBJECT: labels_pct < 100,
        SEEN_IN_PRETRAINING: row not in SUPERVISED,
        WHOLE_DAY: dataset == "sleep_edf",
        ELEVEN_OF_83: dataset == "anphy",
        OTHER_MONTAGE: source not in (None, dataset),
        RELATIVE_GAINS: row == PROPOSED,
        WEIGHTS_DISAGREE: row == PROPOSED,
        ALIGNMENT_UNTESTED: row == PROPOSED or row.startswith("single_"),
        GAMMA_FILTERED_AWAY: row in ("fbm", "equal", PROPOSED),
        ATCNET_LEADS: (table, row, dataset) == ("table_3", PROPOSED, "isruc"),
        WITHIN_ONE_SD: (table, row, dataset) == ("table_3", PROPOSED, "sleep_edf"),
        NOT_ALWAYS_BEST: (table, row, dataset) == ("table_4", PROPOSED, "anphy"),
        NEARLY_ALL: (table, row) == ("table_4", "fbm"),
    }
    return tuple(note for note, applies in told.items() if applies)


def _columns(labels_pct: float, metrics: Sequence[str]) -> list[tuple[str, float, str]]:
    return [(dataset, labels_pct, metric) for dataset, metric in product(DATASETS, metrics)]


def _table_5() -> list[PublishedValue]:
    parts = [
        _read("table_5", [(dataset, pct, metric) for pct in (5.0, 10.0) for metric in AGREEMENT[:2]], text)
        for dataset, text in TABLE_5.items()
    ]
    return [value for part in parts for value in part]


VALUES = (
    *_read("table_1", _columns(5.0, AGREEMENT), TABLE_1),
    *_read("table_2", _columns(10.0, AGREEMENT), TABLE_2),
    *_read("table_3", _columns(100.0, AGREEMENT), TABLE_3),
    *_read("table_4", _columns(10.0, AGREEMENT[:2]), TABLE_4),
    *_table_5(),
    *_read("table_6", [("sleep_edf", 10.0, m) for m in (*AGREEMENT[:2], "auroc", "kappa", *STAGE_F1)], TABLE_6),
    *_read("table_10", [("", 100.0, metric) for metric in EFFICIENCY], TABLE_10),
)
