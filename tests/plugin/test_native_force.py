# SPDX-License-Identifier: MIT
"""The native force computes what the model does, in any System and process."""

import copy
import re
import subprocess
import sys

import numpy as np
import openmm
import pytest
from helpers import (
    CELLS,
    ELEMENTS,
    FULL,
    random_atoms,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)
from openmm_helpers import (
    context_of,
    energy_and_forces,
    lattice_waters,
    make_topology,
    skip_without,
)

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.plugin.engine import Engine, is_native
from openmm_allegro.potential.computation import computations

pytestmark = pytest.mark.small

DOUBLE = {"precision": "double"}
WIDE = {"l_max": 4, "num_layers": 1, "parity": False, "num_tensor_features": 5}
GRID = {
    "two layers": {},
    "full": FULL,
    "wide": WIDE,
    "l 0": {"l_max": 0},
    "splines": {"radial_embedding": "spline"},
}


def tiny_model(**options):
    config = tiny_config(**options)
    return Model(
        config, tiny_statistics(config), tiny_energy(config), "total", "float64"
    )


def both(potential, topology, **options):
    """The same System with PythonForce and with the native force."""
    skip_without("pythonforce")
    return [
        potential.create_system(topology, backend=backend, **options)
        for backend in ("pythonforce", "native")
    ]


FAST = ("triclinic", "isolated")


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("full", cell) for cell in CELLS]
    + [(kind, cell) for kind in GRID if kind != "full" for cell in FAST]
    + [
        pytest.param("two layers", cell, marks=pytest.mark.slow)
        for cell in CELLS
        if cell not in FAST
    ],
)
def test_equals_the_kernel_in_torch(kind, cell):
    """In double to rounding, in mixed precision to that of single."""
    skip_without("pythonforce")
    atoms = random_atoms(cell)
    symbols = [ELEMENTS[i] for i in atoms.types.tolist()]
    box = None if cell == "isolated" else atoms.cell.numpy() / 10
    topology = make_topology(symbols, box)
    positions = atoms.positions.numpy() / 10
    potential = AllegroPotential(tiny_model(**GRID[kind]))
    for precision, energy_error, force_error in (
        ("double", 1e-12, 1e-12),
        ("mixed", 1e-6, 1e-5),
    ):
        given, native = both(potential, topology, precision=precision)
        expected, of_torch = energy_and_forces(given, positions)
        for platform in ("Reference", "CPU"):
            energy, forces = energy_and_forces(native, positions, platform)
            assert energy == pytest.approx(expected, rel=energy_error)
            scale = abs(of_torch).max()
            np.testing.assert_allclose(forces, of_torch, atol=force_error * scale)


def test_energy_alone_is_that_with_forces(model):
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(topology, backend="native")
    context = context_of(system, positions)
    alone = context.getState(energy=True).getPotentialEnergy()
    assert alone == context.getState(energy=True, forces=True).getPotentialEnergy()


@pytest.mark.parametrize("box_multiples", [3, 40, 10_000])
def test_atoms_any_number_of_boxes_away(model, box_multiples):
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(topology, backend="native", **DOUBLE)
    random = np.random.default_rng(0)
    moved = random.integers(-box_multiples, box_multiples, positions.shape) @ box
    energy, forces = energy_and_forces(system, positions + moved)
    expected, unmoved = energy_and_forces(system, positions)
    # positions themselves are rounded more, the farther away
    error = 1e-12 * box_multiples
    assert energy == pytest.approx(expected, rel=error)
    np.testing.assert_allclose(forces, unmoved, atol=error * abs(unmoved).max() * 10)


def test_survives_copies_and_xml(model):
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(topology, backend="native")
    force = system.getForce(0)
    force.setForceGroup(3)
    force.setName('a <"name">')
    text = openmm.XmlSerializer.serialize(system)
    expected = energy_and_forces(system, positions)
    for other in (copy.deepcopy(system), openmm.XmlSerializer.deserialize(text)):
        assert is_native(other.getForce(0))
        assert other.getForce(0).getForceGroup() == 3
        assert other.getForce(0).getName() == 'a <"name">'
        assert other.usesPeriodicBoundaryConditions()
        assert openmm.XmlSerializer.serialize(other) == text
        energy, forces = energy_and_forces(other, positions)
        assert energy == expected[0]
        assert (forces == expected[1]).all()


def test_another_process_reads_it(model, tmp_path):
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(topology, backend="native")
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", positions)
    code = """
import sys
import openmm_allegro, openmm, numpy
system = openmm.XmlSerializer.deserialize(open("system.xml").read())
context = openmm.Context(
    system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("CPU")
)
context.setPositions(numpy.load("positions.npy"))
print(repr(context.getState(energy=True).getPotentialEnergy()._value))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert float(result.stdout) == energy_and_forces(system, positions, "CPU")[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("integers=", 'integers="AAAA'), "expected whole numbers|expected base64"),
        (('version="1"', 'version="9"'), "expected XML of version 1 to 3, found 9"),
        (("particles=", 'particles="/////////38='), "base64|for each of"),
        (("cutoff=", 'cutoff="nan'), "expected a finite cutoff"),
    ],
)
def test_damaged_xml_is_refused(model, change, message):
    topology = make_topology(["O", "H", "H"])
    system = AllegroPotential(model).create_system(topology, backend="native")
    text = openmm.XmlSerializer.serialize(system.getForce(0))
    before, after = change
    if before.endswith("="):
        text = re.sub(f'{before}"[^"]*', after, text)
    else:
        assert before in text
        text = text.replace(before, after)
    with pytest.raises(openmm.OpenMMException, match=message):
        openmm.XmlSerializer.deserialize(text)


@pytest.mark.parametrize(
    ("atom", "value", "message"),
    [
        (0, np.nan, "expected finite positions"),
        (4, np.inf, "expected finite positions"),
    ],
)
def test_positions_that_are_not_finite(model, atom, value, message):
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(topology, backend="native")
    positions[atom, 1] = value
    context = context_of(system, positions)
    with pytest.raises(openmm.OpenMMException, match="expected finite positions"):
        context.getState(forces=True)
    positions[atom, 1] = 0.1  # the Context goes on
    context.setPositions(positions)
    context.getState(forces=True)


def test_restart_is_exact_to_the_last_bit(model):
    """A new Context builds its list of pairs at another moment."""
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend="native")

    def context():
        integrator = openmm.LangevinMiddleIntegrator(300, 1.0, 0.0005)
        integrator.setRandomNumberSeed(1)
        platform = openmm.Platform.getPlatformByName("Reference")
        return openmm.Context(system, integrator, platform)

    first = context()
    first.setPositions(positions)
    first.setVelocitiesToTemperature(300, 1)
    first.getIntegrator().step(37)
    checkpoint = first.createCheckpoint()
    first.getIntegrator().step(60)
    second = context()
    second.loadCheckpoint(checkpoint)  # with the state of the random numbers
    second.getIntegrator().step(60)
    ends = [
        one.getState(positions=True).getPositions(asNumpy=True)._value
        for one in (first, second)
    ]
    assert (ends[0] == ends[1]).all()


def test_engine_has_per_atom_energies_and_the_virial(model):
    """The sum of energies is the System's, the strain that of finite differences."""
    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(
        topology, backend="native", skin=0.0, **DOUBLE
    )
    engine = Engine(system.getForce(0), threads=2)
    energies, forces, strain = engine.run(positions, box)
    (torch_like,) = computations(system)
    np.testing.assert_array_equal(torch_like.particles, np.arange(len(symbols)))
    step, differences = 1e-5, np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        sides = []
        for sign in (1, -1):
            deformation = np.eye(3)
            deformation[a, b] += sign * step
            moved = engine.run(positions @ deformation, box @ deformation)
            sides.append(moved[0].sum())
        differences[a, b] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(strain, differences, atol=1e-6)
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=1e-12)
    assert len(energies) == len(symbols)


def test_engine_keeps_its_pairs_until_an_atom_has_moved(model):
    symbols, positions, box = lattice_waters()
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend="native", skin=0.6
    )
    engine = Engine(system.getForce(0))
    for distance, rebuilds in ((0.0, 1), (0.028, 1), (0.032, 2)):  # nm; half the skin
        moved = positions.copy()
        moved[0, 0] += distance
        engine.run(moved, box)
        assert engine.rebuilds == rebuilds


def test_engine_refuses_what_does_not_fit(model):
    topology = make_topology(["O", "H", "H"])
    system = AllegroPotential(model).create_system(topology, backend="native")
    engine = Engine(system.getForce(0))
    with pytest.raises(ValueError, match="expected particles of the System"):
        engine.run(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="expected positions"):
        engine.run(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="expected a committee"):
        engine.deviation(np.arange(9.0).reshape(3, 3))
    with pytest.raises(ValueError, match="expected a native Allegro force"):
        Engine(openmm.HarmonicBondForce())


def test_particles_that_the_system_lacks(model):
    topology = make_topology(["O", "H", "H"])
    system = AllegroPotential(model).create_system(topology, backend="native")
    small = openmm.System()
    small.addParticle(1.0)
    small.addForce(copy.deepcopy(system.getForce(0)))
    with pytest.raises(openmm.OpenMMException, match="which has 1, found 1"):
        context_of(small, np.zeros((1, 3)))


def test_plain_kernel_and_devices_are_refused(model):
    topology = make_topology(["O", "H", "H"])
    with pytest.raises(ValueError, match="backend='native' expects the fused kernel"):
        AllegroPotential(model).create_system(
            topology, backend="native", kernel="plain"
        )
