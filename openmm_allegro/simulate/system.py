# SPDX-License-Identifier: MIT
"""What makes an ensemble at constant pressure, and what it asks of a System."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..classical.bonds import BOND_MARKERS
from .integrators import start_temperature

# Each attempts a volume move every so many steps (barostat_interval).
BAROSTATS: dict[str, Callable[[float, float, int], openmm.Force]] = {
    "npt": openmm.MonteCarloBarostat,
    "npt-anisotropic": lambda bar, kelvin, interval: (
        openmm.MonteCarloAnisotropicBarostat(
            openmm.Vec3(bar, bar, bar), kelvin, True, True, True, interval
        )
    ),
    "npt-flexible": openmm.MonteCarloFlexibleBarostat,
}
BAROSTAT_CLASSES = (
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloFlexibleBarostat,
    openmm.MonteCarloMembraneBarostat,
)


def check_ensemble(
    ensemble: str, topology: app.Topology, system: openmm.System
) -> None:
    """Refuse a System that the ensemble cannot be simulated with.

    Warns (UserWarning) where a barostat will move atoms that look like molecules.

    Raises
    ------
    ValueError
        If the System has a barostat or a thermostat of its own that is not switched
        off, or if volume is to change and the System is not periodic.
    """
    for force in system.getForces():
        if isinstance(force, BAROSTAT_CLASSES) and force.getFrequency() > 0:
            raise ValueError(
                f"ensemble {ensemble!r}: expected a System without a barostat, found "
                f"{force.getName()}; leave it to run, which has {list(BAROSTATS)}, or "
                "use openmm.app.Simulation"
            )
        if (
            isinstance(force, openmm.AndersenThermostat)
            and force.getDefaultCollisionFrequency()._value > 0
        ):
            raise ValueError(
                f"ensemble {ensemble!r}: expected a System without a thermostat, found "
                f"{force.getName()}; leave it to run (integrator='andersen'), or use "
                "openmm.app.Simulation"
            )
    if ensemble not in BAROSTATS:
        return
    if not system.usesPeriodicBoundaryConditions():
        raise ValueError(
            f"ensemble {ensemble!r}: expected a periodic System, found one without box"
        )
    if any(force.getName() == BOND_MARKERS for force in system.getForces()):
        bonded = {atom.residue for bond in topology.bonds() for atom in bond}
        loose = [
            residue.name
            for residue in topology.residues()
            if residue not in bonded and len(list(residue.atoms())) > 1
        ]
        if loose:
            warnings.warn(
                f"topology: expected bonds within molecules, found none in "
                f"{len(loose)} residues of several atoms ({loose[0]}): volume moves "
                "will move each of their atoms by itself, and only tiny ones are "
                "accepted. Add the bonds (CONECT records, topology.addBond), or say "
                "create_system(rigid_molecules=False) where that is meant",
                stacklevel=3,
            )


def add_barostat(
    ensemble: str, system: openmm.System, values: dict[str, Any], seed: int
) -> None:
    """Add the barostat of an ensemble to a System."""
    barostat = BAROSTATS[ensemble](
        values["pressure_bar"],
        start_temperature(values["temperature_k"]),
        values["barostat_interval"],
    )
    # another than the thermostat's, lest both draw the same numbers
    barostat.setRandomNumberSeed(seed % (2**31 - 1) + 1)
    system.addForce(barostat)


def whole_molecules(
    positions: np.ndarray, topology: app.Topology, system: openmm.System
) -> np.ndarray:
    """Positions with bonded atoms side by side rather than on both sides of the box.

    A barostat moves the atoms of a molecule by one vector, which would tear a molecule
    that is wrapped around the box. The energy is the same.

    Parameters
    ----------
    positions : array [N, 3], nm
    topology : openmm.app.Topology
        Its bonds say what is a molecule.
    system : openmm.System
        Its box is taken.
    """
    box = np.array(
        [v.value_in_unit(unit.nanometer) for v in system.getDefaultPeriodicBoxVectors()]
    )
    neighbors: dict[int, list[int]] = {}
    for bond in topology.bonds():
        first, second = bond.atom1.index, bond.atom2.index
        neighbors.setdefault(first, []).append(second)
        neighbors.setdefault(second, []).append(first)
    positions, placed = positions.copy(), set()
    for start in neighbors:
        waiting = [] if start in placed else [start]
        placed.add(start)
        while waiting:
            atom = waiting.pop()
            for other in set(neighbors[atom]) - placed:
                for axis in (2, 1, 0):  # the last box vector alone has a z
                    step = positions[other, axis] - positions[atom, axis]
                    positions[other] -= box[axis] * np.round(step / box[axis, axis])
                placed.add(other)
                waiting.append(other)
    return positions
