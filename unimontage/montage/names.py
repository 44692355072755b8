"""One spelling per electrode: upper case, modified combinatorial 10-10 names."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable

from unimontage.errors import UserError

# Older 10-20 names of four temporal and parietal sites.
SYNONYMS = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}

# What a recorder appends to say against what it measured; "C3-A2" is C3.
_REFERENCE = re.compile(r"(?:-(?:REF|LE|AR|AVG|A1|A2|A1A2|M1|M2|M1M2))+$")
_MASTOIDS_AND_EARS = frozenset({"A1", "A2", "M1", "M2"})

# (lateral, central) prefix of each row, front to back; sites 7-10 are lateral, 1-6 and the midline central.
_ROWS = (
    ("AFP", "AFP"), ("AF", "AF"), ("AFF", "AFF"), ("F", "F"), ("FFT", "FFC"), ("FT", "FC"), ("FTT", "FCC"), ("T", "C"),
    ("TTP", "CCP"), ("TP", "CP"), ("TPP", "CPP"), ("P", "P"), ("PPO", "PPO"), ("PO", "PO"), ("POO", "POO"),
)  # fmt: skip
_SHORT_ROWS = ("FP", "O", "OI", "I")  # three sites each


def _ten_five_names() -> frozenset[str]:
    """Every name of the 10-05 system, upper case, with the ears, mastoids and the two cerebellar sites."""
    names = {row + site for row in _SHORT_ROWS for site in ("1", "Z", "2", "1H", "2H")}
    for lateral, central in _ROWS:
        names.add(central + "Z")
        names |= {central + f"{i}{half}" for i in range(1, 7) for half in ("", "H")}
        names |= {lateral + f"{i}{half}" for i in range(7, 11) for half in ("", "H")}
    return frozenset(names | _MASTOIDS_AND_EARS | {"CB1", "CB2"})


KNOWN = _ten_five_names()
"""Electrodes by themselves; a derivation between two of them is a channel as well, see :func:`derivation`."""
_SCALP = KNOWN - _MASTOIDS_AND_EARS


def canonical(name: str) -> str:
    """Spell one channel name the way the whole package does.

    Upper case; ``EEG`` prefix, reference suffix and padding dots removed; T3, T4, T5, T6 become T7, T8, P7, P8. What
    was measured against an ear or a mastoid has the name of its scalp electrode; what was measured between two scalp
    electrodes keeps both: they say where it looks.

    Parameters
    ----------
    name : str
        As the file spells it, e.g. ``"Fc5."``, ``"EEG T3-REF"``, ``"EEG Fpz-Cz"``.

    Returns
    -------
    str
        The canonical name: ``"FC5"``, ``"T7"``, ``"FPZ-CZ"``. A name that is no electrode comes back upper-cased;
        `canonical_channels` refuses it.
    """
    bare = name.strip().upper().removeprefix("EEG ").strip().rstrip(".")
    stripped = _REFERENCE.sub("", bare)
    if stripped not in {"", *_MASTOIDS_AND_EARS}:  # "A2-A1" is a derivation of its own, not the electrode A2
        bare = stripped
    bare = bare.rstrip(".")
    pair = "-".join(_synonym(site.strip()) for site in bare.split("-"))
    return pair if derivation(pair) else _synonym(bare)


def derivation(channel: str) -> tuple[str, str] | None:
    """The two scalp electrodes of a bipolar channel, ``("FPZ", "CZ")`` of ``"FPZ-CZ"``; None for any other name."""
    first, _, second = channel.partition("-")
    return (first, second) if first != second and {first, second} <= _SCALP else None


def _synonym(site: str) -> str:
    site = site.rstrip(".")
    return SYNONYMS.get(site, site)


def canonical_channels(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Spell a whole montage canonically and refuse what is not one.

    Parameters
    ----------
    names : iterable of str
        Channel names in file order.
    where : str
        What to name in the error, e.g. the file.

    Returns
    -------
    tuple of str
        Canonical names in the same order.

    Raises
    ------
    UserError
        For an unknown electrode (the nearest known name is suggested) or one that occurs twice.
    """
    names = tuple(names)
    channels = tuple(canonical(name) for name in names)
    for name, channel in zip(names, channels, strict=True):
        if channel not in KNOWN and not derivation(channel):
            near = difflib.get_close_matches(channel, sorted(KNOWN), n=1, cutoff=0)
            raise UserError(
                f"{where}: channel {name!r} is no known electrode",
                expected="names of the 10-05 system, or two of them as A-B",
                mend=f"correct the name in the file (nearest: {near[0]})",
            )
    for channel, count in Counter(channels).items():
        if count > 1:
            spellings = [name for name, c in zip(names, channels, strict=True) if c == channel]
            raise UserError(
                f"{where}: electrode {channel} occurs {count} times (as {', '.join(spellings)})",
                expected="each electrode once",
                mend="rename or remove the copy in the file",
            )
    return channels
