# SPDX-License-Identifier: MIT
"""Formats and what may be silently wrong in them: each cell of docs/formats.md."""

import json
import re
import warnings
from pathlib import Path

import ase
import numpy as np
import pytest
from analysis_helpers import make_trajectory
from cli_helpers import rows_of
from format_files import (
    COEFFICIENT,
    DIALECTS,
    IONS,
    KCAL,
    STEP,
    UNKNOWN,
    Frame,
    ending,
    hydrogen,
    units,
    walk,
    water,
    write_labelled,
    write_topology,
    write_trajectory,
)

from openmm_allegro.cli.main import main
from openmm_allegro.runs.topology import load_topology
from openmm_allegro.structure import read_structures

pytestmark = pytest.mark.usefixtures("read_here")
PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
LABELLED = [*DIALECTS, "OUTCAR", "vasprun.xml", "ase.db", "traj"]
CODES = ("OUTCAR", "vasprun.xml")


def table(title):
    """Rows of the page's table below a heading: cells by format and column."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {title}")[2]
    lines = re.findall(r"^\|(.+)\|$", text.partition("\n## ")[0], re.MULTILINE)
    head, _, *rows = [[c.strip() for c in line.split("|")] for line in lines]
    columns = [name.split(" · ")[0] for name in head[1:]]
    return {
        name: dict(zip(columns, (cell.split(" · ") for cell in cells), strict=True))
        for name, *cells in rows
    }


def outcome(probe):
    """Word for what a probe gives: value, warns, asks with what it asks for, error."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            probe()
    except ValueError as error:
        options = re.findall(r"--(?:elements|time-step)\b", str(error))
        asked = options or re.findall(r"\benergy_key\b", str(error))
        return f"asks {asked[0]}" if asked else "error", str(error)
    return ("warns" if said else "value"), " ".join(str(w.message) for w in said)


def check(cell, probes):
    """Hold what each probe gives against the cell."""
    assert len(cell) == len(probes)
    for word, probe in zip(cell, probes, strict=True):
        if probe is None:
            assert word == "–"
            continue
        found, message = outcome(probe)
        expected = word.replace("`", "")
        assert found == expected, message
        if found not in ("value", "warns"):
            assert "expected" in message and "found" in message


def test_the_page_has_every_format():
    assert list(table("Structures with labels")) == LABELLED
    assert len(LABELLED) + len(TOPOLOGIES) + len(TRAJECTORIES) >= 12
    assert list(table("Topologies")) == TOPOLOGIES
    assert list(table("Trajectories")) == TRAJECTORIES


@pytest.mark.parametrize("name", LABELLED)
def test_elements_of_structures(tmp_path, name):
    path, frame = ending(name, tmp_path), water()
    write_labelled(name, path, [frame])

    def plain():
        (found,) = read_structures(path, **units(name))
        assert found.symbols == ("O", "H", "H")

    def unknown():
        if name in ("ase.db", "traj"):  # by numbers, of which 0 is no element
            other = frame.atoms.copy()
            other.numbers[0] = 0
            write_labelled(name, path, [frame._replace(atoms=other)])
        else:
            text = path.read_text()
            text = re.sub(r"^O ", "Qq ", text, flags=re.MULTILINE)
            text = text.replace("PAW_PBE O ", "PAW_PBE Qq ").replace(">O<", ">Qq<")
            path.write_text(text)
        read_structures(path, **units(name))

    check(table("Structures with labels")[name]["elements"], [plain, unknown])


@pytest.mark.parametrize("name", LABELLED)
def test_positions_of_structures(tmp_path, name):
    path, frame = ending(name, tmp_path), water()
    write_labelled(name, path, [frame])

    def plain(factor=1.0, **options):
        (found,) = read_structures(path, **units(name) | options)
        places = factor * frame.atoms.positions
        np.testing.assert_allclose(found.positions, places, atol=1e-6)
        np.testing.assert_allclose(found.cell, factor * frame.atoms.cell, atol=1e-6)
        assert found.periodic.all()

    def other():
        plain(0.529177210544, length_unit="bohr")

    check(table("Structures with labels")[name]["positions and cell"], [plain, other])


@pytest.mark.parametrize("name", LABELLED)
def test_labels_of_structures(tmp_path, name):
    path, frame = ending(name, tmp_path), water()
    write_labelled(name, path, [frame])

    def plain():
        (found,) = read_structures(path, **units(name))
        assert found.energy == pytest.approx(frame.energy, rel=1e-9)
        np.testing.assert_allclose(found.forces, frame.forces, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(found.stress, frame.stress, rtol=1e-5, atol=1e-12)

    def doubt():
        if "kcal" in name:  # a number of ordinary kcal/mol, below all electrons' eV
            far = frame._replace(energy=-47_000 * KCAL, forces=100 * frame.forces)
            write_labelled(name, path, [far])
            read_structures(path)
        elif name in CODES:
            read_structures(path, energy_key="REF_energy")
        else:
            write_labelled(name, path, [frame], more="other_energy=-3 energy_ref=-9")
            read_structures(path)

    check(
        table("Structures with labels")[name]["energy, forces and stress"],
        [plain, doubt],
    )


@pytest.mark.parametrize("name", LABELLED)
def test_isolated_atoms(tmp_path, name):
    from helpers import tiny_config

    from openmm_allegro.training.isolated import isolated_energies, separate
    from openmm_allegro.training.samples import make_samples

    config = tiny_config()
    molecules, atoms = ending(name, tmp_path), tmp_path / "alone"
    atoms.mkdir()
    atoms = ending(name, atoms)
    # VASP's files are of one composition each.
    write_labelled(name, molecules, [water()])
    write_labelled(name, atoms, [hydrogen()])

    def plain():
        structures = read_structures([molecules, atoms], **units(name))
        found = separate("set", structures, make_samples(structures, config))
        assert len(found.structures) == 1
        energies = isolated_energies(config, found.atoms)
        assert energies == {"H": pytest.approx(-1.1)}

    def without():
        if name in CODES:
            text = atoms.read_text()
            text = re.sub(r"<energy>.*?</energy>", "", text, flags=re.DOTALL)
            text = text.replace("free  energy   TOTEN", "cut off")
            text = text.replace("energy  without entropy", "cut off")
            atoms.write_text(text)
        elif name in ("ase.db", "traj"):
            bare = hydrogen().atoms
            if name == "traj":
                ase.io.write(atoms, bare)
            else:
                atoms.unlink()
                with ase.db.connect(atoms) as rows:
                    rows.write(bare)
        else:
            text = atoms.read_text()
            atoms.write_text(re.sub(r"\S*energy=\S+", "", text))
        read_structures(atoms, **units(name))

    check(table("Structures with labels")[name]["isolated atom"], [plain, without])


@pytest.mark.parametrize("name", LABELLED)
def test_boxes_of_structures(tmp_path, name):
    path, frame = ending(name, tmp_path), water()

    def plain():
        write_labelled(name, path, [frame])
        (found,) = read_structures(path, **units(name))
        np.testing.assert_allclose(found.cell, frame.atoms.cell.array)

    def flat():
        atoms = frame.atoms.copy()
        atoms.set_cell([[12, 0, 0], [12, 1e-7, 0], [0, 0, 14]])
        if name == "ase.db":
            path.unlink()
        write_labelled(name, path, [Frame(atoms, frame.energy, frame.forces)])
        read_structures(path, **units(name))

    check(table("Structures with labels")[name]["box"], [plain, flat])


TOPOLOGIES = ["PDB", "PDB without elements", "mmCIF", "gro"]
SUFFIXES = {"mmCIF": "cif", "gro": "gro"}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_elements_of_topologies(tmp_path, name):
    path = tmp_path / f"x.{SUFFIXES.get(name, 'pdb')}"

    def plain():
        write_topology(name, path, IONS)
        found = [a.element.symbol for a in load_topology(path).atoms]
        assert found == [element for _, _, element in IONS]

    def unknown():
        write_topology(name, path, UNKNOWN)
        found = [a.element.symbol for a in load_topology(path).atoms]
        assert found == ["C", "N"]

    check(table("Topologies")[name]["elements"], [plain, unknown])


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_times_and_cells_of_topologies(tmp_path, name):
    """As trajectories: of a file that holds a single set of coordinates."""
    import mdtraj

    path = tmp_path / f"x.{SUFFIXES.get(name, 'pdb')}"
    write_topology(name, path, IONS)

    def plain():
        loaded = mdtraj.load(str(path), top=load_topology(path))
        np.testing.assert_allclose(loaded.unitcell_lengths, 2.0, rtol=1e-5)
        np.testing.assert_allclose(loaded.xyz[0, :, 0], [0.1, 0.5, 0.9, 1.3], rtol=1e-4)

    def placeholder():
        from helpers import water_model

        from openmm_allegro import AllegroPotential
        from openmm_allegro.simulate import read_coordinates

        atoms = [("OW", "HOH", "O"), ("HW1", "HOH", "H"), ("HW2", "HOH", "H")]
        write_topology(name, path, atoms, box=0.1, spread=0.09)
        topology = read_coordinates(path).topology
        AllegroPotential(water_model()).create_system(topology)

    probes = [plain, None if name == "gro" else placeholder]
    check(table("Topologies")[name]["box"], probes)


TRAJECTORIES = ["XTC", "TRR", "DCD", "NetCDF", "HDF5", "lammpstrj", "PDB of frames"]
ENDINGS = {"NetCDF": "nc", "HDF5": "h5", "PDB of frames": "pdb"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Folder with the topology of a walk, and its frames."""
    folder, trajectory = tmp_path_factory.mktemp("formats"), walk()
    trajectory[0].save_pdb(str(folder / "top.pdb"))
    return folder, trajectory


def analysed(folder, name, quantity, *options, **how):
    """Value of a quantity of the walk in a format, by the command."""
    path = folder / f"x.{ENDINGS.get(name, name.lower())}"
    top = [] if name == "HDF5" else [folder / "top.pdb"]
    out = folder / "out.json"
    arguments = [quantity, path, *top, *options, "--json", out, "--force"]
    write_trajectory(name, path, how.pop("trajectory"), **how)
    parser = ["analyze", *map(str, arguments)]
    from openmm_allegro.cli import main as module

    return module, parser, out


def run_or_raise(parser, capsys):
    capsys.readouterr()
    if main(parser) != 0:
        raise ValueError(capsys.readouterr().err.strip().splitlines()[-1])


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_times_of_trajectories(paths, name, capsys):
    folder, trajectory = paths

    def coefficient(*options, **how):
        how = {"trajectory": trajectory} | how
        _, parser, out = analysed(
            folder, name, "diffusion", "Li", "--keep-drift", *options, **how
        )
        run_or_raise(parser, capsys)
        row = rows_of(out)["Li", "D"]
        assert abs(row["value"] - COEFFICIENT) < 3 * row["error"]
        assert row["error"] < 0.3 * COEFFICIENT

    check(
        table("Trajectories")[name]["times"],
        [coefficient, lambda: coefficient(times=False)],
    )
    coefficient("--time-step", STEP, times=False)


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_positions_and_cells_of_trajectories(paths, name, capsys):
    folder, trajectory = paths

    def volume(**how):
        how = {"trajectory": trajectory[:60]} | how
        _, parser, out = analysed(folder, name, "rdf", "Li-Li", "--shell", 1.4, **how)
        run_or_raise(parser, capsys)
        content = json.loads(out.read_text())
        assert content["frames"][0]["mean_volume_nm3"] == pytest.approx(27, rel=1e-4)
        number = rows_of(out)["Li-Li", "coordination number"]["value"]
        expected = np.mean([len(p) for p in _near(trajectory[:60], 1.4)], dtype=float)
        assert number == pytest.approx(expected, rel=2e-2)

    other = None
    if name == "lammpstrj":

        def other():
            volume(scaled=True)

    check(table("Trajectories")[name]["positions"], [volume, other])
    check(
        table("Trajectories")[name]["box"],
        [volume, (lambda: volume(cells=False)) if name != "lammpstrj" else None],
    )


def test_units_of_a_dump_are_those_of_all_frames(paths):
    """LAMMPS writes them once, and the time of a frame before its step."""
    from openmm_allegro.runs.trajectories.lammps import index_dump, read_dump

    folder, trajectory = paths
    path = folder / "nano.lammpstrj"
    write_trajectory("lammpstrj", path, trajectory[:3])
    path.write_text(path.read_text().replace("UNITS\nmetal", "UNITS\nnano"))
    # Lengths in nm and times in ns, of numbers that were meant as Å and ps.
    np.testing.assert_allclose(index_dump(path).times, [0.0, 20.0, 40.0])
    for frame, xyz in zip(read_dump(path), trajectory.xyz, strict=False):
        np.testing.assert_allclose(frame.positions, 10 * xyz, atol=1e-5)
        np.testing.assert_allclose(frame.cell, 30 * np.eye(3), rtol=1e-6)


def _near(trajectory, radius):
    """Neighbours of each atom of each frame within a radius in nm."""
    side = trajectory.unitcell_lengths[0, 0]
    for frame in trajectory.xyz.astype(float):
        apart = frame[:, None] - frame
        apart -= side * np.round(apart / side)
        distance = np.linalg.norm(apart, axis=-1)
        for i, row in enumerate(distance):
            yield np.flatnonzero((row < radius) & (np.arange(len(row)) != i))


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_elements_of_trajectories(paths, name, capsys, tmp_path):
    """Those of the topology, but HDF5 and PDB files have their own."""
    if name not in ("HDF5", "PDB of frames"):
        assert table("Trajectories")[name]["elements"] == ["–", "–"]
        return
    path = tmp_path / f"x.{ENDINGS[name]}"

    def plain():
        trajectory = make_trajectory(np.zeros((2, 2, 3)), np.eye(3), ["Na", "Cl"])
        trajectory.save(str(path))
        assert [a.element.symbol for a in load_topology(path).atoms] == ["Na", "Cl"]

    def guessed():
        trajectory = make_trajectory(np.zeros((2, 2, 3)), np.eye(3), ["N", "C"])
        for atom, known in zip(trajectory.topology.atoms, ("NA", "CL"), strict=True):
            atom.name = atom.residue.name = known
        trajectory.save(str(path))
        load_topology(path)

    check(table("Trajectories")[name]["elements"], [plain, guessed])
