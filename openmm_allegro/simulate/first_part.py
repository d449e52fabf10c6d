# SPDX-License-Identifier: MIT
"""Watch whether the first part of a run becomes far hotter than its thermostat."""

import logging
import math
from typing import Any

import openmm

from ..forces import degrees_of_freedom, kinetic_temperature, masses_of
from ..nuclei.choices import QTB, RPMD
from ..runs.names import WARNINGS
from .integrators import temperature_at
from .settings import PACKED_TOLERANCE

log = logging.getLogger(__name__)

# First part in ps: what is stored in forces is heat within a tenth of that.
FIRST_PART = 0.5
# Part of the thermostat's temperature beyond which it is told, and standard deviations
# of one look beyond which a temperature is no fluctuation.
_FAR, _DEVIATIONS = 1.2, 5.0
# Friction in 1/ps that takes heat away within the time in which it comes.
_STRONG = 20
# Whether the run began at a temperature of the thermostat, so that it is watched.
WATCHED = "first_part_watched"


class FirstPart:
    """Watch of the temperature in the first part of a run.

    Parameters
    ----------
    context : openmm.Context
    record : dict
        Of the run, to whose ``warnings`` one sentence is added; at its first step it
        says in ``WATCHED`` whether there is something to watch.
    """

    def __init__(self, context: openmm.Context, record: dict[str, Any]) -> None:
        system = context.getSystem()
        self._context, self._record = context, record
        self._masses = masses_of(system)
        self._freedom = degrees_of_freedom(system)
        if WATCHED not in record and record["completed_steps"] == 0:
            record[WATCHED] = self._is_of_thermostat() and not self._is_hot()
        self.ended = not record.get(WATCHED) or WARNINGS in record

    def look(self, step: int) -> bool:
        """Look at the temperature after a step; True if it was too high at last."""
        time = 1e-3 * step * self._record["timestep_fs"]
        self.ended = self.ended or time > FIRST_PART
        if self.ended or not self._is_hot():
            return False
        self.ended = True
        sentence = self._sentence(time)
        self._record[WARNINGS] = [*self._record.get(WARNINGS, []), sentence]
        log.warning("%s", sentence)
        return True

    def _is_of_thermostat(self) -> bool:
        """Tell whether velocities are of one temperature, which a thermostat holds."""
        record = self._record
        other = record["ensemble"] == "nve" or record["integrator"] in (QTB, RPMD)
        return not other and self._freedom > 0

    def _is_hot(self) -> bool:
        """Tell whether the temperature is far above the thermostat's."""
        # that a sum of squares of normal numbers exceeds: Wilson and Hilferty, Proc.
        # Natl. Acad. Sci. 17, 684 (1931), doi:10.1073/pnas.17.12.684
        part = 2 / (9 * self._freedom)
        most = max(_FAR, (1 - part + _DEVIATIONS * math.sqrt(part)) ** 3)
        return self._temperature() > most * self._target()

    def _target(self) -> float:
        kelvin, steps = self._record["temperature_k"], self._record["steps"]
        if not isinstance(kelvin, list):
            return float(kelvin)
        done = self._record["completed_steps"]
        return float(temperature_at(kelvin, done / steps))

    def _temperature(self) -> float:
        state = self._context.getState(velocities=True)
        velocities = state.getVelocities(asNumpy=True)._value
        return kinetic_temperature(self._masses, velocities, self._freedom)

    def _sentence(self, time: float) -> str:
        """Say what became hot, and what to do."""
        cause = "energy of the first frame became heat, as of a freshly packed box"
        remedy = (
            "minimise further, minimize_tolerance_kj_mol_nm = "
            f"{PACKED_TOLERANCE} (--minimize-tolerance {PACKED_TOLERANCE}), or put a "
            "short stage of higher friction before this one (friction_per_ps = "
            f"{_STRONG})"
        )
        return (
            f"The temperature is {self._temperature():.0f} K after {time:.3g} ps, far "
            f"above the {self._target():g} K of the thermostat: {cause}. To begin "
            f"anew, {remedy}; or leave out the first ps of the run in analyses, after "
            "a look at whether molecules are whole."
        )
