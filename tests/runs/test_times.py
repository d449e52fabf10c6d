# SPDX-License-Identifier: MIT
"""Files without times, with wrong ones and with repeated ones, in each format."""

import json

import mdtraj
import numpy as np
import pytest
from analysis_helpers import CUBIC, make_trajectory, random_walk, wrap
from cli_helpers import analyze, rows_of, save_xtc
from cli_helpers import analyze_error as error_of
from mdtraj.formats import NetCDFTrajectoryFile, XTCTrajectoryFile

from openmm_allegro import analysis
from openmm_allegro.runs.run import Run
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.table import ENERGY_COLUMNS
from openmm_allegro.runs.window import Window

pytestmark = pytest.mark.usefixtures("read_here")

STEP = 0.02
# Without times, in whatever format: D would be 50 times too small.
WITHOUT = ("dcd", "pdb", "xyz", "lammpstrj", "mdcrd")


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """20 Li that walk alone, a frame each 0.02 ps, and a folder with the topology."""
    rng = np.random.default_rng(1)
    steps = random_walk(200, 20, 1e-4, rng)
    trajectory = make_trajectory(wrap(steps, CUBIC), CUBIC, ["Li"] * 20)
    trajectory.time = np.arange(200) * STEP
    folder = tmp_path_factory.mktemp("times")
    trajectory[0].save_pdb(f"{folder}/top.pdb")
    save_xtc(trajectory, folder / "walk.xtc")
    return trajectory, folder


def coefficient(folder, name, *options):
    out = folder / "d.json"
    analyze(
        *("diffusion", folder / name, folder / "top.pdb", "Li", *options),
        *("--json", out, "--force"),
    )
    return rows_of(out)["Li", "D"]["value"]


def copy_with(trajectory, times):
    copy = trajectory[:]
    copy.time = np.asarray(times)
    return copy


@pytest.mark.parametrize("ending", WITHOUT)
def test_a_format_without_times_asks_for_a_time_step(walk, ending, capsys):
    trajectory, folder = walk
    path = folder / f"t.{ending}"
    trajectory.save(str(path))
    inputs = ("diffusion", path, folder / "top.pdb", "Li")
    if ending == "xyz":  # without cells either
        assert "--time-step" in error_of(capsys, *inputs)
        return
    others = ("non-gaussian", "survival", "thermodynamics")
    for quantity in ("diffusion", *(others if ending == "dcd" else ())):
        words = [quantity, path, folder / "top.pdb"]
        words += [] if quantity == "thermodynamics" else ["Li"]
        if quantity == "survival":
            words = [*words[:-1], "Li-Li", "--shell", 0.4]
        assert "--time-step" in error_of(capsys, *words), quantity
    assert "--time-step" in error_of(capsys, "rdf", *inputs[1:3], "Li-Li", "--stop", 1)
    assert "--time-step" in error_of(capsys, "rdf", *inputs[1:3], "Li-Li", "--start", 1)
    analyze("rdf", *inputs[1:3], "Li-Li")
    found = coefficient(folder, path.name, "--time-step", STEP)
    assert found == pytest.approx(coefficient(folder, "walk.xtc"), rel=1e-3)


@pytest.mark.parametrize(
    ("ending", "times"),
    [
        *(("xtc", times) for times in ("zero", "numbers", "nan", "equal")),
        *(("trr", "numbers"), ("nc", "zero"), ("nc", "numbers"), ("h5", "numbers")),
    ],
)
def test_times_that_say_nothing_ask_for_a_time_step(walk, ending, times, capsys):
    trajectory, folder = walk
    values = {
        "zero": np.zeros(200),
        "numbers": np.arange(200.0),
        "nan": np.where(np.arange(200) == 7, np.nan, STEP * np.arange(200)),
        "equal": np.full(200, 3.5),
    }[times]
    path = folder / f"{times}.{ending}"
    copy_with(trajectory, values).save(str(path))
    inputs = (path,) if ending == "h5" else (path, folder / "top.pdb")
    message = error_of(capsys, "diffusion", *inputs, "Li")
    assert "found none" in message and "--time-step" in message
    analyze("rdf", *inputs, "Li-Li")


def test_times_of_1_ps_with_steps_of_their_own_are_times(walk):
    trajectory, folder = walk
    save_xtc(copy_with(trajectory, np.arange(200.0)), folder / "ps.xtc")
    found = coefficient(folder, "ps.xtc")
    assert found == pytest.approx(coefficient(folder, "walk.xtc") * STEP, rel=1e-3)


@pytest.mark.parametrize("numbers", [np.arange(1, 201), 2 * np.arange(200)])
def test_numbers_of_some_frames_are_no_times(walk, numbers, capsys):
    """Every other frame of a file that held none, as mdtraj or MDAnalysis writes it."""
    trajectory, folder = walk
    path = folder / "some.xtc"
    with XTCTrajectoryFile(str(path), "w") as file:
        box = trajectory.unitcell_vectors
        file.write(trajectory.xyz, time=np.float32(numbers), step=numbers, box=box)
    message = error_of(capsys, "diffusion", path, folder / "top.pdb", "Li")
    assert "are the numbers of the frames" in message and "--time-step" in message


def test_in_python_numbers_of_frames_are_no_times(walk):
    trajectory, folder = walk
    trajectory.save(f"{folder}/p.dcd")
    loaded = mdtraj.load(f"{folder}/p.dcd", top=f"{folder}/top.pdb")
    functions = (
        lambda **step: analysis.diffusion(loaded, "all", **step),
        lambda **step: analysis.follow(loaded, "all", **step),
        lambda **step: analysis.contacts(loaded, "all", "all", 0.3, **step),
        lambda **step: analysis.van_hove_distinct(
            loaded, "all", "all", [0.2], r_max=0.5, **step
        ),
        lambda **step: analysis.conductivity(loaded, {"Li": 1}, 300, **step),
    )
    for function in functions:
        with pytest.raises(ValueError, match="give time_step"):
            function()
        function(time_step=STEP)
    chunks = mdtraj.iterload(f"{folder}/p.dcd", top=f"{folder}/top.pdb", chunk=50)
    with pytest.raises(ValueError, match="give time_step"):
        analysis.diffusion(chunks, "all")


@pytest.mark.parametrize("ending", ["xtc", "trr", "nc", "h5", "lammpstrj"])
def test_repeated_frames_are_said_and_left_out(walk, ending, capsys):
    """A restart from frame 120 of 150: 30 frames come again, and the last stand."""
    trajectory, folder = walk
    order = np.r_[0:150, 120:200]
    restarted = trajectory[order]
    if ending == "lammpstrj":
        path = folder / "again.lammpstrj"
        restarted.save(str(path))
        lines = iter(path.read_text().splitlines())
        text = []
        for number in order:  # mdtraj numbers frames in place of steps
            text += [next(lines), str(1000 * number)]
            next(lines)
            text += [next(lines) for _ in range(27)]
        path.write_text("\n".join(text) + "\n")
        options = ["--time-step", STEP]
    else:
        path, options = folder / f"again.{ending}", []
        restarted.save(str(path))
    inputs = (path,) if ending == "h5" else (path, folder / "top.pdb")
    message = error_of(capsys, "diffusion", *inputs, "Li", *options)
    assert "found 30 frames" in message and "--drop-repeated" in message
    analyze("rdf", *inputs, "Li-Li", *options)
    assert "30 frames" in capsys.readouterr().out
    out = folder / f"again-{ending}.json"
    analyze("diffusion", *inputs, "Li", "--drop-repeated", *options, "--json", out)
    assert "30 frames" in capsys.readouterr().out
    content = json.loads(out.read_text())
    assert content["frames"][0]["frames"] == 200
    found = content["results"]["Li"]["coefficient"]
    assert found == pytest.approx(coefficient(folder, "walk.xtc"), rel=2e-3)


def test_pieces_that_overlap_are_joined_without_what_comes_again(walk, capsys):
    trajectory, folder = walk
    for name, part in (("a", trajectory[:120]), ("b", trajectory[119:])):
        save_xtc(part, folder / f"{name}.xtc")
    inputs = (folder / "a.xtc", folder / "b.xtc", folder / "top.pdb", "Li", "--join")
    assert "found 1 frame" in error_of(capsys, "diffusion", *inputs)
    out = folder / "j.json"
    analyze("diffusion", *inputs, "--drop-repeated", "--json", out)
    found = rows_of(out)["Li", "D"]["value"]
    assert found == pytest.approx(coefficient(folder, "walk.xtc"), rel=1e-6)


def test_frames_at_unequal_times_are_refused_for_motion_alone(walk, capsys):
    trajectory, folder = walk
    save_xtc(trajectory[np.r_[0:100, 110:200]], folder / "gap.xtc")
    inputs = (folder / "gap.xtc", folder / "top.pdb")
    assert "equal time intervals" in error_of(capsys, "diffusion", *inputs, "Li")
    analyze("rdf", *inputs, "Li-Li")


def test_netcdf_of_other_units_is_refused_by_name(walk, capsys):
    trajectory, folder = walk
    path = folder / "nm.nc"
    trajectory.save(str(path))
    content = path.read_bytes()
    assert content.count(b"picosecond") == 1
    path.write_bytes(content.replace(b"picosecond", b"femtosecon"))
    message = error_of(capsys, "diffusion", path, folder / "top.pdb", "Li")
    assert "expected time in picosecond" in message and "femtosecon" in message
    with NetCDFTrajectoryFile(str(path), "w") as file:  # without times
        file.write(
            10 * trajectory.xyz, None, np.full((200, 3), 30.0), np.full((200, 3), 90.0)
        )
    assert "--time-step" in error_of(
        capsys, "diffusion", path, folder / "top.pdb", "Li"
    )


def test_lines_of_energies_that_come_again_are_said_and_left_out(tmp_path, capsys):
    names = ["time", "potential", "kinetic", "total", "temperature"]
    head = ",".join(f'"{ENERGY_COLUMNS[name]}"' for name in names)
    rows = [f"{i},{-i},{i},0,300" for i in (*range(1, 41), *range(31, 61))]
    path = tmp_path / "e.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    run = Run("e", energies=path)
    source = Source([run], Window(start=0))
    assert len(source.energies(run)["time"]) == 70
    assert "10 lines" in " ".join(source.notes)
    kept = Source([run], Window(start=0, drop_repeated=True))
    np.testing.assert_array_equal(kept.energies(run)["time"], np.arange(1, 61))
    assert not kept.notes


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b'"Time (ps)"\n\0\n', b"PK\3\4\0"])
def test_a_table_that_is_none_is_one_sentence(tmp_path, capsys, content):
    path = tmp_path / "e.csv"
    path.write_bytes(content)
    assert str(path) in error_of(capsys, "stability", path)
