# SPDX-License-Identifier: MIT
"""Elements of topologies in all formats, whose readers guess them from names."""

from dataclasses import replace

import mdtraj
import numpy as np
import pytest
from report_helpers import write_velocities

from openmm_allegro.cli.main import main
from openmm_allegro.runs.frames import read_topology
from openmm_allegro.runs.run import Run
from openmm_allegro.runs.species import find_kinds, masses_of
from openmm_allegro.runs.topology import load_topology
from openmm_allegro.runs.velocities import velocities_between
from openmm_allegro.runs.window import Window
from openmm_allegro.topology.elements import NamesUnclear

pytestmark = pytest.mark.usefixtures("read_here")

# Names as GROMACS, CHARMM and Amber write them, and the elements that they are.
IONS = {
    "gromacs": (["NA", "CL", "K", "CA"], ["Na", "Cl", "K", "Ca"]),
    "charmm": (["SOD", "CLA", "POT", "CES"], ["Na", "Cl", "K", "Cs"]),
    "amber": (["Na+", "Cl-", "K+", "Cs+"], ["Na", "Cl", "K", "Cs"]),
}


def write_pdb(path, names, elements=None):
    with open(path, "w") as file:
        file.write("CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 P 1\n")
        for i, name in enumerate(names):
            element = elements[i] if elements else ""
            file.write(
                f"ATOM  {i + 1:5d}  {name:<3} {name:<3}  {i + 1:4d}    "
                f"{2 * i:8.3f}{0:8.3f}{0:8.3f}  1.00  0.00          {element:>2}\n"
            )
        file.write("END\n")


def write_gro(path, names):
    lines = ["ions", str(len(names))]
    for i, name in enumerate(names):
        lines.append(
            f"{i + 1:5d}{name:<5}{name:>5}{i + 1:5d}{0.2 * i:8.3f}   0.0   0.0"
        )
    path.write_text("\n".join([*lines, "   2.0   2.0   2.0", ""]))


def write_psf(path, names, masses):
    lines = [
        "PSF",
        "",
        "       1 !NTITLE",
        " REMARKS ions",
        "",
        f"{len(names):8d} !NATOM",
    ]
    for i, (name, mass) in enumerate(zip(names, masses, strict=True), start=1):
        lines.append(f"{i:8d} IONS {i:<4d} {name:<4} {name:<4} {name:<4} 0.0 {mass} 0")
    path.write_text("\n".join([*lines, "", "       0 !NBOND: bonds", "", "", ""]))


def write_prmtop(path, names):
    count = len(names)
    pointers = [count, *[0] * 10, count, *[0] * 19]
    path.write_text(
        "%VERSION  VERSION_STAMP = V0001.000\n%FLAG TITLE\n%FORMAT(20a4)\nions\n"
        "%FLAG POINTERS\n%FORMAT(10I8)\n"
        + "\n".join(
            "".join(f"{p:8d}" for p in pointers[i : i + 10]) for i in range(0, 31, 10)
        )
        + "\n%FLAG ATOM_NAME\n%FORMAT(20a4)\n"
        + "".join(f"{name:<4}" for name in names)
        + "\n%FLAG RESIDUE_LABEL\n%FORMAT(20a4)\n"
        + "".join(f"{name:<4}" for name in names)
        + "\n%FLAG RESIDUE_POINTER\n%FORMAT(10I8)\n"
        + "".join(f"{i + 1:8d}" for i in range(count))
        + "\n%FLAG BONDS_INC_HYDROGEN\n%FORMAT(10I8)\n\n"
        "%FLAG BONDS_WITHOUT_HYDROGEN\n%FORMAT(10I8)\n\n"
    )


def symbols(topology):
    return [atom.element.symbol for atom in topology.atoms]


@pytest.mark.parametrize("names", IONS)
@pytest.mark.parametrize("ending", ["pdb", "gro", "psf", "prmtop", "h5", "cif"])
def test_ions(tmp_path, names, ending):
    names, elements = IONS[names]
    path = tmp_path / f"ions.{ending}"
    if ending == "pdb":
        write_pdb(path, names)
    elif ending == "gro":
        write_gro(path, names)
    elif ending == "psf":  # with masses of another's making
        write_psf(path, names, [9.0] * 4)
    elif ending == "prmtop":
        write_prmtop(path, names)
    else:  # formats that state elements
        write_pdb(tmp_path / "stated.pdb", names, elements)
        topology = load_topology(tmp_path / "stated.pdb")
        trajectory = mdtraj.Trajectory(np.zeros((1, 4, 3)), topology)
        trajectory.save(str(path))
    assert symbols(load_topology(path)) == elements


def test_a_molecule_of_a_gro_file_is_asked_for(tmp_path):
    path = tmp_path / "x.gro"
    write_gro(path, ["C1", "NA"])
    with pytest.raises(NamesUnclear, match=r"1 of them \(C1 in C1\)"):
        load_topology(path)
    assert symbols(load_topology(path, {"C1": "C"})) == ["C", "Na"]


def test_masses_of_a_psf_file(tmp_path):
    """Masses tell elements unless hydrogens were made heavier, or CH2 is one atom."""
    path = tmp_path / "x.psf"
    names = ["C1", "N1", "H1", "X1"]
    write_psf(path, names, [12.011, 14.007, 1.008, 0.0])
    assert symbols(load_topology(path)) == ["C", "N", "H", "VS"]
    write_psf(path, names, [12.011, 14.027, 3.024, 0.0])
    with pytest.raises(NamesUnclear, match=r"2 of them .N1 in N1, H1 in H1"):
        load_topology(path)


def test_an_hdf5_file_made_of_a_guess(tmp_path):
    """mdtraj takes NA of a .gro for nitrogen, and writes that down."""
    write_gro(tmp_path / "x.gro", ["NA", "CL"])
    guessed = mdtraj.load(str(tmp_path / "x.gro"))
    assert symbols(guessed.topology) != ["Na", "Cl"]
    guessed.save(str(tmp_path / "x.h5"))
    with pytest.raises(NamesUnclear, match="N for NA in NA"):
        load_topology(tmp_path / "x.h5")
    known = load_topology(tmp_path / "x.h5", {"NA": "Na", "CL": "Cl"})
    assert symbols(known) == ["Na", "Cl"]


def test_alternate_locations_and_named_alike(tmp_path):
    path = tmp_path / "x.pdb"
    write_pdb(path, ["C", "C", "C"], ["C", "C", "C"])
    text = path.read_text()
    path.write_text(text.replace("C  C      2", "C  C      1"))
    assert load_topology(path).n_atoms == 3
    lines = text.splitlines()
    for i, letter in ((1, "A"), (2, "B")):
        lines[i] = lines[i][:16] + letter + lines[i][17:22] + "   1" + lines[i][26:]
    path.write_text("\n".join(lines))
    with pytest.warns(UserWarning, match="left out were 1 of B"):
        assert load_topology(path).n_atoms == 2


def test_option_of_analyze(tmp_path, capsys):
    """The same densities and numbers from all topologies, or a question."""
    names = ["NA", "CL"] * 10
    write_pdb(tmp_path / "stated.pdb", names, ["NA", "CL"] * 10)
    write_gro(tmp_path / "x.gro", names)
    write_gro(tmp_path / "odd.gro", ["N1", "CL"] * 10)
    rng = np.random.default_rng(0)
    frames = mdtraj.Trajectory(
        rng.random((50, 20, 3)) * 2,
        load_topology(tmp_path / "stated.pdb"),
        time=np.arange(50.0),
        unitcell_lengths=np.full((50, 3), 2.0),
        unitcell_angles=np.full((50, 3), 90.0),
    )
    frames.save(str(tmp_path / "x.xtc"))
    source = ["analyze", "rdf", str(tmp_path / "x.xtc")]

    def output(topology, *more):
        status = main([*source, str(tmp_path / topology), *more])
        captured = capsys.readouterr()
        return captured.err if status else captured.out

    # carbon and nitrogen in their places would weigh 54
    mass = masses_of(load_topology(tmp_path / "x.gro")).sum()
    assert mass * 1.66054 / 2.0**3 == pytest.approx(121.3, abs=0.1)  # kg/m³
    expected = output("stated.pdb", "Na-Cl")
    assert "Na-Cl" in expected
    assert output("x.gro", "Na-Cl") == expected
    assert "N1 in N1" in output("odd.gro", "Na-Cl")
    assert output("odd.gro", "Na-Cl", "--elements", "N1=Na") == expected


def test_velocities_of_a_file_made_of_a_guess(tmp_path):
    write_gro(tmp_path / "x.gro", ["NA", "CL"] * 4)
    topology = mdtraj.load(str(tmp_path / "x.gro")).topology
    values = np.ones((20, 8, 3))
    write_velocities(tmp_path / "x.h5", topology, values, 0.01)
    run = Run("x", tmp_path / "x.h5", velocities=tmp_path / "x.h5")
    with pytest.raises(NamesUnclear, match="N for NA in NA"):
        velocities_between(run, Window(), "element Na")
    run = replace(run, elements={"NA": "Na", "CL": "Cl"})
    velocities = velocities_between(run, Window(), "element Na", None)
    assert velocities.atoms.tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(velocities.masses, 22.99, atol=0.01)


def test_a_run_is_read_with_its_own_elements(tmp_path):
    """A prefix, whatever its names; frames of HDF5 have checked elements, too."""
    write_pdb(tmp_path / "x.pdb", ["SOD", "CLA"], ["S", "CL"])
    (tmp_path / "x.json").write_text("{}")
    run = Run("x", topology=tmp_path / "x.pdb")
    with pytest.raises(NamesUnclear, match="S for SOD"):
        read_topology(run)
    own = replace(run, record_file=tmp_path / "x.json")
    assert symbols(read_topology(own)) == ["S", "Cl"]


def test_sites_of_water_belong_to_it(tmp_path):
    lines = ["x", "8"]
    for i in range(8):
        name = ("OW", "HW1", "HW2", "MW")[i % 4]
        lines.append(f"{i // 4 + 1:5d}SOL  {name:>5}{i + 1:5d}   0.000   0.000   0.000")
    (tmp_path / "x.gro").write_text("\n".join([*lines, "   2.0   2.0   2.0", ""]))
    topology = load_topology(tmp_path / "x.gro")
    assert symbols(topology) == ["O", "H", "H", "VS"] * 2
    assert [kind.name for kind in find_kinds(topology)] == ["water"]


def test_types_of_a_mol2_file(tmp_path):
    """GAFF's ca, na, os and ho are no metals; Amber's say nothing."""
    path = tmp_path / "x.mol2"

    def write(kinds, number=1):
        rows = "".join(
            f"{i} {kind[0].upper()}{i} {i}.0 0.0 0.0 {kind} 1 LIG 0.1\n"
            for i, kind in enumerate(kinds, start=1)
        )
        text = "@<TRIPOS>MOLECULE\nx\n1 1\nSMALL\nbcc\n@<TRIPOS>ATOM\n"
        text += f"{rows}@<TRIPOS>BOND\n1 1 2 1\n"
        path.write_text(text * number)

    write(["ca", "na", "os", "ho", "cs", "nb", "cl"])
    symbols = [atom.element.symbol for atom in load_topology(path).atoms]
    assert symbols == ["C", "N", "O", "H", "C", "N", "Cl"]
    write(["C.3", "N.ar", "Cl", "H", "Na"])
    symbols = [atom.element.symbol for atom in load_topology(path).atoms]
    assert symbols == ["C", "N", "Cl", "H", "Na"]
    write(["CA", "OS", "CT"])
    with pytest.raises(NamesUnclear, match="C1 in LIG, O2 in LIG, C3 in LIG"):
        load_topology(path)
    write(["C.3", "N.ar"], number=2)
    with pytest.raises(ValueError, match="expected one molecule, found 2"):
        load_topology(path)
