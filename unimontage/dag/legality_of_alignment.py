"""Combinations that are refused because whole epochs of several montages meet in one encoder."""

import math
from collections.abc import Iterator

from unimontage.config.arms import Aligned
from unimontage.config.problems import nested
from unimontage.config.recipes import AlignedRecipe
from unimontage.config.root import Config
from unimontage.dag.plan import Plan, has_recipe
from unimontage.errors import UserError

FIXED_MONTAGES = ("zero_padding", "intersection")
"""Alignments whose rows are the channels of the corpus: a montage that pre-training never saw has no place in them."""
SHORTEST_S = 15.0  # of an epoch, for filters of four seconds and two poolings


def alignments(config: Config) -> Iterator[UserError]:
    """Recipes of kind aligned by themselves, and on the targets of their arms."""
    plan = Plan(config)
    for name, recipe in config.recipes.items():
        if isinstance(recipe, AlignedRecipe) and (name in _compared(plan) or not plan.active()):
            yield from _recipe(config, name, recipe)
    for comparison, arm, target in plan.meetings():
        chosen = config.arms[arm]
        if isinstance(chosen, Aligned):
            recipe = config.recipes[chosen.recipe]
            corpus = plan.corpus(recipe, target.dataset)
            yield from _datasets(plan, chosen.recipe, recipe, (*corpus, target.dataset))
            if recipe.alignment.kind in FIXED_MONTAGES and target.dataset not in corpus:
                yield UserError(
                    f"arm {arm} of {comparison} takes {target.dataset} through alignment {recipe.alignment.kind}, "
                    f"whose rows are the channels of {', '.join(corpus)}",
                    expected="a target of the corpus",
                    mend=f"write {nested(('recipes', chosen.recipe, 'alignment', 'kind'), 'cam')}",
                )


def _compared(plan: Plan) -> set[str]:
    """Recipes of the arms that meet anywhere."""
    arms = [plan.config.arms[arm] for comparison in plan.active() for arm in plan.comparison(comparison).arms]
    return {arm.recipe for arm in arms if has_recipe(arm)}


def _recipe(config: Config, name: str, recipe: AlignedRecipe) -> Iterator[UserError]:
    here = ("recipes", name)
    dimension = getattr(recipe.alignment, "dimension", 2)
    if 2 * math.isqrt(dimension // 2) ** 2 != dimension:
        nearest = 2 * max(1, round(math.sqrt(dimension / 2))) ** 2
        yield UserError(
            f"the alignment of recipe {name} has dimension {dimension}",
            expected="twice a square number",
            mend=f"write {nested((*here, 'alignment', 'dimension'), nearest)}",
        )
    if recipe.alignment.kind == "single" and recipe.encoder.kind == "staging" and recipe.encoder.preset == "full":
        yield UserError(
            f"recipe {name} gives single channels to the full staging encoder, which mixes channels in its first layer",
            mend=f"write {nested((*here, 'encoder', 'preset'), 'tiny')}, or an alignment of kind cam",
        )
    if recipe.encoder.kind == "seqclr" and recipe.alignment.kind != "single":
        yield UserError(
            f"recipe {name}: encoder seqclr takes single channels, and its alignment is {recipe.alignment.kind}",
            mend=f"write {nested((*here, 'alignment', 'kind'), 'single')}",
        )
    if config.windows.step_s < config.windows.length_s:
        yield UserError(
            f"windows overlap (step_s {config.windows.step_s:g}, length_s {config.windows.length_s:g}), and recipe "
            f"{name} tells epochs by their place in time",
            mend=f"write {nested(('windows', 'step_s'), config.windows.length_s)}",
        )
    if recipe.encoder.kind == "staging" and config.windows.length_s < SHORTEST_S:
        yield UserError(
            f"recipe {name}: windows of {config.windows.length_s:g} s are too short for the staging encoder",
            expected=f"at least {SHORTEST_S:g} s",
            mend=f"write {nested(('windows', 'length_s'), 30.0)} and step_s: 30.0",
        )


def _datasets(plan: Plan, name: str, recipe: AlignedRecipe, datasets: tuple[str, ...]) -> Iterator[UserError]:
    """All datasets that meet in an encoder have one rate, and for an intersection common channels."""
    rates = {dataset: plan.rate(dataset) for dataset in datasets}
    if len(set(rates.values())) > 1:
        slowest = min(rates.values())
        faster = next(dataset for dataset, rate in rates.items() if rate != slowest)
        found = ", ".join(f"{dataset} {rate:g} Hz" for dataset, rate in rates.items())
        yield UserError(
            f"recipe {name} sees epochs of unlike rates: {found}",
            expected="one rate",
            mend=f"write {nested(('datasets', faster, 'preprocessing', 'resample_hz'), slowest)}",
        )
    if recipe.alignment.kind == "intersection":
        common = set.intersection(*(set(plan.channels(dataset)) for dataset in datasets))
        if not common:
            yield UserError(
                f"recipe {name}: no channel is common to {', '.join(dict.fromkeys(datasets))}",
                mend=f"write {nested(('recipes', name, 'alignment', 'kind'), 'cam')}, or another corpus",
            )
