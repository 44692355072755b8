"""What a clinical neurophysiologist marks, drawn into stand-in recordings.

Shapes and sizes are those of textbooks, fixed before any model was trained: a spike of 70 ms with a slow wave after it,
periodic discharges once to twice a second on both sides or on one, a vertical eye movement at the forehead, a burst of
muscle. All stand well above the background, as events that a person marks do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unimontage.datasets.spectra import spread
from unimontage.montage.positions import positions_3d

# Pairs of electrodes by the number that annotations call them: the longitudinal and transverse chains of the American
# Clinical Neurophysiology Society, in the 10-20 names of the corpora.
DERIVATIONS = (
    "FP1-F7", "F7-T3", "T3-T5", "T5-O1", "FP2-F8", "F8-T4", "T4-T6", "T6-O2", "A1-T3", "T3-C3", "C3-CZ", "CZ-C4",
    "C4-T4", "T4-A2", "FP1-F3", "F3-C3", "C3-P3", "P3-O1", "FP2-F4", "F4-C4", "C4-P4", "P4-O2",
)  # fmt: skip
SPSW, GPED, PLED, EYEM, ARTF, BCKG = range(6)
SIDES = (
    ("F7-T3", "T3-T5", "T3-C3", "A1-T3"),
    ("F8-T4", "T4-T6", "C4-T4", "T4-A2"),
)  # fmt: skip
FRONT = ("FP1-F7", "FP2-F8", "FP1-F3", "FP2-F4")

EVERY_S = 3.0  # from one event to the next
FIRST_S = 0.5  # the first one, less than two seconds from the beginning
SHAPE_S = 5.0  # length of what is drawn around an event
AMPLITUDE_UV = {SPSW: 150.0, GPED: 120.0, PLED: 120.0, EYEM: 150.0, ARTF: 60.0}
PERIOD_S = {GPED: 0.6, PLED: 0.9}


@dataclass(frozen=True)
class Event:
    """One second of a recording that is marked on some derivations."""

    kind: int
    start_s: float
    side: int  # 0 left, 1 right
    derivations: tuple[str, ...]


def draw_events(seconds: int, rng: np.random.Generator) -> list[Event]:
    """Events of a recording, one every three seconds, the last second included; each kind as often as the others.

    Parameters
    ----------
    seconds : int
        Length of the recording.
    rng : Generator
    """
    starts = np.unique([*np.arange(FIRST_S, max(FIRST_S + 0.1, seconds - 4.0), EVERY_S), max(0.0, seconds - 1.0)])
    kinds = rng.permutation(np.resize(rng.permutation(6), len(starts)))
    return [_event(int(kind), float(start), rng) for kind, start in zip(kinds, starts, strict=True)]


def _event(kind: int, start_s: float, rng: np.random.Generator) -> Event:
    side = int(rng.integers(2))
    places = {GPED: DERIVATIONS, EYEM: FRONT, BCKG: DERIVATIONS}.get(kind, SIDES[side])
    count = min(len(places), int(rng.integers(1, 5)))
    return Event(kind, start_s, side, tuple(str(place) for place in rng.choice(places, count, replace=False)))


def event_signal(
    events: Sequence[Event], channels: Sequence[str], samples: int, sfreq_hz: float, rng: np.random.Generator
) -> np.ndarray:
    """What the events add to the background.

    Parameters
    ----------
    events : sequence of Event
    channels : sequence of str, length C
    samples : int
    sfreq_hz : float
    rng : Generator

    Returns
    -------
    ndarray of float32, shape (C, samples)
        Microvolts.
    """
    positions = positions_3d(channels)
    signal = np.zeros((len(channels), samples), dtype=np.float32)
    time = np.arange(samples) / sfreq_hz
    for event in events:
        if event.kind == BCKG:
            continue
        near = slice(*np.searchsorted(time, (event.start_s - 2.0, event.start_s - 2.0 + SHAPE_S)))
        course = AMPLITUDE_UV[event.kind] * _course(event.kind, time[near] - event.start_s, rng)
        signal[:, near] += _topography(event, positions)[:, None] * course
    return signal


def _course(kind: int, time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shape in time, in seconds from the beginning of the marked second."""
    if kind == SPSW:
        return _discharge(time - 0.4)
    if kind in PERIOD_S:
        period = PERIOD_S[kind]
        return _discharge((time + period / 2) % period - period / 2)
    if kind == EYEM:
        return np.exp(-0.5 * ((time - 0.5) / 0.2) ** 2)
    rough = np.diff(rng.standard_normal(len(time) + 2), 2) / np.sqrt(6)  # twice differentiated: mostly fast
    return rough * (np.abs(time - 0.5) < 0.5)


def _discharge(time: np.ndarray) -> np.ndarray:
    """A sharp negative wave at 0 and a slow one of the other sign after it."""
    return -np.exp(-0.5 * (time / 0.02) ** 2) + 0.5 * np.exp(-0.5 * ((time - 0.18) / 0.07) ** 2)


def _topography(event: Event, positions: np.ndarray) -> np.ndarray:
    """Weight of each channel, shape (C,)."""
    if event.kind == GPED:
        return np.ones(len(positions))
    sites = [("T7", "T8")[event.side]] if event.kind != EYEM else ["FP1", "FP2"]
    return spread(positions, positions_3d(sites)).max(axis=1)
