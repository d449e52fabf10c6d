# SPDX-License-Identifier: MIT
"""E_mixed = E_MM(all) + λ (E_ML(region) - E_MM(region)), and so the forces.

For the tests and for benchmarks/mixing_identities.py.
"""

import functools
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import openmm
from mixed_inputs import (
    METHODS,
    Input,
    amber14,
    amber19,
    charmm36,
    prmtop,
    psf,
    top,
)
from openmm_helpers import BACKEND, energy_and_forces

from openmm_allegro import AllegroPotential

LAMBDAS = (None, 0.0, 0.3, 1.0)  # None: a System that does not interpolate
CONSTRAINTS = ("none", "kept", "removed")


class Row(NamedTuple):
    """Deviation of a mixed System from the identity.

    The energy is relative to the energy, the force to the largest force.
    """

    method: str
    constraints: str
    value: float | None  # of lambda_interpolate
    energy: float  # kJ/mol
    energy_error: float
    force_error: float


def inputs(folder) -> dict[str, Callable[[], Input]]:
    """Inputs of the mixed Systems by name; a psf is written to ``folder``."""
    return {
        "Amber14, OpenMM XML": amber14,
        "Amber19 with CMAP, OpenMM XML": amber19,
        "CHARMM36 with CMAP, OpenMM XML": charmm36,
        "Amber prmtop": prmtop,
        "Amber prmtop, OBC2": functools.partial(prmtop, "OBC2"),
        "Amber prmtop, GBn2": functools.partial(prmtop, "GBn2"),
        "CHARMM psf with NBFIX": functools.partial(psf, folder),
        "GROMACS top with RB torsions": top,
    }


def methods(name: str) -> tuple[str, ...]:
    """The nonbonded methods that a reader has for it."""
    if name.endswith(("OBC2", "GBn2")):
        return ("NoCutoff",)
    has_ljpme = name.startswith(("Amber14", "Amber19", "Amber prmtop"))
    return tuple(method for method in METHODS if has_ljpme or method != "LJPME")


def identities(
    potential: AllegroPotential,
    given: Input,
    method: str,
    constraints: str,
    platform: str = "Reference",
    make: Callable[..., openmm.System] | None = None,
) -> Iterator[Row]:
    """A row for each of ``LAMBDAS``; ``make`` as ``by_us``, which is the default."""
    system = given.system(False, method, constraints != "none")
    everything = energy_and_forces(system, given.positions, platform)
    mm = region_mm(given, method, constraints != "none", platform)
    ml = region_ml(potential, given, platform)
    change = ml[0] - mm[0], ml[1] - mm[1]
    for interpolate in (False, True):
        remove = constraints == "removed"
        mixed = (make or by_us(potential))(given, system, interpolate, remove)
        context = openmm.Context(
            mixed,
            openmm.VerletIntegrator(0.001),
            openmm.Platform.getPlatformByName(platform),
        )
        context.setPositions(given.positions)
        for value in LAMBDAS[1:] if interpolate else LAMBDAS[:1]:
            if interpolate:
                context.setParameter("lambda_interpolate", value)
            part = 1.0 if value is None else value
            expected = [a + part * b for a, b in zip(everything, change, strict=True)]
            state = context.getState(energy=True, forces=True)
            energy = state.getPotentialEnergy()._value
            forces = state.getForces(asNumpy=True)._value
            yield Row(
                method,
                constraints,
                value,
                energy,
                abs(energy - expected[0]) / abs(expected[0]),
                abs(forces - expected[1]).max() / abs(expected[1]).max(),
            )


def by_us(
    potential: AllegroPotential, backend: str = BACKEND
) -> Callable[..., openmm.System]:
    """Mixed Systems as the package makes them."""

    def make(given: Input, system: openmm.System, interpolate: bool, remove: bool):
        return potential.create_mixed_system(
            given.topology,
            system,
            given.atoms,
            interpolate=interpolate,
            remove_constraints=remove,
            precision="double",
            backend=backend,
        )

    return make


def by_openmmml(path, backend: str = BACKEND) -> Callable[..., openmm.System]:
    """The same as OpenMM-ML makes them of a model file."""
    from openmmml import MLPotential

    potential = MLPotential("allegro", modelPath=str(path))

    def make(given: Input, system: openmm.System, interpolate: bool, remove: bool):
        return potential.createMixedSystem(
            given.topology,
            system,
            given.atoms,
            interpolate=interpolate,
            removeConstraints=remove,
            precision="double",
            backend=backend,
            periodic=system.usesPeriodicBoundaryConditions(),
        )

    return make


def region_ml(
    potential: AllegroPotential, given: Input, platform: str = "Reference"
) -> tuple[float, np.ndarray]:
    """Energy and forces, on all atoms, of the model of the region in vacuum."""
    system = potential.create_system(
        given.alone, backend=BACKEND, precision="double", periodic=False
    )
    return _of_region(given, system, platform)


def region_mm(
    given: Input, method: str, constrained: bool, platform: str = "Reference"
) -> tuple[float, np.ndarray]:
    """The same of the force field, from a System of the region alone."""
    if method != "LJPME":
        vacuum = "NoCutoff" if method in ("Ewald", "PME") else method
        system = without_tail(given.system(True, vacuum, constrained))
        return _of_region(given, system, platform)
    # Its pairs are those of a vacuum but for a constant, which depends on the cutoff.
    alone = without_tail(given.system(True, method, constrained))
    energy, forces = _of_region(given, alone, platform)
    of_images = _of_region(given, without_nearest_pairs(alone), platform)
    return energy - of_images[0], forces - of_images[1]


def _of_region(given: Input, system: openmm.System, platform: str):
    order = sorted(given.atoms)
    energy, some = energy_and_forces(system, given.positions[order], platform)
    forces = np.zeros_like(given.positions)
    forces[order] = some
    return energy, forces


def without_tail(system: openmm.System) -> openmm.System:
    """Without the corrections for a cutoff that depend on the volume alone."""
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setUseDispersionCorrection(False)
        elif isinstance(force, openmm.CustomNonbondedForce):
            force.setUseLongRangeCorrection(False)
    return system


def without_nearest_pairs(system: openmm.System) -> openmm.System:
    """Make a System with the interactions with images alone."""
    images = openmm.System()
    images.setDefaultPeriodicBoxVectors(*system.getDefaultPeriodicBoxVectors())
    for i in range(system.getNumParticles()):
        images.addParticle(system.getParticleMass(i))
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    force = openmm.XmlSerializer.clone(force)
    for first, second in combinations(range(system.getNumParticles()), 2):
        force.addException(first, second, 0.0, 1.0, 0.0, True)
    images.addForce(force)
    return images
