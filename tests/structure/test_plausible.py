# SPDX-License-Identifier: MIT
"""Energies and forces that cannot be in eV and Å, and those that can."""

import numpy as np
import pytest

from openmm_allegro.structure import read_structures
from openmm_allegro.structure.labels.plausible import Labelled, doubts

HARTREE, KCAL = 27.211386245981, 0.0433641153


def labels(symbols, energies, force=0.8, seed=0):
    rng = np.random.default_rng(seed)
    count = len(symbols)
    return [Labelled(symbols, e, rng.normal(0, force, (count, 3))) for e in energies]


WATER, ETHANOL = ("O", "H", "H"), ("C",) * 2 + ("H",) * 6 + ("O",)


@pytest.mark.parametrize(
    "frames",
    [
        labels(ETHANOL, [-154.9 * HARTREE]),  # all electrons
        labels(ETHANOL, [-46.9]),  # VASP
        labels(ETHANOL, [-36.0]),  # atomisation
        labels(ETHANOL, [0.3, -0.2]),  # shifted
        labels(WATER, [-17.2 * HARTREE]),  # pseudopotentials of CP2K
        labels(("Au",) * 4, [-19000 * 4 * HARTREE]),  # relativistic, all electrons
        labels(("U",), [-28075 * HARTREE]),
        labels(("H",) * 2, [-6.77]),
        labels(("H",), [-13.6]),
        labels(("Cu",), [-3.7]) + labels(("Cu",) * 4, [-14.9]),
        labels(("Si",) * 2, [-10.8], force=0.0),  # relaxed
        labels(("O",) * 2, [-9.8], force=9.0),  # at short distances
        labels(("X",), [-1.0]),
        [Labelled(WATER, -14.2, None)],
        [],
    ],
)
def test_sound_labels(frames):
    assert doubts(frames) == []


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (labels(WATER, [-47934.0]), "below those of all electrons"),
        (labels(WATER, [-200600.0, -200610.0]), "2 of 2 energies are below"),
        (labels(ETHANOL, [-154.9, -154.8]), "all electrons in hartree"),
        (labels(WATER, [-76.4]), "all electrons in hartree"),
        (labels(("C",) + ("H",) * 4, [-40.5]), "all electrons in hartree"),
        (labels(ETHANOL, [-46.9 / KCAL], force=1 / KCAL), "too large for eV/Å"),
        (
            [Labelled(WATER, -14.2, np.zeros((3, 3)), np.diag([12.0, 14.0, 9.0]))],
            "stresses of 14",
        ),
        (
            labels(("Cu",), [-3.7]) + labels(("Cu",) * 4, [-3.72]),
            "do not grow with the number of atoms",
        ),
    ],
)
def test_doubtful_labels(frames, reason):
    (line,) = doubts(frames)
    assert reason in line


def test_a_file_in_kcal_warns_and_is_fine_when_its_unit_is_given(tmp_path):
    path = tmp_path / "kcal.extxyz"
    rows = ["O 4 4 4 22 0 0", "H 4.96 4 4 -22 10 0", "H 3.76 4.93 4 0 -10 0"]
    head = "Properties=species:S:1:pos:R:3:forces:R:3 energy=-47934.0 pbc=F"
    path.write_text("\n".join(["3", head, *rows, ""]))
    with pytest.warns(UserWarning, match=r"below those of all electrons.*energy_unit"):
        read_structures(path)
    (s,) = read_structures(path, energy_unit="kcal/mol")
    assert s.energy == pytest.approx(-2078.6, abs=0.1)
