# SPDX-License-Identifier: MIT
"""Errors of each file and of each frame: a bad frame is found where it is."""

import csv
import dataclasses

import numpy as np
import pytest
from training_helpers import DATA, ethanol, liquid, tiny_model, without

from openmm_allegro.cli.error_tables import (
    element_table,
    error_table,
    file_rows,
    worst_table,
)
from openmm_allegro.structure import read_structures
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.frames import (
    formula,
    frame_errors,
    place_of,
    write_frames,
)

ELEMENTS = ("H", "C", "O")
FILES = [str(DATA / name) for name in ("ethanol.extxyz", "ec_emc.extxyz")]


@pytest.fixture(scope="module")
def two_files():
    """Labels are those of the model but for one force, on atom 5 of frame 17."""
    model = tiny_model()
    structures = read_structures(FILES)
    arrays = evaluate(model, structures)["arrays"]
    starts = np.cumsum([0, *arrays["sizes"]])
    own = []
    for index, structure in enumerate(structures):
        forces = arrays["forces_prediction"][starts[index] : starts[index + 1]].copy()
        if index == 17:
            forces[5] += (0.3, 0.0, -0.4)
        energy = arrays["energy_prediction"][index] * len(structure)
        own.append(dataclasses.replace(structure, energy=energy, forces=forces))
    return own, evaluate(model, own)


def test_an_injected_error_is_on_top(two_files):
    structures, result = two_files
    worst, second = frame_errors(result["arrays"], ELEMENTS)[:2]
    assert (worst.rank, worst.file, worst.frame) == (1, FILES[0], 17)
    assert worst.largest_error_atom == 5
    assert worst.largest_error_element == structures[17].symbols[5]
    assert worst.largest_error_mev_per_angstrom == pytest.approx(500, rel=1e-4)
    rmse = 1000 * np.sqrt((0.3**2 + 0.4**2) / 27)
    assert worst.forces_rmse_mev_per_angstrom == pytest.approx(rmse, rel=1e-4)
    assert worst.forces_mae_mev_per_angstrom == pytest.approx(700 / 27, rel=1e-3)
    assert (worst.atoms, worst.composition) == (9, "C2H6O")
    assert second.rank == 2 and second.forces_rmse_mev_per_angstrom < 0.1
    shown = worst_table([worst, second], 1).splitlines()
    assert len(shown) == 3
    assert shown[2].startswith("ethanol.extxyz") and "atom 5" in shown[2]


def test_errors_of_a_file_are_those_of_an_evaluation_of_it():
    model = tiny_model()
    together = evaluate(model, read_structures(FILES))
    assert list(together["files"]) == FILES
    for file, errors in together["files"].items():
        alone = evaluate(model, read_structures(file))["metrics"]
        assert alone.keys() == errors.keys()
        for name, value in alone.items():
            assert errors[name] == pytest.approx(value, rel=1e-4), name
    both = together["files"].values()
    mean = np.average(
        [e["forces_rmse"] ** 2 for e in both], weights=[e["atoms"] for e in both]
    )
    assert together["metrics"]["forces_rmse"] == pytest.approx(np.sqrt(mean))
    rows = file_rows(together["metrics"], together["files"])
    text = f"{error_table(rows)}\n{element_table(rows)}"
    lines = [line.split() for line in text.splitlines() if line]
    assert [line[0] for line in lines[2:5]] == [
        "ethanol.extxyz",
        "ec_emc.extxyz",
        "all",
    ]
    assert [line[1] for line in lines[2:5]] == ["20", "4", "24"]
    assert lines[5][2:] == list(ELEMENTS)


def test_a_table_of_frames_is_read_back(two_files, tmp_path):
    rows = frame_errors(two_files[1]["arrays"], ELEMENTS)
    write_frames(tmp_path / "new" / "frames.csv", rows)
    with open(tmp_path / "new" / "frames.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [int(row["rank"]) for row in read] == list(range(1, 25))
    places = {(row["file"], int(row["frame"])) for row in read}
    assert places == {(FILES[0], i) for i in range(20)} | {
        (FILES[1], i) for i in range(4)
    }
    for row, expected in zip(read, rows, strict=True):
        for name in row:  # waves of charges are left out
            value = getattr(expected, name)
            if isinstance(value, float):
                number = float(row[name]) if row[name] else np.nan
                assert number == pytest.approx(value, rel=1e-5, nan_ok=True)
            else:
                assert row[name] == ("" if value == -1 else str(value))
    assert {row["stress_rmse_mev_per_angstrom3"] == "" for row in read[:1]} == {True}


def test_frames_without_forces_come_last_by_energy():
    arrays = evaluate(tiny_model(), ethanol()[:3])["arrays"]
    arrays["forces_reference"][:] = np.nan
    rows = frame_errors(arrays, ELEMENTS)
    errors = [abs(row.energy_error_mev_per_atom) for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert {row.largest_error_atom for row in rows} == {-1}
    assert "–" in worst_table(rows, 1)


def test_frames_in_memory_have_their_own_numbers():
    structures = [dataclasses.replace(s, source="") for s in liquid()[:2]]
    result = evaluate(tiny_model(), [without(s, "stress") for s in structures])
    assert result["arrays"]["frames"].tolist() == [0, 1]
    assert list(result["files"]) == [""]
    assert place_of(liquid()[3], 7)[1] == 3
    assert formula("HHONaCl".replace("Na", "").replace("Cl", "")) == "H2O"
