import math
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from unimontage.errors import UserError
from unimontage.montage.schema import Vocabulary
from unimontage.training.checkpoint import load_checkpoint, save_checkpoint
from unimontage.training.corpus import SegmentCorpus
from unimontage.training.loop import parameter_group, require_finite, step_seed, train
from unimontage.training.schedule import warmup_cosine
from unimontage.windows import WindowStore

STEPS = 12


# The schedule.


def rates(steps=100, warmup=10, floor=0.01):
    return [warmup_cosine(step, steps=steps, warmup=warmup, floor=floor) for step in range(steps)]


def test_the_rate_climbs_in_a_line_and_falls_along_half_a_cosine():
    values = np.array(rates())
    np.testing.assert_allclose(values[:10], np.arange(1, 11) / 11)
    assert values[10] == 1.0
    falling = (1 + np.cos(np.pi * np.arange(90) / 89)) / 2
    np.testing.assert_allclose(values[10:], 0.01 + 0.99 * falling)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (2, 1), (5, 4), (7, 0)])
def test_the_rate_is_positive_until_the_last_step_and_never_above_its_peak(steps, warmup):
    values = rates(steps, warmup, floor=0.0)
    assert all(0 < value <= 1 for value in values[: max(1, steps - 1)])
    assert values[-1] in (0.0, 1.0)


def test_without_warmup_the_first_step_has_the_peak_rate():
    assert warmup_cosine(0, steps=50, warmup=0) == 1.0


# The loop.


class Run:
    """A small model with dropout in training, whose batches are drawn by the number of the step."""

    def __init__(self, seed=3):
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 2))
        groups = [
            parameter_group(self.model[0].parameters(), 1e-2),
            parameter_group(self.model[3].parameters(), 1e-3),
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=1e-2)
        self.fabric = Fabric(accelerator="cpu", devices=1)
        self.wrapped, self.wrapped_optimizer = self.fabric.setup(self.model, self.optimizer)
        self.losses, self.used, self.fetched, self.threads, self.peaks = [], [], [], set(), []

    def batch_at(self, step):
        self.fetched.append(step)
        self.threads.add(threading.current_thread().name)
        generator = torch.Generator().manual_seed(step)
        return step, torch.randn(8, 6, generator=generator)

    def loss_of(self, batch):
        step, x = batch
        self.used.append(step)
        return nn.functional.cross_entropy(self.wrapped(x), torch.arange(8) % 2)

    def train(self, start=0, steps=STEPS, seed=5, stop=None):
        def after_step(step, loss, norm):
            self.losses.append(float(loss))
            self.peaks.append([group["lr"] for group in self.wrapped_optimizer.param_groups])
            return step == stop

        train(
            fabric=self.fabric,
            model=self.wrapped,
            optimizer=self.wrapped_optimizer,
            batch_at=self.batch_at,
            loss_of=self.loss_of,
            rate_at=lambda step: warmup_cosine(step, steps=STEPS, warmup=3),
            start=start,
            steps=steps,
            seed=seed,
            clip=0.5,
            after_step=after_step,
        )
        return self

    def weights(self):
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])

    def state(self):
        return {"model": self.model.state_dict(), "optimizer": self.wrapped_optimizer.state_dict()}


@pytest.mark.parametrize("cut", range(STEPS + 1))
def test_a_run_that_goes_on_at_any_step_repeats_an_uninterrupted_one_bit_for_bit(tmp_path, cut):
    whole = Run().train()
    first = Run().train(steps=cut)
    save_checkpoint(tmp_path / "checkpoint.pt", {"identity": "a", **first.state()})
    torch.manual_seed(999)  # whatever happened in between
    second = Run(seed=77)
    state = load_checkpoint(tmp_path / "checkpoint.pt", identity="a")
    second.model.load_state_dict(state["model"])
    second.wrapped_optimizer.load_state_dict(state["optimizer"])
    second.train(start=cut)
    assert first.losses + second.losses == whole.losses
    assert torch.equal(second.weights(), whole.weights())


def test_dropout_draws_anew_at_every_step_and_for_every_seed():
    drawn = []
    for seed in (0, 1):
        for step in range(50):
            torch.manual_seed(step_seed(seed, step))
            drawn.append(tuple(torch.rand(3).tolist()))
    assert len(set(drawn)) == len(drawn)


def test_another_seed_is_another_run():
    assert Run().train(seed=5).losses != Run().train(seed=6).losses


def test_batches_are_used_in_order_and_fetched_one_ahead():
    run = Run().train()
    assert run.used == list(range(STEPS))
    assert run.fetched == list(range(STEPS))
    assert threading.current_thread().name not in run.threads


def test_the_next_batch_is_fetched_while_the_present_one_is_used():
    run, asked = Run(), threading.Event()
    fetch, use = run.batch_at, run.loss_of

    def batch_at(step):
        if step == 1:
            asked.set()
        return fetch(step)

    def loss_of(batch):
        assert asked.wait(10) or batch[0] > 0
        return use(batch)

    run.batch_at, run.loss_of = batch_at, loss_of
    run.train(steps=2)
    assert run.used == [0, 1]


def test_a_batch_that_cannot_be_read_stops_the_run_with_its_own_error():
    run = Run()

    def batch_at(step):
        if step == 4:
            raise UserError("window 4 is gone")
        return Run.batch_at(run, step)

    run.batch_at = batch_at
    with pytest.raises(UserError, match="window 4 is gone"):
        run.train()
    assert run.used == [0, 1, 2, 3]


def test_a_run_stops_when_it_is_told_to():
    run = Run().train(stop=4)
    assert run.used == [0, 1, 2, 3, 4]


def test_nothing_is_fetched_when_there_is_nothing_left_to_do():
    run = Run().train(start=STEPS)
    assert not run.fetched
    assert not run.losses


def test_numbers_that_are_not_finite_are_said_with_their_step():
    measured = torch.tensor([[1.0, 2.0], [0.5, math.inf], [math.nan, math.nan]])
    require_finite(measured[:1], 7)
    with pytest.raises(UserError, match=r"broke at step 9: loss 0.5, norm of the gradient inf; .* mend: a lower lr"):
        require_finite(measured, 7)


def test_every_group_follows_the_schedule_from_its_own_peak():
    factors = [warmup_cosine(step, steps=STEPS, warmup=3) for step in range(STEPS)]
    np.testing.assert_allclose(Run().train().peaks, np.outer(factors, [1e-2, 1e-3]))


# Checkpoints.


def test_a_checkpoint_of_other_work_is_not_used_and_not_harmed(tmp_path):
    path = tmp_path / "resume" / "checkpoint.pt"
    assert load_checkpoint(path, identity="a") is None
    save_checkpoint(path, {"identity": "a", "step": 3, "model": {"w": torch.arange(3.0)}})
    before = path.read_bytes()
    assert load_checkpoint(path, identity="b") is None
    assert path.read_bytes() == before
    state = load_checkpoint(path, identity="a")
    assert state["step"] == 3
    assert torch.equal(state["model"]["w"], torch.arange(3.0))


@pytest.mark.parametrize("length", [0, 1, 300, -1])
def test_a_damaged_checkpoint_is_not_used_and_the_log_says_so(tmp_path, caplog, length):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"identity": "a", "step": 3, "weights": torch.arange(100.0)})
    path.write_bytes(path.read_bytes()[:length])
    assert load_checkpoint(path, identity="a") is None
    assert "checkpoint.pt is damaged" in caplog.text


def test_the_old_checkpoint_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"identity": "a", "step": 1})
    with pytest.raises(Exception, match="pickle"):
        save_checkpoint(path, {"identity": "a", "step": lambda: 2})
    assert load_checkpoint(path, identity="a")["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


# The corpus.

MONTAGES = {"s01": ("FP1", "CZ", "OZ"), "s02": ("OZ", "PZ"), "s03": ("FP1", "CZ", "OZ", "PZ")}
RATES = {"s01": 100.0, "s02": 128.0, "s03": 100.0}


def store(subject, count=10, seed=0):
    """Windows of two sessions with very different offsets and amplitudes."""
    rng = np.random.default_rng([seed, int(subject[1:])])
    session = np.repeat(["1", "2"], count // 2)
    shape = (count, len(MONTAGES[subject]), round(RATES[subject] * 0.5))
    scale = np.where(session == "1", 5.0, 80.0)[:, None, None]
    signal = (rng.normal(0, 1, shape) * scale + rng.normal(0, 50, shape[1])[:, None]).astype(np.float32)
    ids = [f"deap/{subject}/{s}/1/{k}" for k, s in enumerate(session)]
    table = pd.DataFrame({"window": ids, "session": session})
    attributes = {"dataset": "deap", "subject": subject}
    return WindowStore(signal, table, MONTAGES[subject], RATES[subject], attributes)


def corpus(vocabulary=None, leave_out=()):
    stores = [store(subject) for subject in MONTAGES]
    ids = [window for each in stores for window in each.table["window"] if window not in leave_out]
    words = vocabulary or Vocabulary.union(MONTAGES.values())
    return SegmentCorpus(stores, ids, words, sorted(set(RATES.values()))), stores, words


def test_a_batch_holds_at_most_one_channel_of_any_window():
    whole, _, _ = corpus()
    for epoch in range(3):
        order = whole.epoch_order(epoch, len(whole), seed=0)
        parts = whole.segments(order[:17], np.random.default_rng(epoch))
        windows = np.concatenate([part.window for part in parts])
        assert sorted(windows) == sorted(order[:17])
        assert len(set(windows)) == len(windows) == sum(len(part.x) for part in parts)


def test_an_epoch_shows_every_window_once_in_an_order_of_its_own():
    whole, _, _ = corpus()
    first, second = (whole.epoch_order(epoch, 1000, seed=0) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(30))
    assert first.tolist() != second.tolist()
    assert whole.epoch_order(0, 1000, seed=0).tolist() == first.tolist()
    assert len(set(whole.epoch_order(0, 7, seed=0))) == 7


def originals(whole, stores, part):
    """The window of each segment, as it lies in its store: signal (C, T), channels, and all windows of its session."""
    flat = [(each, row) for each in stores for row in range(len(each.table))]
    for position in part.window:
        each, row = flat[position]
        here = (each.table["session"] == each.table["session"].iloc[row]).to_numpy()
        yield each.signal[row], each.channels, each.signal[here]


def test_a_segment_is_its_windows_channel_by_the_statistics_of_its_session():
    whole, stores, words = corpus()
    rng = np.random.default_rng(0)
    for part in whole.segments(np.arange(30), rng):
        for x, index, (window, channels, session) in zip(
            part.x, part.channel.tolist(), originals(whole, stores, part), strict=True
        ):
            channel = channels.index(words.names[index - 1])
            values = session[:, channel].astype(np.float64)
            expected = np.clip((window[channel] - values.mean()) / values.std(), -6, 6)
            np.testing.assert_allclose(x, expected, rtol=1e-4, atol=1e-4)


def test_segments_are_z_scored_whatever_the_amplitude_of_their_session():
    whole, _, _ = corpus()
    drawn = [whole.segments(np.arange(30), np.random.default_rng(seed)) for seed in range(30)]
    values = torch.cat([part.x.flatten() for parts in drawn for part in parts])
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05
    assert values.abs().max() <= 6


def test_each_rate_is_a_group_of_its_own_with_its_index_from_one():
    whole, _, _ = corpus()
    parts = whole.segments(np.arange(30), np.random.default_rng(0))
    assert [part.x.shape for part in parts] == [(20, 50), (10, 64)]
    assert [set(part.rate.tolist()) for part in parts] == [{1}, {2}]


def test_every_channel_of_a_window_comes_up():
    whole, _, words = corpus()
    seen = set()
    for seed in range(40):
        (part,) = whole.segments(np.array([22]), np.random.default_rng(seed))
        seen.add(words.names[part.channel.item() - 1])
    assert seen == set(MONTAGES["s03"])


def test_an_intersection_leaves_all_other_channels_out():
    whole, _, words = corpus(Vocabulary.intersection(MONTAGES.values()))
    assert words.names == ("OZ",)
    for seed in range(5):
        for part in whole.segments(np.arange(30), np.random.default_rng(seed)):
            assert set(part.channel.tolist()) == {1}


def test_windows_that_pretraining_may_not_see_are_not_there():
    left_out = {"deap/s01/1/1/0", "deap/s03/2/1/7"}
    whole, stores, _ = corpus(leave_out=left_out)
    assert len(whole) == 28
    spoilt = [each.signal[:] for each in stores]
    spoilt[0][0] = np.nan
    spoilt[2][7] = np.nan
    stores = [
        WindowStore(signal, each.table, each.channels, each.sfreq_hz, each.attributes)
        for signal, each in zip(spoilt, stores, strict=True)
    ]
    ids = [window for each in stores for window in each.table["window"] if window not in left_out]
    again = SegmentCorpus(stores, ids, Vocabulary.union(MONTAGES.values()), [100.0, 128.0])
    for a, b in zip(
        whole.segments(np.arange(28), np.random.default_rng(0)),
        again.segments(np.arange(28), np.random.default_rng(0)),
        strict=True,
    ):
        assert torch.equal(a.x, b.x)
        assert torch.isfinite(b.x).all()


def test_subjects_and_sessions_of_which_nothing_was_chosen_are_left_out():
    whole, stores, _ = corpus()
    s01, s02, s03 = (each.table["window"] for each in stores)
    chosen = [*s01[:3], *s03]  # the first session of s01, nothing of s02, all of s03
    part, _, _ = corpus(leave_out={window for window in (*s01, *s02, *s03) if window not in chosen})
    assert len(part) == len(chosen)
    (segments,) = part.segments(np.arange(len(part)), np.random.default_rng(0))
    assert torch.isfinite(segments.x).all()
    assert len(whole) == 30


def test_the_same_draw_gives_the_same_segments():
    whole, _, _ = corpus()
    for a, b in zip(*(whole.segments(np.arange(30)[::-1], np.random.default_rng(4)) for _ in range(2)), strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.channel, b.channel)
