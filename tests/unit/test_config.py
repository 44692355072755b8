"""Reading a configuration: what is accepted, and what is said about what is not."""

from pathlib import Path

import pytest
import yaml

from unimontage.config import Config, load_config
from unimontage.config.arms import Braindecode, Universal
from unimontage.errors import UserError

MINIMAL = "run: demo\ndatasets: {deap: {root: data/deap}}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(yaml.safe_load(MINIMAL) | yaml.safe_load(text))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_and_what_snakemake_makes_of_it_give_the_same_configuration(tmp_path):
    text = MINIMAL + "recipes: {ucs: {kind: univariate, schedule: {epochs: 3}}}\n"
    from_file = load_config(written(tmp_path, text))
    assert isinstance(from_file, Config)
    assert from_file == load_config(yaml.safe_load(text))
    assert from_file.recipes["ucs"].schedule.epochs == 3


def test_what_is_not_written_has_its_default():
    config = load_config(yaml.safe_load(MINIMAL))
    assert config.windows.length_s == 1.0
    assert config.seeds == (0, 1, 2, 3, 4)
    assert config.datasets["deap"].preprocessing.lowpass_hz == 45.0


def test_a_configuration_cannot_be_changed_once_read():
    config = load_config(yaml.safe_load(MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        config.run = "another"


def test_anchors_and_merge_keys_work_and_their_holder_is_dropped(tmp_path):
    text = (
        MINIMAL
        + "x-short: &short {epochs: 5, warmup_epochs: 1}\n"
        + "recipes: {a: {kind: univariate, schedule: {<<: *short, batch: 64}}}\n"
    )
    schedule = load_config(written(tmp_path, text)).recipes["a"].schedule
    assert (schedule.epochs, schedule.warmup_epochs, schedule.batch) == (5, 1, 64)


@pytest.mark.parametrize(
    ("text", "number"), [("1e-4", 1e-4), ("1.0e-4", 1e-4), ("2E3", 2e3), ("5.e-6", 5e-6), ("1", 1)]
)
def test_numbers_with_an_exponent_are_numbers_however_they_are_written(text, number):
    data = yaml.safe_load(MINIMAL + f"recipes: {{a: {{kind: univariate, schedule: {{lr: {text}}}}}}}")
    assert load_config(data).recipes["a"].schedule.lr == number


def test_a_whole_number_with_an_exponent_is_a_whole_number():
    data = yaml.safe_load(MINIMAL + "recipes: {a: {kind: univariate, schedule: {windows_per_epoch: 2e5}}}")
    assert load_config(data).recipes["a"].schedule.windows_per_epoch == 200_000


def test_a_name_that_looks_like_a_number_with_an_exponent_stays_a_name():
    data = yaml.safe_load(MINIMAL) | {"datasets": {"deap": {"root": "1e-4", "subjects": ["1e4"]}}}
    assert load_config(data).datasets["deap"].subjects == ("1e4",)
    assert load_config(data).datasets["deap"].root == "1e-4"


def test_options_on_the_command_line_of_snakemake_mean_what_they_say():
    # Snakemake reads what stands in brackets after --config as text
    options = {
        "seeds": ["0", "1"],
        "datasets": {"deap": {"synthetic": "true", "root": "null", "preprocessing": {"highpass_hz": "null"}}},
        "splits": {"validation": "0.2", "holdout_groups": "3"},
    }
    config = load_config(yaml.safe_load(MINIMAL) | options)
    assert config.seeds == (0, 1)
    assert (config.splits.validation, config.splits.holdout_groups) == (0.2, 3)
    assert config.datasets["deap"].synthetic is True
    assert config.datasets["deap"].preprocessing.highpass_hz is None
    assert config.datasets["deap"].root == "null"  # text may stand here


def test_the_kind_of_an_arm_decides_its_options():
    arms = "arms: {full: {kind: universal, recipe: ucs}, eegnet: {kind: braindecode, model: EEGNet}}"
    config = load_config(yaml.safe_load(MINIMAL + arms))
    assert isinstance(config.arms["full"], Universal)
    assert isinstance(config.arms["eegnet"], Braindecode)


REFUSED = {
    "a typo in a key": (
        "recipes: {ucs: {kind: univariate, schedule: {epoch: 3}}}",
        ["recipes.ucs.schedule.epoch is no option", "write recipes.ucs.schedule.epochs"],
    ),
    "a typo at the top": ("window: {length_s: 2}", ["window is no option", "write windows"]),
    "a typo in the options of one kind of arm": (
        "arms: {full: {kind: universal, recipe: ucs, spatail: gat}}",
        ["arms.full.spatail is no option", "write arms.full.spatial"],
    ),
    "a key that belongs one level down": (
        "recipes: {ucs: {kind: univariate, epochs: 3}}",
        ["recipes.ucs.epochs is no option", "its place is recipes.ucs.schedule.epochs"],
    ),
    "a key of another kind of arm": (
        "arms: {full: {kind: universal, recipe: ucs, model: EEGNet}}",
        ["arms.full.model is no option", "its place is arms.<name> (braindecode).model"],
    ),
    "a key like no other": (
        "recipes: {ucs: {kind: univariate, zzz: 3}}",
        ["recipes.ucs.zzz", "write one of kind, corpus, distill, vocabulary"],
    ),
    "a word for a switch": (
        'datasets: {deap: {synthetic: "yes"}}',
        ["datasets.deap.synthetic is 'yes' (text)", "true or false", "write datasets: {deap: {synthetic: true}}"],
    ),
    "a negative word for a switch": (
        'splits: {threshold_inclusive: "False"}',
        ["splits.threshold_inclusive is 'False' (text)", "write splits: {threshold_inclusive: false}"],
    ),
    "a number for a switch": ("datasets: {deap: {download: 1}}", ["1 (a number)", "{download: true}"]),
    "no number": ("windows: {length_s: 2s}", ["is 2s (text)", "a number > 0", "{length_s: 1.0}"]),
    "a fraction for a count": ("splits: {folds: 5.0}", ["is 5.0", "a whole number >= 2", "write splits: {folds: 5}"]),
    "a single value for a list": (
        "datasets: {deap: {exclude: s05}}",
        ["a list of names", "write datasets: {deap: {exclude: [s05]}}"],
    ),
    "numbers for names": (
        "datasets: {seed: {subjects: [1, 2]}}",
        ["datasets.seed.subjects is [1, 2]", "a whole number >= 1, a list of names or all", "subjects: ['1', '2']"],
    ),
    "a number out of range": (
        "splits: {validation: 0.9}",
        ["is 0.9", "> 0 and < 0.5", "{validation: 0.1}"],
    ),
    "no number at all": ("windows: {length_s: .inf}", ["windows.length_s is .inf", "a number > 0", "{length_s: 1.0}"]),
    "a typo in a choice": (
        "arms: {full: {kind: universal, recipe: ucs, spatial: gatt}}",
        ["arms.full.spatial is gatt", "gat, gcn_distance, gcn_correlation or none", "{spatial: gat}"],
    ),
    "a typo in a list of choices": (
        "within_subject: {targets: [{dataset: deap, tasks: [valence], protocols: [paper, strict_trail]}]}",
        ["within_subject.targets[0].protocols[1] is strict_trail", "write protocols: [paper, strict_trial]"],
    ),
    "an unknown kind of arm": (
        "arms: {net: {kind: braindecod, model: EEGNet}}",
        [
            "arms.net has kind braindecod",
            "kind universal, aligned, labram, braindecode or classical",
            "{kind: braindecode, ...}",
        ],
    ),
    "no kind of arm": (
        "arms: {net: {pipeline: de_svm}}",
        ["arms.net has no kind", "kind universal, aligned, labram, braindecode or classical", "{kind: classical, ...}"],
    ),
    "a word for an arm": (
        "arms: {net: EEGNet}",
        ["arms.net is EEGNet (text)", "kind universal, aligned, labram, braindecode"],
    ),
    "an unknown objective": (
        "recipes: {ucs: {kind: univariate, objective: {kind: ntxent}}}",
        ["recipes.ucs.objective has kind ntxent", "kind nt_xent or simsiam", "{kind: nt_xent, ...}"],
    ),
    "an empty block": (
        "recipes: {ucs: {kind: univariate, schedule: }}",
        ["recipes.ucs.schedule is empty", "{schedule: {}}"],
    ),
    "a missing option": (
        "arms: {full: {kind: universal}}",
        ["arms.full.recipe is missing", "write arms: {full: {recipe: ucs}}"],
    ),
    "nothing in a list": ("seeds: []", ["seeds is []", "(one or more)", "write seeds: [0, 1, 2, 3, 4]"]),
    "a negative seed": ("seeds: [0, -1]", ["seeds[1] is -1", "a whole number >= 0"]),
    "a name with a blank": ("recipes: {my recipe: {kind: univariate}}", ["'my recipe' is no name", "write my_recipe"]),
    "a name of a run with a slash": ("run: a/b", ["run: 'a/b' is no name", "write a_b"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named_with_its_path_and_what_to_write_instead(case):
    text, words = REFUSED[case]
    message = refusal(text)
    for word in words:
        assert word in message, message


def test_no_message_repeats_what_pydantic_says():
    for text, _ in REFUSED.values():
        message = refusal(text)
        assert not any(
            word in message for word in ("Input should", "validation error", "literal[", "tuple[", "pydantic")
        )


def test_several_problems_stand_in_one_line_and_the_first_three_in_full():
    message = refusal("window: 1\nsplits: {fold: 3, sed: 1}\nevaluation: {resamples: 3}\nreport: {embedding: tsne}")
    assert "has 5 problems: (1)" in message
    assert "(3)" in message
    assert message.endswith("; and 2 more")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.yaml: No such file or directory"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_yaml_is_refused_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"is no YAML: .*line 2") as caught:
        load_config(written(tmp_path, "run: demo\nseeds: [1, 2\nwindows: {}\n"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- run: demo\n", "demo\n"])
def test_a_file_without_options_is_refused(tmp_path, text):
    with pytest.raises(UserError, match="holds no options"):
        load_config(written(tmp_path, text))


def test_a_key_that_stands_twice_is_refused_because_yaml_would_keep_the_last(tmp_path):
    text = MINIMAL + "arms:\n  a: {kind: classical, pipeline: de_svm}\n  a: {kind: braindecode, model: EEGNet}\n"
    with pytest.raises(UserError, match=r"line 5: a stands twice"):
        load_config(written(tmp_path, text))


def test_an_error_names_the_file(tmp_path):
    path = written(tmp_path, MINIMAL + "window: {}\n")
    with pytest.raises(UserError, match=r"^.*config\.yaml: window is no option; mend: write windows$"):
        load_config(path)
