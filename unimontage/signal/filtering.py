"""Zero-phase filters and a change of rate as one multiplication of the spectrum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from unimontage.errors import UserError

if TYPE_CHECKING:
    import mne

HALF_LENGTH = 100
"""Taps of the anti-aliasing filter on either side, at the lower of the two rates: flat up to 0.97 of its Nyquist."""
KAISER_BETA = 10.06
"""Window of the anti-aliasing filter: 100 dB of stop band, from 1.03 of the lower Nyquist on."""
STOP = 0.52
"""Share of the lower rate above which the anti-aliasing filter lets nothing through."""
LARGEST_FACTOR = 10_000
"""Rates whose ratio needs larger whole numbers than this are no honest rates (127.97 Hz to 128 Hz)."""
NOTCH_EDGE_HZ = 0.5
"""Transition of the notch filter on either side."""
BLOCK = 2**14
"""Samples of a block where the filters are short: four blocks at a time and their spectra fit a processor's cache."""


@dataclass(frozen=True, eq=False)
class Conditioning:
    """A chain of zero-phase FIR filters, the last of which limits the band for another rate.

    Attributes
    ----------
    rate_hz : float
        Rate before.
    ratio : Fraction
        Rate after, divided by the rate before.
    kernels : tuple of (ndarray, float)
        Taps, odd in number and symmetric, and the rate they stand at.
    """

    rate_hz: float
    ratio: Fraction
    kernels: tuple[tuple[np.ndarray, float], ...]

    @property
    def new_hz(self) -> float:
        """Rate after."""
        return float(self.rate_hz * self.ratio)

    @cached_property
    def reach(self) -> int:
        """Samples on either side that an output sample depends on, rounded up so that they are whole output samples."""
        exact = sum(len(taps) // 2 * self.rate_hz / rate for taps, rate in self.kernels)
        return math.ceil(exact / self.ratio.denominator) * self.ratio.denominator

    @cached_property
    def offset_gain(self) -> float:
        """What becomes of a constant."""
        return math.prod(float(taps.sum()) for taps, _ in self.kernels)

    def block(self, samples: int) -> int:
        """Length of a block for a piece of so many samples: quick to transform, and whole samples at both rates."""
        least = math.ceil(min(max(BLOCK, 4 * self.reach), samples + 2 * self.reach) / self.ratio.denominator)
        power = 2 ** (least - 1).bit_length()
        # Transforms of mostly factors 2 are twice as fast as those of other small primes.
        return self.ratio.denominator * min(n for n in (power * 5 // 8, power * 3 // 4, power) if n >= least)

    def apply(self, block: np.ndarray) -> np.ndarray:
        """Filter and resample a block by overlap-save.

        Parameters
        ----------
        block : ndarray, shape (..., N), float32
            N as :meth:`block` gives it; the first and last :attr:`reach` samples are context.

        Returns
        -------
        ndarray, shape (..., (N - 2 reach) ratio), float32
            The first sample stands for the time of sample ``reach`` of the block.

        Notes
        -----
        Raising the rate repeats the spectrum, the filters weigh it, and lowering the rate folds it: what lies above the
        new Nyquist frequency is added to its mirror image. Of repetitions and folds the first one is all that the
        anti-aliasing filter leaves, so the result is that of polyphase filtering.
        """
        from scipy.fft import irfft, rfft

        old = block.shape[-1]
        new = int(old * self.ratio)
        response = _response(self, old)  # (K + 1,)
        top = len(response) - 1
        spectrum = rfft(block, axis=-1)  # (..., N // 2 + 1)
        weighed = spectrum[..., : top + 1] * response[: old // 2 + 1]
        if top > old // 2:
            image = spectrum[..., old - top : old - old // 2][..., ::-1].conj() * response[old // 2 + 1 :]
            weighed = np.concatenate([weighed, image], axis=-1)  # (..., K + 1)
        out = np.zeros((*block.shape[:-1], new // 2 + 1), dtype=weighed.dtype)
        out[..., : top + 1] = weighed[..., : new // 2 + 1]
        if self.ratio != 1 and top >= new - new // 2:
            out[..., new - top :] += weighed[..., new - new // 2 :][..., ::-1].conj()
        edge = int(self.reach * self.ratio)
        return irfft(out, new, axis=-1)[..., edge : new - edge]


def design(
    rate_hz: float,
    lengths: Sequence[int],
    *,
    highpass_hz: float | None,
    lowpass_hz: float | None,
    notch_hz: float | None,
    resample_hz: float | None,
    rates_hz: Sequence[float] = (),
    where: str = "recording",
) -> Conditioning:
    """Filters for a recording, checked against its rate and its joined pieces.

    Parameters
    ----------
    rate_hz : float
        Rate of the recording.
    lengths : sequence of int
        Samples of each joined piece.
    highpass_hz, lowpass_hz : float or None
        Edges of the zero-phase FIR filter (Hamming window, 3.3 / transition width seconds long); None: no edge.
    notch_hz : float or None
        Mains frequency to remove.
    resample_hz : float or None
        New rate; None keeps the rate.
    rates_hz : sequence of float
        Rates that the file may have; empty: any.
    where : str
        What the recording is called in an error.

    Returns
    -------
    Conditioning
        Its filters are those of ``mne.filter.create_filter``, so that the response is mne's.

    Raises
    ------
    UserError
        The file has another rate, a filter edge does not fit the rates, or a piece is shorter than the filter.
    """
    _check_rates(rate_hz, highpass_hz, lowpass_hz, notch_hz, resample_hz, rates_hz, where)
    _check_pieces(np.asarray(lengths), rate_hz, highpass_hz, lowpass_hz, notch_hz, where)
    kernels = []
    if highpass_hz is not None or lowpass_hz is not None:
        kernels.append((_band(rate_hz, highpass_hz, lowpass_hz), rate_hz))
    if notch_hz is not None:
        kernels.append((_notch(rate_hz, notch_hz), rate_hz))
    ratio = Fraction(1) if resample_hz is None else rational(rate_hz, resample_hz, where)
    if ratio != 1:
        kernels.append((anti_aliasing(ratio), rate_hz * ratio.numerator))
    return Conditioning(rate_hz, ratio, tuple(kernels))


def anti_aliasing(ratio: Fraction) -> np.ndarray:
    """Taps of the filter for a change of rate, at ``ratio.numerator`` times the old rate; they sum to 1."""
    from scipy.signal import firwin

    widest = max(ratio.numerator, ratio.denominator)
    return firwin(2 * HALF_LENGTH * widest + 1, 1 / widest, window=("kaiser", KAISER_BETA))


def piece_starts(raw: "mne.io.BaseRaw") -> np.ndarray:
    """First samples of the joined pieces, the first piece's 0 included; shape (P,), ascending."""
    edges = [text.upper().startswith("EDGE") for text in raw.annotations.description]
    onsets = raw.annotations.onset[np.array(edges, dtype=bool)] - raw.first_time
    starts = raw.time_as_index(onsets, use_rounding=True) if len(onsets) else np.empty(0, dtype=np.int64)
    return np.unique(np.concatenate([[0], starts[(starts > 0) & (starts < raw.n_times)]])).astype(np.int64)


def places(bounds: Sequence[int], ratio: Fraction) -> list[int]:
    """Sample of the new rate at which each of some samples of the old rate stands, halves upwards.

    Each is rounded for itself, so that the rounding of one joined piece is not handed on to the next.
    """
    return [math.floor(int(bound) * ratio + Fraction(1, 2)) for bound in bounds]


def rational(old_hz: float, new_hz: float, where: str = "recording") -> Fraction:
    """``new_hz / old_hz`` as an exact ratio of whole numbers; UserError where the rates have none."""
    ratio = Fraction(new_hz / old_hz).limit_denominator(LARGEST_FACTOR)
    if ratio.numerator > LARGEST_FACTOR or abs(float(ratio) * old_hz / new_hz - 1) > 1e-9:
        raise UserError(
            f"{where}: {old_hz:g} Hz cannot be resampled to {new_hz:g} Hz",
            expected="rates whose ratio is a ratio of whole numbers",
            mend="choose another resample_hz, or null",
        )
    return ratio


@lru_cache(maxsize=8)
def _response(conditioning: Conditioning, block: int) -> np.ndarray:
    """Weight of each frequency that gets through, for blocks of so many samples; shape (K + 1,), float32."""
    from scipy.signal import zoom_fft

    new = int(block * conditioning.ratio)
    top = block // 2 if conditioning.ratio == 1 else math.ceil(STOP * min(block, new))
    frequencies = np.arange(top + 1) * (conditioning.rate_hz / block)
    response = np.full(top + 1, new / block)
    for taps, rate in conditioning.kernels:
        causal = zoom_fft(taps, [0, frequencies[-1]], m=top + 1, fs=rate, endpoint=True)
        response *= (causal * np.exp(2j * np.pi * frequencies / rate * (len(taps) // 2))).real
    return response.astype(np.float32)


def _band(rate: float, low: float | None, high: float | None) -> np.ndarray:
    from mne.filter import create_filter

    return create_filter(None, rate, low, high, fir_design="firwin", phase="zero", verbose="ERROR")


def _notch(rate: float, notch_hz: float) -> np.ndarray:
    """A band stop of 1/200 of its frequency and half a hertz of transition on either side, as in mne's notch filter."""
    from mne.filter import create_filter

    low, high = notch_hz * (1 + 1 / 400) + NOTCH_EDGE_HZ, notch_hz * (1 - 1 / 400) - NOTCH_EDGE_HZ
    widths = {"l_trans_bandwidth": NOTCH_EDGE_HZ, "h_trans_bandwidth": NOTCH_EDGE_HZ}
    return create_filter(None, rate, low, high, fir_design="firwin", phase="zero", verbose="ERROR", **widths)


def _check_rates(
    rate: float,
    highpass_hz: float | None,
    lowpass_hz: float | None,
    notch_hz: float | None,
    resample_hz: float | None,
    rates_hz: Sequence[float],
    where: str,
) -> None:
    if rates_hz and not any(math.isclose(rate, known, rel_tol=1e-6) for known in rates_hz):
        raise UserError(
            f"{where}: the file is sampled at {rate:g} Hz",
            expected=f"{' or '.join(f'{known:g}' for known in rates_hz)} Hz, the rate of this dataset",
            mend="leave the subject out with `exclude`, or restore the original file",
        )
    if highpass_hz is not None and lowpass_hz is not None and highpass_hz >= lowpass_hz:
        raise UserError(
            f"{where}: highpass_hz {highpass_hz:g} is not below lowpass_hz {lowpass_hz:g}",
            expected="a pass band",
            mend="lower highpass_hz or raise lowpass_hz",
        )
    slowest = min(rate, resample_hz or rate)
    for key, value, ceiling in (
        ("highpass_hz", highpass_hz, slowest / 2),
        ("lowpass_hz", lowpass_hz, slowest / 2),
        ("notch_hz", notch_hz, rate / 2 - 1),  # its own transition must fit below Nyquist
    ):
        if value is not None and value >= ceiling:
            raise UserError(
                f"{where}: {key} {value:g} does not fit a rate of {slowest:g} Hz",
                expected=f"less than {ceiling:g} Hz",
                mend=f"{key}: null, or a lower value" + (", or a higher resample_hz" if slowest < rate else ""),
            )
    if resample_hz is not None:
        rational(rate, resample_hz, where)


def _check_pieces(
    lengths: np.ndarray,
    rate: float,
    highpass_hz: float | None,
    lowpass_hz: float | None,
    notch_hz: float | None,
    where: str,
) -> None:
    """Refuse pieces shorter than a filter: mne would only warn, and the result would be mostly edge."""
    kernels = (
        ("highpass_hz", highpass_hz, lambda edge: _band(rate, edge, None)),
        ("lowpass_hz", lowpass_hz, lambda edge: _band(rate, None, edge)),
        ("notch_hz", notch_hz, lambda edge: _notch(rate, edge)),
    )
    filters = [(len(taps(edge)), key) for key, edge, taps in kernels if edge is not None]
    longest, key = max(filters, default=(0, ""))
    short = np.flatnonzero(lengths < longest)
    if len(short):
        piece, seconds = int(short[0]), float(lengths[short].min()) / rate
        raise UserError(
            f"{where}: {len(short)} of {len(lengths)} joined pieces are shorter than the {key} filter "
            f"({longest / rate:.2f} s), first piece {piece + 1}, shortest {seconds:.2f} s",
            expected=f"pieces of at least {longest / rate:.2f} s",
            mend=f"{key}: null" + _higher(key, seconds),
        )


def _higher(key: str, seconds: float) -> str:
    """The highpass that a piece of this length can bear, where it is still a sensible one for EEG."""
    edge = math.ceil(330 / seconds + 1) / 100  # the transition is as wide as the edge: 3.3 / edge seconds of filter
    return f" or {edge:g}" if key == "highpass_hz" and edge <= 2 else ""
