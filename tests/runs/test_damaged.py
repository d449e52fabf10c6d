# SPDX-License-Identifier: MIT
"""Trajectories that are damaged: a sentence that names the frame, and never a crash."""

import json
import os
import random

import mdtraj
import numpy as np
import pytest
from analysis_helpers import CUBIC, make_trajectory, random_walk
from cli_helpers import analyze, save_xtc
from cli_helpers import analyze_error as error_of

from openmm_allegro.runs.frames import Frames
from openmm_allegro.runs.run import Run
from openmm_allegro.runs.table import Unreadable
from openmm_allegro.runs.trajectories import read
from openmm_allegro.runs.window import Window
from openmm_allegro.utils.child import ChildEnded, from_child

N_FRAMES, N_ATOMS = 30, 40


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A trajectory, and a folder with it in each binary format."""
    rng = np.random.default_rng(2)
    positions = random_walk(N_FRAMES, N_ATOMS, 1e-2, rng) + 1
    trajectory = make_trajectory(positions, CUBIC, ["Li"] * N_ATOMS)
    trajectory.time = 0.5 * np.arange(1, N_FRAMES + 1)
    folder = tmp_path_factory.mktemp("damaged")
    trajectory[0].save_pdb(f"{folder}/top.pdb")
    save_xtc(trajectory, folder / "t.xtc")
    for ending in ("trr", "dcd", "nc", "h5", "lammpstrj"):
        trajectory.save(f"{folder}/t.{ending}")
    return trajectory, folder


def frames_of(path):
    topology = path.with_name("top.pdb")
    run = Run(path.stem, path, topology)
    return Frames([run], [Window()])


def count(path):
    frames = frames_of(path)
    return sum(chunk.n_frames for chunk in frames), frames.notes


def xtc_offsets(path):
    """Places of the frames of an XTC."""
    content, places, place = path.read_bytes(), [], 0
    while place < len(content):
        places.append(place)
        n_bytes = int.from_bytes(content[place + 88 : place + 92], "big")
        place += 92 + (n_bytes + 3) // 4 * 4
    return places


def test_every_format_is_read_as_mdtraj_reads_it(files):
    trajectory, folder = files
    for ending in ("xtc", "trr", "dcd", "nc", "h5"):
        path = folder / f"t.{ending}"
        loaded = mdtraj.load(
            str(path), **({} if ending == "h5" else {"top": trajectory.topology})
        )
        joined = frames_of(path).load()
        np.testing.assert_array_equal(joined.xyz, loaded.xyz)
        np.testing.assert_allclose(joined.unitcell_vectors, loaded.unitcell_vectors)
        if ending != "dcd":
            np.testing.assert_allclose(joined.time, trajectory.time, rtol=1e-6)


@pytest.mark.parametrize("ending", ["xtc", "trr", "dcd", "lammpstrj"])
def test_a_last_frame_that_is_cut_short_is_left_out_and_said(files, ending, tmp_path):
    _, folder = files
    content = (folder / f"t.{ending}").read_bytes()
    path = tmp_path / f"cut.{ending}"
    (tmp_path / "top.pdb").write_bytes((folder / "top.pdb").read_bytes())
    path.write_bytes(content[:-7])
    n, notes = count(path)
    assert n == N_FRAMES - 1
    assert notes == [f"The last frame of {path} is cut short and left out."]


@pytest.mark.parametrize(
    ("field", "other", "words"), [(7, 8, "no positions"), (2, 3, "no box")]
)
def test_frames_of_a_trr_without_positions_are_named(
    files, field, other, words, tmp_path
):
    """As GROMACS writes with nstvout below nstxout; mdtraj takes what is in memory."""
    _, folder = files
    (tmp_path / "top.pdb").write_bytes((folder / "top.pdb").read_bytes())
    content = bytearray((folder / "t.trr").read_bytes())
    start = 12 * len(content) // N_FRAMES + 24
    sizes = [slice(start + 4 * i, start + 4 * i + 4) for i in (field, other)]
    content[sizes[0]], content[sizes[1]] = content[sizes[1]], content[sizes[0]]
    path = tmp_path / "v.trr"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=f"frame 12 .* damaged: {words} in it"):
        count(path)


@pytest.mark.parametrize("ending", ["xtc", "trr", "dcd", "nc", "lammpstrj"])
def test_a_topology_of_other_atoms_is_said(files, ending, tmp_path):
    trajectory, _ = files
    path = tmp_path / f"t.{ending}"
    trajectory.atom_slice(range(30))[:3].save(str(path))
    trajectory[0].save_pdb(str(tmp_path / "top.pdb"))
    with pytest.raises(Unreadable, match=r"40 atoms of .*, found one of 30 atoms"):
        count(path)


@pytest.mark.parametrize("ending", ["xtc", "trr", "dcd", "nc", "h5", "lammpstrj"])
def test_an_empty_file_is_no_trajectory(files, ending, tmp_path):
    _, folder = files
    (tmp_path / "top.pdb").write_bytes((folder / "top.pdb").read_bytes())
    path = tmp_path / f"t.{ending}"
    path.write_bytes(b"")
    with pytest.raises(Unreadable, match=f"{path}.* found") as raised:
        count(path)
    assert "--start" not in str(raised.value)


def test_the_frame_of_an_xtc_that_is_damaged_is_named(files, tmp_path, capsys):
    """In its header, or in what was packed, which mdtraj takes or dies of."""
    _, folder = files
    source = folder / "t.xtc"
    places = xtc_offsets(source)
    top = tmp_path / "top.pdb"
    top.write_bytes((folder / "top.pdb").read_bytes())
    for offset, patch in (
        (0, b"\0\0\0\0"),  # magic
        (4, b"\0\0\0\7"),  # atoms
        (16, b"\x7f\xc0\0\0"),  # box
        (52, b"\0\0\0\x29"),  # atoms again
        (56, b"\x45\x7a\0\0"),  # precision, 4000 for 1000
        (84, b"\0\0\0\x7f"),  # smallest step
        (88, b"\x7f\0\0\0"),  # bytes
        (92, b"\xff" * 100),  # what was packed
    ):
        content = bytearray(source.read_bytes())
        start = places[12] + offset
        content[start : start + len(patch)] = patch
        path = tmp_path / "bad.xtc"
        path.write_bytes(content)
        with pytest.raises(Unreadable) as raised:
            count(path)
        message = str(raised.value)
        assert "found frame 12 (counted from 0) damaged" in message, offset
        assert "--stop 6 " in message
    assert message in error_of(capsys, "diffusion", path, top, "Li")
    out = tmp_path / "g.json"
    analyze("rdf", path, top, "Li-Li", "--stop", 6, "--json", out)
    assert json.loads(out.read_text())["frames"][0]["frames"] == 12


@pytest.mark.parametrize("ending", ["xtc", "trr", "dcd", "nc", "h5"])
@pytest.mark.parametrize(
    ("seed", "attempts"), [("", 6), pytest.param("b", 60, marks=pytest.mark.slow)]
)
def test_bytes_at_random_end_no_process(files, ending, seed, attempts, tmp_path):
    """Zeros, ones, noise, cuts: frames, or one sentence of the package's own."""
    _, folder = files
    content = (folder / f"t.{ending}").read_bytes()
    rng = random.Random(ending + seed)
    (tmp_path / "top.pdb").write_bytes((folder / "top.pdb").read_bytes())
    path = tmp_path / f"x.{ending}"
    refused = 0
    for attempt in range(attempts):
        damaged = bytearray(content)
        length = rng.choice([1, 4, 60, 400])
        limit = 130 if attempt % 2 else len(content)
        start = rng.randrange(limit)
        noise = rng.choice([bytes(length), b"\xff" * length, rng.randbytes(length)])
        damaged[start : start + length] = noise
        path.write_bytes(
            damaged[: rng.randrange(len(content))] if attempt % 8 == 0 else damaged
        )
        try:
            count(path)
        except Unreadable as error:
            refused += 1
            assert "\n" not in str(error)
        except ValueError as error:
            assert "expected" in str(error)
    assert refused


def test_a_crash_of_the_reader_names_the_frame(files, monkeypatch):
    """Whatever ends the child, the frames before it are read one at a time."""
    _, folder = files
    arrays = read._arrays

    def ending_at_17(path, topology, index, size, first=0):
        for number, item in enumerate(arrays(path, topology, index, 1, first), first):
            if number == 17:
                os.abort()
            yield item

    monkeypatch.setattr(read, "_arrays", ending_at_17)
    with pytest.raises(Unreadable, match=r"frame 17 .* damaged: .*SIGABRT"):
        count(folder / "t.xtc")


def test_a_child_yields_raises_and_ends_as_its_function_does():
    items = list(from_child(lambda: (np.full(3, i) for i in range(3))))
    np.testing.assert_array_equal(items, [[0] * 3, [1] * 3, [2] * 3])
    items[0][0] = 7  # an array of its own

    def failing():
        yield 1
        raise KeyError("why")

    received = from_child(failing)
    assert next(received) == 1
    with pytest.raises(KeyError, match="why"):
        next(received)
    with pytest.raises(ChildEnded, match="SIGSEGV"):
        next(from_child(lambda: [os.kill(os.getpid(), 11)]))
    endless = from_child(lambda: iter(int, 1))
    assert next(endless) == 0
    endless.close()  # ends the child
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
