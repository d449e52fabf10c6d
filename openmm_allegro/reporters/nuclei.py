# SPDX-License-Identifier: MIT
"""Reporters of runs with quantum nuclei; ``run`` makes them.

They take a ``nuclei.ring_polymer.RingPolymerContext`` as a ring polymer, and any other
Context as that of a quantum thermal bath.
"""

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import openmm
from openmm import app, unit

from ..forces import degrees_of_freedom, masses_of
from ..nuclei.estimators import (
    primitive_kinetic_energy,
    virial_kinetic_energy,
)
from ..nuclei.ring_polymer import RingPolymerContext
from ..runs.table import ENERGY_COLUMNS, SPEED
from ..units import GAS_CONSTANT, HBAR
from .table import TableReporter, check_interval, next_report
from .trajectory import append_bytes, xtc_frame


class EnergyReporter(TableReporter):
    """Write energies of quantum nuclei, in the columns of OpenMM's StateDataReporter.

    Of a ring polymer, the potential energy is the mean of the beads, the kinetic energy
    that of the centroid virial, and the temperature that of the centroid's velocities,
    whose mean is the thermostat's. Of a thermal bath, the kinetic energy is that of the
    velocities, and there is no temperature, because they are not distributed as at one.

    Parameters
    ----------
    file, interval, append
        As ``TableReporter``.
    volume, density : bool
        Whether to write them.
    """

    include: ClassVar[list[str]] = ["positions", "velocities", "energy"]

    def __init__(
        self,
        file: str | Path,
        interval: int,
        append: bool = False,
        volume: bool = False,
        density: bool = False,
    ) -> None:
        super().__init__(file, interval, append)
        self._volume, self._density = volume, density
        self._begun: tuple[float, float] | None = None

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next report is due and what it needs."""
        if self._begun is None:
            self._begun = time.monotonic(), simulation.context.getTime()._value
        return super().describeNextReport(simulation)

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """Compute the numbers of a line, by the names of their columns."""
        context, masses = simulation.context, masses_of(simulation.system)
        potential = state.getPotentialEnergy()._value
        kinetic = state.getKineticEnergy()._value
        values = {"potential": potential}
        if isinstance(context, RingPolymerContext):
            kelvin = context.ring.getTemperature()._value
            freedom = degrees_of_freedom(simulation.system)
            values["temperature"] = 2 * kinetic / (freedom * GAS_CONSTANT)
            of_atoms = _virial_of_atoms(context, kelvin)
            kinetic = float(of_atoms[masses > 0].sum())
        values |= {"kinetic": kinetic, "total": potential + kinetic}
        volume = state.getPeriodicBoxVolume()
        if self._volume:
            values["volume"] = volume._value
        if self._density:
            density = masses.sum() * unit.dalton / volume
            grams = unit.gram / unit.item / unit.milliliter
            values["density"] = density.value_in_unit(grams)
        # in the order of the columns
        line = {n: values[key] for key, n in ENERGY_COLUMNS.items() if key in values}
        return line | {SPEED: self._speed(state)}

    def _speed(self, state: openmm.State) -> float:
        started, begun = self._begun or (time.monotonic(), state.getTime()._value)
        days = (time.monotonic() - started) / 86400
        done = state.getTime()._value - begun
        return round(1e-3 * done / days, 5) if days > 0 else 0.0


class NucleiReporter(TableReporter):
    """Write kinetic energies and sizes of quantum nuclei by element, as CSV.

    Of a ring polymer: the energy of all beads and springs over the number of beads,
    which is conserved without a thermostat; and for each element the mean over its
    atoms of the kinetic energy, by the centroid virial and by the springs (primitive),
    and the squared radius of gyration ⟨(q − q̄)²⟩ of the rings. Of a thermal bath: the
    kinetic energy of the velocities.

    Parameters
    ----------
    file, interval, append
        As ``TableReporter``.
    """

    include: ClassVar[list[str]] = ["positions", "velocities"]
    _elements: dict[str, np.ndarray] | None = None

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """Compute the numbers of a line, by the names of their columns."""
        context, masses = simulation.context, masses_of(simulation.system)
        if self._elements is None:
            self._elements = _atoms_by_element(simulation.topology, masses)
        columns: dict[str, np.ndarray] = {}
        line: dict[str, float | int] = {}
        if isinstance(context, RingPolymerContext):
            kelvin, beads = context.ring.getTemperature()._value, context.beads()
            apart = beads.positions - beads.positions.mean(axis=0)
            primitive = primitive_kinetic_energy(beads.positions, masses, kelvin)
            columns["Kinetic Energy of {} (kJ/mole)"] = _virial_of_atoms(
                context, kelvin
            )
            columns["Primitive Kinetic Energy of {} (kJ/mole)"] = primitive
            squares = np.square(apart).sum(axis=2).mean(axis=0)
            columns["Squared Radius of Gyration of {} (nm^2)"] = squares
            line["Ring Polymer Energy (kJ/mole)"] = ring_energy(context, masses, kelvin)
        else:
            velocities = state.getVelocities(asNumpy=True)._value
            kinetic = 0.5 * masses * np.square(velocities).sum(axis=1)
            columns["Kinetic Energy of {} (kJ/mole)"] = kinetic
        for name, values in columns.items():
            for element, atoms in self._elements.items():
                line[name.format(element)] = float(values[atoms].mean())
        return line


class BeadReporter:
    """Write all beads of a ring polymer as XTC, a frame each, one after the other.

    Frames of one moment have the same step and time; they are not wrapped into the box.

    Parameters
    ----------
    file : path
        Frames are appended to it.
    interval : int
        Steps between moments.
    append : bool
        Whether the file must exist and is continued.

    Raises
    ------
    ValueError
        If the interval is below 1.
    """

    def __init__(self, file: str | Path, interval: int, append: bool = False) -> None:
        check_interval(interval)
        self.path, self._interval = Path(file), interval
        if not append:
            self.path.write_bytes(b"")

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next report is due and what it needs."""
        return next_report(simulation, self._interval)

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Append the beads; OpenMM calls this."""
        box = state.getPeriodicBoxVectors()
        frames = [
            xtc_frame(simulation, positions * unit.nanometer, box)
            for positions in simulation.context.beads().positions
        ]
        append_bytes(self.path, b"".join(frames))


def ring_energy(
    context: RingPolymerContext, masses: np.ndarray, kelvin: float
) -> float:
    """Compute the energy of all beads and springs over the number of beads, kJ/mol."""
    positions, velocities = context.beads()
    count = len(positions)
    stiff = masses * (count * GAS_CONSTANT * kelvin / HBAR) ** 2
    steps = np.square(positions - np.roll(positions, -1, axis=0)).sum(axis=(0, 2))
    speeds = np.square(velocities).sum(axis=(0, 2))
    energy = 0.5 * (stiff @ steps + masses @ speeds)
    return float((energy + context.compute().energies.sum()) / count)


def _virial_of_atoms(context: RingPolymerContext, kelvin: float) -> np.ndarray:
    return virial_kinetic_energy(
        context.beads().positions, context.compute().forces, kelvin
    )


def _atoms_by_element(
    topology: app.Topology, masses: np.ndarray
) -> dict[str, np.ndarray]:
    """Atoms that can move, by their element."""
    symbols = [
        atom.element.symbol if atom.element is not None and masses[atom.index] else ""
        for atom in topology.atoms()
    ]
    every = np.array(symbols)
    return {one: np.flatnonzero(every == one) for one in sorted(set(symbols) - {""})}
