# SPDX-License-Identifier: MIT
"""Reporters in OpenMM's protocol, for ``Simulation.reporters`` or ``run``."""

from .pressure import PressureReporter

__all__ = ["PressureReporter"]
