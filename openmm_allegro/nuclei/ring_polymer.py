# SPDX-License-Identifier: MIT
"""A ring polymer in a Context whose State is that of the centroid.

OpenMM's RPMDIntegrator keeps the beads to itself: the State of its Context is one bead,
or another, or none; on some platforms it does not count steps. Here the State has the
centroid's positions and velocities, and the mean potential energy of the beads, so
that reporters and checkpoints see what they see with other integrators.
"""

import weakref
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import openmm
from openmm import app

from ..forces import masses_of
from ..units import GAS_CONSTANT
from .estimators import resample

_STEPS = 10  # between stops of the drift
_ALL = 2**32 - 1  # groups of forces; OpenMM has -1 for them, too


class Beads(NamedTuple):
    """Beads of all atoms.

    Attributes
    ----------
    positions : [P, N, 3], nm, not wrapped
    velocities : [P, N, 3], nm/ps
        At P times the temperature; those of the centroid are at the temperature.
    """

    positions: np.ndarray
    velocities: np.ndarray


class BeadForces(NamedTuple):
    """Energy and forces of each bead, of all forces on it, contracted or not.

    Attributes
    ----------
    energies : [P], kJ/mol
    forces : [P, N, 3], kJ/(mol nm)
    """

    energies: np.ndarray
    forces: np.ndarray


class RingPolymerIntegrator(openmm.RPMDIntegrator):
    """An RPMDIntegrator that counts steps, and stops the drift of the whole.

    A CMMotionRemover of OpenMM would do so with each bead at each evaluation of the
    forces, which cools modes within the ring, and depends on when forces are evaluated
    anew. Here it is the centroid of all that rests, after each tenth step.
    """

    stops_drift = False
    _context: Any = None  # a weak reference

    def step(self, steps: int) -> None:
        """Take steps."""
        context = None if self._context is None else self._context()
        if context is None:
            super().step(steps)
            return
        begin = step = context.getStepCount()
        while step < begin + steps:
            after = min(begin + steps, step + _STEPS - step % _STEPS)
            super().step(after - step)
            step = after
            context.setStepCount(step)  # some platforms do not
            if self.stops_drift and step % _STEPS == 0:
                context.stop_drift()
        context.moved()


class RingPolymerContext(openmm.Context):
    """A Context of a ``RingPolymerIntegrator``; ``adopt`` makes it of an ordinary one.

    Until ``begin`` or ``set_beads`` it is that.
    """

    ring: RingPolymerIntegrator
    _shadow: openmm.Context
    _masses: np.ndarray
    _begun = False
    _seen: Beads | None = None
    _computed: dict[int, BeadForces]

    def getState(self, *args: Any, **asked: Any) -> openmm.State:
        """Return the State of the centroid, with the mean energy of the beads.

        Raises
        ------
        ValueError
            If forces are asked for, which a centroid has none of.
        """
        if not self._begun or args:
            return super().getState(*args, **asked)
        if asked.get("forces") or asked.get("getForces"):
            raise ValueError(
                "expected no forces of the State of a ring polymer, found them asked "
                "for; context.compute() has those on the beads"
            )
        shadow, box = self._shadow, super().getState().getPeriodicBoxVectors()
        shadow.setPeriodicBoxVectors(*box)
        shadow.setTime(super().getTime())
        shadow.setStepCount(super().getStepCount())
        for name, value in super().getParameters().items():
            shadow.setParameter(name, value)
        beads = self.beads()
        shadow.setPositions(beads.positions.mean(axis=0))
        shadow.setVelocities(beads.velocities.mean(axis=0))
        groups = asked.pop("groups", -1)
        if asked.get("energy") or asked.get("getEnergy"):
            _set_energy(shadow, float(self.compute(groups).energies.mean()))
        return shadow.getState(**asked)

    def beads(self) -> Beads:
        """Read all beads."""
        if self._seen is None:
            states = [
                self.ring.getState(copy, getPositions=True, getVelocities=True)
                for copy in range(self.ring.getNumCopies())
            ]
            self._seen = Beads(
                np.array([s.getPositions(asNumpy=True)._value for s in states]),
                np.array([s.getVelocities(asNumpy=True)._value for s in states]),
            )
        return self._seen

    def compute(self, groups: int | set[int] = -1) -> BeadForces:
        """Compute energies and forces of all beads, once for each step.

        Parameters
        ----------
        groups : int or set of int
            Force groups, as ``openmm.Context.getState`` takes them.
        """
        mask = (
            sum(1 << group for group in groups) if isinstance(groups, set) else groups
        )
        mask &= _ALL
        if mask not in self._computed:
            energies, forces = [], []
            for copy in range(self.ring.getNumCopies()):
                state = self.ring.getState(
                    copy, getEnergy=True, getForces=True, groups=groups
                )
                energies.append(state.getPotentialEnergy()._value)
                forces.append(state.getForces(asNumpy=True)._value)
            self._computed[mask] = BeadForces(np.array(energies), np.array(forces))
        return self._computed[mask]

    def set_beads(self, beads: Beads) -> None:
        """Put all beads somewhere; forces are computed anew at the next step."""
        for copy in range(self.ring.getNumCopies()):
            self.ring.setPositions(copy, beads.positions[copy])
            self.ring.setVelocities(copy, beads.velocities[copy])
        self._begun = True
        self.moved()

    def begin(self, kelvin: float, seed: int, earlier: Beads | None = None) -> None:
        """Make beads around the Context's positions and velocities.

        Positions of all beads of an atom are the same, or apart as in ``earlier``.
        Velocities within the ring are drawn, or those of as many earlier beads.

        Parameters
        ----------
        kelvin : float
        seed : int
        earlier : Beads, optional
            End of another run, with the centroid where the Context's positions are.
        """
        state = super().getState(positions=True, velocities=True)
        centroid = state.getPositions(asNumpy=True)._value
        mean = state.getVelocities(asNumpy=True)._value
        count = self.ring.getNumCopies()
        positions = np.repeat(centroid[None], count, axis=0)
        random = np.random.default_rng([seed, count])
        within = random.normal(size=positions.shape)
        heavy = self._masses > 0
        within[:, ~heavy] = 0.0
        spread = np.sqrt(count * GAS_CONSTANT * kelvin / self._masses[heavy])
        within[:, heavy] *= spread[:, None]
        if earlier is not None:
            apart = resample(earlier.positions, count)
            positions = centroid + apart - apart.mean(axis=0)
            if len(earlier.velocities) == count:
                within = earlier.velocities
        self.set_beads(Beads(positions, mean + within - within.mean(axis=0)))

    def stop_drift(self) -> None:
        """Let the centre of mass of the centroid rest."""
        velocities = [
            self.ring.getState(copy, getVelocities=True).getVelocities(asNumpy=True)
            for copy in range(self.ring.getNumCopies())
        ]
        values = np.array([one._value for one in velocities])
        drift = np.average(values.mean(axis=0), axis=0, weights=self._masses)
        values[:, self._masses > 0] -= drift
        for copy, each in enumerate(values):
            self.ring.setVelocities(copy, each)

    def forget_pairs(self, away: np.ndarray) -> None:
        """Make lists of pairs invalid: all atoms are moved away (nm) and back."""
        beads = self.beads()
        super().setPositions(beads.positions[0] + away)
        super().getState(energy=True)
        self.set_beads(beads)

    def moved(self) -> None:
        """Forget what was read and computed before a step."""
        self._seen, self._computed = None, {}


def adopt(simulation: app.Simulation) -> None:
    """Make the Context of a simulation a ``RingPolymerContext`` if it has a ring."""
    integrator, context = simulation.integrator, simulation.context
    if not isinstance(integrator, RingPolymerIntegrator):
        return
    context.__class__ = RingPolymerContext
    context.ring, context._masses = integrator, masses_of(context.getSystem())
    context.moved()
    context._shadow = _make_shadow(context)
    integrator._context = weakref.ref(context)


def _make_shadow(context: openmm.Context) -> openmm.Context:
    """Make a Context of the same particles, with energy and forces that are given."""
    system, shadow = context.getSystem(), openmm.System()
    for mass in masses_of(system):
        shadow.addParticle(mass)
    energy = openmm.CustomExternalForce("energy")
    energy.addPerParticleParameter("energy")
    energy.addParticle(0, [0.0])
    for name, value in context.getParameters().items():
        energy.addGlobalParameter(name, value)
    shadow.addForce(energy)
    # so that molecules stay whole when they are wrapped into the box
    bonds = openmm.HarmonicBondForce()
    bonds.setUsesPeriodicBoundaryConditions(system.usesPeriodicBoundaryConditions())
    for molecule in context.getMolecules():
        for first, second in pairwise(molecule):
            bonds.addBond(first, second, 0.0, 0.0)
    shadow.addForce(bonds)
    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(shadow, openmm.VerletIntegrator(1e-6), platform)


def _set_energy(shadow: openmm.Context, energy: float) -> None:
    (force, _) = shadow.getSystem().getForces()
    force.setParticleParameters(0, 0, [energy])
    force.updateParametersInContext(shadow)
