from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unimontage.config import load_config
from unimontage.dag.legality import check
from unimontage.dag.paths import Paths
from unimontage.dag.plan import Job, Plan, choose
from unimontage.dag.targets import Targets
from unimontage.datasets import facts

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ("config/config.yaml", "config/experiments/universal.yaml")


def plan_of(name):
    config = load_config(ROOT / name)
    check(config)
    return Plan(config)


@pytest.fixture(scope="module")
def universal():
    return plan_of(CONFIGS[1])


@pytest.fixture(scope="module")
def demo():
    return plan_of(CONFIGS[0])


# Nobody is tested by an encoder that has seen them.


def seen_by(plan, job):
    """Dataset and subject of everyone that the encoder of a job has seen; None for a job without one."""
    start = plan.pretrained(job)
    return start and set(plan.corpus_subjects(start["corpus"], start["holdout"]))


def members(plan, job):
    """Dataset and subject of everyone that a job tests."""
    return {(job.dataset, subject) for subject in plan.members(job.dataset, job.subjects)}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_encoder_of_a_strict_job_never_saw_its_target_subject(name):
    plan = plan_of(name)
    starts = Counter()
    for comparison in plan.active():
        for job in plan.jobs(comparison):
            seen = seen_by(plan, job)
            if seen is None:
                continue
            assert seen, job
            if job.protocol != "paper":
                assert not members(plan, job) & seen, job
                starts[job.protocol] += 1
            elif plan.config.recipes[plan.config.arms[job.arm].recipe].corpus == "all":
                assert members(plan, job) <= seen, job
    assert starts["strict_trial"]


@st.composite
def small_configs(draw):
    """Runs of one to three datasets with any subjects, groups, seeds and corpora."""
    names = draw(st.lists(st.sampled_from(["seed", "deap", "dreamer"]), min_size=1, max_size=3, unique=True))
    groups = draw(st.integers(2, 6))
    corpora = ["all", "target", *([tuple(names[:1]), "others"] if len(names) > 1 else [])]
    return {
        "run": "x",
        "datasets": {name: {"synthetic": True, "subjects": draw(st.integers(groups, 12))} for name in names},
        "splits": {"holdout_groups": groups, "seed": draw(st.integers(0, 1000))},
        "recipes": {"r": {"kind": "univariate", "corpus": draw(st.sampled_from(corpora))}},
        "arms": {"a": {"kind": "universal", "recipe": "r"}},
        "within_subject": {
            "targets": [
                {"dataset": name, "tasks": [next(iter(facts(name).tasks))], "protocols": ["strict_trial", "paper"]}
                for name in names
            ],
            "arms": ["a"],
        },
    }


@settings(max_examples=60)
@given(small_configs())
def test_whatever_the_run_the_encoder_of_a_strict_job_never_saw_its_target_subject(options):
    config = load_config(options)
    check(config)
    plan = Plan(config)
    pretrainings = {tuple(start.items()) for start in plan.pretrainings()}
    for job in plan.jobs("within_subject"):
        seen = seen_by(plan, job)
        assert seen
        assert tuple(plan.pretrained(job).items()) in pretrainings
        if job.protocol == "strict_trial":
            assert not members(plan, job) & seen
        if config.recipes["r"].corpus == "others":
            assert job.dataset not in {dataset for dataset, _ in seen}


@settings(max_examples=60)
@given(small_configs(), st.integers(1, 5))
def test_the_jobs_of_a_target_test_every_subject_once_and_a_few_of_one_group_each(options, size):
    plan = Plan(load_config(options | {"subjects_per_job": size}))
    for dataset in plan.config.datasets:
        shards = [plan.members(dataset, shard) for shard in plan.shards("strict_trial", dataset)]
        assert Counter(subject for shard in shards for subject in shard) == Counter(plan.subjects(dataset))
        groups = [{plan.group(dataset, subject) for subject in shard} for shard in shards]
        assert all(len(group) == 1 for group in groups)
        for group, count in Counter(group.pop() for group in groups).items():
            sizes = [len(shard) for shard in shards if plan.group(dataset, shard[0]) == group]
            assert count == -(-sum(sizes) // size)  # as few as can be
            assert max(sizes) <= size
            assert max(sizes) - min(sizes) <= 1


def test_a_model_trained_across_subjects_has_a_job_for_each_or_one_for_all(universal):
    assert universal.shards("strict_loso", "deap") == universal.subjects("deap")
    assert universal.shards("strict_subject", "deap") == ("all",)
    assert universal.members("deap", "all") == universal.subjects("deap")


@settings(max_examples=60)
@given(small_configs())
def test_holdout_groups_share_a_datasets_subjects_evenly(options):
    plan = Plan(load_config(options))
    for dataset in options["datasets"]:
        groups = Counter(plan.group(dataset, subject) for subject in plan.subjects(dataset))
        assert set(groups) == set(range(options["splits"]["holdout_groups"]))
        assert max(groups.values()) - min(groups.values()) <= 1


def test_a_subjects_group_depends_on_the_seed_of_the_splits(universal):
    options = universal.config.model_copy(
        update={"splits": universal.config.splits.model_copy(update={"seed": 1})}, deep=True
    )
    other = Plan(options)
    groups = [[plan.group("deap", subject) for subject in plan.subjects("deap")] for plan in (universal, other)]
    assert groups[0] != groups[1]


def test_under_the_papers_protocol_the_encoder_has_seen_everyone(universal):
    job = Job("deap", "valence", "paper", "full", "s07")
    assert universal.holdout(job) == "all"
    assert len(seen_by(universal, job)) == 15 + 32 + 23


def test_an_encoder_that_never_sees_the_target_dataset_leaves_nobody_out(universal):
    job = Job("dreamer", "valence", "strict_trial", "transfer_ucs", "7")
    assert universal.pretrained(job) == {"recipe": "transfer_ucs", "corpus": "deap+seed", "holdout": "all"}


def test_arms_without_an_encoder_start_from_nothing(universal):
    for arm in ("scratch_1e4", "eegnet", "de_svm"):
        assert universal.pretrained(Job("deap", "valence", "strict_trial", arm, "s07")) is None


# Corpora and vocabularies.


def test_corpora_are_all_the_others_or_the_target(universal):
    recipes = universal.config.recipes
    assert universal.corpus(recipes["ucs"], "deap") == ("deap", "dreamer", "seed")
    assert universal.corpus(recipes["within"], "deap") == ("deap",)
    assert universal.corpus(recipes["transfer_ucs"], "dreamer") == ("deap", "seed")
    named = recipes["ucs"].model_copy(update={"corpus": ("seed", "dreamer")})
    assert universal.corpus(named, "deap") == ("dreamer", "seed")


def test_the_corpus_of_a_file_name_is_that_of_the_plan(universal):
    pairs = universal.corpus_subjects("deap+seed", "all")
    assert Counter(dataset for dataset, _ in pairs) == {"deap": 32, "seed": 15}
    without = universal.corpus_subjects("deap+seed", "without-group-2")
    assert set(pairs) - set(without) == {pair for pair in pairs if universal.group(*pair) == 2}


def test_vocabularies_have_the_published_sizes(universal):
    recipes = universal.config.recipes
    sizes = {
        ("ucs", ("deap", "dreamer", "seed")): 62,
        ("transfer_ucs", ("deap", "seed")): 62,
        ("transfer_intersection", ("deap", "seed")): 32,
        ("within", ("deap",)): 32,
        ("within", ("dreamer",)): 14,
        ("transfer_intersection", ("deap", "dreamer", "seed")): 14,
    }
    for (recipe, corpus), size in sizes.items():
        assert len(universal.vocabulary(recipes[recipe], corpus)) == size, (recipe, corpus)


def test_rates_are_those_of_the_windows_each_once(universal):
    assert universal.rates(("deap", "dreamer", "seed")) == (128.0, 200.0)
    resampled = {
        name: dataset.model_copy(
            update={"preprocessing": dataset.preprocessing.model_copy(update={"resample_hz": 100.0})}
        )
        for name, dataset in universal.config.datasets.items()
    }
    assert Plan(universal.config.model_copy(update={"datasets": resampled})).rates(("deap", "seed")) == (100.0,)


# How much there is to do, counted by hand.


def test_the_number_of_jobs_of_the_full_experiment(universal):
    counts = {comparison: len(list(universal.jobs(comparison))) for comparison in universal.active()}
    everyone = 15 + 32 * 2 + 23 * 2  # subjects x tasks
    shards = 5 + 5 * 2 + 5 * 2  # hold-out groups x tasks: no group has more than eight subjects
    within = 16 * shards + 5 * shards + 5 * 5  # all arms; printed rows; seed_9_6
    transfer = 3 * shards + 3 * 5 * 2  # strict everywhere; the paper's own protocol on DREAMER
    assert counts == {"within_subject": within, "cross_subject": 4 * everyone, "transfer": transfer}


def test_the_number_of_pretrainings_of_the_full_experiment(universal):
    starts = universal.pretrainings()
    counts = Counter(start["recipe"] for start in starts)
    groups = 5
    assert counts == {
        "ucs": 1 + groups,  # `paper` starts from an encoder that has seen everyone
        **dict.fromkeys(("ucs_fixed_patch", "ucs_cnn", "ucs_no_channel", "ucs_no_rate"), groups),
        "within": 3 * groups + 1,
        "transfer_ucs": 3,
        "transfer_intersection": 3,
    }
    assert len({tuple(start.items()) for start in starts}) == len(starts)


def test_the_number_of_jobs_of_the_demo_is_that_of_its_targets(demo):
    assert demo.active() == ("within_subject", "transfer")
    for name in demo.active():
        comparison = getattr(demo.config, name)
        targets = sum(len(target.tasks) * len(target.protocols) for target in comparison.targets)
        assert len(list(demo.jobs(name))) == 2 * targets * len(comparison.arms)  # two subjects each, of two groups
    assert demo.synthetic


def test_the_leakage_table_is_made_where_both_protocols_run(universal):
    assert universal.contrasted("within_subject")
    assert universal.contrasted("transfer")
    assert not universal.contrasted("cross_subject")


def test_attention_is_drawn_for_graph_attention_only(universal):
    arms = universal.attentive("within_subject", "deap", "valence", "strict_trial")
    assert "full" in arms
    assert not {"gcn_distance", "no_graph", "eegnet", "de_svm"} & set(arms)


def test_without_a_comparison_every_recipe_is_pretrained_on_its_corpus():
    config = load_config(
        {
            "run": "x",
            "seeds": [0, 1],
            "datasets": {"deap": {"synthetic": True}, "seed": {"synthetic": True}},
            "recipes": {"ucs": {"kind": "univariate"}, "small": {"kind": "univariate", "corpus": ["seed"]}},
        }
    )
    check(config)
    plan = Plan(config)
    assert plan.pretrainings() == [
        {"recipe": "small", "corpus": "seed", "holdout": "all"},
        {"recipe": "ucs", "corpus": "deap+seed", "holdout": "all"},
    ]
    wanted = Targets(plan, Paths("results/x")).evaluated()
    assert len(wanted) == 4
    assert all(path.endswith("encoder.safetensors") for path in wanted)


def test_every_target_file_is_asked_for_once(universal, demo):
    for plan in (universal, demo):
        targets = Targets(plan, Paths("results/x"))
        for files in (targets.prepared(), targets.pretrained(), targets.evaluated() + targets.figures()):
            assert files
            assert len(set(files)) == len(files)
            assert not any("{" in path for path in files)


# Choices.

KNOWN = ("a", "b", "c", "d")


def test_a_choice_is_everyone_the_first_few_or_a_list():
    assert choose(KNOWN, "all") == KNOWN
    assert choose(KNOWN, 2) == ("a", "b")
    assert choose(KNOWN, ("d", "b")) == ("b", "d")  # in the dataset's order


def test_those_excluded_do_not_count_among_the_first_few():
    assert choose(KNOWN, 2, exclude=("a",)) == ("b", "c")
    assert choose(KNOWN, "all", exclude=("b", "c")) == ("a", "d")
    assert choose(KNOWN, ("a", "b"), exclude=("b",)) == ("a",)


def test_the_plan_uses_the_subjects_and_sessions_that_are_chosen(demo):
    assert demo.subjects("deap") == ("s01", "s02")
    assert demo.sessions("seed") == ("1",)


def test_only_leaving_one_out_needs_everyones_windows(universal):
    assert universal.pool("strict_trial", "deap", "s03") == ("s03",)
    assert universal.pool("strict_loso", "deap", "s03") == universal.subjects("deap")
