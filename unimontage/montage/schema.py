"""The channel vocabulary: which electrode has which row in an embedding table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from unimontage.errors import UserError
from unimontage.montage.names import canonical, canonical_channels


@dataclass(frozen=True)
class Vocabulary:
    """Sorted canonical electrode names; the first has index 1, because 0 stands for every unknown electrode.

    Parameters
    ----------
    names : tuple of str
        Canonical names, sorted, each once.

    Raises
    ------
    UserError
        If the names are not canonical, not sorted or not unique: an index would mean different electrodes in
        different runs.

    Notes
    -----
    Unified Channel Schema of arXiv 2511.08444: the union of the montages of a corpus. The intersection is the ablation.
    """

    names: tuple[str, ...]
    _position: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = canonical_channels(self.names, "channel vocabulary")
        if not names:
            raise UserError("channel vocabulary is empty", expected="at least one electrode")
        if names != tuple(self.names) or list(names) != sorted(names):
            raise UserError(
                f"channel vocabulary {', '.join(self.names)} is not sorted or not canonical",
                expected=", ".join(sorted(names)),
                mend="build it with Vocabulary.union or Vocabulary.intersection",
            )
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "_position", {name: i + 1 for i, name in enumerate(names)})

    @classmethod
    def union(cls, montages: Iterable[Sequence[str]]) -> "Vocabulary":
        """Every electrode that occurs in any of the montages."""
        return cls(tuple(sorted(set().union(*_electrodes(montages)))))

    @classmethod
    def intersection(cls, montages: Iterable[Sequence[str]]) -> "Vocabulary":
        """The electrodes that all montages share.

        Raises
        ------
        UserError
            If they share none.
        """
        sets = _electrodes(montages)
        common = set.intersection(*sets) if sets else set()
        if not common:
            raise UserError(
                "these montages have no electrode in common",
                expected="at least one shared electrode",
                mend="recipe: {vocabulary: ucs}",
            )
        return cls(tuple(sorted(common)))

    @classmethod
    def from_list(cls, names: Iterable[str]) -> "Vocabulary":
        """Rebuild a vocabulary that `to_list` wrote."""
        return cls(tuple(names))

    def to_list(self) -> list[str]:
        """Plain list of names, for JSON and YAML."""
        return list(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return canonical(name) in self._position

    def index(self, channels: Iterable[str]) -> np.ndarray:
        """Row of each channel in an embedding table.

        Parameters
        ----------
        channels : iterable of str
            Electrode names in any spelling.

        Returns
        -------
        ndarray of int64, shape (C,)
            1-based index; 0 for an electrode outside the vocabulary.
        """
        return np.array([self._position.get(canonical(name), 0) for name in channels], dtype=np.int64)


def _electrodes(montages: Iterable[Sequence[str]]) -> list[set[str]]:
    return [set(canonical_channels(montage, "montage")) for montage in montages]
