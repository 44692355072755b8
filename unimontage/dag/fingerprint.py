"""Fingerprints of code, so that an edit reruns the jobs that use it and no others."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT.name


@cache
def fingerprint(*modules: str) -> str:
    """Hash the code of modules and of everything in the package that they import.

    Imports at the top of a module are followed. Imports inside functions are choices (an objective, a baseline, a
    dataset): the rule that makes the choice names them. Comments, docstrings and layout do not count.

    Parameters
    ----------
    *modules : str
        Names within the package, for example ``"stages.pretrain"``.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Raises
    ------
    ModuleNotFoundError
        There is no such module: a fingerprint of nothing would never change.
    """
    digest = hashlib.sha256()
    for module in sorted(closure(*modules)):
        digest.update(f"{module}\0{_code(module)}\0".encode())
    return digest.hexdigest()[:16]


def closure(*modules: str) -> set[str]:
    """Names of the modules that :func:`fingerprint` covers: those named and all that they import at their top."""
    seen: set[str] = set()
    waiting = [f"{PACKAGE}.{module}" for module in modules]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += _imports(module)
    return seen


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split(".")[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module} to take a fingerprint of")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Modules of the package that a module imports at its top."""
    found = []
    for node in _tree(module).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(name for name in found if name.split(".")[0] == PACKAGE and _file(name))


@cache
def _code(module: str) -> str:
    """The module's syntax tree without docstrings, as text."""
    tree = ast.parse(ast.unparse(_tree(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
