# SPDX-License-Identifier: MIT
"""LAMMPS computes what the package does, on any number of ranks.

Errors are fractions of a quantity's largest component among the atoms of a case.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import pytest
from lammps_cases import (
    FOUR,
    GROUPS,
    NETWORKS,
    QUICK,
    TRAINED,
    exported,
    geometries,
    whole,
)
from lammps_helpers import EXACT, near, network_results
from lammps_session import needs_lammps
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.kernels.inference.table import choose_table, force_error
from openmm_allegro.plugin.engine import Engine

pytestmark = needs_lammps

SINGLE = 1e-5  # of the kernel in float32, as tests/kernels has it
RANKS, SLOW = (1, 2, 4), pytest.mark.slow


def runs(group, names):
    """Parameters for names of a group on all ranks."""
    return [
        pytest.param(group, ranks, name, marks=() if group in QUICK[ranks] else SLOW)
        for ranks, name in itertools.product(RANKS, names)
    ]


GEOMETRIES = [
    *runs("geometries", geometries()),
    *(pytest.param("four_ranks", 4, name) for name in FOUR),
]
ROUNDED = "full_mixed", "waters_mixed", "nacl_aq_mixed"
TABLES = {"waters_table": "double", "waters_mixed_table": "mixed"}


class Expected(NamedTuple):
    """Results of the network in torch, with which the calculator was compared."""

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    strain: np.ndarray


@functools.cache
def expected(group, name):
    """Compute a case in float64, with the network and with the calculator."""
    case = GROUPS[group]()[name]
    atoms, model = whole(name, case), exported(case.model).model
    results = network_results(model, atoms)
    results = Expected(*results, results[2].sum(0))
    atoms.calc = AllegroCalculator(model, precision="double", backend="native")
    near(atoms.get_potential_energies(), results.energies)
    near(atoms.get_forces(), results.forces)
    if atoms.pbc.all():
        stresses = atoms.get_volume() * atoms.get_stresses(voigt=False)
        near(stresses, 0.5 * (results.virials + results.virials.swapaxes(1, 2)))
        near(stresses.sum(0), results.strain)
        near(atoms.get_volume() * atoms.get_stress(voigt=False), results.strain)
    return results


def check(result, wanted, error=EXACT):
    """Compare all quantities, and those of LAMMPS with each other."""
    assert result.energy == pytest.approx(wanted.energies.sum(), rel=error)
    near(result.energies, wanted.energies, error)
    near(result.forces, wanted.forces, error)
    near(result.virials, wanted.virials, error)
    near(result.strain, wanted.strain, error)
    scale = abs(result.virials).max()
    symmetric = 0.5 * (result.virials + result.virials.swapaxes(1, 2))
    for parts, others in (
        (result.symmetric, symmetric),
        (result.symmetric.sum(0), result.strain),
    ):
        np.testing.assert_allclose(parts, others, rtol=0, atol=EXACT * scale)
    largest = abs(result.forces).max()
    np.testing.assert_allclose(result.forces.sum(0), 0.0, atol=EXACT * largest)


@pytest.mark.parametrize(("group", "ranks", "name"), GEOMETRIES)
def test_boxes_and_how_ranks_share_them(group, ranks, name, lammps_results):
    result = lammps_results(group, ranks)[name]
    check(result, expected(group, name))
    atoms = whole(name, GROUPS[group]()[name])
    cell = atoms.cell.complete().array
    moved = np.linalg.solve(cell.T, (result.positions - atoms.positions).T)
    np.testing.assert_allclose(moved, moved.round(), atol=1e-11)  # box vectors


@pytest.mark.parametrize(
    ("group", "ranks", "name"), runs("networks", (*NETWORKS, "waters"))
)
def test_networks_of_all_kinds(group, ranks, name, lammps_results):
    check(lammps_results(group, ranks)[name], expected(group, name))


@pytest.mark.parametrize(("group", "ranks", "name"), runs("networks", ROUNDED))
def test_float32_within_its_bound(group, ranks, name, lammps_results):
    result, exact = lammps_results(group, ranks)[name], expected(group, name)
    check(result, exact, SINGLE)
    difference = abs(result.forces - exact.forces).max()
    assert 0.0 < difference
    if name.startswith("nacl_aq"):
        assert difference < 1e-5  # eV/Å


@pytest.mark.parametrize(("group", "ranks", "name"), runs("networks", TABLES))
def test_tables_are_the_native_force_and_within_their_bound(
    group, ranks, name, lammps_results
):
    result, precision = lammps_results(group, ranks)[name], TABLES[name]
    model, atoms = exported(name).model, GROUPS[group]()[name].atoms
    system = AllegroPotential(model).create_system(
        make_topology(atoms.symbols, atoms.cell.array / 10),
        **{"backend": "native", "two_body": "table", "precision": precision},
    )
    energies, forces, strain = Engine(system.getForce(0), threads=1).run(
        atoms.positions / 10, atoms.cell.array / 10
    )
    error = EXACT if precision == "double" else SINGLE
    check(result, Expected(energies, forces, result.virials, strain), error)
    exact = folded(model, "double")
    _, tabulated = choose_table(folded(model, precision), exact, model.config.elements)
    bound, _ = force_error(tabulated, exact, model.config.elements)
    difference = abs(result.forces - expected(group, "waters").forces).max()
    assert 0.0 < difference < bound


@pytest.mark.parametrize(
    ("group", "ranks", "name"), runs("trained_tables", ["nacl_aq"])
)
def test_table_of_a_shipped_model(group, ranks, name, lammps_results):
    """Forces in float32 to 1e-5 eV/Å, as tests/kernels has it."""
    forces = lammps_results(group, ranks)[name].forces
    assert 0.0 < abs(forces - expected(group, name).forces).max() < 1e-5


@pytest.mark.parametrize("name", ["large", "triclinic", "nacl_aq", "moved"])
def test_the_same_on_any_number_of_ranks(name, lammps_results):
    one, two = (lammps_results("geometries", ranks)[name] for ranks in (1, 2))
    if name == "moved":  # by box vectors
        two = lammps_results("geometries", 2)["triclinic"]
    for value, other in zip(one, two, strict=True):
        scale = max(1.0, np.max(np.abs(value), initial=0.0))
        if value is not one.positions:
            np.testing.assert_allclose(value, other, rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize(("group", "ranks", "name"), runs("trained", TRAINED))
def test_shipped_systems(group, ranks, name, lammps_results):
    check(lammps_results(group, ranks)[name], expected(group, name))
