# SPDX-License-Identifier: MIT
"""Files of extended XYZ of which ase would overlook something."""

import gzip
import lzma

import pytest

from openmm_allegro.structure import read_structures


def frame(pbc="T T T"):
    return (
        f'1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc={pbc!r} '
        "energy=-1\nH 0 0 0\n"
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "frames.extxyz"


def test_empty_lines_between_frames(path):
    """Ase stops at them, and the rest would be missing."""
    path.write_text(frame() + frame() + "\n \n")
    assert len(read_structures(path)) == 2
    path.write_text(frame() + "\n" + frame())
    with pytest.raises(ValueError, match=r"frames.extxyz, frame 1: .*empty lines"):
        read_structures(path)
    packed = path.with_suffix(".xyz.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ValueError, match=r"xyz.gz, frame 1: .*empty lines"):
        read_structures(packed)


@pytest.mark.parametrize(
    ("ending", "compress"), [("gz", gzip.compress), ("xz", lzma.compress)]
)
def test_damaged_archives(tmp_path, ending, compress):
    path = tmp_path / f"frames.xyz.{ending}"
    content = compress(100 * frame().encode())
    path.write_bytes(content)
    assert len(read_structures(path)) == 100
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match=rf"xyz.{ending}, frame 0: .*EOFError"):
        read_structures(path)


@pytest.mark.parametrize("number", [999_999_999_999, -1])
def test_numbers_of_atoms_that_no_file_holds(path, number):
    path.write_text(frame() + frame().replace("1\n", f"{number}\n", 1))
    with pytest.raises(ValueError, match=rf"frame 1: .*number of atoms .* {number}"):
        read_structures(path)


@pytest.mark.parametrize(
    ("pbc", "periodic"),
    [
        ("T T F", [True, True, False]),
        ("True true FALSE", [True, True, False]),
        ("1 1 0", [True, True, False]),
        ("T,T,F", [True, True, False]),
        ("F", [False] * 3),
    ],
)
def test_periodicities(path, pbc, periodic):
    path.write_text(frame(pbc))
    assert read_structures(path)[0].periodic.tolist() == periodic


@pytest.mark.parametrize(
    "pbc", ["f f f", "yes yes no", "no", ".F. .F. .F.", "2 2 0", "[T, T, F]"]
)
def test_periodicities_that_ase_takes_for_true(path, pbc):
    path.write_text(frame() + frame(pbc))
    with pytest.raises(ValueError, match=r'frame 1: expected pbc="T T F".*found pbc='):
        read_structures(path)


@pytest.mark.parametrize("symbol", ["D", "1", "Hw"])
def test_symbols_that_are_none(path, symbol):
    path.write_text(frame().replace("H ", f"{symbol} "))
    with pytest.raises(ValueError, match=rf"frame 0: .*found '{symbol}', which is no"):
        read_structures(path)
