# SPDX-License-Identifier: MIT
"""Several models, elements without one, and other styles, on any number of ranks."""

import numpy as np
import pytest
from ase.units import Bohr, Hartree
from lammps_cases import MEMBERS, combined, exported
from lammps_helpers import EXACT, near, network_results
from lammps_session import needs_lammps

pytestmark = needs_lammps

RANKS = [2, *(pytest.param(ranks, marks=pytest.mark.slow) for ranks in (1, 4))]
ERROR = {"rtol": 0, "atol": 1e-10}  # eV, eV/Å


@pytest.mark.parametrize("ranks", RANKS)
def test_committee_is_the_mean_with_its_deviation(ranks, lammps_results):
    """Its square is Σ_m |F_i^m - F_i|² / (M - 1), doi:10.1063/5.0016004."""
    result = lammps_results("combined", ranks)["committee"]
    atoms = combined()["committee"].atoms
    members = [network_results(exported(name).model, atoms) for name in MEMBERS]
    energies, forces, virials = map(np.stack, zip(*members, strict=True))
    for given, of_members in (
        (result.energies, energies),
        (result.forces, forces),
        (result.virials, virials),
    ):
        np.testing.assert_allclose(given, of_members.mean(0), **ERROR)
    squares = ((forces - forces.mean(0)) ** 2).sum((0, 2)) / (len(MEMBERS) - 1)
    np.testing.assert_allclose(result.columns[:, 0], np.sqrt(squares), **ERROR)


@pytest.mark.parametrize("ranks", RANKS)
def test_many_replicas_are_alike(ranks, lammps_results):
    """Over a thousand atoms a rank, though not on four."""
    result, atoms = lammps_results("combined", ranks)["many"], combined()["many"].atoms
    energies, forces, virials = network_results(exported("full").model, atoms)
    replicas = len(result.forces) // len(atoms)
    assert replicas == 6**3 and result.energy == pytest.approx(
        6**3 * energies.sum(), rel=EXACT
    )
    np.testing.assert_allclose(result.energies, np.tile(energies, replicas), **ERROR)
    np.testing.assert_allclose(result.forces, np.tile(forces, (replicas, 1)), **ERROR)
    near(result.strain, replicas * virials.sum(0))


@pytest.mark.parametrize("ranks", RANKS)
def test_atoms_of_an_element_without_model_are_not_there(ranks, lammps_results):
    result = lammps_results("combined", ranks)["without_sodium"]
    atoms = combined()["without_sodium"].atoms
    kept = np.array(atoms.symbols) != "Na"
    expected = network_results(exported("full").model, atoms[kept])
    for given, wanted in zip(
        (result.energies, result.forces, result.virials), expected, strict=True
    ):
        np.testing.assert_allclose(given[kept], wanted, **ERROR)
        assert not given[~kept].any()


@pytest.mark.parametrize("ranks", RANKS)
def test_overlay_adds_nuclear_repulsion(ranks, lammps_results):
    """Forces of LAMMPS's zbl within its inner cutoff, and those of the model."""
    result, case = lammps_results("combined", ranks)["zbl"], combined()["zbl"]
    _, forces, _ = network_results(exported(case.model).model, case.atoms)
    repulsion = np.zeros_like(forces)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        r = case.atoms.positions[j] - case.atoms.positions[i]
        force = zbl_force(*case.atoms.numbers[[i, j]], np.linalg.norm(r))
        repulsion[j] += force * r / np.linalg.norm(r)
        repulsion[i] -= force * r / np.linalg.norm(r)
    scale = abs(repulsion).max()
    np.testing.assert_allclose(result.forces, forces + repulsion, atol=1e-6 * scale)
    assert abs(forces).max() > 1e-4 * scale


def zbl_force(a, b, r):
    """Universal repulsion of Ziegler, Biersack and Littmark (1985), eV/Å."""
    coefficients = np.array([0.18175, 0.50986, 0.28022, 0.02817])
    exponents = np.array([3.1998, 0.94229, 0.4029, 0.20162]) * (a**0.23 + b**0.23)
    exponents /= 0.4685  # Å
    screened = coefficients * np.exp(-exponents * r)
    return Hartree * Bohr * a * b * (screened / r**2 + screened * exponents / r).sum()
