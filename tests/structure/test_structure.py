# SPDX-License-Identifier: MIT
"""Reading structures and labels, and refusing what cannot be used."""

import numpy as np
import pytest
from training_helpers import ETHANOL, LIQUID, ethanol, liquid

from openmm_allegro.structure import (
    check_cell,
    from_ase,
    read_structures,
    topology_symbols,
)

PLAIN = """2
Lattice="4 0 0 0 5 0 0 0 6" Properties=species:S:1:pos:R:3:forces:R:3 energy=-3.5 \
pbc="T T T"
H 0.0 0.0 0.0 0.1 0.0 0.0
O 0.0 0.0 1.0 -0.1 0.0 0.0
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="frames.extxyz"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_reads_labels_as_they_stand_in_the_file():
    fields = LIQUID.read_text().splitlines()
    energy = float(fields[1].split("energy=")[1].split()[0])
    first = [float(x) for x in fields[2].split()[1:]]
    s = liquid()[0]
    assert len(s) == 160 and s.symbols[0] == fields[2].split()[0]
    assert s.energy == energy
    np.testing.assert_array_equal(s.positions[0], first[:3])
    np.testing.assert_array_equal(s.forces[0], first[3:])
    np.testing.assert_array_equal(s.cell, 16 * np.eye(3))
    assert s.periodic.all() and s.volume == pytest.approx(4096)


def test_stress_is_a_symmetric_matrix_in_the_sign_of_the_file():
    comment = LIQUID.read_text().splitlines()[1]
    written = [float(x) for x in comment.split('stress="')[1].split('"')[0].split()]
    stress = liquid()[0].stress
    assert stress.shape == (3, 3)
    np.testing.assert_array_equal(stress, np.reshape(written, (3, 3)))
    np.testing.assert_array_equal(stress, stress.T)


def test_stress_is_positive_under_tension():
    """Against ase: a stretched crystal of argon pulls its box together."""
    from ase.build import bulk
    from ase.calculators.lj import LennardJones

    stretched = bulk("Ar", "fcc", a=1.7, cubic=True)
    stretched.calc = LennardJones()
    stretched.get_stress()
    assert np.linalg.eigvalsh(from_ase(stretched).stress).min() > 0
    stretched.rattle(0.1)
    with pytest.raises(ValueError, match="found those of other positions"):
        from_ase(stretched)


def test_molecule_has_no_box_and_no_stress():
    s = ethanol()[0]
    assert len(ethanol()) == 20 and len(s) == 9
    assert not s.periodic.any() and s.volume == 0 and s.stress is None
    assert sorted(s.symbols) == ["C"] * 2 + ["H"] * 6 + ["O"]


def test_reads_several_files_in_order():
    both = read_structures([ETHANOL, str(LIQUID)])
    assert [len(s) for s in both] == [9] * 20 + [160] * 4


def test_reads_a_name_with_an_at_sign(write):
    assert len(read_structures(write(PLAIN, "frames@300.extxyz"))) == 1


def test_unlabelled_structures_are_read_when_no_labels_are_wanted(write):
    path = write("1\n\nH 0 0 0\n", "hydrogen.xyz")
    (s,) = read_structures(path, labels=False)
    assert s.symbols == ("H",) and s.energy is None and s.forces is None
    with pytest.raises(ValueError, match=r"expected an energy .* found none; keys"):
        read_structures(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a file of structures"):
        read_structures(tmp_path / "nothing.extxyz")
    with pytest.raises(FileNotFoundError, match=r"expected a file of structures"):
        read_structures(tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "empty.extxyz"),
        ("", "empty.xyz"),
        ("Dear reader,\nthis is a letter.\n", "letter.extxyz"),
        ("Dear reader,\nthis is a letter.\n", "letter.txt"),
        (PLAIN[:-30], "truncated.extxyz"),
        (PLAIN.replace("O 0.0 0.0 1.0", "O 0.0 0.0 up"), "letters.extxyz"),
        (PLAIN.replace("O 0.0", "Qq 0.0"), "element.extxyz"),
    ],
)
def test_no_structure(write, text, name):
    with pytest.raises(ValueError, match=rf"{name}.*expected.*found"):
        read_structures(write(text, name))


def test_binary_file(tmp_path):
    path = tmp_path / "noise.extxyz"
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ValueError, match=r"expected a structure that ase can read"):
        read_structures(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("energy=-3.5 ", "", r"expected an energy .* found forces without one"),
        ("O 0.0", "O nan", r"expected finite positions, found NaN"),
        ("O 0.0", "O inf", r"expected finite positions, found NaN or infinity"),
        ("-3.5", "nan", r"expected finite energy"),
        ("-0.1", "nan", r"expected finite forces"),
        ('pbc="T T T"', 'stress="n 0 0 0 0 0 0 0 0"'.replace("n", "nan"), "stress"),
        ("4 0 0 0 5", "nan 0 0 0 5", r"expected finite cell"),
        ('Lattice="4 0 0 0 5 0 0 0 6" ', "", r"expected a cell vector in each"),
        ("0 0 6", "0 0 0", r"expected a cell vector in each periodic direction"),
        ("0 0 6", "8 10 0", r"expected three independent box vectors.*degenerate"),
    ],
)
def test_unusable_frame_is_refused_with_its_number(write, old, new, message):
    broken = PLAIN.replace(old, new)
    assert broken != PLAIN
    with pytest.raises(ValueError, match=rf"frame 1: .*{message}"):
        read_structures(write(PLAIN + broken))


def test_a_slab_needs_two_independent_vectors(write):
    text = PLAIN.replace("0 5 0", "8 0 0").replace("T T T", "T T F")
    with pytest.raises(ValueError, match=r"independent cell vectors .*degenerate"):
        read_structures(write(text))


def test_a_periodic_wire_needs_one_vector(write):
    text = PLAIN.replace("0 0 6", "0 0 0").replace("T T T", "T F F")
    (s,) = read_structures(write(text))
    assert s.periodic.tolist() == [True, False, False]


@pytest.mark.parametrize(
    "cell",
    [
        np.zeros((3, 3)),
        np.ones((3, 3)),
        np.diag([1.0, 1.0, 1e-7]),
        np.diag([1, 1, np.nan]),
    ],
)
def test_degenerate_boxes(cell):
    with pytest.raises(ValueError, match=r"box: expected three independent .* found"):
        check_cell(cell, "box")


def test_small_and_tilted_boxes_are_fine():
    check_cell(np.diag([0.5, 0.5, 0.5]), "box")
    check_cell(np.array([[9.0, 0, 0], [4.4, 7.0, 0], [4.4, 3.0, 6.0]]), "box")


def test_topology_symbols():
    from openmm import app

    topology = app.Topology()
    residue = topology.addResidue("HOH", topology.addChain())
    for name, symbol in (("O", "O"), ("H1", "H"), ("NA", "Na")):
        topology.addAtom(name, app.Element.getBySymbol(symbol), residue)
    assert topology_symbols(topology) == ("O", "H", "Na")
    topology.addAtom("M", None, residue)
    with pytest.raises(
        ValueError, match=r"expected an element .* atom 3 \(M of HOH 1\)"
    ):
        topology_symbols(topology)


def test_elements_of_names(tmp_path):
    """ase takes SOD of a PDB file for sulfur, as it does NA of a .gro for sodium."""
    line = "ATOM      1 SOD  SOD     1       5.000   5.000   5.000  1.00  0.00"
    (tmp_path / "x.pdb").write_text(f"{line}      HETA\nEND\n")
    (tmp_path / "x.gro").write_text(
        "x\n    1\n    1CLA    CLA    1   0.100   0.100   0.100\n 2.0 2.0 2.0\n"
    )
    for name, symbol in (("x.pdb", "Na"), ("x.gro", "Cl")):
        (structure,) = read_structures(tmp_path / name, labels=False)
        assert structure.symbols == (symbol,)
    text = (tmp_path / "x.pdb").read_text().replace("SOD  SOD", "C1   LIG")
    (tmp_path / "x.pdb").write_text(text)
    with pytest.raises(ValueError, match="names alone for 1 of them"):
        read_structures(tmp_path / "x.pdb", labels=False)


def test_types_of_lammps_are_no_elements(tmp_path):
    dump = (
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n"
        "0 9\n0 9\n0 9\nITEM: ATOMS id type {} x y z\n1 2 {} 1 2 3\n"
    )
    path = tmp_path / "x.lammpstrj"
    path.write_text(dump.format("element", "Cl"))
    assert read_structures(path, labels=False)[0].symbols == ("Cl",)
    path.write_text(dump.format("q", "-1.0"))
    with pytest.raises(ValueError, match=r"column of elements .* found types alone"):
        read_structures(path, labels=False)
