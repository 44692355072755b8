"""The window store: what preprocessing writes and everything later reads."""

from unimontage.windows.pool import WindowPool
from unimontage.windows.store import WindowStore
from unimontage.windows.view import WindowView
from unimontage.windows.writer import WindowWriter, write_windows

__all__ = ["WindowPool", "WindowStore", "WindowView", "WindowWriter", "write_windows"]
