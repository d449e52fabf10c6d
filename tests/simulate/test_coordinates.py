# SPDX-License-Identifier: MIT
"""Topologies that simulations begin from, and those that they write."""

import re

import numpy as np
import openmm
import pytest
from openmm import Vec3, app, unit
from openmm_helpers import make_topology

from openmm_allegro.cli.main import main
from openmm_allegro.inputs.coordinates import read_coordinates
from openmm_allegro.modelfile import save_model
from openmm_allegro.runs.topology import load_topology
from openmm_allegro.simulate.atoms import describe_atoms, describe_start
from openmm_allegro.simulate.topology_file import _hybrid_36, write_topology
from openmm_allegro.structure.topology import topology_symbols
from openmm_allegro.topology.elements import NamesUnclear

SOD = """\
CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1           1
HETATM    1 SOD  SOD     1       5.000   5.000   5.000  1.00  0.00      HETA
HETATM    2 CLA  CLA     2       5.000   5.000   7.500  1.00  0.00      HETA
HETATM    3 LIT  LIT     3       5.000   8.000   5.000  1.00  0.00      HETA
END
"""
# Places and widths of the numbers of CRYST1.
CELL = ((0, "9.3f"), (3, "7.2f"))


def symbols(topology):
    return [a.element.symbol if a.element else None for a in topology.atoms()]


def bonds(topology):
    return {tuple(sorted((a.index, b.index))) for a, b in topology.bonds()}


def box_of(count, residues=("HOH",), names="O H1 H2", ids=None):
    """Molecules of three atoms, bonded in the middle of names."""
    topology = app.Topology()
    chain = topology.addChain("A")
    for i in range(count):
        place = residues[min(i, len(residues) - 1)], chain
        residue = topology.addResidue(*place, *([] if ids is None else [ids]))
        o, h, k = (
            topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            for name in names.split()
        )
        topology.addBond(o, h)
        topology.addBond(o, k)
    topology.setPeriodicBoxVectors(np.eye(3) * 15 * unit.nanometer)
    positions = np.arange(3 * count)[:, None] % 100 * 0.1 + np.zeros((3 * count, 3))
    return topology, positions * unit.nanometer


def test_ions_of_charmm(tmp_path):
    path = tmp_path / "sod.pdb"
    path.write_text(SOD)
    topology, positions = read_coordinates(path)
    assert symbols(topology) == ["Na", "Cl", "Li"]
    np.testing.assert_allclose(positions[1]._value, [0.5, 0.5, 0.75])
    path.write_text(SOD.replace("SOD  SOD", "SO1  SOD"))
    with pytest.raises(NamesUnclear, match=r"SO1 in SOD.*--elements 'SO1="):
        read_coordinates(path)
    assert symbols(read_coordinates(path, {"SO1": "Na"}).topology)[0] == "Na"


def test_like_openmm_where_nothing_is_unclear(tmp_path):
    """Names, bonds and boxes are those of OpenMM's reader."""
    topology, positions = box_of(4, residues=("LIG", "HOH"))
    write_topology(tmp_path / "x.pdb", topology, positions)
    expected, ours = app.PDBFile(str(tmp_path / "x.pdb")), None
    ours = read_coordinates(tmp_path / "x.pdb")
    for one, other in zip(
        expected.topology.atoms(), ours.topology.atoms(), strict=True
    ):
        assert (one.name, one.element, one.id) == (other.name, other.element, other.id)
        assert one.residue.name == other.residue.name
        assert one.residue.id == other.residue.id
    assert bonds(expected.topology) == bonds(ours.topology)
    vectors = expected.topology.getPeriodicBoxVectors()
    assert ours.topology.getPeriodicBoxVectors() == vectors
    np.testing.assert_allclose(
        ours.positions._value, expected.getPositions(asNumpy=True)._value, atol=1e-12
    )


def test_every_record_of_a_file_of_ase(tmp_path):
    ase = pytest.importorskip("ase")
    ase_io = pytest.importorskip("ase.io")
    numbers = [11, 17] * 160
    atoms = ase.Atoms(numbers, np.random.default_rng(0).random((320, 3)) * 20)
    atoms.set_cell([20, 20, 20])
    ase_io.write(tmp_path / "ase.pdb", atoms)
    topology, positions = read_coordinates(tmp_path / "ase.pdb")
    assert symbols(topology) == ["Na", "Cl"] * 160
    np.testing.assert_allclose(10 * positions._value, atoms.positions, atol=1e-3)
    assert load_topology(tmp_path / "ase.pdb").n_atoms == 320


def test_models_and_mmcif(tmp_path):
    topology, positions = box_of(2, residues=("LIG",))
    with open(tmp_path / "x.cif", "w") as file:
        app.PDBxFile.writeFile(topology, positions, file)
    read = read_coordinates(tmp_path / "x.cif")
    assert symbols(read.topology) == ["O", "H", "H"] * 2
    assert bonds(read.topology) == bonds(topology)
    with open(tmp_path / "models.pdb", "w") as file:
        for model in (1, 2):
            app.PDBFile.writeModel(topology, positions, file, model)
    with pytest.warns(UserWarning, match="took the first of 2 models"):
        assert len(symbols(read_coordinates(tmp_path / "models.pdb").topology)) == 6


def test_rows_of_mmcif_that_would_be_dropped(tmp_path):
    """A column of alternatives with another sign for none makes OpenMM drop atoms."""
    topology, positions = box_of(3)
    with open(tmp_path / "x.cif", "w") as file:
        app.PDBxFile.writeFile(topology, positions, file, keepIds=True)
    text = (tmp_path / "x.cif").read_text()
    lines = [
        " ".join([*line.split()[:4], "?", *line.split()[5:8], ".", *line.split()[9:]])
        if line.startswith(("HETATM", "ATOM"))
        else line
        for line in text.splitlines()
    ]
    (tmp_path / "x.cif").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="each of 9 rows of atom_site, found 3"):
        read_coordinates(tmp_path / "x.cif")


@pytest.mark.parametrize(
    ("residues", "names", "ids"),
    [
        (("LIG",), "O H1 H2", None),
        (("LIG",), "O H H", None),  # named by element
        (("LIG",), "O H H", "1"),  # residues of one number
        (("HOH",), "O H1 H2", "1"),
        (("TIP3", "ACET"), "O H1 H2", None),  # names of four letters
        (("HOH",), "Oxygen Hydro1 Hydro2", None),  # names that are cut
    ],
)
def test_what_is_written_is_read(tmp_path, residues, names, ids):
    topology, positions = box_of(40, residues, names, ids)
    write_topology(tmp_path / "x.pdb", topology, positions)
    read = read_coordinates(tmp_path / "x.pdb").topology
    seen = load_topology(tmp_path / "x.pdb", own=True)
    assert symbols(read) == symbols(topology)
    assert bonds(read) == bonds(topology)
    assert {(a.index, b.index) for a, b in seen.bonds} == bonds(topology)
    assert read.getNumResidues() == seen.n_residues == 40
    assert [r.name for r in read.residues()][-1] in (residues[-1], "HOH")


def test_virtual_sites_have_no_element(tmp_path):
    topology, positions = box_of(2)
    for atom in topology.atoms():
        if atom.name == "H2":
            atom.name, atom.element = "M", None
    write_topology(tmp_path / "x.pdb", topology, positions)
    assert symbols(read_coordinates(tmp_path / "x.pdb").topology)[2::3] == [None] * 2
    seen = load_topology(tmp_path / "x.pdb", own=True)
    assert [atom.element.symbol for atom in seen.atoms][2::3] == ["VS"] * 2


def test_bonds_of_100200_atoms(tmp_path):
    """The record has no limit at 99,999 atoms, nor at 9,999 residues."""
    topology, positions = box_of(33_400, residues=("LIG",))
    write_topology(tmp_path / "x.pdb", topology, positions)
    seen = load_topology(tmp_path / "x.pdb", own=True)
    assert (seen.n_atoms, seen.n_residues) == (100_200, 33_400)
    assert {(a.index, b.index) for a, b in seen.bonds} == bonds(topology)


@pytest.mark.slow
def test_bonds_of_half_a_million_atoms(tmp_path):
    """Beyond what five digits of OpenMM's hex hold."""
    topology, positions = box_of(166_800, residues=("LIG",))
    write_topology(tmp_path / "x.pdb", topology, positions)
    seen = load_topology(tmp_path / "x.pdb", own=True)
    assert {(a.index, b.index) for a, b in seen.bonds} == bonds(topology)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((1, "    1"), (99_999, "99999"), (100_000, "A0000"), (100_035, "A000Z")),
        *((43_770_015, "ZZZZZ"), (43_770_016, "a0000"), (87_440_031, "zzzzz")),
    ],
)
def test_hybrid_36(number, text):
    """As http://cci.lbl.gov/hybrid_36 has them."""
    assert _hybrid_36(number) == text


def test_first_line_of_a_run():
    topology, _ = box_of(1000)
    topology.setPeriodicBoxVectors(np.eye(3) * 3.104 * unit.nanometer)
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors())
    assert describe_atoms(topology, system) == (
        "3,000 atoms (H 2,000, O 1,000), no box"
    )
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.PME)
    system.addForce(force)
    assert describe_atoms(topology, system) == (
        "3,000 atoms (H 2,000, O 1,000), box 3.104 x 3.104 x 3.104 nm, 1 g/cm³"
    )
    tilted = [Vec3(3, 0, 0), Vec3(1.5, 3, 0), Vec3(0, 0, 3)] * unit.nanometer
    system.setDefaultPeriodicBoxVectors(*tilted)
    assert "(90.0, 90.0, 63.4 degrees)" in describe_atoms(topology, system)
    forces = [{"backend": "x"}, {"backend": "y", "backend_reason": "y, as it is"}] * 2
    text = describe_start(topology, system, forces)
    assert text.endswith(" g/cm³; backend x; backend y, as it is")


def test_a_topology_whose_elements_openmm_guessed(tmp_path):
    path = tmp_path / "sod.pdb"
    path.write_text(SOD)
    guessed = app.PDBFile(str(path)).topology
    with pytest.raises(NamesUnclear, match="expected Na for atoms SOD of SOD, found S"):
        topology_symbols(guessed)
    topology, _ = read_coordinates(path)
    assert topology_symbols(topology) == ("Na", "Cl", "Li")


@pytest.fixture
def inputs(model, water_box, tmp_path):
    """Model, and water named so that nobody knows its elements."""
    symbols, positions, box = water_box
    save_model(model, tmp_path / "model.safetensors")
    lengths = "".join(f"{10 * x:9.3f}" for x in np.diag(box))
    lines = [f"CRYST1{lengths}  90.00  90.00  90.00 P 1           1"]
    for i, (symbol, place) in enumerate(zip(symbols, 10 * positions, strict=True)):
        x = "".join(f"{value:8.3f}" for value in place)
        lines.append(f"ATOM  {i + 1:5d}  {symbol}X  LIG A{i // 3 + 1:4d}    {x}  1.00")
    (tmp_path / "x.pdb").write_text("\n".join([*lines, "END", ""]))
    return tmp_path


def test_elements_on_the_command_line_and_in_toml(inputs, capsys, caplog):
    files = [str(inputs / "model.safetensors"), str(inputs / "x.pdb")]
    output = ["--output", str(inputs / "run"), "--steps", "2", "--report-interval", "1"]
    output += ["--backend", "native", "--platform", "Reference", "--no-minimize"]
    assert main(["simulate", *files, *output]) == 2
    assert "OX in LIG, HX in LIG" in capsys.readouterr().err
    assert not (inputs / "run.json").exists()
    with caplog.at_level("INFO"):
        assert main(["simulate", *files, *output, "--elements", "OX=O", "HX=H"]) == 0
    lines = [record.message for record in caplog.records]
    first = next(line for line in lines if " atoms (" in line)
    assert first.startswith(f"{len(symbols_of(inputs / 'run.pdb'))} atoms (H ")
    assert "g/cm³" in first
    # the run's own topology states them
    assert set(symbols_of(inputs / "run.pdb")) == {"O", "H"}
    (inputs / "x.toml").write_text(
        "[system]\ntopology = 'x.pdb'\nmodel = 'model.safetensors'\n"
        "backend = 'native'\nelements = {OX = 'O', 'LIG:H*' = 'H'}\n"
        "[[stages]]\nname = 'x'\nsteps = 2\nreport_interval = 1\n"
    )
    output = ["--output", str(inputs / "protocol"), "--platform", "Reference"]
    assert main(["simulate", str(inputs / "x.toml"), *output]) == 0
    assert set(symbols_of(inputs / "protocol" / "1-x.pdb")) == {"O", "H"}


def symbols_of(path):
    return symbols(read_coordinates(path).topology)


@pytest.mark.parametrize(
    "cell",
    [
        (20, 20, 0, 90, 90, 90),  # a slab's, as ASE writes it
        (-20, 20, 20, 90, 90, 90),
        (20, 20, 20, 90, 20, 10),
        (20, 20, 20, 0, 0, 0),
        (20, 20, float("nan"), 90, 90, 90),
    ],
)
def test_a_cell_that_is_impossible(tmp_path, cell):
    edges, angles = ("".join(f"{x:{n}}" for x in cell[i : i + 3]) for i, n in CELL)
    lines = SOD.splitlines()
    path = tmp_path / "x.pdb"
    path.write_text("\n".join([f"CRYST1{edges}{angles} P 1", *lines[1:]]))
    with pytest.raises(ValueError, match=r"three lengths above 0 .* found"):
        read_coordinates(path)
    assert load_topology(path).n_atoms == 3  # an analysis has other cells


def test_a_cell_of_zeros_is_none(tmp_path):
    path = tmp_path / "x.pdb"
    path.write_text(SOD.replace("20.000", " 0.000"))
    assert read_coordinates(path).topology.getPeriodicBoxVectors() is None


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("angle_beta", "9e29"),
        ("angle_beta", "-90"),
        ("length_c", "0"),
        ("length_a", "nan"),
    ],
)
def test_a_cell_of_cif_that_is_none(tmp_path, item, value):
    """OpenMM takes the cosine of any angle."""
    topology = make_topology(["Ar", "Ar"], np.eye(3) * 3)
    path = tmp_path / "x.cif"
    with open(path, "w") as file:
        positions = np.array([[0, 0, 0], [1, 1, 1.0]]) * unit.nanometer
        app.PDBxFile.writeFile(topology, positions, file)
    assert read_coordinates(path).topology.getNumAtoms() == 2
    text = path.read_text()
    path.write_text(re.sub(rf"_cell\.{item}\s+\S+", f"_cell.{item} {value}", text))
    with pytest.raises(ValueError, match=r"x\.cif"):
        read_coordinates(path)
