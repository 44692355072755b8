"""Input functions of the rules: wildcards to files."""

from collections.abc import Mapping
from typing import Protocol

from unimontage.config.protocols import POOLED, Division
from unimontage.dag.paths import Paths
from unimontage.dag.plan import COMPRESSED, Job, Plan, compressor_name


class Wildcards(Protocol):
    """Snakemake's wildcards: attributes by name."""

    def __getattr__(self, name: str) -> str: ...


NO_PRETRAINING = "none"


def target_of(wildcards: Wildcards) -> tuple[str, str, str, str]:
    """Comparison, dataset, task and protocol that wildcards name."""
    return wildcards.comparison, wildcards.dataset, wildcards.task, wildcards.protocol


class Inputs:
    """What each rule reads, for a plan.

    Parameters
    ----------
    plan : Plan
        The configuration's plan.
    paths : Paths
        Where the run's files are.
    """

    def __init__(self, plan: Plan, paths: Paths) -> None:
        self._plan, self._paths = plan, paths

    def marker(self, wildcards: Wildcards) -> dict[str, str]:
        """The stand-in that a subject's files belong to, if its dataset is synthetic."""
        synthetic = self._plan.config.datasets[wildcards.dataset].synthetic
        return {"marker": self._paths.twin.format(dataset=wildcards.dataset)} if synthetic else {}

    def pool_windows(self, wildcards: Wildcards) -> list[str]:
        """Windows of everyone that the protocol of a job needs."""
        subjects = self._plan.pool(wildcards.protocol, wildcards.dataset, wildcards.subjects)
        return [self._windows(wildcards.dataset, subject) for subject in subjects]

    def dataset_windows(self, wildcards: Wildcards) -> list[str]:
        """Windows of all subjects of a dataset."""
        return [self._windows(wildcards.dataset, subject) for subject in self._plan.subjects(wildcards.dataset)]

    def dataset_quality(self, wildcards: Wildcards) -> list[str]:
        """What was found in the recordings of all subjects of a dataset."""
        subjects = self._plan.subjects(wildcards.dataset)
        return [self._paths.quality.format(dataset=wildcards.dataset, subject=subject) for subject in subjects]

    def corpus_windows(self, wildcards: Wildcards) -> list[str]:
        """Windows of everyone that a pre-training sees."""
        pairs = self._plan.corpus_subjects(wildcards.corpus, wildcards.holdout)
        return [self._windows(dataset, subject) for dataset, subject in pairs]

    def pretraining_ids(self, wildcards: Wildcards) -> str:
        """The windows that a pre-training sees: of its whole corpus, or those that were chosen."""
        known = {"corpus": wildcards.corpus, "holdout": wildcards.holdout}
        selection = self._plan.selection(wildcards.recipe)
        if selection is None:
            return self._paths.pretraining_split.format(**known)
        return self._paths.selection.format(selection=selection, **known)

    def tokenizer(self, wildcards: Wildcards) -> list[str]:
        """Weights of the tokenizer whose codes a pre-training predicts, of the same seed; none where it has none."""
        recipe = self._plan.tokenizer(wildcards.recipe)
        known = {"corpus": wildcards.corpus, "holdout": wildcards.holdout, "seed": wildcards.seed}
        return [self._paths.weights.format(recipe=recipe, **known)] if recipe else []

    def parts(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """What a choice of windows reads: the lists of windows, and their latents where it goes by these."""
        distill = self._plan.distillations[wildcards.selection]
        corpora = [
            {"corpus": part, "holdout": wildcards.holdout} for part in self._plan.parts(distill, wildcards.corpus)
        ]
        found = {"ids": [self._paths.pretraining_split.format(**known) for known in corpora]}
        if distill.method in COMPRESSED:
            name = compressor_name(distill)
            for what, path in (("latents", self._paths.latents), ("latent_ids", self._paths.latent_ids)):
                found[what] = [path.format(compressor=name, **known) for known in corpora]
        return found

    def corpora(self, wildcards: Wildcards) -> list[str]:
        """The window list of the pre-training that an audit covers; none where it covers none."""
        if wildcards.corpus == NO_PRETRAINING:
            return []
        return [self._paths.pretraining_split.format(corpus=wildcards.corpus, holdout=wildcards.holdout)]

    def audit(self, wildcards: Wildcards) -> str:
        """The audit that a job waits for: of its split, and of the pre-training that it starts from."""
        start = self._start(wildcards, wildcards.arm) or {"corpus": NO_PRETRAINING, "holdout": NO_PRETRAINING}
        known = {name: getattr(wildcards, name) for name in ("dataset", "task", "protocol", "subjects")}
        return self._paths.audit.format(corpus=start["corpus"], holdout=start["holdout"], **known)

    def weights(self, wildcards: Wildcards) -> list[str]:
        """The encoder weights that a job starts from, one a training seed."""
        start = self._start(wildcards, wildcards.arm)
        return [self._paths.weights.format(**start, seed=seed) for seed in self._plan.config.seeds] if start else []

    def predictions(self, wildcards: Wildcards) -> list[str]:
        """Predictions of all arms and subjects on a target."""
        return self._of_target(self._paths.predictions(wildcards.comparison), wildcards)

    def histories(self, wildcards: Wildcards) -> list[str]:
        """Learning curves of all arms and subjects on a target."""
        return self._of_target(self._paths.history(wildcards.comparison), wildcards)

    def cards(self, wildcards: Wildcards) -> list[str]:
        """Cards of all subjects on a target, for the arms that have graph attention."""
        arms = self._plan.attentive(*target_of(wildcards))
        return self._of_target(self._paths.card(wildcards.comparison), wildcards, arms)

    def first_cards(self) -> list[str]:
        """A card of each arm on each target of the run."""
        return [
            self._paths.card(comparison).format(
                dataset=d, task=t, protocol=p, arm=arm, subjects=self._plan.shards(p, d)[0]
            )
            for comparison in self._plan.active()
            for d, t, p in self._plan.targets(comparison)
            for arm in self._plan.arms(comparison, d, t, p)
        ]

    def scores(self, wildcards: Wildcards) -> list[str]:
        """Scores of all targets of a comparison."""
        targets = self._plan.targets(wildcards.comparison)
        pattern = self._paths.scores.replace("{comparison}", wildcards.comparison)
        return [pattern.format(dataset=d, task=t, protocol=p) for d, t, p in targets]

    def pretraining_histories(self, wildcards: Wildcards) -> list[str]:
        """Loss curves of a pre-training, one a seed."""
        which = {"recipe": wildcards.recipe, "corpus": wildcards.corpus, "holdout": wildcards.holdout}
        return [self._paths.pretraining_history.format(**which, seed=seed) for seed in self._plan.config.seeds]

    def first_weights(self, wildcards: Wildcards) -> str:
        """Encoder weights of a pre-training, of the first seed."""
        which = {"recipe": wildcards.recipe, "corpus": wildcards.corpus, "holdout": wildcards.holdout}
        return self._paths.weights.format(**which, seed=self._plan.config.seeds[0])

    def pooled(self, wildcards: Wildcards) -> list[str]:
        """Pooled scores of a comparison's targets that have nights."""
        pattern = self._paths.pooled.replace("{comparison}", wildcards.comparison)
        targets = self._plan.nightly(wildcards.comparison)
        return [pattern.format(dataset=d, task=t, protocol=p) for d, t, p in targets]

    def all_pooled(self, wildcards: Wildcards) -> list[str]:
        """Pooled scores of all targets of a comparison."""
        pattern = self._paths.pooled.replace("{comparison}", wildcards.comparison)
        return [pattern.format(dataset=d, task=t, protocol=p) for d, t, p in self._plan.targets(wildcards.comparison)]

    def contrasted(self, wildcards: Wildcards) -> list[dict[str, object]]:
        """Predictions under a paper's protocol and the strict one, where articles score all test windows together."""
        comparison, pattern = wildcards.comparison, self._paths.predictions(wildcards.comparison)
        together = self._plan.distilled(comparison)
        found = []
        for dataset, task, printed, strict, arm in self._plan.contrasts(comparison):
            if together or Division.parse(printed).protocol in POOLED:
                pair = {"arm": arm, "windows": [self._windows(dataset, s) for s in self._plan.subjects(dataset)]}
                for side, protocol in (("printed", printed), ("strict", strict)):
                    known = {"dataset": dataset, "task": task, "protocol": protocol, "arm": arm}
                    shards = self._plan.shards(protocol, dataset)
                    pair[side] = [pattern.format(**known, subjects=shard) for shard in shards]
                found.append(pair)
        return found

    def measured(self, wildcards: Wildcards) -> list[str]:
        """Tables of a run that hold what was measured of published numbers."""
        plan = self._plan
        has = {"results": lambda c: True, "published": plan.nightly, "distilled": plan.distilled}
        has["efficiency"] = lambda c: plan.nightly(c) and plan.networks(c)
        return [
            self._paths.table("csv", part).format(comparison=c) for c in plan.active() for part in has if has[part](c)
        ]

    def selections(self, wildcards: Wildcards) -> list[str]:
        """Choices of windows that the arms of a comparison were pre-trained on."""
        starts = [start for _, start in self._plan.starts(wildcards.comparison)]
        names = [(self._plan.selection(start["recipe"]), start) for start in starts]
        return list(dict.fromkeys(self._paths.selection.format(selection=n, **start) for n, start in names if n))

    def distilled_weights(self, wildcards: Wildcards) -> list[str]:
        """Weights that the arms of a comparison start from, of all seeds."""
        starts = [start for _, start in self._plan.starts(wildcards.comparison)]
        files = [self._paths.weights.format(**start, seed=seed) for start in starts for seed in self._plan.config.seeds]
        return list(dict.fromkeys(files))

    def costs(self, wildcards: Wildcards) -> dict[str, dict[str, list[str]]]:
        """Benchmarks of what went into each arm's encoder, by arm: compressor, selection and pre-training."""
        return {arm: self._cost(start) for arm, start in self._plan.starts(wildcards.comparison)}

    def _cost(self, start: Mapping[str, str]) -> dict[str, list[str]]:
        pretraining = self._paths.benchmark("pretrain", "recipe", "corpus", "holdout", "seed")
        found: dict[str, list[str]] = {"compressor": [], "selection": []}
        found["pretraining"] = [pretraining.format(**start, seed=seed) for seed in self._plan.config.seeds]
        name = self._plan.selection(start["recipe"])
        if name is not None:
            distill = self._plan.distillations[name]
            found["selection"] = [
                self._paths.benchmark("select", "selection", "corpus", "holdout").format(selection=name, **start)
            ]
            if distill.method in COMPRESSED:
                pattern = self._paths.benchmark("compress", "compressor", "corpus", "holdout")
                known = {"compressor": compressor_name(distill), "holdout": start["holdout"]}
                found["compressor"] = [
                    pattern.format(corpus=part, **known) for part in self._plan.parts(distill, start["corpus"])
                ]
        return found

    def first_windows(self, wildcards: Wildcards) -> list[str]:
        """Windows of one subject of each dataset whose nights a comparison targets."""
        datasets = dict.fromkeys(dataset for dataset, _, _ in self._plan.nightly(wildcards.comparison))
        return [self._windows(dataset, self._plan.subjects(dataset)[0]) for dataset in datasets]

    def _start(self, wildcards: Wildcards, arm: str) -> Mapping[str, str] | None:
        return self._plan.pretrained(
            Job(wildcards.dataset, wildcards.task, wildcards.protocol, arm, wildcards.subjects)
        )

    def _of_target(self, pattern: str, wildcards: Wildcards, arms: tuple[str, ...] | None = None) -> list[str]:
        known = {name: getattr(wildcards, name) for name in ("dataset", "task", "protocol")}
        return [
            pattern.format(**known, arm=arm, subjects=shard)
            for arm in arms or self._plan.arms(*target_of(wildcards))
            for shard in self._plan.shards(wildcards.protocol, wildcards.dataset)
        ]

    def _windows(self, dataset: str, subject: str) -> str:
        return self._paths.windows.format(dataset=dataset, subject=subject)
