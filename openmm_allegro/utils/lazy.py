# SPDX-License-Identifier: MIT
"""Public names of a package, imported when they are first used (PEP 562)."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .extras import naming_extras


def lazy_names(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__all__``, ``__getattr__`` and ``__dir__`` of a package.

    Its submodules are found as attributes, too, imported before or not.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    modules : mapping
        From each module, relative to the package, to the names that it provides.

    Returns
    -------
    tuple
        ``__all__``, ``__getattr__`` and ``__dir__``, to be assigned in the package's
        ``__init__``.
    """
    origin = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> Any:
        if name in origin:
            with naming_extras():
                module = importlib.import_module(f".{origin[name]}", package)
            return getattr(module, name)
        submodule = f"{package}.{name}"
        # Python asks for names such as __path__, which are no modules.
        if (
            name.isidentifier()
            and name[0] != "_"
            and importlib.util.find_spec(submodule)
        ):
            return importlib.import_module(submodule)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_names() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *origin})

    return list(origin), find, list_names
