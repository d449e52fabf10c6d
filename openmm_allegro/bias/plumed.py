# SPDX-License-Identifier: MIT
"""A bias that PLUMED computes, where the package openmm-plumed is installed."""

from pathlib import Path
from typing import Any

import openmm
from openmm import app

from .settings import Plumed


class PlumedBias:
    """The force of a PLUMED input file.

    Parameters
    ----------
    settings : Plumed
    kelvin : float

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If openmm-plumed is missing.
    """

    interval = None

    def __init__(self, settings: Plumed, kelvin: float) -> None:
        path = Path(settings.file)
        if not path.is_file():
            raise FileNotFoundError(
                f"bias: expected a PLUMED input file, found nothing at {path}"
            )
        self._script, self._kelvin = path.read_text(encoding="utf-8"), kelvin
        try:
            import openmmplumed
        except ModuleNotFoundError as error:
            raise ImportError(
                f"bias: expected the package openmm-plumed, found that it cannot be "
                f"imported ({error}); conda install -c conda-forge openmm-plumed"
            ) from error
        self._make = openmmplumed.PlumedForce

    def record(self) -> dict[str, Any]:
        """Return the input for the record of a run."""
        return {"script": self._script}

    def ends(self) -> list[tuple[str, float, float]]:
        """Name no variable: PLUMED has its own."""
        return []

    def add_to(self, system: openmm.System, group: int) -> None:
        """Add the force to a System."""
        force = self._make(self._script)
        if hasattr(force, "setTemperature"):  # from version 2.0 on
            force.setTemperature(self._kelvin)
        force.setForceGroup(group)
        system.addForce(force)

    def begin(self, context: openmm.Context, state: dict[str, Any] | None) -> None:
        """Do nothing: PLUMED begins by itself."""

    def step(self, simulation: app.Simulation, steps: int) -> None:
        """Take steps."""
        simulation.step(steps)

    def state_dict(self) -> None:
        """Return nothing: PLUMED's state is in its own files."""
