"""How each model of a run takes the electrodes of a dataset."""

from unimontage.config.recipes import AlignedRecipe, UnivariateRecipe
from unimontage.dag.plan import Plan, has_recipe
from unimontage.montage.contract import State, with_alignment, with_vocabulary


def contracts(plan: Plan, dataset: str) -> dict[str, dict[str, State]]:
    """State of each channel of a dataset, by model.

    A model is a recipe on its corpus, wherever the dataset is part of the corpus or a target of its arms; and the arms
    without a recipe, which are built for the montage of their target.

    Parameters
    ----------
    plan : Plan
        The configuration's plan.
    dataset : str
        A dataset of the run.
    """
    channels, models = plan.channels(dataset), {}
    arms = [(name, plan.config.arms[name]) for _, name, target in plan.meetings() if target.dataset == dataset]
    used = {(arm.recipe, plan.corpus(plan.config.recipes[arm.recipe], dataset)) for _, arm in arms if has_recipe(arm)}
    seen = {(start["recipe"], tuple(start["corpus"].split("+"))) for start in plan.pretrainings()}
    for name, corpus in sorted(used | {(name, corpus) for name, corpus in seen if dataset in corpus}):
        recipe, montages = plan.config.recipes[name], {member: plan.channels(member) for member in corpus}
        if isinstance(recipe, UnivariateRecipe):
            states = with_vocabulary(channels, plan.vocabulary(recipe, corpus).to_list())
        elif isinstance(recipe, AlignedRecipe):
            states = with_alignment(recipe.alignment.kind, channels, montages)
        else:
            states = dict.fromkeys(channels, State("matched"))  # LaBraM refuses an electrode that it does not know
        models[f"{name}, corpus {', '.join(corpus)}"] = states
    own = list(dict.fromkeys(name for name, arm in arms if not has_recipe(arm)))
    if own:
        models[", ".join(own)] = dict.fromkeys(channels, State("matched"))
    return models
