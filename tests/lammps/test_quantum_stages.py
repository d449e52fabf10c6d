# SPDX-License-Identifier: MIT
"""Quantum nuclei have no counterpart in the folders of LAMMPS."""

import pytest

from openmm_allegro.lammps.ensembles import check_integrator
from openmm_allegro.simulate.settings import Stage

pytestmark = pytest.mark.small


@pytest.mark.parametrize("name", ["rpmd", "qtb"])
def test_integrators_of_quantum_nuclei_are_refused(name):
    with pytest.raises(ValueError, match=f"found '{name}', of which it has no"):
        check_integrator(Stage("one", 20, integrator=name))
