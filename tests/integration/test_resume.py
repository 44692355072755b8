"""Pre-training that is killed or told to stop: it goes on, to the weights of a run that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unimontage.config.recipes import UnivariateRecipe
from unimontage.signal.windowing import digests
from unimontage.stages.corpus import CorpusRequest, corpus
from unimontage.windows import write_windows

pytestmark = pytest.mark.slow

EVERY = 3  # steps between checkpoints
WINDOWS = 15
MONTAGES = {"deap": (("CZ", "FP1", "OZ"), 128.0), "seed": (("CZ", "PO7"), 200.0)}
OBJECTIVES = ("nt_xent", "simsiam")
SCHEDULE = {
    "epochs": 4,
    "warmup_epochs": 1,
    "batch": 12,
    "lr": 1e-2,
    "checkpoint_steps": EVERY,
}
ENDS = {"nt_xent": [signal.SIGKILL] * 3, "simsiam": [signal.SIGKILL, -os.EX_TEMPFAIL]}
STEPS = SCHEDULE["epochs"] * 2 * 2 * WINDOWS // SCHEDULE["batch"]  # two subjects of each of two datasets
ENCODER = {"width": 4, "patches": 4, "d": 16, "layers": 1, "heads": 2, "ffn": 16}


def prepare(folder: Path) -> tuple[list[Path], Path]:
    """Window stores of two datasets with different electrodes and rates, and the list of their windows."""
    paths = []
    for dataset, (channels, rate) in MONTAGES.items():
        for number in (1, 2):
            signal_uv = np.random.default_rng([len(dataset), number, int(rate)]).normal(
                0, 20, (WINDOWS, len(channels), int(rate))
            )
            k = np.arange(WINDOWS)
            table = pd.DataFrame(
                {
                    "window": [f"{dataset}/s{number}/1/1/{i}" for i in k],
                    "session": "1",
                    "trial": 1,
                    "start_s": k * 1.0,
                    "start_sample": k * int(rate),
                    "digest": digests(signal_uv),
                }
            )
            paths.append(folder / dataset / f"sub-s{number}.h5")
            attributes = {"dataset": dataset, "subject": f"s{number}", "synthetic": True}
            write_windows(paths[-1], signal_uv, table, channels=channels, sfreq_hz=rate, attributes=attributes)
    ids = folder / "ids.parquet"
    corpus(CorpusRequest(windows=paths, corpus="deap+seed", holdout="all", ids=ids, code=""))
    return paths, ids


def request_for(folder: Path, objective: str, windows: list[Path], ids: Path):
    """The request of rule pretrain, with all its files in ``folder``."""
    from unimontage.stages.pretrain import PretrainRequest

    options = {"encoder": ENCODER, "objective": {"kind": objective}, "schedule": SCHEDULE}
    return PretrainRequest(
        windows=windows,
        ids=ids,
        recipe=UnivariateRecipe.model_validate(options),
        start={
            "encoder": ENCODER,
            "vocabulary": sorted({name for channels, _ in MONTAGES.values() for name in channels}),
            "rates": sorted(rate for _, rate in MONTAGES.values()),
        },
        seed=3,
        precision="float32",
        resume=folder / "resume",
        events=folder / "events",
        threads=1,
        weights=folder / "encoder.safetensors",
        config=folder / "encoder.json",
        history=folder / "history.csv",
        code="",
    )


def die() -> None:
    """As a batch system kills."""
    os.kill(os.getpid(), signal.SIGKILL)


def be_told() -> None:
    """As a batch system asks for the machine."""
    os.kill(os.getpid(), signal.SIGTERM)


def dying_after(step: int) -> None:
    """Let the process die after a step of training."""
    _after(step, die)


def told_after(step: int) -> None:
    """Let the process be told to stop after a step of training; it does so after the next."""
    _after(step, be_told)


def _after(step: int, happen: Callable[[], None]) -> None:
    from unimontage.training import pretraining

    real = pretraining.train

    def train(**options):
        after = options["after_step"]

        def after_step(number, *measured):
            stop = after(number, *measured)
            if number == step:
                happen()
            return stop

        real(**options | {"after_step": after_step})

    pretraining.train = train


def dying_while_writing(count: int) -> None:
    """Let the process die when so many checkpoints are in place and half of the next is written."""
    from unimontage.training import checkpoint

    real, written = checkpoint.atomic, []

    @contextmanager
    def atomic(path):
        with real(path) as aside:
            yield aside
            if len(written) == count:
                aside.write_bytes(aside.read_bytes()[: aside.stat().st_size // 2])
                die()
            written.append(path)

    checkpoint.atomic = atomic


def load_steps(path: Path) -> int:
    """Steps that a checkpoint holds."""
    import torch

    return torch.load(path, weights_only=True)["step"]


def in_a_process_of_its_own(request, arrange=None, number=0) -> int:
    """Pre-train in a fork of this process; the signal that ended it, 0 for none, or minus the exit status."""
    from unimontage.errors import Interrupted
    from unimontage.stages.pretrain import pretrain

    child = os.fork()
    if child == 0:
        if arrange:
            arrange(number)
        try:
            pretrain(request)
        except Interrupted:
            os._exit(os.EX_TEMPFAIL)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def main(folder: Path) -> None:
    """Every objective undisturbed and killed; what came of it as JSON. Imports once, forks for every run."""
    windows, ids = prepare(folder)
    first = random.randrange(EVERY, STEPS // 2)
    second = random.randrange(first // EVERY * EVERY + 2 * EVERY, STEPS - 1)
    kills = {
        "nt_xent": [(dying_after, first), (dying_while_writing, 1), (dying_after, second)],
        "simsiam": [(dying_after, first), (told_after, second)],
    }
    told = []
    for objective in OBJECTIVES:
        whole = request_for(folder / objective / "whole", objective, windows, ids)
        killed = request_for(folder / objective / "killed", objective, windows, ids)
        ended = [in_a_process_of_its_own(killed, *kill) for kill in kills[objective]]
        kept = load_steps(killed.resume / "checkpoint.pt")
        unfinished = not killed.weights.exists() and (killed.resume / "checkpoint.pt").exists()
        completed = [in_a_process_of_its_own(killed), in_a_process_of_its_own(whole)]
        folders = {"whole": str(whole.weights.parent), "killed": str(killed.weights.parent)}
        report = {"steps": [first, second], "ended": ended, "kept": kept, "unfinished": unfinished}
        told.append({"objective": objective, "completed": completed} | report | folders)
    print(json.dumps(told))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What :func:`main` tells, from a process without a GPU."""
    folder = tmp_path_factory.mktemp("resume")
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {told["objective"]: told for told in json.loads(done.stdout)}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_killed_pretraining_goes_on_to_the_same_weights_bit_for_bit(outcome, objective):
    told = outcome[objective]
    assert told["ended"] == ENDS[objective], told
    assert told["completed"] == [0, 0], told
    assert told["unfinished"], told
    whole, killed = Path(told["whole"]), Path(told["killed"])
    assert (whole / "encoder.safetensors").read_bytes() == (killed / "encoder.safetensors").read_bytes(), told
    assert (whole / "encoder.json").read_bytes() == (killed / "encoder.json").read_bytes()


def test_who_is_told_to_stop_loses_no_step(outcome):
    told = outcome["simsiam"]
    assert told["kept"] == told["steps"][1] + 2  # the step at which it was told, counted from 0, and the next


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_curve_shows_no_trace_of_the_kills(outcome, objective):
    told = outcome[objective]
    curves = [(Path(told[which]) / "history.csv").read_text() for which in ("whole", "killed")]
    assert curves[0] == curves[1], told
    assert pd.read_csv(Path(told["whole"]) / "history.csv")["step"].tolist() == list(range(STEPS))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_checkpoint_is_gone_once_the_weights_are_there(outcome, objective):
    for which in ("whole", "killed"):
        assert not (Path(outcome[objective][which]) / "resume" / "checkpoint.pt").exists()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
