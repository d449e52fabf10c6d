# SPDX-License-Identifier: MIT
"""Labels in formats that ase reads, and of its calculators."""

import ase
import ase.db
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from openmm_allegro.structure import from_ase, read_structures
from openmm_allegro.structure.labels.settings import LabelSettings

FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
TENSOR = np.array([[1.0, 0.2, 0.3], [0.2, 2.0, 0.1], [0.3, 0.1, -1.5]])


def test_formats_of_ase(tmp_path, caplog):
    """Labels come through each format, and ase.db's key-value pairs too."""
    atoms = ase.Atoms("HO", [[0, 0, 0], [0, 0, 1]], cell=[4, 5, 6], pbc=True)
    plain = atoms.copy()
    plain.calc = SinglePointCalculator(
        plain, energy=-5.0, forces=FORCES, stress=TENSOR.flatten()[[0, 4, 8, 5, 2, 1]]
    )
    for name in ("a.traj", "a.db", "a.json", "a.extxyz"):
        ase.io.write(tmp_path / name, [plain, plain])
        first, second = read_structures(tmp_path / name)
        assert first.energy == second.energy == -5
        np.testing.assert_array_equal(second.forces, FORCES)
        np.testing.assert_array_equal(second.stress, TENSOR)
    assert not caplog.messages
    with ase.db.connect(tmp_path / "b.db") as database:
        database.write(
            atoms, REF_energy=-7.0, config_weight=2.0, data={"REF_forces": FORCES}
        )
    (s,) = read_structures(tmp_path / "b.db")
    assert s.energy == -7 and s.weights == (2, 2, 2)
    np.testing.assert_array_equal(s.forces, FORCES)


def test_units_are_refused_where_ase_converts(tmp_path):
    atoms = ase.Atoms("H", [[0, 0, 0]], cell=[4, 5, 6], pbc=True)
    ase.io.write(tmp_path / "POSCAR", atoms)
    with pytest.raises(ValueError, match=r"POSCAR: expected eV and Å.* format vasp"):
        read_structures(tmp_path / "POSCAR", labels=False, energy_unit="hartree")


def test_files_that_ase_does_not_know(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"a.npz, frame 0: .*does not know \(npz\)"):
        read_structures(tmp_path / "a.npz")


def test_two_values_of_one_name():
    atoms = ase.Atoms("HO", [[0, 0, 0], [0, 0, 1]], info={"energy": -7.0})
    atoms.calc = SinglePointCalculator(atoms, energy=-5.0)
    with pytest.raises(ValueError, match="expected one value of energy, found another"):
        from_ase(atoms)
    atoms.calc = None
    atoms.info["REF_stress"] = [[1.0, 2.0], [3.0]]
    with pytest.raises(ValueError, match=r"structure: REF_stress: expected numbers"):
        from_ase(atoms)
    del atoms.info["REF_stress"]
    settings = LabelSettings(energy_key="energy", energy_unit="hartree")
    assert from_ase(atoms, settings=settings).energy == pytest.approx(-190.48, abs=0.01)
