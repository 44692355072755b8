"""Combinations that are refused because of distillation, LaBraM, or a division that comes with a dataset."""

from collections.abc import Iterator

from unimontage.config.arms import Braindecode, Classical, Labram
from unimontage.config.problems import nearest, nested
from unimontage.config.protocols import OFFICIAL
from unimontage.config.recipes import MaskedRecipe, TokenizerRecipe
from unimontage.config.root import Config
from unimontage.dag.plan import Plan
from unimontage.datasets import facts
from unimontage.errors import UserError

RATE_HZ, LONGEST_S = 200.0, 16
"""What LaBraM reads: patches of a second at this rate, at most so many."""
FEWEST_SAMPLES = 20
"""Of a window that a compressor cuts into patches."""


def tokenizers(config: Config) -> Iterator[UserError]:
    """Masked modelling predicts the codes of a tokenizer of the run, or of a released one."""
    known = [name for name, recipe in config.recipes.items() if isinstance(recipe, TokenizerRecipe)]
    for name, recipe in config.recipes.items():
        if not isinstance(recipe, MaskedRecipe) or recipe.tokenizer in known or recipe.tokenizer.endswith(".pth"):
            continue
        near = nearest(recipe.tokenizer, known) or next(iter(known), "weights/vqnsp.pth")
        yield UserError(
            f"recipe {name} has tokenizer {recipe.tokenizer}",
            expected="a recipe of kind tokenizer, or the path of a released tokenizer (.pth)",
            mend=f"write {nested(('recipes', name, 'tokenizer'), near)}",
        )


def patches(config: Config) -> Iterator[UserError]:
    """LaBraM reads whole seconds at 200 Hz."""
    plan = Plan(config)
    read = {
        dataset: f"recipe {start['recipe']}"
        for start in plan.pretrainings()
        if isinstance(config.recipes[start["recipe"]], MaskedRecipe | TokenizerRecipe)
        for dataset in start["corpus"].split("+")
    }
    for _, arm, target in plan.meetings():
        if isinstance(config.arms[arm], Labram):
            read[target.dataset] = f"arm {arm}"
    for dataset, reader in read.items():
        seconds = plan.windows(dataset)[0]
        if plan.rate(dataset) != RATE_HZ:
            mend = nested(("datasets", dataset, "preprocessing", "resample_hz"), RATE_HZ)
            what = f"{reader} reads {dataset} at {plan.rate(dataset):g} Hz"
            yield UserError(what, expected="200 Hz for LaBraM", mend=f"write {mend}")
        if seconds != int(seconds) or seconds > LONGEST_S:
            better = min(LONGEST_S, max(1, round(seconds)))
            yield UserError(
                f"{reader} reads windows of {seconds:g} s of {dataset}",
                expected=f"whole seconds, at most {LONGEST_S}",
                mend=f"write {nested(('datasets', dataset, 'length_s'), float(better))}",
            )


def divisions_of_owners(config: Config) -> Iterator[UserError]:
    """Official divisions belong to datasets that come with one, and to encoders that have seen nothing of them."""
    plan = Plan(config)
    for comparison, arm, target in plan.meetings():
        if not set(target.protocols) & set(OFFICIAL):
            continue
        if facts(target.dataset).official is None:
            yield UserError(
                f"{comparison}: {target.dataset} comes without a division of its own",
                mend="write another protocol than strict_official",
            )
            continue
        start = getattr(config.arms[arm], "recipe", None)
        if start and target.dataset in plan.corpus(config.recipes[start], target.dataset):
            yield UserError(
                f"arm {arm} of {comparison} is pre-trained on {target.dataset}, its target under {target.protocols[0]}",
                expected="a corpus without the target: pre-training would see its test windows",
                mend=f"write {nested(('recipes', start, 'corpus'), 'others')}, or a list of other datasets",
            )


def regressions(config: Config) -> Iterator[UserError]:
    """Shallow classifiers name classes, and predict no numbers."""
    for comparison, arm, target in Plan(config).meetings():
        numbers = [task for task in target.tasks if facts(target.dataset).tasks[task].regression]
        if numbers and isinstance(config.arms[arm], Classical):
            yield UserError(
                f"arm {arm} of {comparison} names classes, and {target.dataset} {numbers[0]} asks for numbers",
                mend="leave the arm out of this target",
            )


def compressible(config: Config) -> Iterator[UserError]:
    """A compressor cuts a window and its spectrum into twenty patches."""
    plan = Plan(config)
    distilled = {
        (f"recipe {start['recipe']}", dataset)
        for start in plan.pretrainings()
        if plan.selection(start["recipe"])
        for dataset in start["corpus"].split("+")
    }
    distilled |= {
        (f"arm {arm}", target.dataset)
        for _, arm, target in plan.meetings()
        if isinstance(config.arms[arm], Braindecode) and config.arms[arm].distill.kept < 1
    }
    for who, dataset in sorted(distilled):
        if plan.samples(dataset) < FEWEST_SAMPLES:
            yield UserError(
                f"{who} distils windows of {plan.samples(dataset)} samples of {dataset}",
                expected=f"at least {FEWEST_SAMPLES}",
                mend=f"write {nested(('datasets', dataset, 'length_s'), 1.0)}",
            )
