# SPDX-License-Identifier: MIT
"""Cut bonds end in hydrogens, whose forces go to the two atoms of the bond."""

import numpy as np
import openmm
import pytest
from mixed_helpers import SOLUTE, cluster, organic_model, solvated
from openmm import unit
from openmm_helpers import (
    BACKEND,
    context_of,
    energy_and_forces,
    evaluate,
    make_topology,
    molecules,
    skip_without,
)

from openmm_allegro import AllegroPotential
from openmm_allegro.mixing.link_atoms import Cap
from openmm_allegro.potential.computation import computations

pytestmark = pytest.mark.small

# H, C and N: B. Cordero et al., doi:10.1039/b801115j, table 2 (Å)
RADII = {"H": 0.31, "C": 0.76, "N": 0.71}
ACE = [5, 0, 2, 4, 3, 1]  # C (1) is bonded to N (6)
METHYL = [8, 9, 10, 11]  # its C (8) is bonded to N (6)
REGIONS = [(ACE, [(1, 6)]), (METHYL, [(8, 6)]), ([6, 7], [(6, 1), (6, 8)])]
GROUP = 3


@pytest.fixture(scope="module")
def potential():
    return AllegroPotential(organic_model())


@pytest.fixture(scope="module")
def box():
    return solvated()


@pytest.fixture(scope="module")
def droplet(box):
    return cluster(box)


@pytest.fixture(scope="module")
def make(potential, box, droplet):
    def mixed(atoms, kind="droplet", backend=BACKEND, **options):
        whole = {"box": box, "droplet": droplet}[kind]
        return potential.create_mixed_system(
            whole.topology,
            whole.system,
            atoms,
            link="cap",
            backend=backend,
            precision="double",
            force_group=GROUP,
            **options,
        )

    return mixed


def capped_alone(potential, positions, atoms, bonds):
    """The model's energy of the region and its caps as atoms of their own."""
    symbols = np.array(["C", "C", "O", "H", "H", "H", "N", "H", "C", "H", "H", "H"])
    caps = []
    for inner, outer in bonds:
        a, b = RADII[symbols[inner]], RADII[symbols[outer]]
        ratio = (a + RADII["H"]) / (a + b)
        caps.append(positions[inner] + ratio * (positions[outer] - positions[inner]))
    system = potential.create_system(
        make_topology([*symbols[atoms], *["H"] * len(caps)]),
        backend=BACKEND,
        precision="double",
    )
    return energy_and_forces(system, np.vstack([positions[atoms], caps]))[0]


# OpenMM is given the same module by either backend of torch: one region is enough.
@pytest.mark.parametrize(
    ("atoms", "bonds", "backend"),
    [
        *((*region, name) for name in ("pythonforce", "native") for region in REGIONS),
        *(
            pytest.param(*region, "torchforce", marks=pytest.mark.slow if i < 2 else ())
            for i, region in enumerate(REGIONS)
        ),
    ],
)
def test_energy_is_that_of_the_capped_region(
    potential, make, droplet, atoms, bonds, backend
):
    skip_without(backend)
    context = context_of(make(atoms, backend=backend), droplet.positions)
    expected = capped_alone(potential, droplet.positions, atoms, bonds)
    found, forces = evaluate(context, {GROUP})
    assert found == pytest.approx(expected, rel=1e-6)
    assert abs(expected) > 10
    # Forces, and with them their moments, are those of a molecule by itself.
    assert abs(forces.sum(0)).max() < 1e-4 * abs(forces).max()
    moments = np.cross(droplet.positions, forces).sum(0)
    assert abs(moments).max() < 1e-4 * abs(forces).max()
    pulled = {i for i, force in enumerate(forces) if force.any()}
    assert pulled == {*atoms, *(outer for _, outer in bonds)}


@pytest.mark.parametrize("backend", ["pythonforce", "native"])
def test_virials_of_the_atoms_are_refused(make, droplet, backend):
    skip_without(backend)
    context = context_of(make(ACE, backend=backend), droplet.positions)
    (region,) = computations(context.getSystem(), context)
    with pytest.raises(ValueError, match="expected a model without link atoms"):
        region.virials(droplet.positions)


@pytest.mark.parametrize("interpolate", [False, True])
def test_forces_are_derivatives(make, droplet, interpolate):
    """The energy has all its terms, and the N of the peptide bond two caps."""
    context = context_of(make([6, 7], interpolate=interpolate), droplet.positions)
    if interpolate:
        context.setParameter("lambda_interpolate", 0.6)
    forces = evaluate(context)[1]
    step = 1e-5
    for atom in (1, 2, 6, 7, 8, 11):
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                moved = droplet.positions.copy()
                moved[atom, axis] += sign * step
                context.setPositions(moved)
                energies.append(evaluate(context)[0])
            slope = (energies[1] - energies[0]) / (2 * step)
            assert slope == pytest.approx(forces[atom, axis], rel=1e-5, abs=1e-2)


def test_bond_across_the_border_of_the_box(make, box):
    """The cap goes to the nearest image of the atom outside."""
    context = context_of(make(ACE, "box"), box.positions)
    energy, forces = evaluate(context, {GROUP})
    side = box.topology.getUnitCellDimensions()[0].value_in_unit(unit.nanometer)
    moved = box.positions.copy()
    moved[6] += [side, -side, 2 * side]
    moved[ACE[0]] -= [0, 0, side]
    context.setPositions(moved)
    found = evaluate(context, {GROUP})
    assert found[0] == pytest.approx(energy, rel=1e-6)
    assert abs(found[1] - forces).max() < 1e-4 * abs(forces).max()


def silenced(system, atoms):
    """A copy in which only terms and pairs among the atoms are left."""
    region = set(atoms)
    system = openmm.XmlSerializer.clone(system)
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            for i in set(range(force.getNumParticles())) - region:
                force.setParticleParameters(i, 0.0, 1.0, 0.0)
            for i in range(force.getNumExceptions()):
                pair = force.getExceptionParameters(i)[:2]
                if not set(pair) <= region:
                    force.setExceptionParameters(i, *pair, 0.0, 1.0, 0.0)
            continue
        for kind, count, last in (("Bond", 2, 1), ("Angle", 3, 1), ("Torsion", 4, 2)):
            for i in range(getattr(force, f"getNum{kind}s", int)()):
                given = getattr(force, f"get{kind}Parameters")(i)
                if not set(given[:count]) <= region:
                    strength = 0.0 * given[-1]
                    parameters = [*given[: count + last], strength]
                    getattr(force, f"set{kind}Parameters")(i, *parameters)
    return system


def test_terms_with_an_atom_outside_stay(potential, make, droplet):
    """Also angles and torsions of which a cap has its share."""
    for atoms, bonds in ((ACE, [(1, 6)]), ([6, 7], [(6, 1), (6, 8)])):
        mixed = energy_and_forces(make(atoms), droplet.positions)[0]
        classical = energy_and_forces(droplet.system, droplet.positions)[0]
        inside = energy_and_forces(silenced(droplet.system, atoms), droplet.positions)[
            0
        ]
        ml = capped_alone(potential, droplet.positions, atoms, bonds)
        assert mixed == pytest.approx(classical - inside + ml, rel=1e-6)


def test_system_keeps_its_particles_and_molecules(make, box):
    mixed = make(ACE, "box")
    assert mixed.getNumParticles() == box.system.getNumParticles()
    expected, found = (
        molecules(context_of(system, box.positions)) for system in (box.system, mixed)
    )
    assert found == expected
    assert list(range(SOLUTE)) in found


def test_charge_of_the_region_is_told_if_it_is_no_integer(make, caplog):
    make(ACE)
    assert not caplog.text  # ACE and NME are neutral each
    make(METHYL)
    assert "charges of the ML region add up to" in caplog.text


def test_cut_bonds_are_refused_by_name(potential, droplet):
    with pytest.raises(ValueError, match=r"link='cap'.* ACE\w+:C\(1\)-NME\w+:N\(6\)"):
        potential.create_mixed_system(droplet.topology, droplet.system, ACE)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        ([12], r"between heavy atoms, found .*HOH\w+:O\(12\)-HOH"),  # of a water
        ([0, 1, 2, 3, 4, 5, 6], r"heavy atoms, found .*NME\w+:N\(6\)-NME\w+:H\(7\)"),
        ([1, 2, 8, 9, 10, 11, 0, 3, 4, 5], r"at most one cut bond.*N\(6\), .*N\(6\)"),
    ],
)
def test_bonds_that_cannot_be_capped(make, atoms, message):
    with pytest.raises(ValueError, match=message):
        make(atoms)


@pytest.mark.parametrize(
    "edge, message", [(0.0, "span a volume"), (np.nan, "finite box")]
)
def test_a_box_that_is_none_is_told_beside_caps(edge, message):
    torch = pytest.importorskip("torch")
    from openmm_allegro.potential.committee_module import committee_module
    from openmm_allegro.potential.options import ForceOptions

    symbols, cap = ["C", "C", "H"], Cap(1, 2, 0.7)
    module = committee_module(
        [organic_model()],
        symbols,
        ForceOptions(),
        atoms=[0, 1, 3],
        caps=[cap],
        periodic=True,
    )
    positions = torch.tensor(
        [[0.1, 0.1, 0.1], [0.25, 0.1, 0.1], [0.4, 0.1, 0.1]]
    ).double()
    box = torch.diag(torch.tensor([1.0, 1.0, edge], dtype=torch.float64))
    with pytest.raises(torch.jit.Error, match=message):
        module(positions, box)
