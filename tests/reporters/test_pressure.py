# SPDX-License-Identifier: MIT
"""The pressure reporter against differences of the energy and OpenMM's barostats."""

import io

import numpy as np
import openmm
import pytest
import torch
from helpers import tiny_config
from mixed_helpers import SOLUTE, organic_model, solvated
from openmm import app
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.forces import make_force
from openmm_allegro.model import AllegroEnergy, Statistics
from openmm_allegro.potential.module import force_module
from openmm_allegro.reporters import PressureReporter
from openmm_allegro.structure import topology_symbols
from openmm_allegro.units import EV_TO_KJ_PER_MOL, KJ_PER_MOL_NM3_TO_BAR

TILTED = np.array([[0.93, 0.0, 0.0], [0.3, 0.95, 0.0], [-0.2, 0.35, 0.98]])  # nm
COMPONENTS = {
    "xx": (0, 0),
    "yy": (1, 1),
    "zz": (2, 2),
    "xy": (0, 1),
    "xz": (0, 2),
    "yz": (1, 2),
}


def simulation_of(
    topology, system, positions, velocities=None, box=None, integrator=None
):
    """With velocities and, in the place of the topology's own, a box."""
    simulation = app.Simulation(
        topology,
        system,
        integrator or openmm.VerletIntegrator(0.0005),
        openmm.Platform.getPlatformByName("Reference"),
    )
    if box is not None:
        simulation.context.setPeriodicBoxVectors(*box)
    simulation.context.setPositions(positions)
    if velocities is not None:
        simulation.context.setVelocities(velocities)
    return simulation


def report(simulation):
    """The line that a reporter writes now, as a dict."""
    file = io.StringIO()
    state = simulation.context.getState(positions=True, velocities=True)
    PressureReporter(file, 1).report(simulation, state)
    table = read(file)
    return {name: float(table[name]) for name in table.dtype.names}


def read(file):
    file.seek(0)
    return np.genfromtxt(file, delimiter=",", names=True)


@pytest.fixture(scope="module")
def water(model, water_box):
    """Molecules in a tilted box: topology, positions, box and velocities."""
    symbols, positions, _ = water_box
    topology = make_topology(symbols, TILTED, waters=True)
    velocities = np.random.default_rng(2).normal(size=positions.shape)
    return AllegroPotential(model), topology, positions, velocities


def molecular(positions, velocities, masses, molecules):
    """Centres of geometry, and Σ M v v without the motion of all, in a loop."""
    centers, motion, count = [], np.zeros((3, 3)), molecules[-1] + 1
    velocities = velocities - masses @ velocities / masses.sum()
    for number in range(count):
        inside = molecules == number
        centers.append(positions[inside].mean(axis=0))
        momentum = (masses[inside, None] * velocities[inside]).sum(axis=0)
        motion += np.outer(momentum, momentum) / masses[inside].sum()
    return np.array(centers), motion * count / (count - 1)


@pytest.mark.parametrize(("rigid", "kernel"), [(True, "fused"), (False, "plain")])
def test_tensor_is_motion_less_strain_derivative(water, rigid, kernel):
    """All six components, for molecules and for atoms, in a tilted box."""
    potential, topology, positions, velocities = water
    options = {"precision": "double", "kernel": kernel}
    system = potential.create_system(
        topology,
        backend="pythonforce",
        rigid_molecules=rigid,
        **options,
    )
    found = report(simulation_of(topology, system, positions, velocities))
    atoms = np.arange(len(positions))
    molecules = atoms // 3 if rigid else atoms
    masses = np.array([system.getParticleMass(i)._value for i in range(len(atoms))])
    centers, motion = molecular(positions, velocities, masses, molecules)
    symbols = [atom.element.symbol for atom in topology.atoms()]
    module = force_module(potential.model, symbols, periodic=True, **options)

    def energy(strain):
        moved = positions + (centers @ strain)[molecules]
        box = TILTED @ (np.eye(3) + strain)
        energies, _, _ = module.evaluate(torch.tensor(moved), torch.tensor(box))
        return energies.sum().item() * EV_TO_KJ_PER_MOL

    for name, (i, j) in COMPONENTS.items():
        strain = np.zeros((3, 3))
        strain[i, j] += 5e-6
        strain[j, i] += 5e-6
        slope = (energy(strain) - energy(-strain)) / 2e-5
        expected = (
            (motion[i, j] - slope) / np.linalg.det(TILTED) * KJ_PER_MOL_NM3_TO_BAR
        )
        assert found[f"P{name}_bar"] == pytest.approx(expected, rel=1e-6, abs=0.01)


@pytest.mark.parametrize(
    ("backend", "rigid"),
    [("torchforce", True), ("pythonforce", False), ("native", True)],
)
def test_diagonal_is_what_openmms_barostats_say(water, backend, rigid):
    """The pressure comes from the model's virial; with another force, from differences.

    In a rectangular box: in a tilted one, what MonteCarloAnisotropicBarostat of OpenMM
    8.5 computes is off. At rest: OpenMM leaves the motion of all molecules in.
    """
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")
    potential, topology, positions, _ = water
    box = np.diag(np.diag(TILTED))
    system = potential.create_system(topology, backend=backend, rigid_molecules=rigid)
    barostat = openmm.MonteCarloAnisotropicBarostat(openmm.Vec3(1, 1, 1), 300.0)
    system.addForce(barostat)
    for extra in (0.0, 7.0):  # of any more work, kJ/(mol nm³)
        if extra:
            system.addForce(openmm.CustomVolumeForce(f"{extra}*v"))
        simulation = simulation_of(topology, system, positions, box=box)
        found = report(simulation)
        expected = barostat.computeCurrentPressure(simulation.context)._value
        assert ("Pxy_bar" in found) == (extra == 0)
        for name, value in zip(("Pxx", "Pyy", "Pzz"), expected, strict=True):
            assert found[f"{name}_bar"] == pytest.approx(value, rel=2e-4, abs=2)
        assert found["Pressure_bar"] == pytest.approx(
            np.mean(expected), rel=2e-4, abs=2
        )
        state = simulation.context.getState(positions=True)
        assert (state.getPositions(asNumpy=True)._value == positions).all()
        assert (state.getPeriodicBoxVectors(asNumpy=True)._value == box).all()


def test_differences_in_a_tilted_box(water):
    potential, topology, positions, velocities = water
    system = potential.create_system(topology, backend="pythonforce")
    found = []
    for _ in range(2):
        found.append(report(simulation_of(topology, system, positions, velocities)))
        system.addForce(openmm.CustomExternalForce("0*x"))  # no longer the model alone
    assert len(found[1]) == len(found[0]) - 3  # no shear
    for name, value in found[1].items():
        assert value == pytest.approx(found[0][name], rel=2e-4, abs=2)


def test_a_mixed_system_with_constraints():
    """Amber14, PME, rigid water, and our force on the solute: as OpenMM's barostat."""
    topology, positions, system = solvated()
    symbols = topology_symbols(topology, range(SOLUTE))
    module = force_module(organic_model(), symbols, periodic=True)
    system.addForce(make_force(module, backend="pythonforce", periodic=True))
    barostat = openmm.MonteCarloAnisotropicBarostat(openmm.Vec3(1, 1, 1), 300.0)
    system.addForce(barostat)
    simulation = simulation_of(topology, system, positions)
    found = report(simulation)
    expected = barostat.computeCurrentPressure(simulation.context)._value
    for name, value in zip(("Pxx", "Pyy", "Pzz"), expected, strict=True):
        assert found[f"{name}_bar"] == pytest.approx(value, abs=0.1)


@pytest.mark.parametrize("remove", [True, False])
def test_mean_of_three_bodies_without_interaction(remove):
    """⟨P⟩ = n kT/V, whether their centre of mass moves or not."""
    config = tiny_config(num_layers=1, l_max=0)
    statistics = Statistics([5.0] * 3, [0.0] * 3, [0.0] * 3)
    energy = AllegroEnergy(config, statistics)
    model = Model(config, statistics, energy, "total", "float64")
    topology = make_topology(["H", "O", "O", "H"], np.eye(3))
    atoms = list(topology.atoms())
    topology.addBond(atoms[0], atoms[1])
    system = AllegroPotential(model).create_system(
        topology, backend="native", remove_cm_motion=remove
    )
    integrator = openmm.LangevinMiddleIntegrator(300, 200, 0.002)
    integrator.setRandomNumberSeed(1)
    simulation = simulation_of(
        topology, system, np.eye(4, 3) / 3, integrator=integrator
    )
    file = io.StringIO()
    simulation.reporters.append(PressureReporter(file, 4))
    simulation.step(2000)
    values = read(file)["Pressure_bar"][10:]
    expected = 3 * 8.31446261815324e-3 * 300 * KJ_PER_MOL_NM3_TO_BAR
    means = values[: len(values) // 20 * 20].reshape(20, -1).mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(20)
    assert error < 0.06 * expected
    assert abs(means.mean() - expected) < 3 * error


def test_what_is_written(water, tmp_path):
    potential, topology, positions, velocities = water
    system = potential.create_system(topology, backend="pythonforce")
    simulation = simulation_of(topology, system, positions, velocities)
    simulation.reporters.append(PressureReporter(tmp_path / "p.csv", 2))
    simulation.reporters.append(
        app.StateDataReporter(
            str(tmp_path / "s.csv"), 2, step=True, time=True, volume=True, density=True
        )
    )
    simulation.step(6)
    found, expected = (
        np.genfromtxt(tmp_path / name, delimiter=",", names=True)
        for name in ("p.csv", "s.csv")
    )
    for name in expected.dtype.names:
        np.testing.assert_allclose(found[name], expected[name])
    trace = sum(found[f"{name}_bar"] for name in ("Pxx", "Pyy", "Pzz"))
    np.testing.assert_allclose(found["Pressure_bar"], trace / 3)


def test_bad_input(water, tmp_path):
    potential, _, positions, _ = water
    with pytest.raises(ValueError, match="at least 1, found 0"):
        PressureReporter(tmp_path / "p.csv", 0)
    topology = make_topology(["O", "H", "H"])
    system = potential.create_system(topology, backend="pythonforce")
    simulation = simulation_of(topology, system, positions[:3])
    simulation.reporters.append(PressureReporter(tmp_path / "p.csv", 1))
    with pytest.raises(ValueError, match="periodic System"):
        simulation.step(1)
    assert not list(tmp_path.iterdir())
