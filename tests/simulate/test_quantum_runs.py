# SPDX-License-Identifier: MIT
"""Runs with quantum nuclei: files, kills, stages, barostat, and what is refused."""

import json
import signal

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit
from openmm_helpers import harmonic_system, make_topology
from run_helpers import (
    INTERVAL,
    STEPS,
    VELOCITIES,
    Killed,
    Killer,
    check_complete,
    check_signals,
    final_state,
    read_hdf5,
    start,
    start_killed,
)

from openmm_allegro import AllegroPotential, Stage, Watchdogs, run, run_protocol
from openmm_allegro.bias.settings import Variable
from openmm_allegro.forces import copy_system
from openmm_allegro.nuclei.prepare import make_ring_polymer
from openmm_allegro.nuclei.ring_polymer import adopt
from openmm_allegro.reporters import PressureReporter, UncertaintyReporter, pressure
from openmm_allegro.runs.table import read_columns
from openmm_allegro.simulate.checkpoint import read_checkpoint
from openmm_allegro.simulate.protocol_file import read_settings
from openmm_allegro.units import GAS_CONSTANT

pytestmark = pytest.mark.small
DISTANCE = Variable("r", "distance", atoms=(0, 1))
RPMD = {"integrator": "rpmd", "beads": 4, "bead_interval": 10}
QTB = {"integrator": "qtb", "qtb_segment": 0.01 * unit.picosecond}


@pytest.fixture(scope="module")
def water(model, water_box):
    """Topology, positions and System of four molecules with our force."""
    symbols, positions, box = water_box
    topology = make_topology(symbols[:12], box, waters=True)
    system = AllegroPotential(model).create_system(topology, backend="native")
    return topology, positions[:12], system


@pytest.fixture(scope="module")
def whole(water, tmp_path_factory):
    """Runs that nothing interrupts, by their integrator."""
    folder = tmp_path_factory.mktemp("whole")
    return {
        "rpmd": start(water, folder / "rpmd", **RPMD),
        "qtb": start(water, folder / "qtb", **QTB),
    }


@pytest.mark.parametrize("options", [RPMD, QTB], ids=lambda o: o["integrator"])
def test_killed_runs_end_bit_for_bit(water, whole, tmp_path, options):
    """The adapted noise, the random numbers and all beads are those of one run."""
    whole = whole[options["integrator"]]
    start_killed(water, tmp_path / "x", 33, **options)
    start_killed(water, tmp_path / "x", 50, resume=True, **options)
    paths = start(water, tmp_path / "x", resume=True, **options)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    np.testing.assert_array_equal(final_state(whole), final_state(paths))
    for name in ("trajectory", "topology", "nuclei", *(["beads"] * ("beads" in paths))):
        assert whole[name].read_bytes() == paths[name].read_bytes()
    for one, other in zip(
        read_hdf5(whole["velocities"]), read_hdf5(paths["velocities"]), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    record = json.loads(paths["record"].read_text())
    assert record["resumed_at"] == [20, 40]
    assert record["stochastic_thermostat"] is True


def test_files_of_a_ring_polymer(water, whole):
    paths = whole["rpmd"]
    centroid = mdtraj.load(paths["trajectory"], top=paths["topology"])
    beads = mdtraj.load(paths["beads"], top=paths["topology"])
    assert beads.n_frames == 4 * STEPS // 10
    np.testing.assert_allclose(beads.time[::4], centroid.time[1::2])
    rings = beads.xyz.reshape(-1, 4, 12, 3)
    np.testing.assert_allclose(rings.mean(axis=1), centroid.xyz[1::2], atol=2e-3)
    assert rings.std(axis=1).max() > 1e-3
    last = read_checkpoint(paths["checkpoint"]).beads
    np.testing.assert_allclose(rings[-1], last.positions, atol=1e-3)
    # the energies are of the means, and those of the elements add up to the total
    energies = read_columns(paths["energies"], "energies")
    nuclei = read_columns(paths["nuclei"], "nuclei")
    total = 8 * nuclei["Kinetic Energy of H (kJ/mole)"]
    total += 4 * nuclei["Kinetic Energy of O (kJ/mole)"]
    kinetic = energies["Kinetic Energy (kJ/mole)"]
    np.testing.assert_allclose(total, kinetic, rtol=1e-9)
    assert energies["Temperature (K)"].max() < 1000
    squares = nuclei["Squared Radius of Gyration of H (nm^2)"]
    assert (squares > nuclei["Squared Radius of Gyration of O (nm^2)"]).all()


def test_a_thermal_bath_has_no_temperature(whole):
    energies = read_columns(whole["qtb"]["energies"], "energies")
    assert "Temperature (K)" not in energies
    nuclei = read_columns(whole["qtb"]["nuclei"], "nuclei")
    total = 8 * nuclei["Kinetic Energy of H (kJ/mole)"]
    total += 4 * nuclei["Kinetic Energy of O (kJ/mole)"]
    np.testing.assert_allclose(total, energies["Kinetic Energy (kJ/mole)"], rtol=0.1)


def ideal_gas(count=8):
    """Atoms that nothing acts on, in a box."""
    system, force = openmm.System(), openmm.HarmonicBondForce()
    force.setUsesPeriodicBoundaryConditions(True)
    for _ in range(count):
        system.addParticle(1.008)
    system.setDefaultPeriodicBoxVectors((2, 0, 0), (0, 2, 0), (0, 0, 2))
    system.addForce(force)
    return make_topology(["H"] * count, 2 * np.eye(3)), np.zeros((count, 3)), system


def start_gas(output, **options):
    """Start 8 atoms at 8 k T / 8 nm³ with a barostat."""
    pressure = GAS_CONSTANT * 300 * unit.kilojoule_per_mole / unit.nanometer**3
    settings = {
        "ensemble": "npt",
        "integrator": "rpmd",
        "beads": 2,
        "pressure": pressure / unit.AVOGADRO_CONSTANT_NA,
        "barostat_interval": 1,
    }
    return start(ideal_gas(), output, **settings, **options)


def test_barostat_of_ring_polymers_is_resumed(tmp_path):
    """OpenMM keeps its random numbers to itself: nothing is lost, but bits differ."""
    with pytest.raises(Killed):
        start_gas(tmp_path / "x", reporters=[Killer(33)])
    paths = start_gas(tmp_path / "x", resume=True)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    volume = read_columns(paths["energies"], "energies")["Box Volume (nm^3)"]
    assert volume.std() > 0.01
    assert "MonteCarlo" not in paths["system"].read_text()


@pytest.mark.slow
def test_barostat_of_ring_polymers_holds_the_pressure_of_a_gas(tmp_path):
    """Quantum or not, free atoms have P⟨V⟩ = (N + 1) k T; the reporter sees it too."""
    paths = start_gas(
        tmp_path / "x",
        steps=2000,
        velocity_interval=0,
        checkpoint_interval=1000,
        reporters=[PressureReporter(tmp_path / "p.csv", 5)],
    )
    volume = read_columns(paths["energies"], "energies")["Box Volume (nm^3)"]
    table = read_columns(tmp_path / "p.csv", "pressures")
    product = (table["Pressure (bar)"] * table["Box Volume (nm^3)"]).mean()
    ideal = 8 * GAS_CONSTANT * 300 * 16.6054
    assert volume.std() > 0.5
    assert volume.mean() == pytest.approx(9.0, rel=0.3)
    assert product == pytest.approx(ideal, rel=0.3)


def test_pressure_of_a_ring_is_the_mean_of_its_beads(water):
    """By the model's virial and by differences of the energy, it is the same."""
    topology, positions, system = water
    values = {"integrator": "rpmd", "ensemble": "nvt", "friction_per_ps": 1.0}
    values |= {"timestep_fs": 0.5, "beads": 4}
    simulation = app.Simulation(
        topology,
        system,
        make_ring_polymer(system, values, 300.0, 1),
        openmm.Platform.getPlatformByName("Reference"),
    )
    simulation.context.setPositions(positions)
    adopt(simulation)
    simulation.context.begin(300.0, 1)
    simulation.step(5)
    context = simulation.context
    state = context.getState(positions=True, velocities=True)
    described = pressure._describe(context)
    assert described.model is not None
    whole, _ = pressure._pressure(context, state, described)
    before = context.beads()
    other, _ = pressure._pressure(context, state, described._replace(model=None))
    np.testing.assert_allclose(np.diag(whole), np.diag(other), rtol=1e-3, atol=5)
    for one, two in zip(before, context.beads(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_stages_hand_their_beads_on(tmp_path):
    stages = [
        Stage("classical", 20, report_interval=10),
        Stage("ring", 20, report_interval=10, integrator="rpmd", beads=4),
        Stage("again", 1, report_interval=1, integrator="rpmd", beads=4),
        Stage("more", 1, report_interval=1, integrator="rpmd", beads=6),
    ]
    files = run_protocol(
        *harmonic_system(8), stages, tmp_path / "p", seed=1, progress=False
    )
    *_, ring, again, more = (
        read_checkpoint(paths["checkpoint"]).beads for paths in files.values()
    )
    spread = [np.ptp(one.positions, axis=0).mean() for one in (ring, again, more)]
    assert len(more.positions) == 6
    # in one step they would not come as far from one place
    assert spread[1] > 0.8 * spread[0]
    assert spread[2] > 0.3 * spread[0]
    names = [file.name for file in tmp_path.glob("p/*.beads.xtc")]
    assert sorted(names) == [
        "2-ring.beads.xtc",
        "3-again.beads.xtc",
        "4-more.beads.xtc",
    ]


def test_watchdogs_look_at_each_bead(water, tmp_path):
    """Distances of beads are smaller than any of the centroid."""
    distances = Watchdogs(
        closest={"H-O": 0.98}, interval=5, actions={"closest": "warn"}
    )
    paths = start(water, tmp_path / "x", watchdogs=distances, **RPMD)
    text = (tmp_path / "x.events.csv").read_text()
    assert "expected H-O pairs" in text
    assert paths["record"].exists()


def constrained():
    topology, positions, system = harmonic_system(4)
    system.addConstraint(0, 1, 0.1)
    return topology, positions, system


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"integrator": "rpmd", "ensemble": "npt-flexible"}, "no other barostat"),
        ({"integrator": "qtb", "ensemble": "npt"}, "distributed classically"),
        ({"integrator": "qtb", "temperature": [300, 400] * unit.kelvin}, "one temper"),
        ({"beads": 4}, "beads: expected integrator 'rpmd'"),
        ({"qtb_adaptation": 0.1, "integrator": "rpmd"}, "expected integrator 'qtb'"),
        (RPMD | {"hydrogen_mass": 2 * unit.dalton}, "hydrogens of their own mass"),
        (RPMD | {"classical_beads": 5}, "at most 4"),
        (RPMD | {"classical_beads": 1}, "an Allegro force and others"),
        (QTB | {"qtb_segment": 1 * unit.femtosecond}, "ten time steps"),
        (QTB | {"watchdogs": Watchdogs(temperature_k=(1, 9))}, "no limits of the temp"),
        (RPMD | {"variables": [DISTANCE]}, "no variables, restraints or bias"),
        (RPMD | {"dipole_interval": 5}, "dipole_interval: expected none"),
        (RPMD | {"reporters": [UncertaintyReporter("u.csv", 5)]}, "of the centroid"),
        (QTB | {"reporters": [PressureReporter("p.csv", 5)]}, "a PressureReporter"),
    ],
)
def test_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(*harmonic_system(4), tmp_path / "x", steps=60, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["rpmd", "qtb"])
def test_constraints_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="without constraints, found 1"):
        run(*constrained(), tmp_path / "x", integrator=name)


@pytest.mark.parametrize("options", [RPMD, QTB], ids=lambda o: o["integrator"])
def test_signals_change_nothing(water, tmp_path, options):
    """A checkpoint before its turn does not change where the rings go."""
    options = options | {"velocity_interval": 0}
    check_signals(water, tmp_path, signal.SIGTERM, **options)


def test_contraction_of_a_linear_force_is_exact(water, tmp_path):
    """A field on the centroid moves all beads as one on each bead does."""
    topology, positions, system = water
    system, field = copy_system(system), openmm.CustomExternalForce("30*x")
    for index in range(12):
        field.addParticle(index)
    system.addForce(field)
    options = RPMD | {"steps": 20, "report_interval": 10, "velocity_interval": 0}
    every, centroid = (
        start((topology, positions, system), tmp_path / name, **options, **more)
        for name, more in (("every", {}), ("centroid", {"classical_beads": 1}))
    )
    one, other = (read_checkpoint(p["checkpoint"]).beads for p in (every, centroid))
    np.testing.assert_allclose(one.positions, other.positions, atol=1e-9)
    written = openmm.XmlSerializer.deserialize(centroid["system"].read_text())
    groups = [force.getForceGroup() for force in written.getForces()]
    assert groups[-1] == 31
    record = json.loads(centroid["record"].read_text())
    assert record["classical_beads"] == 1


def test_resumed_on_another_platform(water, tmp_path):
    """Beads are there; random numbers are others."""
    start_killed(water, tmp_path / "x", 33, **RPMD)
    paths = start(water, tmp_path / "x", resume=True, platform="Reference", **RPMD)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)


def test_a_stage_of_a_protocol(tmp_path):
    (tmp_path / "p.toml").write_text(
        """[system]
model = "x.safetensors"
topology = "x.pdb"
[run]
integrator = "rpmd"
beads = 6
[[stages]]
name = "rings"
steps = 40
[[stages]]
name = "bath"
integrator = "qtb"
beads = 0
qtb_segment_ps = 0.2
steps = 40
"""
    )
    _, stages, *_ = read_settings(tmp_path / "p.toml")
    rings, bath = (stage.record() for stage in stages)
    assert rings["beads"] == 6
    assert rings["bead_interval"] == 20
    assert bath["qtb_segment_ps"] == 0.2
    assert bath["qtb_cutoff_per_ps"] == 1000
    assert "beads" not in bath
