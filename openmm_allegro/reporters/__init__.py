# SPDX-License-Identifier: MIT
"""Reporters in OpenMM's protocol, for ``Simulation.reporters`` or ``run``."""

from .charges import ChargeReporter, DipoleReporter
from .pressure import PressureReporter
from .terms import EnergyTermsReporter, separate_groups
from .trajectory import HDF5Reporter, XTCReporter
from .uncertainty import UncertaintyReporter

__all__ = [
    "ChargeReporter",
    "DipoleReporter",
    "EnergyTermsReporter",
    "HDF5Reporter",
    "PressureReporter",
    "UncertaintyReporter",
    "XTCReporter",
    "separate_groups",
]
