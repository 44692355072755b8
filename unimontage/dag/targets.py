"""Final files of a run, by what the user asks for."""

from unimontage.config.recipes import AlignedRecipe, UnivariateRecipe
from unimontage.dag.fillers import stands_for
from unimontage.dag.paths import Paths
from unimontage.dag.plan import TRAINING_SUBJECTS, WHOLE, Plan

RANKED_FROM = 4  # arms of a target; fewer are told apart in the table of differences


class Targets:
    """Files that the workflow's target rules ask for."""

    def __init__(self, plan: Plan, paths: Paths) -> None:
        self._plan, self._paths = plan, paths

    def prepared(self) -> list[str]:
        """Windows of every subject."""
        return [
            self._paths.windows.format(dataset=dataset, subject=subject)
            for dataset in self._plan.config.datasets
            for subject in self._plan.subjects(dataset)
        ]

    def pretrained(self) -> list[str]:
        """Every encoder that an arm starts from; all recipes on their own corpora when nothing is compared."""
        seeds = self._plan.config.seeds
        return [self._paths.weights.format(**start, seed=seed) for start in self._plan.pretrainings() for seed in seeds]

    def evaluated(self) -> list[str]:
        """Every table."""
        if not self._plan.active():
            return self.pretrained()
        tables = [self._paths.table("txt").format(comparison=c) for c in self._plan.active()]
        contrasts = [
            self._paths.table("html", "leakage").format(comparison=c)
            for c in self._plan.active()
            if self._plan.contrasted(c)
        ]
        nightly = [c for c in self._plan.active() if self._plan.nightly(c)]
        published = [self._paths.table("txt", "published").format(comparison=c) for c in nightly]
        measured = [
            self._paths.table("txt", "efficiency").format(comparison=c) for c in nightly if self._plan.networks(c)
        ]
        distilled = [
            self._paths.table("txt", "distilled").format(comparison=c)
            for c in self._plan.active()
            if self._plan.distilled(c)
        ]
        ledger = [self._paths.ledger("html")] if stands_for(self._plan, self._plan.active()) else []
        return tables + contrasts + published + measured + distilled + ledger

    def figures(self) -> list[str]:
        """Every figure."""
        of_target = [
            self._paths.figure(name).format(comparison=c, dataset=d, task=t, protocol=p)
            for c in self._plan.active()
            for d, t, p in self._plan.targets(c)
            for name in self._of_target(c, d, t, p)
        ]
        of_nights = [
            self._paths.figure("hypnogram").format(comparison=c, dataset=d, task=t, protocol=p)
            for c in self._plan.active()
            for d, t, p in self._plan.nightly(c)
        ]
        grids = [self._paths.table("png", "alignment_grid").format(comparison=c) for c in self._gridded()]
        costs = [
            self._paths.table("png", "hours").format(comparison=c) for c in self._plan.active() if self._plan.costed(c)
        ]
        starts = [start for start in self._plan.pretrainings() if start["holdout"] in (WHOLE, TRAINING_SUBJECTS)]
        of_recipe = [self._paths.figure(name).format(**start) for start in starts for name in self._of_recipe(start)]
        montages = [self._paths.montage("png").format(dataset=dataset) for dataset in self._plan.config.datasets]
        return of_target + of_nights + grids + costs + of_recipe + montages + self.selected()

    def selected(self) -> list[str]:
        """Card of every choice of windows that a pre-training sees."""
        starts = [(self._plan.selection(start["recipe"]), start) for start in self._plan.pretrainings()]
        cards = [self._paths.selected("card.json").format(selection=name, **start) for name, start in starts if name]
        return list(dict.fromkeys(cards))

    def _gridded(self) -> list[str]:
        """Comparisons with arms that differ in the size of their alignment."""
        return [c for c in self._plan.active() if self._plan.nightly(c) and self._plan.sizes(c)]

    def _of_target(self, *target: str) -> list[str]:
        """Figures that a target has."""
        ranked = ["ranks"] if len(self._plan.arms(*target)) >= RANKED_FROM else []
        attentive = ["attention"] if self._plan.attentive(*target) else []
        return [*self._paths.target_figures, *ranked, *attentive]

    def _of_recipe(self, start: dict[str, str]) -> list[str]:
        """Figures that a pre-training has."""
        recipe = self._plan.config.recipes[start["recipe"]]
        if isinstance(recipe, UnivariateRecipe):
            return ["pretraining", "embedding"]
        if not isinstance(recipe, AlignedRecipe):
            return ["pretraining"]
        aligned = ["alignment"] if recipe.alignment.kind == "cam" else []
        weighed = ["task_weights"] if len(recipe.objectives) > 1 else []
        return ["pretraining", *aligned, *weighed]
