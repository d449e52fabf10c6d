# SPDX-License-Identifier: MIT
"""Read the labels that are attached to an ``ase.Atoms``.

A stress is positive under tension, σ = (1/V) dE/dε, as in ASE and nequip; a virial is
−V σ, as in QUIP, MACE, nequip and GPUMD.
"""

import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .settings import LabelSettings
from .values import as_number, as_tensor, as_vectors

if TYPE_CHECKING:
    import ase

KINDS = ("energy", "forces", "stress", "virial")
# Words that a name may have beside that of the label.
_ORIGINS = {
    *("ref", "reference", "dft", "qm", "total", "potential", "target", "true"),
    *("abinit", "aims", "castep", "cp2k", "espresso", "gpaw", "orca", "psi4", "vasp"),
}
_KIND_OF_WORD = {
    "energy": "energy",
    "force": "forces",
    "forces": "forces",
    "stress": "stress",
    "virial": "virial",
    "virials": "virial",
}
# Where a file may say the unit of its energies.
_UNITS = ("energy_unit", "energy_units", "unit", "units")
# Parts of the weights of energies, forces and stresses, in the order of those.
_FRAME_WEIGHTS = ("config_weight", "weight")
_LABEL_WEIGHTS = (
    ("config_energy_weight",),
    ("config_forces_weight",),
    ("config_stress_weight", "config_virials_weight"),
)
# Fraction of a stress by which one from a virial may differ.
_STRESS_TOLERANCE = 1e-3


class Labels(NamedTuple):
    """Labels of a frame of N atoms in eV and Å, and what they are called in its file.

    ``names`` is by ``KINDS``, of those that were taken.
    """

    energy: float | None  # eV
    forces: np.ndarray | None  # [N, 3] eV/Å
    stress: np.ndarray | None  # [3, 3] eV/Å³
    names: dict[str, str]
    # Of energy, forces and stress in the loss, and the keys that they are from.
    weights: tuple[float, float, float]
    weight_names: tuple[str, ...]
    # eV, of a free energy above the energy in whose place it is; None without
    free_energy_excess: float | None
    isolated: bool  # called an isolated atom
    unit: str  # of energies, if the frame says one
    virial_without_volume: bool


UNLABELLED = Labels(None, None, None, {}, (1.0, 1.0, 1.0), (), None, False, "", False)


def read_labels(
    atoms: "ase.Atoms", where: str, settings: LabelSettings, volume: float
) -> Labels:
    """Read energy, forces, stress and weights of a frame.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        Name of the frame in error messages.
    settings : LabelSettings
    volume : float
        Å³; 0 without a cell.

    Raises
    ------
    ValueError
        If two names could each be that of a label, or a value is no number, vectors or
        tensor.
    """
    values = _values(atoms, where)
    names: dict[str, str] = {}
    excess = None
    energy = _choose("energy", values, settings, where)
    if energy is not None:
        name, value = energy
        names["energy"] = name
        number = as_number(value, f"{where}: {name}", len(atoms))
        free = values.get("free_energy")
        if settings.energy_key is None and free is not None and name == "energy":
            free = as_number(free, f"{where}: free_energy", len(atoms))
            excess = (free - number) * settings.energy_factor
            number = free
        energy = number * settings.energy_factor
    forces = _choose("forces", values, settings, where)
    if forces is not None:
        names["forces"], value = forces
        forces = as_vectors(value, f"{where}: {names['forces']}", len(atoms))
        forces = forces * settings.forces_factor
    stress, lost = _stress(values, names, settings, where, volume)
    weights, weight_names = (1.0, 1.0, 1.0), ()
    if settings.use_weights:
        weights, weight_names = _weights(atoms.info, where)
    return Labels(
        energy,
        forces,
        stress,
        names,
        weights,
        weight_names,
        excess,
        _is_called_isolated(atoms, where),
        next((str(values[name]) for name in _UNITS if name in values), ""),
        lost,
    )


def check_keys(atoms: "ase.Atoms", where: str) -> None:
    """Refuse keys of extended XYZ that ase overlooks for their spelling.

    Raises
    ------
    ValueError
    """
    for key in ("Lattice", "Properties", "pbc"):
        for name in atoms.info:
            if isinstance(name, str) and name != key and name.lower() == key.lower():
                raise ValueError(
                    f"{where}: expected {key}= in the comment line, found {name}=, "
                    "which ase does not know"
                )


def check_results(atoms: "ase.Atoms", where: str) -> None:
    """Refuse results that a calculator has kept of atoms that were changed since.

    Raises
    ------
    ValueError
    """
    if atoms.calc is None or not atoms.calc.results:
        return
    changes = atoms.calc.check_state(atoms)
    moved = [
        name for name in ("positions", "numbers", "cell", "pbc") if name in changes
    ]
    if moved:
        raise ValueError(
            f"{where}: expected results of the atoms as they are, found those of other "
            f"{', '.join(moved)}; call get_forces() again"
        )


def _values(atoms: "ase.Atoms", where: str) -> dict[str, Any]:
    """All that the frame holds, by name, but for what is None."""
    results = atoms.calc.results if atoms.calc is not None else {}
    values: dict[str, Any] = {}
    for source in (atoms.arrays, atoms.info, results):
        for name, value in source.items():
            if value is None:
                continue
            same = name not in values or np.array_equal(values[name], value)
            if not same and kind_of(name):
                raise ValueError(
                    f"{where}: expected one value of {name}, found another in the "
                    "results of the calculator"
                )
            values[name] = value
    return values


def _choose(
    kind: str, values: dict[str, Any], settings: LabelSettings, where: str
) -> tuple[str, Any] | None:
    """Name and value of a kind of label; None if there is none."""
    key = getattr(settings, f"{kind}_key")
    if key is not None:
        if key not in values:
            return None
        return key, values[key]
    names = sorted(
        (n for n in values if kind_of(n) == kind), key=lambda n: (n != kind, n)
    )
    if kind == "energy" and not names and "free_energy" in values:
        names = ["free_energy"]
    if len(names) > 1:
        words = " and ".join(_shown(name, values[name]) for name in names)
        raise ValueError(
            f"{where}: expected one name of {_plural(kind)}, found {words}; choose one "
            f"with {kind}_key (--{kind}-key), such as {kind}_key = {names[0]!r}"
        )
    return (names[0], values[names[0]]) if names else None


@functools.lru_cache(maxsize=1024)
def kind_of(name: str) -> str:
    """Kind of label that a name is usual for, or an empty string.

    Examples
    --------
    >>> kind_of("REF_energy"), kind_of("dft_virials"), kind_of("MACE_energy")
    ('energy', 'virial', '')
    """
    words = [word for word in re.split(r"[_.\-\s]+", name.lower()) if word]
    kinds = [_KIND_OF_WORD[word] for word in words if word in _KIND_OF_WORD]
    others = {word for word in words if word not in _KIND_OF_WORD}
    return kinds[0] if len(kinds) == 1 and others <= _ORIGINS else ""


def _plural(kind: str) -> str:
    return {"energy": "energies", "stress": "stresses", "virial": "virials"}.get(
        kind, kind
    )


def _shown(name: str, value: Any) -> str:
    return f"{name} = {value}" if np.ndim(value) == 0 else name


def _stress(
    values: dict[str, Any],
    names: dict[str, str],
    settings: LabelSettings,
    where: str,
    volume: float,
) -> tuple[np.ndarray | None, bool]:
    """Stress in eV/Å³, and whether there is a virial that lacks a volume."""
    stress = virial = None
    if settings.virial_key is None:
        stress = _choose("stress", values, settings, where)
    if settings.stress_key is None:
        virial = _choose("virial", values, settings, where)
    if stress is not None:
        name, value = stress
        stress = as_tensor(value, f"{where}: {name}") * settings.stress_factor
        names["stress"] = name
    if virial is None:
        return stress, False
    if not volume:
        return stress, stress is None
    name, value = virial
    virial = as_tensor(value, f"{where}: {name}") * settings.energy_factor
    derived = -virial / volume
    if stress is None:
        names["virial"] = name
        return derived, False
    if np.abs(stress - derived).max() > _STRESS_TOLERANCE * np.abs(stress).max() + 1e-6:
        raise ValueError(
            f"{where}: expected a stress that is −virial / volume, found a trace of "
            f"{np.trace(stress):.4g} eV/Å³ of {names['stress']} and of "
            f"{np.trace(derived):.4g} eV/Å³ from {name}; choose one with stress_key or "
            "virial_key (--stress-key, --virial-key)"
        )
    return stress, False


def _weights(
    info: dict[str, Any], where: str
) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Weights of energy, forces and stress, and the keys that they are from."""
    parts: dict[str, float] = {}
    for name in (*_FRAME_WEIGHTS, *(n for names in _LABEL_WEIGHTS for n in names)):
        if name in info:
            parts[name] = as_number(info[name], f"{where}: {name}", 0)
            if not 0 <= parts[name] < np.inf:
                raise ValueError(
                    f"{where}: expected {name} of at least 0, found {info[name]}; "
                    "use_weights = false leaves weights out"
                )
    for names in (_FRAME_WEIGHTS, _LABEL_WEIGHTS[2]):
        if all(name in parts for name in names) and len({*map(parts.get, names)}) > 1:
            raise ValueError(
                f"{where}: expected one weight, found "
                + " and ".join(f"{name} = {parts[name]:g}" for name in names)
                + "; use_weights = false leaves weights out"
            )
    frame = next((parts[name] for name in _FRAME_WEIGHTS if name in parts), 1.0)
    energy, forces, stress = (
        frame * next((parts[name] for name in names if name in parts), 1.0)
        for names in _LABEL_WEIGHTS
    )
    return (energy, forces, stress), tuple(parts)


def _is_called_isolated(atoms: "ase.Atoms", where: str) -> bool:
    kind = atoms.info.get("config_type", "")
    if re.sub(r"[_\-\s]", "", str(kind).lower()) != "isolatedatom":
        return False
    if len(atoms) != 1:
        raise ValueError(
            f"{where}: expected one atom because config_type = {kind}, found "
            f"{len(atoms)}"
        )
    return True
