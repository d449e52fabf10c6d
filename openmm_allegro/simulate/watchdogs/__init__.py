# SPDX-License-Identifier: MIT
"""Watch a simulation: warn, keep the frame, or stop."""

from ...utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"settings": ("Watchdogs",), "watchdog": ("StopSimulation", "Watchdog")}
)
