# SPDX-License-Identifier: MIT
"""Compare units that a file states with those that it is read in."""

import functools
import re
from typing import TYPE_CHECKING, Any

from ...units import (
    ENERGY_UNITS_IN_EV,
    FORCE_UNITS_IN_EV_PER_ANGSTROM,
    LENGTH_UNITS_IN_ANGSTROM,
    STRESS_UNITS_IN_EV_PER_ANGSTROM3,
)
from .names import kind_of, words_of
from .settings import LabelSettings

if TYPE_CHECKING:
    import ase

_LENGTH_WORDS = {
    *("length", "lengths", "distance", "distances", "position", "positions", "pos"),
    *("coordinate", "coordinates", "coords", "cell", "lattice"),
}
_OPTIONS = {
    "energy": ("energy_unit", tuple(ENERGY_UNITS_IN_EV)),
    "virial": ("energy_unit", tuple(ENERGY_UNITS_IN_EV)),
    "length": ("length_unit", tuple(LENGTH_UNITS_IN_ANGSTROM)),
    "forces": ("forces_unit", tuple(FORCE_UNITS_IN_EV_PER_ANGSTROM)),
    "stress": ("stress_unit", tuple(STRESS_UNITS_IN_EV_PER_ANGSTROM3)),
}
_PLURALS = {
    "energy": "energies",
    "virial": "virials",
    "length": "lengths",
    "forces": "forces",
    "stress": "stresses",
}
# Spellings in lower case; units that are no options stand for themselves.
_ENERGIES = {
    **dict.fromkeys(("ev", "electronvolt", "electronvolts"), "eV"),
    **dict.fromkeys(("kj/mol", "kjmol-1"), "kJ/mol"),
    **dict.fromkeys(("kcal/mol", "kcalmol-1"), "kcal/mol"),
    **dict.fromkeys(
        ("hartree", "hartrees", "ha", "eh", "a.u.", "a.u", "au"), "hartree"
    ),
    **{name: name for name in ("mev", "kj", "kcal")},
    **dict.fromkeys(("ry", "rydberg", "rydbergs"), "rydberg"),
}
_LENGTHS = {
    **dict.fromkeys(("angstrom", "angstroms", "ang", "a", "å"), "angstrom"),
    **dict.fromkeys(("bohr", "bohrs", "a0", "a.u.", "a.u", "au"), "bohr"),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre"), "nm"),
}
_PRESSURES = {"gpa": "GPa", "kbar": "kbar", "kb": "kbar"}
# Names of systems of units, of LAMMPS and in general.
_ATOMIC = {"energy": "hartree", "length": "bohr"}
_SYSTEMS = {
    "metal": {"energy": "eV", "length": "angstrom"},
    "real": {"energy": "kcal/mol", "length": "angstrom"},
} | {name: _ATOMIC for name in ("electron", "atomic", "au", "a.u.")}


def check_stated_units(atoms: "ase.Atoms", where: str, settings: LabelSettings) -> None:
    """Refuse a frame that says other units than those it is read in.

    It may have keys such as ``energy_unit``, ``forces_units`` or ``units``.

    Raises
    ------
    ValueError
    """
    for name, value in atoms.info.items():
        kind = _kind_of_unit(name) if isinstance(name, str) else ""
        if not kind:
            continue
        for part, text in _statements(kind, value).items():
            unit = _parse(part, text)
            expected = _expected(part, settings)
            if unit == expected or (unit is None and kind == "any"):
                continue
            option, choices = _OPTIONS[part]
            way_out = (
                f"set {option} = {unit!r} (--{option.replace('_', '-')})"
                if unit in choices
                else f"convert the values to one of {', '.join(choices)}"
            )
            raise ValueError(
                f"{where}: expected {_PLURALS[part]} in {expected}, found "
                f"{name} = {value!r} in the file; {way_out}, or correct the file"
            )


@functools.lru_cache(maxsize=1024)
def _kind_of_unit(name: str) -> str:
    """Kind of what a key states the unit of, "any" of ``units``, or an empty string."""
    *rest, last = words_of(name) or [""]
    if last not in ("unit", "units"):
        return ""
    if not rest:
        return "any"
    return "length" if {*rest} <= _LENGTH_WORDS else kind_of("_".join(rest))


def _statements(kind: str, value: Any) -> dict[str, str]:
    """What a value says, by kind."""
    if kind != "any":
        return {kind: str(value)}
    if isinstance(value, dict):
        kinds = {name: _kind_of_unit(f"{name}_unit") for name in value}
        return {kinds[n]: str(v) for n, v in value.items() if kinds[n] in _OPTIONS}
    text = str(value).lower().strip()
    if text in _SYSTEMS:
        return _SYSTEMS[text]
    statements: dict[str, str] = {}
    for word in [text, *re.split(r"[\s,;]+", text)]:
        kinds = [part for part in _OPTIONS if _parse(part, word)]
        if kinds:
            statements.setdefault(kinds[0], word)
    return statements


def _expected(kind: str, settings: LabelSettings) -> str:
    energy, length = settings.energy_unit, settings.length_unit
    return {
        "energy": energy,
        "virial": energy,
        "length": length,
        "forces": settings.forces_unit or f"{energy}/{length}",
        "stress": settings.stress_unit or f"{energy}/{length}^3",
    }[kind]


@functools.lru_cache(maxsize=1024)
def _parse(kind: str, text: str) -> str | None:
    """Name of a unit as the options have it, or another; None if it is not known."""
    text = re.sub(r"[\s_]*per[\s_]+|[\s_]*/[\s_]*", "/", text.lower().strip())
    text = re.sub(r"[\s_*^()·]", "", text).replace("mole", "mol")
    if kind in ("energy", "virial"):
        whole = text.removesuffix("/atom")
        unit = _ENERGIES.get(whole)
        return f"{unit}/atom" if unit and whole != text else unit
    if kind == "length":
        return _LENGTHS.get(text)
    if kind == "stress" and text in _PRESSURES:
        return _PRESSURES[text]
    if text in ("a.u.", "a.u", "au"):
        text = "hartree/bohr3" if kind == "stress" else "hartree/bohr"
    energy, _, length = text.rpartition("/")
    if kind == "stress":
        if not length.endswith("3"):
            return None
        length = length.removesuffix("3")
    parts = _ENERGIES.get(energy), _LENGTHS.get(length)
    power = "^3" if kind == "stress" else ""
    return f"{parts[0]}/{parts[1]}{power}" if all(parts) else None
