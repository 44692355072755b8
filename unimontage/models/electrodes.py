"""The electrodes that LaBraM's table of embeddings holds."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from unimontage.errors import UserError
from unimontage.montage.names import canonical

_NAMES = """
FP1 FPZ FP2 AF9 AF7 AF5 AF3 AF1 AFZ AF2 AF4 AF6 AF8 AF10 F9 F7 F5 F3 F1 FZ F2 F4 F6 F8 F10 FT9 FT7 FC5 FC3 FC1 FCZ
FC2 FC4 FC6 FT8 FT10 T9 T7 C5 C3 C1 CZ C2 C4 C6 T8 T10 TP9 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 TP10 P9 P7 P5 P3 P1
PZ P2 P4 P6 P8 P10 PO9 PO7 PO5 PO3 PO1 POZ PO2 PO4 PO6 PO8 PO10 O1 OZ O2 O9 CB1 CB2 IZ O10 T3 T5 T4 T6 M1 M2 A1 A2
CFC1 CFC2 CFC3 CFC4 CFC5 CFC6 CFC7 CFC8 CCP1 CCP2 CCP3 CCP4 CCP5 CCP6 CCP7 CCP8 T1 T2 FTT9H TTP7H TPP9H FTT10H
TPP8H TPP10H FP1-F7 F7-T7 T7-P7 P7-O1 FP2-F8 F8-T8 T8-P8 P8-O2
"""
ELECTRODES = tuple(_NAMES.split())
"""Electrodes of the released weights, in the order of their table. Row 0 of the table is the CLS token's.

The older names T3 to T6 have rows of their own there; here, as everywhere in this package, they are T7, T8, P7, P8.
"""
_ROW = {name: row for row, name in enumerate(ELECTRODES, start=1)}


@lru_cache(maxsize=256)
def electrode_rows(channels: tuple[str, ...]) -> tuple[int, ...]:
    """Row of each channel in the electrode table, from 1 to 128.

    Parameters
    ----------
    channels : tuple of str
        Names in any spelling that :func:`unimontage.montage.names.canonical` knows.

    Raises
    ------
    UserError
        For a name outside :data:`ELECTRODES`.
    """
    spelt = [canonical(name) for name in channels]
    for name, electrode in zip(channels, spelt, strict=True):
        if electrode not in _ROW:
            near = get_close_matches(electrode, ELECTRODES, n=1, cutoff=0)
            raise UserError(
                f"LaBraM has no embedding for channel {name!r}",
                expected="one of its 128 electrodes and derivations",
                mend=f"leave the channel out, or correct its name (nearest: {near[0]})",
            )
    return tuple(_ROW[electrode] for electrode in spelt)
