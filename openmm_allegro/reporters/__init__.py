# SPDX-License-Identifier: MIT
"""Reporters in OpenMM's protocol, for ``Simulation.reporters`` or ``run``."""

from .pressure import PressureReporter
from .trajectory import HDF5Reporter, XTCReporter
from .uncertainty import UncertaintyReporter

__all__ = ["HDF5Reporter", "PressureReporter", "UncertaintyReporter", "XTCReporter"]
