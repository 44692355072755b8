"""Ranks: the processes of one job that train together, on one node or on several.

Each is a fresh interpreter that gets its work through its standard input. That stays open: a line on it means to stop,
its end means that whoever started the rank is gone, and that nobody wants its work any more.
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn

import torch

from unimontage.errors import Interrupted, UserError
from unimontage.training.devices import Layout, own_gpus
from unimontage.training.interruption import TOLD, Interruption

GRACE_S = 5.0
"""Seconds that the other ranks have to end by themselves when one has failed."""
HOME = Path(__file__).resolve().parents[2]  # of the package
_RANK = [sys.executable, "-m", "unimontage.training.ranks"]


def launch(work: Callable[[Any], None], request: Any, layout: Layout, *, folder: Path) -> None:
    """Do some work in several processes, and wait until all of them are done.

    Parameters
    ----------
    work : callable
        A function of a module, called with the request in every rank.
    request : object
        Can be pickled.
    layout : Layout
        Processes and nodes.
    folder : Path
        Where ranks on all nodes may leave word of how they ended.

    Raises
    ------
    UserError, Interrupted, RuntimeError
        What a rank has raised, or that it died.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix="ranks-") as place, Interruption() as interruption:
        ranks = _start(layout)
        try:
            for rank in ranks:
                rank.stdin.write(pickle.dumps((work, request, Path(place))))
                rank.stdin.flush()
            ended = _wait(ranks, interruption)
        finally:
            for rank in ranks:
                rank.kill()
                rank.wait()
                rank.stdin.close()
        words = sorted(Path(place).iterdir(), key=lambda path: path.stat().st_mtime_ns)
        _raise(ended, [pickle.loads(word.read_bytes()) for word in words])


def _start(layout: Layout) -> list[subprocess.Popen]:
    """One process a rank; over several nodes SLURM starts the ranks, and its client is the one process."""
    log = next((h.stream for h in logging.getLogger().handlers if isinstance(h, logging.FileHandler)), None)
    path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    here = socket.gethostname() if layout.nodes > 1 else "127.0.0.1"
    common = os.environ | {"PYTHONPATH": path, "MASTER_ADDR": here, "MASTER_PORT": str(_free_port())}
    pipes = {"stdin": subprocess.PIPE, "stdout": log}
    if layout.nodes > 1:
        return [subprocess.Popen(_across(layout), env=_of_the_job(common), **pipes)]
    if torch.cuda.is_available():
        common["CUDA_VISIBLE_DEVICES"] = own_gpus(torch.cuda.device_count(), layout.each)
    return [subprocess.Popen(_RANK, env=common | {"LOCAL_RANK": str(k)}, **pipes) for k in range(layout.each)]


def _across(layout: Layout) -> list[str]:
    """Command that starts the ranks on all nodes of this job."""
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise UserError(
            f"{layout.nodes} nodes for one job, and no srun to reach them",
            expected="a job of SLURM that runs outside of an image",
            mend="set-resources: {pretrain: {nodes: 1}}",
        )
    size = [f"--nodes={layout.nodes}", f"--ntasks-per-node={layout.each}", f"--ntasks={layout.processes}"]
    # ranks use what the job's own step has; if one dies, all do
    return ["srun", "--overlap", "--kill-on-bad-exit=1", "--cpu-bind=none", *size, *_RANK]


def _of_the_job(variables: Mapping[str, str]) -> dict[str, str]:
    """Without what describes the step that this process is in: srun would keep to its one node."""
    inside = ("SLURM_", "SRUN_")
    return {k: v for k, v in variables.items() if k in ("SLURM_JOB_ID", "SLURM_CONF") or not k.startswith(inside)}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


def _wait(ranks: Sequence[subprocess.Popen], interruption: Interruption) -> list[int]:
    """How each rank ended, of those that did by themselves; the first that fails has the others stopped."""
    told, end = False, float("inf")
    while (running := [rank for rank in ranks if rank.poll() is None]) and time.monotonic() < end:
        if interruption.reason() == TOLD and not told:
            told = True
            for rank in running:
                rank.stdin.write(b"\n")
                rank.stdin.flush()
        if any(rank.returncode for rank in ranks) and end == float("inf"):
            end = time.monotonic() + GRACE_S
        time.sleep(0.05)
    return [rank.returncode for rank in ranks if rank.returncode is not None]


def _raise(ended: Sequence[int], words: Sequence[Exception]) -> None:
    """What went wrong first, if anything did; a rank that a signal has ended could not say anything."""
    killed = [-code for code in ended if code < 0]
    for kind in (UserError, Interrupted):
        if found := next((word for word in words if isinstance(word, kind)), None):
            raise found
    if killed:
        raise RuntimeError(f"a rank was ended by {signal.Signals(killed[0]).name}")
    if words:
        raise words[0]
    if any(ended):
        raise RuntimeError(f"a rank ended with status {max(ended)} and no word")


def main() -> NoReturn:
    """Be a rank: do what comes through the standard input, and leave word if it fails."""
    for name, given in (("LOCAL_RANK", "SLURM_LOCALID"), ("NODE_RANK", "SLURM_NODEID")):
        os.environ.setdefault(name, os.environ.get(given, "0"))
    rank = f"{os.environ['NODE_RANK']}-{os.environ['LOCAL_RANK']}"
    level = logging.INFO if rank == "0-0" else logging.ERROR
    form = {"format": "%(asctime)s %(levelname)s %(message)s", "datefmt": "%H:%M:%S"}
    logging.basicConfig(level=level, stream=sys.stdout, **form)
    signal.signal(signal.SIGTERM, _interrupt)
    work, request, place = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_listen, daemon=True).start()
    status = 0
    try:
        work(request)
    except Exception as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        status = os.EX_TEMPFAIL if isinstance(error, Interrupted) else 1
        (place / rank).write_bytes(pickle.dumps(_word(error)))
    sys.stdout.flush()
    os._exit(status)  # at once: what connects the ranks would wait for each other's farewell


def _word(error: Exception) -> Exception:
    if isinstance(error, UserError | Interrupted):
        return error
    logging.getLogger("unimontage").error("a rank failed", exc_info=error)
    return RuntimeError(f"a rank failed: {type(error).__name__}: {error}")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted("told to stop between two steps of training: what is kept counts")


def _listen() -> None:
    """Stop when told to, end when there is nobody to tell."""
    while sys.stdin.buffer.read(1):
        os.kill(os.getpid(), signal.SIGTERM)
    os._exit(1)


if __name__ == "__main__":
    main()
