# SPDX-License-Identifier: MIT
"""HDF5 trajectories run no code."""

import pickle
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import tables
from code_helpers import Payload

import openmm_allegro
from openmm_allegro.analysis import read_velocities
from openmm_allegro.cli.main import main
from openmm_allegro.report.html import attempt
from openmm_allegro.reporters.trajectory import HDF5Reporter
from openmm_allegro.runs.velocities import has_velocities
from openmm_allegro.utils.hdf5 import check_hdf5


@pytest.fixture
def trajectory(tmp_path):
    """File of five frames of four atoms."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(4):
        residue = topology.add_residue("Ar", chain)
        topology.add_atom("Ar", mdtraj.element.argon, residue)
    path = tmp_path / "x.h5"
    positions = np.random.default_rng(0).random((5, 4, 3))
    mdtraj.Trajectory(positions, topology).save(str(path))
    return path


def set_attribute(path, node, name, value):
    with tables.open_file(str(path), "a") as file:
        node = file.get_node(node)
        node._v_attrs._g_setattr(node, name, np.bytes_(value))


def test_ordinary_files_pass(trajectory):
    for text in ("a title.", "cell of water.", "Reference.", "0.", "."):
        set_attribute(trajectory, "/", "title", text.encode())
        check_hdf5(trajectory)
    set_attribute(trajectory, "/", "numbers", pickle.dumps([1, 2, 3]))
    check_hdf5(trajectory)
    check_hdf5("no such file.h5")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("node", "name"),
    [("/", "title"), ("/", "FILTERS"), ("/time", "units"), ("/coordinates", "x")],
)
def test_pickled_attributes_are_refused(trajectory, trap, node, name, protocol):
    set_attribute(trajectory, node, name, pickle.dumps(Payload(trap), protocol))
    with pytest.raises(ValueError, match="found a pickled Python object"):
        check_hdf5(trajectory)


def test_a_pickle_that_is_broken_after_its_harm(trajectory, trap):
    harmful = pickle.dumps(Payload(trap), 0)[:-1] + b"\xff nonsense."
    set_attribute(trajectory, "/", "title", harmful)
    with pytest.raises(ValueError, match="found a pickled Python object"):
        check_hdf5(trajectory)


def test_arrays_of_objects_are_refused(trajectory, trap):
    with tables.open_file(str(trajectory), "a") as file:
        file.remove_node("/topology")
        array = file.create_vlarray("/", "topology", tables.ObjectAtom())
        array.append(Payload(trap))
    with pytest.raises(ValueError, match="found a pickled Python object"):
        check_hdf5(trajectory)


def test_all_that_read_hdf5_refuse_it(trajectory, trap, tmp_path, capsys):
    (tmp_path / "y.h5.parts").mkdir()
    part = tmp_path / "y.h5.parts" / "00000.h5"
    part.write_bytes(trajectory.read_bytes())
    for path in (trajectory, part):
        set_attribute(path, "/", "title", pickle.dumps(Payload(trap), 0))
    assert main(["analyze", "rdf", str(trajectory)]) == 2
    assert "found a pickled Python object" in capsys.readouterr().err
    for read in (
        has_velocities,
        read_velocities,
        lambda path: HDF5Reporter(tmp_path / "y.h5", 1, frames=2),
    ):
        with pytest.raises(ValueError, match="found a pickled Python object"):
            read(trajectory)


def test_what_to_install_without_tables(trajectory, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tables", None)
    assert main(["analyze", "rdf", str(trajectory)]) == 2
    assert "pip install 'openmm-allegro[hdf5]'" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError, match=r"openmm-allegro\[hdf5\]"):
        has_velocities(trajectory)
    part = attempt("Vibrations", has_velocities, trajectory)
    assert "Not computed: " in part and "[hdf5]" in part


def test_one_place_opens_hdf5():
    """Whoever opens it elsewhere has to check it."""
    package = Path(openmm_allegro.__file__).parent
    opening = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "HDF5TrajectoryFile(" in path.read_text(encoding="utf-8")
    ]
    assert opening == ["utils/hdf5.py"]
