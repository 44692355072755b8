"""Combinations that are refused because of a target: its protocols, classes and the length of its windows."""

import math
from collections.abc import Iterator

from unimontage.config.comparisons import Comparison, Target
from unimontage.config.problems import nested
from unimontage.config.protocols import ACROSS_SUBJECTS
from unimontage.config.root import Config
from unimontage.dag.legality_of_data import counted
from unimontage.dag.plan import COMPARISONS, Plan
from unimontage.datasets import facts
from unimontage.datasets.facts import DatasetFacts
from unimontage.errors import UserError

SHORTEST_WINDOW = {"EEGNet": 32, "EEGConformer": 99}  # samples, from the sizes of the networks' filters and pools
LOSO_SUBJECTS = 3
FITTING = {
    "within_subject": ("strict_trial", "seed_9_6", "paper"),
    "cross_subject": ("strict_loso", "strict_subject", "paper_subject", "strict_official", "paper_official"),
    "transfer": (
        *("strict_trial", "seed_9_6", "paper", "strict_subject", "paper_subject"),
        *("strict_official", "paper_official"),
    ),
}
"""Protocols of each comparison, the usual one first."""


def comparisons(config: Config) -> list[tuple[str, Comparison]]:
    """All comparisons of a run by name."""
    return [(name, getattr(config, name)) for name in COMPARISONS]


def protocols(config: Config) -> Iterator[UserError]:
    """A protocol belongs to some comparisons, and needs enough subjects or trials."""
    for name, target in [(name, target) for name, comparison in comparisons(config) for target in comparison.targets]:
        known, people = facts(target.dataset), len(Plan(config).subjects(target.dataset))
        for protocol in target.protocols:
            if known.continuous and protocol not in ACROSS_SUBJECTS:
                yield UserError(
                    f"{name} of {target.dataset} cannot use protocol {protocol}: its windows are neighbours in one "
                    "long recording",
                    expected="whole subjects kept apart",
                    mend="write protocols: [strict_subject], and the target into cross_subject or transfer",
                )
            elif protocol not in FITTING[name]:
                yield UserError(
                    f"{name} of {target.dataset} cannot use protocol {protocol}",
                    expected=f"one of {', '.join(FITTING[name])}",
                    mend=f"write protocols: [{FITTING[name][0]}], or move the target to "
                    + ("within_subject" if name == "cross_subject" else "cross_subject"),
                )
            elif protocol == "seed_9_6" and target.dataset != "seed":
                what = f"protocol seed_9_6 is the division of SEED's fifteen clips; {target.dataset} has another"
                yield UserError(what, mend="write protocols: [strict_trial]")
            elif protocol == "strict_trial":
                yield from _trials_suffice(config, target, known)
            elif protocol in ACROSS_SUBJECTS and people < LOSO_SUBJECTS:
                yield UserError(
                    f"{protocol} has {counted(people, 'subject')} of {target.dataset}",
                    expected="at least three: one to test, one to validate, one to train on",
                    mend=f"write {nested(('datasets', target.dataset, 'subjects'), LOSO_SUBJECTS)} or more",
                )


def _trials_suffice(config: Config, target: Target, known: DatasetFacts) -> Iterator[UserError]:
    """Whole trials can be divided only where each class has two, and the commonest one for each fold."""
    folds = config.splits.folds or known.strict_folds
    for task in target.tasks:
        classes = len(known.tasks[task].classes)
        most = known.trials - 2 * (classes - 1)  # of the commonest class, if each of the others has its two
        if known.trials < 2 * classes:
            yield UserError(
                f"strict_trial cannot divide {target.dataset} {task}: {known.trials} trials for {classes} classes",
                expected="at least two trials a class in each session",
                mend="move the target to cross_subject with protocols: [strict_loso]",
            )
        elif folds > most:
            yield UserError(
                f"strict_trial has {folds} folds for the {known.trials} trials of a session of {target.dataset}",
                expected=f"at most {most} folds",
                mend=f"write {nested(('splits', 'folds'), min(most, known.strict_folds))}",
            )


def two_classes(config: Config) -> Iterator[UserError]:
    """Common spatial patterns are a contrast of two classes."""
    for name, comparison in comparisons(config):
        for target in comparison.targets:
            for task in target.tasks:
                classes = len(facts(target.dataset).tasks[task].classes)
                for arm in comparison.arms:
                    if classes != 2 and getattr(config.arms[arm], "pipeline", None) == "csp_lda":
                        yield UserError(
                            f"arm {arm} of {name} is csp_lda, and {target.dataset} {task} has {classes} classes",
                            expected="two classes",
                            mend=f"write {nested(('arms', arm, 'pipeline'), 'tangent_space')}, or choose another task",
                        )


def windows_of_networks(config: Config) -> Iterator[UserError]:
    """Some published networks shrink a short window to nothing."""
    for name, comparison in comparisons(config):
        for arm in comparison.arms:
            model = getattr(config.arms[arm], "model", None)
            for key in {target.dataset for target in comparison.targets} if model in SHORTEST_WINDOW else ():
                rate = Plan(config).rate(key)
                shortest = SHORTEST_WINDOW[model]
                if Plan(config).samples(key) < shortest:
                    yield UserError(
                        f"{model} (arm {arm} of {name}) needs {shortest} samples, and a window of {key} has "
                        f"{Plan(config).samples(key)}",
                        mend=f"write {nested(('windows', 'length_s'), math.ceil(shortest / rate * 4) / 4)} or more, or "
                        "leave the arm out",
                    )
