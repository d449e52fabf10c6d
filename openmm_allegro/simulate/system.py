# SPDX-License-Identifier: MIT
"""The System that is simulated: with the ensemble's barostat and heavier hydrogens."""

import warnings
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..classical.bonds import BOND_MARKERS
from ..forces import copy_system
from ..nuclei.choices import RPMD
from ..nuclei.prepare import check_nuclei_of, prepare_ring_polymer
from ..runs.names import ENSEMBLES
from .checks import check_charge_settings, check_freedom
from .integrators import add_thermostat, start_temperature
from .masses import repartition_hydrogen_mass
from .settings import RunSettings

BAROSTAT_CLASSES = (
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloFlexibleBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.RPMDMonteCarloBarostat,
)


def prepare_system(
    system: openmm.System,
    topology: app.Topology,
    values: dict[str, Any],
    seed: int,
) -> openmm.System:
    """Copy a System and add what the settings of a run need.

    Parameters
    ----------
    system : openmm.System
    topology : openmm.app.Topology
    values : dict
        From ``RunSettings.record``.
    seed : int
        Seed of thermostat and barostat.

    Raises
    ------
    ValueError
        As ``repartition_hydrogen_mass``.
    """
    system = copy_system(system)
    if "hydrogen_mass_da" in values:
        repartition_hydrogen_mass(system, topology, values["hydrogen_mass_da"])
    if ENSEMBLES[values["ensemble"]] and values["integrator"] != RPMD:
        add_barostat(values["ensemble"], system, values, seed)
    add_thermostat(system, values, seed)
    if values["integrator"] == RPMD:
        prepare_ring_polymer(system, values)
    return system


def check_settings_of(
    settings: RunSettings, topology: app.Topology, system: openmm.System
) -> None:
    """Refuse a System in which nothing moves, or that does not fit the settings.

    Warns (UserWarning) as ``check_ensemble``.

    Raises
    ------
    ValueError
    """
    check_freedom(system)
    check_charge_settings(settings, system)
    check_nuclei_of(settings.record(), system)
    check_ensemble(settings.ensemble, topology, system)


def check_ensemble(
    ensemble: str, topology: app.Topology, system: openmm.System
) -> None:
    """Refuse a System that does not fit the ensemble.

    Warns (UserWarning) where a barostat will move atoms that look like molecules.

    Raises
    ------
    ValueError
        If the System has a barostat or a thermostat of its own that is not switched
        off, or if volume is to change and the System is not periodic.
    """
    barostats = [name for name, barostat in ENSEMBLES.items() if barostat]
    for force in system.getForces():
        if isinstance(force, BAROSTAT_CLASSES) and force.getFrequency() > 0:
            raise ValueError(
                f"ensemble {ensemble!r}: expected a System without a barostat, found "
                f"{force.getName()}; leave it to run, which has {barostats}, or "
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
    if not ENSEMBLES[ensemble]:
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
    pressure, axes = values["pressure_bar"], ()
    if ensemble == "npt-anisotropic":
        pressure, axes = openmm.Vec3(pressure, pressure, pressure), (True, True, True)
    barostat = getattr(openmm, ENSEMBLES[ensemble])(
        pressure,
        start_temperature(values["temperature_k"]),
        *axes,
        values["barostat_interval"],
    )
    # another than the thermostat's, lest both draw the same numbers
    barostat.setRandomNumberSeed(seed % (2**31 - 1) + 1)
    system.addForce(barostat)


def with_ring_barostat(
    system: openmm.System, values: dict[str, Any], seed: int
) -> openmm.System:
    """Copy a System and add the barostat of a ring polymer, where one is due.

    It is apart from the System that is written, because OpenMM has no XML of it.
    """
    if values["integrator"] != RPMD or not ENSEMBLES[values["ensemble"]]:
        return system
    interval = values["barostat_interval"]
    barostat = openmm.RPMDMonteCarloBarostat(values["pressure_bar"], interval)
    barostat.setRandomNumberSeed(seed % (2**31 - 1) + 1)
    system = copy_system(system)
    system.addForce(barostat)
    return system


def whole_molecules(
    positions: np.ndarray,
    topology: app.Topology,
    system: openmm.System,
    box: Any = None,
) -> np.ndarray:
    """Move bonded atoms side by side rather than to both sides of the box.

    A barostat moves the atoms of a molecule by one vector, which would tear a molecule
    that is wrapped around the box. The energy is the same.

    Parameters
    ----------
    positions : array [N, 3], nm
    topology : openmm.app.Topology
        Its bonds define the molecules.
    system : openmm.System
    box : three vectors with units, optional
        By default that of the System.

    Returns
    -------
    array [N, 3], nm
    """
    box = system.getDefaultPeriodicBoxVectors() if box is None else box
    box = np.array([v.value_in_unit(unit.nanometer) for v in box])
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
