# SPDX-License-Identifier: MIT
"""Masses and degrees of freedom of a System, which several checks share."""

import numpy as np
import openmm
import pytest

from openmm_allegro.forces import degrees_of_freedom, masses_of

pytestmark = pytest.mark.small


def test_what_is_held_in_place_has_no_freedom():
    system = openmm.System()
    for mass in (1.0, 16.0, 0.0, 3.0):
        system.addParticle(mass)
    np.testing.assert_array_equal(masses_of(system), [1.0, 16.0, 0.0, 3.0])
    assert degrees_of_freedom(system) == 9
    system.addConstraint(0, 1, 0.1)
    assert degrees_of_freedom(system) == 8
    system.addForce(openmm.CMMotionRemover())
    assert degrees_of_freedom(system) == 5
