"""Stand-in EEG of a night, stage by stage.

All levels below were fixed before any model was trained on twins and are not tuned to results. What marks a stage, and
the bands, follow the AASM scoring rules (Iber et al. 2007): alpha over the occiput awake; theta, fading alpha and slow
eye movements in N1; spindles and K-complexes in N2; slow waves of 0.5-2 Hz and more than 75 microvolt in N3; low
amplitude, sawtooth waves and rapid eye movements in REM. Spindle density is that of Purcell et al. 2017 (doi
10.1038/ncomms15930) in order of magnitude; the background is steeper in deep sleep (Lendner et al. 2020, doi
10.7554/eLife.55092). Twins exercise the workflow; no number computed from them says anything about people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unimontage.datasets.hypnogram import EPOCH_S, STAGES
from unimontage.datasets.simulation import crossfaded
from unimontage.datasets.spectra import BAND_KNOTS_HZ, FLAT_BELOW_HZ, grid, hats, pass_band, spread, to_time, unit_rms
from unimontage.montage.positions import positions_3d


@dataclass(frozen=True)
class Oscillation:
    """A rhythm that is always there: where it is strongest, its band, and its RMS in microvolt in each stage."""

    site: str
    hz: float
    width_hz: float
    levels_uv: tuple[float, ...]
    alpha: bool = False  # its frequency is the person's alpha frequency


@dataclass(frozen=True)
class Event:
    """A wave that comes and goes: where, its shape, its size, and how often a minute it comes in each stage."""

    site: str
    shape: str
    length_s: float
    size_uv: float
    per_minute: tuple[float, ...]


# In the order of STAGES: W, N1, N2, N3, REM.
OSCILLATIONS = {
    "slow": Oscillation("FZ", 1.0, 0.4, (4.0, 6.0, 13.0, 36.0, 5.0)),
    "steep": Oscillation("CZ", 2.0, 1.5, (3.0, 5.0, 8.0, 14.0, 4.0)),  # the background's steeper slope
    "theta": Oscillation("CZ", 5.5, 1.2, (3.5, 8.0, 6.0, 4.5, 6.5)),
    "alpha": Oscillation("POZ", 10.0, 0.8, (14.0, 4.5, 2.5, 2.0, 3.0), alpha=True),
    "muscle_left": Oscillation("T7", 32.0, 8.0, (5.0, 3.0, 2.0, 1.5, 1.0)),
    "muscle_right": Oscillation("T8", 32.0, 8.0, (5.0, 3.0, 2.0, 1.5, 1.0)),
}
BACKGROUND_UV = (8.0, 7.5, 8.5, 9.5, 6.5)
EVENTS = {
    "spindle": Event("CZ", "spindle", 1.0, 28.0, (0.0, 0.2, 4.0, 1.5, 0.0)),
    "k_complex": Event("FZ", "k_complex", 1.0, 110.0, (0.0, 0.0, 1.5, 0.5, 0.0)),
    "sawtooth": Event("CZ", "sawtooth", 2.0, 28.0, (0.0, 0.0, 0.0, 0.0, 3.0)),
    "slow_eyes": Event("FPZ", "swing", 3.0, 35.0, (1.0, 5.0, 0.3, 0.0, 0.0)),
    "rapid_eyes": Event("FPZ", "swing", 0.5, 55.0, (3.0, 0.2, 0.0, 0.0, 8.0)),
    "blink": Event("FPZ", "bump", 0.3, 80.0, (9.0, 0.3, 0.0, 0.0, 0.0)),
    "movement": Event("T8", "swing", 2.0, 160.0, (0.8, 0.4, 0.08, 0.04, 0.15)),
}
SPINDLE_HZ, SAWTOOTH_HZ = 13.2, 3.0

# Between people (standard deviations).
PERSON_LOG_GAIN = 0.25
PERSON_ALPHA_HZ = 0.8
PERSON_SPINDLE_HZ = 0.5
PERSON_SHIFT_M = 0.012
PERSON_LOG_LEVEL = 0.25  # per rhythm and kind of event
RESPONSE_LOG = 0.12  # per stage on top of it
NIGHT_LOG_GAIN = 0.08  # per electrode

# Within a night: a fingerprint that neighbouring epochs share.
BLOCK_EPOCHS = 5
BLOCK_LOG_FIELD = 0.12
BLOCK_LOG_LEVEL = 0.15
EVENT_LOG_SIZE = 0.3
FADE_S = 1.0
LINE_UV = 1.5


@dataclass(frozen=True)
class SleepRig:
    """What is recorded.

    Parameters
    ----------
    derivations : tuple of str
        Electrodes, or differences of two of them such as ``"F3-A2"``.
    sfreq_hz : float
    band_hz : tuple of float
        Pass band of the amplifier; a lower edge of 0 has none.
    line_hz : float, optional
        Mains hum, in part common to all electrodes.
    """

    derivations: tuple[str, ...]
    sfreq_hz: float
    band_hz: tuple[float, float]
    line_hz: float | None = None

    @property
    def electrodes(self) -> tuple[str, ...]:
        """Every electrode once, in the order of first use."""
        return tuple(dict.fromkeys(site for name in self.derivations for site in name.split("-")))

    @property
    def differences(self) -> np.ndarray:
        """Matrix (derivations, electrodes) of 1 and -1."""
        sites = self.electrodes
        matrix = np.zeros((len(self.derivations), len(sites)), dtype=np.float32)
        for row, name in enumerate(self.derivations):
            plus, *minus = name.split("-")
            matrix[row, sites.index(plus)] = 1
            matrix[row, [sites.index(site) for site in minus]] = -1
        return matrix


@dataclass(frozen=True)
class Sleeper:
    """Traits that stay with a subject; D derivations, C electrodes, K oscillations, V kinds of event, five stages."""

    gain: np.ndarray  # (C,)
    mixing: np.ndarray  # (C, C), rows of unit norm
    topographies: np.ndarray  # (C, K + V)
    hum: np.ndarray  # (C,)
    alpha_hz: float
    spindle_hz: float
    levels_uv: np.ndarray  # (5, K)
    background_uv: np.ndarray  # (5,)
    sizes_uv: np.ndarray  # (V,)
    per_minute: np.ndarray  # (5, V)


def draw_sleeper(rig: SleepRig, rng: np.random.Generator) -> Sleeper:
    """Draw a subject."""
    positions = positions_3d(rig.electrodes)  # (C, 3)
    sources = (*OSCILLATIONS.values(), *EVENTS.values())
    sites = positions_3d([source.site for source in sources])
    sites = sites + PERSON_SHIFT_M * rng.standard_normal(sites.shape)
    mixing = spread(positions, positions) + 0.2 * np.eye(len(positions))
    levels = np.array([source.levels_uv for source in OSCILLATIONS.values()]).T  # (5, K)
    levels = levels * np.exp(PERSON_LOG_LEVEL * rng.standard_normal(levels.shape[1]))
    sizes = np.array([event.size_uv for event in EVENTS.values()])
    rates = np.array([event.per_minute for event in EVENTS.values()]).T  # (5, V)
    return Sleeper(
        gain=np.full(len(positions), np.exp(PERSON_LOG_GAIN * rng.standard_normal()), dtype=np.float32),
        mixing=(mixing / np.linalg.norm(mixing, axis=1, keepdims=True)).astype(np.float32),
        topographies=spread(positions, sites).astype(np.float32),
        hum=(1 + 0.3 * rng.standard_normal(len(positions))).astype(np.float32),
        alpha_hz=10 + PERSON_ALPHA_HZ * rng.standard_normal(),
        spindle_hz=float(np.clip(SPINDLE_HZ + PERSON_SPINDLE_HZ * rng.standard_normal(), 12, 15)),
        levels_uv=levels * np.exp(RESPONSE_LOG * rng.standard_normal(levels.shape)),
        background_uv=np.array(BACKGROUND_UV) * np.exp(RESPONSE_LOG * rng.standard_normal(len(STAGES))),
        sizes_uv=sizes * np.exp(PERSON_LOG_LEVEL * rng.standard_normal(len(sizes))),
        per_minute=rates * np.exp(PERSON_LOG_LEVEL * rng.standard_normal(len(sizes))),
    )


def another_night(sleeper: Sleeper, rng: np.random.Generator) -> Sleeper:
    """The same person, the electrodes glued anew."""
    change = np.exp(NIGHT_LOG_GAIN * rng.standard_normal(len(sleeper.gain)))
    return dataclasses.replace(sleeper, gain=(sleeper.gain * change).astype(np.float32))


def simulate_night(
    rig: SleepRig, sleeper: Sleeper, stages: Sequence[int], rng: np.random.Generator, structured: bool = True
) -> Iterator[np.ndarray]:
    """The EEG of a night, a few minutes at a time.

    Parameters
    ----------
    rig : SleepRig
    sleeper : Sleeper
        Drawn for the same electrodes.
    stages : sequence of int, shape (E,)
        Index into `STAGES` of each epoch.
    rng : Generator
    structured : bool
        False: every epoch has the mean level of all stages, so that no stage shows.

    Yields
    ------
    ndarray of float32, shape (D, T)
        Microvolts of some whole epochs, E together.
    """
    mix = np.eye(len(STAGES)) if structured else np.full((len(STAGES), len(STAGES)), 1 / len(STAGES))
    shares = mix[np.asarray(stages)]  # (E, 5): what each epoch has of each stage
    blocks = (shares[i : i + BLOCK_EPOCHS] for i in range(0, len(shares), BLOCK_EPOCHS))
    pieces = (_block(rig, sleeper, block, rng) for block in blocks)
    return crossfaded(pieces, round(FADE_S * rig.sfreq_hz))


def _block(rig: SleepRig, sleeper: Sleeper, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some epochs and a little more of the last one: (D, T + fade)."""
    samples = round((len(shares) * EPOCH_S + FADE_S) * rig.sfreq_hz)
    signal = _background(rig, sleeper, samples, rng)  # (C, T)
    signal *= _over_time(shares @ sleeper.background_uv, samples)
    sources = np.concatenate([_oscillations(rig, sleeper, shares, samples, rng), _events(rig, sleeper, shares, rng)])
    signal += sleeper.topographies @ sources
    signal *= sleeper.gain[:, None]
    if rig.line_hz:
        phase = 2 * np.pi * (rig.line_hz * np.arange(samples) / rig.sfreq_hz + rng.random())
        signal += LINE_UV * sleeper.hum[:, None] * np.sin(phase, dtype=np.float32)
    return rig.differences @ signal if any("-" in name for name in rig.derivations) else signal


def _over_time(values: np.ndarray, samples: int) -> np.ndarray:
    """Value of each epoch (E,) at each sample (T,), gliding from one epoch to the next within two seconds."""
    edge = 1 / EPOCH_S
    knots = (np.arange(len(values))[:, None] + (edge, 1 - edge)).ravel()  # in epochs
    at = np.linspace(0, len(values) + FADE_S / EPOCH_S, samples, endpoint=False)
    return np.interp(at, knots, np.repeat(values, 2)).astype(np.float32)


def _shape(rig: SleepRig, samples: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Transform length, the frequencies that pass, and how much of each."""
    n, frequencies = grid(samples, rig.sfreq_hz)
    frequencies = frequencies[frequencies <= 1.5 * rig.band_hz[1]]  # 4 % is left beyond; not drawing it saves time
    return n, frequencies, pass_band(frequencies, rig.band_hz)


def _background(rig: SleepRig, sleeper: Sleeper, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Mixed 1/f noise (C, T) of unit RMS, times the block's fingerprint."""
    n, frequencies, passing = _shape(rig, samples)
    noise = rng.standard_normal((len(sleeper.gain), 2 * len(frequencies)), dtype=np.float32)
    spectrum = (sleeper.mixing @ noise).view(np.complex64)  # (C, F)
    field = sleeper.mixing @ rng.standard_normal((len(sleeper.gain), len(BAND_KNOTS_HZ)), dtype=np.float32)
    shape = unit_rms(passing / np.sqrt(np.maximum(frequencies, FLAT_BELOW_HZ)), n)
    spectrum *= np.exp(BLOCK_LOG_FIELD * field @ hats(frequencies)) * shape
    return to_time(spectrum, n, samples)


def _oscillations(
    rig: SleepRig, sleeper: Sleeper, shares: np.ndarray, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """Narrow-band sources (K, T) in microvolt."""
    n, frequencies, passing = _shape(rig, samples)
    centres = np.array([sleeper.alpha_hz if source.alpha else source.hz for source in OSCILLATIONS.values()])
    widths = np.array([source.width_hz for source in OSCILLATIONS.values()])
    shape = np.exp(-0.5 * ((frequencies - centres[:, None]) / widths[:, None]) ** 2) * passing
    spectrum = rng.standard_normal((len(shape), 2 * len(frequencies)), dtype=np.float32).view(np.complex64)
    waves = to_time(spectrum * unit_rms(shape, n), n, samples)
    levels = shares @ sleeper.levels_uv * np.exp(BLOCK_LOG_LEVEL * rng.standard_normal(len(shape)))  # (E, K)
    for wave, level in zip(waves, levels.T, strict=True):
        wave *= _over_time(level, samples)
    return waves


def _events(rig: SleepRig, sleeper: Sleeper, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sources (V, T) in microvolt that are silent between events, which come at Poisson times."""
    samples = round((len(shares) * EPOCH_S + FADE_S) * rig.sfreq_hz)
    rates = shares @ sleeper.per_minute * (EPOCH_S / 60)  # (E, V) per epoch
    sources = np.zeros((len(EVENTS), samples), dtype=np.float32)
    for source, event, rate, size in zip(sources, EVENTS.values(), rates.T, sleeper.sizes_uv, strict=True):
        wave = _wave(event.shape, event.length_s, rig.sfreq_hz, sleeper.spindle_hz)
        epochs = np.repeat(np.arange(len(rate)), rng.poisson(rate))
        onsets = ((epochs + rng.random(len(epochs))) * EPOCH_S * rig.sfreq_hz).astype(np.int64)
        sizes = size * np.exp(EVENT_LOG_SIZE * rng.standard_normal(len(onsets)))
        if event.shape == "swing":
            sizes *= rng.choice((-1, 1), len(onsets))  # eyes go both ways
        at = onsets[:, None] + np.arange(len(wave))  # (events, wave)
        inside = at < samples
        np.add.at(source, at[inside], (sizes[:, None] * wave)[inside])
    return sources


def _wave(shape: str, length_s: float, sfreq_hz: float, spindle_hz: float) -> np.ndarray:
    """One event of unit size."""
    time = np.arange(round(length_s * sfreq_hz)) / sfreq_hz
    window = np.hanning(len(time))
    if shape == "spindle":
        return window * np.cos(2 * np.pi * spindle_hz * (time - length_s / 2))
    if shape == "sawtooth":
        return window * (2 * np.abs(2 * (time * SAWTOOTH_HZ % 1) - 1) - 1)
    if shape == "k_complex":  # sharp and negative, then slow and positive
        turn = length_s / 3
        return np.where(time < turn, -np.sin(np.pi * time / turn), 0.5 * np.sin(np.pi * (time - turn) / (2 * turn)))
    return window if shape == "bump" else window * np.sin(2 * np.pi * time / length_s)
