# SPDX-License-Identifier: MIT
"""Run a System in an ensemble, once or in stages, so that nothing is lost."""

from .protocol import Stage, run_protocol
from .simulation import run

__all__ = ["Stage", "run", "run_protocol"]
