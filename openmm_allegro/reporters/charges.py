# SPDX-License-Identifier: MIT
"""Charges that a model gives to atoms, and the dipole moment that they make."""

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import openmm
from openmm import app, unit

from ..forces import masses_of
from ..potential.charges import charged_computation
from ..potential.computation import Computation, computations
from ..utils.charge_records import header, record_type
from .molecules import Molecules
from .table import TableReporter, check_interval, next_report


class DipoleReporter(TableReporter):
    r"""Write the dipole moment of molecules and the current of their charges as CSV.

    The charges are those of a model with charges. The dipole moment of a periodic box
    is defined where each molecule is neutral. Here charges move with the molecules, so
    that there are two parts,

    .. math::
        D = \sum_i q_i (r_i - R_{m(i)}), \qquad J = \sum_m Q_m V_m,

    the dipole moments of molecules about their centres of mass R, and the current of
    the charges Q of whole molecules, ions above all, with the velocities V of their
    centres. The sum of dD/dt and J is what light sees (``analyze infrared``).
    Molecules are those of the topology's bonds, made whole. Charge that passes from one
    molecule to another has no path, and is in neither.

    A line has D (e nm), J (e nm/ps), the mean charge of the atoms of each element (e)
    and the volume. It costs an evaluation of the charges, half of one of the forces.

    Parameters
    ----------
    file, interval, append
        As ``TableReporter``.

    Raises
    ------
    ValueError
        If the interval is below 1, or, at the first report, as ``check_charges``.

    Examples
    --------
    >>> simulation.reporters.append(DipoleReporter("dipoles.csv", 4))
    """

    include: ClassVar[list[str]] = ["positions", "velocities"]
    _model: Computation | None = None

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """Compute the numbers of a line, by the names of their columns."""
        if self._model is None:
            self._describe(simulation)
        box = _box(state, self._periodic)
        positions = state.getPositions(asNumpy=True)._value
        velocities = state.getVelocities(asNumpy=True)._value
        charges = self._model.charges(positions, box)
        whole = self._molecules.whole(positions, box)
        centers = self._molecules.centers(whole)[self._molecules.of_atoms]
        dipole = charges @ (whole - centers)
        current = self._molecules.sums(charges) @ self._molecules.centers(velocities)
        line = {f"Dipole {x} (e nm)": d for x, d in zip("XYZ", dipole, strict=True)}
        line |= {
            f"Current {x} (e nm/ps)": j for x, j in zip("XYZ", current, strict=True)
        }
        for symbol, atoms in self._elements.items():
            line[f"Charge of {symbol} (e)"] = charges[atoms].mean()
        if self._periodic:
            line["Box Volume (nm^3)"] = float(np.prod(np.diag(box)))
        return {name: float(value) for name, value in line.items()}

    def _describe(self, simulation: app.Simulation) -> None:
        """Find the model, the molecules and the elements."""
        system, topology = simulation.system, simulation.topology
        check_charges(system)
        model = charged_computation(simulation.context)
        self._molecules = Molecules(topology, masses_of(system))
        symbols = np.array([atom.element.symbol for atom in topology.atoms()])
        self._elements = {s: np.flatnonzero(symbols == s) for s in np.unique(symbols)}
        self._periodic = system.usesPeriodicBoundaryConditions()
        self._model = model


class ChargeReporter:
    """Write the charges of all atoms, as ``utils.charge_records`` describes.

    Each record reaches the file in a single write, and a file that has vanished is an
    error.

    Parameters
    ----------
    file : path
        Records are appended to it. Without ``append``, the first one makes or replaces
        it.
    interval : int
        Steps between records. Analyses take those that have a frame of the trajectory.
    append : bool
        Whether the file is continued.

    Raises
    ------
    ValueError
        If the interval is below 1, or, at the first report, as ``check_charges``.
    """

    _model: Computation | None = None

    def __init__(self, file: str | Path, interval: int, append: bool = False) -> None:
        check_interval(interval)
        self.path, self._interval, self.append = Path(file), interval, append
        self._started = False

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next report is due and what it needs."""
        return next_report(simulation, self._interval, "positions")

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Write a record; OpenMM calls this."""
        if self._model is None:
            check_charges(simulation.system)
            self._model = charged_computation(simulation.context)
        periodic = simulation.system.usesPeriodicBoundaryConditions()
        positions = state.getPositions(asNumpy=True)._value
        charges = self._model.charges(positions, _box(state, periodic))
        record = np.zeros(1, dtype=record_type(len(charges)))
        record["step"] = simulation.currentStep
        record["time"] = state.getTime().value_in_unit(unit.picosecond)
        record["charges"] = charges
        data, flags = record.tobytes(), os.O_WRONLY | os.O_APPEND
        if not self._started:
            begins = not self.append or not self.path.exists()
            if begins or self.path.stat().st_size == 0:
                data = header(len(charges)) + data
            flags |= os.O_CREAT if self.append else os.O_CREAT | os.O_TRUNC
        descriptor = os.open(self.path, flags, 0o666)
        try:
            written = os.write(descriptor, data)
        finally:
            os.close(descriptor)
        if written != len(data):
            raise OSError(f"{self.path}: wrote {written} of {len(data)} bytes")
        self._started = True


def check_charges(system: openmm.System) -> None:
    """Refuse a System in which the atoms' charges are not those of one model.

    Raises
    ------
    ValueError
        If there is no model with charges, several, one of some particles alone, or a
        NonbondedForce with charges beside it.
    """
    models = [model for model in computations(system) if model.is_charged]
    if len(models) != 1:
        raise ValueError(
            "expected a System with a force of a model with charges (charges = "
            f"'constant' or 'learned'), found {len(models)} such forces"
        )
    (model,), count = models, system.getNumParticles()
    if model.number_of_caps or not np.array_equal(model.particles, np.arange(count)):
        raise ValueError(
            f"expected a model with charges of all {count} particles, found one of "
            f"{len(model.particles)} and {model.number_of_caps} link atoms: the "
            "charges of the others are not its"
        )
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce) and any(
            force.getParticleParameters(i)[0]._value for i in range(count)
        ):
            raise ValueError(
                "expected charges of a model alone, found a NonbondedForce with "
                "charges beside it"
            )


def _box(state: openmm.State, periodic: bool) -> np.ndarray | None:
    """Box vectors [3, 3] in nm; None without periodic images."""
    return state.getPeriodicBoxVectors(asNumpy=True)._value if periodic else None
