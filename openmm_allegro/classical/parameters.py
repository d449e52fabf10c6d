# SPDX-License-Identifier: MIT
"""Parameters of OpenMM's classical forces, in one form for all of them."""

import hashlib
import json
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import openmm
from openmm import unit

from ..forces import python_function

# Forces without an energy, or with one that only moves the box.
WITHOUT_ENERGY = (
    "AndersenThermostat",
    "CMMotionRemover",
    "MonteCarloAnisotropicBarostat",
    "MonteCarloBarostat",
    "MonteCarloFlexibleBarostat",
    "MonteCarloMembraneBarostat",
)
# Name of the terms, and how many atoms each has.
BONDED = {
    "HarmonicBondForce": ("Bond", 2),
    "HarmonicAngleForce": ("Angle", 3),
    "PeriodicTorsionForce": ("Torsion", 4),
    "RBTorsionForce": ("Torsion", 4),
    "CustomBondForce": ("Bond", 2),
    "CustomAngleForce": ("Angle", 3),
    "CustomTorsionForce": ("Torsion", 4),
}
KNOWN = (*BONDED, "CMAPTorsionForce", "NonbondedForce", "CustomNonbondedForce")
EWALD = ("Ewald", "PME", "LJPME")
# By their numbers in OpenMM.
METHODS = ("NoCutoff", "CutoffNonPeriodic", "CutoffPeriodic", *EWALD)
DIGITS = 9  # so that 1/1.2 equals 0.8333333333, and q1·q2 equals q2·q1


class Term(NamedTuple):
    """Term of a few atoms: a bonded term, an exception or an exclusion."""

    kind: str
    atoms: tuple[int, ...]
    parameters: tuple[Hashable, ...]


class Parameters(NamedTuple):
    """Parameters of one force: common to all particles, of each, and of terms."""

    settings: dict[str, Any] | None  # None for a force that consists of terms alone
    particles: list[tuple[Hashable, ...]]
    terms: list[Term]


def read_parameters(force: openmm.Force) -> Parameters:
    """Read the parameters that the energy of a force depends on, in OpenMM's units.

    Parameters
    ----------
    force : openmm.Force
        One of ``KNOWN``; one of ``WITHOUT_ENERGY``, which has no parameters here; or a
        PythonForce whose function has a dict ``settings``, such as ``d3_force``.

    Raises
    ------
    ValueError
        If the force is of another kind, or its parameters are not fixed.
    """
    name = type(force).__name__
    if name in WITHOUT_ENERGY:
        return Parameters(None, [], [])
    if name in BONDED:
        return Parameters(None, [], _bonded_terms(force))
    if name == "CMAPTorsionForce":
        return Parameters(None, [], _cmap_terms(force))
    if name == "NonbondedForce":
        return _nonbonded(force)
    if name == "CustomNonbondedForce":
        return _custom_nonbonded(force)
    if name == "PythonForce":
        function = python_function(force)
        if hasattr(function, "settings"):
            return Parameters(plain(function.settings), [], [])
    raise ValueError(
        "expected a classical System of forces whose parameters can be compared, "
        f"{', '.join(KNOWN)}; found {name}"
    )


def digest(value: Any) -> str:
    """Hash a value's ``repr``: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """Convert to JSON values: OpenMM's units, numbers to ``DIGITS`` digits."""
    if unit.is_quantity(value):
        value = value.value_in_unit_system(unit.md_unit_system)
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") + 0.0  # -0.0 is 0.0
    if isinstance(value, str | int) or value is None:
        return value
    return [plain(v) for v in value]


def _bonded_terms(force: openmm.Force) -> list[Term]:
    name = type(force).__name__
    term, size = BONDED[name]
    is_custom = name.startswith("Custom")
    kind = json.dumps([name, *_custom(force, f"Per{term}")]) if is_custom else name
    terms = []
    for index in range(getattr(force, f"getNum{term}s")()):
        row = getattr(force, f"get{term}Parameters")(index)
        values = plain(row[size] if is_custom else row[size:])
        strength = values if name == "RBTorsionForce" else values[-1:]
        if is_custom or any(strength):
            terms.append(Term(kind, tuple(row[:size]), tuple(values)))
    return terms


def _cmap_terms(force: openmm.CMAPTorsionForce) -> list[Term]:
    maps = [digest(plain(force.getMapParameters(i))) for i in range(force.getNumMaps())]
    rows = [force.getTorsionParameters(i) for i in range(force.getNumTorsions())]
    return [Term("CMAP", tuple(atoms), (maps[index],)) for index, *atoms in rows]


def _nonbonded(force: openmm.NonbondedForce) -> Parameters:
    if force.getNumParticleParameterOffsets() + force.getNumExceptionParameterOffsets():
        raise ValueError(
            "expected a NonbondedForce of fixed parameters, found parameter offsets"
        )
    method = METHODS[force.getNonbondedMethod()]
    settings: dict[str, Any] = {"method": method}
    if method != "NoCutoff":
        settings |= _cutoff(force)
    if method.startswith("Cutoff"):
        settings["dielectric"] = force.getReactionFieldDielectric()
    if method in ("Ewald", "PME", "LJPME"):
        settings["tolerance"] = force.getEwaldErrorTolerance()
        settings["alpha"] = force.getPMEParameters()[0]
        settings["direct space"] = force.getIncludeDirectSpace()
    if method == "LJPME":
        settings["dispersion alpha"] = force.getLJPMEParameters()[0]
    elif method not in ("NoCutoff", "CutoffNonPeriodic"):
        settings["dispersion correction"] = force.getUseDispersionCorrection()

    def values(row: Sequence[Any]) -> tuple[Hashable, ...]:
        charge, sigma, epsilon = plain(row)
        return (charge, sigma if epsilon else 0.0, epsilon)

    count, pairs = force.getNumParticles(), force.getNumExceptions()
    rows = [force.getExceptionParameters(i) for i in range(pairs)]
    return Parameters(
        plain(settings),
        [values(force.getParticleParameters(i)) for i in range(count)],
        [Term("exception", (i, j), values(row)) for i, j, *row in rows],
    )


def _custom_nonbonded(force: openmm.CustomNonbondedForce) -> Parameters:
    if force.getNumInteractionGroups() or force.getNumComputedValues():
        raise ValueError(
            "expected a CustomNonbondedForce without interaction groups and computed "
            "values, found some"
        )
    method = METHODS[force.getNonbondedMethod()]
    expression, names, defaults = _custom(force, "PerParticle")
    settings: dict[str, Any] = {"method": method, "energy": expression}
    settings |= {"parameters": names, "global parameters": defaults, "tables": {}}
    if method != "NoCutoff":
        settings |= _cutoff(force)
        settings["long-range correction"] = force.getUseLongRangeCorrection()
    for i in range(force.getNumTabulatedFunctions()):
        table = force.getTabulatedFunction(i)
        content = (table.getPeriodic(), plain(table.getFunctionParameters()))
        settings["tables"][force.getTabulatedFunctionName(i)] = digest(
            (type(table).__name__, content)
        )
    count, pairs = force.getNumParticles(), force.getNumExclusions()
    return Parameters(
        plain(settings),
        [tuple(plain(force.getParticleParameters(i))) for i in range(count)],
        [
            Term("exclusion", tuple(force.getExclusionParticles(i)), ())
            for i in range(pairs)
        ],
    )


def _custom(force: openmm.Force, per: str) -> tuple[str, list[str], dict[str, float]]:
    """Read energy function, names of parameters, defaults of global parameters."""
    count = getattr(force, f"getNum{per}Parameters")()
    names = [getattr(force, f"get{per}ParameterName")(i) for i in range(count)]
    defaults = {
        force.getGlobalParameterName(i): force.getGlobalParameterDefaultValue(i)
        for i in range(force.getNumGlobalParameters())
    }
    return force.getEnergyFunction(), names, plain(defaults)


def _cutoff(force: openmm.Force) -> dict[str, Any]:
    switched = force.getUseSwitchingFunction()
    return {
        "cutoff": force.getCutoffDistance(),
        "switching": force.getSwitchingDistance() if switched else False,
    }
