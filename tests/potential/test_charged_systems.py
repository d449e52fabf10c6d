# SPDX-License-Identifier: MIT
"""Models with charges in mixed Systems, committees, ASE, and what is refused."""

import dataclasses

import numpy as np
import openmm
import pytest
from charged_helpers import charged_water, two_ions
from mixed_helpers import organic_model
from mixed_identities import identities
from mixed_inputs import amber14
from openmm_helpers import context_of, energy_and_forces, make_topology, water_system

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.classical.fingerprint import fingerprint
from openmm_allegro.forces import allegro_module
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.model import AllegroEnergy
from openmm_allegro.potential.charges import charged_computation
from openmm_allegro.potential.computation import computations
from openmm_allegro.potential.description import description, notes_of
from openmm_allegro.units import (
    COULOMB_KJ_MOL_NM,
    EV_TO_KJ_PER_MOL,
    KJ_PER_MOL_NM3_TO_BAR,
    NM_TO_ANGSTROM,
)

OPTIONS = {"backend": "pythonforce", "precision": "double"}


@pytest.fixture(scope="module")
def potential():
    return AllegroPotential(charged_water())


@pytest.fixture(scope="module")
def waters(water_box):
    """Topology, positions and box (nm)."""
    symbols, positions, box = water_box
    return make_topology(symbols, box, waters=True), positions, box


def charged_organic() -> Model:
    """The network of ``organic_model`` with charges."""
    local = organic_model()
    start = {"H": 0.2, "C": 0.1, "N": -0.5, "O": -0.4}
    config = dataclasses.replace(local.config, charges="learned", charge_start=start)
    energy = AllegroEnergy(config, local.statistics, seed=3)
    return Model(config, local.statistics, energy, "total", "float64")


def test_mixed_identity():
    """E_mixed = E_MM + λ (E_ML - E_MM of the region), all of the region in vacuum."""
    rows = identities(AllegroPotential(charged_organic()), amber14(), "PME", "removed")
    for row in rows:
        assert row.energy_error < 1e-10
        assert row.force_error < 1e-10


def test_region_of_several_molecules(potential, waters):
    """Its charges see nearest images alone, on whatever side of the box they lie."""
    topology, positions, box = waters
    symbols = [atom.element.symbol for atom in topology.atoms()]
    _, mm_system = water_system(symbols, box)
    region = [0, 1, 2, 9, 10, 11]
    mixed = potential.create_mixed_system(
        topology, mm_system, region, total_charge=1.0, **OPTIONS
    )
    energy, forces = energy_and_forces(mixed, positions)
    moved = positions.copy()
    moved[9:12] += box[1]
    other = energy_and_forces(mixed, moved)
    assert other[0] == pytest.approx(energy, abs=1e-7)
    assert other[1] == pytest.approx(forces, abs=1e-4)
    (computation,) = computations(mixed)
    charges = computation.charges(positions, box)
    assert charges.sum() == pytest.approx(1.0)
    assert charges == pytest.approx(computation.charges(moved, box))
    alone = potential.charges(
        make_topology([symbols[i] for i in region]),
        positions[region],
        total_charge=1.0,
        **OPTIONS,
    )
    assert charges == pytest.approx(alone)


def test_committee(waters):
    topology, positions, box = waters
    members = [charged_water(), charged_water("constant", seed=6)]
    system, *alone = (
        AllegroPotential(m).create_system(topology, total_charge=1.0, **OPTIONS)
        for m in (members, *members)
    )
    expected = np.mean([energy_and_forces(s, positions)[0] for s in alone])
    assert energy_and_forces(system, positions)[0] == pytest.approx(expected)
    context = context_of(system, positions)
    found = charged_computation(context).charges(positions, box)
    each = [computations(s)[0].charges(positions, box) for s in alone]
    assert found == pytest.approx(np.mean(each, axis=0))
    module = next(filter(None, map(allegro_module, system.getForces())))
    notes = notes_of([description(module)])
    assert notes["charges"] == ["learned", "constant"]
    assert notes["total_charge"] == 1.0
    assert notes["charge_alpha"] == [pytest.approx(2 / 3.5)] * 2


def test_on_top_of_a_force_field(waters):
    """Delta: E = E_MM + E_Allegro, with charges beside those of the force field."""
    topology, positions, box = waters
    symbols = [atom.element.symbol for atom in topology.atoms()]
    _, mm_system = water_system(symbols, box)
    model = charged_water()
    provenance = {"baseline": fingerprint(mm_system, symbols)}
    delta = dataclasses.replace(model, kind="delta", provenance=provenance)
    system = AllegroPotential(delta).add_to_system(topology, mm_system, **OPTIONS)
    energy, forces = energy_and_forces(system, positions)
    alone = energy_and_forces(mm_system, positions)
    (computation,) = computations(system)
    energies, more, _ = computation.run(positions, box)
    assert energy - alone[0] == pytest.approx(energies.sum() * EV_TO_KJ_PER_MOL)
    more = more * EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM
    assert forces - alone[1] == pytest.approx(more, abs=1e-5)


def test_volume_moves(potential, waters):
    """What OpenMM's barostat finds by scaling the box is the strain derivative."""
    topology, positions, box = waters
    system = potential.create_system(topology, **OPTIONS)
    barostat = openmm.MonteCarloAnisotropicBarostat(openmm.Vec3(1, 1, 1), 300.0)
    system.addForce(barostat)
    context = context_of(system, positions)
    found = barostat.computeCurrentPressure(context)._value
    _, forces, strain = computations(system)[0].run(positions, box)
    centers = positions.reshape(-1, 3, 3).mean(axis=1).repeat(3, axis=0)
    strain = strain + forces.T @ (positions - centers) * NM_TO_ANGSTROM
    per_volume = EV_TO_KJ_PER_MOL * KJ_PER_MOL_NM3_TO_BAR / np.linalg.det(box)
    expected = -np.diag(strain) * per_volume
    assert list(found) == pytest.approx(expected, rel=1e-3, abs=2)


@pytest.mark.parametrize("backend", ["torch", "native"])
def test_in_ase(backend):
    ase = pytest.importorskip("ase")
    calculator = AllegroCalculator(two_ions(), total_charge=0.1, backend=backend)
    atoms = ase.Atoms("NaCl", [[1.0, 0, 0], [1.0, 0, 10.0]])
    atoms.calc = calculator
    assert atoms.get_charges() == pytest.approx([0.9, -0.8])
    assert atoms.get_dipole_moment() == pytest.approx([0.1, 0, -8.0])
    atoms.set_cell([12.0, 13.0, 14.0])
    for periodic in (True, (True, True, False)):
        atoms.pbc = periodic
        if periodic is True:
            assert atoms.get_charges() == pytest.approx([0.9, -0.8])
            assert np.isfinite(atoms.get_stress()).all()
            with pytest.raises(NotImplementedError):
                atoms.get_dipole_moment()
            with pytest.raises(ValueError, match="expected a model without charges"):
                atoms.get_stresses()
        else:
            with pytest.raises(ValueError, match="repeats along all of its vectors"):
                atoms.get_potential_energy()


def test_refusals(model, potential, waters):
    topology, positions, _ = waters
    local = AllegroPotential(model)
    with pytest.raises(ValueError, match="total_charge: expected a model with charges"):
        local.create_system(topology, total_charge=1.0)
    with pytest.raises(ValueError, match=r"'none' \(member 0\) and 'learned'"):
        AllegroPotential([model, charged_water()])
    with pytest.raises(ValueError, match="charges: expected a model with charges"):
        local.charges(topology, positions, backend="pythonforce")
    system = local.create_system(topology, backend="pythonforce")
    with pytest.raises(ValueError, match="force of a model with charges, found 0"):
        charged_computation(context_of(system, positions))


@pytest.mark.parametrize("backend", ["pythonforce", "native"])
def test_positions_that_are_not_finite_are_named(potential, waters, backend):
    topology, positions, _ = waters
    broken = np.where(positions == positions[4], np.nan, positions)
    committee = AllegroPotential([*potential.models, charged_water(seed=6)])
    for name, ask in (
        ("charges", potential.charges),
        ("uncertainty", committee.uncertainty),
    ):
        with pytest.raises(ValueError, match=f"^{name}: Allegro: expected finite pos"):
            ask(topology, broken, backend=backend)


@pytest.mark.parametrize("takes_images", [False, True])
def test_in_openmmml(waters, monkeypatch, takes_images):
    """Alone, and as a region, in vacuum or, from 1.8 on, with its images."""
    openmmml = pytest.importorskip("openmmml")
    interop = pytest.importorskip("openmm_allegro.interop.openmmml")
    monkeypatch.setattr(interop, "_HAS_LONG_RANGE", takes_images)
    box = 5 * waters[2]
    ions, apart = make_topology(["Na", "Cl"], box), [[0, 0, 0], [0, 0, 2.0]]
    potential = openmmml.MLPotential("allegro", modelPath=two_ions())
    impl = interop.AllegroPotentialImpl(AllegroPotential(two_ions()))
    assert impl.getMLLongRange()
    empty = openmm.System()
    for _ in range(2):
        empty.addParticle(1.0)
    empty.setDefaultPeriodicBoxVectors(*box)
    options = {"total_charge": 0.1, "backend": "native", "periodic": True}
    impl.addForces(ions, empty, [0, 1], 0, **options)
    mixed = energy_and_forces(empty, apart)[0]
    alone = potential.createSystem(ions, total_charge=0.1, backend="native")
    periodic = energy_and_forces(alone, apart)[0]
    product = -0.72 * COULOMB_KJ_MOL_NM
    vacuum = product / 2.0 - 3.0 * EV_TO_KJ_PER_MOL  # the shifts
    assert mixed == pytest.approx(periodic if takes_images else vacuum, abs=1e-6)
    assert abs(periodic - vacuum) > 1
