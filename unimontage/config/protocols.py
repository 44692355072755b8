"""Protocols: their names, what they have in common, and the label budgets that they are combined with."""

import re
from dataclasses import dataclass, replace
from typing import Literal

Protocol = Literal[
    *("paper", "strict_trial", "seed_9_6", "strict_loso"),
    *("strict_subject", "paper_subject", "strict_official", "paper_official"),
]
Unit = Literal["window", "subject"]
FULL = 100.0
NAME = re.compile(r"(?P<protocol>[a-z0-9_]+?)(_(?P<percent>\d+(?:p\d+)?)pct(?P<unit>_subjects)?)?")
ACROSS_SUBJECTS = ("strict_loso", "strict_subject", "paper_subject")
"""Protocols under which no test subject trains."""
BY_SUBJECT = ("strict_subject", "paper_subject")
"""Protocols that divide a dataset's subjects into three roles."""
OFFICIAL = ("strict_official", "paper_official")
"""Protocols that divide as the dataset's owners, or its usual users, do."""
POOLED = (*BY_SUBJECT, *OFFICIAL)
"""Protocols that train and test on several subjects at once."""
SHARED = ("strict_loso", *POOLED)
"""Protocols under which one model serves several subjects: it scales all windows alike."""
PRINTED = {"paper": "strict_trial", "paper_subject": "strict_subject", "paper_official": "strict_official"}
"""Protocols of the papers, each with the strict one that divides windows likewise."""


@dataclass(frozen=True)
class Division:
    """A protocol and the share of the training labels that it may use.

    Attributes
    ----------
    protocol : str
        How windows are divided.
    percent : float
        Of the training labels.
    unit : {"window", "subject"}
        What is counted.
    """

    protocol: str
    percent: float = FULL
    unit: Unit = "window"

    @property
    def name(self) -> str:
        """What tables and paths call it: ``strict_loso``, ``strict_loso_5pct``, ``strict_loso_5pct_subjects``."""
        if self.percent == FULL:
            return self.protocol
        return f"{self.protocol}_{self.percent:g}pct".replace(".", "p") + (
            "_subjects" if self.unit == "subject" else ""
        )

    @property
    def strict(self) -> str | None:
        """Name of the strict protocol that divides as this paper's protocol does, with the same labels."""
        strict = PRINTED.get(self.protocol)
        return replace(self, protocol=strict).name if strict else None

    @classmethod
    def parse(cls, name: str) -> "Division":
        """The division that a name stands for."""
        found = NAME.fullmatch(name)
        percent = float((found["percent"] or "100").replace("p", "."))
        return cls(found["protocol"], percent, "subject" if found["unit"] else "window")
