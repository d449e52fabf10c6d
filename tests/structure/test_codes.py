# SPDX-License-Identifier: MIT
"""Labels from the output files of codes: free energies, signs and orders of stress."""

import logging

import numpy as np
import pytest

from openmm_allegro.structure import read_structures

FORCES = [[0.1, 0.0, -0.2], [-0.1, 0.0, 0.2]]
# kbar, positive under compression, as VASP has it
PRESSURE = np.array([[10.0, 0.4, 0.6], [0.4, 20.0, 0.5], [0.6, 0.5, 30.0]])
KBAR = 0.000624150907  # eV/Å³


def rows(numbers):
    return "".join(f"<v> {' '.join(map(str, row))} </v>" for row in numbers)


def vasprun(steps=2):
    """Two atoms of Al, as VASP writes them."""
    basis = f'<varray name="basis">{rows(np.diag([4, 5, 6]))}</varray>'
    structure = (
        f"<crystal>{basis}</crystal>"
        f'<varray name="positions">{rows([[0, 0, 0], [0.5, 0.5, 0.5]])}</varray>'
    )
    calculation = (
        '<calculation><scstep><energy><i name="e_fr_energy">-7.30</i>'
        '<i name="e_0_energy">-7.26</i></energy></scstep>'
        f"<structure>{structure}</structure>"
        f'<varray name="forces">{rows(FORCES)}</varray>'
        f'<varray name="stress">{rows(PRESSURE)}</varray>'
        '<energy><i name="e_fr_energy">-7.30</i></energy></calculation>'
    )
    return (
        "<modeling><kpoints></kpoints><atominfo>"
        '<array name="atoms"><set><rc><c>Al</c></rc><rc><c>Al</c></rc></set></array>'
        f'</atominfo><structure name="initialpos">{structure}</structure>'
        f"{steps * calculation}</modeling>"
    )


def outcar():
    xx, yy, zz, xy, yz, zx = PRESSURE[[0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 0]]
    positions = [[0, 0, 0], [2, 2.5, 3]]
    table = "".join(
        " ".join(map(str, (*place, *force))) + "\n"
        for place, force in zip(positions, FORCES, strict=True)
    )
    return f""" POTCAR:    PAW_PBE Al 04Jan2001
 POTCAR:    PAW_PBE Al 04Jan2001
   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   \
number of bands    NBANDS=      8
   ISPIN  =      1    spin polarized calculation?
   ions per type =               2
 k-points in reciprocal lattice and weights: x
   0.0 0.0 0.0 1.0
---------------------------- Iteration    1(   1)  ---------------------------
  in kB  {xx} {yy} {zz} {xy} {yz} {zx}
 direct lattice vectors                 reciprocal lattice vectors
 4.0 0.0 0.0 0.25 0.0 0.0
 0.0 5.0 0.0 0.0 0.2 0.0
 0.0 0.0 6.0 0.0 0.0 0.1667
 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------
{table} -----------------------------------------------------------
  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =        -7.30 eV

  energy  without entropy=       -7.22  energy(sigma->0) =       -7.26
"""


@pytest.mark.parametrize(
    ("name", "text"), [("vasprun.xml", vasprun()), ("OUTCAR", outcar())]
)
def test_vasp(tmp_path, caplog, name, text):
    path = tmp_path / name
    path.write_text(text)
    with caplog.at_level(logging.INFO):
        s = read_structures(path)[-1]
    assert s.symbols == ("Al", "Al") and s.periodic.all()
    assert s.energy == pytest.approx(-7.30)
    (message,) = caplog.messages
    assert name in message and "free energies" in message and "20 meV/atom" in message
    np.testing.assert_allclose(s.forces, FORCES)
    np.testing.assert_allclose(s.stress, -KBAR * PRESSURE, rtol=1e-6)
    caplog.clear()
    s = read_structures(path, energy_key="energy")[-1]
    assert s.energy == pytest.approx(-7.26) and not caplog.messages
    with pytest.raises(ValueError, match=rf"{name}: expected eV and Å.*'kcal/mol'"):
        read_structures(path, energy_unit="kcal/mol")


@pytest.mark.parametrize("key", ["lattice", "LATTICE", "Pbc", "PROPERTIES"])
def test_keys_that_ase_overlooks(tmp_path, key):
    text = (
        '1\nLattice="4 0 0 0 5 0 0 0 6" pbc="T T F" Properties=species:S:1:pos:R:3 '
        "energy=-1\nH 0 0 0\n"
    )
    for known in ("Lattice", "Properties", "pbc"):
        if known.lower() == key.lower():
            text = text.replace(known, key)
    path = tmp_path / "frames.extxyz"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"frame 0: expected .*, found {key}="):
        read_structures(path)
