"""Stand-in EEG with class, subject and trial structure.

All effect sizes below were fixed before any model was trained on twins and are not tuned to results. They are of the
order that the literature reports: contralateral mu and beta desynchronisation of 30-40 % in imagined movement
(Pfurtscheller & Lopes da Silva 1999, doi 10.1016/S1388-2457(99)00141-8); frontal theta increase and posterior alpha
decrease under mental load (Klimesch 1999, doi 10.1016/S0165-0173(98)00056-3); frontal alpha asymmetry with valence
(Coan & Allen 2004, doi 10.1016/j.biopsycho.2004.03.002) and temporal beta with positive films (Zheng & Lu 2015, doi
10.1109/TAMD.2015.2431497); more theta and less posterior alpha in diffuse slowing. Twins exercise the workflow; no
number computed from them says anything about people.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unimontage.datasets.spectra import BAND_KNOTS_HZ, FLAT_BELOW_HZ, grid, hats, pass_band, spread, to_time, unit_rms
from unimontage.montage.positions import positions_3d


@dataclass(frozen=True)
class Rhythm:
    """A cortical oscillation: where it is strongest, its band, and its level relative to the background."""

    site: str
    hz: float
    width_hz: float
    level: float
    follows_alpha: bool = False  # its frequency moves with the person's alpha frequency


RHYTHMS = {
    "alpha_left": Rhythm("PO3", 10.0, 1.2, 0.8, True),
    "alpha_right": Rhythm("PO4", 10.0, 1.2, 0.8, True),
    "frontal_alpha_left": Rhythm("F3", 10.0, 1.2, 0.5, True),
    "frontal_alpha_right": Rhythm("F4", 10.0, 1.2, 0.5, True),
    "mu_left": Rhythm("C3", 11.0, 1.2, 0.6, True),
    "mu_right": Rhythm("C4", 11.0, 1.2, 0.6, True),
    "beta_left": Rhythm("C3", 20.0, 3.0, 0.4),
    "beta_right": Rhythm("C4", 20.0, 3.0, 0.4),
    "temporal_beta_left": Rhythm("T7", 24.0, 5.0, 0.45),
    "temporal_beta_right": Rhythm("T8", 24.0, 5.0, 0.45),
    "theta": Rhythm("FZ", 6.0, 1.0, 0.45),
}

# Change of a rhythm's log power per unit of each component of the state.
STATES = {
    "emotion": ("valence", "arousal"),
    "fists": ("left", "right"),
    "arithmetic": ("load",),
    "clinic": ("slowing",),
}
EFFECTS = {
    "emotion": {
        "frontal_alpha_left": (-0.25, 0.0),
        "frontal_alpha_right": (0.25, 0.0),
        "temporal_beta_left": (0.35, 0.25),
        "temporal_beta_right": (0.35, 0.25),
        "alpha_left": (0.0, -0.4),
        "alpha_right": (0.0, -0.4),
    },
    "fists": {
        "mu_left": (-0.1, -0.5),
        "mu_right": (-0.5, -0.1),
        "beta_left": (-0.1, -0.35),
        "beta_right": (-0.35, -0.1),
    },
    "arithmetic": {"theta": (0.4,), "alpha_left": (-0.45,), "alpha_right": (-0.45,)},
    "clinic": {"theta": (1.2,), "alpha_left": (-0.8,), "alpha_right": (-0.8,)},
}

# Between people (standard deviations).
PERSON_LOG_GAIN = 0.25
PERSON_ALPHA_HZ = 0.8
PERSON_SHIFT_M = 0.012  # of a rhythm's site
PERSON_LOG_LEVEL = 0.3
RESPONSE_SHARE = 0.3  # of an effect, relative to its size
RESPONSE_OWN = 0.12  # log power, on every rhythm: the part of the response nobody else shows
SESSION_LOG_GAIN = 0.08  # cap and gel of the day, per channel

# Between trials: what makes windows of one trial recognisable. Amplitudes, so that a high-pass filter leaves them.
TRIAL_LOG_LEVEL = 0.2  # per rhythm
TRIAL_LOG_FIELD = 0.15  # per band, smooth over the head
TRIAL_LOG_CHANNEL = 0.08  # per band and channel
WAXING_LOG = 0.3  # within a trial, per rhythm
WAXING_S = 2.0

BLINKS_PER_MINUTE, BLINK_UV, BLINK_S = 4.0, 80.0, 0.3
BURSTS_PER_MINUTE, BURST_LEVEL, BURST_S = 2.0, 1.5, 0.6
NOISY_LEVEL, LINE_LEVEL = 1.0, 0.25


@dataclass(frozen=True)
class Rig:
    """What the recording hardware and the owners' preprocessing leave in a dataset.

    Parameters
    ----------
    channels : tuple of str
    sfreq_hz : float
    background_uv : float
        RMS of the 1/f background.
    band_hz : tuple of float
        Pass band as distributed; a lower edge of 0 keeps offsets.
    line_hz : float, optional
        Mains hum, where nobody removed it.
    offset_uv : float
        SD over channels and trials of a slow offset.
    artefacts : bool
        Whether blinks and muscle bursts are left in.
    average_reference : bool
    """

    channels: tuple[str, ...]
    sfreq_hz: float
    background_uv: float
    band_hz: tuple[float, float]
    line_hz: float | None = None
    offset_uv: float = 0.0
    artefacts: bool = True
    average_reference: bool = False


@dataclass(frozen=True)
class Person:
    """Traits that stay with a subject; C channels, K rhythms, S state components."""

    gain: np.ndarray  # (C,)
    mixing: np.ndarray  # (C, C), rows of unit norm
    topographies: np.ndarray  # (C, K)
    hz: np.ndarray  # (K,)
    levels: np.ndarray  # (K,)
    response: np.ndarray  # (S, K), log power
    extras: np.ndarray  # (C, 4): noisy channel, hum, blinks, muscle


def draw_person(rig: Rig, family: str, rng: np.random.Generator) -> Person:
    """Draw a subject.

    Parameters
    ----------
    rig : Rig
    family : {"emotion", "fists", "arithmetic", "clinic"}
        Which states the person responds to.
    rng : Generator

    Returns
    -------
    Person
    """
    positions = positions_3d(rig.channels)  # (C, 3)
    C, K = len(positions), len(RHYTHMS)
    rhythms = RHYTHMS.values()
    sites = positions_3d([rhythm.site for rhythm in rhythms]) + PERSON_SHIFT_M * rng.standard_normal((K, 3))
    shared = np.array([EFFECTS[family].get(name, (0.0,) * len(STATES[family])) for name in RHYTHMS]).T  # (S, K)
    own = RESPONSE_OWN * rng.standard_normal(shared.shape)
    alpha_shift = PERSON_ALPHA_HZ * rng.standard_normal()
    mixing = spread(positions, positions) + 0.2 * np.eye(C)
    gain = np.exp(PERSON_LOG_GAIN * rng.standard_normal())
    return Person(
        gain=np.full(C, gain, dtype=np.float32),
        mixing=(mixing / np.linalg.norm(mixing, axis=1, keepdims=True)).astype(np.float32),
        topographies=spread(positions, sites).astype(np.float32),
        hz=np.array([rhythm.hz + rhythm.follows_alpha * alpha_shift for rhythm in rhythms]),
        levels=np.array([r.level for r in rhythms]) * np.exp(PERSON_LOG_LEVEL * rng.standard_normal(K)),
        response=shared * (1 + RESPONSE_SHARE * rng.standard_normal(shared.shape)) + own,
        extras=_extras(positions, rng),
    )


def _extras(positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Topographies (C, 4) of what is not brain."""
    C = len(positions)
    noisy = np.eye(C)[rng.integers(C)]
    hum = rng.uniform(0.3, 1.0, C)
    blinks = spread(positions, positions_3d(["FPZ"]))[:, 0]
    muscle = spread(positions, positions_3d(["T7" if rng.random() < 0.5 else "T8"]))[:, 0]
    return np.stack([noisy, hum, blinks, muscle], axis=1).astype(np.float32)


def revisit(person: Person, rng: np.random.Generator) -> Person:
    """The same person on another day: each electrode sits and conducts a little differently."""
    change = np.exp(SESSION_LOG_GAIN * rng.standard_normal(len(person.gain)))
    return dataclasses.replace(person, gain=(person.gain * change).astype(np.float32))


def simulate(rig: Rig, person: Person, samples: int, state: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """One stretch of EEG in one state of mind.

    A 1/f background (power exponent 1) mixed over the scalp by a Gaussian kernel of electrode distance, plus rhythms
    whose power depends on the state, plus artefacts. Every call draws its own spectral and spatial fingerprint.

    Parameters
    ----------
    rig : Rig
    person : Person
    samples : int
    state : sequence of float, shape (S,)
        Zeros: no class effect.
    rng : Generator

    Returns
    -------
    ndarray of float32, shape (C, T)
        Microvolts.
    """
    signal = _background(rig, person, samples, rng)
    signal += person.topographies @ _rhythms(rig, person, samples, np.asarray(state, dtype=float), rng)
    signal *= rig.background_uv
    signal += person.extras @ _nuisances(rig, samples, rng)
    if rig.average_reference:
        signal -= signal.mean(axis=0)
    signal *= person.gain[:, None]
    if rig.offset_uv:
        offset, trend = rig.offset_uv * rng.standard_normal((2, len(signal), 1), dtype=np.float32)
        signal += offset + trend * np.linspace(-0.5, 0.5, samples, dtype=np.float32)
    return signal


def _background(rig: Rig, person: Person, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Mixed 1/f noise (C, T) of unit RMS per channel, times the trial's fingerprint."""
    C = len(rig.channels)
    n, frequencies = grid(samples, rig.sfreq_hz)
    shape = pass_band(frequencies, rig.band_hz) / np.sqrt(np.maximum(frequencies, FLAT_BELOW_HZ))
    noise = rng.standard_normal((C, 2 * len(frequencies)), dtype=np.float32)
    spectrum = (person.mixing @ noise).view(np.complex64)  # (C, F)
    bands = len(BAND_KNOTS_HZ)
    field = TRIAL_LOG_FIELD * (person.mixing @ rng.standard_normal((C, bands), dtype=np.float32))
    field += TRIAL_LOG_CHANNEL * rng.standard_normal((C, bands), dtype=np.float32)
    spectrum *= np.exp(field @ hats(frequencies)) * unit_rms(shape, n)
    return to_time(spectrum, n, samples)


def _rhythms(rig: Rig, person: Person, samples: int, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Narrow-band sources (K, T) that wax and wane, relative to the background."""
    n, frequencies = grid(samples, rig.sfreq_hz)
    widths = np.array([rhythm.width_hz for rhythm in RHYTHMS.values()])
    shape = np.exp(-0.5 * ((frequencies - person.hz[:, None]) / widths[:, None]) ** 2)
    K = len(shape)
    spectrum = rng.standard_normal((K, 2 * len(frequencies)), dtype=np.float32).view(np.complex64)
    spectrum *= unit_rms(shape * pass_band(frequencies, rig.band_hz), n)
    knots = max(2, math.ceil(samples / rig.sfreq_hz / WAXING_S) + 1)
    waxing = WAXING_LOG * rng.standard_normal((K, knots))
    level = person.levels * np.exp(0.5 * state @ person.response + TRIAL_LOG_LEVEL * rng.standard_normal(K))
    time = np.linspace(0, knots - 1, samples)
    envelope = np.stack([np.exp(np.interp(time, np.arange(knots), row)) for row in waxing])  # (K, T)
    return to_time(spectrum, n, samples) * (level[:, None] * envelope).astype(np.float32)


def _nuisances(rig: Rig, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noisy electrode, hum, blinks, muscle: (4, T) in microvolts."""
    n, frequencies = grid(samples, rig.sfreq_hz)
    flat = pass_band(frequencies, rig.band_hz)
    shapes = unit_rms(np.stack([flat, flat * (frequencies > 25)]), n)
    spectrum = rng.standard_normal((2, 2 * len(frequencies)), dtype=np.float32).view(np.complex64) * shapes
    electrode, muscle = to_time(spectrum, n, samples) * rig.background_uv
    rows = np.zeros((4, samples), dtype=np.float32)
    rows[0] = NOISY_LEVEL * electrode
    if rig.line_hz:
        phase = 2 * np.pi * (rig.line_hz * np.arange(samples) / rig.sfreq_hz + rng.random())
        rows[1] = LINE_LEVEL * rig.background_uv * np.sin(phase)
    if rig.artefacts:
        rows[2] = BLINK_UV * _bumps(rig, samples, BLINKS_PER_MINUTE, BLINK_S, rng)
        rows[3] = BURST_LEVEL * muscle * _bumps(rig, samples, BURSTS_PER_MINUTE, BURST_S, rng)
    return rows


def _bumps(rig: Rig, samples: int, per_minute: float, length_s: float, rng: np.random.Generator) -> np.ndarray:
    """Hann-shaped events at Poisson times, shape (T,)."""
    length = round(length_s * rig.sfreq_hz)
    count = rng.poisson(per_minute * samples / rig.sfreq_hz / 60)
    onsets = np.bincount(rng.integers(0, samples, count), minlength=samples)
    return np.convolve(onsets, np.hanning(length))[:samples]


def crossfade(pieces: Iterable[np.ndarray], overlap: int) -> np.ndarray:
    """Join stretches so that none begins with a jump.

    Parameters
    ----------
    pieces : iterable of ndarray, shape (C, T_i + overlap)
        The last `overlap` samples of each run into the first ones of the next.
    overlap : int

    Returns
    -------
    ndarray, shape (C, sum of T_i)
    """
    return np.concatenate(list(crossfaded(pieces, overlap)), axis=1)


def crossfaded(pieces: Iterable[np.ndarray], overlap: int) -> Iterator[np.ndarray]:
    """The stretches that `crossfade` joins, one by one, each of shape (C, T_i)."""
    angle = np.linspace(0, np.pi / 2, overlap, dtype=np.float32)
    tail = None
    for piece in pieces:
        body = piece[:, :-overlap].copy()
        if tail is not None:
            # Equal power: neighbouring stretches are independent, so their squares add.
            body[:, :overlap] = tail * np.cos(angle) + body[:, :overlap] * np.sin(angle)
        tail = piece[:, -overlap:].copy()  # not a view, which would keep the whole piece in memory
        yield body
