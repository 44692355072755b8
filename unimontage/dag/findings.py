"""What a check found, as one line."""

from dataclasses import dataclass

from unimontage.errors import UserError

OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"


@dataclass(frozen=True)
class Finding:
    """A line of the pre-flight: which check, how it ended, what it saw."""

    check: str
    mark: str
    text: str


def fine(check: str, text: str) -> Finding:
    """Nothing is in the way."""
    return Finding(check, OK, text)


def note(check: str, what: str, *, expected: str | None = None, mend: str | None = None) -> Finding:
    """Something may come in the way later."""
    return Finding(check, NOTE, str(UserError(what, expected=expected, mend=mend)))


def wrong(check: str, what: str, *, expected: str | None = None, mend: str | None = None) -> Finding:
    """Something would stop or spoil the run: what was found, what was expected, what mends it."""
    return Finding(check, PROBLEM, str(UserError(what, expected=expected, mend=mend)))
