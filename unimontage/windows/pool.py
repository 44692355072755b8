"""The windows of one or several subjects of a dataset, looked up by id."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from unimontage.errors import UserError
from unimontage.windows.store import WindowStore


@dataclass(frozen=True)
class WindowPool:
    """Windows that share channels and rate, left on disk until they are asked for.

    Attributes
    ----------
    stores : tuple of WindowStore
        One a subject; the pool's windows are theirs, end to end.
    ids : Index, length N
        Window ids.
    domain : ndarray of str, shape (N,)
        ``subject/session`` of every window.
    """

    stores: tuple[WindowStore, ...]
    ids: pd.Index
    domain: np.ndarray

    @classmethod
    def of(cls, stores: Sequence[WindowStore]) -> "WindowPool":
        """Put stores end to end without reading their signals.

        Raises
        ------
        UserError
            Two stores differ in channels, rate or window length.
        """
        first = stores[0]
        for other in stores[1:]:
            if _kind(other) != _kind(first):
                raise UserError(
                    f"{first.attributes['subject']} and {other.attributes['subject']} differ in channels or rate",
                    expected="one montage, one rate and one window length within a dataset",
                    mend="preprocess both with the same options",
                )
        tables = [store.table.assign(subject=store.attributes["subject"]) for store in stores]
        table = pd.concat(tables, ignore_index=True)
        domain = table["subject"].str.cat(table["session"], sep="/").to_numpy(dtype=object)
        return cls(tuple(stores), pd.Index(table["window"]), domain)

    @property
    def channels(self) -> tuple[str, ...]:
        """Electrodes, in the order of axis 1."""
        return self.stores[0].channels

    @property
    def sfreq_hz(self) -> float:
        """Sampling rate."""
        return self.stores[0].sfreq_hz

    @property
    def n_times(self) -> int:
        """Samples of a window."""
        return self.stores[0].signal.shape[2]

    @classmethod
    def alike(cls, stores: Sequence[WindowStore]) -> list["WindowPool"]:
        """A pool for each montage, rate and window length that occurs, in the order of their first stores."""
        kinds: dict[tuple, list[WindowStore]] = {}
        for store in stores:
            kinds.setdefault(_kind(store), []).append(store)
        return [cls.of(members) for members in kinds.values()]

    @cached_property
    def scale(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Median and robust standard deviation of each channel, microvolt, by domain; two arrays of shape (C,).

        NaN where the domain lacks the channel.

        Raises
        ------
        UserError
            A store was written without them.
        """
        found = {}
        for store in self.stores:
            if "scale" not in store.attributes:
                raise UserError(
                    f"the window store of subject {store.attributes['subject']} says nothing of its scale",
                    expected="a store written by rule preprocess",
                    mend="delete the store and run the same command again",
                )
            for session, scale in store.attributes["scale"].items():
                pair = np.array(scale["median"], dtype=float), np.array(scale["sd"], dtype=float)
                found[f"{store.attributes['subject']}/{session}"] = pair
        return found

    @cached_property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """Channels that each domain lacks; its windows hold NaN there."""
        found = dict.fromkeys(pd.unique(self.domain), ())
        for store in self.stores:
            lacking = store.attributes.get("missing", {})
            found |= {f"{store.attributes['subject']}/{session}": tuple(names) for session, names in lacking.items()}
        return found

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

    def windows(self, positions: np.ndarray) -> np.ndarray:
        """Read windows.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)
            As :meth:`rows` gives them, in any order, repeated or not.

        Returns
        -------
        ndarray, shape (n, C, T), float32
            Microvolt, in the order of ``positions``.

        Raises
        ------
        IndexError
            A position is not in the pool.
        """
        out = np.empty((len(positions), len(self.channels), self.n_times), dtype=np.float32)
        for store, here, rows in self._owners(positions):
            out[here] = store.signal[rows]
        return out

    def segments(self, positions: np.ndarray, channels: np.ndarray) -> np.ndarray:
        """Read one channel of each of some windows.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)
            As :meth:`rows` gives them.
        channels : ndarray of int, shape (n,)
            Place of the channel of each.

        Returns
        -------
        ndarray, shape (n, T), float32
            Microvolt.

        Raises
        ------
        IndexError
            A position is not in the pool.
        """
        out = np.empty((len(positions), self.n_times), dtype=np.float32)
        for store, here, rows in self._owners(positions):
            out[here] = store.signal[rows, channels[here]]
        return out

    def _owners(self, positions: np.ndarray) -> Iterator[tuple[WindowStore, np.ndarray, np.ndarray]]:
        """Each store that holds some of the positions, which of them (n,) of bool, and their rows in the store."""
        positions = np.asarray(positions, dtype=np.intp)
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(self.ids):
            raise IndexError(f"positions {positions.min()}..{positions.max()} of {len(self.ids)} windows")
        ends = np.cumsum([len(store.signal) for store in self.stores])
        owner = np.searchsorted(ends, positions, side="right")  # (n,)
        for index in np.unique(owner):
            store, here = self.stores[index], owner == index
            yield store, here, positions[here] - (ends[index] - len(store.signal))


def _kind(store: WindowStore) -> tuple[tuple[str, ...], float, int]:
    return store.channels, store.sfreq_hz, store.signal.shape[2]
