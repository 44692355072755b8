"""Params of the rules: the part of the configuration that each reads, and the fingerprint of the code it runs."""

from typing import Any

from unimontage.config.arms import Braindecode, Classical, Universal
from unimontage.config.base import Block
from unimontage.dag.fingerprint import fingerprint
from unimontage.dag.inputs import Wildcards, target_of
from unimontage.dag.plan import Plan

CHOICES = {
    Universal: ("training.devices", "training.networks", "training.universal"),
    Braindecode: ("training.devices", "training.networks", "training.supervised"),
    Classical: ("training.pipelines",),
}


class Params:
    """What the rules hand to their stages, for a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._starts: dict[tuple[str, str], dict[str, Any]] = {}  # asked for by every job of a large DAG

    def dataset(self, wildcards: Wildcards) -> dict[str, Any]:
        """The dataset's block."""
        return plain(self._plan.config.datasets[wildcards.dataset])

    def preprocessing(self, wildcards: Wildcards) -> dict[str, Any]:
        """The dataset's preprocessing."""
        return plain(self._plan.config.datasets[wildcards.dataset].preprocessing)

    def subjects(self, wildcards: Wildcards) -> list[str]:
        """Subjects of the dataset."""
        return list(self._plan.subjects(wildcards.dataset))

    def sessions(self, wildcards: Wildcards) -> list[str]:
        """Sessions of the dataset."""
        return list(self._plan.sessions(wildcards.dataset))

    def dataset_code(self, *modules: str) -> Any:
        """Params function: fingerprint of some modules and the dataset's own."""
        return lambda wildcards: fingerprint(*modules, f"datasets.{wildcards.dataset}")

    def recipe(self, wildcards: Wildcards) -> dict[str, Any]:
        """The recipe."""
        return plain(self._plan.config.recipes[wildcards.recipe])

    def vocabulary(self, wildcards: Wildcards) -> list[str]:
        """Electrodes of a pre-training."""
        recipe = self._plan.config.recipes[wildcards.recipe]
        return self._plan.vocabulary(recipe, tuple(wildcards.corpus.split("+"))).to_list()

    def rates(self, wildcards: Wildcards) -> list[float]:
        """Sampling rates of a pre-training in Hz."""
        return list(self._plan.rates(tuple(wildcards.corpus.split("+"))))

    def pretrain_code(self, wildcards: Wildcards) -> str:
        """Fingerprint of pre-training with the recipe's own objective."""
        kind = self._plan.config.recipes[wildcards.recipe].objective.kind
        return fingerprint("stages.pretrain", f"objectives.{kind}")

    def arm(self, wildcards: Wildcards) -> dict[str, Any]:
        """The arm."""
        return plain(self._plan.config.arms[wildcards.arm])

    def start(self, wildcards: Wildcards) -> dict[str, Any] | None:
        """Architecture, electrodes and rates of an arm's encoder; None for an arm without one."""
        arm = self._plan.config.arms[wildcards.arm]
        if not isinstance(arm, Universal):
            return None
        return self._start(arm.recipe, wildcards.dataset)

    def _start(self, name: str, target: str) -> dict[str, Any]:
        if (name, target) not in self._starts:
            recipe = self._plan.config.recipes[name]
            corpus = self._plan.corpus(recipe, target)
            vocabulary, rates = self._plan.vocabulary(recipe, corpus).to_list(), list(self._plan.rates(corpus))
            self._starts[name, target] = {"encoder": plain(recipe.encoder), "vocabulary": vocabulary, "rates": rates}
        return self._starts[name, target]

    def arms(self, wildcards: Wildcards) -> list[str]:
        """Arms that meet on a target, in the order of their files."""
        return list(self._plan.arms(*target_of(wildcards)))

    def attentive(self, wildcards: Wildcards) -> list[str]:
        """Arms with graph attention that meet on a target."""
        return list(self._plan.attentive(*target_of(wildcards)))

    def title(self, wildcards: Wildcards) -> str:
        """Head of a comparison's table."""
        words = wildcards.comparison.replace("_", " ").capitalize()
        return f"{words}: {self._plan.config.title}" if self._plan.config.title else words

    def reference(self, wildcards: Wildcards) -> str:
        """The arm that the others are compared with."""
        comparison = self._plan.comparison(wildcards.comparison)
        return comparison.reference or comparison.arms[0]

    def gpu(self, wildcards: Wildcards) -> int:
        """GPUs of a job: none for a classical pipeline."""
        return 0 if isinstance(self._plan.config.arms[wildcards.arm], Classical) else 1

    def finetune_code(self, wildcards: Wildcards) -> str:
        """Fingerprint of training with the arm's own kind of model."""
        return fingerprint("stages.finetune", *CHOICES[type(self._plan.config.arms[wildcards.arm])])


def plain(block: Block) -> dict[str, Any]:
    """A block as JSON values, which Snakemake compares between runs."""
    return block.model_dump(mode="json")
