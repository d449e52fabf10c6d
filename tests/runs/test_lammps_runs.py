# SPDX-License-Identifier: MIT
"""Runs in LAMMPS: frames in two files, and records that are written beforehand."""

import json
import shutil
import struct

import numpy as np
import pytest
from analysis_helpers import CUBIC, make_trajectory, random_walk
from cli_helpers import analyze, rows_of, save_xtc
from report_helpers import write_run

from openmm_allegro.report import report
from openmm_allegro.runs.run import find_runs, read_run, read_stages
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.table import Unreadable
from openmm_allegro.runs.window import Window

# As LAMMPS writes it: the version, sizes of integers, units, a step, and atoms.
RESTART = (
    *(b"LammpS RestartT\0", struct.pack("<4i", 1, 3, 0, 12), b"22 Jul 2025\0"),
    *(struct.pack("<8i", 1, 4, 48, 4, 2, 4, 3, 8), struct.pack("<ii", 4, 6)),
    *(b"metal\0", struct.pack("<iq", 5, 5090), bytes(50), b"LammpS RestartT\0"),
)
N_FRAMES, N_ATOMS, STEP = 40, 30, 0.02


@pytest.fixture(scope="module")
def walk():
    """Li that walk alone, not wrapped, a frame each 0.02 ps from there on."""
    positions = random_walk(N_FRAMES, N_ATOMS, 1e-2, np.random.default_rng(1))
    trajectory = make_trajectory(positions, CUBIC, ["Li"] * N_ATOMS)
    trajectory.time = STEP * np.arange(1, N_FRAMES + 1)
    return trajectory


def write_pieces(trajectory, prefix, first, part, torn=0, torn_part=0):
    """Files of a run: ranges of frames in the trajectory and the part, bytes cut."""
    prefix.parent.mkdir(exist_ok=True)
    trajectory[0].save_pdb(f"{prefix}.pdb")
    for ending, frames, cut in ((".xtc", first, torn), (".part.xtc", part, torn_part)):
        path = prefix.with_name(prefix.name + ending)
        path.write_bytes(b"")
        if frames:
            save_xtc(trajectory[slice(*frames)], path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    record = {"engine": "lammps", "steps": 800, "timestep_fs": 1.0, "ensemble": "nve"}
    prefix.with_name(f"{prefix.name}.json").write_text(json.dumps(record))
    return prefix


@pytest.mark.parametrize(
    ("first", "part", "torn", "torn_part", "n_frames"),
    [
        ((0, 25), (25, 40), 0, 0, 40),
        ((0, 31), (25, 40), 9, 0, 40),  # killed while the part was being appended
        ((0, 40), (25, 40), 0, 0, 40),  # before the part was removed
        ((0, 1), (0, 40), 150, 0, 40),  # less than a frame
        ((), (0, 40), 0, 0, 40),
        ((0, 25), (25, 40), 0, 9, 39),
        ((0, 31), (31, 32), 0, 9, 31),
        ((0, 31), (), 0, 0, 31),
    ],
)
def test_each_frame_of_two_files_is_read_once(
    walk, tmp_path, first, part, torn, torn_part, n_frames
):
    prefix = write_pieces(walk, tmp_path / "nve", first, part, torn, torn_part)
    run = read_run(prefix)
    assert run.has_frames
    frames = Source([run], Window(start=0)).frames()
    read = frames.load()
    np.testing.assert_allclose(read.time, walk.time[:n_frames], rtol=1e-6)
    np.testing.assert_allclose(read.xyz, walk.xyz[:n_frames], atol=6e-4)
    assert bool(frames.notes) == bool(torn_part), frames.notes


def test_frames_in_a_file_that_was_not_named_are_said(walk, tmp_path):
    prefix = write_pieces(walk, tmp_path / "nve", (0, 25), (25, 40))
    files = [f"{prefix}.xtc", f"{prefix}.part.xtc", f"{prefix}.pdb"]
    (run,), _ = find_runs([files[0], files[2]])
    (note,) = Source([run], Window(start=0)).frames().notes
    assert "nve.part.xtc, which was not named" in note
    runs, _ = find_runs(files)
    frames = Source(runs, Window(start=0, join=True)).frames(joined=True)
    assert not frames.notes


def test_a_window_ends_in_either_file(walk, tmp_path):
    run = read_run(write_pieces(walk, tmp_path / "nve", (0, 25), (20, 40)))
    for stop, last in ((0.4, 20), (0.6, 30)):
        frames = Source([run], Window(start=0.3, stop=stop)).frames()
        np.testing.assert_allclose(frames.load().time, walk.time[14:last], rtol=1e-6)


def test_motion_goes_on_from_one_file_to_the_next(walk, tmp_path):
    """A diffusion coefficient of paths that are not wrapped."""
    prefix = write_pieces(walk, tmp_path / "nve", (0, 31), (25, 40), torn=9)
    out = tmp_path / "out.json"
    analyze("diffusion", prefix, "Li", "--start", 0, "--json", out)
    # 1e-2 nm² in 0.02 ps, in cm²/s
    expected = 1e-2 * 1e-14 / 0.02e-12
    assert rows_of(out)["Li", "D"]["value"] == pytest.approx(expected, rel=0.2)


def test_a_damaged_part_is_an_error(walk, tmp_path):
    prefix = write_pieces(walk, tmp_path / "nve", (0, 25), (25, 40))
    part = tmp_path / "nve.part.xtc"
    content = bytearray(part.read_bytes())
    content[0] = 9
    part.write_bytes(bytes(content))
    with pytest.raises(Unreadable, match=r"nve\.part\.xtc, found another magic number"):
        Source([read_run(prefix)], Window(start=0)).frames().load()
    frames = Source([read_run(prefix)], Window(start=0, stop=0.49)).frames()
    assert len(frames.load()) == 24


def test_steps_are_those_that_lammps_wrote(tmp_path):
    """Records are written before LAMMPS runs, and stay as they are."""
    names = ["1-heat", "2-nvt", "3-npt"]
    (tmp_path / "protocol.json").write_text(json.dumps({"stages": names}))
    for name in names:
        write_run(
            tmp_path / name,
            rows=50,
            steps=5090,
            completed_steps=None,
            engine="lammps",
            openmm_version=None,
            ns_per_day=None,
        )
    for name in names[1:]:
        (tmp_path / f"{name}.csv").unlink()
    (heat,) = read_stages(tmp_path)
    assert heat.done == 5000 and heat.simulated == pytest.approx(5.0)
    # the end is between two lines
    (tmp_path / "1-heat.restart").write_bytes(b"".join(RESTART))
    shutil.copy(tmp_path / "1-heat.csv", tmp_path / "2-nvt.csv")
    assert [run.progress for run in read_stages(tmp_path)] == [
        "5,090 of 5,090",
        "5,000 of 5,090",
    ]
    page = report(tmp_path, tmp_path / "page.html", start=0).read_text()
    assert "2-nvt is unfinished" in page and "1-heat is unfinished" not in page
    assert "openmm_allegro 0.1.0, LAMMPS not recorded" in page and "OpenMM" not in page
    assert "1.2 ns/day" in page
    assert read_run(tmp_path / "1-heat").record["lammps_version"] == "22 Jul 2025"
    for path in tmp_path.glob("*.csv"):
        path.unlink()
    (tmp_path / "1-heat.restart").unlink()
    with pytest.raises(ValueError, match=r"a stage of .* that has begun"):
        read_stages(tmp_path)
