"""Public names of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable

__all__ = ["lazily"]


def lazily(package: str, **exports: Iterable[str]) -> Callable[[str], object]:
    """A module's ``__getattr__`` (PEP 562) that fetches names from modules of the package.

    The package's ``__dir__`` names its ``__all__`` from then on, for what completes names.

    Args:
        package: The package's ``__name__``.
        exports: Module of the package -> the names it provides.
    """
    home = {name: module for module, names in exports.items() for name in names}

    def fetch(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    module = sys.modules[package]
    vars(module)["__dir__"] = lambda: sorted(vars(module)["__all__"])
    return fetch
