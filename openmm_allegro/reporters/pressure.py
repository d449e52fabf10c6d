# SPDX-License-Identifier: MIT
"""Instantaneous pressure of a simulation."""

from typing import ClassVar, NamedTuple

import numpy as np
import openmm
from openmm import app, unit

from ..classical.bonds import BOND_MARKERS
from ..classical.parameters import WITHOUT_ENERGY
from ..forces import masses_of
from ..nuclei.ring_polymer import RingPolymerContext
from ..potential.computation import Computation, computation
from ..units import EV_TO_KJ_PER_MOL, KJ_PER_MOL_NM3_TO_BAR, NM_TO_ANGSTROM
from .table import TableReporter

_DIAGONAL = {"Pxx": (0, 0), "Pyy": (1, 1), "Pzz": (2, 2)}
_SHEAR = {"Pxy": (0, 1), "Pxz": (0, 2), "Pyz": (1, 2)}
# Relative change of lengths, either way, in numerical derivatives of the energy.
_STRAIN = 1e-3


class PressureReporter(TableReporter):
    """Write the instantaneous pressure, the volume and the density as CSV.

    The pressure is that of molecules, as the System has them: of the motion of their
    centres, and of the energy's derivative by a strain ε that moves each as a whole,
    as a barostat does,

        P_ab = (Σ M v_a v_b − dU/dε_ab) / V,

    so that constraints do not enter; where each atom is a molecule, it is the atomic
    tensor. Velocities v are relative to the centre of mass of all, and their part is
    multiplied by n/(n − 1) for n molecules: then the mean is a barostat's pressure in
    a small box, too, with and without a CMMotionRemover. Single values fluctuate by
    thousands of bar in a box of some hundred atoms.

    Where an Allegro force is the only interaction, the whole tensor comes from the
    model's virial, at the cost of one evaluation. In other Systems (mixed ones,
    restraints) the diagonal comes from differences of the potential energy of all
    forces, at the cost of six.

    Of a ring polymer, the centres of molecules are those of the centroid, and dU/dε is
    the mean of the beads, each moved by the same vector, at the cost of as many times
    the evaluations. A quantum thermal bath has no such pressure.

    Parameters
    ----------
    file, interval, append
        As ``TableReporter``.

    Raises
    ------
    ValueError
        If the interval is below 1, or, at the first report, the System is not periodic.

    Examples
    --------
    >>> simulation.reporters.append(PressureReporter("pressure.csv", 100))
    """

    include: ClassVar[list[str]] = ["positions", "velocities"]
    _system: "_System | None" = None

    def values(
        self, simulation: app.Simulation, state: openmm.State
    ) -> dict[str, float | int]:
        """Compute the numbers of a line, by the names of their columns."""
        if self._system is None:
            self._system = _describe(simulation.context)
        tensor, volume = _pressure(simulation.context, state, self._system)
        components = _DIAGONAL | (_SHEAR if self._system.model else {})
        mass = self._system.masses.sum() * unit.dalton
        density = mass / (volume * unit.nanometer**3)
        return {
            "Pressure (bar)": np.trace(tensor) / 3,
            **{f"{name} (bar)": tensor[at] for name, at in components.items()},
            "Box Volume (nm^3)": volume,
            "Density (g/mL)": density.value_in_unit(
                unit.gram / unit.item / unit.milliliter
            ),
        }


class _System(NamedTuple):
    """Properties of a System that do not change between reports."""

    molecules: np.ndarray  # [N] int, the molecule of each particle
    masses: np.ndarray  # [N], Da
    model: Computation | None  # if it is the only interaction


def _describe(context: openmm.Context) -> _System:
    system = context.getSystem()
    if not system.usesPeriodicBoundaryConditions():
        raise ValueError("a pressure expects a periodic System, found one without box")
    count = system.getNumParticles()
    molecules = np.empty(count, dtype=int)
    for number, atoms in enumerate(context.getMolecules()):
        molecules[list(atoms)] = number
    return _System(molecules, masses_of(system), _only_interaction(context))


def _only_interaction(context: openmm.Context) -> Computation | None:
    system, models = context.getSystem(), []
    for force in system.getForces():
        model = computation(force, context)
        if model is not None:
            models.append(model)
        elif (
            force.getName() != BOND_MARKERS
            and type(force).__name__ not in WITHOUT_ENERGY
        ):
            return None
    if len(models) == 1:
        (model,) = models
        if np.array_equal(model.particles, np.arange(system.getNumParticles())):
            return model
    return None


def _pressure(
    context: openmm.Context, state: openmm.State, system: _System
) -> tuple[np.ndarray, float]:
    """Tensor [3, 3] (bar), NaN where it is not known, and volume (nm³)."""
    box = state.getPeriodicBoxVectors(asNumpy=True)._value
    positions = state.getPositions(asNumpy=True)._value
    velocities = state.getVelocities(asNumpy=True)._value
    volume = float(np.prod(np.diag(box)))
    velocities = velocities - np.average(velocities, axis=0, weights=system.masses)
    momenta = _sums(system.masses[:, None] * velocities, system.molecules)
    masses = np.bincount(system.molecules, system.masses)[:, None]
    moving = np.flatnonzero(masses)
    kinetic = (momenta[moving] / masses[moving]).T @ momenta[moving]
    kinetic *= len(moving) / max(len(moving) - 1, 1)
    # a barostat moves the centre of geometry
    sizes = np.bincount(system.molecules)[:, None]
    centers = (_sums(positions, system.molecules) / sizes)[system.molecules]
    beads = [positions]
    if isinstance(context, RingPolymerContext):
        beads = list(context.beads().positions)
    if system.model is None:
        strain = _strain_by_differences(context, beads, centers, box)
    else:
        strain = _strain_of_model(system, beads, centers, box)
    return (kinetic - strain) / volume * KJ_PER_MOL_NM3_TO_BAR, volume


def _sums(values: np.ndarray, molecules: np.ndarray) -> np.ndarray:
    """Sum values of atoms [N, 3] over the atoms of each molecule [M, 3]."""
    return np.stack([np.bincount(molecules, column) for column in values.T], axis=1)


def _strain_of_model(
    system: _System, beads: list[np.ndarray], centers: np.ndarray, box: np.ndarray
) -> np.ndarray:
    """Mean dU/dε [3, 3], kJ/mol, of a strain that moves whole molecules."""
    strain = np.zeros((3, 3))
    for positions in beads:
        _, forces, of_bead = system.model.run(positions, box)
        of_bead = of_bead + forces.T @ (positions - centers) * NM_TO_ANGSTROM
        strain += of_bead / len(beads)
    return (strain + strain.T) / 2 * EV_TO_KJ_PER_MOL


def _strain_by_differences(
    context: openmm.Context,
    beads: list[np.ndarray],
    centers: np.ndarray,
    box: np.ndarray,
) -> np.ndarray:
    """Mean diagonal of dU/dε [3, 3], kJ/mol, NaN beside it; the Context is as before.

    Shear is left out: the CUDA platform takes a box that starts as a rectangular one
    for one that stays so (https://github.com/openmm/openmm/issues/4548).
    """
    own = context.beads() if isinstance(context, RingPolymerContext) else None
    groups = context.getIntegrator().getIntegrationForceGroups()
    strain = np.full((3, 3), np.nan)
    try:
        for axis in range(3):
            energies = []
            for step in (_STRAIN, -_STRAIN):
                changed, energy = box.copy(), 0.0
                changed[:, axis] *= 1 + step
                context.setPeriodicBoxVectors(*changed)
                for positions in beads:
                    moved = positions.copy()
                    moved[:, axis] += step * centers[:, axis]
                    context.setPositions(moved)
                    # of these positions, also where a State is that of a ring polymer
                    trial = openmm.Context.getState(context, energy=True, groups=groups)
                    energy += trial.getPotentialEnergy()._value
                energies.append(energy / len(beads))
            strain[axis, axis] = (energies[0] - energies[1]) / (2 * _STRAIN)
    finally:
        context.setPeriodicBoxVectors(*box)
        context.setPositions(beads[0])
        if isinstance(context, RingPolymerContext):
            context.set_beads(own)
    return strain
