"""Published accuracies of the universal system (arXiv 2511.08444), each with how far it can be trusted."""

from unimontage.reporting.published.value import PublishedValue

LEAKY_FOLDS = (
    "Accuracies this high are expected when windows of one clip fall on both sides of a random fold, and are doubtful "
    "otherwise."
)
SEEN_IN_PRETRAINING = "Pre-training may have seen the test windows, without their labels."
UNSTATED = "Window length, label threshold and division into folds are not stated."
ONE_NUMBER = "One number is printed, although valence and arousal are two tasks."
SCRATCH_FAILS = "The article says that training from scratch fails on SEED and prints no number."
POINTS = "The article states a gain and not a value; the value assumes that the gain is in points and not relative."
SLOW_SCRATCH = (
    "If training from scratch kept the small learning rate of the pre-trained encoder, it hardly learned, and the gain "
    "is partly an effect of the rate."
)
STATIC_GRAPH = (
    "A fixed graph that does far worse than no graph at all suggests an untuned or over-smoothing comparison model."
)
WHICH_DATASET = "The article does not say on which dataset the graph was removed; DEAP is assumed."
SAME_MONTAGE = (
    "The electrodes of DEAP are a subset of those of SEED, so the union of the two is SEED's own montage and unlike "
    "montages were not put to the test."
)
SMALL_GAP = "The gap to the other pre-training corpora is about a point or less, and no variance is given."
UNION_LOSES = "The union of channels does worse here than their intersection, although the union is the proposal."


def _row(row: str, dataset: str, value: float | None, *notes: str, gain: float | None = None) -> PublishedValue:
    origin = "quoted" if gain is None else "derived"
    return PublishedValue("universal", "", row, dataset, "accuracy", value, origin=origin, notes=notes, gain=gain)


DOUBTS = (LEAKY_FOLDS, UNSTATED)
RATINGS_DOUBTS = (*DOUBTS, ONE_NUMBER)

VALUES = (
    _row("full", "seed", 99.27, *DOUBTS, SEEN_IN_PRETRAINING, SAME_MONTAGE),
    _row("full", "deap", 93.69, *RATINGS_DOUBTS, SEEN_IN_PRETRAINING, SAME_MONTAGE),
    _row("full", "dreamer", 93.93, *RATINGS_DOUBTS, SEEN_IN_PRETRAINING),
    _row("scratch", "seed", None, SCRATCH_FAILS, SLOW_SCRATCH, UNSTATED),
    _row("scratch", "deap", 86.04, *RATINGS_DOUBTS, POINTS, SLOW_SCRATCH, gain=7.65),
    _row("scratch", "dreamer", 90.38, *RATINGS_DOUBTS, POINTS, SLOW_SCRATCH, gain=3.55),
    _row("gcn", "deap", 71.50, *RATINGS_DOUBTS, SEEN_IN_PRETRAINING, POINTS, STATIC_GRAPH, gain=22.19),
    _row("no_graph", "deap", 77.25, *RATINGS_DOUBTS, SEEN_IN_PRETRAINING, POINTS, WHICH_DATASET, gain=16.44),
    _row("transfer_ucs", "dreamer", 93.05, *RATINGS_DOUBTS, SMALL_GAP, UNION_LOSES, SAME_MONTAGE),
    _row("transfer_intersection", "dreamer", 94.08, *RATINGS_DOUBTS, SMALL_GAP),
    _row("within", "dreamer", 93.93, *RATINGS_DOUBTS, SEEN_IN_PRETRAINING, SMALL_GAP),
)
