"""Weights in the layout of the released LaBraM checkpoints."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from unimontage.errors import UserError
from unimontage.models.labram import SIZES, ElectrodeTransformer, Labram
from unimontage.models.neural_tokenizer import NeuralTokenizer
from unimontage.models.weights import Coverage

TOKENIZER_NAMES = {
    "encoder.fc_norm.": "encoder.norm.",
    "decoder.fc_norm.": "decoder.norm.",
    "decoder.patch_embed.proj.": "decoder.patch_embed.",
    "encode_task_layer.": "to_code.",
    "decode_task_layer.": "to_amplitude.",
    "decode_task_layer_angle.": "to_phase.",
    "quantize.embedding.weight": "codebook.codes",
    "quantize.cluster_size": "codebook.count",
}
"""How the names of a released tokenizer begin, and how those here do."""


def load_released(model: Labram, path: Path | str) -> Coverage:
    """Load a released checkpoint into a backbone and account for every tensor on either side.

    Parameters
    ----------
    model : Labram
        Changed in place; untouched when this raises.
    path : Path
        A ``.pth`` file: of pre-training (its tensors below ``student.``) or of fine-tuning, alone or below ``model``,
        with or without the ``module.`` of distributed training. Nothing in the file is executed.

    Returns
    -------
    Coverage
        ``missing`` is at most the norm of the other use and the mask token, which keep their values; ``unexpected``
        are heads and other parts on top of the backbone.

    Raises
    ------
    UserError
        If the file cannot be read, holds a backbone of another size or with other parts, or none.
    """
    found = _backbone(_tensors(Path(path)))
    _refuse_other_size(path, found, model)
    return _fit(model, found, path, may_miss=("mask_token", "norm.", "fc_norm."))


def load_released_tokenizer(tokenizer: NeuralTokenizer, path: Path | str) -> Coverage:
    """Load a released tokenizer checkpoint and account for every tensor on either side.

    Parameters
    ----------
    tokenizer : NeuralTokenizer
        Changed in place; untouched when this raises. Its codes count as started.
    path : Path
        A ``.pth`` file in the layout of the published ``vqnsp.pth``. Nothing in the file is executed.

    Returns
    -------
    Coverage
        By the names of this package. ``missing`` is at most what the codebook counts.

    Raises
    ------
    UserError
        If the file cannot be read, or holds a tokenizer of another size or none.
    """
    tensors = _tensors(Path(path))
    found = {_tokenizer_name(name): tensor for name, tensor in tensors.items()}
    if "codebook.codes" not in found or "encoder.cls_token" not in found:
        raise UserError(f"{path} holds no tokenizer", expected="tensors such as quantize.embedding.weight")
    encoder = {name.removeprefix("encoder."): t for name, t in found.items() if name.startswith("encoder.")}
    _refuse_other_size(path, encoder, tokenizer.encoder)
    embedding = "decoder.patch_embed.weight"
    if embedding in found:
        found[embedding] = found[embedding].flatten(1)  # a convolution over single samples: (d, D, 1, 1)
    coverage = _fit(tokenizer, found, path, may_miss=("codebook.count", "codebook.started", "codebook.revived"))
    tokenizer.codebook.started.fill_(True)
    return coverage


def _tokenizer_name(released: str) -> str:
    """What a tensor of a released tokenizer is called here."""
    name = released.removeprefix("module.")
    for theirs, ours in TOKENIZER_NAMES.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
    return name


def _fit(model: nn.Module, found: dict[str, Tensor], path: Path | str, may_miss: tuple[str, ...]) -> Coverage:
    """Load what fits; raise UserError if one of the model's own tensors is missing, added or of another shape."""
    wanted = model.state_dict()
    coverage = Coverage(
        matched=tuple(sorted(wanted.keys() & found.keys())),
        missing=tuple(sorted(wanted.keys() - found.keys())),
        unexpected=tuple(sorted(found.keys() - wanted.keys())),
    )
    own = {name.split(".")[0] for name in wanted}
    lost = [name for name in coverage.missing if not name.startswith(may_miss)]
    extra = [name for name in coverage.unexpected if name.split(".")[0] in own]
    misshapen = [name for name in coverage.matched if found[name].shape != wanted[name].shape]
    kinds = (("missing", lost), ("unexpected", extra), ("of another shape", misshapen))
    problems = ", ".join(f"{len(names)} {kind} (as {names[0]})" for kind, names in kinds if names)
    if problems:
        raise UserError(
            f"{path} does not fit the model: {problems}",
            expected="the tensors of the released model",
            mend="build the model with the options of the released one, or take another file",
        )
    model.load_state_dict({name: found[name] for name in coverage.matched}, strict=False)
    return coverage


def _tensors(path: Path) -> dict[str, Tensor]:
    """Everything in the file that is a tensor, by name."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # how the checkpoints keep their command line
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing", expected="a released LaBraM checkpoint") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read as weights: {reason}", expected="a .pth file of tensors") from error
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    tensors = content.items() if isinstance(content, dict) else ()
    return {str(name): tensor for name, tensor in tensors if isinstance(tensor, Tensor)}


def _backbone(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of the backbone; in a file of pre-training it is the student."""
    bare = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    inner = {name.removeprefix("student."): tensor for name, tensor in bare.items() if name.startswith("student.")}
    return {name: tensor for name, tensor in bare.items() if not name.startswith("student.")} | inner


def _refuse_other_size(path: Path | str, found: dict[str, Tensor], model: ElectrodeTransformer) -> None:
    """Raise UserError unless the file holds a backbone as wide and as deep as the model."""
    if "cls_token" not in found:
        raise UserError(f"{path} holds no LaBraM backbone", expected="tensors such as cls_token or student.cls_token")
    depth = len({name.split(".")[1] for name in found if name.startswith("blocks.")})
    size = (found["cls_token"].shape[-1], depth)
    if size == (model.d, model.depth):
        return
    known = [name for name, s in SIZES.items() if (s.d, s.depth) == size]
    raise UserError(
        f"{path} holds a backbone of width {size[0]} with {depth} blocks",
        expected=f"width {model.d} with {model.depth} blocks",
        mend=f"{{size: {known[0]}}}" if known else "take a file of the size of the backbone",
    )
