"""Weights on disk: a safetensors file, the configuration beside it, and a load that never passes over a tensor."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from unimontage.errors import UserError
from unimontage.windows.atomic import atomic

LISTED = 5  # names an error message spells out


@dataclass(frozen=True)
class Coverage:
    """Which tensors a load found: by name, sorted."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]  # in the model, not in the file: kept as they were
    unexpected: tuple[str, ...]  # in the file, not in the model: left out

    def __str__(self) -> str:
        return f"{len(self.matched)} matched, {len(self.missing)} missing, {len(self.unexpected)} unexpected"


def config_path(path: Path | str) -> Path:
    """Where the configuration of the weights at ``path`` stands: same folder, same stem, ``.json``."""
    return Path(path).with_suffix(".json")


def save_weights(path: Path | str, module: nn.Module, config: dict[str, Any]) -> None:
    """Write a module's tensors and the configuration that rebuilds it, each whole or not at all.

    Parameters
    ----------
    path : Path
        The ``.safetensors`` file; the configuration goes to :func:`config_path`. The folder is made if need be.
    module : nn.Module
        All its parameters and persistent buffers are written.
    config : dict
        Anything JSON can hold.

    Notes
    -----
    The configuration is put in place first: where the weights are, the configuration is.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    with atomic(config_path(path)) as aside:
        aside.write_text(text, encoding="utf-8")
    with atomic(path) as aside:
        try:
            save_file(tensors, aside, metadata={"format": "pt"})
        except SafetensorError as error:  # a full disk
            raise OSError(str(error)) from error


def read_config(path: Path | str) -> dict[str, Any]:
    """Configuration of the weights at ``path``.

    Raises
    ------
    UserError
        If it is not there or is no JSON object.
    """
    beside = config_path(path)
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{beside} is missing", expected="the configuration beside the weights") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{beside} is no JSON: {error}", mend=f"rm {beside} {path}, and train again") from error
    if not isinstance(config, dict):
        raise UserError(f"{beside} holds a {type(config).__name__}", expected="a JSON object")
    return config


def load_weights(
    module: nn.Module,
    path: Path | str,
    *,
    allow_missing: Iterable[str] = (),
    allow_unexpected: Iterable[str] = (),
) -> Coverage:
    """Load weights into ``module`` and account for every tensor on either side.

    Parameters
    ----------
    module : nn.Module
        Changed in place; untouched when this raises.
    path : Path
        A ``.safetensors`` file.
    allow_missing, allow_unexpected : iterable of str
        Tensors or submodules (``final_layer`` covers ``final_layer.weight``) that may be absent from the file, or from
        the module.

    Returns
    -------
    Coverage

    Raises
    ------
    UserError
        If the file cannot be read, a shape differs, nothing matches, or a tensor is missing or unexpected and not
        named.
    """
    found = _read(Path(path))
    wanted = module.state_dict()
    coverage = Coverage(
        matched=tuple(sorted(wanted.keys() & found.keys())),
        missing=tuple(sorted(wanted.keys() - found.keys())),
        unexpected=tuple(sorted(found.keys() - wanted.keys())),
    )
    _refuse_unnamed(path, coverage, tuple(allow_missing), tuple(allow_unexpected))
    for name in coverage.matched:
        if wanted[name].shape != found[name].shape:
            raise UserError(
                f"{path}: {name} has shape {tuple(found[name].shape)}",
                expected=f"{tuple(wanted[name].shape)}",
                mend=f"build the model from {config_path(path).name}, or train again",
            )
    module.load_state_dict({name: found[name] for name in coverage.matched}, strict=False)
    return coverage


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing", expected="weights", mend="run the pre-training that writes it") from error
    except SafetensorError as error:
        raise UserError(f"{path} is no safetensors file: {error}", mend=f"rm {path}, and train again") from error


def _refuse_unnamed(
    path: Path | str, coverage: Coverage, allow_missing: tuple[str, ...], allow_unexpected: tuple[str, ...]
) -> None:
    """Raise UserError unless something matched and every other tensor is named."""
    lost = [name for name in coverage.missing if not _named(name, allow_missing)]
    extra = [name for name in coverage.unexpected if not _named(name, allow_unexpected)]
    if coverage.matched and not lost and not extra:
        return
    problems = "".join(
        f"; {what} {_list(names)}" for what, names in (("missing", lost), ("unexpected", extra)) if names
    )
    raise UserError(
        f"{path} does not fit the model: {coverage}{problems}",
        expected="at least one match, and every missing or unexpected tensor named",
        mend=f"build the model from {config_path(path).name}, or name them in allow_missing, allow_unexpected",
    )


def _named(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)


def _list(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
