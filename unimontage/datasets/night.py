"""Nights of stand-in sleep: which stage follows which.

A Markov chain whose transition probabilities change with the time of night, as Kemp & Kamphuisen 1986 (Sleep
9(3):405-414) describe human hypnograms. Ultradian cycles of about 90 minutes (Feinberg & Floyd 1979, doi
10.1111/j.1469-8986.1979.tb02991.x); N3 mostly in the first, REM mostly in the last; shares of the stages of the order
that healthy adults have (Ohayon et al. 2004, doi 10.1093/sleep/27.7.1255).
"""

from __future__ import annotations

import numpy as np

from unimontage.datasets.hypnogram import EPOCH_S, STAGES

CYCLE_H = 1.5
CANDIDATES = 32  # nights drawn at once, of which one is taken
LEAST_SHARE = 1 / 60  # of the epochs that each stage should have

W, N1, N2, N3, REM = range(len(STAGES))

# Probability per epoch of leaving one stage for another: constant part, and parts that grow with the pressure for N3
# and for REM, which both lie between 0 and 1.
LEAVING = {
    (W, N1): (0.30, 0.0, 0.0),
    (W, N2): (0.02, 0.0, 0.0),
    (N1, W): (0.06, 0.0, 0.0),
    (N1, N2): (0.35, 0.0, 0.0),
    (N1, REM): (0.0, 0.0, 0.20),
    (N2, W): (0.018, 0.0, 0.0),
    (N2, N1): (0.035, 0.0, 0.0),
    (N2, N3): (0.004, 0.22, 0.0),
    (N2, REM): (0.0, 0.0, 0.22),
    (N3, N2): (0.30, -0.28, 0.0),
    (N3, W): (0.004, 0.0, 0.0),
    (REM, W): (0.015, 0.0, 0.0),
    (REM, N1): (0.02, 0.0, 0.0),
    (REM, N2): (0.25, 0.0, -0.24),
}


def draw_night(hours: float, rng: np.random.Generator) -> np.ndarray:
    """Stages of a night that begins awake.

    Parameters
    ----------
    hours : float
        A night shorter than a cycle is one fast cycle.
    rng : Generator

    Returns
    -------
    ndarray of int64, shape (E,)
        Index into `STAGES` of each 30-s epoch. Every stage occurs where that can be had: among some nights the first
        with at least a sixtieth of each, or else the one whose rarest stage is least rare.
    """
    epochs = max(1, round(hours * 3600 / EPOCH_S))
    table = np.cumsum(_transitions(epochs), axis=2)  # (E, from, to)
    draws = rng.random((epochs, CANDIDATES))
    stages = np.zeros((epochs, CANDIDATES), dtype=np.int64)
    for epoch in range(1, epochs):  # a chain is sequential; the candidates go side by side
        stages[epoch] = (draws[epoch][:, None] > table[epoch][stages[epoch - 1]]).sum(axis=1)
    rarest = (stages[..., None] == np.arange(len(STAGES))).mean(axis=0).min(axis=1)  # (candidates,)
    enough = np.flatnonzero(rarest >= LEAST_SHARE)
    return stages[:, enough[0] if len(enough) else rarest.argmax()]


def _transitions(epochs: int) -> np.ndarray:
    """Probabilities (E, from, to)."""
    cycle = epochs / max(1, round(epochs * EPOCH_S / 3600 / CYCLE_H))
    phase = np.arange(epochs) % cycle / cycle
    part = np.arange(epochs) / epochs
    deep = np.sin(np.pi * np.clip((phase - 0.05) / 0.6, 0, 1)) * (1 - part) ** 0.7
    dream = (phase > 0.97 - 0.36 * np.sqrt(part)).astype(float)  # later cycles have longer REM
    pressure = np.stack([np.ones(epochs), deep, dream], axis=1)  # (E, 3)
    faster = max(1.0, CYCLE_H * 3600 / EPOCH_S / cycle)
    rates = np.zeros((epochs, len(STAGES), len(STAGES)))
    for (source, target), parts in LEAVING.items():
        rates[:, source, target] = 1 - (1 - pressure @ parts) ** faster
    rates /= np.maximum(1.0, rates.sum(axis=2, keepdims=True) / 0.9)  # even a fast night stays sometimes
    stay = 1 - rates.sum(axis=2)
    return rates + stay[..., None] * np.eye(len(STAGES))
