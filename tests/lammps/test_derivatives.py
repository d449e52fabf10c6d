# SPDX-License-Identifier: MIT
"""Forces, pressure and heat flux of LAMMPS are derivatives, by finite differences."""

import numpy as np
import pytest
from ase.units import fs
from lammps_cases import MOVED, SIDES, STEP, STRAINED, differences, exported
from lammps_helpers import network_results
from lammps_session import needs_lammps

pytestmark = needs_lammps

RANKS = 2
ERROR = 1e-6  # of differences, of the largest component


@pytest.fixture
def results(lammps_results):
    return lammps_results("differences", RANKS)


def slope(results, name, attribute="energy"):
    """Central difference of a quantity over the two sides of a case."""
    above, below = (getattr(results[f"{name}_{side}"], attribute) for side in SIDES)
    return (above - below) / (2 * STEP)


def test_forces_where_two_ranks_meet(results):
    forces = results["unmoved"].forces
    for atom, axis in MOVED:
        force = -slope(results, f"atom{atom}_{axis}")
        assert force == pytest.approx(forces[atom, axis], abs=ERROR * abs(forces).max())


def test_pressure(results):
    """The strain derivative, of which the pressure is the negative by the volume."""
    strain = results["unmoved"].strain
    for a, b in STRAINED:
        derivative = slope(results, f"strain{a}{b}")
        assert derivative == pytest.approx(strain[a, b], abs=ERROR * abs(strain).max())


def test_heat_flux(results):
    """compute heat/flux with centroid/stress/atom, its part without convection.

    It is Σ_j r_j (dU_j/dt + F_j · v_j). For energies of many bodies that takes the nine
    components of the virials (Surblys et al., doi:10.1103/PhysRevE.99.051301).
    """
    result, atoms = results["heat"], differences()["heat"].atoms
    velocities = atoms.get_velocities() * 1000 * fs  # Å/ps
    powers = slope(results, "heat", "energies") + (result.forces * velocities).sum(1)
    flux = powers @ result.positions
    total, convection = result.further[:3], result.further[3:]
    error = {"rtol": 0, "atol": ERROR * abs(flux).max()}
    np.testing.assert_allclose(total - convection, flux, **error)
    assert abs(powers.sum()) < error["atol"]
    # transposed or made symmetric it is another
    virials = network_results(exported("full").model, atoms)[2]
    np.testing.assert_allclose(
        -np.einsum("jab,jb->a", virials, velocities), flux, **error
    )
    for other in (virials.swapaxes(1, 2), 0.5 * (virials + virials.swapaxes(1, 2))):
        wrong = -np.einsum("jab,jb->a", other, velocities)
        assert abs(wrong - flux).max() > 100 * error["atol"]
