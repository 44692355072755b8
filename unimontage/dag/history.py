"""The configurations of a run: each is kept in the run's folder, and another one is not taken without a word."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from unimontage.config.identity import differences, essence, identity, stated
from unimontage.config.root import Config
from unimontage.errors import UserError

FOLDER = "configurations"
NAMED = 4
"""Differences that a message spells out."""


@dataclass(frozen=True)
class Kept:
    """A configuration that a run was made with.

    Attributes
    ----------
    path : Path
        ``<number>-<name>.yaml``; can be given to Snakemake as it is.
    """

    path: Path

    @property
    def name(self) -> str:
        """Its identity."""
        return self.path.stem.partition("-")[2]

    @property
    def number(self) -> int:
        """Place in the order in which they were used."""
        return int(self.path.stem.partition("-")[0])

    @property
    def date(self) -> str:
        """When it was first used."""
        return self.path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")

    def options(self) -> dict[str, Any]:
        """All that is not at its default, as JSON values."""
        return yaml.safe_load(self.path.read_text(encoding="utf-8"))


def history(run: Path | str) -> list[Kept]:
    """Configurations of a run, the latest last."""
    return [Kept(path) for path in sorted(Path(run, FOLDER).glob("[0-9]*-c*.yaml"))]


def refusal(config: Config) -> UserError | None:
    """Why a configuration must not be computed in its run's folder; None where it may.

    It may if the folder holds nothing, if the last configuration there was the same in all that makes results, or if
    ``adopt`` names it.
    """
    run, name = Path(config.results, config.run), identity(config)
    kept = history(run)
    if config.adopt == name or (kept and kept[-1].name == name):
        return None
    if kept:
        changed = list(differences(essence(kept[-1].options()), essence(stated(config))))
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        differ = f"they differ in {', '.join(changed[:NAMED])}{more}"
        what = f"{run} was made with another configuration, {kept[-1].path.name}, and {differ}"
    elif any(path.is_file() for path in run.rglob("*")):
        what = f"{run} holds results of an older version, which did not keep the configuration"
    else:
        return None
    mend = f"give this one a `run:` of its own, or add --config adopt={name} to go on in the same folder"
    return UserError(what, mend=mend)


def remember(config: Config) -> None:
    """Keep a configuration in its run's folder as the one that is used from now on."""
    kept, name = history(Path(config.results, config.run)), identity(config)
    if kept and kept[-1].name == name:
        return
    number = kept[-1].number + 1 if kept else 1
    path = Path(config.results, config.run, FOLDER, f"{number:04d}-{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {name: value for name, value in stated(config).items() if name != "adopt"}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    aside = path.with_suffix(".part")
    aside.write_text(f"# {date}\n{yaml.safe_dump(options, sort_keys=False, allow_unicode=True)}", encoding="utf-8")
    aside.replace(path)
