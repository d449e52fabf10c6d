# SPDX-License-Identifier: MIT
"""Copy Systems, and list their forces and masses, whatever plugins these are of."""

import copy
import sys

import numpy as np
import openmm

from ..units import GAS_CONSTANT
from ..utils.compatibility import installed_known_bad
from .torch_force import register_torch_force

FORCE_NAME = "Allegro"
# Forces have their classes' names again when they are copied or serialized.
NAMES = (FORCE_NAME, "TorchForce", "PythonForce")


def copy_system(system: openmm.System) -> openmm.System:
    """Copy a System; OpenMM's own copies lose the names of plugins' forces.

    Raises
    ------
    ImportError
        As ``check_copy``.
    """
    check_copy(system)
    copied = copy.deepcopy(system)
    for force, other in zip(system.getForces(), copied.getForces(), strict=True):
        other.setName(force.getName())
    return copied


def check_copy(system: openmm.System) -> None:
    """Refuse to copy a System that would crash the process.

    Raises
    ------
    ImportError
        With openmm 8.6, if the System holds a TorchForce.
    """
    if installed_known_bad() and holds_torch_force(system):
        raise ImportError(installed_known_bad()[0])


def holds_torch_force(system: openmm.System) -> bool:
    """Tell whether a System has a TorchForce."""
    # No process has one that has not imported its package.
    if "openmmtorch" not in sys.modules:
        return False
    TorchForce = register_torch_force()
    return any(TorchForce.isinstance(force) for force in with_variables(system))


def with_variables(system: openmm.System) -> list[openmm.Force]:
    """Forces of a System, and those that are variables of others."""
    forces = list(system.getForces())
    for force in system.getForces():
        if isinstance(force, openmm.CustomCVForce):
            count = force.getNumCollectiveVariables()
            forces += [force.getCollectiveVariable(i) for i in range(count)]
    return forces


def masses_of(system: openmm.System) -> np.ndarray:
    """Masses of all particles in Da, [N]."""
    count = system.getNumParticles()
    return np.array([system.getParticleMass(i)._value for i in range(count)])


def kinetic_temperature(
    masses: np.ndarray, velocities: np.ndarray, freedom: int
) -> float:
    """Temperature in K of masses [N] in Da with velocities [N, 3] in nm/ps."""
    squares = np.square(velocities).sum(axis=1)
    return float(masses @ squares) / (freedom * GAS_CONSTANT)


def degrees_of_freedom(system: openmm.System) -> int:
    """Degrees of freedom of what moves, without those that constraints take."""
    moving = int(np.count_nonzero(masses_of(system)))
    drift = any(isinstance(f, openmm.CMMotionRemover) for f in system.getForces())
    return 3 * moving - system.getNumConstraints() - 3 * drift
