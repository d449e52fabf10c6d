# SPDX-License-Identifier: MIT
"""Recognise energies and forces that cannot be in eV and Å."""

import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ...units import ENERGY_UNITS_IN_EV

HARTREE = ENERGY_UNITS_IN_EV["hartree"]
# Hartree-Fock energies of atoms in hartree, C. F. Bunge et al.,
# doi:10.1006/adnd.1993.1003, where the series of _atom_energy is not yet good.
_LIGHT = (0, 0.5, 2.8617, 7.4327, 14.5730, 24.5291, 37.6886, 54.4009, 74.8094, 99.4093)
# Correlation, binding and the error of the series are less than this fraction and this
# energy of each atom.
_MARGIN = 0.04
_BINDING = 25.0  # eV
# All-electron energies in hartree: this fraction about those of the atoms, and below by
# this much for each atom's part in bonds.
_NEAR = 0.015
_BOND = 0.12  # hartree
# eV/Å, of the components; thermal motion has 0.3 to 2, in kcal/mol/Å 7 to 45.
_LARGE_FORCE = 15.0
_LARGE_STRESS = 5.0  # eV/Å³, 800 GPa
_EQUAL = 0.02  # fraction by which equal energies of cells of different sizes differ


class Labelled(NamedTuple):
    """A frame whose energy is known."""

    symbols: tuple[str, ...]
    energy: float  # eV
    forces: np.ndarray | None  # [N, 3] eV/Å
    stress: np.ndarray | None = None  # [3, 3] eV/Å³


def doubts(frames: Iterable[Labelled]) -> list[str]:
    """List what speaks against labels in eV and Å.

    Parameters
    ----------
    frames : iterable of Labelled
        Of one file.

    Returns
    -------
    list of str
        Sentences without a full stop, empty for sound labels.
    """
    frames = [frame for frame in frames if np.isfinite(frame.energy)]
    if not frames:
        return []
    lines = []
    totals = {symbols: _total(symbols) for symbols in {f.symbols for f in frames}}
    bounds = np.array([totals[frame.symbols] for frame in frames])
    energies = np.array([frame.energy for frame in frames])
    atoms = np.array([len(frame.symbols) for frame in frames])
    floor = (1 + _MARGIN) * bounds * HARTREE + _BINDING * atoms
    below = energies < -floor
    if below.any():
        first = int(np.argmax(below))
        lines.append(
            f"{below.sum()} of {len(frames)} energies are below those of all electrons "
            f"of the atoms: {energies[first]:.6g} where they are about "
            f"{-bounds[first] * HARTREE:.6g} eV"
        )
    elif (
        (energies < -(1 - _NEAR) * bounds)
        & (energies > -(1 + _NEAR) * bounds - _BOND * atoms)
    ).all():
        lines.append(
            "the energies are those of all electrons in hartree: "
            f"{energies[0]:.6g} where they are about {-bounds[0]:.6g} hartree"
        )
    sizes = [
        math.sqrt(np.vdot(frame.forces, frame.forces) / frame.forces.size)
        for frame in frames
        if frame.forces is not None and len(frame.symbols) > 1
    ]
    if sizes and np.median(sizes) > _LARGE_FORCE:
        lines.append(
            f"forces of {np.median(sizes):.3g} (the median of the frames' root mean "
            "square) are too large for eV/Å"
        )
    stresses = [abs(f.stress).max() for f in frames if f.stress is not None]
    if stresses and np.median(stresses) > _LARGE_STRESS:
        lines.append(
            f"stresses of {np.median(stresses):.3g} (the median of the frames' largest "
            "components) are too large for eV/Å³"
        )
    return lines + _per_atom(frames)


def _per_atom(frames: Sequence[Labelled]) -> list[str]:
    """Notice energies that do not grow with the number of equal formula units."""
    by_formula: dict[tuple, dict[int, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    energies: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for frame in frames:
        energies[frame.symbols].append(frame.energy)
    for symbols, values in energies.items():
        names, counts = np.unique(symbols, return_counts=True)
        units = int(np.gcd.reduce(counts))
        formula = tuple(names.tolist()), tuple((counts // units).tolist())
        by_formula[formula][units] += values
    for (names, _), cells in by_formula.items():
        small, large = min(cells), max(cells)
        if large < 2 * small:
            continue
        few, many = np.mean(cells[small]), np.mean(cells[large])
        if abs(few) > 1 and abs(many - few) < _EQUAL * abs(few):
            return [
                f"energies of {', '.join(names)} do not grow with the number of atoms "
                f"({few:.6g} and {many:.6g} for {large // small} times as many), as "
                "those of an atom would not; energies of whole frames are expected"
            ]
    return []


def _total(symbols: tuple[str, ...]) -> float:
    """Minus the energies of all electrons of the atoms, hartree."""
    return sum(map(_atom_energy, symbols))


@functools.cache
def _atom_energy(symbol: str) -> float:
    """Minus the energy of an atom, hartree.

    The series of Z^(-1/3), B.-G. Englert and J. Schwinger,
    doi:10.1103/PhysRevA.32.26, times a fit of relativity's part.
    """
    from ase.data import atomic_numbers

    z = atomic_numbers[symbol]
    if z < len(_LIGHT):
        return _LIGHT[z]
    energy = 0.768745 * z ** (7 / 3) - 0.5 * z**2 + 0.269900 * z ** (5 / 3)
    return energy * (1 + 0.2 * (z / 137.036) ** 2)
