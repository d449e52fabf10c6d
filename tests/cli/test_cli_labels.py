# SPDX-License-Identifier: MIT
"""Names, units and isolated atoms in a TOML and on the command line."""

import json

import ase.io
import numpy as np
import pytest
from cli_helpers import error_of
from training_helpers import ETHANOL, training_toml

from openmm_allegro import load_model
from openmm_allegro.cli.main import main
from openmm_allegro.units import ENERGY_UNITS_IN_EV

pytest.importorskip("lightning")
pytestmark = pytest.mark.usefixtures("undrawn")
UNIT = ENERGY_UNITS_IN_EV["kcal/mol"]
SHIFTS = "shifts = {H = -13.6, C = -1029.4}\n"


@pytest.fixture
def folder(tmp_path):
    """Ethanol as it is, and in kcal/mol under other names with two isolated atoms."""
    frames = ase.io.read(ETHANOL, ":")
    ase.io.write(tmp_path / "plain.extxyz", frames)
    other = []
    for atoms in frames:
        results = atoms.calc.results
        atoms.calc = None
        atoms.info["E"] = results["energy"] / UNIT
        atoms.arrays["F"] = results["forces"] / UNIT
        other.append(atoms)
    alone = [
        ase.Atoms(symbol, [[0.0] * 3], info={"E": energy / UNIT})
        for symbol, energy in (("H", -13.6), ("C", -1029.4))
    ]
    ase.io.write(tmp_path / "atoms.extxyz", alone)
    ase.io.write(tmp_path / "kcal.extxyz", other)
    return tmp_path


def write(folder, name, data, text=""):
    data |= {"test": data["training"][:1], "validation_size": 4}
    toml = training_toml(data, {"max_epochs": 1, "warmup_steps": 0})
    (folder / name).write_text(toml.replace("[train]", f"{text}[train]"))
    return ["train", str(folder / name), "--output", str(folder / name[:-5])]


def test_toml_and_command_line(folder, capsys, caplog):
    """A set is the same whatever its names and units."""
    names = {"energy_key": "E", "forces_key": "F", "energy_unit": "kcal/mol"}
    plain = write(folder, "plain.toml", {"training": ["plain.extxyz"]}, SHIFTS)
    files = ["kcal.extxyz", "atoms.extxyz"]
    other = write(folder, "kcal.toml", {"training": files} | names)
    assert main(plain) == main(other) == 0
    models = [load_model(folder / n / "model.safetensors") for n in ("plain", "kcal")]
    first, second = models
    np.testing.assert_allclose(first.statistics.shifts, second.statistics.shifts)
    np.testing.assert_allclose(first.statistics.scales, second.statistics.scales)
    assert first.config.shifts == {"H": -13.6, "C": -1029.4}
    assert second.provenance["labels"] == names
    assert second.provenance["isolated_atoms"]["H"] == pytest.approx(-13.6)
    assert second.provenance["training_structures"] == 16

    model = str(folder / "plain" / "model.safetensors")
    evaluations = [
        [str(folder / "plain.extxyz")],
        [str(folder / name) for name in files]
        + ["--energy-key", "E", "--forces-key", "F", "--energy-unit", "kcal/mol"],
    ]
    errors = []
    for index, arguments in enumerate(evaluations):
        target = folder / f"{index}.json"
        assert main(["evaluate", model, *arguments, "--json", str(target)]) == 0
        errors.append(json.loads(target.read_text()))
    for name in ("energy_rmse", "forces_rmse"):
        assert errors[0][name] == pytest.approx(errors[1][name], rel=1e-6)

    text = (
        (folder / "plain.extxyz")
        .read_text()
        .replace(" energy=", " dft_energy=-1 energy=")
    )
    (folder / "both.extxyz").write_text(text)
    both = folder / "both.extxyz"
    message = error_of(capsys, "evaluate", model, both)
    assert "both.extxyz, frame 0" in message and "--energy-key" in message
    caplog.clear()
    both.write_text(text.replace(" energy=", " config_weight=2 energy="))
    assert main(["evaluate", model, str(both), "--energy-key", "energy"]) == 0
    assert "the loss weights" not in caplog.text  # errors have no weights
    message = error_of(
        capsys, "evaluate", model, both, "--stress-key", "a", "--virial-key", "b"
    )
    assert "stress_key or virial_key" in message


def test_a_set_in_hartree_warns(folder):
    frames = ase.io.read(folder / "plain.extxyz", ":")
    for atoms in frames:
        for name in ("energy", "forces"):
            atoms.calc.results[name] /= ENERGY_UNITS_IN_EV["hartree"]
    ase.io.write(folder / "hartree.extxyz", frames)
    command = write(folder, "hartree.toml", {"training": ["hartree.extxyz"]})
    with pytest.warns(UserWarning, match=r"hartree.extxyz: .*energy_unit"):
        assert main(command) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('energy_unit = "kcal"', "energy_unit of"),
        ("energy_key = 3", "energy_key"),
        ('stress_key = "s"\nvirial_key = "v"', "stress_key or virial_key"),
        ("[model]\nshifts = {N = -1.0}", "shifts of elements"),
        ('[model]\nshifts = {H = "a"}', "shifts"),
        ("[model]\nshifts = -13.6", "shifts"),
    ],
)
def test_errors_of_a_toml(folder, capsys, text, expected):
    command = write(folder, "wrong.toml", {"training": ["plain.extxyz"]})
    head, _, tail = text.rpartition("[model]\n")
    table = "[model]" if text.startswith("[model]") else "[data]"
    toml = (folder / "wrong.toml").read_text()
    (folder / "wrong.toml").write_text(toml.replace(table, f"{table}\n{head}{tail}"))
    message = error_of(capsys, *command)
    assert f"wrong.toml {table}" in message and expected in message
