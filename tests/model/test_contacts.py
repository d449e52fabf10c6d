# SPDX-License-Identifier: MIT
"""Structures of which atoms coincide, or that are in another unit, are refused."""

import dataclasses

import ase
import numpy as np
import pytest
from helpers import tiny_config

from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.structure import from_ase
from openmm_allegro.training.samples import make_samples


@pytest.fixture
def water(water_box):
    symbols, positions, box = water_box
    return ase.Atoms(symbols, 10 * positions, cell=10 * box, pbc=True)


def sample(atoms):
    return make_samples([from_ase(atoms, where="frame 7")], tiny_config())


def of_cell(side):
    return lambda atoms: atoms.set_cell(side * np.eye(3))


def in_nm(atoms):
    atoms.set_cell(atoms.cell / 10, scale_atoms=True)


def in_nm_without_cell(atoms):
    atoms.positions /= 10
    atoms.set_cell(None)
    atoms.pbc = False


def at_one_place(atoms):
    atoms.positions[:] = 0


def twice(atoms):
    atoms.positions[5] = atoms.positions[2] + [0, 0, 0.01]


def far(atoms):
    atoms.positions[5] = 1e12


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (of_cell(1.0), r"which stand for no box .CRYST1 1 1 1.*pbc=\"F F F\""),
        (of_cell(0.02), "which stand for no box"),
        (of_cell(1e300), "cell within 1e.08 Å, found 1e.300 Å"),
        (of_cell(1.5), "atoms 48 and 66 at the same one"),
        (of_cell(1.1), "the box is too small|at the same one"),
        (in_nm, "which stand for no box"),
        (in_nm_without_cell, "are lengths in nm, or is the cell too small"),
        (at_one_place, "each about 0.00 times .* from the next one"),
        (twice, "atoms 2 and 5 at the same one, 0.01 Å apart"),
        (far, "positions within 1e.08 Å, found 1e.12 Å"),
    ],
)
def test_refused_with_the_name_of_the_frame(water, change, expected):
    change(water)
    with pytest.raises(ValueError, match=f"^frame 7: .*expected .*{expected}"):
        sample(water)


def test_odd_structures_that_are_sound(water):
    """A left-handed cell, atoms far outside of it, dimers, one atom in its cell."""
    water.set_cell(water.cell[[1, 0, 2]])
    water.positions += 1e3 * water.cell[0]
    sample(water)
    for length in (0.15, 0.74, 2.9):
        sample(ase.Atoms("H2", [[0, 0, 0], [0, 0, length]]))
    sample(ase.Atoms("O"))
    sample(ase.Atoms("Na", cell=1.9 * (1 - np.eye(3)), pbc=True))


def test_a_calculator_refuses_a_topology_alone(model, water):
    at_one_place(water)
    water.calc = AllegroCalculator(model)
    with pytest.raises(ValueError, match="at that of another"):
        water.get_potential_energy()


def test_a_calculator_of_a_model_of_molecules_in_vacuum(model, water, caplog):
    vacuum = dataclasses.replace(model, provenance={"periodic": "none"})
    water.calc = AllegroCalculator(vacuum)
    water.get_potential_energy()
    water.positions += 0.01
    water.get_potential_energy()
    said = [r for r in caplog.records if "without periodic images" in r.message]
    assert len(said) == 1
