"""Which code makes a stage, found by its imports: a list kept by hand misses whatever a refactoring moves."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from types import ModuleType

import espalier_builder
from espalier_builder.contracts import digest_of_json

# What computes beside our own code.
_ENGINES = ("gguf", "tokenizers", "torch", "transformers")


def code_version(*modules: ModuleType) -> str:
    """A digest of the code that `modules` run, so that a changed stage never serves what its old code made.

    That is their sources, those of all modules of this package that they import, directly or not, and the engines'
    versions.
    """
    reached: set[str] = set()
    ahead = [module.__name__ for module in modules]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += _imports(name)
    sources = {name: inspect.getsource(import_module(name)) for name in reached}
    return digest_of_json({"sources": sources, "engines": {name: metadata.version(name) for name in _ENGINES}})


@cache
def _imports(name: str) -> frozenset[str]:
    """The modules of this package that module `name` imports, in functions too."""
    tree = ast.parse(inspect.getsource(import_module(name)))
    return frozenset(found for node in ast.walk(tree) for found in _imported_by(node))


def _imported_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if _is_ours(alias.name))
    elif isinstance(node, ast.ImportFrom) and node.module is not None and _is_ours(node.module):
        is_package = hasattr(import_module(node.module), "__path__")
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if is_package and find_spec(submodule) is not None else node.module


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == espalier_builder.__name__
