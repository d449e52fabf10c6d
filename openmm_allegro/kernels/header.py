# SPDX-License-Identifier: MIT
"""Declarations of the C headers, which C++ includes and Python reads here."""

import ctypes
import enum
import functools
import re
from collections import namedtuple
from pathlib import Path
from typing import Any, NamedTuple

PATH = Path(__file__).with_name("allegro.h")
LONG_RANGE_PATH = PATH.with_name("long_range.h")
TRAINING_PATH = PATH.with_name("training.h")
GPU_PATH = PATH.parent / "gpu" / "allegro_gpu.h"
# Of the kernels for processors.
PATHS = PATH, LONG_RANGE_PATH, TRAINING_PATH
_TYPES = {"int64_t": ctypes.c_int64, "double": ctypes.c_double}


class Array(NamedTuple):
    """An array of a program: its type, name and length, a product of header fields."""

    type: str
    name: str
    factors: tuple[str, ...]


def constant(name: str) -> int:
    """Value of a macro."""
    return int(_search(rf"#define {name} (\d+)\n", name)[1])


def numbers(name: str) -> frozenset[int]:
    """Numbers of a list such as ``ALLEGRO_GPU_TENSOR_CORES``."""
    body = _search(rf"#define {name}\(X\)((?: X\(\d+\))+)\n", name)[1]
    return frozenset(map(int, re.findall(r"\d+", body)))


def enumeration(name: str) -> type[enum.IntEnum]:
    """An enum with its names in capitals, without ``ALLEGRO_`` and ``ALLEGRO_GPU_``."""
    body = _search(rf"\benum {name} \{{(.*?)\}};", name)[1]
    values = re.findall(r"ALLEGRO_(?:GPU_)?(\w+) = (\d+)", body)
    return enum.IntEnum(name, [(key, int(value)) for key, value in values])


@functools.cache
def record(name: str) -> Any:
    """A struct of numbers as a named tuple."""
    return namedtuple(name, [field for _, field, _ in _fields(name)])


def length(name: str) -> int:
    """Numbers of a struct of numbers."""
    return sum(int(count or 1) for _, _, count in _fields(name))


def arrays(name: str) -> list[Array]:
    """Arrays that a list such as ``ALLEGRO_CONSTANTS`` declares, in order."""
    body = _search(rf"#define {name}\(X\)(.*?)\n\n", name)[1]
    declared = re.findall(r"\bX\((\w+), (\w+), ([\w *]+), \"[^\"]+\"\)", body)
    return [Array(kind, key, tuple(size.split(" * "))) for kind, key, size in declared]


@functools.cache
def structure(name: str) -> type[ctypes.Structure]:
    """A struct for a function of the library.

    Pointers are ``c_void_p``, but those to functions have the types that the header
    gives their arguments and results.
    """
    fields = []
    for kind, field, extent in _fields(name):
        if extent.startswith("("):
            plain = _function(kind, extent[1:])
        else:
            plain = ctypes.c_void_p if "*" in kind else _TYPES[kind.strip()]
        fields.append((field, plain * int(extent) if extent.isdigit() else plain))
    return type(name, (ctypes.Structure,), {"_fields_": fields})


def filled(name: str, **values: Any) -> ctypes.Structure:
    """A struct with all its fields by name.

    Parameters
    ----------
    name : str
    **values
        A number or a sequence of numbers; for a pointer an array, a tensor, what ctypes
        made, an address, or None. The struct keeps these alive.

    Raises
    ------
    TypeError
        If a field is missing or unknown.
    """
    made = structure(name)()
    names = [field for field, _ in made._fields_]
    if sorted(names) != sorted(values):
        raise TypeError(f"{name}: expected {sorted(names)}, found {sorted(values)}")
    for field, kind in made._fields_:
        value = values[field]
        if kind is ctypes.c_void_p:
            value = _address(value)
        elif issubclass(kind, ctypes.Array):
            value = kind(*value)
        setattr(made, field, value)
    made.kept = values
    return made


def _address(array: Any) -> int | None:
    if array is None or isinstance(array, int):
        return array
    if isinstance(array, (ctypes.Array, ctypes.Structure)):
        return ctypes.addressof(array)
    return array.ctypes.data if hasattr(array, "ctypes") else array.data_ptr()


def declare(library: ctypes.CDLL, *paths: Path) -> None:
    """Give the functions of a library the types of their arguments and results.

    Parameters
    ----------
    library : CDLL
    *paths : Path
        The headers that declare them; by default those of the kernels for processors.

    Raises
    ------
    AttributeError
        If the library lacks one of them.
    """
    pattern = r"^(?:const )?(\w+) (\*?)(\w+)\(([^)]*)\);"
    text = "".join(map(_text, paths or PATHS))
    functions = re.findall(pattern, text, re.MULTILINE)
    for result, pointer, name, arguments in functions:
        function = getattr(library, name)
        function.restype, *function.argtypes = _types(result + pointer, arguments)


def _function(result: str, arguments: str) -> Any:
    """Type of a pointer to a function."""
    return ctypes.CFUNCTYPE(*_types(result, arguments))


def _types(result: str, arguments: str) -> list[Any]:
    """Types of a function's result and of its arguments."""
    kind = result.rstrip(" *")
    parts = [part for part in arguments.split(",") if part.strip() != "void"]
    returned = _pointer(kind) if "*" in result else _TYPES.get(kind)
    return [returned, *map(_argument, parts)]


def _argument(declaration: str) -> Any:
    kind, is_pointer, _ = declaration.replace("const ", "").strip().partition(" *")
    if not is_pointer:
        return _TYPES[kind.split()[0]]
    if re.search(rf"\bstruct {kind} \{{", _declarations()):
        return ctypes.POINTER(structure(kind))
    return _pointer(kind)


def _pointer(kind: str) -> Any:
    """Text, or a pointer to an array or to a struct that the header only names."""
    return ctypes.c_char_p if kind == "char" else ctypes.c_void_p


def _fields(name: str) -> list[tuple[str, str, str]]:
    """Type, name and extent of each field of a struct.

    The extent is the length of an array, or an opening parenthesis and the arguments of
    a function, else empty.
    """
    body = _search(rf"typedef struct {name} \{{(.*?)\}} {name};", name)[1]
    plain = r"(?:const )?(\w+ \*?)(?:\(\*)?(\w+)"
    extent = r"(?:\[(\d+)\]|\)(\([^)]*)\))?;"
    return [
        (kind, field, length or arguments)
        for kind, field, length, arguments in re.findall(plain + extent, body)
    ]


def _search(pattern: str, name: str) -> re.Match[str]:
    match = re.search(pattern, _declarations(), re.DOTALL)
    if match is None:
        paths = ", ".join(map(str, (*PATHS, GPU_PATH)))
        raise KeyError(f"expected a declaration of {name} in {paths}, found none")
    return match


def _declarations() -> str:
    return "".join(map(_text, (*PATHS, GPU_PATH)))


@functools.cache
def _text(path: Path) -> str:
    """A header without its comments."""
    return re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
