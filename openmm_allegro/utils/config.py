# SPDX-License-Identifier: MIT
"""Read TOML tables into frozen dataclasses; an unknown key is an error.

``dataclasses.asdict`` is the way back.
"""

import dataclasses
import math
import numbers
import tomllib
import types
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from .suggest import did_you_mean

T = TypeVar("T")


class SettingError(ValueError):
    """A value of a setting that the data does not allow.

    Parameters
    ----------
    text : str
    *names : str
        Fields that the value is of, or follows from.
    """

    def __init__(self, text: str, *names: str):
        super().__init__(text)
        self.names = names


# Characters of a TOML file, and dots in a line of it. Python's parser takes a time and
# a memory that grow with the square of the number of dots in a key.
_LONGEST_FILE = 200_000
_MOST_DOTS = 1000
_SHOWN = 100  # characters of a value in a message


def brief(value: Any) -> str:
    """Write a value into a message, in one line and not at length."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def brief_names(names: Iterable[str]) -> str:
    """Write names into a message, without quotes where they are plain words."""
    text = ", ".join(n if n and n.isprintable() else repr(n) for n in names)
    return text if len(text) <= 10 * _SHOWN else f"{text[: 10 * _SHOWN]}…"


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
        raise ValueError(f"{where}: expected a table, found {brief(table)}")
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise ValueError(
            f"{where}: expected keys among {', '.join(fields)}; found "
            f"{brief_names(unknown)}{did_you_mean(unknown, fields)}"
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
            f"{brief_names(table) or 'an empty table'}"
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
        with open(path, encoding="utf-8") as file:
            text = file.read(_LONGEST_FILE + 1)
        if len(text) > _LONGEST_FILE:
            raise ValueError(f"more than {_LONGEST_FILE} characters")
        if max(line.count(".") for line in text.split("\n")) > _MOST_DOTS:
            raise ValueError(f"a line with more than {_MOST_DOTS} dots")
        content = tomllib.loads(text)
    except ValueError as error:  # of TOML, of UTF-8, or of int()
        raise ValueError(f"{path}: expected TOML, found {error}") from error
    except RecursionError:
        raise ValueError(
            f"{path}: expected TOML, found values nested too deeply"
        ) from None
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise ValueError(
            f"{path}: expected tables among {', '.join(known)}; found "
            f"{brief_names(unknown)}{did_you_mean(unknown, known)}"
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
            f"{where}: expected {field.name} of {choices}, found {brief(value)}"
            f"{did_you_mean([value], map(str, choices))}"
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
            raise ValueError(f"{where}: expected a list, found {brief(value)}")
        return tuple(checked_value(args[0], v, where) for v in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: expected a table, found {brief(value)}")
        return {
            k: checked_value(args[1], v, f"{where}.{brief_names([k])}")
            for k, v in value.items()
        }
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
        raise ValueError(f"{where}: expected {kind.__name__}, found {brief(value)}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{where}: expected a finite number, found {value!r}")
    return value
