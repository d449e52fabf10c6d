# SPDX-License-Identifier: MIT
"""Folders that LAMMPS runs on several ranks, and that analyses then read."""

import json
import subprocess

import mdtraj
import numpy as np
import openmm
import pytest
from lammps_folders import run_folder
from lammps_session import needs_lammps
from openmm import unit
from openmm_helpers import make_topology

from openmm_allegro import save_model
from openmm_allegro.inputs.coordinates import read_coordinates
from openmm_allegro.lammps.run import prepare_run
from openmm_allegro.runs.run import read_stages
from openmm_allegro.simulate.settings import Stage
from openmm_allegro.simulate.system_config import SystemConfig
from openmm_allegro.simulate.topology_file import write_topology
from openmm_allegro.units import KJ_PER_MOL_NM3_TO_BAR

BOX = np.array([[0.95, 0, 0], [0.12, 0.93, 0], [0.1, -0.1, 0.94]])
NAMES = ("1-heat", "2-npt")
STAGES = (
    Stage("heat", steps=20, report_interval=5, minimize=True, hydrogen_mass_da=2.0),
    Stage("npt", steps=20, report_interval=10, ensemble="npt-flexible"),
)
NVT = STAGES[:1]


@pytest.fixture
def config(model, water_box, tmp_path):
    """A model file, and a PDB of water in a tilted box."""
    symbols, positions, _ = water_box
    save_model(model, tmp_path / "model.safetensors")
    topology = make_topology(symbols, BOX, waters=True)
    for index, atom in enumerate(topology.atoms()):
        atom.name = ("O", "H1", "H2")[index % 3]
    write_topology(tmp_path / "water.pdb", topology, positions * unit.nanometer)
    return SystemConfig("water.pdb", ("model.safetensors",))


@needs_lammps
def test_run_of_replicas_is_read_as_one_of_openmm(config, tmp_path):
    folder = tmp_path / "a run"
    options = {"folder": tmp_path, "replicate": (1, 2, 1), "seed": 3}
    plan = prepare_run(config, STAGES, NAMES, folder, **options)
    assert plan.atoms == 162
    status, log = run_folder(folder, ranks=2)
    assert status == 0, log
    heat, npt = read_stages(folder)
    assert [run.done for run in (heat, npt)] == [20, 20]
    assert heat.target == 300.0
    _check_frames(heat, [5, 10, 15, 20])
    _check_frames(npt, [10, 20])
    first = mdtraj.load(heat.topology)
    frames = mdtraj.load(heat.trajectory, top=first)
    whole = BOX * np.array([[1], [2], [1]])
    # angles of a PDB have two digits
    np.testing.assert_allclose(frames.unitcell_vectors, [whole] * 4, atol=2e-4)
    # as numbered, unwrapped, and a little further than at the start
    assert np.abs(frames.xyz - first.xyz).max() < 0.08
    cell, second = first.xyz[0, :81], first.xyz[0, 81:]
    np.testing.assert_allclose(second, cell + BOX[1], atol=2e-3)
    assert first.n_residues == 54
    assert heat.system.periodic
    assert heat.system.masses[1] == 2.0
    assert len(heat.system.bonds) == 108
    assert npt.system.masses[1] == pytest.approx(1.007947)
    # begun again, or twice at once before the first restart file
    for path in folder.glob("1-heat.restart*"):
        path.unlink()
    status, log = run_folder(folder)
    assert status == 1
    assert "--resume continues it" in log


def _check_frames(run, steps):
    """Steps, times, boxes and densities of the files agree."""
    table, record = run.table, run.record
    np.testing.assert_array_equal(table["step"], steps)
    np.testing.assert_allclose(table["time"], 5e-4 * np.array(steps))
    frames = mdtraj.load(run.trajectory, top=str(run.topology))
    np.testing.assert_allclose(frames.time, table["time"], rtol=1e-5)
    np.testing.assert_allclose(frames.unitcell_volumes, table["volume"], rtol=2e-5)
    assert record["engine"] == "lammps"
    assert record["atoms"] == frames.n_atoms
    if "density" in table:
        grams = run.system.masses.sum() * KJ_PER_MOL_NM3_TO_BAR * 1e-4
        np.testing.assert_allclose(table["density"] * table["volume"], grams, rtol=1e-5)


def test_molecules_of_the_data_are_whole(config, tmp_path):
    """Each atom is where it was, or at an image; oxygens beside their hydrogens."""
    pdb = read_coordinates(tmp_path / "water.pdb")
    prepare_run(config, STAGES, NAMES, tmp_path / "run", folder=tmp_path)
    text = (tmp_path / "run/system.data").read_text()
    rows = text.partition("Atoms")[2].split("\n\n")[1].split("\n")
    positions = 0.1 * np.array([row.split() for row in rows if row], float)[:, 2:]
    box = np.array(pdb.topology.getPeriodicBoxVectors()._value)
    images = (positions - pdb.positions._value) @ np.linalg.inv(box)
    np.testing.assert_allclose(images, np.round(images), atol=1e-8)
    water = positions.reshape(-1, 3, 3)
    assert np.linalg.norm(water[:, 1:] - water[:, :1], axis=2).max() < 0.1


def test_state_is_carried_over(config, tmp_path, water_box):
    """Positions, velocities and box of an OpenMM run's end."""
    positions, random = water_box[1], np.random.default_rng(2)
    velocities = random.normal(size=positions.shape)
    system = openmm.System()
    for _ in positions:
        system.addParticle(1.0)
    box = 1.1 * BOX
    system.setDefaultPeriodicBoxVectors(*box)
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(1.1 * positions)
    context.setVelocities(velocities)
    state = context.getState(positions=True, velocities=True)
    (tmp_path / "end.xml").write_text(openmm.XmlSerializer.serialize(state))
    stages = [Stage("nve", steps=10, report_interval=5, ensemble="nve")]
    names = ["nve"]
    for number, name in enumerate(("end.xml", "end")):
        folder = tmp_path / f"run{number}"
        where = {"folder": tmp_path, "state": tmp_path / name}
        assert prepare_run(config, stages, names, folder, **where).velocities
        text = (folder / "system.data").read_text()
        rows = text.partition("Velocities")[2].strip().split("\n")
        rows = np.array([row.split() for row in rows], float)
        np.testing.assert_allclose(rows[:, 1:], 10 * velocities, rtol=1e-9)
        assert "0 10.45 xlo xhi" in text
        record = json.loads((folder / "nve.json").read_text())
        assert record["state"] == str(tmp_path / "end.xml")
        assert "velocity_interval" not in record  # there are no such frames
    topology = make_topology(["O"], BOX)
    write_topology(tmp_path / "water.pdb", topology, positions[:1] * unit.nanometer)
    with pytest.raises(ValueError, match=r"state of the 1 atoms .*end\.xml, .* 81"):
        prepare_run(config, stages, names, tmp_path / "other", **where)


def test_seed_is_drawn_and_recorded(config, tmp_path):
    plans = [
        prepare_run(config, STAGES, NAMES, tmp_path / f"{i}", folder=tmp_path)
        for i in range(2)
    ]
    assert plans[0].seed != plans[1].seed
    records = [json.loads((tmp_path / f"0/{name}.json").read_text()) for name in NAMES]
    assert [record["seed"] for record in records] == [plans[0].seed, plans[0].seed + 1]


def test_folder_in_which_lammps_runs_is_left_alone(config, tmp_path):
    options = {"folder": tmp_path, "overwrite": True}
    prepare_run(config, STAGES, NAMES, tmp_path / "run", **options)
    before = (tmp_path / "run/in.lammps").read_bytes()
    with (
        open(tmp_path / "run/lammps.log", "w") as log,
        subprocess.Popen(["sleep", "60"], stdout=log) as other,
    ):
        log.close()
        with pytest.raises(RuntimeError, match=f"no LAMMPS .* process {other.pid} "):
            prepare_run(config, NVT, ["nvt"], tmp_path / "run", **options)
        other.kill()
    assert (tmp_path / "run/in.lammps").read_bytes() == before


def test_millions_of_atoms_take_no_memory(config, tmp_path):
    folder = tmp_path / "run"
    many = {"folder": tmp_path, "replicate": (60, 60, 60)}
    plan = prepare_run(config, STAGES, NAMES, folder, **many)
    assert plan.atoms == 81 * 60**3
    assert not plan.frames
    assert not list(folder.glob("*.pdb"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1e6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replicate": (0, 1, 1)}, "of at least 1 .* found 0 1 1"),
        ({"replicate": (2000, 2000, 2000)}, "at most 2,147,483,647 atoms"),
        ({"replicate": (1, 1, 9)}, "tilted box .* found .*1, 1, 9"),
        (
            {"config": {"no_periodic": True}, "replicate": (2, 1, 1), "stages": NVT},
            "a box to be",
        ),
        ({"config": {"system": "x.xml", "model": ()}}, "found a System of OpenMM"),
        ({"config": {"baseline": "x.xml"}}, "force field of OpenMM as baseline"),
        ({"stages": [Stage("a", steps=100, integrator="andersen")]}, "'andersen'"),
        ({"stages": [Stage("a", steps=0)]}, "stage a: expected steps of at least 1"),
        ({"stages": []}, "expected at least one stage"),
        ({"lammps_sizes": "bigbig"}, "expected a LAMMPS .*--lammps SRC"),
        ({"stages": [STAGES[0]] * 2}, "stages of different names"),
        ({"output": ".", "stages": [Stage("water", steps=20)]}, "output other than"),
    ],
)
def test_what_lammps_cannot_run_is_refused_before_anything_is_written(
    config, options, words, tmp_path
):
    options = dict(options)
    changes = options.pop("config", {})
    values = vars(config) | changes
    stages = options.pop("stages", STAGES)
    names = [stage.name for stage in stages]
    output = tmp_path / options.pop("output", "run")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=words):
        prepare_run(
            SystemConfig(**values), stages, names, output, folder=tmp_path, **options
        )
    assert sorted(tmp_path.rglob("*")) == before
