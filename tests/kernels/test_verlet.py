# SPDX-License-Identifier: MIT
"""A pair list that is kept between steps changes nothing, wherever it is used."""

import io
import threading
import time

import numpy as np
import openmm
import pytest
import torch
from helpers import random_atoms
from openmm import app, unit
from openmm_helpers import lattice_waters, make_topology

from openmm_allegro import AllegroPotential
from openmm_allegro.forces import make_force
from openmm_allegro.neighbors import PairList, VerletList
from openmm_allegro.potential.module import force_module
from openmm_allegro.simulate.platform import torch_threads

PLATFORMS = ("Reference", "CPU")


def sorted_pairs(centers, neighbors, vectors):
    rows = torch.cat((centers[:, None], neighbors[:, None], vectors), 1)
    order = np.lexsort(rows.numpy().round(9).T[::-1])
    return rows[order]


@pytest.mark.parametrize(
    "kind", ["large", "triclinic", "slab", "tiny triclinic", "isolated"]
)
def test_pairs_within_the_cutoff_are_all_there(kind):
    """While atoms diffuse, leave the box and the box changes."""
    cutoff, skin = 3.0, 0.6
    atoms = random_atoms(kind)
    generator = np.random.default_rng(1)
    kept, fresh = VerletList(cutoff, skin), PairList(cutoff)
    positions, cell = atoms.positions.clone(), atoms.cell.clone()
    for step in range(60):
        positions += torch.tensor(generator.normal(0, 0.03, positions.shape))
        if step == 20:
            positions[0] += 2 * cell[0]  # as a program that wraps would do
        if step % 25 == 24:
            cell, positions = cell * 1.01, positions * 1.01
        kept(positions, cell, atoms.periodic)
        centers, neighbors, vectors = kept.vectors(positions, cell)
        near = vectors.norm(dim=1) < cutoff
        found = sorted_pairs(centers[near], neighbors[near], vectors[near])
        expected = sorted_pairs(*fresh(positions, cell, atoms.periodic))
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
        assert (
            kept.offsets.diff() == torch.bincount(centers, minlength=len(positions))
        ).all()
    assert 3 < kept.rebuilds < 45


def test_no_skin_is_a_new_list_each_time():
    atoms = random_atoms("triclinic")
    pairs = VerletList(3.0, 0.0)
    for count in range(1, 4):
        pairs(atoms.positions, atoms.cell, atoms.periodic)
        assert pairs.rebuilds == count


def test_another_number_of_atoms(model):
    pairs = VerletList(3.0, 0.5)
    for kind in ("triclinic", "tiny", "triclinic"):
        atoms = random_atoms(kind)
        pairs(atoms.positions, atoms.cell, atoms.periodic)
        assert len(pairs.offsets) == len(atoms.positions) + 1


@pytest.fixture(scope="module", params=["torchforce", "pythonforce"])
def systems(model, request):
    """The same water with a kept and with a fresh list, and its starting point."""
    if request.param == "torchforce":
        pytest.importorskip("openmmtorch")
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box, waters=True)
    potential = AllegroPotential(model)
    made = [
        potential.create_system(
            topology,
            precision="double",
            skin=skin,
            backend=request.param,
            kernel=kernel,
        )
        for skin, kernel in ((1.0, "auto"), (1.0, "plain"), (0.0, "auto"))
    ]
    return topology, made, positions


def start(system, positions, platform="Reference", integrator=None):
    integrator = integrator or openmm.VerletIntegrator(0.5 * unit.femtosecond)
    context = openmm.Context(
        system, integrator, openmm.Platform.getPlatformByName(platform)
    )
    context.setPositions(positions)
    return context


def energy_and_forces(context):
    state = context.getState(energy=True, forces=True)
    return (
        state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole),
        state.getForces(asNumpy=True).value_in_unit(
            unit.kilojoule_per_mole / unit.nanometer
        ),
    )


def same(contexts, tolerance=1e-9):
    found = [energy_and_forces(context) for context in contexts]
    for energy, forces in found[:-1]:
        scale = abs(found[-1][1]).max()
        assert energy == pytest.approx(found[-1][0], abs=1e-6)
        np.testing.assert_allclose(forces, found[-1][1], atol=tolerance * scale)


def test_dynamics_minimisation_and_jumps(systems):
    """After each, the kept list gives what a fresh one gives at the same positions."""
    _, (kept, plain, fresh), positions = systems
    contexts = [start(s, positions) for s in (kept, plain, fresh)]
    same(contexts)
    first = contexts[0]
    first.setVelocitiesToTemperature(2000 * unit.kelvin, 3)
    for change in (
        lambda: first.getIntegrator().step(60),
        lambda: openmm.LocalEnergyMinimizer.minimize(first, maxIterations=20),
        lambda: first.setPositions(positions + 0.3),
        lambda: first.setPositions(positions[::-1]),
    ):
        change()
        state = first.getState(positions=True)
        for other in contexts[1:]:
            other.setPositions(state.getPositions())
        same(contexts)


def test_boxes_and_barostats(systems):
    _, (kept, _, fresh), positions = systems
    contexts = [start(s, positions) for s in (kept, fresh)]
    box = kept.getDefaultPeriodicBoxVectors()
    for factor in (1.02, 0.97, 1.0):
        for context in contexts:
            context.setPeriodicBoxVectors(*(factor * v for v in box))
        same(contexts)

    import copy

    system = copy.deepcopy(kept)
    barostat = openmm.MonteCarloBarostat(1 * unit.bar, 300 * unit.kelvin, 1)
    barostat.setRandomNumberSeed(4)
    system.addForce(barostat)
    moving = start(system, positions)
    moving.setVelocitiesToTemperature(300 * unit.kelvin, 3)
    volumes = set()
    for _ in range(10):
        moving.getIntegrator().step(3)
        state = moving.getState(positions=True)
        volumes.add(state.getPeriodicBoxVolume().value_in_unit(unit.nanometer**3))
        contexts[1].setPeriodicBoxVectors(*state.getPeriodicBoxVectors())
        contexts[1].setPositions(state.getPositions())
        same([moving, contexts[1]])
    assert len(volumes) > 1


def test_contexts_side_by_side_and_checkpoints(systems):
    """Two of one System at different places; and back to an earlier place."""
    _, (kept, _, fresh), positions = systems
    one, other = start(kept, positions), start(kept, positions + 0.01)
    reference = start(fresh, positions)
    one.setVelocitiesToTemperature(1000 * unit.kelvin, 3)
    checkpoint = one.createCheckpoint()
    before = energy_and_forces(one)
    other.setPositions(positions[::-1])
    one.getIntegrator().step(40)
    for context in (one, other):
        state = context.getState(positions=True)
        reference.setPositions(state.getPositions())
        same([context, reference])
    one.loadCheckpoint(checkpoint)
    after = energy_and_forces(one)
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    np.testing.assert_allclose(after[1], before[1], atol=1e-6)


def test_after_a_round_trip_through_xml(systems):
    _, (kept, plain, _), positions = systems
    used = start(kept, positions)
    used.getState(energy=True)
    text = openmm.XmlSerializer.serialize(kept)
    contexts = [
        start(openmm.XmlSerializer.deserialize(text), positions),
        start(plain, positions),
    ]
    same(contexts)
    contexts[0].setPositions(positions * 1.1)
    contexts[1].setPositions(positions * 1.1)
    same(contexts)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_list_lasts_many_steps(model, water_box, platform):
    """The module that OpenMM calls keeps its list."""
    symbols, positions, box = water_box
    module = force_module(model, symbols, periodic=True)
    arguments = [torch.tensor(positions), torch.tensor(box)]
    for _ in range(20):
        arguments[0] = arguments[0] + 0.001 * torch.randn(positions.shape)
        module(*arguments)
    assert 1 <= module.pairs.rebuilds < 10
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    loaded = torch.jit.load(buffer)
    torch.testing.assert_close(loaded(*arguments), module(*arguments))


def test_boxes_that_are_no_numbers_are_refused(model):
    module = force_module(model, ["O", "H", "H"], periodic=True)
    positions = torch.rand(3, 3, dtype=torch.float64)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(torch.jit.Error, match="expected finite box vectors"):
            module(positions, torch.eye(3, dtype=torch.float64) * bad)


def test_no_atoms_are_refused(model):
    with pytest.raises(ValueError, match="at least one atom, found none"):
        force_module(model, [], periodic=False)


def test_contexts_in_two_threads_take_turns():
    """They share PythonForce's module, whose list of pairs is that of one of them."""
    inside, overlaps = threading.Lock(), []

    class Module:
        def to(self, device):
            return self

        def __call__(self, positions):
            overlaps.append(not inside.acquire(blocking=False))
            time.sleep(0.02)
            if not overlaps[-1]:
                inside.release()
            return torch.zeros(()), torch.zeros_like(positions)

    system = openmm.System()
    system.addParticle(1.0)
    force = make_force(Module(), backend="pythonforce", periodic=False, device="cpu")
    system.addForce(force)
    contexts = [start(system, np.zeros((1, 3))) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda c=c: c.getState(forces=True)) for c in contexts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == [False, False]


def test_bad_options(model):
    topology = make_topology(["O", "H", "H"])
    potential = AllegroPotential(model)
    with pytest.raises(ValueError, match=r"kernel of .* found 'fast'"):
        potential.create_system(topology, kernel="fast")
    for skin in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="skin of at least 0"):
            potential.create_system(topology, skin=skin)


def test_two_body_options(model):
    topology = make_topology(["O", "H", "H"])
    potential = AllegroPotential(model)
    with pytest.raises(ValueError, match=r"two_body of .* found 'spline'"):
        potential.create_system(topology, two_body="spline")
    with pytest.raises(ValueError, match="expects the fused kernel"):
        potential.create_system(topology, two_body="table", kernel="plain")


def test_no_kernel_is_said_early(model, monkeypatch):
    from openmm_allegro.potential import module as potential_module

    monkeypatch.setattr(potential_module, "library", lambda: None)
    topology = make_topology(["O", "H", "H"])
    with pytest.raises(ImportError, match=r"C\+\+ compiler"):
        AllegroPotential(model).create_system(topology, kernel="fused")
    module = force_module(model, ["O", "H", "H"], periodic=False)
    assert not module.fused


def test_pdb_of_the_example_runs_with_either_kernel():
    """The trained model: the fused kernel in mixed precision against plain double."""
    folder = "systems/nacl_aq/"
    root = __file__.rpartition("/tests/")[0] + "/"
    pdb = app.PDBFile(root + folder + "nacl_aq.pdb")
    potential = AllegroPotential(root + folder + "nacl_aq.safetensors")
    symbols = [a.element.symbol for a in pdb.topology.atoms()]
    positions = torch.tensor(pdb.getPositions(asNumpy=True)._value)
    box = torch.tensor(np.array(pdb.topology.getPeriodicBoxVectors()._value))
    forces = {}
    for kernel, precision in (
        ("plain", "double"),
        ("plain", "mixed"),
        ("fused", "mixed"),
        ("fused", "double"),
        ("table", "mixed"),
    ):
        options = {"kernel": "fused", "two_body": "table"}
        options = options if kernel == "table" else {"kernel": kernel}
        module = force_module(
            potential.model, symbols, periodic=True, precision=precision, **options
        )
        forces[kernel, precision] = module.evaluate(positions, box)[1]
    exact = forces["plain", "double"]
    assert (forces["fused", "double"] - exact).abs().max() < 1e-10
    for kernel in ("plain", "fused", "table"):
        assert (forces[kernel, "mixed"] - exact).abs().max() < 1e-5  # eV/Å


@pytest.mark.parametrize("kernel", ["fused", "plain"])
@pytest.mark.parametrize("threads", [1, 3])
def test_forces_do_not_depend_on_when_the_list_was_built(model, kernel, threads):
    """To the last bit, because a run may be resumed between two rebuilds."""
    symbols, positions, box = lattice_waters()
    positions, box = torch.tensor(positions), torch.tensor(box)
    moved = 0.003 * torch.tensor(np.random.default_rng(0).uniform(-1, 1, (4, 81, 3)))
    with torch_threads(threads):
        module = force_module(model, symbols, periodic=True, kernel=kernel)
        for step in moved:
            module(positions, box)
            built = module.pairs.rebuilds
            kept = module(positions + step, box)
            assert module.pairs.rebuilds == built
            module(positions + 1.0, box)
            fresh = module(positions + step, box)
            assert module.pairs.rebuilds == built + 2
            assert torch.equal(kept[0], fresh[0]) and torch.equal(kept[1], fresh[1])
