# SPDX-License-Identifier: MIT
"""Sums over Gaussian charges against closed forms, OpenMM and finite differences."""

import itertools
import math

import numpy as np
import openmm
import pytest
import torch
from helpers import float64
from openmm import unit

from openmm_allegro.model.ewald import ewald_sum, open_sum
from openmm_allegro.units import COULOMB_EV_ANGSTROM_CODATA as COULOMB
from openmm_allegro.units import EV_TO_KJ_PER_MOL

TRICLINIC = float64([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-1.5, 2.5, 10.0]])
FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
# sites of the anions beside those of the cations, and the nearest distance, by a
CRYSTALS = {
    "NaCl": (FCC, [0.5, 0.0, 0.0], 0.5, 1.7475646),
    "CsCl": ([[0, 0, 0]], [0.5, 0.5, 0.5], math.sqrt(0.75), 1.7626747),
    "ZnS": (FCC, [0.25, 0.25, 0.25], math.sqrt(3 / 16), 1.6380550),
}


def random_charges(*, net=0.0, number=12, seed=1):
    """Positions in the triclinic box and charges of a given sum."""
    generator = torch.Generator().manual_seed(seed)
    fractions = torch.rand((number, 3), dtype=torch.float64, generator=generator)
    charges = torch.randn(number, dtype=torch.float64, generator=generator)
    return fractions @ TRICLINIC, charges - charges.mean() + net / number


def direct_sum(positions, cell, charges, alpha, reach=3):
    """Energy of the short-ranged rest, Σ k q q erfc(α r)/r over pairs and images."""
    energy = 0.0
    for image in itertools.product(range(-reach, reach + 1), repeat=3):
        shift = float64(image) @ cell
        r = (positions[:, None] - positions + shift).norm(dim=-1)
        r = r.masked_fill(r == 0, math.inf)
        potentials = torch.mv(torch.erfc(alpha * r) / r, charges)
        energy += 0.5 * COULOMB * float(potentials @ charges)
    return energy


def full_sum(positions, cell, charges, alpha):
    """Energy of point charges in a uniform background (eV)."""
    background = math.pi * COULOMB * charges.sum() ** 2 / (2 * torch.det(cell))
    energy = ewald_sum(positions, cell, charges, alpha, 1e-14).energy
    direct = direct_sum(positions, cell, charges, alpha)
    return float(energy - background / alpha**2) + direct


@pytest.mark.parametrize("name", CRYSTALS)
def test_madelung_constants(name):
    sites, offset, nearest, expected = CRYSTALS[name]
    a = 5.6
    cations = float64(sites)
    positions = a * torch.cat([cations, cations + float64(offset)])
    charges = float64([1.0] * len(sites) + [-1.0] * len(sites))
    energy = full_sum(positions, a * torch.eye(3, dtype=torch.float64), charges, 0.4)
    found = -energy / len(sites) * nearest * a / COULOMB
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("net", [0.0, 2.0])
def test_full_sum_does_not_depend_on_alpha(net):
    positions, charges = random_charges(net=net)
    first, second = (full_sum(positions, TRICLINIC, charges, a) for a in (0.35, 0.6))
    assert first == pytest.approx(second, rel=1e-10)


def openmm_reciprocal(positions, cell, charges, alpha):
    """Energy (eV) and forces (eV/Å) of OpenMM's PME without its direct part."""
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*(cell.numpy() / 10))
    force = openmm.NonbondedForce()
    for charge in charges.tolist():
        system.addParticle(1.0)
        force.addParticle(charge, 0.1, 0.0)
    force.setNonbondedMethod(openmm.NonbondedForce.PME)
    force.setCutoffDistance(0.3)
    force.setPMEParameters(10 * alpha, 64, 64, 64)
    force.setIncludeDirectSpace(False)
    system.addForce(force)
    integrator = openmm.VerletIntegrator(0.001)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(positions.numpy() / 10)
    state = context.getState(getEnergy=True, getForces=True)
    energy = state.getPotentialEnergy() / unit.kilojoules_per_mole
    forces = state.getForces(asNumpy=True)._value
    return energy / EV_TO_KJ_PER_MOL, forces / EV_TO_KJ_PER_MOL / 10


@pytest.mark.parametrize("cell", [torch.diag(float64([9, 8, 10])), TRICLINIC])
def test_sum_is_the_reciprocal_part_of_openmm(cell):
    positions, charges = random_charges()
    alpha, h = 0.4, 1e-3
    result = ewald_sum(positions, cell, charges, alpha)
    energy, forces = openmm_reciprocal(positions, cell, charges, alpha)
    assert float(result.energy) == pytest.approx(energy, abs=2e-5)
    np.testing.assert_allclose(result.forces, forces, atol=2e-5)
    larger, smaller = (
        openmm_reciprocal(s * positions, s * cell, charges, alpha)[0]
        for s in (1 + h, 1 - h)
    )
    pressure = (larger - smaller) / (2 * h)  # 3 V dE/dV
    assert float(result.strain.trace()) == pytest.approx(pressure, abs=1e-4)


@pytest.mark.parametrize("distance", [8.0, 12.0, 20.0])
def test_charges_far_apart_obey_coulomb(distance):
    positions = distance * float64([[0, 0, 0], [0.36, 0.48, 0.8]])
    result = open_sum(positions, float64([0.7, -0.4]), 0.45)
    expected = COULOMB * 0.7 * 0.4 / distance**2
    assert float(result.forces[0].norm()) == pytest.approx(expected, rel=2e-5)
    assert float(result.forces[0] @ positions[1]) > 0  # attraction
    assert float(result.energy) == pytest.approx(-expected * distance, rel=2e-6)


def test_large_box_tends_to_open_boundaries():
    """What is left is the energy -2π k_e p²/(3V) of a cubic lattice of dipoles p."""
    positions, charges = random_charges(number=5)
    dipole = charges @ positions
    left = []
    for length in (40.0, 60.0):
        box = length * torch.eye(3, dtype=torch.float64)
        energy = ewald_sum(positions, box, charges, 0.45, 1e-6).energy
        difference = energy - open_sum(positions, charges, 0.45).energy
        of_dipoles = -2 * math.pi * COULOMB * dipole.square().sum() / (3 * length**3)
        left.append(float(difference - of_dipoles) / float(of_dipoles))
    assert abs(left[0]) < 0.1
    assert abs(left[1]) < 0.6 * abs(left[0])


def test_longitudinal_and_transverse_waves_of_dipoles():
    """A wave along its displacements has π k_e (q u N)²/V exp(-k²/4α²)."""
    alpha, u, q = 0.3, 0.02, 1.5
    sites = float64(list(itertools.product(range(16), range(4), range(4))))
    cell = torch.diag(float64([16.0, 4.0, 4.0]))  # sites 1 Å apart
    k = 2 * math.pi / 16.0
    displacements = u * torch.cos(k * sites[:, 0])
    charges = q * torch.cat([torch.ones(len(sites)), -torch.ones(len(sites))]).double()
    own = COULOMB * alpha / math.sqrt(math.pi) * charges.square().sum()
    energies = []
    for direction in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
        moved = sites + displacements[:, None] * float64(direction)
        positions = torch.cat([moved, sites])
        energies.append(float(ewald_sum(positions, cell, charges, alpha).energy + own))
    scale = math.pi * COULOMB * (q * u * len(sites)) ** 2 / float(torch.det(cell))
    expected = scale * math.exp(-(k**2) / (4 * alpha**2))
    assert energies[0] == pytest.approx(expected, rel=2e-4)
    assert abs(energies[1]) < 1e-9 * expected


def both_sums(alpha=0.45):
    def periodic(positions, cell, charges):
        return ewald_sum(positions, cell, charges, alpha)

    def isolated(positions, cell, charges):
        return open_sum(positions, charges, alpha)

    return [periodic, isolated]


@pytest.mark.parametrize("function", both_sums())
@pytest.mark.parametrize("net", [0.0, 1.0])
def test_derivatives_are_those_of_finite_differences(function, net):
    positions, charges = random_charges(net=net, number=7)
    generator = torch.Generator().manual_seed(3)
    moves, changes, strain = (
        torch.randn(shape, dtype=torch.float64, generator=generator)
        for shape in ((7, 3), (7,), (3, 3))
    )
    strain = strain + strain.T
    result = function(positions, TRICLINIC, charges)
    h = 1e-4

    def slope(change):
        plus, minus = (float(change(s).energy) for s in (h, -h))
        return (plus - minus) / (2 * h)

    def strained(s):
        matrix = torch.eye(3, dtype=torch.float64) + s * strain
        return function(positions @ matrix, TRICLINIC @ matrix, charges)

    by_moves = slope(lambda s: function(positions + s * moves, TRICLINIC, charges))
    assert float(-(result.forces * moves).sum()) == pytest.approx(by_moves, rel=1e-6)
    by_charges = slope(lambda s: function(positions, TRICLINIC, charges + s * changes))
    assert float(result.potentials @ changes) == pytest.approx(by_charges, rel=1e-6)
    assert float((result.strain * strain).sum()) == pytest.approx(
        slope(strained), rel=1e-6
    )
    assert result.forces.sum(0).abs().max() < 1e-10


@pytest.mark.parametrize("function", both_sums())
def test_each_result_can_be_differentiated_by_the_charges(function):
    positions, charges = random_charges(number=5)
    charges = charges.requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda q: tuple(function(positions, TRICLINIC, q)), charges
    )
    result = function(positions, TRICLINIC, charges)
    (potentials,) = torch.autograd.grad(result.energy, charges)
    torch.testing.assert_close(potentials, result.potentials)


def test_images_and_supercells_change_nothing():
    positions, charges = random_charges(net=0.5)
    result = ewald_sum(positions, TRICLINIC, charges, 0.45)
    images = torch.randint(-3, 4, (len(charges), 3), dtype=torch.float64)
    moved = ewald_sum(positions + images @ TRICLINIC, TRICLINIC, charges, 0.45)
    for value, expected in zip(moved, result, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    doubled = torch.cat([positions, positions + TRICLINIC[1]])
    cell = TRICLINIC * float64([[1.0], [2.0], [1.0]])
    twice = ewald_sum(doubled, cell, charges.repeat(2), 0.45)
    assert float(twice.energy) == pytest.approx(2 * float(result.energy), rel=1e-9)
    torch.testing.assert_close(twice.potentials, result.potentials.repeat(2))
    torch.testing.assert_close(twice.forces, result.forces.repeat(2, 1))
    torch.testing.assert_close(twice.strain, 2 * result.strain)
    # a basis of the same lattice
    other = float64([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ TRICLINIC
    same = ewald_sum(positions, other, charges, 0.45)
    torch.testing.assert_close(same.forces, result.forces)


def test_scripted_sums_are_the_same():
    positions, charges = random_charges()
    of_box = torch.jit.script(ewald_sum)(positions, TRICLINIC, charges, 0.45)
    isolated = torch.jit.script(open_sum)(positions, charges, 0.45)
    assert torch.equal(of_box[2], ewald_sum(positions, TRICLINIC, charges, 0.45)[2])
    assert torch.equal(isolated[2], open_sum(positions, charges, 0.45)[2])


@pytest.mark.parametrize("length", [0.0, math.nan, math.inf])
def test_box_without_volume_is_refused(length):
    positions, charges = random_charges()
    box = torch.diag(torch.tensor([length, 9.0, 9.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="box of some volume"):
        ewald_sum(positions, box, charges, 0.4)
