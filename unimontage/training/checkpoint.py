"""Checkpoints: everything a run needs to go on as if nothing had happened."""

import io
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from unimontage.windows.atomic import atomic

logger = logging.getLogger("unimontage")


def save_checkpoint(path: Path | str, state: Mapping[str, Any]) -> None:
    """Write a checkpoint of tensors and plain values; the old one stays until the new one is whole."""
    buffer = io.BytesIO()  # torch hides a full disk behind an error of its own
    torch.save(dict(state), buffer)
    with atomic(path) as aside:
        aside.write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path | str, *, identity: str) -> dict[str, Any] | None:
    """Read a checkpoint, or None if there is none that belongs to this work.

    Parameters
    ----------
    path : Path or str
        The checkpoint.
    identity : str
        What the work is made of (code, configuration, data). A checkpoint of another identity is left alone: going on
        from it would mix two experiments. Neither is one that cannot be read, which the log says.
    """
    if not Path(path).exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        logger.warning("%s is damaged (%s): begun anew", path, str(error).partition("\n")[0])
        return None
    return state if state.get("identity") == identity else None
