"""Rule containers_check: what jobs find around themselves, held against the lock."""

import os
import re
import socket
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from unimontage import image
from unimontage.errors import UserError
from unimontage.stages.request import Request, logger

SHOWN = ("torch", "torchaudio", "braindecode", "mne", "numpy", "pandas", "scikit-learn", "snakemake")


class EnvironmentRequest(Request):
    """Describe the environment of a job that asked for some GPUs."""

    gpus: int
    report: Path


def describe(request: EnvironmentRequest) -> None:
    """Write what there is; a package that is missing, of another version or from elsewhere is an error."""
    locked = read_lock(image.LOCK)
    found = {name: installed(name) for name in locked}
    lines = [_place(), *(f"{name} {found[name][0]} from {found[name][1]}" for name in SHOWN if found[name])]
    for line in lines:
        logger.info("%s", line)
    wrong = differences(locked, found)
    if wrong:
        what = f"{len(wrong)} of {len(locked)} packages differ from {image.LOCK.name}: {', '.join(wrong)}"
        raise UserError(what, mend=f"{image.MEND} for an image, make environment without one")
    lines += [f"all {len(locked)} packages as in {image.LOCK.name}, all from {sys.prefix}", *_devices(request.gpus)]
    request.report.write_text("\n".join(lines) + "\n\n")


def read_lock(path: Path) -> dict[str, str]:
    """Versions by package, from a lock."""
    return dict(re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", path.read_text(), flags=re.MULTILINE))


def installed(name: str) -> tuple[str, str] | None:
    """Version of a package and the folder that it comes from; None where it is not installed."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return None
    return package.version, str(package.locate_file(""))


def differences(locked: dict[str, str], found: dict[str, tuple[str, str] | None]) -> list[str]:
    """What is wrong with each package that is not there as the lock has it, from the environment's own folder."""
    wrong = []
    for name, version in locked.items():
        if found[name] is None:
            wrong.append(f"{name} is missing")
        elif found[name][0] != version:
            wrong.append(f"{name} {found[name][0]} instead of {version}")
        elif not found[name][1].startswith(f"{sys.prefix}/"):
            wrong.append(f"{name} from {found[name][1]}")
    return wrong


def _place() -> str:
    inside = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    python = f"python {sys.version.split()[0]} of {sys.prefix}"
    return f"{socket.gethostname()}, {f'image {inside}' if inside else 'no image'}, {python}"


def _devices(asked: int) -> list[str]:
    """GPUs as torch sees them."""
    import torch  # not before it is known to be there

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
    lines = [f"CUDA {torch.version.cuda}, {torch.cuda.device_count()} GPUs, CUDA_VISIBLE_DEVICES {visible}"]
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        lines.append(f"GPU {index}: {device.name}, {device.total_memory / 1e9:.0f} GB")
    if torch.cuda.device_count() < asked:
        reasons = "no GPU on this node, no --nv, or a driver too old for this CUDA"
        lines.append(f"WARNING: asked for {asked} GPU, jobs would run on the processor: {reasons}")
    return lines
