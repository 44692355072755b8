"""The typed, closed configuration: models, loader, and what documents them.

What is legal on its own is the models' business, what is legal together is that of ``unimontage.dag.legality``.
"""

from unimontage.config.loader import load_config
from unimontage.config.root import Config

__all__ = ["Config", "load_config"]
