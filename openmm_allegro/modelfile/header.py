# SPDX-License-Identifier: MIT
"""Headers of model files: strict JSON, and a checksum of the whole file."""

import hashlib
import json
import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from ..model.config import AllegroConfig
from ..utils.config import brief
from .named import model_path

FORMAT = "openmm_allegro"
# Version 2 has programs of the compiled kernel, or null for them; 3 is of models with a
# pair core, which earlier packages would leave out or refuse for its weights' names; 4
# of models with charges or inner cutoffs, of which they would refuse the config.
FORMAT_VERSION, CORE_VERSION, CHARGED_VERSION = 2, 3, 4
READABLE = (1, FORMAT_VERSION, CORE_VERSION, CHARGED_VERSION)
KINDS = ("total", "delta")
UNITS = {"length": "angstrom", "energy": "eV"}
DTYPES = {"float32": "F32", "float64": "F64"}  # and their names in the file
PROGRAMS = "programs"
CHECKSUM = "sha256"
# The checksum is that of the file with these digits in its place.
BLANK = "0" * 64
_TABLES = ("config", "statistics", "provenance")
_KEYS = ("format", "format_version", "kind", "dtype", "units", *_TABLES, CHECKSUM)
_DIGITS = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)

Tensors = dict[str, tuple[str, tuple[int, ...]]]  # dtype and shape by name


class Description(NamedTuple):
    """Header of a model file, and the tensors that follow it."""

    header: dict[str, Any]
    tensors: Tensors


def format_version(config: AllegroConfig) -> int:
    """Version of the file of a model: the least that can hold it."""
    if config.is_charged or config.inner_cutoffs:
        return CHARGED_VERSION
    return CORE_VERSION if config.core_rates else FORMAT_VERSION


def read_header(path: str | Path) -> dict[str, Any]:
    """Read the JSON header of a model file, without its weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a model file, is truncated or comes from a newer version.
    """
    path = model_path(path)
    try:
        with safe_open(path, framework="np"):  # checks lengths and places
            pass
        with open(path, "rb") as file:
            content = file.read(8)
            content += file.read(int.from_bytes(content, "little"))
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path}: expected a model file in the safetensors format, found a file "
            f"that is truncated or of another kind ({error}){_hint(path)}"
        ) from error
    return describe(content, path).header


def _hint(path: Path) -> str:
    if path.suffix in (".ckpt", ".zip"):
        return (
            f"; openmm-allegro import {path} -o MODEL.safetensors reads one of nequip"
        )
    return ""


def describe(content: bytes, path: Path) -> Description:
    """Tell what a model file holds, of all its bytes or those before its weights."""
    tensors = _parse(content[8 : 8 + int.from_bytes(content[:8], "little")], path)
    metadata = tensors.pop("__metadata__", {})
    if FORMAT not in metadata:
        raise ValueError(
            f"{path}: expected a safetensors file with an {FORMAT} header, found "
            f"metadata {sorted(metadata) or 'none'}"
        )
    header = _parse(metadata[FORMAT], path)
    _check(header, path)
    shapes = {n: (t["dtype"], tuple(t["shape"])) for n, t in tensors.items()}
    return Description(header, shapes)


def with_checksum(content: bytes) -> bytes:
    """Fill in the checksum of a file whose header ends with a blank one."""
    place = _place(content, BLANK)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:place] + digest + content[place + len(digest) :]


def tell_if_unchecked(path: str | Path, header: dict[str, Any]) -> None:
    """Log a notice of a file without a checksum."""
    if CHECKSUM not in header:
        _log.warning(
            "%s has no checksum, as files of earlier versions: damage to it would not "
            "be noticed; save_model(load_model(path), path) adds one",
            path,
        )


def check_checksum(content: bytes, header: dict[str, Any], path: Path) -> None:
    """Refuse a file that is not as it was written, if it has a checksum.

    Raises
    ------
    ValueError
    """
    if CHECKSUM not in header:
        return
    expected = header[CHECKSUM]
    place = _place(content, expected)
    blank = hashlib.sha256(content[:place])
    blank.update(BLANK.encode())
    blank.update(content[place + len(BLANK) :])
    if blank.hexdigest() != expected:
        raise ValueError(
            f"{path}: expected a file whose SHA-256 is {expected}, as its header says, "
            f"found {blank.hexdigest()}: it was damaged or changed after it was "
            "written; copy it again"
        )


def _place(content: bytes, digits: str) -> int:
    """Start of the checksum, the last value of the header; -1 without it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return content.rfind(digits.encode(), 8, end)


def _parse(text: str | bytes, path: Path) -> dict[str, Any]:
    try:
        table = json.loads(text, object_pairs_hook=_table)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a JSON header, found {error}") from error
    if not isinstance(table, dict):
        raise ValueError(f"{path}: expected a table as the header, found {table!r}")
    return table


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        name, count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{count} values of {name!r}")
    return table


def _check(header: dict[str, Any], path: Path) -> None:
    version = header.get("format_version")
    if type(version) is not int or version not in READABLE:
        raise ValueError(
            f"{path}: expected format version {', '.join(map(str, READABLE))}, found "
            f"{version}; a newer openmm_allegro may read it"
        )
    wanted = {
        "format": (FORMAT,),
        "kind": KINDS,
        "dtype": tuple(DTYPES),
        "units": (UNITS,),
    }
    for name, known in wanted.items():
        if header.get(name) not in known:
            raise ValueError(
                f"{path}: expected {name} of {known}, found {header.get(name)!r}"
            )
    for name in _TABLES:
        if not isinstance(header.get(name), dict):
            raise ValueError(
                f"{path}: expected a table {name} in the header, found "
                f"{header.get(name)!r}"
            )
    try:
        json.dumps(header["provenance"], allow_nan=False)
    except ValueError:
        raise ValueError(
            f"{path}: expected finite numbers in provenance, found NaN or infinity"
        ) from None
    keys = _KEYS if version == 1 else (*_KEYS, PROGRAMS)
    unknown = sorted(set(header) - set(keys))
    if unknown:
        raise ValueError(
            f"{path}: expected keys among {', '.join(keys)} in the header, found "
            f"{', '.join(unknown)}"
        )
    digest = header.get(CHECKSUM, BLANK)
    if not _is_digest(digest):
        raise ValueError(
            f"{path}: expected {CHECKSUM} of 64 hexadecimal digits, found {digest!r}"
        )
    if version > 1:
        _check_programs(header.get(PROGRAMS, {}), path)


def _check_programs(programs: Any, path: Path) -> None:
    """Refuse another description of programs than ``save_model`` writes."""
    if programs is None:
        return
    is_table = isinstance(programs, dict) and set(programs) == {"format", "digest"}
    if (
        not is_table
        or type(programs["format"]) is not int
        or not 0 < programs["format"] < 2**31
        or not _is_digest(programs["digest"])
    ):
        raise ValueError(
            f"{path}: expected {PROGRAMS} with a format and a digest of 64 hexadecimal "
            f"digits, or null, in the header, found {brief(programs)}"
        )


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGITS.fullmatch(value) is not None
