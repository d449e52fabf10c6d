# SPDX-License-Identifier: MIT
"""Reporters in OpenMM's protocol, for ``Simulation.reporters`` or ``run``."""

from .pressure import PressureReporter
from .uncertainty import UncertaintyReporter

__all__ = ["PressureReporter", "UncertaintyReporter"]
