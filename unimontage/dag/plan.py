"""What a configuration asks for: subjects, corpora, jobs and the weights that each job starts from."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from unimontage.config.arms import Aligned, Arm, Braindecode, Labram, Universal
from unimontage.config.base import Block
from unimontage.config.comparisons import Comparison, Target
from unimontage.config.distillation import Choice, Compressor, Distillation
from unimontage.config.protocols import POOLED, PRINTED, SHARED, Division
from unimontage.config.recipes import Recipe, UnivariateRecipe
from unimontage.config.root import Config
from unimontage.datasets import facts
from unimontage.datasets.facts import DatasetFacts
from unimontage.montage.schema import Vocabulary

COMPARISONS = ("within_subject", "cross_subject", "transfer")
WHOLE = "all"
TRAINING_SUBJECTS = "training-subjects"
EVERYONE = "all"
COMPRESSED = ("dlite", "kmeans", "hbos_random")
"""Methods of distillation that choose by a compressor's latents."""
RAW = ("pca", "m3d")
"""Methods that read the windows themselves."""
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.2
"""Of the subjects, and of those that do not test."""


@dataclass(frozen=True)
class Job:
    """One dataset, task, protocol and arm, and the subjects that it tests: joined by ``+``, or ``all``."""

    dataset: str
    task: str
    protocol: str
    arm: str
    subjects: str


@dataclass(frozen=True)
class Plan:
    """Answers the rules' questions about a configuration, without touching the disk."""

    config: Config

    def facts(self, dataset: str) -> DatasetFacts:
        """The dataset's facts."""
        return facts(dataset)

    def subjects(self, dataset: str) -> tuple[str, ...]:
        """Subjects of a dataset that the run uses, in the dataset's order."""
        choice = self.config.datasets[dataset]
        return choose(facts(dataset).subjects, choice.subjects, choice.exclude)

    def sessions(self, dataset: str, subject: str | None = None) -> tuple[str, ...]:
        """Sessions that the run uses: of a subject, who may lack some, or of the dataset."""
        known = facts(dataset)
        chosen = choose(known.sessions, self.config.datasets[dataset].sessions)
        return tuple(session for session in chosen if (subject, session) not in known.absent)

    def channels(self, dataset: str) -> tuple[str, ...]:
        """Channels of the dataset's windows."""
        choice, known = self.config.datasets[dataset].channels, facts(dataset)
        if choice is None:
            return known.channels
        return known.known_channels if choice == "all" else choice

    def rate(self, dataset: str) -> float:
        """Sampling rate of the dataset's windows in Hz."""
        return self.config.datasets[dataset].preprocessing.resample_hz or facts(dataset).sfreq_hz

    def windows(self, dataset: str) -> tuple[float, float]:
        """Length of the dataset's windows and the distance of their beginnings, in seconds."""
        own, common = self.config.datasets[dataset], self.config.windows
        return own.length_s or common.length_s, own.step_s or common.step_s

    def samples(self, dataset: str) -> int:
        """Samples of the dataset's windows."""
        return round(self.windows(dataset)[0] * self.rate(dataset))

    @cached_property
    def synthetic(self) -> bool:
        """Whether any dataset of the run is a synthetic stand-in."""
        return any(dataset.synthetic for dataset in self.config.datasets.values())

    def comparison(self, name: str) -> Comparison:
        """A comparison by name."""
        return getattr(self.config, name)

    def corpus(self, recipe: Recipe, target: str | None) -> tuple[str, ...]:
        """Datasets that a recipe pre-trains on when ``target`` is the target."""
        match recipe.corpus:
            case "all":
                chosen = set(self.config.datasets)
            case "others":
                chosen = set(self.config.datasets) - {target}
            case "target":
                chosen = {target}
            case names:
                chosen = set(names)
        return tuple(sorted(chosen))

    def vocabulary(self, recipe: UnivariateRecipe, corpus: tuple[str, ...]) -> Vocabulary:
        """Electrode names of a corpus: the union (Unified Channel Schema) or the intersection."""
        montages = [self.channels(dataset) for dataset in corpus]
        return Vocabulary.union(montages) if recipe.vocabulary == "ucs" else Vocabulary.intersection(montages)

    def rates(self, corpus: tuple[str, ...]) -> tuple[float, ...]:
        """Sampling rates of a corpus, ascending; index 0 of the encoder's table stays for an unknown rate."""
        return tuple(sorted({self.rate(dataset) for dataset in corpus}))

    def group(self, dataset: str, subject: str) -> int:
        """Hold-out group of a subject: by rank in a seeded order, the same for every run of this configuration."""
        return self._groups(dataset)[subject]

    def _groups(self, dataset: str) -> dict[str, int]:
        return _groups(self.subjects(dataset), self.config.splits.holdout_groups, self.config.splits.seed)

    def roles(self, dataset: str) -> dict[str, str]:
        """Which subjects train, validate and test where a dataset is divided by subject."""
        return _roles(self.subjects(dataset), self.config.splits.seed)

    def holdout(self, job: Job) -> str:
        """Which subjects the encoder of a job was pre-trained without.

        Under the papers' protocols none. Under a strict protocol the group of the target subject, unless the corpus
        does not hold the target at all; where the target is divided by subject, all that validate and test, in every
        dataset alike, so that one encoder serves every target.
        """
        recipe, protocol = self.config.recipes[self.config.arms[job.arm].recipe], Division.parse(job.protocol).protocol
        if protocol == "strict_subject":
            return TRAINING_SUBJECTS
        if protocol in PRINTED or job.dataset not in self.corpus(recipe, job.dataset):
            return WHOLE
        return f"without-group-{self.group(job.dataset, self.members(job.dataset, job.subjects)[0])}"

    def pretrained(self, job: Job) -> dict[str, str] | None:
        """Wildcards of the pre-training that a job starts from; None when it starts from none."""
        arm = self.config.arms[job.arm]
        if not has_recipe(arm) or arm.init == "scratch":
            return None
        corpus = self.corpus(self.config.recipes[arm.recipe], job.dataset)
        return {"recipe": arm.recipe, "corpus": "+".join(corpus), "holdout": self.holdout(job)}

    def corpus_subjects(self, corpus: str, holdout: str) -> list[tuple[str, str]]:
        """Dataset and subject of everyone that a pre-training sees."""
        pairs = [(dataset, subject) for dataset in corpus.split("+") for subject in self.subjects(dataset)]
        if holdout == WHOLE:
            return pairs
        if holdout == TRAINING_SUBJECTS:
            return [(dataset, subject) for dataset, subject in pairs if self.roles(dataset)[subject] == "train"]
        group = int(holdout.rsplit("-", 1)[1])
        return [(dataset, subject) for dataset, subject in pairs if self.group(dataset, subject) != group]

    def shards(self, protocol: str, dataset: str) -> tuple[str, ...]:
        """Subjects that each of a target's jobs tests.

        ``all`` where one model tests everyone, one where a model is trained across subjects, else a few that the job
        takes in turn. These are of one hold-out group, so that they start from the same encoder.
        """
        kind = Division.parse(protocol).protocol
        if kind in POOLED:
            return (EVERYONE,)
        if kind in SHARED:
            return self.subjects(dataset)
        return _shards(self._groups(dataset), self.config.subjects_per_job)

    def members(self, dataset: str, shard: str) -> tuple[str, ...]:
        """Subjects of a shard."""
        return self.subjects(dataset) if shard == EVERYONE else tuple(shard.split("+"))

    def pool(self, protocol: str, dataset: str, shard: str) -> tuple[str, ...]:
        """Subjects whose windows a job needs: everyone's where it trains across subjects, else its own."""
        shared = Division.parse(protocol).protocol in SHARED
        return self.subjects(dataset) if shared else self.members(dataset, shard)

    def targets(self, comparison: str) -> Iterator[tuple[str, str, str]]:
        """Dataset, task and protocol, its label budget included, of every target of a comparison."""
        for target in self.comparison(comparison).targets:
            for task in target.tasks:
                for protocol in divisions(target):
                    yield target.dataset, task, protocol

    def meetings(self) -> Iterator[tuple[str, str, Target]]:
        """Every comparison, arm and target that meet."""
        for comparison in COMPARISONS:
            for target in self.comparison(comparison).targets:
                for arm in target.arms or self.comparison(comparison).arms:
                    yield comparison, arm, target

    def jobs(self, comparison: str) -> Iterator[Job]:
        """All jobs of a comparison."""
        for dataset, task, protocol in self.targets(comparison):
            for arm in self.arms(comparison, dataset, task, protocol):
                for shard in self.shards(protocol, dataset):
                    yield Job(dataset, task, protocol, arm, shard)

    def pretrainings(self) -> list[dict[str, str]]:
        """Wildcards of every pre-training that an arm starts from, or of every recipe when nothing is compared."""
        jobs = [job for comparison in self.active() for job in self.jobs(comparison)]
        starts = [self.pretrained(job) for job in jobs]
        if not jobs:
            free = {n: recipe for n, recipe in self.config.recipes.items() if recipe.corpus not in ("others", "target")}
            corpora = {name: self.corpus(recipe, None) for name, recipe in free.items()}
            starts = [{"recipe": n, "corpus": "+".join(c), "holdout": WHOLE} for n, c in corpora.items()]
        starts += [start | {"recipe": self.tokenizer(start["recipe"])} for start in starts if self.has_tokenizer(start)]
        return [dict(items) for items in sorted({tuple(start.items()) for start in starts if start})]

    def has_tokenizer(self, start: dict[str, str] | None) -> bool:
        """Whether a pre-training waits for a tokenizer of the run."""
        return start is not None and self.tokenizer(start["recipe"]) is not None

    def tokenizer(self, recipe: str) -> str | None:
        """The recipe whose codes a recipe predicts; None if there are none, or they are released ones."""
        name = getattr(self.config.recipes[recipe], "tokenizer", None)
        return name if name in self.config.recipes else None

    def selection(self, recipe: str) -> str | None:
        """Name of the choice of windows that a recipe is pre-trained on; None where all are used."""
        distill = self.config.recipes[recipe].distill
        if distill.kept == 1:
            return None
        share = f"{100 * distill.kept:g}".replace(".", "p")
        return f"{distill.method}-{share}pct-{_digest(distill)}"

    @cached_property
    def distillations(self) -> dict[str, Distillation]:
        """All choices of windows of the run by name."""
        names = {recipe: self.selection(recipe) for recipe in self.config.recipes}
        return {name: self.config.recipes[recipe].distill for recipe, name in names.items() if name}

    @cached_property
    def compressors(self) -> dict[str, tuple[Compressor, int]]:
        """All compressors of the run by name, each with its seed."""
        needed = [distill for distill in self.distillations.values() if distill.method in COMPRESSED]
        return {compressor_name(distill): (distill.compressor, distill.seed) for distill in needed}

    def parts(self, distill: Distillation, corpus: str) -> list[str]:
        """The corpora within which windows are chosen: single datasets, or those that share montage and window."""
        datasets = corpus.split("+")
        if distill.scope == "dataset":
            return datasets
        alike: dict[tuple, list[str]] = {}
        for dataset in datasets:
            alike.setdefault((self.channels(dataset), self.rate(dataset), self.samples(dataset)), []).append(dataset)
        return ["+".join(members) for members in alike.values()]

    def arms(self, comparison: str, dataset: str, task: str, protocol: str) -> tuple[str, ...]:
        """Arms that meet on a target."""
        return self._arms[comparison, dataset, task, protocol]

    @cached_property
    def _arms(self) -> dict[tuple[str, str, str, str], tuple[str, ...]]:
        return {
            (comparison, target.dataset, task, protocol): target.arms or self.comparison(comparison).arms
            for comparison in COMPARISONS
            for target in self.comparison(comparison).targets
            for task in target.tasks
            for protocol in divisions(target)
        }

    def attentive(self, comparison: str, dataset: str, task: str, protocol: str) -> tuple[str, ...]:
        """Arms with graph attention that meet on a target."""
        arms = {name: self.config.arms[name] for name in self.arms(comparison, dataset, task, protocol)}
        return tuple(name for name, arm in arms.items() if isinstance(arm, Universal) and arm.spatial == "gat")

    def nightly(self, comparison: str) -> tuple[tuple[str, str, str], ...]:
        """Targets of a comparison whose windows are epochs of nights."""
        return tuple(target for target in self.targets(comparison) if facts(target[0]).continuous)

    def starts(self, comparison: str) -> list[tuple[str, dict[str, str]]]:
        """Arms of a comparison that start from a pre-training, each with the first that it starts from."""
        found: dict[str, dict[str, str]] = {}
        for job in self.jobs(comparison):
            start = self.pretrained(job)
            if start is not None:
                found.setdefault(job.arm, start)
        return list(found.items())

    def distilled(self, comparison: str) -> bool:
        """Whether a comparison is about the windows that its arms, or their encoders, were trained on."""
        return any(choice.kept < 1 for choice in self.choices(comparison).values())

    def costed(self, comparison: str) -> bool:
        """Whether the windows that it is about were chosen by jobs of their own, before a pre-training."""
        return any(self.selection(start["recipe"]) for _, start in self.starts(comparison))

    def choices(self, comparison: str) -> dict[str, Choice]:
        """Which windows were kept for each arm of a comparison that is pre-trained, or supervised by all or some."""
        arms = [arm for arm, _ in self.starts(comparison)]
        arms += [
            arm
            for name, arm, _ in self.meetings()
            if name == comparison and isinstance(self.config.arms[arm], Braindecode)
        ]
        return {arm: self.choice(arm) for arm in dict.fromkeys(arms)}

    def choice(self, arm: str) -> Choice:
        """Which windows are kept: of the corpus of the arm's recipe, or of the training windows of a fold."""
        chosen = self.config.arms[arm]
        if has_recipe(chosen):
            return self.config.recipes[chosen.recipe].distill
        return chosen.distill if isinstance(chosen, Braindecode) else Choice()

    def networks(self, comparison: str) -> tuple[str, ...]:
        """Arms of a comparison that are networks over whole windows: their cost can be measured on one."""
        arms = self.comparison(comparison).arms
        return tuple(arm for arm in arms if isinstance(self.config.arms[arm], Aligned | Braindecode))

    def sizes(self, comparison: str) -> dict[str, tuple[int, int]]:
        """Virtual channels and width of the position's embedding of the arms that the report compares by them."""
        arms = [arm for arm in self.config.report.alignment_grid if arm in self.comparison(comparison).arms]
        alignments = {arm: self.config.recipes[self.config.arms[arm].recipe].alignment for arm in arms}
        return {arm: (alignment.rows, alignment.dimension) for arm, alignment in alignments.items()}

    def contrasts(self, comparison: str) -> Iterator[tuple[str, str, str, str, str]]:
        """Dataset, task, paper's protocol, the strict one of the same folds, and arm, where it runs under both."""
        for dataset, task, printed in self.targets(comparison):
            strict = Division.parse(printed).strict
            both = self._arms.get((comparison, dataset, task, strict), ())
            yield from (
                (dataset, task, printed, strict, arm)
                for arm in self.arms(comparison, dataset, task, printed)
                if arm in both
            )

    def contrasted(self, comparison: str) -> bool:
        """Whether an arm of a comparison runs under a paper's protocol and the strict one of the same folds."""
        return any(self.contrasts(comparison))

    def active(self) -> tuple[str, ...]:
        """Comparisons that compare something."""
        return tuple(name for name in COMPARISONS if self.comparison(name).targets)


def divisions(target: Target) -> list[str]:
    """Names of a target's protocols, one for each label budget."""
    return [Division(p, float(b), target.label_unit).name for p in target.protocols for b in target.budgets]


def has_recipe(arm: Arm) -> bool:
    """Whether an arm is built from a recipe."""
    return isinstance(arm, Universal | Aligned | Labram)


def compressor_name(distill: Distillation) -> str:
    """Name of a compressor: equal ones of several distillations are trained once."""
    return f"compressor-{_digest(distill.compressor, distill.seed)}"


def _digest(block: Block, *more: object) -> str:
    """Eight digits that stand for the options of a block."""
    return hashlib.sha256(f"{block.model_dump_json()}{more}".encode()).hexdigest()[:8]


def choose(
    known: tuple[str, ...], choice: int | tuple[str, ...] | str, exclude: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Subjects or sessions that a choice means: ``all``, the first so many or a list, of those not excluded."""
    left = tuple(name for name in known if name not in exclude)
    if isinstance(choice, int):
        return left[:choice]
    return left if choice == "all" else tuple(name for name in left if name in choice)


@cache
def _groups(subjects: tuple[str, ...], groups: int, seed: int) -> dict[str, int]:
    """Divide subjects into groups of equal size."""
    return {subject: rank % groups for rank, subject in enumerate(_order(subjects, seed))}


def _shards(groups: Mapping[str, int], size: int) -> tuple[str, ...]:
    """Cut each group into equal parts of at most ``size`` members."""
    found = []
    for group in dict.fromkeys(groups.values()):
        members = [subject for subject, own in groups.items() if own == group]
        parts = -(-len(members) // size)
        found += ["+".join(sorted(members[part::parts])) for part in range(parts)]
    return tuple(sorted(found))


@cache
def _roles(subjects: tuple[str, ...], seed: int) -> dict[str, str]:
    """A fifth of the subjects tests, a fifth of the rest validates, at least one each; the others train."""
    test = max(1, round(TEST_SHARE * len(subjects)))
    val = max(1, round(VALIDATION_SHARE * (len(subjects) - test)))
    roles = ["test"] * test + ["val"] * val
    return {
        subject: (roles[rank] if rank < len(roles) else "train") for rank, subject in enumerate(_order(subjects, seed))
    }


def _order(subjects: tuple[str, ...], seed: int) -> list[str]:
    """An order that depends on the seed and the subjects' names alone."""
    return sorted(subjects, key=lambda subject: hashlib.sha256(f"{seed}/{subject}".encode()).hexdigest())
