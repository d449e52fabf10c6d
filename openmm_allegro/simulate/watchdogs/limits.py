# SPDX-License-Identifier: MIT
"""Limits of watchdogs: functions of a frame that name a limit that was crossed."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app

from ...forces import degrees_of_freedom, kinetic_temperature, masses_of
from ...plugin.search import find_pairs
from ...potential.computation import model_particles
from ...reporters.uncertainty import committee_of
from ...units import NM_TO_ANGSTROM
from .settings import Watchdogs


class Frame(NamedTuple):
    """A frame of a simulation."""

    positions: np.ndarray  # [N, 3] nm
    velocities: np.ndarray  # [N, 3] nm/ps
    box: np.ndarray | None  # [3, 3] nm, where periodic
    energy: float | None  # kJ/mol, where it is watched


# Returns a message where the limit is crossed, else None.
Limit = Callable[[Frame], str | None]


def make_limits(
    settings: Watchdogs,
    simulation: app.Simulation,
    start: np.ndarray | None,
    memory: dict[str, Any],
) -> list[tuple[str, Limit]]:
    """Make the limits that are set, with their kinds.

    Parameters
    ----------
    settings : Watchdogs
    simulation : openmm.app.Simulation
    start : ndarray [N, 3] or None
        Positions, nm, that bonds have their first lengths at.
    memory : dict
        Keeps the first energy per atom, as ``first_energy``.

    Raises
    ------
    ValueError
        If the simulation lacks what a limit needs.
    """

    def limits() -> Iterator[tuple[str, Limit]]:
        if settings.temperature_k:
            yield (
                "temperature",
                _temperature(simulation.system, *settings.temperature_k),
            )
        if settings.energy_per_atom:
            yield "energy", _energy(*settings.energy_per_atom)
        if settings.energy_jump:
            yield "energy_jump", _energy_jump(settings.energy_jump, memory)
        if settings.closest:
            yield "closest", _closest(settings.closest, simulation)
        if settings.bond_stretch:
            yield "bonds", _bonds(settings.bond_stretch, simulation.topology, start)
        if settings.deviation:
            yield "deviation", _deviation(settings.deviation, simulation.context)

    return list(limits())


def find_nan(frame: Frame) -> str | None:
    """Describe NaN or infinity in a frame, if any."""
    for name in ("positions", "velocities"):
        bad = np.flatnonzero(~np.isfinite(getattr(frame, name)).all(axis=1))
        if bad.size:
            return (
                f"expected finite {name}, found NaN or infinity at {bad.size} atoms, "
                f"the first with index {bad[0]}"
            )
    if frame.box is not None and not np.isfinite(frame.box).all():
        return "expected a finite box, found NaN or infinity"
    if frame.energy is not None and not np.isfinite(frame.energy):
        return f"expected a finite energy, found {frame.energy} kJ/mol"
    return None


def _temperature(system: openmm.System, lowest: float, highest: float) -> Limit:
    masses, freedom = masses_of(system), degrees_of_freedom(system)
    if freedom < 1:
        raise ValueError(f"temperature_k: expected degrees of freedom, found {freedom}")

    def limit(frame: Frame) -> str | None:
        kelvin = kinetic_temperature(masses, frame.velocities, freedom)
        if lowest <= kelvin <= highest:
            return None
        return (
            f"expected a temperature of {lowest:g} to {highest:g} K, found "
            f"{kelvin:.6g} K"
        )

    return limit


def _energy(lowest: float, highest: float) -> Limit:
    def limit(frame: Frame) -> str | None:
        energy = frame.energy / len(frame.positions)
        if lowest <= energy <= highest:
            return None
        return (
            f"expected a potential energy of {lowest:g} to {highest:g} kJ/mol an atom, "
            f"found {energy:.8g}"
        )

    return limit


def _energy_jump(largest: float, memory: dict[str, Any]) -> Limit:
    def limit(frame: Frame) -> str | None:
        energy = frame.energy / len(frame.positions)
        if memory["first_energy"] is None:
            memory["first_energy"] = energy
        first = memory["first_energy"]
        if abs(energy - first) <= largest:
            return None
        return (
            f"expected a potential energy within {largest:g} kJ/mol an atom of "
            f"{first:.8g} at first, found {energy:.8g}"
        )

    return limit


def _closest(closest: dict[str, float], simulation: app.Simulation) -> Limit:
    atoms = _model_atoms(simulation)
    elements = [a.element for a in simulation.topology.atoms()]
    symbols = [elements[i].symbol for i in atoms]
    kinds = sorted(set(symbols))
    types = np.array([kinds.index(s) for s in symbols])
    table = np.zeros((len(kinds), len(kinds)))
    for pair, distance in closest.items():
        first, second = pair.split("-")
        if first in kinds and second in kinds:
            i, j = kinds.index(first), kinds.index(second)
            table[i, j] = table[j, i] = distance
    if not table.any():
        return lambda frame: None
    reach = float(table.max())

    def limit(frame: Frame) -> str | None:
        box = None if frame.box is None else frame.box * NM_TO_ANGSTROM
        pairs = find_pairs(frame.positions[atoms] * NM_TO_ANGSTROM, box, reach)
        limits = table[types[pairs.centers], types[pairs.neighbors]]
        distances = pairs.distances
        near = np.flatnonzero(distances < limits)
        if not len(near):
            return None
        worst = near[(distances[near] / limits[near]).argmin()]
        i, j = sorted((pairs.centers[worst], pairs.neighbors[worst]))
        return (
            f"expected {'-'.join(sorted((symbols[i], symbols[j])))} pairs of at least "
            f"{limits[worst]:.4f} Å, found atoms {atoms[i]} and {atoms[j]} at "
            f"{distances[worst]:.4f} Å, {len(near) // 2} pairs in all"
        )

    return limit


def _model_atoms(simulation: app.Simulation) -> list[int]:
    """Indices of the atoms of Allegro forces, or of all that have an element."""
    atoms = list(simulation.topology.atoms())
    chosen = model_particles(simulation.system)
    if not chosen:
        chosen = {atom.index for atom in atoms if atom.element is not None}
    return sorted(chosen)


def _bonds(stretch: float, topology: app.Topology, start: np.ndarray | None) -> Limit:
    pairs = np.array([[b[0].index, b[1].index] for b in topology.bonds()])
    if not len(pairs):
        raise ValueError("bond_stretch: expected a topology with bonds, found none")
    names = [f"{a.name}({a.index})" for a in topology.atoms()]
    first: np.ndarray | None = None

    def lengths(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
        """Lengths of the bonds, Å, to the nearest image."""
        vectors = positions[pairs[:, 1]] - positions[pairs[:, 0]]
        if box is not None:
            vectors -= np.linalg.solve(box.T, vectors.T).T.round() @ box
        return np.linalg.norm(vectors, axis=1) * NM_TO_ANGSTROM

    def limit(frame: Frame) -> str | None:
        nonlocal first
        if first is None:
            first = lengths(frame.positions if start is None else start, frame.box)
        now = lengths(frame.positions, frame.box)
        long = np.flatnonzero(now > stretch * first)
        if not long.size:
            return None
        worst = long[np.argmax(now[long] / first[long])]
        i, j = pairs[worst]
        return (
            f"expected bonds of at most {stretch:g} times their first length, found "
            f"{names[i]}-{names[j]} of {now[worst]:.4f} Å, {first[worst]:.4f} Å at "
            f"first, {long.size} bonds in all"
        )

    return limit


def _deviation(largest: float, context: openmm.Context) -> Limit:
    try:
        committee = committee_of(context)
    except ValueError as error:
        raise ValueError(f"deviation: {error}") from None
    atoms = committee.particles.tolist()

    def limit(frame: Frame) -> str | None:
        box = np.zeros((3, 3)) if frame.box is None else frame.box
        deviations = committee.deviation(frame.positions, box)
        worst = int(deviations.argmax())
        if deviations[worst] <= largest:
            return None
        return (
            f"expected forces that deviate by at most {largest:g} eV/Å, found "
            f"{deviations[worst]:.6g} at atom {atoms[worst]}, "
            f"{np.count_nonzero(deviations > largest)} atoms in all"
        )

    return limit
