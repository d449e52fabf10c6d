# SPDX-License-Identifier: MIT
"""Watch a simulation: warn, keep the frame, or stop beyond a limit."""

import csv
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ...nuclei.ring_polymer import RingPolymerContext
from ...reporters.table import next_report
from ...runs.names import paths_of
from ...units import NM_TO_ANGSTROM
from .limits import Frame, find_nan, make_limits
from .settings import Watchdogs

__all__ = ["StopSimulation", "Watchdog", "Watchdogs"]

log = logging.getLogger(__name__)

# Limits of positions, which the model sees of each bead.
_OF_POSITIONS = ("closest", "bonds", "deviation")
COLUMNS = ("step", "time_ps", "watchdog", "action", "message")


class StopSimulation(RuntimeError):
    """A limit was crossed whose action is "stop"."""


class Watchdog:
    """A reporter that looks at a simulation every few steps.

    An event is written when a limit is crossed, and again only after what was watched
    has been within it: a line of ``PREFIX.events.csv`` (step, time_ps, watchdog,
    action, message) and, with the actions "frame" and "stop", the frame at the end of
    ``PREFIX.events.xyz`` (extended XYZ, Å, positions not wrapped: ``read_structures``
    takes it). Both files are closed after each event, and only grow; neither exists
    before the first one. The log has a warning for the first event of each kind, the
    tenth, the hundredth and so on.

    Parameters
    ----------
    settings : Watchdogs
    simulation : openmm.app.Simulation
        Its topology, System and Context are watched.
    prefix : path
        Prefix of the files, such as ``runs/nacl``.
    start : ndarray [N, 3], optional
        Positions, nm, that bonds have their first lengths at; by default, those of the
        first frame that is looked at.
    bias_energy : function, optional
        Energy of a bias that changes, kJ/mol, which is no part of what is watched.

    Raises
    ------
    ValueError
        If the simulation lacks what a limit needs: a committee, bonds, distances of the
        training data (``Watchdogs.for_models``), degrees of freedom.

    Examples
    --------
    >>> settings = Watchdogs(temperature_k=(100, 600), closest={"H-O": 0.7})
    >>> simulation.reporters.append(Watchdog(settings, simulation, "runs/nacl"))
    """

    def __init__(
        self,
        settings: Watchdogs,
        simulation: app.Simulation,
        prefix: str | Path,
        start: np.ndarray | None = None,
        bias_energy: Callable[[], float] | None = None,
    ) -> None:
        if settings.closest_of_training:
            raise ValueError(
                "watchdogs: expected distances in the place of closest_of_training, "
                "found none; use settings.for_models(potential.models)"
            )
        self.settings, self._bias_energy = settings, bias_energy
        paths = paths_of(prefix)
        self.path, self.frames = paths["events"], paths["event_frames"]
        # arguments of getState
        self.include = ["positions", "velocities"]
        if settings.energy_per_atom or settings.energy_jump:
            self.include.append("energy")
        system, self._context = simulation.system, simulation.context
        self._periodic = system.usesPeriodicBoundaryConditions()
        self._symbols = [
            "X" if atom.element is None else atom.element.symbol
            for atom in simulation.topology.atoms()
        ]
        self._memory: dict[str, Any] = {
            "counts": {},
            "beyond": [],
            "first_energy": None,
        }
        self._limits = make_limits(settings, simulation, start, self._memory)
        self._last: tuple[int, str] | None = None  # step, and reason to stop

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:
        """Tell OpenMM when the next look is due and what it needs."""
        return next_report(simulation, self.settings.interval, *self.include)

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Look; OpenMM calls this."""
        self.check(state, simulation.currentStep)

    def check(self, state: openmm.State, step: int) -> None:
        """Look at a state, such as before a checkpoint; once for each step.

        Parameters
        ----------
        state : openmm.State
            With what ``include`` names, positions not wrapped.
        step : int

        Raises
        ------
        StopSimulation
            If a limit is crossed whose action is "stop"; again if asked again.
        """
        if self._last is None or self._last[0] != step:
            self._last = (step, self._look(state, step))
        if self._last[1]:
            raise StopSimulation(self._last[1])

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs to know, as JSON values."""
        return self._memory

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._memory.update(state)

    def _look(self, state: openmm.State, step: int) -> str:
        """Write events; return the reason to stop, or nothing."""
        frame = Frame(
            state.getPositions(asNumpy=True)._value,
            state.getVelocities(asNumpy=True)._value,
            state.getPeriodicBoxVectors(asNumpy=True)._value
            if self._periodic
            else None,
            self._energy(state) if "energy" in self.include else None,
        )
        nan = find_nan(frame)
        crossed = {"nan": nan} if nan else {}
        beyond: dict[str, Frame] = {}
        if not nan:  # else nothing can be measured
            for kind, limit in self._limits:
                for each in self._frames_of(frame, kind):
                    message = limit(each)
                    if message:
                        crossed[kind], beyond[kind] = message, each
                        break
        time = state.getTime().value_in_unit(unit.picosecond)
        fresh = [kind for kind in crossed if kind not in self._memory["beyond"]]
        self._memory["beyond"] = list(crossed)
        for kind in fresh:
            self._write_event(step, time, kind, crossed[kind])
        if any(self.settings.action(kind) != "warn" for kind in fresh) and not nan:
            self._write_frame(beyond[fresh[0]], step, time, fresh)
        stops = [k for k in crossed if self.settings.action(k) == "stop"]
        return "; ".join(
            f"watchdog {kind} at step {step} ({time:.6g} ps): {crossed[kind]}"
            for kind in stops
        )

    def _energy(self, state: openmm.State) -> float:
        """Potential energy, kJ/mol, without a bias that changes."""
        energy = state.getPotentialEnergy()._value
        return energy - (self._bias_energy() if self._bias_energy else 0.0)

    def _frames_of(self, frame: Frame, kind: str) -> list[Frame]:
        """Frames of all beads, of a ring polymer whose positions are limited."""
        if kind not in _OF_POSITIONS or not isinstance(
            self._context, RingPolymerContext
        ):
            return [frame]
        beads = self._context.beads().positions
        return [frame._replace(positions=positions) for positions in beads]

    def _write_event(self, step: int, time: float, kind: str, message: str) -> None:
        action, counts = self.settings.action(kind), self._memory["counts"]
        counts[kind] = count = counts.get(kind, 0) + 1
        starts = not self.path.exists() or self.path.stat().st_size == 0
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if starts:
                writer.writerow(COLUMNS)
            writer.writerow((step, round(time, 9), kind, action, message))
        if action != "stop" and count == 10 ** (len(str(count)) - 1):
            log.warning(
                "watchdog %s at step %d, event %d of its kind: %s; further ones are in "
                "%s",
                kind,
                step,
                count,
                message,
                self.path,
            )

    def _write_frame(
        self, frame: Frame, step: int, time: float, kinds: Sequence[str]
    ) -> None:
        """Append a frame in extended XYZ."""
        comment = f"Properties=species:S:1:pos:R:3 step={step} time_ps={time:.9g} "
        comment += f'watchdog="{" ".join(kinds)}" pbc='
        comment += '"F F F"' if frame.box is None else '"T T T"'
        if frame.box is not None:
            vectors = " ".join(f"{x:.10g}" for x in frame.box.ravel() * NM_TO_ANGSTROM)
            comment = f'Lattice="{vectors}" {comment}'
        lines = [str(len(self._symbols)), comment]
        for symbol, place in zip(self._symbols, frame.positions, strict=True):
            x, y, z = place * NM_TO_ANGSTROM
            lines.append(f"{symbol:2s} {x:15.8f} {y:15.8f} {z:15.8f}")
        with open(self.frames, "a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
