# SPDX-License-Identifier: MIT
"""Settings declared once, as fields of a dataclass that know their bounds.

A field made by ``setting`` has a unit, bounds and a sentence. The check of a value, the
option of the command line and the row of the manual's table all come from it; the keys
of a TOML table come from the dataclass itself (``utils.config``).
"""

import argparse
import dataclasses
import types
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from .config import check_types

_KEY = "setting"


class Setting(NamedTuple):
    """Meaning and bounds of a field.

    Attributes
    ----------
    about : str
        One sentence, without its full stop.
    unit : str
        Empty for what has none.
    minimum, maximum : float, optional
        Bounds that are allowed values.
    above, below : float, optional
        Bounds that are not.
    choices : tuple
        All allowed values, or none where any will do.
    option : str
        Name on the command line; the field's own, with hyphens, if empty.
    metavar : str
        Placeholder in the help; the unit in capitals if empty.
    """

    about: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] = ()
    option: str = ""
    metavar: str = ""


def setting(default: Any = dataclasses.MISSING, /, **meaning: Any) -> Any:
    """Declare a field of a settings dataclass.

    Parameters
    ----------
    default
        Left out for a value that has to be given. Each instance has a dict of its own.
    **meaning
        Attributes of ``Setting``; ``about`` is required.

    Examples
    --------
    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True)
    ... class Fit:
    ...     start_ps: float = setting(0.0, about="Begin", unit="ps", minimum=0)
    ...
    ...     def __post_init__(self):
    ...         check_settings(self, "fit")
    >>> Fit(2).start_ps
    2.0
    >>> Fit(-1.0)
    Traceback (most recent call last):
    ValueError: fit: expected start_ps of at least 0, found -1.0
    """
    metadata = {_KEY: Setting(**meaning)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def meaning_of(cls: type, name: str) -> Setting:
    """Meaning and bounds of a field by its name.

    Raises
    ------
    KeyError
        If there is no such field, or it was not made by ``setting``.
    """
    return _settings(cls)[name].metadata[_KEY]


def check_settings(instance: Any, where: str) -> None:
    """Check types and bounds of a dataclass's fields, as they were declared.

    Each number of a tuple is held to the bounds. None passes where it is allowed.

    Parameters
    ----------
    instance : dataclass
    where : str
        What the error message begins with.

    Raises
    ------
    ValueError
        If a value is of another type or out of bounds.
    """
    check_types(instance, where)
    for name, field in _settings(type(instance)).items():
        value = getattr(instance, name)
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                _check(item, field.metadata[_KEY], f"{where}: expected {name}")


def add_options(parser: Any, cls: type, names: Iterable[str] | None = None) -> None:
    """Add an option for each field, absent from the result where it is not given.

    A flag turns a bool over: ``--name``, or ``--no-name`` where the default is true.
    Several numbers are one argument, with commas.

    Parameters
    ----------
    parser : argparse parser or group
    cls : dataclass type
    names : iterable of str, optional
        Fields to take; all that were made by ``setting`` by default.
    """
    fields = _settings(cls)
    for name in fields if names is None else names:
        field = fields[name]
        meaning = field.metadata[_KEY]
        option = "--" + (meaning.option or name.replace("_", "-"))
        shared = {"dest": name, "default": argparse.SUPPRESS, "help": _help(field)}
        kind = _plain_type(field.type)
        if kind is bool:
            action = "store_false" if field.default is True else "store_true"
            flag = option.replace("--", "--no-", 1) if field.default is True else option
            parser.add_argument(flag, action=action, **shared)
            continue
        if meaning.choices:
            parser.add_argument(option, type=kind, choices=meaning.choices, **shared)
            continue
        metavar = meaning.metavar or meaning.unit.upper() or None
        convert = _items(kind) if get_origin(kind) is tuple else kind
        parser.add_argument(option, type=convert, metavar=metavar, **shared)


def given_options(options: argparse.Namespace, cls: type) -> dict[str, Any]:
    """Values of the fields that were given on the command line, by field name."""
    return {name: getattr(options, name) for name in _settings(cls) if name in options}


def settings_table(cls: type, names: Sequence[str] | None = None) -> str:
    """Rows of Markdown: key, default, unit, allowed values and meaning."""
    lines = ["| key | default | unit | allowed | meaning |", "|---|---|---|---|---|"]
    fields = _settings(cls)
    for name in fields if names is None else names:
        field = fields[name]
        meaning = field.metadata[_KEY]
        cells = (
            f"`{name}`",
            _shown_default(field),
            meaning.unit,
            _allowed(meaning),
            meaning.about,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _settings(cls: type) -> dict[str, dataclasses.Field]:
    return {f.name: f for f in dataclasses.fields(cls) if _KEY in f.metadata}


def _check(value: Any, meaning: Setting, expected: str) -> None:
    if meaning.choices and value not in meaning.choices:
        raise ValueError(f"{expected} of {meaning.choices}, found {value!r}")
    lowest, highest = meaning.minimum, meaning.maximum
    if (lowest is not None and value < lowest) or (
        highest is not None and value > highest
    ):
        raise ValueError(f"{expected} of {_range(meaning)}, found {value}")
    if meaning.above is not None and value <= meaning.above:
        raise ValueError(f"{expected} above {meaning.above:g}, found {value}")
    if meaning.below is not None and value >= meaning.below:
        raise ValueError(f"{expected} below {meaning.below:g}, found {value}")


def _range(meaning: Setting) -> str:
    parts = []
    if meaning.minimum is not None:
        parts.append(f"at least {_number(meaning.minimum)}")
    if meaning.maximum is not None:
        parts.append(f"at most {_number(meaning.maximum)}")
    return " and ".join(parts)


def _number(value: float) -> str:
    """Integers in full, since a bound that is rounded would be another one."""
    return str(value) if isinstance(value, int) else f"{value:g}"


def _allowed(meaning: Setting) -> str:
    if meaning.choices:
        return ", ".join(f"`{choice}`" for choice in meaning.choices)
    parts = [_range(meaning)]
    for word in ("above", "below"):
        bound = getattr(meaning, word)
        if bound is not None:
            parts.append(f"{word} {bound:g}")
    return " and ".join(part for part in parts if part)


def _plain_type(kind: Any) -> Any:
    """Type of a field without the None that it may be instead."""
    if isinstance(kind, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not types.NoneType)
    return kind


def _items(kind: Any) -> Any:
    """Reader of an argument such as ``300,3000``."""
    item = get_args(kind)[0]

    def read(text: str) -> tuple[Any, ...]:
        try:
            return tuple(item(part) for part in text.split(","))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected a number, or several like 300,3000, found {text!r}"
            ) from None

    return read


def _help(field: dataclasses.Field) -> str:
    meaning = field.metadata[_KEY]
    text = meaning.about + (f", {meaning.unit}" if meaning.unit else "")
    if _plain_type(field.type) is not bool:
        default = _shown_default(field)
        text += f" (default {default})" if default else ""
    return text.replace("%", "%%")


def _shown_default(field: dataclasses.Field) -> str:
    if field.default in (dataclasses.MISSING, None, "", ()):
        return ""
    if isinstance(field.default, tuple):
        return ",".join(f"{item:g}" for item in field.default)
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return str(field.default)
