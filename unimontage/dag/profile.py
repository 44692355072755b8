"""A Snakemake profile as Snakemake reads it, and what in it would do harm without a word."""

import contextlib
import io
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from unimontage.dag.findings import Finding, fine, wrong
from unimontage.errors import UserError

DEFAULT = Path("profiles/default")
WANTED = {
    "executor": ("slurm", "jobs would run on this machine"),
    "slurm_status_command": ("squeue", "the run would wait for ever for a job that was cancelled"),
    "slurm_requeue": (True, "a job that is preempted, or whose node fails, would not come back"),
    "rerun_incomplete": (True, "a run that was interrupted would not go on"),
    "keep_going": (True, "one failed job would stop all others"),
}
"""Options, the value that they must have, and what happens else."""
UNWANTED = {
    "slurm_array_jobs": "with this plugin an array reports wrong states",
    "groups": "a group runs its jobs one after the other and asks for the sum",
}


def read_profile(folders: Sequence[Path]) -> Namespace:
    """Read profiles with Snakemake's own parser, later ones winning key by key.

    Parameters
    ----------
    folders : sequence of Path
        Folders of profiles, such as ``profiles/slurm``.

    Returns
    -------
    Namespace
        Snakemake's options, those of the profiles' executor among them.

    Raises
    ------
    UserError
        A profile is not there, is no YAML, or has a key that is no option of Snakemake's.
    """
    from snakemake.cli import parse_args

    told = io.StringIO()
    arguments = [word for folder in folders for word in ("--profile", str(folder))]
    try:
        with contextlib.redirect_stderr(told):
            return parse_args(arguments)[1]
    except SystemExit as stopped:
        said = [line for line in told.getvalue().splitlines() if "rror: " in line] or ["it cannot be read"]
        names = " and ".join(map(str, folders))
        raise UserError(f"profile {names}: {said[-1].partition('rror: ')[2]}", mend="correct that key") from stopped


def check_profile(profile: Namespace, rules: frozenset[str]) -> Iterator[Finding]:
    """Hold a profile for SLURM against the rules, and against what its executor is known to do wrong.

    Parameters
    ----------
    profile : Namespace
        From :func:`read_profile`.
    rules : frozenset of str
        Rules of the workflow.
    """
    found = list(_problems(profile, rules))
    yield from found or [fine("profile", f"its {len(profile.set_resources)} rules exist; retries: {profile.retries}")]


def _problems(profile: Namespace, rules: frozenset[str]) -> Iterator[Finding]:
    for key in ("set_resources", "set_threads"):  # Snakemake passes over rules that it does not know
        for name in sorted(set(getattr(profile, key)) - rules):
            option = key.replace("_", "-")
            yield wrong("profile", f"{option} names a rule {name} that does not exist", mend="correct or remove it")
    if DEFAULT.exists():
        yield wrong("profile", f"{DEFAULT} is there, and wins over --profile", mend=f"mv {DEFAULT} profiles/mine")
    for key, (value, why) in WANTED.items():
        if getattr(profile, key, None) != value:
            option, written = key.replace("_", "-"), str(value).lower()
            yield wrong("profile", f"{option} is not {written}: {why}", mend=f"{option}: {written}")
    for key, why in UNWANTED.items():
        if isinstance(getattr(profile, key, None), str | dict) and getattr(profile, key):
            yield wrong("profile", f"{key.replace('_', '-')} is set: {why}", mend="remove it")
    if profile.retries < 1:
        yield wrong("profile", "no retries: a job that runs out of memory or time fails at once", mend="retries: 2")
    if not jobname_prefix(profile):
        yield wrong("profile", "jobs of this workflow have no common name", mend="slurm-jobname-prefix: unimontage")


def jobname_prefix(profile: Namespace) -> str:
    """How the names of a run's jobs begin; empty where the profile does not say."""
    prefix = str(getattr(profile, "slurm_jobname_prefix", ""))  # an option that is not set is a marker of its own
    return prefix if re.fullmatch(r"[\w-]+", prefix) else ""
