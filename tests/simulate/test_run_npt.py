# SPDX-License-Identifier: MIT
"""``run`` at constant pressure: what is written, refused and left alone."""

import copy
import json

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import unit
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential, run
from openmm_allegro.reporters import PressureReporter
from openmm_allegro.runs.names import ENSEMBLES
from openmm_allegro.simulate.system import check_ensemble, whole_molecules

pytestmark = pytest.mark.small

BAROSTATS = [name for name, barostat in ENSEMBLES.items() if barostat]


@pytest.fixture(scope="module")
def water(water_box):
    """Springs for bonds and soft spheres, which are faster than a network."""
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = openmm.System()
    spheres = openmm.CustomNonbondedForce("20*step(0.3-r)*(1-r/0.3)^2")
    spheres.setNonbondedMethod(spheres.CutoffPeriodic)
    spheres.setCutoffDistance(0.3)
    springs = openmm.HarmonicBondForce()
    springs.setUsesPeriodicBoundaryConditions(True)
    for atom in topology.atoms():
        system.addParticle(atom.element.mass)
        spheres.addParticle([])
    for bond in topology.bonds():
        pair = bond.atom1.index, bond.atom2.index
        springs.addBond(*pair, 0.097, 2e5)
        spheres.addExclusion(*pair)
    system.addForce(spheres)
    system.addForce(springs)
    system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    return topology, positions, system


def start(water, folder, **options):
    settings = {
        "steps": 12,
        "ensemble": "npt",
        "barostat_interval": 2,
        "report_interval": 2,
        "minimize": False,
        "platform": "CPU",
        "seed": 3,
        "progress": False,
    }
    return run(*water, folder / "water", **(settings | options))


def read_csv(path):
    return np.genfromtxt(path, delimiter=",", names=True)


@pytest.mark.parametrize("ensemble", BAROSTATS)
def test_volume_changes_as_the_ensemble_says(water, tmp_path, ensemble):
    topology, _, system = water
    before = openmm.XmlSerializer.serialize(system)
    paths = start(water, tmp_path, ensemble=ensemble, pressure=2 * unit.atmosphere)
    assert openmm.XmlSerializer.serialize(system) == before
    table = read_csv(paths["energies"])
    volumes = table["Box_Volume_nm3"]
    assert len(set(volumes)) > 2
    trajectory = mdtraj.load(paths["trajectory"], top=paths["topology"])
    np.testing.assert_allclose(trajectory.unitcell_volumes, volumes, rtol=1e-4)
    mass = 18.0153 * topology.getNumResidues()  # Da
    np.testing.assert_allclose(
        table["Density_gmL"], mass / volumes * 1.66053907e-3, rtol=1e-4
    )
    lengths, angles = trajectory.unitcell_lengths[-1], trajectory.unitcell_angles[-1]
    assert (np.ptp(lengths) < 1e-5) == (ensemble == "npt")
    assert (abs(angles - 90).max() < 1e-3) == (ensemble != "npt-flexible")

    record = json.loads(paths["record"].read_text())
    assert record["pressure_bar"] == pytest.approx(2.0265)
    assert record["barostat_interval"] == 2
    written = openmm.XmlSerializer.deserialize(paths["system"].read_text())
    barostat = written.getForce(written.getNumForces() - 1)
    assert barostat.getName() in record["forces"]
    assert barostat.getName().startswith("MonteCarlo")
    assert barostat.getFrequency() == 2


def test_constant_volume_knows_no_pressure(water, tmp_path):
    paths = start(water, tmp_path, ensemble="nvt")
    assert "Density_gmL" not in read_csv(paths["energies"]).dtype.names
    assert "pressure_bar" not in json.loads(paths["record"].read_text())


def test_our_force_keeps_up_with_the_box(model, water_box, tmp_path):
    """The energies of an NPT run are those of its boxes and positions."""
    torch = pytest.importorskip("torch")
    from openmm_allegro.potential.module import force_module

    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend="native")
    paths = start((topology, positions, system), tmp_path, steps=20)
    state = openmm.XmlSerializer.deserialize(paths["state"].read_text())
    module = force_module(model, symbols, periodic=True)
    energy, _ = module(
        torch.tensor(state.getPositions(asNumpy=True)._value),
        torch.tensor(state.getPeriodicBoxVectors(asNumpy=True)._value),
    )
    table = read_csv(paths["energies"])
    assert len(set(table["Box_Volume_nm3"])) > 2
    assert table["Potential_Energy_kJmole"][-1] == pytest.approx(
        energy.item(), abs=0.01
    )


def test_seed_repeats_the_run(water, tmp_path):
    first, again, other = (
        read_csv(start(water, tmp_path, seed=seed, overwrite=True)["energies"])
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first["Box_Volume_nm3"], again["Box_Volume_nm3"])
    assert (first["Box_Volume_nm3"] != other["Box_Volume_nm3"]).any()


def test_more_reporters(water, tmp_path):
    """Pressure and energies of one run speak of the same boxes."""
    reporter = PressureReporter(tmp_path / "pressure.csv", 4)
    paths = start(water, tmp_path, reporters=[reporter])
    pressures = read_csv(tmp_path / "pressure.csv")
    np.testing.assert_array_equal(pressures["Step"], [4, 8, 12])
    expected = read_csv(paths["energies"])["Box_Volume_nm3"][1::2]
    np.testing.assert_allclose(pressures["Box_Volume_nm3"], expected)


def test_molecules_are_made_whole(water, tmp_path):
    """A molecule across the border would be torn by the first volume move."""
    topology, positions, system = water
    box = np.array(topology.getPeriodicBoxVectors()._value)
    wrapped = (positions + 0.155) % np.diag(box)  # oxygens near to the border
    assert np.ptp(wrapped.reshape(-1, 3, 3), axis=1).max() > 0.5
    paths = start((topology, wrapped, system), tmp_path)
    trajectory = mdtraj.load(paths["trajectory"], top=paths["topology"])
    bonds = [[bond.atom1.index, bond.atom2.index] for bond in topology.bonds()]
    lengths = mdtraj.compute_distances(trajectory, bonds, periodic=False)
    assert lengths.max() < 0.15


def test_whole_molecules_of_a_tilted_box(water):
    """Any atom moved by any lattice vector comes back to its neighbours."""
    topology, positions, _ = water
    box = np.array([[0.93, 0.0, 0.0], [0.4, 0.95, 0.0], [-0.4, 0.45, 0.98]])
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*box)
    np.testing.assert_array_equal(
        whole_molecules(positions, topology, system), positions
    )
    images = np.random.default_rng(0).integers(-2, 3, positions.shape) @ box
    found = whole_molecules(positions + images, topology, system)
    vectors = np.repeat(images[::3], 3, axis=0)  # those of the oxygen, each first
    np.testing.assert_allclose(found, positions + vectors, atol=1e-12)


def test_molecules_without_bonds_are_pointed_out(model, water_box):
    symbols, _, box = water_box
    bonded = make_topology(symbols, box, waters=True)
    loose = make_topology(symbols, box, waters=True)
    loose._bonds.clear()
    potential = AllegroPotential(model)

    def check(topology, ensemble="npt", **options):
        system = potential.create_system(topology, backend="native", **options)
        check_ensemble(ensemble, topology, system)

    with pytest.warns(UserWarning, match=r"none in 27 residues .* \(HOH\)"):
        check(loose)
    # where a warning is an error
    check(loose, rigid_molecules=False)
    check(loose, "nvt")
    check(bonded)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pressure": 1.0}, ["pressure", "bar", "1.0"]),
        ({"pressure": 1 * unit.kelvin}, ["pressure", "bar", "1 K"]),
        ({"pressure": float("nan") * unit.bar}, ["finite pressure", "nan bar"]),
        ({"barostat_interval": 0}, ["barostat_interval", "at least 1", "0"]),
        ({"barostat_interval": 2.5}, ["barostat_interval", "2.5"]),
        ({"ensemble": "npt-membrane"}, ["npt-anisotropic", "npt-membrane"]),
    ],
)
def test_bad_options(water, tmp_path, options, words):
    with pytest.raises(ValueError) as error:
        start(water, tmp_path, **options)
    for word in words:
        assert word in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ensemble", ["nvt", "nve", "npt"])
def test_a_barostat_of_ones_own(water, tmp_path, ensemble):
    """It would change the volume of an "nvt" run, and that of an "npt" run twice."""
    topology, positions, system = copy.deepcopy(water)
    barostat = openmm.MonteCarloMembraneBarostat(1.0, 0.0, 300.0, 0, 0)
    system.addForce(barostat)
    with pytest.raises(ValueError, match=f"{ensemble}.*found MonteCarloMembrane"):
        start((topology, positions, system), tmp_path, ensemble=ensemble)
    assert not list(tmp_path.iterdir())
    barostat.setFrequency(0)  # switched off: only there to be asked for the pressure
    start((topology, positions, system), tmp_path, ensemble=ensemble, steps=2)


def test_no_box(model, tmp_path):
    topology = make_topology(["O", "H", "H"], waters=True)
    system = AllegroPotential(model).create_system(topology, backend="native")
    positions = [[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]]
    with pytest.raises(ValueError, match="expected a periodic System"):
        start((topology, positions, system), tmp_path)


def test_a_copy_that_would_crash_is_refused(model, water_box, monkeypatch, tmp_path):
    pytest.importorskip("openmmtorch")
    from openmm_allegro.forces import systems

    monkeypatch.setattr(systems, "installed_known_bad", lambda: ["crashes when copied"])
    symbols, positions, box = water_box
    topology = make_topology(symbols, box, waters=True)
    system = AllegroPotential(model).create_system(topology)
    with pytest.raises(ImportError, match="crashes when copied"):
        start((topology, positions, system), tmp_path)
