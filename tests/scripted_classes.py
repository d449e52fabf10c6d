# SPDX-License-Identifier: MIT
"""What torch looks up in the classes of modules to script them, looked up once.

A module of a force is scripted in hundreds of tests. More than half of that time torch
reads the sources of the same methods again, which do not change.
"""

import functools
from collections.abc import Callable
from typing import Any


def keep_what_classes_have() -> None:
    """Remember overloads, properties and syntax trees of methods by class or function.

    Where torch has no functions of these names, nothing is changed.
    """
    from torch.jit import _recursive

    for name, keep in (
        ("get_overload_annotations", _keep_none_found),
        ("get_property_stubs", _keep_of_class),
        ("get_jit_def", _keep_of_function),
    ):
        if hasattr(_recursive, name):
            setattr(_recursive, name, keep(getattr(_recursive, name)))


def _keep_none_found(look: Callable[..., dict]) -> Callable[..., dict]:
    """Of a class without overloaded methods."""
    without: set[Any] = set()

    @functools.wraps(look)
    def kept(module: Any, ignored: Any) -> dict:
        key = type(module), frozenset(ignored)
        if key in without:
            return {}
        found = look(module, ignored)
        if not found:
            without.add(key)
        return found

    return kept


def _keep_of_class(look: Callable[..., list]) -> Callable[..., list]:
    known: dict[Any, list] = {}

    @functools.wraps(look)
    def kept(module: Any) -> list:
        if type(module) not in known:
            known[type(module)] = look(module)
        return known[type(module)]

    return kept


def _keep_of_function(look: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[Any, Any] = {}

    @functools.wraps(look)
    def kept(function: Any, *arguments: Any, **options: Any) -> Any:
        key = getattr(function, "__func__", function), arguments, *options.items()
        if key not in known:
            known[key] = look(function, *arguments, **options)
        return known[key]

    return kept
