"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fix`` renews generated files instead of failing where they are stale."""
    parser.addoption("--fix", action="store_true", help="renew generated files instead of failing on stale ones")
