# SPDX-License-Identifier: MIT
"""Public names of a package, imported when they are first used (PEP 562)."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    modules : mapping
        From each module, relative to the package, to the names that it provides.

    Returns
    -------
    tuple of callable
        ``__getattr__`` and ``__dir__``, to be assigned in the package's ``__init__``.
    """
    origin = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> Any:
        if name not in origin:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{origin[name]}", package), name)

    def list_names() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *origin})

    return find, list_names
