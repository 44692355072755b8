"""All combinations of options that are refused, each with the way out, before a single rule is planned.

Options that are wrong by themselves never get here: the models refuse them. A rule below is a generator that yields one
problem after the other; what several rules would say about a name that does not exist is said once, by `_names`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unimontage.config.arms import Universal
from unimontage.config.comparisons import Comparison
from unimontage.config.problems import nearest, nested, together
from unimontage.config.protocols import POOLED, PRINTED
from unimontage.config.recipes import Recipe, UnivariateRecipe
from unimontage.config.root import Config
from unimontage.dag.legality_of_alignment import alignments
from unimontage.dag.legality_of_data import channels, counted, filters, nights, people, sittings, sources, trials
from unimontage.dag.legality_of_distillation import (
    compressible,
    divisions_of_owners,
    patches,
    regressions,
    tokenizers,
)
from unimontage.dag.legality_of_targets import comparisons, protocols, two_classes, windows_of_networks
from unimontage.dag.plan import Plan, divisions, has_recipe
from unimontage.datasets import facts, keys
from unimontage.errors import UserError

REFERENCE_SAMPLES, MOST_TOKENS = 200, 256  # of the fixed_patch tokenizer
RECIPE_KINDS = {"universal": "univariate", "aligned": "aligned", "labram": "masked"}
Problems = Iterator[UserError]


def check(config: Config) -> None:
    """Refuse a configuration whose parts do not fit each other.

    Parameters
    ----------
    config : Config
        As :func:`unimontage.config.load_config` returns it.

    Raises
    ------
    UserError
        One line: what does not fit, what would, and the YAML to write. Several problems share the line.
    """
    problems = list(_names(config)) or [problem for rule in RULES for problem in rule(config)]
    if problems:
        unique = {str(problem): problem for problem in problems}
        raise together(unique.values(), f"run {config.run}")


def _names(config: Config) -> Problems:
    """Every name that refers to something must refer to something that exists."""
    for key in config.datasets:
        if key not in keys():
            yield _unknown(f"there is no dataset {key}", key, keys(), ("datasets", "{}"))
    for name, recipe in config.recipes.items():
        for dataset in recipe.corpus if isinstance(recipe.corpus, tuple) else ():
            if dataset not in config.datasets:
                what = f"the corpus of recipe {name} names {dataset}, which is no dataset of the run"
                yield _unknown(what, dataset, config.datasets, ("recipes", name, "corpus"))
    for name, arm in config.arms.items():
        if has_recipe(arm) and arm.recipe not in config.recipes:
            what = f"arm {name} names the recipe {arm.recipe}, which does not exist"
            yield _unknown(what, arm.recipe, config.recipes, ("arms", name, "recipe"))
        elif has_recipe(arm) and config.recipes[arm.recipe].kind != RECIPE_KINDS[arm.kind]:
            yield UserError(
                f"arm {name} is {arm.kind}, and its recipe {arm.recipe} is of kind {config.recipes[arm.recipe].kind}",
                expected=f"a recipe of kind {RECIPE_KINDS[arm.kind]}",
                mend="name another recipe, or write another kind of arm",
            )
    for name, comparison in comparisons(config):
        yield from _names_of_comparison(config, name, comparison)


def _names_of_comparison(config: Config, name: str, comparison: Comparison) -> Problems:
    for arm in comparison.arms:
        if arm not in config.arms:
            yield _unknown(f"{name} names the arm {arm}, which does not exist", arm, config.arms, (name, "arms"))
    if comparison.reference is not None and comparison.reference not in comparison.arms:
        what = f"the reference of {name} is {comparison.reference}, which is none of its arms"
        yield _unknown(what, comparison.reference, comparison.arms, (name, "reference"))
    for target in comparison.targets:
        for arm in (arm for arm in target.arms or () if arm not in comparison.arms):
            what = f"the target {target.dataset} of {name} names the arm {arm}, which is none of the comparison's"
            yield _unknown(what, arm, comparison.arms, (name, "arms"))
        reference = comparison.reference or next(iter(comparison.arms), None)
        if target.arms and reference not in target.arms:
            yield UserError(
                f"the target {target.dataset} of {name} lacks {reference}, which the other arms are compared with",
                mend=f"add {reference} to the target's arms, or choose another reference",
            )
        if target.dataset not in config.datasets:
            what = f"{name} targets {target.dataset}, which is no dataset of the run"
            yield _unknown(what, target.dataset, config.datasets, ("dataset",))
            continue
        tasks = facts(target.dataset).tasks if target.dataset in keys() else target.tasks
        for task in target.tasks:
            if task not in tasks:
                yield _unknown(f"{name}: {target.dataset} has no task {task}", task, tasks, ("tasks",))


def _unknown(what: str, wrong: str, known: object, path: tuple[str, ...]) -> UserError:
    legal = list(known)
    if not legal:
        return UserError(what, expected="at least one to choose from", mend="define it, or delete the name")
    near = nearest(wrong, legal) or legal[0]
    plural = path[-1] in ("arms", "tasks", "corpus")
    mend = f"{path[0]}: {{{near}: ...}}" if path[-1] == "{}" else nested(path, [near] if plural else near)
    return UserError(what, expected=f"one of {', '.join(legal)}", mend=f"did you mean {near}? write {mend}")


def _something_to_do(config: Config) -> Problems:
    """A run compares something, or at least pre-trains something."""
    free = [name for name, recipe in config.recipes.items() if recipe.corpus not in ("others", "target")]
    if not free and not any(comparison.targets for _, comparison in comparisons(config)):
        yield UserError(
            "the run has nothing to do: no comparison has targets and no recipe has a corpus of its own",
            mend="write within_subject: {targets: [...], arms: [...]}, or a recipe with corpus: all",
        )
    for name, comparison in comparisons(config):
        if bool(comparison.targets) != bool(comparison.arms):
            have, lack = ("targets", "arms") if comparison.targets else ("arms", "targets")
            yield UserError(
                f"{name} has {have} but no {lack}", mend=f"write {name}: {{{lack}: [...]}}, or delete {have}"
            )


def _nothing_twice(config: Config) -> Problems:
    """What stands twice in a list would be computed twice or counted twice."""
    lists: list[tuple[tuple[str | int, ...], tuple]] = [(("seeds",), config.seeds)]
    for key, dataset in config.datasets.items():
        lists += [(("datasets", key, name), getattr(dataset, name)) for name in ("subjects", "sessions", "exclude")]
    lists += [(("recipes", name, "corpus"), recipe.corpus) for name, recipe in config.recipes.items()]
    for name, comparison in comparisons(config):
        lists.append(((name, "arms"), comparison.arms))
        lists += [(("tasks",), target.tasks) for target in comparison.targets]
        lists += [(("protocols",), target.protocols) for target in comparison.targets]
        lists += [(("budgets",), target.budgets) for target in comparison.targets]
        triples = [(t.dataset, task, p) for t in comparison.targets for task in t.tasks for p in divisions(t)]
        for dataset, task, protocol in _repeated(triples):
            if not any(
                _repeated(t.tasks) or _repeated(t.protocols) or _repeated(t.budgets) for t in comparison.targets
            ):
                what = f"{name} targets {dataset} {task} under {protocol} twice"
                yield UserError(what, mend="put the dataset's tasks and protocols into one target")
    for path, values in lists:
        for value in _repeated(values) if isinstance(values, tuple) else ():
            mend = f"write {nested(path, list(dict.fromkeys(values)))}"
            yield UserError(f"{'.'.join(map(str, path))} holds {value} twice", mend=mend)


def _repeated(values: object) -> list:
    values = list(values)
    return [value for position, value in enumerate(values) if value in values[:position]]


def _recipes(config: Config) -> Problems:
    """A recipe by itself: sizes that fit each other."""
    for name, recipe in config.recipes.items():
        here, schedule = ("recipes", name), recipe.schedule
        if isinstance(recipe, UnivariateRecipe):
            yield from _univariate(config, name, recipe)
        if schedule.lr_min > schedule.lr:
            what = f"recipe {name}: lr_min {schedule.lr_min:g} is above lr {schedule.lr:g}"
            yield UserError(
                what, mend=f"write {nested((*here, 'schedule', 'lr_min'), float(f'{schedule.lr / 100:.3g}'))}"
            )
        if schedule.warmup_epochs >= schedule.epochs:
            what = f"recipe {name} warms up for {schedule.warmup_epochs} of {schedule.epochs} epochs"
            yield _warmup(what, (*here, "schedule"), schedule.epochs)
    if config.finetuning.warmup_epochs >= config.finetuning.epochs:
        what = f"fine-tuning warms up for {config.finetuning.warmup_epochs} of {config.finetuning.epochs} epochs"
        yield _warmup(what, ("finetuning",), config.finetuning.epochs)


def _univariate(config: Config, name: str, recipe: UnivariateRecipe) -> Problems:
    """Sizes of the encoder of single channels; a window must be long enough for its tokenizer at every rate."""
    encoder, here = recipe.encoder, ("recipes", name)
    if encoder.tokenizer != "cnn" and encoder.d % encoder.heads:
        yield _heads(f"encoder of recipe {name}", encoder.d, encoder.heads, (*here, "encoder", "heads"))
    if recipe.augmentation.scale_low > recipe.augmentation.scale_high:
        yield UserError(
            f"recipe {name}: scale_low {recipe.augmentation.scale_low:g} is above scale_high "
            f"{recipe.augmentation.scale_high:g}",
            mend=f"write {nested((*here, 'augmentation', 'scale_low'), recipe.augmentation.scale_high)} or less",
        )
    for key in config.datasets:
        samples = Plan(config).samples(key)
        where = f"recipe {name}: a window of dataset {key} has {samples} samples"
        if encoder.tokenizer == "art" and samples < encoder.patches:
            mend = f"write {nested(('recipes', name, 'encoder', 'patches'), samples)}, or longer windows"
            yield UserError(f"{where}, fewer than the {encoder.patches} patches of the encoder", mend=mend)
        patch = max(1, REFERENCE_SAMPLES // encoder.patches)
        if encoder.tokenizer == "fixed_patch" and not 1 <= samples // patch <= MOST_TOKENS:
            mend = f"write {nested(('recipes', name, 'encoder', 'tokenizer'), 'art')}, which takes any length"
            yield UserError(f"{where}: {samples // patch} patches of {patch}", expected="1 to 256 patches", mend=mend)


def _heads(what: str, width: int, heads: int, path: tuple[str, ...]) -> UserError:
    fitting = max(each for each in range(1, min(heads, width) + 1) if width % each == 0)
    what = f"{what}: {heads} heads do not divide a width of {width}"
    return UserError(what, expected="a divisor", mend=f"write {nested(path, fitting)}")


def _warmup(what: str, path: tuple[str, ...], epochs: int) -> UserError:
    return UserError(what, expected="fewer", mend=f"write {nested((*path, 'warmup_epochs'), epochs // 10)}")


def _heads_of_arms(config: Config) -> Problems:
    """The Transformer after the graph is as wide as the graph, or as the encoder where there is none."""
    for name, arm in config.arms.items():
        if isinstance(arm, Universal):
            graph = arm.graph.heads * arm.graph.head_width
            width = config.recipes[arm.recipe].encoder.d if arm.spatial == "none" else graph
            if width % arm.context.heads:
                yield _heads(f"context of arm {name}", width, arm.context.heads, ("arms", name, "context", "heads"))


def _corpora(config: Config) -> Problems:
    """A corpus must hold something, and for a transfer nothing of the target."""
    for use in _uses(config):
        if not use.corpus:
            yield UserError(
                f"recipe {use.recipe} pre-trains on the others, and {use.target} is the only dataset of the run",
                mend=f"add a dataset, or write {nested(('recipes', use.recipe, 'corpus'), 'target')}",
            )
        elif _by_intersection(config.recipes[use.recipe]) and not _common(config, use.corpus):
            yield UserError(
                f"recipe {use.recipe}: no electrode is common to {', '.join(use.corpus)}",
                mend=f"write {nested(('recipes', use.recipe, 'vocabulary'), 'ucs')}, or another corpus",
            )
        if use.comparison == "transfer" and use.pretrained and {use.target} < set(use.corpus):
            yield UserError(
                f"arm {use.arm} transfers to {use.target}, which the corpus of its recipe {use.recipe} holds",
                expected="a target that pre-training never saw",
                mend=f"write {nested(('recipes', use.recipe, 'corpus'), 'others')}, or target for the bound within "
                "the domain",
            )


def _by_intersection(recipe: Recipe) -> bool:
    return isinstance(recipe, UnivariateRecipe) and recipe.vocabulary == "intersection"


def _common(config: Config, corpus: tuple[str, ...]) -> set[str]:
    return set.intersection(*(set(Plan(config).channels(dataset)) for dataset in corpus))


def _holdouts(config: Config) -> Problems:
    """Under a strict protocol the target's group is kept out of pre-training: there must be such groups."""
    groups, seen = config.splits.holdout_groups, set()
    for use in _uses(config):
        strict = [protocol for protocol in use.protocols if protocol not in (*PRINTED, *POOLED)]
        if not (strict and use.pretrained and use.target in use.corpus) or use.target in seen:
            continue
        seen.add(use.target)
        found = len(Plan(config).subjects(use.target))
        if found < groups:
            smaller = f"write {nested(('splits', 'holdout_groups'), found)}, or use" if found > 1 else "use"
            yield UserError(
                f"{use.target} has {counted(found, 'subject')}, fewer than the {groups} groups that the "
                f"pre-training of arm {use.arm} leaves out in turn under {strict[0]}",
                mend=f"{smaller} more subjects, or a recipe with corpus: others",
            )


@dataclass(frozen=True)
class _Use:
    """One corpus that a recipe is asked for, and by whom; no target if nobody asks."""

    recipe: str
    corpus: tuple[str, ...]
    comparison: str | None = None
    arm: str | None = None
    target: str | None = None
    protocols: tuple[str, ...] = ()
    pretrained: bool = False


def _uses(config: Config) -> Iterator[_Use]:
    for name, recipe in config.recipes.items():
        if recipe.corpus not in ("others", "target"):
            yield _Use(name, Plan(config).corpus(recipe, None))
    for name, arm, target in Plan(config).meetings():
        chosen = config.arms[arm]
        if has_recipe(chosen):
            corpus = Plan(config).corpus(config.recipes[chosen.recipe], target.dataset)
            pretrained = chosen.init == "pretrained"
            yield _Use(chosen.recipe, corpus, name, arm, target.dataset, target.protocols, pretrained)


RULES: tuple[Callable[[Config], Iterator[UserError]], ...] = (
    _something_to_do,
    _nothing_twice,
    sources,
    people,
    sittings,
    channels,
    filters,
    nights,
    trials,
    _recipes,
    _heads_of_arms,
    protocols,
    two_classes,
    windows_of_networks,
    _corpora,
    _holdouts,
    alignments,
    tokenizers,
    patches,
    divisions_of_owners,
    regressions,
    compressible,
)
