# SPDX-License-Identifier: MIT
"""Watch a simulation: warn, keep the frame, or stop."""

from .settings import Watchdogs
from .watchdog import StopSimulation, Watchdog

__all__ = ["StopSimulation", "Watchdog", "Watchdogs"]
