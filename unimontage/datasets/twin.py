"""Synthetic twins: what to write, from which random stream, and the marker that says what it is."""

from __future__ import annotations

import dataclasses
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unimontage.datasets.facts import DatasetFacts
from unimontage.errors import UserError

VERSION = "1"  # counts up whenever the same seed gives other files
MARKER = "SYNTHETIC.json"
SHORTEST_TRIAL_S = 0.5
NIGHT_H, SHORTEST_NIGHT_H = 8.0, 0.1


@dataclass(frozen=True)
class TwinSpec:
    """What a synthetic twin should look like.

    Parameters
    ----------
    seed : int
        The same seed gives the same files.
    trial_s : float, optional
        Length of every trial in seconds; None gives the lengths of the real dataset.
    labels : {"structured", "random"}
        ``random`` draws trial labels independent of the signal, which then has no class effect; whatever a model learns
        from such data it learned from a leak.
    sessions : tuple of str, optional
        Write only these sessions.
    night_h : float, optional
        Hours of sleep of a continuous dataset, used there in place of `trial_s`; None gives 8, or half an hour where
        the recordings themselves are so short.
    """

    seed: int = 0
    trial_s: float | None = None
    labels: Literal["structured", "random"] = "structured"
    sessions: tuple[str, ...] | None = None
    night_h: float | None = None

    @property
    def structured(self) -> bool:
        """Whether the signal depends on the label."""
        return self.labels == "structured"

    def hours(self, usual: float = NIGHT_H) -> float:
        """Hours of sleep of a night, `usual` where none were asked for."""
        return usual if self.night_h is None else self.night_h


def generator(spec: TwinSpec, *names: str) -> np.random.Generator:
    """Random stream of one thing, e.g. ``generator(spec, "deap", "s01", "7")``; independent of what else is written."""
    return np.random.default_rng([spec.seed, *(zlib.crc32(name.encode()) for name in names)])


def film_moods(count: int, rng: np.random.Generator) -> np.ndarray:
    """Signs of (valence, arousal) of each film, shape (count, 2): the four quadrants equally often, shuffled."""
    quadrants = np.array([(v, a) for v in (-1, 1) for a in (-1, 1)])
    return rng.permutation(np.resize(quadrants, (count, 2)))


def begin(root: Path, facts: DatasetFacts, spec: TwinSpec) -> Path:
    """Prepare a folder for a twin and mark it.

    Returns
    -------
    Path
        The marker.

    Raises
    ------
    UserError
        If the folder holds files that are not marked synthetic, because real and synthetic files must not meet; or if
        the trials or nights are to be too short to be drawn.
    """
    if facts.continuous and spec.hours() < SHORTEST_NIGHT_H:
        raise UserError(
            f"nights of {spec.night_h:g} h are too short for a synthetic twin",
            expected=f"at least {SHORTEST_NIGHT_H:g} h",
            mend=f"`datasets: {{{facts.key}: {{twin: {{night_h: 8}}}}}}`",
        )
    if not facts.continuous and spec.trial_s is not None and spec.trial_s < SHORTEST_TRIAL_S:
        raise UserError(
            f"trials of {spec.trial_s:g} s are too short for a synthetic twin",
            expected=f"at least {SHORTEST_TRIAL_S:g} s",
            mend=f"`datasets: {{{facts.key}: {{twin: {{trial_s: 10}}}}}}`",
        )
    root.mkdir(parents=True, exist_ok=True)
    if read_marker(root) is None and any(root.iterdir()):
        raise UserError(
            f"{root} holds files that are not synthetic",
            expected="an empty folder for the synthetic twin",
            mend=f"`datasets: {{{facts.key}: {{synthetic: true}}}}` without a root",
        )
    content = {
        "synthetic": True, "dataset": facts.key, "seed": spec.seed, "generator": VERSION,
        "spec": dataclasses.asdict(spec),
    }  # fmt: skip
    marker = root / MARKER
    marker.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return marker


def read_marker(root: Path) -> dict[str, Any] | None:
    """Content of the marker of a synthetic tree; None for a folder of real files."""
    marker = Path(root) / MARKER
    return json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else None
