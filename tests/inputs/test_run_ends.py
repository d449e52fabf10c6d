# SPDX-License-Identifier: MIT
"""A run begins where another ended: at its state, or at a frame of its trajectory."""

import json

import mdtraj
import numpy as np
import openmm
import pytest
from input_files import DATA, waters, write
from openmm import app, unit

from openmm_allegro.cli.main import main
from openmm_allegro.inputs.atoms import read_atoms
from openmm_allegro.inputs.settings import InputsConfig
from openmm_allegro.topology.read import read_records

MODEL = DATA.parent / "models" / "water5.safetensors"
NM, PER_PS = unit.nanometer, unit.nanometer / unit.picosecond


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Folder with x.pdb, and a state and frames of its atoms in a larger box."""
    folder = tmp_path_factory.mktemp("ended")
    write("PDB", folder, waters())
    pdb = app.PDBFile(str(folder / "x.pdb"))
    box = np.array(pdb.topology.getPeriodicBoxVectors().value_in_unit(NM)) * 1.1
    system = openmm.System()
    for atom in pdb.topology.atoms():
        system.addParticle(atom.element.mass)
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatform("Reference"),
    )
    positions = np.array(pdb.positions.value_in_unit(NM)) + 0.01
    context.setPeriodicBoxVectors(*box)
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300, 1)
    state = context.getState(positions=True, velocities=True)
    (folder / "x.state.xml").write_text(openmm.XmlSerializer.serialize(state))
    (folder / "x.system.xml").write_text(openmm.XmlSerializer.serialize(system))
    topology = mdtraj.Topology.from_openmm(pdb.topology)
    frames = mdtraj.Trajectory(np.array([positions - 0.01, positions]), topology)
    frames.unitcell_vectors = np.array([box, box])
    for name in ("x.xtc", "x.dcd", "x.nc"):
        frames.save(str(folder / name))
    return folder, state, positions, box


def read(folder, positions, topology="x.pdb", **options):
    return read_atoms(InputsConfig(positions=positions, **options), topology, folder)


@pytest.mark.parametrize("name", ["x.state.xml", "x.xtc", "x.dcd", "x.nc"])
def test_positions_and_box_of_an_end(ended, name):
    folder, _, positions, box = ended
    is_state = name.endswith(".xml")
    atoms = read(folder, name, frame=None if is_state else -1)
    ours = np.array(atoms.positions.value_in_unit(NM))
    np.testing.assert_allclose(ours, positions, atol=0 if is_state else 6e-4)
    ours = np.array(atoms.topology.getPeriodicBoxVectors().value_in_unit(NM))
    np.testing.assert_allclose(ours, box, atol=2e-4)
    assert (atoms.state is None) != is_state


def test_a_state_without_a_box_of_the_topology(ended, tmp_path):
    """A State always has a box; what is not periodic stays so."""
    folder = ended[0]
    lines = (folder / "x.pdb").read_text().splitlines(keepends=True)
    bare = tmp_path / "bare.pdb"
    bare.write_text("".join(line for line in lines if not line.startswith("CRYST1")))
    atoms = read(folder, "x.state.xml", str(bare))
    assert atoms.topology.getPeriodicBoxVectors() is None


@pytest.mark.parametrize(
    ("positions", "options", "words"),
    [
        ("x.xtc", {}, "number of one .*-1 is the last.*found 2 frames"),
        ("x.xtc", {"frame": 2}, "number of a frame.*found 2 of 2 frames"),
        ("x.state.xml", {"frame": 0}, "frame .* of a trajectory, found a State"),
        ("x.state.xml", {"box_nm": (2.0, 2.0, 2.0)}, "no box_nm .* State of a run"),
        ("x.system.xml", {}, "expected a serialized State, found System"),
    ],
)
def test_ends_that_do_not_fit(ended, positions, options, words):
    with pytest.raises(ValueError, match=words):
        read(ended[0], positions, **options)


def test_a_trajectory_is_no_topology(ended):
    with pytest.raises(
        ValueError, match=r"GROMACS XTC at .*; positions \(--positions\)"
    ):
        read_records(ended[0] / "x.xtc")
    with pytest.raises(ValueError, match="found XML of OpenMM at"):
        read_records(ended[0] / "x.state.xml")


def test_a_command_goes_on_with_velocities(ended, tmp_path):
    """After one short step velocities are almost those of the state."""
    folder, state = ended[:2]
    output = tmp_path / "on"
    command = ["simulate", MODEL, folder / "x.pdb", "--output", output, "--steps", 1]
    command += ["--positions", folder / "x.state.xml", "--ensemble", "nve"]
    command += ["--timestep", 0.01, "--report-interval", 1, "--platform", "Reference"]
    assert main([str(word) for word in [*command, "--backend", "native"]]) == 0
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["velocities_drawn"] is False and record["minimized"] is False
    end = openmm.XmlSerializer.deserialize((tmp_path / "on.state.xml").read_text())
    ours = end.getVelocities(asNumpy=True).value_in_unit(PER_PS)
    given = state.getVelocities(asNumpy=True).value_in_unit(PER_PS)
    # New ones would be independent; waters cut by the border are pulled hard.
    assert np.corrcoef(ours.ravel(), given.ravel())[0, 1] > 0.9
