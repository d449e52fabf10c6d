# SPDX-License-Identifier: MIT
"""A small model with random weights, and topologies to use it on."""

import importlib
import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
import torch
from helpers import FULL, tiny_config, tiny_energy, tiny_statistics
from openmm import app, unit
from training_helpers import fit, short

from openmm_allegro import AllegroConfig, Model
from openmm_allegro.model import AllegroEnergy, Statistics

SYSTEMS = Path(__file__).parents[1] / "systems"
# Scripts of systems/ that tests import, or that import each other.
SCRIPTS = (
    "build",
    "build_box",
    "compare",
    "density",
    "figures",
    "melts",
    "npt",
    "prepare",
    "pressure",
    "run",
    "solids",
)


@pytest.fixture(scope="session", autouse=True)
def two_threads():
    """Many small matrices: more threads only wait for each other."""
    torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(scope="session")
def model():
    """H and O, cutoffs that depend on the ordered pair, two layers, l_max 2."""
    config = AllegroConfig(
        ("H", "O"),
        3.5,
        pair_cutoffs={"H-H": 2.5, "H-O": 3.0},
        num_scalar_features=8,
        num_tensor_features=4,
        two_body_width=8,
        latent_width=8,
        readout_width=4,
    )
    statistics = Statistics((6.0, 12.0), (0.8, 0.8), (-13.0, -400.0))
    return Model(
        config,
        statistics,
        AllegroEnergy(config, statistics, seed=5),
        "total",
        "float64",
    )


@pytest.fixture(scope="session")
def config():
    """A small config in which every option matters."""
    return tiny_config(**FULL)


@pytest.fixture(scope="session")
def energy(config):
    """Its network, with random weights."""
    return tiny_energy(config)


@pytest.fixture(scope="session")
def full_model(config, energy):
    """H, O and Na, with every option of a model and random weights."""
    return Model(config, tiny_statistics(config), energy, "total", "float64")


@pytest.fixture(scope="session")
def calculator(full_model):
    """Energies, forces and stress of that model in ASE."""
    from openmm_allegro.interop.ase import AllegroCalculator

    return AllegroCalculator(full_model)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished training on the ethanol excerpt: folder, model and TrainConfig."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    settings = short(max_epochs=40, energy_weight=10.0)
    model = fit(folder, settings, provenance={"data": "ethanol"})
    return folder, model, settings


@pytest.fixture
def load_script(monkeypatch):
    """A script of a folder of systems/ as a module, and it alone."""

    def load(folder, name):
        monkeypatch.syspath_prepend(SYSTEMS)
        monkeypatch.syspath_prepend(SYSTEMS / folder)
        for other in SCRIPTS:
            monkeypatch.delitem(sys.modules, other, raising=False)
        return importlib.import_module(name)

    yield load
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def make_topology(symbols, box=None, waters=False):
    """A topology; with ``waters`` each O H H is a residue with its two bonds."""
    topology = app.Topology()
    chain = topology.addChain()
    atoms = []
    for index, symbol in enumerate(symbols):
        if not waters or index % 3 == 0:
            residue = topology.addResidue("HOH" if waters else "X", chain)
        element = app.Element.getBySymbol(symbol)
        atoms.append(topology.addAtom(symbol, element, residue))
        if waters and index % 3:
            topology.addBond(atoms[index - index % 3], atoms[index])
    if box is not None:
        topology.setPeriodicBoxVectors(np.asarray(box) * unit.nanometer)
    return topology


def harmonic_system(count=40, k=2000.0):
    """Independent oscillators in a box, for which everything is known."""
    system = openmm.System()
    force = openmm.CustomExternalForce(f"{k / 2}*(x^2+y^2+z^2)")
    for index in range(count):
        system.addParticle(16.0)
        force.addParticle(index, [])
    system.addForce(force)
    return make_topology(["O"] * count), np.zeros((count, 3)), system


@pytest.fixture(scope="session")
def water_box():
    """27 water molecules on a lattice with noise: symbols, positions (nm), box (nm)."""
    random = np.random.default_rng(0)
    side, count = 0.93, 3
    symbols, positions = [], []
    for site in np.ndindex(count, count, count):
        oxygen = (np.array(site) + 0.5) * side / count + random.normal(0, 0.01, 3)
        axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
        positions.append(oxygen)
        for sign in (1, -1):
            direction = np.cos(0.91) * axes[0] + sign * np.sin(0.91) * axes[1]
            positions.append(oxygen + 0.097 * direction)
        symbols += ["O", "H", "H"]
    return symbols, np.array(positions), np.eye(3) * side


def energy_and_forces(system, positions, platform="Reference", box=None, **parameters):
    """Energy (kJ/mol) and forces (kJ/mol/nm) of a System in a new Context.

    Others are global parameters by name.
    """
    context = context_of(system, positions, platform, box=box)
    for name, value in parameters.items():
        context.setParameter(name, value)
    return evaluate(context)


def context_of(system, positions, platform="Reference", *, box=None, timestep=0.0005):
    """A Context with positions (nm) and a Verlet integrator (ps)."""
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(timestep),
        openmm.Platform.getPlatformByName(platform),
    )
    if box is not None:
        context.setPeriodicBoxVectors(*np.asarray(box))
    context.setPositions(positions)
    return context


def evaluate(context, groups=-1):
    """Energy (kJ/mol) and forces (kJ/mol/nm)."""
    state = context.getState(energy=True, forces=True, groups=groups)
    return (
        state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole),
        state.getForces(asNumpy=True).value_in_unit(
            unit.kilojoule_per_mole / unit.nanometer
        ),
    )


def molecules(context):
    """Atoms of each of OpenMM's molecules, in order."""
    return [sorted(molecule) for molecule in context.getMolecules()]
