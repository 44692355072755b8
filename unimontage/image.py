"""The image that jobs run in: what the head of a run asks for, and what a job finds around itself."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from unimontage.errors import UserError

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "containers" / "compute.lock"
LOCK_INSIDE = Path("/opt/unimontage/compute.lock")
"""The lock that an image was built from, kept in it."""
LABEL = "unimontage.lock"
"""Label of an image: SHA-256 of that lock."""
ASKED = "UNIMONTAGE_IMAGE"
"""Environment variable: the image that the run wants its jobs in."""
MEND = "make images"


def runtime() -> str | None:
    """The program that runs images here, as Snakemake finds it; None where there is none."""
    return next(filter(shutil.which, ("apptainer", "singularity")), None)


def ask(image: str | None) -> None:
    """Tell the jobs of this run which image they must be in; None for none."""
    for name in (ASKED, f"APPTAINERENV_{ASKED}"):  # the second also where the host's environment is kept out
        os.environ.pop(name, None)
        if image:
            os.environ[name] = image


def inspect(image: str) -> None:
    """Look at an image before any job is submitted.

    An address is left to the jobs: Snakemake has just pulled it, and under a name of its own.

    Parameters
    ----------
    image : str
        Path or address of the image.

    Raises
    ------
    UserError
        It is not there, or was made for another working tree.
    """
    if "://" in image:
        return
    if not Path(image).exists():
        raise UserError(
            f"there is no image {image}", mend=f"{MEND}, or write where yours is: containers: {{compute: ...}}"
        )
    command = [runtime() or "apptainer", "inspect", "--labels", "--json", image]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{image} is no image: {done.stderr.strip()}", mend=MEND)
    _same_lock(image, json.loads(done.stdout)["data"]["attributes"]["labels"].get(LABEL))


def enter() -> None:
    """Make sure that a job is in the image that its run wants, and that nothing but the image and this tree serves it.

    Snakemake appends the ``sys.path`` of its own environment to that of a script in a container. What the image lacks
    would be taken from there without a word.
    """
    asked = os.environ.get(ASKED)
    if not asked:
        return
    try:
        inside = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
        if not inside:
            mend = "give the rule its `container:`, or run without `software-deployment-method`"
            raise UserError(f"this job is outside the image {asked} that the run asks for", mend=mend)
        lock = _sha256(LOCK_INSIDE) if LOCK_INSIDE.exists() else None
        _same_lock(inside, lock)
        _keep_host_out()
    except UserError as error:
        job = getattr(sys.modules["__main__"], "snakemake", None)
        if job and job.log:
            Path(job.log[0]).write_text(f"{error}\n")
        sys.exit(f"\n{error}\n")


def _keep_host_out() -> None:
    sys.path[:] = [entry for entry in sys.path if Path(entry) == ROOT or _is_inside(entry)]
    script = sys.modules["__main__"]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith("/") and module is not script and not _is_inside(file) and ROOT not in Path(file).parents:
            package = name.split(".")[0]
            raise UserError(f"the package {package} is not the image's own: it comes from {file}", mend=MEND)


def _is_inside(path: str) -> bool:
    return path.startswith((f"{sys.prefix}/", f"{sys.base_prefix}/"))


def _same_lock(image: str, found: str | None) -> None:
    if found != (expected := _sha256(LOCK)):
        what = f"made from another lock (SHA-256 {found[:12]})" if found else "not made from containers/compute.def"
        raise UserError(
            f"the image {image} is {what}", expected=f"{LOCK.name} of this tree ({expected[:12]})", mend=MEND
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
