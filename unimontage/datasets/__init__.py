"""One module a dataset: facts, reader of the native format, writer of its synthetic twin.

A module of this folder that defines ``FACTS`` is a dataset; adding one touches no other file. Importing a dataset needs
only the standard library, numpy and pandas, so that the workflow can be planned where nothing else is installed.
"""

import difflib
import importlib
import pkgutil
from functools import cache
from types import ModuleType

from unimontage.datasets.facts import DatasetFacts
from unimontage.errors import UserError


@cache
def _modules() -> dict[str, ModuleType]:
    found = (importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__))
    return {module.FACTS.key: module for module in found if isinstance(getattr(module, "FACTS", None), DatasetFacts)}


def keys() -> tuple[str, ...]:
    """Keys of all datasets, sorted."""
    return tuple(sorted(_modules()))


def load(key: str) -> ModuleType:
    """Module of a dataset: ``FACTS``, ``read``, ``write_twin``, ``check``; of a grouped one ``sittings`` too.

    Raises
    ------
    UserError
        For an unknown key; the nearest known one is named.
    """
    modules = _modules()
    if key not in modules:
        near = difflib.get_close_matches(key, keys(), n=1, cutoff=0)
        raise UserError(
            f"there is no dataset {key!r}", expected=f"one of {', '.join(keys())}", mend=f"did you mean {near[0]}?"
        )
    return modules[key]


def facts(key: str) -> DatasetFacts:
    """Facts of a dataset; see `load` for the error."""
    return load(key).FACTS
