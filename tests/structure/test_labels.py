# SPDX-License-Identifier: MIT
"""Labels under many names, in many units and formats, and those that are refused."""

import logging

import numpy as np
import pytest
from training_helpers import DATA

from openmm_allegro.structure import read_structures
from openmm_allegro.structure.labels.names import kind_of
from openmm_allegro.structure.labels.settings import LabelSettings

FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
TENSOR = np.array([[1.0, 0.2, 0.3], [0.2, 2.0, 0.1], [0.3, 0.1, -1.5]])
NINE = " ".join(str(x) for x in TENSOR.flatten())
VOLUME = 120.0


def frame(comment="energy=-5", column="forces"):
    """Two atoms with a column of forces and a comment."""
    rows = "".join(
        f"{symbol} 0 0 {z} {force[0]} {force[1]} {force[2]}\n"
        for symbol, z, force in zip("HO", (0, 1), FORCES, strict=True)
    )
    return (
        '2\nLattice="4 0 0 0 5 0 0 0 6" pbc="T T T" '
        f"Properties=species:S:1:pos:R:3:{column}:R:3 {comment}\n{rows}"
    )


@pytest.fixture
def read(tmp_path, caplog):
    """Read text as extxyz; the messages are in ``caplog``."""

    def read(text, **options):
        path = tmp_path / "frames.extxyz"
        path.write_text(text)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            return read_structures(path, **options)

    return read


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("energy", "energy"),
        ("REF_energy", "energy"),
        ("dft_energy", "energy"),
        ("DFT_energy", "energy"),
        ("total_energy", "energy"),
        ("energy_ref", "energy"),
        ("force", "forces"),
        ("REF_forces", "forces"),
        ("dft_force", "forces"),
        ("REF_stress", "stress"),
        ("virial", "virial"),
        ("virials", "virial"),
        ("REF_virials", "virial"),
        ("castep_energy", "energy"),
        # predictions of other models, parts and other things are no labels
        ("MACE_energy", ""),
        ("gap_forces", ""),
        ("free_energy", ""),
        ("kinetic_energy", ""),
        ("energies", ""),
        ("energy_unit", ""),
        ("config_energy_weight", ""),
        ("stresses", ""),
        ("force_stress", ""),
    ],
)
def test_usual_names(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("energy", "forces"),
    [
        ("energy", "force"),
        ("REF_energy", "REF_forces"),
        ("dft_energy", "dft_forces"),
        ("DFT_energy", "DFT_force"),
        ("Energy", "Forces"),
    ],
)
def test_other_names_are_found_and_said_once(read, caplog, energy, forces):
    structures = read(3 * frame(f"{energy}=-5", forces))
    assert [s.energy for s in structures] == [-5.0] * 3
    np.testing.assert_array_equal(structures[2].forces, FORCES)
    (message,) = caplog.messages
    assert "frames.extxyz" in message and f"forces from {forces}" in message
    assert (f"energy from {energy}" in message) == (energy != "energy")


NAMES = ("stress", "REF_stress", "dft_stress", "virial", "virials", "REF_virials")
# Of the plain names ase takes nine numbers alone.
FORMS = [(name, NINE) for name in NAMES] + [
    (name, f"_JSON {TENSOR.tolist()}")
    for name in NAMES
    if name not in ("stress", "virial")
]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_stresses_and_virials(read, caplog, name, form):
    (s,) = read(frame(f'energy=-5 {name}="{form}"'))
    expected = -TENSOR / VOLUME if "virial" in name else TENSOR
    np.testing.assert_allclose(s.stress, expected, rtol=1e-14)
    assert ("−virial / volume" in caplog.text) == ("virial" in name)


def test_six_numbers_are_in_the_order_of_ase(read):
    (s,) = read(frame('energy=-5 REF_stress="1 2 -1.5 0.1 0.3 0.2"'))
    np.testing.assert_array_equal(s.stress, TENSOR)


def test_plain_names_go_without_saying(read, caplog):
    read(2 * frame(f'energy=-5 stress="{NINE}"'))
    assert not caplog.messages


def test_a_stress_and_its_virial_are_no_contradiction(read):
    virial = " ".join(str(-VOLUME * x) for x in TENSOR.flatten())
    (s,) = read(frame(f'energy=-5 stress="{NINE}" virial="{virial}"'))
    np.testing.assert_array_equal(s.stress, TENSOR)
    with pytest.raises(ValueError, match=r"frame 0: .*stress_key or virial_key"):
        read(frame(f'energy=-5 stress="{NINE}" virial="{NINE}"'))
    (s,) = read(
        frame(f'energy=-5 stress="{NINE}" virial="{NINE}"'), virial_key="virial"
    )
    np.testing.assert_allclose(s.stress, -TENSOR / VOLUME)


def test_labels_that_are_not_wanted_ask_nothing(read, caplog):
    text = frame("energy=-5 REF_energy=-7") + frame("dft_energy=-5")
    first, second = read(text, labels=False)
    assert first.energy is None and second.energy == -5 and not caplog.messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            frame("energy=-5 REF_energy=-7"),
            r"frame 0: expected one name of energies, found energy = -5 and "
            r"REF_energy = -7.*energy_key \(--energy-key\)",
        ),
        (
            frame("REF_energy=-5 dft_energy=-7"),
            r"REF_energy = -5 and dft_energy = -7.*energy_key",
        ),
        (
            frame("energy=-5") + frame("REF_energy=-7"),
            r"frame 1: expected one name of energy in all .*frame 0; .*energy_key",
        ),
        (
            frame(f'energy=-5 REF_stress="{NINE}" dft_stress="{NINE}"'),
            r"REF_stress and dft_stress.*stress_key",
        ),
    ],
)
def test_two_names_are_a_question(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


def test_keys_choose(read, caplog):
    text = frame("energy=-5 REF_energy=-7 my_e=-9", "my_f")
    for key, energy in (("energy", -5), ("REF_energy", -7), ("my_e", -9)):
        (s,) = read(text, energy_key=key, forces_key="my_f")
        assert s.energy == energy and not caplog.messages
        np.testing.assert_array_equal(s.forces, FORCES)
    with pytest.raises(ValueError, match=r"frame 0: expected an energy \(`e=`"):
        read(text, energy_key="e", forces_key="my_f")
    with pytest.raises(ValueError, match=r"expected forces \(a `f` column"):
        read(text, energy_key="energy", forces_key="f")
    alone = "1\nProperties=species:S:1:pos:R:3 e=-1\nH 0 0 0\n"
    with pytest.raises(ValueError, match=r"an energy \(`energy=` .*keys are \['e'\]"):
        read(alone)  # which needs no forces
    read(text, energy_key="my_e", forces_key="my_f", stress_key="s")
    assert "stress_key = 's' is in no frame of" in caplog.text
    with pytest.raises(ValueError, match="stress_key or virial_key, found both"):
        read(text, stress_key="s", virial_key="v")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (frame('energy="-5 eV"'), r"frame 0: energy: expected a number, found '-5 eV'"),
        (frame("energy"), r"frame 0: energy: expected a number, found True"),
        (frame('energy="-5 -6"'), r"frame 0: energy: expected one number, found 2 of"),
        (frame('REF_energy="a b"'), r"REF_energy: expected a number, found 'a b'"),
        (
            frame("energy=-5", "energy:R:1:charge:R:1:forces:R:1:x").replace(
                ":x:", ":y:"
            ),
            r"expected .* found",
        ),
        (
            frame().replace("forces:R:3", "forces:R:2:charge:R:1"),
            r"forces: expected three numbers for each of 2 atoms, found .*\(2, 2\)",
        ),
        (frame("energy=-5", "f").replace(":f:R", ":force:L"), r"expected numbers"),
        (frame("energy=nan"), r"frame 0: expected finite energy"),
        (frame().replace("0.1", "nan"), r"frame 0: expected finite forces"),
        (frame('energy=-5 REF_stress="1 2 3"'), r"REF_stress: expected 3 × 3, 9 or 6"),
        (
            frame('energy=-5 REF_stress="1 2 3 4 5 6 7 8 9"'),
            r"expected a symmetric tensor",
        ),
        (frame('energy=-5 stress="1 2 3 4 5 6"'), r"frame 0: .*9-long"),
    ],
)
def test_values_that_are_no_labels(read, text, message):
    with pytest.raises(ValueError, match=rf"frames.extxyz, {message}|{message}"):
        read(text)


def test_energies_of_atoms_are_no_energy(read):
    text = frame().replace("energy=-5", "").replace("forces:R:3", "energy:R:1:f:R:2")
    with pytest.raises(ValueError, match=r"frame 0: energy: .*one for each atom"):
        read(text)


def test_counts_of_a_partly_labelled_set(read, caplog):
    text = 3 * frame() + 2 * frame(f'energy=-5 stress="{NINE}"')
    assert sum(s.stress is not None for s in read(text)) == 2
    (message,) = caplog.messages
    assert "of 5 frames 5 have an energy, 5 forces and 2 a stress" in message
    text += frame().replace("forces:R:3", "velo:R:3") + frame("note=5")
    with pytest.raises(
        ValueError,
        match=r"frame 6: expected an ener.*; of 7 frames 6 have an energy, 6 forces",
    ):
        read(text)


def test_zeros_that_stand_for_nothing_are_said(read, caplog):
    zero = " ".join("0" * 9)
    read(frame(f'energy=-5 stress="{zero}"') + frame(f'energy=0 stress="{NINE}"'))
    assert "1 have an energy and 1 have a stress of exactly 0" in caplog.text
    still = frame()
    for force in ("0.1", "0.2", "0.3"):
        still = still.replace(force, "0")
    read(2 * still)
    assert "2 have forces of exactly 0" in caplog.text
    read(still + frame())  # a perfect crystal among others
    assert not caplog.messages


@pytest.mark.parametrize("path", sorted(DATA.glob("*.extxyz")), ids=lambda p: p.stem)
def test_ordinary_sets_give_no_remarks(path, caplog):
    with caplog.at_level(logging.INFO):
        assert read_structures(path)
    assert not caplog.messages


def test_free_energies_are_what_forces_belong_to(read, caplog):
    text = frame("energy=-5 free_energy=-5.02")
    (s,) = read(text)
    assert s.energy == -5.02
    assert "free energies" in caplog.text and "10 meV/atom" in caplog.text
    assert read(text, energy_key="energy")[0].energy == -5
    assert not caplog.messages
    read(frame("energy=-5 free_energy=-5"))
    assert not caplog.messages
    with pytest.raises(ValueError, match=r"free_energy\) in all frames or in none"):
        read(text + frame())
    alone = frame("free_energy=-5.02")
    assert read(alone)[0].energy == -5.02
    assert "energy from free_energy" in caplog.text
    with pytest.raises(ValueError, match=r"frame 1: expected one name of energy"):
        read(alone + frame())


def test_units(read):
    hartree, bohr = 27.211386245981, 0.529177210544
    text = frame(f'energy=-5 virial="{NINE}"')
    (s,) = read(text, energy_unit="hartree", length_unit="bohr")
    assert s.energy == pytest.approx(-5 * hartree)
    np.testing.assert_allclose(s.forces, FORCES * hartree / bohr)
    np.testing.assert_allclose(np.diag(s.cell), np.array([4, 5, 6]) * bohr)
    assert s.positions[1, 2] == pytest.approx(bohr)
    np.testing.assert_allclose(s.stress, -TENSOR * hartree / (VOLUME * bohr**3))
    (s,) = read(text, energy_unit="kcal/mol")
    assert s.energy == pytest.approx(-5 * 0.0433641042)
    np.testing.assert_allclose(s.forces, FORCES * 0.0433641042, rtol=1e-8)
    (s,) = read(
        frame(f'energy=-5 stress="{NINE}"'),
        energy_unit="hartree",
        forces_unit="hartree/bohr",
        stress_unit="GPa",
    )
    assert s.positions[1, 2] == 1
    np.testing.assert_allclose(s.forces, FORCES * hartree / bohr)
    np.testing.assert_allclose(s.stress, TENSOR / 160.21766208)
    with pytest.raises(ValueError, match=r"energy_unit of .*'hartree'"):
        read(text, energy_unit="Ha")


def test_weights(read, caplog):
    text = frame("energy=-5 config_weight=2 config_energy_weight=0.5") + frame(
        "energy=-5 weight=3 config_stress_weight=0"
    )
    first, second = read(text)
    assert first.weights == (1, 2, 2) and second.weights == (3, 3, 0)
    assert "config_weight" in caplog.text and "from 0 to 3" in caplog.text
    first, second = read(text, use_weights=False)
    assert first.weights == second.weights == (1, 1, 1) and not caplog.messages
    for wrong in ("-1", "nan", '"a b"', '"1 2"'):
        with pytest.raises(ValueError, match=r"frame 0.*weight"):
            read(frame(f"energy=-5 weight={wrong}"))
    with pytest.raises(ValueError, match=r"weight = 2 and config_weight = 1"):
        read(frame("energy=-5 weight=2 config_weight=1"))


@pytest.mark.parametrize(
    ("keys", "weights"),
    [
        ("Weight=2", (2, 2, 2)),
        ("energy_weight=3 force_weight=2", (3, 2, 1)),
        ("config_weight=2 config_virial_weight=0.5", (2, 2, 1)),
        ("config_force_weight=4 atomic_weight=18", (1, 4, 1)),
    ],
)
def test_names_of_weights(read, keys, weights):
    (s,) = read(frame(f"energy=-5 {keys}"))
    assert s.weights == weights


def test_weights_of_atoms_are_refused(read):
    text = frame(column="force").replace("species:S:1", "species:S:1:force_weight:R:1")
    for symbol in "HO":
        text = text.replace(f"{symbol} 0", f"{symbol} 1 0")
    with pytest.raises(ValueError, match=r"frame 0: .*force_weight .*use_weights"):
        read(text)
    assert read(text, use_weights=False)


def test_deviations_of_gap_are_no_weights(read):
    text = frame("energy=-5 energy_sigma=0.01 force_sigma=0.1")
    with pytest.raises(ValueError, match=r"frame 0: .*energy_sigma .*use_weights"):
        read(text)
    assert read(text, use_weights=False)[0].weights == (1, 1, 1)
    assert read(frame("energy=-5 sigma=0.1"))


def test_a_single_atom_needs_no_forces(read):
    text = '1\nProperties=species:S:1:pos:R:3 energy=-13.6 pbc="F F F"\nH 0 0 0\n'
    (s,) = read(text)
    assert s.is_isolated and not s.called_isolated and s.forces is None
    (s,) = read(text.replace("energy", "config_type=IsolatedAtom energy"))
    assert s.called_isolated
    with pytest.raises(ValueError, match="expected one atom because config_type"):
        read(frame("energy=-5 config_type=IsolatedAtom"))


def test_settings_are_those_of_the_data_config():
    from openmm_allegro.training.config import DataConfig

    config = DataConfig(("a",), energy_key="E", virial_key="v", energy_unit="kJ/mol")
    assert config.labels() == LabelSettings(
        energy_key="E", virial_key="v", energy_unit="kJ/mol"
    )
