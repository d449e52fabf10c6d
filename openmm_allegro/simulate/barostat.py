# SPDX-License-Identifier: MIT
"""Memory of a Monte Carlo barostat, which checkpoints of OpenMM leave out.

The barostat changes the size of its moves: after 10 attempts or more, it divides it by
1.1 where less than a quarter were accepted, and multiplies it by 1.1 (but not beyond
0.3 of the volume) where more than three quarters were, and counts anew. All that
follows from which attempts changed the box. A new Context is brought to the same point
by attempts without energies, whose outcome pressure and temperature decide.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import openmm
from openmm import unit

Box = list[list[float]]

_FEWEST, _FEW, _MANY = 10, 0.25, 0.75  # attempts; parts of them that are accepted
# Attempts since the last change that are repeated, at least and times particles, which
# takes seconds; of more, as many in proportion.
_LEAST_REPEATED, _REPEATED = 1000, 4_000_000
_NEVER = 2**31 - 1  # steps
_ACCEPTING = (0.0, 0.0)  # bar, K: every move has the weight 1
_SHRINKING = (1e12, 1e-3)  # any move to a larger volume is rejected


@dataclass
class Memory:
    """Changes of the size of moves, and attempts since the last one.

    Attributes
    ----------
    changes : list
        Box vectors (nm) where the size grew, None where it shrank.
    attempted, accepted : int
        Since then.
    """

    changes: list[Box | None] = field(default_factory=list)
    attempted: int = 0
    accepted: int = 0


class BarostatWatch:
    """Watch of a barostat from outside: it sees the box alone.

    Parameters
    ----------
    context : openmm.Context
        Of which no step was taken, or that ``recall`` has brought to ``memory``.
    memory : dict, optional
        Result of ``state_dict``.
    """

    def __init__(
        self, context: openmm.Context, memory: dict[str, Any] | None = None
    ) -> None:
        self.memory = Memory(**(memory or {}))
        self._context = context
        self._box = _box_of(context)

    def look(self) -> None:
        """Look at the box after a step that began with an attempt."""
        before, memory = self._box, self.memory
        self._box = _box_of(self._context)
        memory.attempted += 1
        memory.accepted += self._box != before
        if memory.attempted < _FEWEST:
            return
        if memory.accepted < _FEW * memory.attempted:
            self.memory = Memory([*memory.changes, None])
        elif memory.accepted > _MANY * memory.attempted:
            self.memory = Memory([*memory.changes, before])

    def state_dict(self) -> dict[str, Any]:
        """Return what ``recall`` needs, as JSON values."""
        return dataclasses.asdict(self.memory)


def barostat_of(context: openmm.Context) -> openmm.MonteCarloBarostat | None:
    """Find the barostat of a Context, if it is one that can be remembered.

    Others scale the axes one by one; and the attempts of ``recall`` would change
    variables of a CustomIntegrator, which checkpoints leave out as well.
    """
    if isinstance(context.getIntegrator(), openmm.CustomIntegrator):
        return None
    for force in context.getSystem().getForces():
        if isinstance(force, openmm.MonteCarloBarostat):
            return force
    return None


def recall(context: openmm.Context, memory: dict[str, Any], steps: int) -> None:
    """Bring the barostat of a new Context to what another one had come to.

    Positions, velocities, box and parameters are to be set afterwards.

    Parameters
    ----------
    context : openmm.Context
    memory : dict
        From ``BarostatWatch.state_dict``.
    steps : int
        That the other one had taken.
    """
    barostat, integrator = barostat_of(context), context.getIntegrator()
    most = max(_LEAST_REPEATED, _REPEATED // context.getSystem().getNumParticles())
    frequency = barostat.getFrequency()
    groups = integrator.getIntegrationForceGroups()
    start = context.getState(positions=True, velocities=True, parameters=True)
    dice = _Dice()
    try:
        integrator.setIntegrationForceGroups(0)
        barostat.setFrequency(1)
        for number, (box, accepted) in enumerate(_attempts(Memory(**memory), most)):
            if number % _FEWEST == 0:  # lest they drift away
                context.setState(start)
            context.setPeriodicBoxVectors(*(box or start.getPeriodicBoxVectors()))
            if not accepted:
                dice.show_growth()
            _set(context, _ACCEPTING if accepted else _SHRINKING)
            integrator.step(1)
        barostat.setFrequency(_NEVER)
        integrator.step(steps % frequency)
    finally:
        barostat.setFrequency(frequency)
        integrator.setIntegrationForceGroups(groups)
        dice.put_back()
        context.setState(start)


class _Dice:
    """Random numbers of OpenMM's barostats, which all Contexts share."""

    def __init__(self) -> None:
        self._other = _context_of_one()
        self._start = self._other.createCheckpoint()  # before another barostat's seed
        barostat = openmm.MonteCarloBarostat(*_SHRINKING, 1)
        self._context = _context_of_one(barostat)
        self._growth = self._find_growth()

    def show_growth(self) -> None:
        """Let the next move be one to a larger volume."""
        self._context.loadCheckpoint(self._growth)

    def put_back(self) -> None:
        """Let the next numbers be those that they were."""
        self._other.loadCheckpoint(self._start)

    def _find_growth(self) -> bytes:
        while True:
            before = self._context.createCheckpoint()
            box = _box_of(self._context)
            self._context.getIntegrator().step(1)
            if _box_of(self._context) == box:
                return before


def _attempts(memory: Memory, most: int) -> Iterator[tuple[Box | None, bool]]:
    """Fewest attempts, with box and outcome, that lead to a memory.

    After the last change of the size there are at most that many.
    """
    for box in memory.changes:
        yield from [(box, box is not None)] * _FEWEST
    count, accepted = memory.attempted, memory.accepted
    if count > most:
        count, accepted = most, round(most * accepted / count)
    done = 0
    for number in range(1, count + 1):
        # rounded so that they are never too few or too many, and the size would change
        wanted = number * accepted / count
        wanted = math.floor(wanted) if 2 * accepted > count else math.ceil(wanted)
        yield None, wanted > done
        done = wanted


def _context_of_one(*forces: openmm.Force) -> openmm.Context:
    """A particle in a box of its own, which costs next to nothing."""
    system = openmm.System()
    system.addParticle(1.0)
    system.setDefaultPeriodicBoxVectors((1, 0, 0), (0, 1, 0), (0, 0, 1))
    periodic = openmm.HarmonicBondForce()
    periodic.setUsesPeriodicBoundaryConditions(True)
    for force in (periodic, *forces):
        system.addForce(force)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(1e-9), platform)
    context.setPositions([openmm.Vec3(0, 0, 0)])
    return context


def _box_of(context: openmm.Context) -> Box:
    vectors = context.getState().getPeriodicBoxVectors()
    return [list(vector.value_in_unit(unit.nanometer)) for vector in vectors]


def _set(context: openmm.Context, values: tuple[float, float]) -> None:
    names = (
        openmm.MonteCarloBarostat.Pressure(),
        openmm.MonteCarloBarostat.Temperature(),
    )
    for name, value in zip(names, values, strict=True):
        context.setParameter(name, value)
