"""What failed in a run and why, attempt by attempt, from the log that Snakemake keeps of it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

LOGS = Path(".snakemake/log")
STARTED = "Select jobs to execute"
EVENT = re.compile(
    r"^(?:local)?rule (?P<rule>\w+):\n(?P<facts>(?:    [^\n]*\n)+)"
    r"|^Error in rule \w+:\n    message: (?P<message>.*?)\n    jobid: (?P<failed>\d+)\n(?P<rest>(?:    [^\n]*\n)*)"
    r"|^Finished jobid: (?P<done>\d+) ",
    re.MULTILINE | re.DOTALL,
)
ENDS = {
    "TIMEOUT": "out of time",
    "OUT_OF_MEMORY": "out of memory",
    "NODE_FAIL": "its node failed",
    "CANCELLED": "cancelled",
}
"""States of SLURM's that say why a job ended."""
INNER = "0"
"""Number that a Snakemake inside a job gives to it."""
SHOWN = re.compile(r"Logfile [^\n]*:(?: [^\n]*\n|\n(=+)\n(.*?)\n\1\n)", re.DOTALL)
"""How Snakemake shows the log of a job that failed."""
MEMORY = re.compile(r"exceeded? (?:job )?memory limit|oom.kill", re.IGNORECASE)


@dataclass
class Failure:
    """A job that failed.

    Attributes
    ----------
    rule, wildcards : str
        Which job, the wildcards as Snakemake prints them.
    log : str
        What the job itself said, at its last attempt.
    attempts : list of str
        What each attempt asked for, and how it ended.
    """

    rule: str
    wildcards: str
    log: str
    attempts: list[str] = field(default_factory=list)


def last_run() -> str:
    """Snakemake's log of the latest run in this folder, empty where there was none."""
    logs = sorted(LOGS.glob("*.log"), reverse=True)  # an unlocking or a report leaves one too, and starts no job
    return next((text for path in logs if STARTED in (text := path.read_text(errors="replace"))), "")


def failures(text: str) -> list[Failure]:
    """Jobs that failed and were not tried again.

    Parameters
    ----------
    text : str
        Snakemake's log. With ``show-failed-logs`` it holds the logs of what failed; the lines that other Snakemakes
        wrote there, each inside a job, are told apart by the number of their job.
    """
    found: dict[str, Failure] = {}
    facts: dict[str, dict[str, str]] = {}
    lost: set[str] = set()
    for event, said in _events(text):
        if event["rule"]:
            of = dict(line.strip().partition(": ")[::2] for line in event["facts"].splitlines())
            facts[of["jobid"]] = of | {"rule": event["rule"]}
            lost.discard(of["jobid"])
        elif event["done"]:
            lost.discard(event["done"])
        elif (number := event["failed"]) in facts and not _inner(event):
            of = facts[number]
            job = found.setdefault(number, Failure(of["rule"], of.get("wildcards", ""), of.get("log", "")))
            job.attempts.append(f"{_asked(of)}: {_why(job.rule, event['message'], said + _batch_log(event['rest']))}")
            lost.add(number)
    return [found[number] for number in found if number in lost]


def _events(text: str) -> Iterator[tuple[re.Match, str]]:
    """What happened to jobs, each with the logs that the head shows of it."""
    found, end = [], len(text)
    for event in reversed(list(EVENT.finditer(text))):
        found.append((event, _logs(text[event.end() : end])))
        end = end if _inner(event) else event.start()
    return reversed(found)


def _logs(said: str) -> str:
    """The logs that stand at the beginning of what was said; after them others may speak."""
    logs, place = [], 0
    while shown := SHOWN.match(said, place):
        logs.append(shown[2] or "")
        place = shown.end()
    return "\n".join([*logs, ""])


def _inner(event: re.Match) -> bool:
    """Whether a Snakemake inside a job tells it."""
    if event["rule"]:
        return f"    jobid: {INNER}\n" in event["facts"]
    return INNER in (event["failed"], event["done"]) and "external_jobid" not in (event["rest"] or "")


def failures_text(failed: Iterable[Failure]) -> str:
    """What failed, for the terminal: a job, its attempts, and where it says more."""
    lines = []
    for job in failed:
        lines.append(f"failed: {job.rule} {job.wildcards}".rstrip())
        lines += [f"  attempt {number}, {told}" for number, told in enumerate(job.attempts, 1)]
        lines += [f"  log: {job.log}"] if job.log else []
    return "\n".join(lines)


def _batch_log(error: str) -> str:
    """What SLURM kept of an attempt's screen: Snakemake shows it only where the job's own log is not empty."""
    found = re.search(r"^    log: (?:.*, )?(/.*/(\d+)\.log)\b", error, re.MULTILINE)
    if not found or f"external_jobid: {found[2]}" not in error or not Path(found[1]).exists():
        return ""
    return Path(found[1]).read_text(errors="replace")


def _asked(facts: dict[str, str]) -> str:
    """Memory and time of an attempt."""
    resources = dict(part.partition("=")[::2] for part in facts.get("resources", "").split(", "))
    parts = [resources.get("mem", ""), f"{resources['runtime']} minutes" if "runtime" in resources else ""]
    return ", ".join(filter(None, parts)) or "nothing asked for"


def _why(rule: str, message: str, said: str) -> str:
    """How an attempt ended: by SLURM's account, else by the job's own last word."""
    state = re.search(r"SLURM status is: '(\w+)", message)
    if state and state[1] in ENDS:
        return ENDS[state[1]]
    if MEMORY.search(said):
        return ENDS["OUT_OF_MEMORY"]
    refused = re.search(r"error message was '(.*?)'\.?$", message, re.MULTILINE | re.DOTALL)
    if refused:
        return refused[1].splitlines()[0]
    crash = re.search(r" ERROR rule \w+ failed\nTraceback.*?\n(\S[^\n]*)$", said, re.MULTILINE | re.DOTALL)
    told = crash or re.search(rf"^{rule}: (.+)$", said, re.MULTILINE) or re.search(r" ERROR (.+)$", said, re.MULTILINE)
    return told[1] if told else "ended with an error"
