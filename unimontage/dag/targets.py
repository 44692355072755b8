"""Final files of a run, by what the user asks for."""

from unimontage.dag.paths import Paths
from unimontage.dag.plan import Plan


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
        return tables + contrasts

    def figures(self) -> list[str]:
        """Every figure."""
        of_target = [
            self._paths.figure(name).format(comparison=c, dataset=d, task=t, protocol=p)
            for c in self._plan.active()
            for d, t, p in self._plan.targets(c)
            for name in (*self._paths.target_figures, *(["attention"] if self._plan.attentive(c, d, t, p) else []))
        ]
        whole = [start for start in self._plan.pretrainings() if start["holdout"] == "all"]
        of_recipe = [self._paths.figure(n).format(**s) for s in whole for n in self._paths.recipe_figures]
        return of_target + of_recipe
