# SPDX-License-Identifier: MIT
"""The ASE calculator without torch, against OpenMM and finite differences."""

import numpy as np
import pytest
from openmm_helpers import energy_and_forces, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL

ase = pytest.importorskip("ase")


@pytest.fixture
def water(model, water_box):
    """Atoms of a box, whose calculator is native, and the model."""
    from openmm_allegro.interop.ase import AllegroCalculator

    symbols, positions, box = water_box
    atoms = ase.Atoms(symbols, positions * 10, cell=np.array(box) * 10, pbc=True)
    atoms.calc = AllegroCalculator(model, backend="native")
    return atoms, model


@pytest.mark.parametrize("periodic", [True, False])
def test_equals_openmm(water, periodic):
    atoms, model = water
    atoms.pbc = periodic
    box = atoms.cell.array / 10 if periodic else None
    topology = make_topology(atoms.get_chemical_symbols(), box)
    options = {"backend": "native", "precision": "double"}
    system = AllegroPotential(model).create_system(topology, **options)
    energy, forces = energy_and_forces(system, atoms.positions / 10)
    found = atoms.get_potential_energy() * EV_TO_KJ_PER_MOL
    assert found == pytest.approx(energy, rel=1e-12)
    assert atoms.get_potential_energies().sum() == pytest.approx(
        atoms.get_potential_energy(), rel=1e-12
    )
    found = atoms.get_forces() * EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
    np.testing.assert_allclose(found, forces, atol=1e-10 * abs(forces).max())


@pytest.mark.parametrize("pbc", [True, (1, 1, 0), (0, 0, 1), False])
def test_stress_is_the_derivative_by_strain(water, pbc):
    """Also where the cell does not repeat along all of its vectors."""
    atoms, _ = water
    atoms.pbc = pbc
    stress, volume = atoms.get_stress(voigt=False), atoms.get_volume()
    cell, positions = atoms.cell.array.copy(), atoms.positions.copy()
    step = 1e-5
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 2)):
        sides = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            atoms.set_cell(cell @ strain)
            atoms.positions = positions @ strain
            sides.append(atoms.get_potential_energy())
        expected = (sides[0] - sides[1]) / (2 * step * volume)
        assert stress[a, b] == pytest.approx(expected, abs=1e-8 * abs(stress).max())
