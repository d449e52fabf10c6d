# SPDX-License-Identifier: MIT
"""Volumes that barostats sample through our force, against closed forms.

Under OpenMM's isotropic barostat n independent bodies, of an energy U(V) that depends
on nothing but the volume, have p(V) ∝ Vⁿ exp(−(U(V) + PV)/kT).
"""

import io

import numpy as np
import openmm
import pytest
import torch
from helpers import ELEMENTS, random_atoms, tiny_config
from openmm import app, unit
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.model import AllegroEnergy, Statistics
from openmm_allegro.potential.module import force_module
from openmm_allegro.reporters import PressureReporter
from openmm_allegro.units import EV_TO_KJ_PER_MOL, KJ_PER_MOL_NM3_TO_BAR

pytest.importorskip("openmmtorch")

KELVIN = 300.0
KT = 8.31446261815324e-3 * KELVIN  # kJ/mol


def model_of(scale):
    """Pair energies of the order of ``scale`` (eV) and, if it is not 0, a core."""
    config = tiny_config(num_layers=1, l_max=1, zbl=scale > 0)
    statistics = Statistics([5.0] * 3, [scale] * 3, [0.0] * 3)
    energy = AllegroEnergy(config, statistics, 0)
    return Model(config, statistics, energy, "total", "float64")


def gas(box, atoms, **options):
    """System and positions of particles without energy, in bonded pairs."""
    topology = make_topology(["H", "O"] * (atoms // 2), np.eye(3) * box)
    placed = list(topology.atoms())
    for first in range(0, atoms, 2):
        topology.addBond(placed[first], placed[first + 1])
    system = AllegroPotential(model_of(0.0)).create_system(topology, **options)
    return system, np.random.default_rng(0).random((atoms, 3)) * box


def simulation_of(system, positions, barostat, timestep=0.002):
    system.addForce(barostat)
    integrator = openmm.LangevinMiddleIntegrator(KELVIN, 5.0, timestep)
    integrator.setRandomNumberSeed(31)  # on Reference, of the barostat, too
    platform = openmm.Platform.getPlatformByName("Reference")
    topology = make_topology(["H"] * system.getNumParticles())
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(positions)
    simulation.context.setVelocitiesToTemperature(KELVIN * unit.kelvin, 13)
    return simulation


def sample_boxes(simulation, moves):
    """Box vectors [moves, 3, 3] (nm) after each move, the first tenth left out."""
    boxes = np.empty((moves, 3, 3))
    for i in range(moves):
        simulation.step(1)
        state = simulation.context.getState()
        boxes[i] = state.getPeriodicBoxVectors(asNumpy=True)._value
    return boxes[moves // 10 :]


def mean_and_error(values, blocks=12):
    """Mean and its standard error, from the means of blocks."""
    means = values[: len(values) // blocks * blocks].reshape(blocks, -1).mean(axis=1)
    return means.mean(), means.std(ddof=1) / np.sqrt(blocks)


def assert_mean(values, expected, largest_error):
    mean, error = mean_and_error(np.asarray(values))
    assert error < largest_error * abs(expected)
    assert abs(mean - expected) < 3.5 * error


@pytest.mark.parametrize(
    ("rigid", "backend"),
    [
        pytest.param(True, "torchforce", marks=pytest.mark.slow),
        (True, "native"),
        (False, "native"),
    ],
)
def test_ideal_gas(rigid, backend):
    """⟨V⟩ = (n + 1) kT/P, Var V = (n + 1) (kT/P)², for n molecules or atoms."""
    bar, atoms = 100.0, 60
    system, positions = gas(2.5, atoms, rigid_molecules=rigid, backend=backend)
    simulation = simulation_of(
        system, positions, openmm.MonteCarloBarostat(bar, KELVIN, 1)
    )
    volumes = np.linalg.det(sample_boxes(simulation, 2000))
    bodies = atoms // 2 if rigid else atoms
    share = KT * KJ_PER_MOL_NM3_TO_BAR / bar
    assert_mean(volumes, (bodies + 1) * share, 0.02)
    assert_mean((volumes - volumes.mean()) ** 2, (bodies + 1) * share**2, 0.2)


@pytest.mark.slow
def test_crystal_of_one_atom_a_cell():
    """Its energy is that of the lattice, so quadrature over V gives the moments.

    The cell is smaller than one cutoff, and all energy is between images.
    """
    bar, model = 50_000.0, model_of(0.5)
    topology = make_topology(["Na"], np.eye(3) * 0.25)
    system = AllegroPotential(model).create_system(
        topology, precision="double", remove_cm_motion=False
    )
    simulation = simulation_of(
        system, [[0.1, 0.0, 0.0]], openmm.MonteCarloBarostat(bar, KELVIN, 1)
    )
    volumes = np.linalg.det(sample_boxes(simulation, 3000))

    module = force_module(model, ["Na"], periodic=True, precision="double")
    grid = np.linspace(0.17**3, 0.34**3, 300)  # nm³
    energies = [
        module.evaluate(torch.zeros(1, 3), torch.eye(3) * v ** (1 / 3))[0].item()
        for v in grid
    ]
    work = EV_TO_KJ_PER_MOL * np.array(energies) + bar * grid / KJ_PER_MOL_NM3_TO_BAR
    weights = grid * np.exp((work.min() - work) / KT)
    assert weights[[0, -1]].max() < 1e-6 * weights.max()
    mean = np.average(grid, weights=weights)
    assert_mean(volumes, mean, 0.01)
    variance = np.average((grid - mean) ** 2, weights=weights)
    assert_mean((volumes - mean) ** 2, variance, 0.15)


def test_crystal_of_harmonic_cell():
    """Flexible barostat, p(h) ∝ Vⁿ⁻² a² b exp(−(U(h) + PV)/kT) over the box vectors.

    The energy is quadratic in their six components, the force's own is none: shear is
    Gaussian, ⟨b_x²⟩ = kT/k, and the lengths are quadrature over (a_x, b_y, c_z).
    """
    bar, atoms, length, k = 1000.0, 10, 0.8, 4000.0
    system, positions = gas(length, atoms, rigid_molecules=False, backend="native")
    lengths = "+".join(f"({name}-{length})^2" for name in ("ax", "by", "cz"))
    system.addForce(openmm.CustomVolumeForce(f"{k}/2*({lengths} + bx^2 + cx^2 + cy^2)"))
    simulation = simulation_of(
        system, positions, openmm.MonteCarloFlexibleBarostat(bar, KELVIN, 1)
    )
    boxes = sample_boxes(simulation, 4000)

    grid = np.linspace(length - 0.15, length + 0.25, 80)
    a, b, c = np.meshgrid(grid, grid, grid, indexing="ij")
    work = bar / KJ_PER_MOL_NM3_TO_BAR * a * b * c
    work += k / 2 * sum((x - length) ** 2 for x in (a, b, c))
    weights = (a * b * c) ** (atoms - 2) * a**2 * b * np.exp((work.min() - work) / KT)
    for axis, values in enumerate((a, b, c)):
        mean = np.average(values, weights=weights)
        assert_mean(boxes[:, axis, axis], mean, 0.005)
        variance = np.average((values - mean) ** 2, weights=weights)
        assert_mean((boxes[:, axis, axis] - mean) ** 2, variance, 0.2)
    for row, column in ((1, 0), (2, 0), (2, 1)):
        assert_mean(boxes[:, row, column] ** 2, KT / k, 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("bonded", [False, True])
def test_mean_pressure_is_the_barostats(bonded):
    """⟨P⟩ = P for a dense fluid: model's virial, and differences of a mixed System.

    Of so few bodies one has a pressure of its own: CMMotionRemover must not tell.
    """
    bar, model = 3000.0, model_of(0.05)
    atoms = random_atoms("large", count=12)
    symbols = [ELEMENTS[t] for t in atoms.types.tolist()]
    topology = make_topology(symbols, atoms.cell.numpy() / 10)
    system = AllegroPotential(model).create_system(topology, precision="double")
    if bonded:
        bonds = openmm.HarmonicBondForce()
        bonds.setUsesPeriodicBoundaryConditions(True)
        for first in range(0, 12, 2):
            bonds.addBond(first, first + 1, 0.2, 5000.0)
        system.addForce(bonds)
    simulation = simulation_of(
        system,
        atoms.positions.numpy() / 10,
        openmm.MonteCarloBarostat(bar, KELVIN, 4),
        timestep=0.0005,
    )
    openmm.LocalEnergyMinimizer.minimize(simulation.context, maxIterations=50)
    output = io.StringIO()
    simulation.step(4000)
    simulation.reporters.append(PressureReporter(output, 4))
    simulation.step(60_000)
    output.seek(0)
    table = np.genfromtxt(output, delimiter=",", names=True)
    assert_mean(table["Pressure_bar"], bar, 0.03)
