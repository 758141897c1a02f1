"""Packages whose names are imported when they are asked for.

A command that needs one module of a package does not wait for what the others import.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, modules: Mapping[str, str]) -> tuple[Callable, Callable, list[str]]:
    """What a package defines to import its public names on demand.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    modules : mapping of str to str
        Modules and the names that they have, between spaces. No name may be that of a module: the
        module would take its place.

    Returns
    -------
    callable, callable, list of str
        ``__getattr__``, ``__dir__`` and ``__all__`` of the package.
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    return get, lambda: sorted(home), sorted(home)
