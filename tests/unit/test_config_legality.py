"""Combinations of options that are refused, each with the way out."""

import copy
import re

import pytest
import yaml

from unimontage.config import Config, load_config
from unimontage.dag.legality import MOST_TOKENS, REFERENCE_SAMPLES, check
from unimontage.dag.legality_of_targets import SHORTEST_WINDOW
from unimontage.dag.plan import choose
from unimontage.errors import UserError

BASE = """
run: test
datasets: {seed: {root: data/seed}, deap: {root: data/deap}, dreamer: {root: data/dreamer}}
recipes: {ucs: {kind: univariate, corpus: all}, others: {kind: univariate, corpus: others}}
arms:
  full: {kind: universal, recipe: ucs}
  moved: {kind: universal, recipe: others}
  eegnet: {kind: braindecode, model: EEGNet}
within_subject:
  targets: [{dataset: deap, tasks: [valence], protocols: [strict_trial, paper]}]
  arms: [full, eegnet]
"""
ONLY_EEGMAT = "datasets: {seed: null, deap: null, dreamer: null, eegmat: {root: data/eegmat}}\n"

REFUSED = {
    # names
    "a dataset that does not exist": ("datasets: {daep: {root: x}}", ["no dataset daep", "did you mean deap"]),
    "a target outside the run": (
        "within_subject: {targets: [{dataset: seedv, tasks: [emotion], protocols: [paper]}]}",
        ["within_subject targets seedv", "no dataset of the run", "write dataset: seed"],
    ),
    "a task of another dataset": (
        "within_subject: {targets: [{dataset: deap, tasks: [valance], protocols: [paper]}]}",
        ["deap has no task valance", "valence, arousal, dominance, va4", "write tasks: [valence]"],
    ),
    "a recipe that does not exist": (
        "arms: {full: {recipe: usc}}",
        ["arm full names the recipe usc", "one of ucs, others", "write arms: {full: {recipe: ucs}}"],
    ),
    "an arm that does not exist": (
        "within_subject: {arms: [ful]}",
        ["within_subject names the arm ful", "did you mean full"],
    ),
    "a reference that does not take part": (
        "within_subject: {reference: moved}",
        ["the reference of within_subject is moved", "none of its arms", "one of full, eegnet"],
    ),
    "a corpus with a dataset outside the run": (
        "recipes: {ucs: {kind: univariate, corpus: [seed, eegmat]}}",
        ["the corpus of recipe ucs names eegmat", "one of seed, deap, dreamer"],
    ),
    # something to do, once
    "nothing to do": (
        "within_subject: {targets: [], arms: []}\nrecipes: {ucs: {kind: univariate, corpus: target}}",
        ["nothing to do", "corpus: all"],
    ),
    "targets without arms": ("within_subject: {arms: []}", ["within_subject has targets but no arms"]),
    "arms without targets": ("transfer: {arms: [moved]}", ["transfer has arms but no targets"]),
    "an arm twice": ("within_subject: {arms: [full, full]}", ["within_subject.arms holds full twice", "arms: [full]"]),
    "a seed twice": ("seeds: [1, 2, 1]", ["seeds holds 1 twice", "write seeds: [1, 2]"]),
    "a protocol twice": (
        "within_subject: {targets: [{dataset: deap, tasks: [valence], protocols: [paper, paper]}]}",
        ["protocols holds paper twice", "write protocols: [paper]"],
    ),
    "a target twice": (
        "within_subject: {targets: [{dataset: deap, tasks: [valence], protocols: [paper]}, "
        "{dataset: deap, tasks: [arousal, valence], protocols: [paper]}]}",
        ["within_subject targets deap valence under paper twice", "into one target"],
    ),
    # sources
    "neither files nor a stand-in": (
        "datasets: {deap: {root: null}}",
        ["deap has no root", "sign the agreement", "{deap: {root: data/deap}}", "{deap: {synthetic: true}}"],
    ),
    "a stand-in with a root": (
        "datasets: {seed: null, dreamer: null, deap: {synthetic: true}}",
        ["deap is synthetic and has a root", "delete root"],
    ),
    "a stand-in that is downloaded": (
        ONLY_EEGMAT + "datasets: {eegmat: {root: null, synthetic: true, download: true}}\n"
        "within_subject: {targets: [], arms: []}",
        ["eegmat is synthetic and has download: true", "delete download"],
    ),
    "a download of what must be requested": (
        "datasets: {deap: {download: true}}",
        ["deap cannot be downloaded", "sign the agreement", "{deap: {download: false}}"],
    ),
    "a mirror for nothing": (
        "datasets: {deap: {mirror: 'https://example.org/'}}",
        ["deap has a mirror but is not downloaded", "delete mirror"],
    ),
    "synthetic beside real data": (
        "datasets: {seed: {root: null, synthetic: true}}",
        ["mixes synthetic (seed) and real data (deap, dreamer)", "no table may hold both", "two runs"],
    ),
    # people
    "a subject that does not exist": (
        "datasets: {deap: {subjects: [s1, s02, s03, s04, s05]}}",
        ["deap has no subject s1", "s01, s02, s03 (there are 32)"],
    ),
    "an excluded subject that does not exist": (
        "datasets: {deap: {exclude: [s33]}}",
        ["deap has no subject s33", "write datasets: {deap: {exclude: [s"],
    ),
    "a session that does not exist": ("datasets: {seed: {sessions: ['4']}}", ["seed has no session 4", "1, 2, 3"]),
    "more subjects than there are": ("datasets: {deap: {subjects: 33}}", ["deap has 32 subjects, not 33", "or all"]),
    "more sessions than there are": ("datasets: {deap: {sessions: 2}}", ["deap has 1 session, not 2"]),
    "nobody left": (
        "datasets: {deap: {subjects: [s01], exclude: [s01]}}",
        ["deap has no subjects left after excluding 1", "exclude fewer"],
    ),
    "fewer subjects than groups to leave out": (
        "datasets: {deap: {subjects: 4}}",
        ["deap has 4 subjects, fewer than the 5 groups", "under strict_trial", "write splits: {holdout_groups: 4}"],
    ),
    "one subject and groups to leave out": (
        "datasets: {deap: {subjects: 1}}",
        ["deap has 1 subject,", "use more subjects, or a recipe with corpus: others"],
    ),
    "too few subjects to leave one out": (
        "datasets: {dreamer: {subjects: 2}}\n"
        "cross_subject: {targets: [{dataset: dreamer, tasks: [valence], protocols: [strict_loso]}], arms: [eegnet]}",
        ["strict_loso has 2 subjects of dreamer", "at least three", "{dreamer: {subjects: 3}}"],
    ),
    # filters
    "a lowpass at the Nyquist frequency": (
        "datasets: {deap: {preprocessing: {lowpass_hz: 64}}}",
        ["lowpass_hz 64 of dataset deap", "128 Hz", "less than 64 Hz", "lowpass_hz: null"],
    ),
    "a lowpass above the new Nyquist frequency": (
        "datasets: {seed: {preprocessing: {resample_hz: 80}}}",
        ["lowpass_hz 45 of dataset seed", "80 Hz", "less than 40 Hz"],
    ),
    "a notch beyond the Nyquist frequency": (
        "datasets: {dreamer: {preprocessing: {notch_hz: 63.5}}}",
        ["notch_hz 63.5 of dataset dreamer", "128 Hz", "notch_hz: null"],
    ),
    "a highpass above the lowpass": (
        "datasets: {deap: {preprocessing: {highpass_hz: 45, lowpass_hz: 4}}}",
        ["highpass_hz 45 of dataset deap is not below lowpass_hz 4", "{highpass_hz: 0.5}"],
    ),
    # trials and windows
    "a window longer than the shortest trial": (
        "windows: {length_s: 62, step_s: 1}",
        ["a window of 62 s", "the 60 s of the shortest trial of dataset deap", "write windows: {length_s: 60.0}"],
    ),
    "a window longer than the stand-in's trials": (
        "datasets: {seed: null, dreamer: null, deap: {root: null, synthetic: true, twin: {trial_s: 0.5}}}",
        ["a window of 1 s", "the 0.5 s", "(twin.trial_s)", "write windows: {length_s: 0.5}"],
    ),
    "a window longer than the part of the trial": (
        "datasets: {deap: {preprocessing: {trial_start_s: 10, trial_stop_s: 10.5}}}",
        ["a window of 1 s", "the 0.5 s", "(trial_start_s, trial_stop_s)"],
    ),
    "a part of the trial that ends before it begins": (
        "datasets: {deap: {preprocessing: {trial_start_s: 10, trial_stop_s: 5}}}",
        ["the 0 s of the shortest trial", "lower trial_start_s"],
    ),
    "two ends of the trial": (
        "datasets: {deap: {preprocessing: {trial_stop_s: 50, trial_last_s: 10}}}",
        ["trial_stop_s and trial_last_s", "{trial_stop_s: null}"],
    ),
    "a window of half a sample": (
        "windows: {length_s: 0.33}",
        ["windows.length_s makes 42.24 samples at the 128 Hz of dataset deap", "a whole number of samples"],
    ),
    "fewer samples than tokens": (
        "windows: {length_s: 0.0625, step_s: 0.0625}\nrecipes: {ucs: {kind: univariate, encoder: {patches: 32}}}\n"
        "datasets: {seed: null}\nwithin_subject: {arms: [full]}",
        ["a window of dataset deap has 8 samples", "fewer than the 32 patches"],
    ),
    "a window shorter than a patch": (
        "recipes: {ucs: {kind: univariate, encoder: {tokenizer: fixed_patch, patches: 1}}}",
        ["0 patches of 200", "1 to 256 patches", "{encoder: {tokenizer: art}}"],
    ),
    "a window too short for a network": (
        "windows: {length_s: 0.5}\narms: {conformer: {kind: braindecode, model: EEGConformer}}\n"
        "within_subject: {arms: [full, conformer]}",
        [
            "EEGConformer (arm conformer of within_subject) needs 99 samples",
            "deap has 64",
            "write windows: {length_s: 1.0}",
        ],
    ),
    # recipes and arms
    "heads that do not divide the encoder": (
        "recipes: {ucs: {kind: univariate, encoder: {d: 100}}}",
        ["encoder of recipe ucs: 8 heads do not divide a width of 100", "{encoder: {heads: 5}}"],
    ),
    "heads that do not divide the graph": (
        "arms: {full: {graph: {heads: 3, head_width: 20}}}",
        ["context of arm full: 8 heads do not divide a width of 60", "{context: {heads: 6}}"],
    ),
    "heads that do not divide the encoder where there is no graph": (
        "arms: {full: {spatial: none}}\nrecipes: {ucs: {kind: univariate, encoder: {d: 60, heads: 6}}}",
        ["context of arm full: 8 heads do not divide a width of 60"],
    ),
    "a largest factor below the smallest": (
        "recipes: {ucs: {kind: univariate, augmentation: {scale_low: 2.0}}}",
        ["scale_low 2 is above scale_high 1.25", "{augmentation: {scale_low: 1.25}}"],
    ),
    "a last rate above the first": (
        "recipes: {ucs: {kind: univariate, schedule: {lr_min: 0.1}}}",
        ["lr_min 0.1 is above lr 0.0003", "{schedule: {lr_min: 3.0e-06}}"],
    ),
    "a warm-up without an end": (
        "recipes: {ucs: {kind: univariate, schedule: {epochs: 5}}}",
        ["recipe ucs warms up for 5 of 5 epochs", "{schedule: {warmup_epochs: 0}}"],
    ),
    "a fine-tuning that only warms up": (
        "finetuning: {epochs: 3}",
        ["fine-tuning warms up for 5 of 3 epochs", "write finetuning: {warmup_epochs: 0}"],
    ),
    "spatial patterns of three classes": (
        "arms: {csp: {kind: classical, pipeline: csp_lda}}\n"
        "within_subject: {targets: [{dataset: seed, tasks: [emotion], protocols: [paper]}], arms: [csp]}",
        ["arm csp of within_subject is csp_lda", "3 classes", "write arms: {csp: {pipeline: tangent_space}}"],
    ),
    # protocols
    "SEED's division of another dataset": (
        "within_subject: {targets: [{dataset: deap, tasks: [valence], protocols: [seed_9_6]}]}",
        ["seed_9_6 is the division of SEED's fifteen clips", "write protocols: [strict_trial]"],
    ),
    "leaving a subject out within a subject": (
        "within_subject: {targets: [{dataset: deap, tasks: [valence], protocols: [strict_loso]}]}",
        ["within_subject of deap cannot use protocol strict_loso", "move the target to cross_subject"],
    ),
    "folds of trials across subjects": (
        "cross_subject: {targets: [{dataset: deap, tasks: [valence], protocols: [strict_trial]}], arms: [eegnet]}",
        ["cross_subject of deap cannot use protocol strict_trial", "write protocols: [strict_loso]"],
    ),
    "one trial a class": (
        ONLY_EEGMAT + "within_subject: {targets: [{dataset: eegmat, tasks: [arithmetic], protocols: [strict_trial]}]}",
        ["strict_trial cannot divide eegmat arithmetic: 2 trials for 2 classes", "cross_subject", "[strict_loso]"],
    ),
    "more folds than trials": (
        "splits: {folds: 39}",
        ["strict_trial has 39 folds for the 40 trials of a session of deap", "at most 38", "{folds: 5}"],
    ),
    # corpora
    "a transfer to what pre-training saw": (
        "transfer: {targets: [{dataset: dreamer, tasks: [valence], protocols: [paper]}], arms: [full]}",
        ["arm full transfers to dreamer", "never saw", "write recipes: {ucs: {corpus: others}}"],
    ),
    "a transfer to what a listed corpus holds": (
        "recipes: {ucs: {kind: univariate, corpus: [seed, dreamer]}}\n"
        "transfer: {targets: [{dataset: dreamer, tasks: [valence], protocols: [paper]}], arms: [full]}",
        ["arm full transfers to dreamer"],
    ),
    "others of which there are none": (
        "datasets: {seed: null, dreamer: null}\nwithin_subject: {arms: [moved]}",
        ["recipe others pre-trains on the others", "deap is the only dataset", "{others: {corpus: target}}"],
    ),
}


def configuration(changes: str = "") -> Config:
    """The base with changes merged in as Snakemake does; null drops a dataset."""
    options = copy.deepcopy(yaml.safe_load(BASE))
    for change in re.split(r"\n(?=\w)", changes) if changes else ():
        merge(options, yaml.safe_load(change))
    options["datasets"] = {key: value for key, value in options["datasets"].items() if value is not None}
    return load_config(options)


def merge(into: dict, changes: dict) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def refusal(config: Config) -> UserError:
    with pytest.raises(UserError) as caught:
        check(config)
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_base_of_these_tests_is_legal():
    check(configuration())


@pytest.mark.parametrize("case", REFUSED)
def test_an_illegal_combination_is_refused_with_the_way_out(case):
    changes, words = REFUSED[case]
    message = str(refusal(configuration(changes)))
    for word in words:
        assert word in message, message


def test_who_writes_what_the_message_says_does_not_meet_it_again():
    followed = 0
    for changes, _ in REFUSED.values():
        error = refusal(configuration(changes))
        advice = re.search(r"write (\w+: .*?\})(?:,? or .*)?(?: and .*)?$", error.mend or "")
        if advice is not None and "..." not in advice[1]:
            mended = configuration(f"{changes}\n{advice[1]}")
            assert error.what not in remaining(mended), error
            followed += 1
    assert followed > 30  # the others give their advice in words


def remaining(config: Config) -> str:
    """What is still said; another problem may have stood behind the first."""
    try:
        check(config)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "changes",
    [
        "transfer: {targets: [{dataset: dreamer, tasks: [valence], protocols: [strict_trial]}], arms: [moved, eegnet]}",
        # the bound within the domain, and an arm that no pre-training touches
        "recipes: {own: {kind: univariate, corpus: target}}\n"
        "arms: {own: {kind: universal, recipe: own}, raw: {kind: universal, recipe: ucs, init: scratch}}\n"
        "transfer: {targets: [{dataset: dreamer, tasks: [valence], protocols: [paper]}], arms: [own, raw]}",
        # the target's group need not be left out of a corpus without the target
        "datasets: {deap: {subjects: 1}}\nwithin_subject: {arms: [moved, eegnet]}",
        "datasets: {deap: {subjects: 4}}\nsplits: {holdout_groups: 4}",
        "within_subject: {targets: [], arms: []}",  # pre-training alone
        "datasets: {deap: {preprocessing: {trial_start_s: 10, trial_last_s: 20}}}",
        "recipes: {ucs: {kind: univariate, encoder: {tokenizer: cnn, d: 100}}}",  # no heads in there
        "arms: {csp: {kind: classical, pipeline: csp_lda, recentre: true}}\nwithin_subject: {arms: [full, csp]}",
        ONLY_EEGMAT
        + "cross_subject: {targets: [{dataset: eegmat, tasks: [arithmetic], protocols: [strict_loso]}], arms: [full]}\n"
        "within_subject: {targets: [{dataset: eegmat, tasks: [arithmetic], protocols: [paper]}], arms: [full]}",
        ONLY_EEGMAT + "datasets: {eegmat: {download: true, mirror: 'https://example.org/'}}\n"
        "within_subject: {targets: [], arms: []}",
    ],
)
def test_what_looks_unusual_but_is_sound_is_accepted(changes):
    check(configuration(changes))


def test_no_common_electrode_is_refused():
    apart = "datasets: {deap: {channels: [P3]}, dreamer: {channels: [AF3]}}\n"
    message = str(refusal(configuration(apart + "recipes: {ucs: {kind: univariate, vocabulary: intersection}}")))
    assert "no electrode is common to deap, dreamer, seed" in message
    assert "{ucs: {vocabulary: ucs}}" in message


def test_problems_of_names_hide_those_that_follow_from_them():
    error = refusal(configuration("within_subject: {arms: [ful]}\nfinetuning: {epochs: 3}"))
    assert "ful" in error.what
    assert "fine-tuning" not in str(error)


def test_subjects_are_counted_among_those_not_excluded():
    known = ("a", "b", "c", "d")
    assert choose(known, 2, ("a",)) == ("b", "c")
    assert choose(known, ("d", "a"), ("a",)) == ("d",)
    assert choose(known, "all") == known


def test_the_sizes_of_the_patch_tokenizer_are_those_of_the_model():
    tokenizers = pytest.importorskip("unimontage.models.tokenizers")
    built = tokenizers.FixedPatchTokenizer(d=8)
    assert (tokenizers.REFERENCE_SAMPLES, built.positions) == (REFERENCE_SAMPLES, MOST_TOKENS)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "samples"), SHORTEST_WINDOW.items())
def test_the_shortest_windows_of_the_networks_are_those_of_the_library(model, samples):
    networks = pytest.importorskip("unimontage.models.networks")
    montage = {"channels": ("FP1", "FP2", "CZ", "PZ"), "sfreq_hz": 128.0, "classes": 2}
    assert networks.build_network(model, n_times=samples, **montage)
    with pytest.raises(UserError):
        networks.build_network(model, n_times=samples - 1, **montage)
