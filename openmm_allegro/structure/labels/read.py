# SPDX-License-Identifier: MIT
"""Read the labels that are attached to an ``ase.Atoms``.

A stress is positive under tension, σ = (1/V) dE/dε, as in ASE and nequip; a virial is
−V σ, as in QUIP, MACE, nequip and GPUMD.
"""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..structure import has_volume
from .names import kind_of
from .settings import LabelSettings
from .values import as_number, as_tensor, as_vectors
from .weights import PLAIN, Weights, read_weights

if TYPE_CHECKING:
    import ase

# Fraction of a stress by which one from a virial may differ.
_STRESS_TOLERANCE = 1e-3


class Labels(NamedTuple):
    """Labels of a frame of N atoms in eV and Å, and what they are called in its file.

    ``names`` is by kind, of those that were taken.
    """

    energy: float | None  # eV
    forces: np.ndarray | None  # [N, 3] eV/Å
    stress: np.ndarray | None  # [3, 3] eV/Å³
    names: dict[str, str]
    # Of energy, forces and stress in the loss, and the keys that they are from.
    weights: Weights
    weight_names: tuple[str, ...]
    # eV, of a free energy above the energy in whose place it is; None without
    free_energy_excess: float | None
    isolated: bool  # called an isolated atom
    virial_without_volume: bool


UNLABELLED = Labels(None, None, None, {}, PLAIN, (), None, False, False)


def read_labels(
    atoms: "ase.Atoms", where: str, settings: LabelSettings, cell: np.ndarray
) -> Labels:
    """Read energy, forces, stress and weights of a frame.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        Name of the frame in error messages.
    settings : LabelSettings
    cell : ndarray [3, 3]
        Å.

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
    stress, lost = _stress(values, names, settings, where, cell)
    weights, weight_names = PLAIN, ()
    if settings.use_weights:
        weights, weight_names = read_weights(atoms, where)
    return Labels(
        energy,
        forces,
        stress,
        names,
        weights,
        weight_names,
        excess,
        _is_called_isolated(atoms, where),
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
    """All that the frame holds under names, but for what is None."""
    results = atoms.calc.results if atoms.calc is not None else {}
    values: dict[str, Any] = {}
    for source in (atoms.arrays, atoms.info, results):
        for name, value in source.items():
            if value is None or not isinstance(name, str):
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
    cell: np.ndarray,
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
    if not has_volume(cell):
        return stress, stress is None
    name, value = virial
    virial = as_tensor(value, f"{where}: {name}") * settings.energy_factor
    derived = -virial / abs(np.linalg.det(cell))
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
