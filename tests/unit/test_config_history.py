"""Two configurations never share a run's folder without a word."""

from pathlib import Path

import pytest

from unimontage.config import load_config
from unimontage.config.identity import identity
from unimontage.dag.history import history, refusal, remember

EXPERIMENTS = sorted((Path(__file__).parents[2] / "config").glob("experiments/*.yaml"))


@pytest.fixture
def made(tmp_path):
    """Called with changes: the configuration of one run, all of them in one folder."""

    def config(arms=("svm",), seeds=(0,), **changes):
        return load_config(
            {
                "run": "mine",
                "results": str(tmp_path),
                "seeds": list(seeds),
                "datasets": {"deap": {"root": "here", "subjects": 4} | changes.pop("deap", {})},
                "arms": {arm: {"kind": "classical", "pipeline": "de_svm"} for arm in arms},
                **changes,
            }
        )

    return config


def test_an_empty_folder_takes_any_configuration_and_then_only_that(made):
    assert refusal(made()) is None
    remember(made())
    assert refusal(made()) is None
    assert refusal(made(seeds=(0, 1))) is not None


def test_the_refusal_names_what_differs_and_how_to_go_on(made):
    remember(made())
    other = made(arms=("svm", "forest"), seeds=(1,), deap={"exclude": ["s02"]})
    said = str(refusal(other))
    assert "\n" not in said
    assert "datasets.deap.exclude" in said
    assert "arms.forest" in said
    assert "seeds" in said
    assert f"--config adopt={identity(other)}" in said
    assert "`run:`" in said


def test_a_change_that_is_named_goes_on_and_is_kept_with_its_date(made):
    remember(made())
    other = made(seeds=(0, 1))
    adopted = made(seeds=(0, 1), adopt=identity(other))
    assert refusal(adopted) is None
    remember(adopted)
    assert refusal(other) is None, "once is enough"
    assert [kept.name for kept in history(Path(other.results, other.run))] == [identity(made()), identity(other)]
    assert all(kept.date.startswith("20") for kept in history(Path(other.results, other.run)))


def test_a_change_that_was_named_once_opens_the_door_to_no_other(made):
    remember(made())
    name = identity(made(seeds=(0, 1)))
    assert refusal(made(seeds=(0, 1), adopt=name)) is None
    assert refusal(made(seeds=(0, 1, 2), adopt=name)) is not None


def test_going_back_to_an_earlier_configuration_is_a_change_too(made):
    remember(made())
    remember(made(seeds=(0, 1)))
    assert refusal(made()) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"title": "another"},
        {"subjects_per_job": 2},
        {"deap": {"root": "there"}},
        {"containers": {"compute": "another.sif"}},
        {"splits": {"seed": 0}},
    ],
)
def test_what_makes_no_other_results_is_no_other_configuration(made, change):
    remember(made())
    assert refusal(made(**change)) is None


def test_results_of_a_version_that_kept_no_configuration_are_not_taken_over(made, tmp_path):
    table = tmp_path / "mine/tables/within_subject/results.csv"
    table.parent.mkdir(parents=True)
    table.write_text("")
    said = str(refusal(made()))
    assert "older version" in said
    assert refusal(made(adopt=identity(made()))) is None


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_what_is_kept_of_a_configuration_gives_the_same_again(path, tmp_path):
    config = load_config(path).model_copy(update={"results": str(tmp_path)})
    remember(config)
    (kept,) = history(tmp_path / config.run)
    assert load_config(kept.path) == config
    assert kept.name == identity(config)


def test_kinds_and_options_count_and_defaults_do_not():
    recipe = {"kind": "univariate"}
    base = {"run": "mine", "datasets": {"deap": {"root": "here"}}, "recipes": {"one": recipe}}
    name = identity(load_config(base))
    assert identity(load_config(base | {"splits": {"validation": 0.1}})) == name  # its default
    assert identity(load_config(base | {"splits": {"validation": 0.2}})) != name
    assert identity(load_config(base | {"recipes": {"one": {"kind": "tokenizer"}}})) != name
    assert identity(load_config(base | {"recipes": {"one": recipe | {"vocabulary": "intersection"}}})) != name
