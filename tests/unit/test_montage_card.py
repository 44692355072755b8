"""What becomes of electrodes: in recordings, in models, and drawn on heads."""

import json
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from unimontage.config import load_config
from unimontage.dag.montages import contracts
from unimontage.dag.plan import Plan
from unimontage.datasets.assembly import labels_of, respell
from unimontage.models.alignment import ALIGNMENTS
from unimontage.montage.contract import AS_RECORDED, STATES, State, recorded, with_alignment
from unimontage.reporting.montage_card import STYLES, contract_table, montage_card
from unimontage.stages.montage import MontageRequest, draw_montage

CONFIG = Path(__file__).parents[2] / "config"
CHANNELS = ("C3", "T7", "OZ", "FZ", "F8")


def session(missing=(), flat=(), nan=(), clipped=(), handled="stop", **labels):
    return {"missing": missing, "flat": flat, "nan": nan, "clipped": clipped, "handled": handled, "labels": labels}


def plan(name):
    return Plan(load_config(CONFIG / name))


def test_an_electrode_has_the_worst_that_happened_to_it_in_any_recording():
    sessions = [
        session(flat=("OZ",), handled="interpolate", T7="EEG T3", C3="Eeg C3.", FZ="FZ"),
        session(missing=("FZ",), clipped=("OZ", "F8"), handled="keep", T7="T7", C3="C3"),
        session(T7="T3"),
    ]
    assert recorded(CHANNELS, sessions) == {
        "C3": ("matched", ""),
        "T7": ("aliased", "EEG T3, T3"),
        "OZ": ("interpolated", "in 1 of 3 recordings"),
        "FZ": ("missing", "in 1 of 3 recordings"),
        "F8": ("kept", "in 1 of 3 recordings"),
    }


def test_a_reference_in_the_files_name_makes_an_alias():
    assert recorded(("C3",), [session(C3="C3-A2")])["C3"] == ("aliased", "C3-A2")
    assert recorded(("FPZ-CZ",), [session(**{"FPZ-CZ": "EEG Fpz-Cz"})])["FPZ-CZ"].state == "matched"


def test_labels_of_a_file_travel_with_its_recording():
    raw = mne.io.RawArray(np.zeros((2, 100)), mne.create_info(["T3", "Oz"], 100.0, "eeg"), verbose="ERROR")
    assert labels_of(raw) == {}
    joined = mne.concatenate_raws([respell(raw, {"T3": "T7", "Oz": "OZ"}), raw.copy()], verbose="ERROR")
    assert labels_of(joined.pick(["T7"])) == {"T7": "T3", "OZ": "Oz"}
    assert joined.ch_names == ["T7"]


def test_zeros_are_named_and_come_from_zero_padding_alone():
    corpus = {"a": ("C3", "OZ"), "b": ("C3", "FZ")}
    assert with_alignment("zero_padding", ("C3", "OZ"), corpus)["FZ"] == ("zero", "zero_padding")
    for kind in ALIGNMENTS:
        states = with_alignment(kind, ("C3", "OZ"), corpus)
        assert {state.state for state in states.values()} <= set(STATES)
        assert any(state.state == "zero" for state in states.values()) == (kind == "zero_padding")
    assert with_alignment("intersection", ("C3", "OZ"), corpus) == {"C3": ("matched", ""), "OZ": ("left out", "")}


def test_every_model_that_sees_a_dataset_has_a_state_for_each_of_its_channels():
    for name in ("config.yaml", "demo_sleep.yaml", "demo_distill.yaml", "experiments/universal.yaml"):
        this = plan(name)
        for dataset in this.config.datasets:
            models = contracts(this, dataset)
            for states in models.values():
                assert set(this.channels(dataset)) <= set(states)
            recipes = {start["recipe"] for start in this.pretrainings() if dataset in start["corpus"].split("+")}
            assert recipes <= {model.partition(",")[0] for model in models}


def test_electrodes_outside_a_vocabulary_are_unknown():
    this = plan("experiments/universal.yaml")
    models = contracts(this, "seed")
    common = set.intersection(*(set(this.channels(dataset)) for dataset in this.config.datasets))
    ablation = next(states for name, states in models.items() if "intersection" in name)
    assert {channel for channel, state in ablation.items() if state.state == "unknown"} == set(
        this.channels("seed")
    ) - common


@pytest.fixture
def contract():
    states = {name: State(state) for name, state in zip(("FZ", "CZ", "PZ", "OZ", "A1-A2"), STATES, strict=False)}
    return {AS_RECORDED: states} | {
        f"model {k}": dict.fromkeys(CHANNELS[k // 6 :], State("zero", "zero_padding")) for k in range(7)
    }


def test_heads_have_a_mark_an_electrode_and_a_legend_of_the_states_that_occur(contract):
    figure = montage_card(contract, synthetic=True, title="naps")
    heads = [axes for axes in figure.axes if axes.get_title()]
    titles = [head.get_title().replace("\n", " ") for head in heads]
    assert [title.partition(" 5 ")[0].partition(" 1 ")[0] for title in titles[:2]] == [
        "as recorded",
        "model 0; model 1; model 2; model 3; and 2 more",
    ]
    assert titles[2].startswith("model 6 4 zero")
    assert len(titles) == 3
    assert "nowhere on the scalp: A1-A2" in titles[0]
    assert [text.get_text() for text in heads[1].texts] == list(CHANNELS)
    legend = [text.get_text().partition(":")[0] for text in figure.legends[0].get_texts()]
    assert legend == ["matched", "aliased", "kept", "interpolated", "zero"]
    assert figure.get_suptitle().startswith("SYNTHETIC")
    assert len(set(STYLES.values())) == len(STYLES) == len(STATES)


def test_the_table_has_a_row_a_model_and_channel(contract):
    table = contract_table(contract)
    assert len(table) == sum(map(len, contract.values()))
    assert table.iloc[-1].tolist() == ["model 6", "F8", "zero", "zero_padding"]


def test_a_recording_that_gave_no_window_counts_for_nothing(tmp_path):
    whole = session(missing=["FZ"], T7="T3") | {"windows": 3}
    content = {"synthetic": True, "sessions": {"1": whole, "2": {"windows": 0, "missing": ["C3"]}}}
    (tmp_path / "s1.json").write_text(json.dumps(content))
    request = MontageRequest(
        code="",
        quality=(tmp_path / "s1.json",),
        dataset="naps",
        channels=CHANNELS,
        models={"a model": dict.fromkeys(CHANNELS, State("averaged"))},
        figure=tmp_path / "naps.png",
        table=tmp_path / "naps.csv",
    )
    draw_montage(request)
    table = pd.read_csv(request.table, keep_default_na=False).set_index(["model", "channel"])
    assert table.loc[(AS_RECORDED, "FZ")].tolist() == ["missing", "in 1 of 1 recordings"]
    assert table.loc[(AS_RECORDED, "C3"), "state"] == "matched"
    assert table.loc[(AS_RECORDED, "T7")].tolist() == ["aliased", "T3"]
    assert set(table.loc["a model", "state"]) == {"averaged"}
    assert request.figure.stat().st_size > 1000
