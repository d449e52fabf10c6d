# SPDX-License-Identifier: MIT
"""Trajectories of other programs that ase reads: frames, times, cells, and the page."""

import ase
import ase.io
import numpy as np
import pytest

from openmm_allegro.cli.main import main
from openmm_allegro.runs.run import find_runs
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.table import Unreadable
from openmm_allegro.runs.window import Window

CELL = np.array([[9.0, 0.4, 0.2], [1.2, 9.0, -0.3], [-0.8, 0.9, 9.5]])  # not turned
NAMES = ["x.extxyz", "x.traj", "XDATCAR"]


def walk(count=40, pbc=True):
    rng = np.random.default_rng(0)
    places, frames = rng.random((16, 3)) @ CELL, []
    for _ in range(count):
        places = places + rng.normal(size=places.shape) * 0.1
        cell = CELL if pbc else None
        frames.append(ase.Atoms("Li8O8", places, cell=cell, pbc=pbc))
    return frames


def written(path, frames):
    kind = "vasp-xdatcar" if path.name == "XDATCAR" else None
    ase.io.write(path, frames, format=kind)
    return path


def read(path, **window):
    runs, _ = find_runs([str(path)])
    return Source(runs, Window(**window)).frames()


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_those_that_were_written(tmp_path, name):
    frames = walk()
    path = written(tmp_path / name, frames)
    chosen = read(path, time_step=0.1)
    trajectory = chosen.load()
    assert [a.element.symbol for a in trajectory.topology.atoms] == ["Li"] * 8 + [
        "O"
    ] * 8
    np.testing.assert_allclose(trajectory.time, 0.1 * np.arange(40), rtol=1e-6)
    volume = abs(np.linalg.det(CELL)) / 1000
    np.testing.assert_allclose(trajectory.unitcell_volumes, volume, rtol=1e-5)
    for frame, xyz in zip(frames, trajectory.xyz.astype(float), strict=True):
        apart = 10 * (xyz[1:] - xyz[0])
        expected = frame.positions[1:] - frame.positions[0]
        if name == "XDATCAR":  # wrapped
            inverse = np.linalg.inv(10 * trajectory.unitcell_vectors[0])
            parts = apart @ inverse - expected @ np.linalg.inv(CELL)
            np.testing.assert_allclose(parts, np.round(parts), atol=1e-5)
        else:
            lengths = np.linalg.norm(expected, axis=1)
            np.testing.assert_allclose(
                np.linalg.norm(apart, axis=1), lengths, atol=1e-4
            )


@pytest.mark.parametrize("name", NAMES)
def test_times_are_asked_for(tmp_path, name):
    path = written(tmp_path / name, walk(3))
    with pytest.raises(ValueError, match=r"--time-step"):
        read(path).check_times()


def test_a_cell_is_given_where_there_is_none(tmp_path):
    path = written(tmp_path / "x.xyz", walk(3, pbc=False))
    assert read(path).load().unitcell_lengths is None
    six = 0.9, 0.9, 0.95, 90.0, 100.0, 90.0
    trajectory = read(path, cell=six).load()
    np.testing.assert_allclose(trajectory.unitcell_lengths, np.tile(six[:3], (3, 1)))
    np.testing.assert_allclose(trajectory.unitcell_angles, np.tile(six[3:], (3, 1)))
    other = written(tmp_path / "y.extxyz", walk(3))
    with pytest.raises(ValueError, match="frames without a cell"):
        read(other, cell=six).load()
    with pytest.raises(ValueError, match="three lengths"):
        Window(cell=(1.0, 2.0))


def test_names_of_a_plain_xyz_are_those_of_the_topology(tmp_path):
    frame = "3\n\nOW 0.0 0.0 0.0\nHW1 0.96 0.0 0.0\nHW2 -0.24 0.93 0.0\n"
    (tmp_path / "x.xyz").write_text(2 * frame)
    water = ase.Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    top = written(tmp_path / "top.pdb", water)
    runs, _ = find_runs([str(tmp_path / "x.xyz"), str(top), "O-H"])
    trajectory = Source(runs, Window()).frames().load()
    np.testing.assert_allclose(trajectory.xyz[1], water.positions / 10, atol=1e-6)


def test_frames_of_other_atoms_are_damaged(tmp_path):
    frames = walk(4)
    frames[2] = frames[2][::-1]
    path = written(tmp_path / "x.extxyz", frames)
    with pytest.raises(Unreadable, match=r"frame 2 .*in another order"):
        read(path).load()
    frames = walk(4)
    frames[1].pbc = (True, True, False)
    path = written(tmp_path / "y.extxyz", frames)
    with pytest.raises(Unreadable, match=r"frame 1.*T T F"):
        read(path).load()


def test_files_that_are_no_trajectories_say_what_to_do(tmp_path, capsys):
    top = written(tmp_path / "x.extxyz", walk(1))
    for name, words in {"x.crd": "as PDB or DCD", "x.psf": "comes last"}.items():
        (tmp_path / name).write_text("* title\n*\n")
        command = ["analyze", "rdf", str(tmp_path / name), str(top), "Li-O"]
        assert main(command) == 2
        assert words in capsys.readouterr().err


def test_a_page_of_a_trajectory_of_another_program(tmp_path, capsys):
    path = written(tmp_path / "XDATCAR", walk(24))
    assert main(["report", str(path), "--time-step", "0.1"]) == 0
    page = (tmp_path / "XDATCAR.html").read_text()
    for words in ("10 Li", "not recorded", "ns/day"):
        assert words not in page
    assert "8 Li" in page and "from first to last" in page and "--time-step 0.1" in page
    assert main(["report", str(path), str(tmp_path / "none.pdb")]) == 2
    capsys.readouterr()
