"""What becomes of each electrode on its way from a file into a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from unimontage.montage.names import canonical

STATES = {
    "matched": "taken as it is",
    "aliased": "has another name in the file",
    "kept": "found bad and kept",
    "interpolated": "replaced by splines of its neighbours",
    "missing": "not in the recording",
    "averaged": "mixed with others into aligned rows",
    "unknown": "not in the vocabulary: shares one embedding with all such",
    "left out": "not used",
    "zero": "not in the dataset: filled with zeros",
}
"""Every state that an electrode can be in, in the order of legends."""

AS_RECORDED = "as recorded"


class State(NamedTuple):
    """What becomes of a channel: a key of :data:`STATES`, and in how many of how many recordings, or a name."""

    state: str
    note: str = ""


def recorded(channels: Sequence[str], sessions: Sequence[Mapping[str, Any]]) -> dict[str, State]:
    """State of each channel of a dataset over its recordings: of all that happened to it, the worst.

    Parameters
    ----------
    channels : sequence of str
        Channels of the dataset's windows.
    sessions : sequence of mapping
        What rule preprocess found in each recording: ``missing``, ``flat``, ``nan``, ``clipped``, ``handled`` and
        ``labels``, which has the name in the file of each channel where the file has names.
    """
    found = {}
    for channel in channels:
        lacking = sum(channel in session["missing"] for session in sessions)
        bad = [s for s in sessions if channel in {*s["flat"], *s["nan"], *s["clipped"]}]
        mended = sum(session["handled"] == "interpolate" for session in bad)
        names = {session["labels"].get(channel, channel) for session in sessions}
        others = sorted(name for name in names if not _same(name, channel))
        of = f"of {len(sessions)} recordings"
        if lacking:
            found[channel] = State("missing", f"in {lacking} {of}")
        elif mended:
            found[channel] = State("interpolated", f"in {mended} {of}")
        elif bad:
            found[channel] = State("kept", f"in {len(bad)} {of}")
        else:
            found[channel] = State("aliased", ", ".join(others)) if others else State("matched")
    return found


def with_vocabulary(channels: Sequence[str], vocabulary: Sequence[str]) -> dict[str, State]:
    """State of each channel where electrodes are told apart by the rows of an embedding table."""
    return {channel: State("matched" if channel in vocabulary else "unknown") for channel in channels}


def with_alignment(kind: str, channels: Sequence[str], corpus: Mapping[str, Sequence[str]]) -> dict[str, State]:
    """State of each channel where montages are aligned, and of what the alignment adds.

    Parameters
    ----------
    kind : str
        A kind of :mod:`unimontage.models.alignment`.
    channels : sequence of str
        Channels of the dataset.
    corpus : mapping of str to sequence of str
        Channels of the datasets that the alignment was made for.
    """
    if kind == "zero_padding":
        union = sorted({name for montage in corpus.values() for name in montage} - set(channels))
        return dict.fromkeys(channels, State("matched")) | dict.fromkeys(union, State("zero", "zero_padding"))
    if kind == "intersection":
        shared = set.intersection(*map(set, corpus.values()))
        return {channel: State("matched" if channel in shared else "left out") for channel in channels}
    return dict.fromkeys(channels, State("matched" if kind == "single" else "averaged"))


def _same(name: str, channel: str) -> bool:
    """Whether a file writes the channel's own name, but for case, the word EEG and dots."""
    bare = name.strip().upper().removeprefix("EEG ").strip().rstrip(".")
    return bare == channel and canonical(name) == channel
