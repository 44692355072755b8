"""The exceptions a user is meant to read."""


class UserError(Exception):
    """Bad input, said in one line: what was found and where, what was expected, what mends it.

    Parameters
    ----------
    what : str
        What was found, and where.
    expected : str, optional
        What should have been there.
    mend : str, optional
        The YAML to write or the command to run.
    """

    def __init__(self, what: str, *, expected: str | None = None, mend: str | None = None) -> None:
        self.what, self.expected, self.mend = what, expected, mend
        parts = [what.rstrip(".")]
        if expected:
            parts.append(f"expected {expected.rstrip('.')}")
        if mend:
            parts.append(f"mend: {mend}")
        super().__init__("; ".join(" ".join(part.split()) for part in parts))

    def __reduce__(self):
        """Keep the keyword arguments when the exception crosses a process boundary."""
        return _rebuild, (self.what, self.expected, self.mend)


class Interrupted(Exception):  # noqa: N818 - it is no error
    """Work stopped before its end because the batch system wants the machine back; what was done is kept."""


def _rebuild(what: str, expected: str | None, mend: str | None) -> UserError:
    return UserError(what, expected=expected, mend=mend)
