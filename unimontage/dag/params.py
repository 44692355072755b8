"""Params of the rules: the part of the configuration that each reads, and the fingerprint of the code it runs."""

import json
from collections import Counter
from typing import Any

from unimontage.config.arms import Aligned, Arm, Braindecode, Classical, Labram, Universal
from unimontage.config.base import Block
from unimontage.config.distillation import Choice
from unimontage.config.protocols import BY_SUBJECT, Division
from unimontage.config.recipes import AlignedRecipe, MaskedRecipe, TokenizerRecipe, UnivariateRecipe
from unimontage.dag.fingerprint import fingerprint
from unimontage.dag.inputs import Wildcards, target_of
from unimontage.dag.montages import contracts
from unimontage.dag.paths import Paths
from unimontage.dag.plan import Plan, has_recipe

CHOICES = {
    Universal: ("training.devices", "training.networks", "training.universal"),
    Aligned: ("training.devices", "training.networks", "training.staging"),
    Labram: ("training.devices", "training.networks", "training.judging"),
    Braindecode: ("training.devices", "training.networks", "training.supervised"),
    Classical: ("training.pipelines",),
}

PRETRAININGS = {
    UnivariateRecipe: "training.univariate",
    AlignedRecipe: "training.epochs",
    TokenizerRecipe: "training.masked",
    MaskedRecipe: "training.masked",
}


class Params:
    """What the rules hand to their stages, for a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._starts: dict[
            tuple[str, tuple[str, ...], str | None], dict[str, Any]
        ] = {}  # asked for by every job of a large DAG

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
        """Sessions of the subject, or of the dataset where no subject is named."""
        return list(self._plan.sessions(wildcards.dataset, getattr(wildcards, "subject", None)))

    def channels(self, wildcards: Wildcards) -> list[str]:
        """Channels of the dataset's windows."""
        return list(self._plan.channels(wildcards.dataset))

    def montages(self, wildcards: Wildcards) -> dict[str, dict[str, list[str]]]:
        """State of each channel of the dataset in each model."""
        models = contracts(self._plan, wildcards.dataset)
        return {name: {channel: list(state) for channel, state in states.items()} for name, states in models.items()}

    def length_s(self, wildcards: Wildcards) -> float:
        """Length of the dataset's windows."""
        return self._plan.windows(wildcards.dataset)[0]

    def step_s(self, wildcards: Wildcards) -> float:
        """Distance of the beginnings of the dataset's windows."""
        return self._plan.windows(wildcards.dataset)[1]

    def compressor(self, wildcards: Wildcards) -> dict[str, Any]:
        """The compressor's options."""
        return plain(self._plan.compressors[wildcards.compressor][0])

    def compressor_seed(self, wildcards: Wildcards) -> int:
        """The compressor's seed."""
        return self._plan.compressors[wildcards.compressor][1]

    def distill(self, wildcards: Wildcards) -> dict[str, Any]:
        """What a choice of windows goes by."""
        return plain(self._plan.distillations[wildcards.selection])

    def parts(self, wildcards: Wildcards) -> list[str]:
        """The corpora within which windows are chosen."""
        return self._plan.parts(self._plan.distillations[wildcards.selection], wildcards.corpus)

    def select_code(self, wildcards: Wildcards) -> str:
        """Fingerprint of choosing windows by a method."""
        return fingerprint("stages.select", *_methods(self._plan.distillations[wildcards.selection]))

    def kept_of_target(self, wildcards: Wildcards) -> dict[str, float]:
        """Percent of the windows that each arm on a target, or its encoder, was trained on."""
        return {arm: 100 * self._plan.choice(arm).kept for arm in self._plan.arms(*target_of(wildcards))}

    def kept(self, wildcards: Wildcards) -> dict[str, float]:
        """Percent of the windows that each arm of a comparison that could be trained on fewer was trained on."""
        return {arm: 100 * choice.kept for arm, choice in self._plan.choices(wildcards.comparison).items()}

    def methods(self, wildcards: Wildcards) -> dict[str, str]:
        """What each of these arms stands for in pictures: how its windows were chosen, ``full`` where all were.

        Only the share that is kept may differ between arms of one name. Those that differ from most of their method in
        anything else go by a name of their own.
        """
        choices = self._plan.choices(wildcards.comparison)
        names = {arm: choice.method if choice.kept < 1 else "full" for arm, choice in choices.items()}
        variants = {arm: (names[arm], self._but_share(arm)) for arm in choices}
        first = {
            name: Counter(v for v in variants.values() if v[0] == name).most_common(1)[0][0] for name in names.values()
        }
        return {arm: name if variants[arm] == first[name] else arm for arm, name in names.items()}

    def _but_share(self, arm: str) -> str:
        """All options of an arm and its recipe, but the share of windows that is kept and the row it reproduces."""
        chosen = self._plan.config.arms[arm]
        options = {"arm": plain(chosen) | {"paper": None, "recipe": None}}
        if has_recipe(chosen):
            options["recipe"] = plain(self._plan.config.recipes[chosen.recipe])
        holder = options["recipe" if has_recipe(chosen) else "arm"]
        holder["distill"] = holder["distill"] | {"kept": None}
        return json.dumps(options, sort_keys=True)

    def members(self, wildcards: Wildcards) -> list[str]:
        """The subjects that a job tests."""
        return list(self._plan.members(wildcards.dataset, wildcards.subjects))

    def roles(self, wildcards: Wildcards) -> dict[str, str]:
        """Role of each subject where the protocol divides by subject; nothing under other protocols."""
        by_subject = Division.parse(wildcards.protocol).protocol in BY_SUBJECT
        return self._plan.roles(wildcards.dataset) if by_subject else {}

    def dataset_code(self, *modules: str) -> Any:
        """Params function: fingerprint of some modules and the dataset's own."""
        return lambda wildcards: fingerprint(*modules, f"datasets.{wildcards.dataset}")

    def recipe(self, wildcards: Wildcards) -> dict[str, Any]:
        """The recipe."""
        return plain(self._plan.config.recipes[wildcards.recipe])

    def pretraining_start(self, wildcards: Wildcards) -> dict[str, Any]:
        """Architecture, and electrodes and rates or montages, of a pre-training."""
        return self._start(wildcards.recipe, tuple(wildcards.corpus.split("+")), None)

    def pretrain_code(self, wildcards: Wildcards) -> str:
        """Fingerprint of pre-training with the recipe's own objectives."""
        recipe = self._plan.config.recipes[wildcards.recipe]
        parts: list[str] = []
        if isinstance(recipe, UnivariateRecipe):
            parts = [f"objectives.{recipe.objective.kind}"]
        elif isinstance(recipe, AlignedRecipe):
            objectives = {f"objectives.{objective.kind}" for objective in recipe.objectives.values()}
            parts = [f"models.{recipe.encoder.kind}", *sorted(objectives)]
        return fingerprint("stages.pretrain", PRETRAININGS[type(recipe)], *parts)

    def arm(self, wildcards: Wildcards) -> dict[str, Any]:
        """The arm."""
        return plain(self._plan.config.arms[wildcards.arm])

    def start(self, wildcards: Wildcards) -> dict[str, Any] | None:
        """Architecture, and electrodes and rates or montages, of an arm's encoder; None for an arm without one."""
        return self._start_of(self._plan.config.arms[wildcards.arm], wildcards.dataset)

    def _start_of(self, arm: Arm, target: str) -> dict[str, Any] | None:
        if not has_recipe(arm):
            return None
        corpus = self._plan.corpus(self._plan.config.recipes[arm.recipe], target)
        return self._start(arm.recipe, corpus, target)

    def _start(self, name: str, corpus: tuple[str, ...], target: str | None) -> dict[str, Any]:
        if (name, corpus, target) not in self._starts:
            recipe = self._plan.config.recipes[name]
            self._starts[name, corpus, target] = getattr(self, f"_{recipe.kind}")(recipe, corpus, target)
        return self._starts[name, corpus, target]

    def _univariate(self, recipe: UnivariateRecipe, corpus: tuple[str, ...], target: str | None) -> dict[str, Any]:
        vocabulary, rates = self._plan.vocabulary(recipe, corpus).to_list(), list(self._plan.rates(corpus))
        return {"encoder": plain(recipe.encoder), "vocabulary": vocabulary, "rates": rates}

    def _tokenizer(self, recipe: TokenizerRecipe, corpus: tuple[str, ...], target: str | None) -> dict[str, Any]:
        return {"size": recipe.size}

    def _masked(self, recipe: MaskedRecipe, corpus: tuple[str, ...], target: str | None) -> dict[str, Any]:
        own = self._plan.config.recipes.get(recipe.tokenizer)
        if own is None:
            return {"size": recipe.size, "released_tokenizer": recipe.tokenizer}
        return {"size": recipe.size, "tokenizer_size": own.size, "codes": own.codes}

    def _aligned(self, recipe: AlignedRecipe, corpus: tuple[str, ...], target: str | None) -> dict[str, Any]:
        return {
            "alignment": plain(recipe.alignment),
            "encoder": plain(recipe.encoder),
            "montages": {dataset: list(self._plan.channels(dataset)) for dataset in corpus},
            "target": {target: list(self._plan.channels(target))} if target else {},
            "sfreq_hz": self._plan.rate(corpus[0]),
            "samples": self._plan.samples(corpus[0]),
        }

    def arms(self, wildcards: Wildcards) -> list[str]:
        """Arms that meet on a target, in the order of their files."""
        return list(self._plan.arms(*target_of(wildcards)))

    def attentive(self, wildcards: Wildcards) -> list[str]:
        """Arms with graph attention that meet on a target."""
        return list(self._plan.attentive(*target_of(wildcards)))

    def sizes(self, wildcards: Wildcards) -> dict[str, tuple[int, int]]:
        """Sizes of the alignments that the report compares."""
        return self._plan.sizes(wildcards.comparison)

    def target_datasets(self, wildcards: Wildcards) -> list[str]:
        """Datasets whose nights a comparison targets."""
        return list(self.first_tasks(wildcards))

    def first_tasks(self, wildcards: Wildcards) -> dict[str, str]:
        """A task of each dataset whose nights a comparison targets."""
        tasks: dict[str, str] = {}
        for dataset, task, _ in self._plan.nightly(wildcards.comparison):
            tasks.setdefault(dataset, task)
        return tasks

    def networks(self, wildcards: Wildcards) -> dict[str, Any]:
        """Networks that meet in a comparison."""
        return {arm: plain(self._plan.config.arms[arm]) for arm in self._plan.networks(wildcards.comparison)}

    def starts_of_networks(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """What each network is built from, for each dataset that it meets."""
        networks, comparison = self._plan.networks(wildcards.comparison), wildcards.comparison
        starts: dict[str, dict[str, Any]] = {dataset: {} for dataset in self.target_datasets(wildcards)}
        for dataset, task, protocol in self._plan.nightly(comparison):
            for name in self._plan.arms(comparison, dataset, task, protocol):
                if name in networks:
                    starts[dataset][name] = self._start_of(self._plan.config.arms[name], dataset)
        return starts

    def efficiency_code(self, wildcards: Wildcards) -> str:
        """Fingerprint of measuring the networks of a comparison."""
        arms = [self._plan.config.arms[arm] for arm in self._plan.networks(wildcards.comparison)]
        return fingerprint("stages.efficiency", *sorted({part for arm in arms for part in self._parts(arm)}))

    def title(self, wildcards: Wildcards) -> str:
        """Head of a comparison's table."""
        words = wildcards.comparison.replace("_", " ").capitalize()
        return f"{words}: {self._plan.config.title}" if self._plan.config.title else words

    def reference(self, wildcards: Wildcards) -> str:
        """The arm that the others are compared with."""
        return self._reference(wildcards.comparison)

    def _reference(self, name: str) -> str:
        comparison = self._plan.comparison(name)
        return comparison.reference or comparison.arms[0]

    def comparisons(self, paths: Paths) -> dict[str, dict[str, Any]]:
        """Tables, arms and reference arm of each comparison, for the report's summary."""
        found = {}
        for name in self._plan.active():
            csv = {part: paths.table("csv", part).format(comparison=name) for part in ("results", "differences")}
            leakage = paths.table("csv", "leakage").format(comparison=name) if self._plan.contrasted(name) else None
            arms = list(self._plan.comparison(name).arms)
            found[name] = {**csv, "leakage": leakage, "arms": arms, "reference": self._reference(name)}
        return found

    def counted_subjects(self) -> dict[str, int]:
        """How many subjects of each dataset take part."""
        return {dataset: len(self._plan.subjects(dataset)) for dataset in self._plan.config.datasets}

    def thawed(self, wildcards: Wildcards) -> int:
        """Epoch at which the last pre-trained encoder of the run is thawed whole: no arm stops early before.

        An arm that trains everything from the start must not be given fewer epochs than the one it is compared with.
        """
        arms = [arm for arm in self._plan.config.arms.values() if isinstance(arm, Aligned) and arm.init == "pretrained"]
        return max((max(plain(arm.unfreezing).values()) for arm in arms), default=0)

    def gpu(self, wildcards: Wildcards) -> int:
        """GPUs of a job: none for a classical pipeline."""
        return 0 if isinstance(self._plan.config.arms[wildcards.arm], Classical) else 1

    def finetune_code(self, wildcards: Wildcards) -> str:
        """Fingerprint of training with the arm's own kind of model."""
        return fingerprint("stages.finetune", *self._parts(self._plan.config.arms[wildcards.arm]))

    def _parts(self, arm: Arm) -> tuple[str, ...]:
        """Modules that an arm's model is made of and that no other module imports at its top."""
        more: tuple[str, ...] = ()
        if isinstance(arm, Aligned):
            more = (f"models.{self._plan.config.recipes[arm.recipe].encoder.kind}",)
        elif isinstance(arm, Braindecode) and arm.distill.kept < 1:
            more = ("training.thinning", *_methods(arm.distill))
        return (*CHOICES[type(arm)], *more)


def _methods(choice: Choice) -> tuple[str, ...]:
    """Modules of a method of choosing that are imported where it is called."""
    return ("distillation.m3d",) if choice.method == "m3d" else ()


def plain(block: Block) -> dict[str, Any]:
    """A block as JSON values, which Snakemake compares between runs."""
    return block.model_dump(mode="json")
