"""One encoder over several montages: its pre-training, and its fine-tuning on one of them."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from unimontage.config.arms import Aligned, Finetuning, Unfreezing
from unimontage.config.recipes import AlignedRecipe
from unimontage.datasets import facts
from unimontage.errors import UserError
from unimontage.models.weights import save_weights
from unimontage.training.answer import AlignedStart
from unimontage.training.devices import open_device
from unimontage.training.epochs import AlignedWork, Source
from unimontage.training.finetuning import fit_fold, predict
from unimontage.training.folds import Fold, Part, require_complete
from unimontage.training.pretraining import pretrain
from unimontage.training.staging import build
from unimontage.windows import WindowPool
from unimontage.windows.store import WindowStore

SFREQ_HZ, SAMPLES, EPOCHS = 100.0, 1500, 40
MONTAGES = {
    "sleep_edf": facts("sleep_edf").channels,
    "isruc": facts("isruc").channels,
    "anphy": facts("anphy").channels,
    "anphy_all": facts("anphy").known_channels,
}


def store(dataset: str, subject: str, lacking: tuple[int, ...] = ()) -> WindowStore:
    """A night of noise, in memory."""
    rng = np.random.default_rng([len(dataset), int(subject)])
    channels = MONTAGES[dataset]
    signal = 20 * rng.standard_normal((EPOCHS, len(channels), SAMPLES), dtype=np.float32)
    signal[:, list(lacking)] = np.nan
    median, deviation = np.zeros(len(channels)), np.full(len(channels), 20.0)
    deviation[list(lacking)] = median[list(lacking)] = np.nan
    table = pd.DataFrame(
        {
            "window": [f"{dataset}/{subject}/1/{k}/0" for k in range(1, EPOCHS + 1)],
            "session": "1",
            "trial": np.arange(1, EPOCHS + 1),
            "start_s": 0.0,
            "start_sample": np.arange(EPOCHS) * SAMPLES,
        }
    )
    attributes = {
        "dataset": dataset,
        "subject": subject,
        "scale": {"1": {"median": median.tolist(), "sd": deviation.tolist()}},
        "missing": {"1": [channels[k] for k in lacking]} if lacking else {},
    }
    return WindowStore(signal, table, channels, SFREQ_HZ, attributes)


def pool(dataset: str, lacking: tuple[int, ...] = ()) -> WindowPool:
    return WindowPool.of([store(dataset, "1", lacking), store(dataset, "2")])


def source(dataset: str, lacking: tuple[int, ...] = ()) -> Source:
    whole = pool(dataset, lacking)
    return Source.of(whole, whole.ids)


def recipe(**options) -> AlignedRecipe:
    schedule = {"epochs": 1, "warmup_epochs": 0, "batch": 6, "windows_per_epoch": 12}
    return AlignedRecipe.model_validate(
        {"kind": "aligned", "encoder": {"kind": "staging", "preset": "tiny"}, "schedule": schedule} | options
    )


def start_of(chosen: AlignedRecipe, datasets: tuple[str, ...], target: str | None = None) -> AlignedStart:
    return AlignedStart(
        alignment=chosen.alignment,
        encoder=chosen.encoder,
        montages={dataset: MONTAGES[dataset] for dataset in datasets},
        target={target: MONTAGES[target]} if target else {},
        sfreq_hz=SFREQ_HZ,
        samples=SAMPLES,
    )


def run(chosen: AlignedRecipe, sources: dict[str, Source], folder, precision: str = "float32"):
    work = AlignedWork(sources, chosen, start_of(chosen, tuple(sources)), seed=0)
    history = pretrain(
        work,
        chosen.schedule,
        seed=0,
        fabric=open_device(1, precision),
        checkpoint=folder / "checkpoint.pt",
        identity="x",
        events=folder / "events",
    )
    return work, history


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_one_encoder_takes_2_6_11_and_83_channels_in_one_run(tmp_path, precision):
    sources = {name: source(name, (0, 3) if name == "isruc" else ()) for name in MONTAGES}
    work, history = run(recipe(), sources, tmp_path, precision)
    assert len(history) == work.steps_per_epoch == 2
    assert np.isfinite(history.to_numpy()).all()
    for name in ("augmentation", "shuffling", "bands"):
        assert {f"loss_{name}", f"weight_{name}", f"sigma_{name}"} <= set(history)
    for dataset, head in work.kept.alignment.heads.items():
        assert head.grad.abs().sum() > 0, dataset
    untouched = [name for name, p in work.trainee.named_parameters() if p.grad is None]
    assert not untouched


CHOICES = {
    "linear": {"alignment": {"kind": "linear", "rows": 4}},
    "shared": {"alignment": {"kind": "cam", "shared": True, "dimension": 18, "rows": 4}},
    "zero padding": {"alignment": {"kind": "zero_padding"}},
    "intersection": {"alignment": {"kind": "intersection"}},
    "single channels": {
        "alignment": {"kind": "single"},
        "encoder": {"kind": "seqclr", "widths": [4, 4, 4], "d": 8, "blocks": 1},
        "objectives": {"views": {"kind": "contrast", "loss": "nt_xent"}},
        "schedule": {"epochs": 1, "warmup_epochs": 0, "batch": 2, "windows_per_epoch": 2},
    },
    "relative positioning": {
        "alignment": {"kind": "linear", "rows": 2},
        "encoder": {"kind": "stager"},
        "objectives": {"position": {"kind": "relative_positioning", "far": 10}},
    },
    "predictive coding": {
        "encoder": {"kind": "stager"},
        "objectives": {"prediction": {"kind": "cpc", "context": 3, "predict": 2}},
    },
    "equal weights": {"weighting": "equal", "objectives": {"order": {"kind": "temporal_shuffling", "mode": "intra"}}},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_part_trains_and_its_weights_start_a_fine_tuning(choice, tmp_path):
    chosen = recipe(**CHOICES[choice])
    work, history = run(chosen, {name: source(name) for name in ("isruc", "anphy")}, tmp_path)
    assert np.isfinite(history.to_numpy()).all()
    weights = tmp_path / "encoder.safetensors"
    save_weights(weights, work.kept, work.describe())
    built = build(arm(), start_of(chosen, ("isruc", "anphy"), "isruc"), pool("isruc"), 5, weights)
    for mine, theirs in zip(built.model.encoder.parameters(), work.kept.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert built.model.eval()(torch.randn(2, 6, SAMPLES)).shape == (2, 5)


def test_an_interrupted_pretraining_goes_on_bit_for_bit(tmp_path, monkeypatch):
    chosen = recipe(
        schedule={"epochs": 2, "warmup_epochs": 0, "batch": 6, "windows_per_epoch": 12, "checkpoint_steps": 1}
    )
    sources = {name: source(name) for name in ("sleep_edf", "isruc")}
    work, history = run(chosen, sources, tmp_path / "whole")
    again = AlignedWork(sources, chosen, start_of(chosen, tuple(sources)), seed=0)
    for stop in (2, None):
        steps = itertools.count()

        def interrupted(step, steps=steps, stop=stop, draw=again.batch_at):
            if stop is not None and next(steps) > stop:
                raise KeyboardInterrupt
            return draw(step)

        part = AlignedWork(sources, chosen, start_of(chosen, tuple(sources)), seed=0)
        monkeypatch.setattr(part, "batch_at", interrupted)
        options = {"seed": 0, "fabric": open_device(1), "checkpoint": tmp_path / "c.pt", "identity": "x"}
        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                pretrain(part, chosen.schedule, **options, events=tmp_path / "events")
        else:
            resumed = pretrain(part, chosen.schedule, **options, events=tmp_path / "events")
    pd.testing.assert_frame_equal(history, resumed)
    for mine, theirs in zip(work.kept.parameters(), part.kept.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def arm(**options) -> Aligned:
    return Aligned(recipe="r", hidden=0, **options)


def test_parts_thaw_in_their_epochs_and_frozen_batch_norms_stand_still():
    chosen = recipe()
    work = AlignedWork({"isruc": source("isruc")}, chosen, start_of(chosen, ("isruc",)), seed=0)
    model = build_from(work, chosen, arm(unfreezing=Unfreezing(attention=1, deep=2, first=3)))
    parts = {"alignment": model.encoder.alignment} | model.encoder.encoder.parts()
    for epoch, thawed in enumerate(([], ["attention"], ["attention", "deep"], ["attention", "deep", "first"])):
        model.at_epoch(epoch)
        model.train()
        for name, part in parts.items():
            assert all(p.requires_grad == (name in thawed) for p in part.parameters()), (epoch, name)
            assert all(module.training == (name in thawed) for module in part.children()), (epoch, name)
        assert model.head.training


def build_from(work: AlignedWork, chosen: AlignedRecipe, condition: Aligned, target: str = "isruc"):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "encoder.safetensors"
        save_weights(weights, work.kept, work.describe())
        return build(condition, start_of(chosen, ("isruc",), target), pool(target), 5, weights).model


def test_a_montage_that_pretraining_never_saw_gets_an_alignment_of_its_own_that_trains():
    chosen = recipe()
    work = AlignedWork({"isruc": source("isruc")}, chosen, start_of(chosen, ("isruc",)), seed=0)
    model = build_from(work, chosen, arm(), target="anphy")
    model.at_epoch(0)
    assert model.encoder.alignment.heads["anphy"].requires_grad
    logits = model.eval()(torch.randn(2, len(MONTAGES["anphy"]), SAMPLES))
    assert logits.isfinite().all()


def test_a_missing_channel_counts_for_nothing():
    chosen = recipe()
    with_gaps = pool("isruc", (0, 3))
    torch.manual_seed(0)
    model = build(arm(init="scratch"), start_of(chosen, ("isruc",), "isruc"), with_gaps, 5, None).model.eval()
    x = torch.randn(3, 6, SAMPLES)
    x[:, [0, 3]] = float("nan")
    logits = predict(model, x.numpy(), open_device(1))
    assert logits.isfinite().all()
    weights = model.encoder.alignment.weights("isruc", torch.tensor([False, True, True, False, True, True]))
    assert (weights[:, [0, 3]] == 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)))


def test_models_that_cannot_leave_a_channel_out_refuse_the_subject():
    with pytest.raises(UserError, match=r"isruc subject 1 has no channel F3, F4.*exclude: \['1'\]"):
        require_complete(pool("isruc", (0, 3)))
    require_complete(pool("isruc"))


def test_no_arm_stops_before_the_last_encoder_has_thawed():
    rng = np.random.default_rng(0)

    def part(count: int) -> Part:
        x = rng.standard_normal((count, 6, SAMPLES), dtype=np.float32)
        return Part(x, rng.integers(0, 2, count), np.full(count, "1/1"), np.arange(count).astype(str))

    start = start_of(recipe(), ("isruc",), "isruc")
    options = Finetuning(epochs=9, warmup_epochs=0, batch=8, patience=1, choose_by="macro_f1")
    fold, fabric = Fold("0", part(8), part(4), part(4)), open_device(1)
    epochs = []
    for thawed in (0, 6):
        torch.manual_seed(0)
        built = build(arm(init="scratch"), start, pool("isruc"), 2, None)
        epochs.append(len(fit_fold(built, fold, 2, options, thawed=thawed, seed=0, fabric=fabric).history))
    assert epochs[0] < 7 <= epochs[1]
