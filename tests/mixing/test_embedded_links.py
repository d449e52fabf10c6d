# SPDX-License-Identifier: MIT
"""Cut bonds with electrostatic embedding: charges are shifted away from the cap."""

import dataclasses

import numpy as np
import openmm
import pytest
from embedded_helpers import model_alone, nonbonded, set_charge, slope
from mixed_helpers import cluster, organic_model, solvated
from mixed_identities import inputs
from openmm import unit
from openmm_helpers import (
    context_of,
    energy_and_forces,
    evaluate,
    make_topology,
    molecules,
)

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.mixing.link_atoms import Cap, find_caps
from openmm_allegro.mixing.shifted_charges import bonded_atoms, shifted_points
from openmm_allegro.mixing.surroundings import find_surroundings, region_charge
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.potential.computation import computations
from openmm_allegro.units import COULOMB_KJ_MOL_NM, EV_TO_KJ_PER_MOL

ACETYL = [5, 0, 2, 4, 3, 1]  # its C (1) is bonded to N (6), which has H (7) and C (8)
AMIDE = [6, 7]  # N and H, between C (1) and C (8); -0.144 e
START = {"H": 0.1, "C": -0.05, "N": -0.4, "O": -0.5}


def charged(kind):
    """The network of ``organic_model`` with charges that were trained on labels."""
    local = organic_model()
    config = dataclasses.replace(local.config, charges=kind, charge_start=START)
    energy = AllegroEnergy(config, local.statistics, seed=3)
    provenance = {"train": {"charge_weight": 1.0}}
    return Model(
        config, local.statistics, energy, "total", "float64", provenance=provenance
    )


@pytest.fixture(scope="module")
def box():
    return solvated()


@pytest.fixture(scope="module")
def droplet(box):
    return cluster(box)


def mixed(whole, region, kind="learned", **arguments):
    return AllegroPotential(charged(kind)).create_mixed_system(
        whole.topology,
        whole.system,
        region,
        **{
            "embedding": "electrostatic",
            "link": "cap",
            "backend": "native",
            "precision": "double",
            **arguments,
        },
    )


def points_around(whole, region, total=0.0):
    caps = find_caps(whole.topology, region, "cap")
    return find_surroundings(
        whole.topology, whole.system, region, caps, 0.5, total
    ).points


@pytest.mark.parametrize("region", [ACETYL, AMIDE])
def test_charge_and_dipole_moment_are_the_force_field_s(droplet, region):
    """Of all around the region, with what the region has beyond whole charges."""
    points = points_around(droplet, region)
    x, force = droplet.positions, nonbonded(droplet.system)
    charges = np.array(
        [
            force.getParticleParameters(i)[0].value_in_unit(unit.elementary_charge)
            for i in range(len(x))
        ]
    )
    charges[region] = 0.0
    hosts = [cap.outer for cap in find_caps(droplet.topology, region, "cap")]
    charges[hosts] += region_charge(droplet.system, region) / len(hosts)
    places = [(1 - p.ratio) * x[p.first] + p.ratio * x[p.second] for p in points]
    found = np.array([p.charge for p in points])
    assert found.sum() == pytest.approx(charges.sum(), abs=1e-12)
    np.testing.assert_allclose(found @ np.array(places), charges @ x, atol=1e-12)
    # nothing is left at the hosts, or nearer to them than their neighbours
    caps = find_caps(droplet.topology, region, "cap")
    for cap in caps:
        hydrogen = (1 - cap.ratio) * x[cap.inner] + cap.ratio * x[cap.outer]
        nearest = np.linalg.norm(np.array(places) - hydrogen, axis=1).min()
        assert nearest > 0.11  # nm
    assert not any(p.first in hosts and p.ratio == 0.0 for p in points)


def test_energy_by_hand(droplet):
    """Constant charges meet the points as points, and each other as in mechanical."""
    electrostatic, mechanical = (
        model_alone(mixed(droplet, AMIDE, "constant", embedding=embedding))
        for embedding in ("electrostatic", "mechanical")
    )
    found, _ = energy_and_forces(electrostatic, droplet.positions)
    alone, _ = energy_and_forces(mechanical, droplet.positions)
    x = droplet.positions
    caps = find_caps(droplet.topology, AMIDE, "cap")
    sites = [x[6], x[7]]
    sites += [(1 - c.ratio) * x[c.inner] + c.ratio * x[c.outer] for c in caps]
    charges = np.array([START[symbol] for symbol in "NHHH"])
    charges -= charges.mean()
    expected = sum(
        COULOMB_KJ_MOL_NM
        * charge
        * p.charge
        / np.linalg.norm((1 - p.ratio) * x[p.first] + p.ratio * x[p.second] - site)
        for site, charge in zip(sites, charges, strict=True)
        for p in points_around(droplet, AMIDE)
    )
    assert abs(expected) > 1
    assert found - alone == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["box", "droplet"])
@pytest.mark.parametrize("region", [ACETYL, AMIDE])
def test_forces_are_derivatives(box, droplet, kind, region):
    """On the region, on hosts and their neighbours, and on all others."""
    whole = {"box": box, "droplet": droplet}[kind]
    context = context_of(model_alone(mixed(whole, region)), whole.positions)
    _, forces = evaluate(context)
    random = np.random.default_rng(0)
    near = np.setdiff1d(np.arange(12), region)
    for atoms in (region, near, np.arange(12, len(forces))):
        step = np.zeros_like(forces)
        step[atoms] = random.normal(size=(len(atoms), 3))

        def energy_at(h, step=step):
            context.setPositions(whole.positions + h * step)
            return context.getState(energy=True).getPotentialEnergy()._value

        assert (forces * step).sum() == pytest.approx(-slope(energy_at), rel=1e-6)
        assert abs(forces[atoms]).max() > 0.1
    limit = 1e-4 if kind == "box" else 1e-9
    assert abs(forces.sum(0)).max() < limit * abs(forces).max()
    if kind == "droplet":
        torque = np.cross(whole.positions, forces).sum(0)
        assert abs(torque).max() < 1e-9 * abs(forces).max()


@pytest.mark.parametrize("kind", ["box", "droplet"])
def test_native_equals_torch(box, droplet, kind):
    """To rounding, with molecules that the box cuts, too."""
    whole = {"box": box, "droplet": droplet}[kind]
    x = whole.positions.copy()
    if kind == "box":
        x[6:9] += 1.6 * np.array([1.0, -2.0, 0.0])
    (energy, forces), (native, of_native) = (
        energy_and_forces(model_alone(mixed(whole, ACETYL, backend=backend)), x)
        for backend in ("pythonforce", "native")
    )
    assert native == pytest.approx(energy, rel=1e-11)
    np.testing.assert_allclose(of_native, forces, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("kind", ["box", "droplet"])
def test_interpolation(box, droplet, kind):
    """λ = 0 is the force field, pairs across the cut bond among it; linear between."""
    whole = {"box": box, "droplet": droplet}[kind]
    context = context_of(mixed(whole, AMIDE, interpolate=True), whole.positions)
    found = []
    for value in (0.0, 0.3, 1.0):
        context.setParameter("lambda_interpolate", value)
        found.append(evaluate(context))
    ends = [
        energy_and_forces(system, whole.positions)
        for system in (whole.system, mixed(whole, AMIDE))
    ]
    for value, (energy, forces) in zip((0.0, 0.3, 1.0), found, strict=True):
        expected = (1 - value) * ends[0][0] + value * ends[1][0]
        assert energy == pytest.approx(expected, rel=1e-9)
        expected = (1 - value) * ends[0][1] + value * ends[1][1]
        np.testing.assert_allclose(forces, expected, rtol=1e-8, atol=1e-5)


def test_what_is_refused(droplet, box):
    with pytest.raises(ValueError, match="expected at most one cut bond"):
        mixed(droplet, [8, 9, 10, 11, 5, 0, 2, 4, 3])  # both ends of C-N
    whole = cluster(box)
    set_charge(nonbonded(whole.system), 7, 0.8)
    with pytest.raises(ValueError, match=r"add up to \+0.384 e, which is no integer"):
        mixed(whole, AMIDE)
    nonbonded(whole.system).addException(6, 20, 0.1, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"bonds that it cuts.*atoms 6 and 20"):
        mixed(whole, AMIDE, total_charge=0.0)
    whole = cluster(box)
    force = nonbonded(whole.system)
    across = next(
        i
        for i in range(force.getNumExceptions())
        if sum(p in AMIDE for p in force.getExceptionParameters(i)[:2]) == 1
    )
    force.addGlobalParameter("scale", 1.0)
    force.addExceptionParameterOffset("scale", across, 0.1, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"constant charges.*'scale'"):
        mixed(whole, AMIDE)


@pytest.mark.parametrize(
    ("bonds", "found"), [([(0, 1)], "none"), ([(0, 1), (1, 2), (2, 3)], "a neighbour")]
)
def test_charges_that_cannot_be_shifted(bonds, found):
    """From an atom with the cut bond alone, or to one whose own bond is cut."""
    topology = make_topology(["C", "C", "C", "C"])
    atoms = list(topology.atoms())
    for first, second in bonds:
        topology.addBond(atoms[first], atoms[second])
    caps = [Cap(0, 1, 0.7), *([Cap(3, 2, 0.7)] if len(bonds) > 1 else [])]
    with pytest.raises(ValueError, match=f"atom 1 of a cut bond.*found {found}"):
        shifted_points(topology, caps, {1: -0.2, 2: 0.2}, 0.0)


def test_exceptions_across_the_border_keep_lennard_jones_alone(droplet):
    before, after = (nonbonded(s) for s in (droplet.system, mixed(droplet, ACETYL)))
    across = 0
    for index in range(before.getNumExceptions()):
        first, second, product, *rest = before.getExceptionParameters(index)
        if (first in ACETYL) == (second in ACETYL):
            continue
        across += bool(product._value)
        *ends, changed, sigma, epsilon = after.getExceptionParameters(index)
        assert [first, second] == ends
        assert changed._value == 0.0 and [sigma, epsilon] == rest
    assert across
    assert isinstance(after, openmm.NonbondedForce)


def test_pressure(box):
    """Where molecules move with the volume, as barostats move them.

    Scaled by s with the box, centres R of molecules change the energy by
    dE/ds = trace of dE/d(strain) + Σ F · (x - R).
    """
    system = model_alone(mixed(box, ACETYL))
    context = context_of(system, box.positions)
    whole = context_of(box.system, box.positions)
    vectors = np.diag(np.diag(box.topology.getPeriodicBoxVectors()._value))
    centers = np.zeros_like(box.positions)
    for molecule in molecules(whole):
        centers[molecule] = box.positions[molecule].mean(axis=0)
    _, forces = evaluate(context)
    _, _, strain = computations(system, context)[0].run(box.positions, vectors)
    expected = np.trace(strain) * EV_TO_KJ_PER_MOL
    expected += (forces * (box.positions - centers)).sum()

    def energy_at(h):
        context.setPeriodicBoxVectors(*((1 + h) * vectors))
        context.setPositions(box.positions + h * centers)
        return context.getState(energy=True).getPotentialEnergy()._value

    assert slope(energy_at) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method", "cut"),
    [
        ("Amber14, OpenMM XML", "LJPME", True),
        ("Amber19 with CMAP, OpenMM XML", "PME", True),
        ("CHARMM36 with CMAP, OpenMM XML", "Ewald", True),
        ("CHARMM psf with NBFIX", "PME", True),
        ("GROMACS top with RB torsions", "NoCutoff", True),
        ("Amber prmtop", "PME", False),  # benzene
        ("CHARMM36 with CMAP, OpenMM XML", "PME", False),
    ],
)
def test_force_field_of_any_input(tmp_path, name, method, cut):
    """λ = 0 is the force field with all its pairs, and the energy is linear in λ."""
    given = inputs(tmp_path)[name]()
    system = given.system(False, method, False)
    region = one_side(given) if cut else given.atoms
    mixed_system = AllegroPotential(charged("learned")).create_mixed_system(
        given.topology,
        system,
        region,
        embedding="electrostatic",
        link="cap",
        interpolate=True,
        backend="native",
        precision="double",
        total_charge=0.0,
    )
    context = context_of(mixed_system, given.positions)
    energies, forces = [], []
    for value in (0.0, 0.25, 1.0):
        context.setParameter("lambda_interpolate", value)
        energy, force = evaluate(context)
        energies.append(energy), forces.append(force)
    energy, force = energy_and_forces(system, given.positions)
    assert energies[0] == pytest.approx(energy, rel=1e-10)
    largest = abs(force).max()
    assert abs(forces[0] - force).max() < 1e-10 * largest
    assert abs(energies[2] - energies[0]) > 10
    between = 0.75 * energies[0] + 0.25 * energies[2]
    assert energies[1] == pytest.approx(between, rel=1e-10)


def one_side(given):
    """Atoms of the region on one side of its first bond of carbon outside of rings."""
    bonded = bonded_atoms(given.topology)
    elements = [atom.element.symbol for atom in given.topology.atoms()]
    for first in sorted(given.atoms):
        for second in sorted(bonded[first]):
            if elements[first] != "C" or elements[second] not in ("C", "N"):
                continue
            side, waiting = {first}, [first]
            while waiting:
                at = waiting.pop()
                fresh = {j for j in bonded[at] if {at, j} != {first, second}} - side
                side |= fresh
                waiting += fresh
            if second not in side and len(side) > 1 and len(bonded[second]) > 1:
                return sorted(side)
    raise AssertionError("no such bond")
