# SPDX-License-Identifier: MIT
"""Units that a file states: those it is read in, or an error that names the option."""

import ase
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from openmm_allegro.structure import from_ase
from openmm_allegro.structure.labels.settings import LabelSettings


def read(info, **units):
    """Read two atoms whose frame says something."""
    atoms = ase.Atoms("HO", [[0, 0, 0], [0, 0, 1]], info=info)
    atoms.calc = SinglePointCalculator(atoms, energy=-5.0, forces=[[0, 0, 1]] * 2)
    return from_ase(atoms, settings=LabelSettings(**units))


@pytest.mark.parametrize(
    ("key", "text", "unit"),
    [
        ("energy_unit", "kcal/mol", "energy_unit = 'kcal/mol' (--energy-unit)"),
        ("energy_units", "kJ mol^-1", "energy_unit = 'kJ/mol'"),
        ("Energy_Unit", "kJ_per_mole", "energy_unit = 'kJ/mol'"),
        ("unit", "Hartree", "energy_unit = 'hartree'"),
        ("dft_energy_unit", "a.u.", "energy_unit = 'hartree'"),
        ("units", "Ha", "energy_unit = 'hartree'"),
        ("units", "au", "energy_unit = 'hartree'"),
        ("units", "real", "energy_unit = 'kcal/mol'"),
        ("units", "eV Bohr", "length_unit = 'bohr' (--length-unit)"),
        ("units", {"dipole": "D", "forces": "eV/nm"}, "forces_unit = 'eV/nm'"),
        ("virial_unit", "kcal/mol", "energy_unit = 'kcal/mol'"),
        ("length_unit", "Bohr", "length_unit = 'bohr'"),
        ("pos_unit", "nm", "length_unit = 'nm'"),
        ("forces_unit", "Eh/a0", "forces_unit = 'hartree/bohr' (--forces-unit)"),
        ("force_units", "kcal/mol/Å", "forces_unit = 'kcal/mol/angstrom'"),
        ("stress_unit", "GPa", "stress_unit = 'GPa' (--stress-unit)"),
        ("stress_units", "a.u.", "stress_unit = 'hartree/bohr^3'"),
        ("energy_unit", "Ry", "convert the values to one of eV, kJ/mol"),
        ("energy_unit", "meV", "convert"),
        ("energy_unit", "eV/atom", "convert"),
        ("energy_unit", "furlong", "convert"),
        ("energy_unit", 27.2, "convert"),
        ("stress_unit", "MPa", "convert"),
    ],
)
def test_another_unit_is_refused(key, text, unit):
    with pytest.raises(ValueError, match="structure: expected") as error:
        read({key: text})
    assert unit in str(error.value) and repr(text) in str(error.value)


@pytest.mark.parametrize(
    "info",
    [
        {"energy_unit": "eV"},
        {"energy_unit": "electron_volt", "forces_unit": "EV / Angstrom"},
        {"stress_unit": "eV/Å^3", "virial_unit": "eV", "length_unit": "Ang"},
        {"stress_unit": "eV/A**3"},
        {"units": "metal"},
        {"units": "eV Angstrom"},
        {"unit": "harmonic"},
        {"dipole_unit": "Debye", "time_unit": "fs", "unit_cell": "primitive"},
        {"units": {"energy": "eV", "time": "fs"}},
    ],
)
def test_the_same_units_and_others_go_without_saying(info):
    assert read(info).energy == -5


def test_units_that_are_given_agree_with_the_file():
    info = {"energy_unit": "kcal/mol", "force_unit": "kcal/mol/A"}
    assert read(info, energy_unit="kcal/mol").energy == pytest.approx(
        -0.21682, rel=1e-4
    )
    with pytest.raises(ValueError, match="expected energies in hartree, found"):
        read(info, energy_unit="hartree")
