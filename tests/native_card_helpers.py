# SPDX-License-Identifier: MIT
"""Contexts whose native force is on a card, and what is expected of them."""

import ctypes
import os

import numpy as np
import openmm
import pytest
from openmm_helpers import context_of, evaluate

from openmm_allegro.plugin import card, library

PRECISIONS = ("single", "mixed", "double")


def on_card(system, name, positions, precision="mixed", integrator=None):
    """A Context whose native force is on the card."""
    context = openmm.Context(
        system,
        integrator or openmm.VerletIntegrator(0.0005),
        openmm.Platform.getPlatformByName(name),
        {"Precision": precision},
    )
    assert library.obstacle_of_last_context() == ""
    context.setPositions(positions)
    return context


def on_processor(system, positions, box=None):
    """Energy and forces of the Platform Reference."""
    before = os.environ.pop("OPENMM_ALLEGRO_CARD", "")
    try:
        return evaluate(context_of(system, positions, box=box))
    finally:
        os.environ["OPENMM_ALLEGRO_CARD"] = before


def check(found, expected, error=1e-5):
    """Energies per atom to 1e-5 eV, forces to float's rounding."""
    energy, forces = found
    assert energy == pytest.approx(expected[0], abs=1e-3 * len(forces))
    scale = abs(expected[1]).max()
    np.testing.assert_allclose(forces, expected[1], atol=error * scale)


def counts(name):
    """Launches, uploads, downloads and buffers so far."""
    numbers = np.zeros(4, dtype=np.int64)
    loaded = ctypes.CDLL(str(card.card_path(name)))
    loaded.allegro_card_counts(ctypes.c_void_p(numbers.ctypes.data))
    return numbers
