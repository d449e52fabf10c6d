# SPDX-License-Identifier: MIT
"""Settings declared once, as fields of a dataclass that know their bounds.

A field made by ``setting`` has a unit, bounds and a sentence. The check of a value, the
option of the command line, the docstring and the row of the manual's table all come
from it; the keys of a TOML table come from the dataclass itself (``utils.config``).
"""

import argparse
import dataclasses
import math
import operator
import textwrap
import types
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

from .config import brief, checked_value
from .pairs import AddPairs, read_pairs
from .suggest import did_you_mean

T = TypeVar("T")

_KEY = "setting"
_SHOWN = 10  # largest number of values that a message repeats
# By the names of bounds: what a value must be, in words and as a test.
_BOUNDS = {
    "minimum": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "maximum": ("at most", operator.le),
    "below": ("below", operator.lt),
}
_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}


class Setting(NamedTuple):
    """Meaning and bounds of a field."""

    about: str  # a sentence without full stop; of a bool, what it does: a verb first
    unit: str = ""
    minimum: float | None = None  # itself allowed, as maximum is
    maximum: float | None = None
    above: float | None = None  # itself not allowed, nor is below
    below: float | None = None
    choices: tuple[Any, ...] = ()  # all allowed values, or none where any will do
    # Name on the command line and, with underscores, of an argument in Python; the
    # field's own if empty.
    option: str = ""
    metavar: str = ""  # placeholder in the help; the unit if empty
    example: str = "1,2"  # of several numbers on the command line
    recorded: bool = True  # by the record of a run
    may_change: bool = False  # when a run or a training is resumed


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
    ValueError: fit: expected start_ps of at least 0 ps, found -1.0
    """
    metadata = {_KEY: Setting(**meaning)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def setting_of(cls: type, name: str, /, **changes: Any) -> Any:
    """Declare a field as another dataclass has it, but for the changes.

    Parameters
    ----------
    cls : dataclass type
    name : str
        A field of it.
    **changes
        ``default``, or attributes of ``Setting``.
    """
    field = _settings(cls)[name]
    default = changes.pop("default", field.default)
    return setting(default, **field.metadata[_KEY]._replace(**changes)._asdict())


def documented(cls: type[T]) -> type[T]:
    """Add the meaning of a dataclass's fields to its docstring; a decorator."""
    lines = ["    Parameters", "    ----------"]
    for name, field in _settings(cls).items():
        meaning = field.metadata[_KEY]
        kind = getattr(field.type, "__name__", str(field.type))
        kind = str(field.type) if get_origin(field.type) else kind
        unit = f", {meaning.unit}" if meaning.unit else ""
        default = _shown_default(field)
        about = meaning.about + (f" (default {default})" if default else "")
        lines.append(f"    {name} : {kind}{unit}")
        indent = " " * 8
        lines += textwrap.wrap(
            about + ".", 88, initial_indent=indent, subsequent_indent=indent
        )
    head, raises, tail = (cls.__doc__ or "").partition("    Raises\n")
    parameters = "\n".join(lines) + "\n"
    blank = "\n" if raises else "    "
    cls.__doc__ = f"{head.rstrip()}\n\n{parameters}{blank}{raises}{tail}"
    return cls


def settings_of(cls: type) -> dict[str, Setting]:
    """Meaning and bounds of all fields that were made by ``setting``, by name."""
    return {name: field.metadata[_KEY] for name, field in _settings(cls).items()}


def argument_names(cls: type) -> dict[str, str]:
    """Names of fields by those that arguments in Python have for them."""
    return {
        meaning.option.replace("-", "_") or name: name
        for name, meaning in settings_of(cls).items()
    }


def check_settings(instance: Any, where: str = "", *, bits: int = 0) -> None:
    """Check types and bounds of a dataclass's fields, as they were declared.

    Each number of a tuple or table is held to the bounds. None passes where it is
    allowed. Lists become tuples, and integers floats, where those are declared.

    Parameters
    ----------
    instance : dataclass
    where : str
        Beginning of the error message, if any.
    bits : int
        Bits of the largest integer, 31 for OpenMM's; 63 by default.

    Raises
    ------
    ValueError
        If a value is of another type or out of bounds.
    """
    start = f"{where}: " if where else ""
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if _KEY in field.metadata:
            value = _checked_setting(field, value, start)
            if bits and isinstance(value, int) and value >= 2**bits:
                raise ValueError(
                    f"{start}expected {field.name}{_range(field.metadata[_KEY])} and "
                    f"below 2^{bits}, found {brief(value)}"
                )
        else:
            value = checked_value(field.type, value, f"{start}{field.name}")
        object.__setattr__(instance, field.name, value)


def add_options(
    parser: Any,
    cls: type,
    names: Iterable[str] | None = None,
    *,
    require: bool = False,
) -> None:
    """Add an option for each field, absent from the result where it is not given.

    A bool becomes a flag that reverses the default: ``--name`` where that is false,
    ``--no-name`` where it is true. Several numbers are one argument, with commas.

    Parameters
    ----------
    parser : argparse parser or group
    cls : dataclass type
    names : iterable of str, optional
        Fields to take; all that were made by ``setting`` by default.
    require : bool, optional
        True if fields without a default have to be given on the command line.
    """
    fields = _settings(cls)
    for name in fields if names is None else names:
        field = fields[name]
        meaning = field.metadata[_KEY]
        option = option_of(cls, name)
        shared = {"dest": name, "default": argparse.SUPPRESS, "help": _help(field)}
        if require and field.default is dataclasses.MISSING:
            shared["required"] = True
        kind = _plain_type(field.type)
        if kind is bool:
            action = "store_false" if field.default is True else "store_true"
            parser.add_argument(option, action=action, **shared)
            continue
        if meaning.choices:
            parser.add_argument(option, type=kind, choices=meaning.choices, **shared)
            continue
        metavar = meaning.metavar or meaning.unit or None
        if get_origin(kind) is dict:
            shared |= {"nargs": "+", "action": AddPairs, "type": read_pairs}
            parser.add_argument(option, metavar=metavar, **shared)
            continue
        convert = _items(kind, meaning) if get_origin(kind) is tuple else kind
        parser.add_argument(option, type=convert, metavar=metavar, **shared)


def option_of(cls: type, name: str) -> str:
    """Spell a field as an option of the command line, such as ``--no-minimize``."""
    field = _settings(cls)[name]
    turned = "no-" if field.default is True else ""
    return f"--{turned}{field.metadata[_KEY].option or name.replace('_', '-')}"


def given_options(options: argparse.Namespace, cls: type) -> dict[str, Any]:
    """Values of the fields that were given on the command line, by field name.

    Raises
    ------
    ValueError
        If one is out of bounds; its option is named.
    """
    given = {name: getattr(options, name) for name in _settings(cls) if name in options}
    for name, value in given.items():
        check_value(cls, name, value, option_of(cls, name))
    return given


def check_value(cls: type, name: str, value: Any, shown: str) -> None:
    """Check the value of a field that the user knows by another name.

    Parameters
    ----------
    cls : dataclass type
    name : str
        The field's.
    value
    shown : str
        Name in the error message, such as ``--timestep``.

    Raises
    ------
    ValueError
        As ``check_settings``.
    """
    _checked_setting(_settings(cls)[name], value, "", shown)


def settings_table(cls: type) -> str:
    """Rows of Markdown: key, default, unit, allowed values and meaning."""
    lines = ["| key | default | unit | allowed | meaning |", "|---|---|---|---|---|"]
    for name, field in _settings(cls).items():
        meaning = field.metadata[_KEY]
        cells = (
            f"`{name}`",
            _shown_default(field),
            meaning.unit,
            _allowed(meaning),
            meaning.about.replace("|", "\\|"),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _settings(cls: type) -> dict[str, dataclasses.Field]:
    return {f.name: f for f in dataclasses.fields(cls) if _KEY in f.metadata}


def _checked_setting(
    field: dataclasses.Field, value: Any, start: str, shown: str = ""
) -> Any:
    """Value of the declared type and within its bounds, or a ValueError."""
    name, meaning = shown or field.name, field.metadata[_KEY]
    if shown:  # unlike the field's own name it lacks the unit
        meaning = meaning._replace(option="")
    unit = f" {meaning.unit}" if shown and meaning.unit else ""
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(
                f"{start}expected finite {name}{_range(meaning)}, found {item}{unit}"
            )
    try:
        value = checked_value(field.type, value, name)
    except ValueError as error:
        words = _WORDS.get(_plain_type(field.type))
        text = (
            f"expected {words} for {name}, found {brief(value)}"
            if words
            else str(error)
        )
        if meaning.choices:
            text = f"expected {name} of {meaning.choices}, found {brief(value)}"
            text += did_you_mean([value], map(str, meaning.choices))
        raise ValueError(f"{start}{text}") from None
    values = tuple(value.values()) if isinstance(value, dict) else value
    several = values if isinstance(values, tuple) else (values,)
    for item in several:
        words = f"{item if isinstance(item, str | float) else brief(item)}{unit}"
        if 1 < len(several) <= _SHOWN:
            words += f" in {','.join(map(str, several))}"
        if item is not None:
            _check(item, meaning, f"{start}expected {name}", words)
        if isinstance(item, int) and not -(2**63) < item < 2**63:
            raise ValueError(
                f"{start}expected {name} below 2^63, found {brief(item)}{unit}"
            )
    return value


def _check(value: Any, meaning: Setting, expected: str, words: str) -> None:
    if meaning.choices and value not in meaning.choices:
        meant = did_you_mean([value], map(str, meaning.choices))
        raise ValueError(
            f"{expected} of {meaning.choices}, found {brief(value)}{meant}"
        )
    for name, (_, holds) in _BOUNDS.items():
        bound = getattr(meaning, name)
        if bound is not None and not holds(value, bound):
            raise ValueError(f"{expected}{_range(meaning)}, found {words}")


def _range(meaning: Setting) -> str:
    """Bounds in words that follow a name: `` of at least 1 and below 9``."""
    bounds = ((words, getattr(meaning, name)) for name, (words, _) in _BOUNDS.items())
    # Integers in full, since a bound that is rounded would be another one.
    parts = [
        f"{words} {bound if isinstance(bound, int) else format(bound, 'g')}"
        for words, bound in bounds
        if bound is not None
    ]
    if not parts:
        return ""
    # the name of an option lacks the unit that the field's own name has
    unit = f" {meaning.unit}" if meaning.unit and not meaning.option else ""
    return (" of " if parts[0].startswith("at") else " ") + " and ".join(parts) + unit


def _allowed(meaning: Setting) -> str:
    if meaning.choices:
        return ", ".join(f"`{choice}`" for choice in meaning.choices)
    return _range(meaning._replace(unit="")).removeprefix(" of ").strip()


def _plain_type(kind: Any) -> Any:
    """Type of a field without the None that it may be instead."""
    if isinstance(kind, types.UnionType):
        (kind,) = (part for part in get_args(kind) if part is not types.NoneType)
    return kind


def _items(kind: Any, meaning: Setting) -> Any:
    """Reader of an argument such as ``300,3000``."""
    item = get_args(kind)[0]
    unit = f" in {meaning.unit}" if meaning.unit else ""

    def read(text: str) -> tuple[Any, ...]:
        try:
            return tuple(item(part) for part in text.split(","))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected a number{unit}, or several like {meaning.example}, found "
                f"{text!r}"
            ) from None

    return read


def _help(field: dataclasses.Field) -> str:
    meaning = field.metadata[_KEY]
    text = meaning.about
    if meaning.unit and f", {meaning.unit}" not in text:
        text += f", {meaning.unit}"
    if not text[1:2].isupper():  # as argparse's own "show this help message and exit"
        text = text[:1].lower() + text[1:]
    if field.default is True:
        text = f"do not {text}"
    if _plain_type(field.type) is not bool:
        default = _shown_default(field)
        text += f" (default {default})" if default else ""
    return text.replace("%", "%%")


def _shown_default(field: dataclasses.Field) -> str:
    if field.default in (dataclasses.MISSING, None, "", ()):
        return ""
    if isinstance(field.default, tuple):
        return ", ".join(f"{item:g}" for item in field.default)
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return str(field.default)
