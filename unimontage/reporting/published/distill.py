"""Published numbers of the distillation system (EEG-DLite, arXiv 2512.12210): downstream scores by what was kept.

Percent, but Pearson's r and R2 as they are. What to know before comparing is added by `_notes`.
"""

from collections.abc import Sequence

from unimontage.reporting.published.value import PublishedValue

FULL, FULL_SUPERVISED = "full_corpus", "full_eegnet"
PROPOSED = "dlite"
FULL_OF = {"selection": FULL, "outliers": FULL_SUPERVISED}
"""Row of each table in which all windows are kept."""
SUPERVISED = ("tau_0", "tau_1", FULL_SUPERVISED)
CLAIMED = ("mobi", "tuev", "tuab")
"""Datasets on which less data is said to surpass all data."""
UNITED_STATES = ("tuev", "tuab")
KEPT_PCT = {"dlite": 5.0, "random": 5.0, "pca": 5.0, "m3d": 5.0, "tau_0": 25.0, "tau_1": 25.0}

MODELS = {
    **{"dlite": "EEG-DLite", "random": "random", "pca": "PCA and diversity", "m3d": "M3D", FULL: "all windows"},
    **{"tau_0": "no outliers removed", "tau_1": "1 % outliers removed", FULL_SUPERVISED: "all windows"},
}
"""How rows are shown."""

TITLES = {
    "selection": "Pre-training on 5 percent of the windows, by how they are chosen",
    "outliers": "EEGNet on 25 percent of the labelled windows of SEED, with and without removal of outliers",
}
HOURS = {"dlite": 2.0, FULL: 30.0}
"""Printed hours of pre-training on four RTX 4090, without those of the compressor and the selection."""

SECOND_HAND = "Taken from a summary of the article; the article's own tables were not read."
NO_VARIANCE = "No variance is printed, and differences between methods are often of a point or less."
NOT_ABOVE = "It is said to surpass all data on this dataset; by the printed numbers it does not in this metric."
COPIED = (
    "The numbers on all data of SEED-V, TUEV and TUAB equal those published for LaBraM-Base, so the row was most "
    "likely copied: trained elsewhere, with another batch size and another run of the tokenizer."
)
TOKENIZER_SAW_ALL = "The tokenizer was trained on the whole corpus, so the pipeline as a whole did not use less data."
VALIDATION_IS_TEST = "The published code loads validation and test windows of TUEV from the same folder."
PRIVATE_SUBJECTS = "Of SEED-V 16 subjects are public; the numbers are probably of a private version with 20."
LOADER = (
    "The published loader leaves out the first window of each recording and returns its last twice, and it exports "
    "nothing when more than a quarter is to be kept."
)
RANDOM_IS_THE_BEGINNING = (
    "If the random part was drawn by the published loader, it holds the first windows of the first recordings, each "
    "many times over, and is far weaker than a random part."
)
OTHER_WINDOWS = (
    "When outliers are removed, the published code looks up the chosen positions among all windows and not among those "
    "left, so it exports other windows than those it chose."
)
COMPRESSOR_DEFECTS = (
    "In the published code the decoder is bypassed and stays untrained, the embedding of the view depends on the place "
    "of a window in the batch, the penalty compares patches within a window and not windows, and nothing is masked "
    "although a share of one half is logged."
)
OUTLIER_SHARE = (
    "The share of outliers that was removed for these numbers is not stated; the published code removes none."
)
PRIVATE_CORPUS = "The corpus is partly private: the code counts 33 files, the text about 20 datasets."
FEWER_UPDATES = "Epochs are equal, so a twentieth of the windows also means a twentieth of the updates."
FILE_BY_FILE = (
    "Windows are chosen file by file with the same share, so what several files have in common is kept several times, "
    "and very small files may give nothing."
)
WITHIN_TRIALS = (
    "The folds appear to divide the windows of a trial among training and test, so that test windows are near copies "
    "of training windows."
)
LABRAM_CHOICES = (
    "Recordings from the United States are filtered at 50 Hz instead of 60, and subjects are drawn from an unordered "
    "set, so the division cannot be repeated exactly."
)
TOKENIZER_RATE = "The learning rate of the tokenizer is scaled by the number of devices, which is not stated here."
FEW_PASSES = "M3D is run for 5 passes instead of thousands of iterations, which makes it a weak comparison."
NARROW_PCA = "The principal components are 32 and the latents of the proposed method 64."
COMPRESSOR_NOT_COUNTED = "The hours leave out the compressor, which is trained on all windows."

SELECTION_COLUMNS = (
    *(("seed_v", "accuracy"), ("seed_v", "weighted_f1"), ("mobi", "pearson_r"), ("mobi", "r2")),
    *(("tuev", "balanced_accuracy"), ("tuev", "weighted_f1"), ("tuab", "balanced_accuracy"), ("tuab", "auroc")),
)
SELECTION = """
dlite      38.6 38.9  0.550 0.283  62.9 80.7  80.7 90.3
random     34.6 34.9  0.530 0.260  62.3 79.3  80.7 90.0
pca        31.0 -     0.534 -      -    -     -    -
m3d        26.9 -     0.465 -      -    -     -    -
full_corpus 41.0 41.2  0.538 0.288  64.1 83.1  81.4 90.2
"""

OUTLIERS_COLUMNS = (("seed", "accuracy"), ("seed", "macro_f1"), ("seed", "kappa"))
OUTLIERS = """
tau_0       54.6 55.1 29.1
tau_1       55.3 55.7 31.3
full_eegnet 54.6 55.4 30.8
"""


def _read(table: str, columns: Sequence[tuple[str, str]], text: str) -> list[PublishedValue]:
    """Numbers of a table whose columns are (dataset, metric); a dash is a number that is not known."""
    rows = {row: cells for row, *cells in map(str.split, text.strip().splitlines())}
    full = dict(zip(columns, map(float, rows[FULL_OF[table]]), strict=True))
    values = []
    for row, cells in rows.items():
        for (dataset, metric), cell in zip(columns, cells, strict=True):
            if cell != "-":
                below = float(cell) < full[dataset, metric]
                place = {"system": "distill", "table": table, "row": row, "dataset": dataset, "metric": metric}
                notes = _notes(row, dataset, below)
                kept = KEPT_PCT.get(row, 100.0)
                values.append(PublishedValue(**place, value=float(cell), kept_pct=kept, notes=notes))
    return values


def _notes(row: str, dataset: str, below: bool) -> tuple[str, ...]:
    """What to know before comparing with a number of a row; `below` says that all data has more."""
    latents = row in (PROPOSED, "tau_0", "tau_1")
    large = row not in SUPERVISED
    part = large and row != FULL
    told = {
        NOT_ABOVE: row == PROPOSED and dataset in CLAIMED and below,
        COPIED: row == FULL,
        RANDOM_IS_THE_BEGINNING: row == "random",
        FEW_PASSES: row == "m3d",
        NARROW_PCA: row == "pca",
        OUTLIER_SHARE: row in (PROPOSED, "pca"),
        OTHER_WINDOWS: row in (PROPOSED, "pca", "tau_1"),
        COMPRESSOR_DEFECTS: latents,
        FILE_BY_FILE: row in (PROPOSED, "pca"),
        LOADER: part,
        TOKENIZER_SAW_ALL: part,
        FEWER_UPDATES: part,
        COMPRESSOR_NOT_COUNTED: row == PROPOSED,
        PRIVATE_CORPUS: large,
        TOKENIZER_RATE: large,
        VALIDATION_IS_TEST: dataset == "tuev",
        PRIVATE_SUBJECTS: dataset == "seed_v",
        LABRAM_CHOICES: dataset in UNITED_STATES,
        WITHIN_TRIALS: dataset == "seed",
        NO_VARIANCE: True,
        SECOND_HAND: True,
    }
    return tuple(note for note, applies in told.items() if applies)


VALUES = (*_read("selection", SELECTION_COLUMNS, SELECTION), *_read("outliers", OUTLIERS_COLUMNS, OUTLIERS))
