"""What depends on the site, checked before anything is submitted."""

import importlib.util
import math
import os
import re
import shlex
import shutil
import subprocess
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from unimontage.config import load_config
from unimontage.config.root import Config
from unimontage.dag import site
from unimontage.dag.findings import Finding, fine, note, wrong
from unimontage.dag.forecast import GB, forecast
from unimontage.dag.jobs import Asked, Planned, PlannedJob, planned
from unimontage.dag.profile import check_profile, jobname_prefix, read_profile
from unimontage.dag.site import Node, Partition
from unimontage.errors import UserError
from unimontage.image import inspect

LEAST_AGE_S = 240
"""The plugin asks for a job every 180 s at the least; what SLURM forgets sooner is waited for for ever."""
PROBE_BYTES = 32_000_000
BOUND = ("/tmp", "/var/tmp")
"""What Apptainer shows by itself, besides the working directory."""
APPTAINER, LEAST_APPTAINER = "apptainer", (1, 2)


def preflight(configs: Sequence[Path], profiles: Sequence[Path]) -> Iterator[Finding]:
    """Check a run on a cluster before it is started; nothing is submitted or changed.

    Parameters
    ----------
    configs : sequence of Path
        Configuration files of the run, later ones winning; none for the demo.
    profiles : sequence of Path
        Its profiles, later ones winning key by key.
    """
    try:
        profile = read_profile(profiles)
        plan = planned(configs, profile)
    except UserError as error:
        yield wrong("plan", str(error))
        return
    yield fine("plan", f"{len(plan.jobs)} jobs, {sum(job.due for job in plan.jobs)} of them to do")
    yield from check_profile(profile, plan.rules)
    if profile.executor != "slurm":
        return
    experiment = load_config(plan.config)
    yield from check_cluster(profile, plan.jobs)
    yield from check_image(profile, experiment.containers.compute)
    yield from check_binds(profile, _outside(plan, experiment))
    yield from check_room(Path(experiment.results), plan.jobs)


def preflight_text(finding: Finding) -> str:
    """A finding as one line for the terminal."""
    return f"{finding.mark:8} {finding.check}: {finding.text}"


def check_cluster(profile: Namespace, jobs: Sequence[PlannedJob]) -> Iterator[Finding]:
    """SLURM's client, settings, account, partitions with their limits, and jobs of an earlier head."""
    missing = site.missing_clients()
    if missing:
        yield wrong("SLURM", f"no {', '.join(missing)} on the PATH", mend="start on a login node of the cluster")
        return
    try:
        settings, known = site.settings(), site.partitions()
        yield fine("SLURM", f"{settings.get('SLURM_VERSION', 'a version of its own')}, {len(known)} partitions")
        yield from check_settings(settings)
        yield from check_account({job.attempts[0].account for job in jobs})
        yield from check_partitions(known, jobs, settings)
        yield from check_limits(known, jobs)
        alive = site.live_jobs(jobname_prefix(profile), Path.cwd())
        yield wrong("jobs", str(site.orphans(alive))) if alive else fine("jobs", "none of an earlier run is alive")
    except UserError as error:
        yield wrong("SLURM", str(error))


def check_settings(settings: Mapping[str, str]) -> Iterator[Finding]:
    """How long SLURM remembers a job, and where its commands find their configuration."""
    age_s = int(re.match(r"\d+", settings.get("MinJobAge", "0"))[0])
    if age_s < LEAST_AGE_S:
        yield wrong(
            "MinJobAge",
            f"SLURM forgets a job {age_s} s after its end, and the run would wait for it for ever",
            expected=f"{LEAST_AGE_S} s or more",
            mend="ask the site to set MinJobAge=300 in slurm.conf",
        )
    else:
        yield fine("MinJobAge", f"{age_s} s")
    if "SLURM_CONF" in os.environ and not Path("/etc/slurm/slurm.conf").exists():
        yield wrong(
            "SLURM_CONF",
            "is set, the plugin removes it inside jobs, and there is no /etc/slurm/slurm.conf to take its place",
            mend="ask the site for a configuration under /etc/slurm",
        )


def check_account(asked: set[str | None]) -> Iterator[Finding]:
    """Whether the accounts that jobs name may be charged."""
    named = sorted(filter(None, asked))
    if not named:
        yield fine("account", "the site's default; slurm_account under default-resources names another")
        return
    mine = site.accounts()
    for name in named:
        if name in mine:
            yield fine("account", name)
        else:
            yield wrong("account", f"{name} is none of yours", mend=f"slurm_account: one of {', '.join(sorted(mine))}")


def check_partitions(
    known: Mapping[str, Partition], jobs: Sequence[PlannedJob], settings: Mapping[str, str]
) -> Iterator[Finding]:
    """Whether the partitions that jobs name are there, take jobs, and put back a job that they preempt."""
    users: dict[str, set[str]] = {}
    for job in jobs:
        users.setdefault(job.attempts[0].partition or "", set()).add(job.rule)
    preempting = settings.get("PreemptType", "preempt/none") != "preempt/none"
    for name, rules in users.items():
        partition, check = known.get(name), f"partition {name}"
        if partition is None:
            what = f"there is none for {', '.join(sorted(rules))}"
            yield wrong(check, what, expected=f"one of {', '.join(known)}", mend="edit the profile's site block")
        elif not partition.up or not any(node.up for node in partition.nodes):
            yield wrong(check, "takes no jobs now: it, or all of its nodes, are down", mend="sinfo tells when it is up")
        elif preempting and "CANCEL" in partition.preempt and _preempted(partition, known):
            what = "cancels the jobs that it preempts, and the run would wait for them for ever"
            yield wrong(check, what, expected="PreemptMode=REQUEUE", mend="use another partition")
        else:
            preempt = ", puts preempted jobs back" if preempting and "REQUEUE" in partition.preempt else ""
            yield fine(check, f"{len(partition.nodes)} nodes, {_hours(partition.limit_min)}{preempt}")


def check_limits(known: Mapping[str, Partition], jobs: Sequence[PlannedJob]) -> Iterator[Finding]:
    """Whether some node of its partition can take each job at each attempt, within the partition's time."""
    refused: dict[tuple[str, str, str], int] = {}
    for job in jobs:
        for attempt, asked in enumerate(job.attempts, 1):
            partition = known.get(asked.partition or "")
            if partition and (why := _too_much(asked, partition)):
                refused.setdefault((job.rule, partition.name, why), attempt)
                break
    for (rule, partition, why), attempt in refused.items():
        what = f"{rule} asks {partition} for {why} at attempt {attempt}"
        said = {"expected": f"at most {_largest(known[partition])}", "mend": f"edit {rule} under set-resources"}
        yield wrong("limits", what, **said) if attempt == 1 else note("limits", what, **said)
    if not refused:
        yield fine("limits", "every attempt of every job has a node that can take it")


def check_image(profile: Namespace, image: str) -> Iterator[Finding]:
    """Apptainer and the image where the profile wants them, else an environment that can take their place."""
    if APPTAINER not in map(str, profile.software_deployment_method or ()):
        if importlib.util.find_spec("torch"):
            yield fine("image", "none is asked for: jobs use this environment, which has torch")
        else:
            what = "none is asked for, and this environment has no torch for the jobs"
            yield wrong("image", what, mend="module load apptainer, or make environment")
        return
    if shutil.which(APPTAINER) is None:
        yield wrong(APPTAINER, "is not on the PATH", mend="module load apptainer, or its like")
        return
    said = subprocess.run([APPTAINER, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if tuple(int(part) for part in re.findall(r"\d+", said)[:2]) < LEAST_APPTAINER:
        yield wrong(APPTAINER, said or "does not run", expected="version 1.2 or later")
    else:
        yield fine(APPTAINER, said)
    try:
        inspect(image)
        yield fine("image", image)
    except UserError as error:
        yield wrong("image", str(error))


def check_binds(profile: Namespace, outside: Mapping[str, Path]) -> Iterator[Finding]:
    """Whether folders outside the working directory are seen inside the image."""
    if APPTAINER not in map(str, profile.software_deployment_method or ()):
        return
    arguments = profile.apptainer_args or ""
    bound = bound_folders(arguments, os.environ)
    hidden = {name: path for name, path in outside.items() if not any(path.is_relative_to(one) for one in bound)}
    for name, path in hidden.items():
        mend = f'apptainer-args: "{f"{arguments} --bind {path}".strip()}"'
        yield wrong("binds", f"{name} {path} is not bound into the image", mend=mend)
    if not hidden:
        yield fine("binds", "every folder outside the working directory is bound")


def check_room(results: Path, jobs: Sequence[PlannedJob]) -> Iterator[Finding]:
    """Whether results can be written, and whether what is foreseen has room."""
    folder = next(path for path in (results, *results.resolve().parents) if path.is_dir())
    probe = folder / f".preflight-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(os.urandom(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        what = f"{folder} takes no {PROBE_BYTES / 1e6:.0f} MB: {error.strerror}"
        yield wrong("disk", what, mend="make room (quota -s tells your limit), or results: another folder")
        return
    finally:
        probe.unlink(missing_ok=True)
    there = sum(path.stat().st_size for job in jobs for path in job.outputs if path.exists()) / GB
    wanted = forecast(jobs, {})["disk_gb"].sum() - there  # of rules that have made nothing yet nothing is known
    free = shutil.disk_usage(folder).free / GB
    if free < wanted:
        yield wrong("disk", f"{folder} has {free:.0f} GB free", expected=f"{wanted:.0f} GB", mend="make room")
    else:
        foreseen = f"; {wanted:.1f} GB more are foreseen" if wanted > 0 else ""
        yield fine("disk", f"{folder} can be written and has {free:.0f} GB free{foreseen}")


def bound_folders(arguments: str, environment: Mapping[str, str]) -> list[Path]:
    """Folders of this machine that stand under their own name inside the image."""
    words, binds = shlex.split(arguments), []
    for place, word in enumerate(words):
        if word in ("--bind", "-B", "--mount") and place + 1 < len(words):
            binds.append(words[place + 1])
        elif word.startswith("--bind="):
            binds.append(word.removeprefix("--bind="))
    binds += [environment.get(name, "") for name in ("APPTAINER_BIND", "APPTAINER_BINDPATH")]
    pairs = [bind.split(":") for group in binds for bind in group.split(",") if bind]
    own = [pair[0] for pair in pairs if len(pair) == 1 or pair[0] == pair[1]]
    return [Path(os.path.expandvars(path)).resolve() for path in (*own, *BOUND)] + [Path.cwd().resolve()]


def _outside(plan: Planned, experiment: Config) -> dict[str, Path]:
    """Folders that jobs use by name, beyond the working directory or not."""
    used = {f"data of {name}": of.root for name, of in experiment.datasets.items() if of.root}
    used |= {f"tmpdir of {job.rule}": job.attempts[0].tmpdir for job in plan.jobs if job.attempts[0].tmpdir}
    used["results"] = experiment.results
    resolved = {name: Path(os.path.expandvars(path)).resolve() for name, path in used.items()}
    first = {path: name for name, path in reversed(resolved.items())}
    return {name: path for path, name in first.items() if not path.is_relative_to(Path.cwd().resolve())}


def _preempted(partition: Partition, known: Mapping[str, Partition]) -> bool:
    return any(other.tier > partition.tier for other in known.values())


def _too_much(asked: Asked, partition: Partition) -> str | None:
    """What no node of a partition, or its time limit, allows; None where the job can run."""
    if asked.runtime_min > partition.limit_min:
        return _hours(asked.runtime_min)
    if any(_fits(asked, node) for node in partition.nodes):
        return None
    kind = " ".join(filter(None, (asked.model, "GPU" if asked.gpus == 1 else "GPUs")))
    gpus = f" and {asked.gpus} {kind}" if asked.gpus else ""
    return f"{asked.threads} processors, {asked.memory_mb / 1000:g} GB{gpus} on a node"


def _fits(asked: Asked, node: Node) -> bool:
    models = node.gpus.values() if asked.model is None else [node.gpus.get(asked.model, 0)]
    return node.cpus >= asked.threads and node.memory_mb >= asked.memory_mb and sum(models) >= asked.gpus


def _largest(partition: Partition) -> str:
    nodes = {
        f"{node.cpus} processors, {node.memory_mb / 1000:g} GB"
        + "".join(f", {count} GPUs {model}".rstrip() for model, count in node.gpus.items())
        for node in partition.nodes
    }
    return f"{_hours(partition.limit_min)} on nodes of {' or of '.join(sorted(nodes))}"


def _hours(limit_min: float) -> str:
    return f"{limit_min / 60:.3g} hours" if math.isfinite(limit_min) else "any time"
