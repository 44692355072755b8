"""The windows of one or several subjects of a dataset, looked up by id."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.windows.store import WindowStore


@dataclass(frozen=True)
class WindowPool:
    """Windows that share channels and rate.

    Attributes
    ----------
    signal : ndarray or memmap, shape (N, C, T), float32
        Microvolt.
    ids : Index, length N
        Window ids.
    domain : ndarray of str, shape (N,)
        ``subject/session`` of every window.
    channels : tuple of str
        Electrodes.
    sfreq_hz : float
        Sampling rate.
    """

    signal: np.ndarray
    ids: pd.Index
    domain: np.ndarray
    channels: tuple[str, ...]
    sfreq_hz: float

    @classmethod
    def of(cls, stores: Sequence[WindowStore]) -> "WindowPool":
        """Put stores end to end; a single one stays on disk until it is indexed.

        Raises
        ------
        UserError
            Two stores differ in channels or rate.
        """
        first = stores[0]
        for other in stores[1:]:
            if (other.channels, other.sfreq_hz) != (first.channels, first.sfreq_hz):
                raise UserError(
                    f"{first.attributes['subject']} and {other.attributes['subject']} differ in channels or rate",
                    expected="one montage and one rate within a dataset",
                    mend="preprocess both with the same options",
                )
        tables = [store.table.assign(subject=store.attributes["subject"]) for store in stores]
        table = pd.concat(tables, ignore_index=True)
        signal = first.signal if len(stores) == 1 else np.concatenate([store.signal for store in stores])
        domain = table["subject"].str.cat(table["session"], sep="/").to_numpy(dtype=object)
        return cls(signal, pd.Index(table["window"]), domain, first.channels, first.sfreq_hz)

    def rows(self, windows: Sequence[str]) -> np.ndarray:
        """Positions of window ids.

        Raises
        ------
        UserError
            An id is not here.
        """
        rows = self.ids.get_indexer(pd.Index(windows))
        if (rows < 0).any():
            missing = pd.Index(windows)[rows < 0][0]
            raise UserError(
                f"window {missing} is not in the window store", expected="the windows the split was made from"
            )
        return rows
