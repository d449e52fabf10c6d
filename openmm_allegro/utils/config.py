# SPDX-License-Identifier: MIT
"""Read TOML tables into frozen dataclasses; an unknown key is an error.

``dataclasses.asdict`` is the way back.
"""

import dataclasses
import math
import numbers
import tomllib
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

T = TypeVar("T")


def from_mapping(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build the dataclass ``cls`` from a table.

    Parameters
    ----------
    cls : dataclass type
    table : mapping
        Field names to values.
    where : str
        Name of the table in error messages.

    Raises
    ------
    ValueError
        If a key is unknown, a required one is missing, or a value is of the wrong type
        or out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: expected a table, found {table!r}")
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise ValueError(
            f"{where}: expected keys among {', '.join(fields)}; found "
            f"{', '.join(unknown)}"
        )
    missing = [
        name
        for name, f in fields.items()
        if name not in table
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(
            f"{where}: expected {', '.join(missing)}, found only "
            f"{', '.join(table) or 'an empty table'}"
        )
    values = {
        name: _checked_field(fields[name], value, where)
        for name, value in table.items()
    }
    try:
        return cls(**values)
    except ValueError as error:
        # that of [watchdogs] begins with the table's name, as the place has it
        text = str(error).removeprefix(f"{where.rpartition('[')[2].rstrip(']')}: ")
        raise ValueError(f"{where}: {text}") from error


def read_toml(path: str | Path, tables: Mapping[str, type]) -> dict[str, Any]:
    """Read a TOML file whose top-level tables map to dataclasses.

    Parameters
    ----------
    path : path
    tables : mapping of str to dataclass type
        The tables the file must have, no more and no less. A table whose dataclass
        needs no values may be absent.

    Returns
    -------
    dict of str to dataclass

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, or as ``from_mapping``.
    """
    content = read_tables(path, tables)
    return {
        name: from_mapping(cls, content.get(name, {}), f"{path} [{name}]")
        for name, cls in tables.items()
    }


def read_tables(path: str | Path, known: Collection[str]) -> dict[str, Any]:
    """Read a TOML file whose top-level tables are among the known ones.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_toml``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a TOML file, found nothing at {path}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected TOML, found {error}") from error
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise ValueError(
            f"{path}: expected tables among {', '.join(known)}; found "
            f"{', '.join(unknown)}"
        )
    return content


def _checked_field(field: dataclasses.Field, value: Any, where: str) -> Any:
    try:
        return checked_value(field.type, value, f"{where}: {field.name}")
    except ValueError:
        choices = getattr(field.metadata.get("setting"), "choices", ())
        if not choices:
            raise
        raise ValueError(
            f"{where}: expected {field.name} of {choices}, found {value!r}"
        ) from None


def checked_value(kind: Any, value: Any, where: str) -> Any:
    """Convert a value to the annotated type.

    Parameters
    ----------
    kind : type
        As a dataclass's field has it: ``float | None``, ``tuple[str, ...]``.
    value
    where : str
        Beginning of the error message.

    Raises
    ------
    ValueError
        If the value is of another type, or a number is not finite.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is types.UnionType:  # a type or None
        if value is None:
            return None
        (kind,) = (part for part in args if part is not types.NoneType)
        return checked_value(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: expected a list, found {value!r}")
        return tuple(checked_value(args[0], v, where) for v in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: expected a table, found {value!r}")
        return {k: checked_value(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if not isinstance(value, bool):  # NumPy's numbers are as good as Python's
        if kind is int and isinstance(value, numbers.Integral):
            value = int(value)
        if kind is float and isinstance(value, numbers.Real):
            try:
                value = float(value)
            except OverflowError:  # an integer of more than 308 digits
                value = math.inf if value > 0 else -math.inf
    # bool is an int in Python, but `seed = true` is a mistake
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where}: expected {kind.__name__}, found {value!r}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{where}: expected a finite number, found {value!r}")
    return value
