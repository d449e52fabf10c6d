# SPDX-License-Identifier: MIT
"""Dumps of LAMMPS: order of atoms, scaled coordinates, cells, units and times."""

from pathlib import Path

import mdtraj
import numpy as np
import pytest
from cli_helpers import analyze_error as error_of

from openmm_allegro.runs.frames import Frames
from openmm_allegro.runs.run import Run
from openmm_allegro.runs.window import Window

N = 6
CELL = np.array([[20.0, 0, 0], [4.0, 18.0, 0], [-3.0, 5.0, 16.0]])
ORIGIN = np.array([1.0, -2.0, 3.0])


def positions(n_frames=4):
    rng = np.random.default_rng(3)
    return np.round(ORIGIN + rng.random((n_frames, N, 3)) @ CELL, 4)


def bounds(cell):
    """Lines of a tilted box, as LAMMPS's manual has them."""
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = cell
    low, high = ORIGIN.copy(), ORIGIN + np.array([lx, ly, lz])
    low[0] += min(0, xy, xz, xy + xz)
    high[0] += max(0, xy, xz, xy + xz)
    low[1] += min(0, yz)
    high[1] += max(0, yz)
    rows = zip(low, high, (xy, xz, yz), strict=True)
    lines = [" ".join(map(str, row)) for row in rows]
    return ["ITEM: BOX BOUNDS xy xz yz pp pp pp", *lines]


def write_dump(path, columns="id type x y z", scale=1.0, seed=None):
    """Write frames; `seed` shuffles the atoms of each frame."""
    lines, rng = [], np.random.default_rng(seed)
    for step, frame in enumerate(positions()):
        if "xs" in columns:
            frame = (frame - ORIGIN) @ np.linalg.inv(CELL)
        lines += ["ITEM: TIMESTEP", str(500 * step), "ITEM: NUMBER OF ATOMS", str(N)]
        lines += [*bounds(CELL), f"ITEM: ATOMS {columns}"]
        for i in rng.permutation(N) if seed is not None else range(N):
            values = dict(zip(("x", "y", "z"), frame[i] * scale, strict=True))
            known = {"id": 10 * i + 1, "type": 1, "mol": 3} | values
            words = [known[name.rstrip("su")] for name in columns.split()]
            lines.append(" ".join(map(str, words)))
    path.write_text("\n".join(lines) + "\n")
    return path


def frames_of(path):
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(N):
        residue = topology.add_residue("LI", chain)
        topology.add_atom("LI", mdtraj.element.lithium, residue)
    top = path.with_name("top.pdb")
    mdtraj.Trajectory(np.zeros((1, N, 3)), topology).save_pdb(str(top))
    return Frames([Run("d", path, top)], [Window()])


@pytest.mark.parametrize(
    "columns", ["id type x y z", "z y x mol id", "id type xs ys zs"]
)
@pytest.mark.parametrize("seed", [None, 1])
def test_positions_are_those_of_atoms_by_number(tmp_path, columns, seed):
    path = write_dump(tmp_path / "d.lammpstrj", columns, seed=seed)
    trajectory = frames_of(path).load()
    np.testing.assert_allclose(trajectory.xyz, 0.1 * positions(), atol=2e-5)
    expected = np.broadcast_to(0.1 * CELL, (4, 3, 3))
    np.testing.assert_allclose(trajectory.unitcell_vectors, expected, atol=1e-5)


def test_units_and_times_of_the_dump_are_taken(tmp_path):
    path = write_dump(tmp_path / "d.lammpstrj")
    text = path.read_text()
    for style, length, duration in (("real", 0.1, 1e-3), ("nano", 1.0, 1e3)):
        timed = text
        for step in range(4):
            mark = f"ITEM: TIMESTEP\n{500 * step}\n"
            timed = timed.replace(mark, f"ITEM: TIME\n{250.0 * step}\n{mark}")
        path.write_text(f"ITEM: UNITS\n{style}\n{timed}")
        frames = frames_of(path)
        frames.check_times()
        trajectory = frames.load()
        np.testing.assert_allclose(trajectory.xyz, length * positions(), atol=1e-4)
        if style == "real":
            expected = 250.0 * duration * np.arange(4)
            np.testing.assert_allclose(trajectory.time, expected)
        # Another run of LAMMPS, appended; it says the units again.
        path.write_text(path.read_text() * 2)
        assert sum(chunk.n_frames for chunk in frames_of(path)) == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("ITEM: TIMESTEP\n0\n", "ITEM: UNITS\nlj\nITEM: TIMESTEP\n0\n"), "found lj"),
        (("type x y z", "type vx vy vz"), "no coordinates"),
        (("ITEM: ATOMS id", "ITEM: ATOMS element"), "no column id"),
        (("\n11 1 ", "\n1 1 "), "same number"),
        (("NUMBER OF ATOMS\n6", "NUMBER OF ATOMS\n5"), "5 atoms"),
    ],
)
def test_what_cannot_be_known_is_refused(tmp_path, capsys, change, words):
    path = write_dump(tmp_path / "d.lammpstrj")
    frames_of(path)
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    top = Path(tmp_path / "top.pdb")
    assert words in error_of(capsys, "rdf", path, top, "Li-Li", "--r-max", 0.5)
