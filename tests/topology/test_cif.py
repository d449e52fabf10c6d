# SPDX-License-Identifier: MIT
"""Rows of PDBx/mmCIF files, and what libraries leave out of them."""

import gzip

import pytest

from openmm_allegro.topology.cif import check_sites, read_atom_sites

COLUMNS = "group_PDB id type_symbol label_atom_id label_alt_id pdbx_PDB_model_num"
ROWS = """\
ATOM 1 N N . 1
ATOM 2 C "C1'" A 1
ATOM 3 C "C1'" B 1
HETATM 4 ? 'SOD' ? 1
ATOM 1 N N . 2
"""


def write_cif(path, columns=COLUMNS, rows=ROWS):
    names = "".join(f"_atom_site.{name}\n" for name in columns.split())
    path.write_text(f"data_x\nloop_\n{names}{rows}#\n_cell.length_a 20\n")
    return path


def test_rows_of_the_first_model(tmp_path):
    sites = read_atom_sites(write_cif(tmp_path / "x.cif"))
    assert sites.ids == ["1", "2", "3", "4"]
    assert sites.stated == ["N", "C", "C", None]
    assert (sites.letters, sites.models) == ([".", "A", "B", "."], 2)


def test_alternatives_are_said_and_other_rows_are_atoms(tmp_path):
    sites = read_atom_sites(write_cif(tmp_path / "x.cif"))
    assert check_sites(sites, ["1", "2", "3", "4"], "x") == []
    assert "left out were 1 of B" in check_sites(sites, ["1", "2", "4"], "x")[0]
    with pytest.raises(ValueError, match="each of 4 rows of atom_site, found 3"):
        check_sites(sites, ["1", "2", "3"], "x")


@pytest.mark.parametrize("rows", ["", "ATOM 1 N\n"])
def test_no_rows(tmp_path, rows):
    with pytest.raises(ValueError, match="expected rows of 6 values"):
        read_atom_sites(write_cif(tmp_path / "x.cif", rows=rows))


def test_the_cif_of_a_crystal(tmp_path):
    path = tmp_path / "x.cif"
    path.write_text("data_x\nloop_\n_atom_site_label\n_atom_site_fract_x\nNa 0.5\n")
    with pytest.raises(ValueError, match=r"loop of _atom_site, found the CIF of a cr"):
        read_atom_sites(path)


def test_a_packed_file_that_is_damaged(tmp_path):
    path = tmp_path / "x.cif.gz"
    packed = gzip.compress(b"data_x\n" * 100)
    for content in (packed[:-12], packed[:20] + b"\xff" * 9, b"data_x"):
        path.write_bytes(content)
        with pytest.raises(OSError, match=f"whole file of gzip at {path}"):
            read_atom_sites(path)
