# SPDX-License-Identifier: MIT
"""A model trained on what a force field leaves, beside that one and no other."""

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm_helpers import energy_and_forces, make_topology, water_system
from training_helpers import (
    ETHANOL,
    ethanol,
    fit,
    short,
    tiny_config,
    tiny_model,
    training_toml,
)

from openmm_allegro import AllegroPotential, Model, load_model, save_model
from openmm_allegro.classical.baseline import subtract_baseline
from openmm_allegro.classical.fingerprint import fingerprint
from openmm_allegro.classical.nonbonded import nonbonded_system
from openmm_allegro.cli.main import main
from openmm_allegro.training.evaluate import evaluate


@pytest.fixture(scope="module")
def classical(water_box):
    symbols, _, box = water_box
    return water_system(symbols, box)


@pytest.fixture(scope="module")
def delta(model, classical):
    """The model of conftest, as if it had been trained around these waters."""
    topology, system = classical
    baseline = fingerprint(system, [a.element.symbol for a in topology.atoms()])
    return Model(
        **vars(model) | {"kind": "delta", "provenance": {"baseline": baseline}}
    )


@pytest.mark.parametrize(
    ("backend", "platform"),
    [("torchforce", "Reference"), ("pythonforce", "CPU"), ("native", "CPU")],
)
def test_energies_and_forces_add_up(
    model, delta, classical, water_box, backend, platform, tmp_path
):
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")
    _, positions, _ = water_box
    topology, system = classical
    before = openmm.XmlSerializer.serialize(system)
    options = {"backend": backend, "precision": "double"}
    potential = AllegroPotential(save_model(delta, tmp_path / "delta.safetensors"))
    both = potential.add_to_system(topology, system, **options)
    assert openmm.XmlSerializer.serialize(system) == before
    alone = AllegroPotential(model).create_system(topology, **options)
    again = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(both))
    expected = [
        sum(parts)
        for parts in zip(
            energy_and_forces(system, positions, platform),
            energy_and_forces(alone, positions, platform),
            strict=True,
        )
    ]
    for total in (both, again):
        energy, forces = energy_and_forces(total, positions, platform)
        assert energy == pytest.approx(expected[0], rel=1e-5)
        np.testing.assert_allclose(
            forces, expected[1], atol=1e-4 * abs(expected[1]).max()
        )
    context = openmm.Context(both, openmm.VerletIntegrator(0.001))
    assert len(context.getMolecules()) == 27


def test_forces_are_the_gradient(delta, classical, water_box):
    pytest.importorskip("openmmtorch")
    _, positions, _ = water_box
    topology, system = classical
    both = AllegroPotential(delta).add_to_system(topology, system, precision="double")
    _, forces = energy_and_forces(both, positions)
    direction = np.random.default_rng(0).normal(size=positions.shape)
    step = 1e-6
    high, low = (
        energy_and_forces(both, positions + sign * step * direction)[0]
        for sign in (1, -1)
    )
    slope = -(high - low) / (2 * step)
    assert (forces * direction).sum() == pytest.approx(slope, rel=1e-4)


def test_more_molecules_another_box_and_thermostats_are_fine(delta, water_box):
    symbols, _, box = water_box
    topology, system = water_system(symbols * 2, box * 1.5)
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0))
    for index, force in enumerate(system.getForces()):
        force.setForceGroup(index)
    for index in range(0, system.getNumParticles(), 3):
        system.setParticleMass(index, 14.0)
        system.setParticleMass(index + 1, 3.0)
    both = AllegroPotential(delta).add_to_system(
        topology, system, backend="pythonforce"
    )
    names = [type(f).__name__ for f in both.getForces()]
    assert names[: system.getNumForces()] == [
        type(f).__name__ for f in system.getForces()
    ]
    assert "PythonForce" in names and both.getNumParticles() == 162


def changed(classical, change):
    topology, system = classical
    system = copy.deepcopy(system)
    change(system)
    return topology, system


def set_charges(system):
    for index in range(system.getNumParticles()):
        charge, sigma, epsilon = system.getForce(0).getParticleParameters(index)
        system.getForce(0).setParticleParameters(index, 0.9 * charge, sigma, epsilon)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_charges, r"baseline .* H2O; found others, H2O with other parameters"),
        (
            lambda s: s.getForce(0).setCutoffDistance(0.41),
            r"cutoff 0\.4; found .* 0\.41",
        ),
        (
            lambda s: s.getForce(2).setBondParameters(0, 0, 1, 0.1, 4.5e5),
            "H2O with other",
        ),
        (lambda s: s.removeForce(0), "NonbondedForce .*absent"),
        (lambda s: s.addForce(openmm.CustomExternalForce("x")), "CustomExternalForce"),
        (lambda s: s.addParticle(1.0), "System of 81 particles, .* found 82"),
    ],
)
def test_another_baseline_is_refused(delta, classical, change, message):
    topology, system = changed(classical, change)
    with pytest.raises(ValueError, match=message):
        AllegroPotential(delta).add_to_system(topology, system)


def test_kinds_are_not_mixed_up(model, delta, classical):
    topology, system = classical
    with pytest.raises(
        ValueError, match=r"kind delta, found kind total.*create_system"
    ):
        AllegroPotential(model).add_to_system(topology, system)
    with pytest.raises(ValueError, match="kind total, found kind delta"):
        AllegroPotential(delta).create_system(topology)
    unknown = Model(**vars(delta) | {"provenance": {}})
    with pytest.raises(ValueError, match="found no baseline in its provenance"):
        AllegroPotential(unknown).add_to_system(topology, system)
    with pytest.raises(ValueError, match=r"torchforce.*found 'jax'"):
        AllegroPotential(delta).add_to_system(topology, system, backend="jax")
    with pytest.raises(ValueError, match="at least one atom"):
        AllegroPotential(delta).add_to_system(make_topology([]), openmm.System())


@pytest.fixture(scope="module")
def ethanol_system():
    """Charges and cores without bonds: the fit's order is C C O H H H H H H."""
    topology = make_topology(ethanol()[0].symbols)
    charges = {"C": -0.1, "O": -0.4, "H": 0.1}
    return nonbonded_system(topology, charges, {"C": (0.1, 0.1), "O": (0.1, 0.1)})


@pytest.fixture(scope="module")
def trained(ethanol_system, tmp_path_factory):
    """Four epochs on ethanol less these charges: structures, folder and model."""
    left = subtract_baseline(ethanol(), ethanol_system)
    folder = tmp_path_factory.mktemp("delta") / "run"
    from openmm_allegro.training.train import train

    model = train(tiny_config(), short(), left[:16], left[16:], folder, progress=False)
    return left, folder, model


def test_training_on_what_is_left_makes_a_delta_model(trained, ethanol_system):
    left, folder, model = trained
    assert model.kind == "delta"
    assert model.provenance["baseline"] == left[0].baseline
    assert load_model(folder / "model.safetensors").provenance == model.provenance
    topology = make_topology(ethanol()[0].symbols)
    both = AllegroPotential(model).add_to_system(
        topology, ethanol_system, backend="pythonforce", precision="double"
    )
    energy, forces = energy_and_forces(both, ethanol()[0].positions / 10)
    parts = evaluate(model, left[:1])["arrays"]
    mm = ethanol()[0].energy - left[0].energy
    assert energy / 96.4853321 == pytest.approx(
        parts["energy_prediction"][0] * 9 + mm, abs=1e-3
    )
    expected = parts["forces_prediction"] + ethanol()[0].forces - left[0].forces
    np.testing.assert_allclose(forces / 964.853321, expected, atol=1e-4)


def test_labels_must_be_of_the_models_kind(trained, ethanol_system):
    left, _, model = trained
    evaluate(model, left)
    with pytest.raises(ValueError, match="found labels of the whole energy"):
        evaluate(model, ethanol())
    with pytest.raises(ValueError, match="found labels from which a baseline was"):
        evaluate(tiny_model(), left)
    other = copy.deepcopy(ethanol_system)
    charge, sigma, epsilon = other.getForce(0).getParticleParameters(3)
    other.getForce(0).setParticleParameters(3, charge * 1.1, sigma, epsilon)
    with pytest.raises(ValueError, match="evaluate: expected the molecules of the bas"):
        evaluate(model, subtract_baseline(ethanol(), other))


def test_training_refuses_labels_of_two_kinds(trained, tmp_path):
    left, _, _ = trained
    with pytest.raises(
        ValueError, match=r"all have, or all lack.*frame 0 and .*frame 1"
    ):
        fit(tmp_path / "run", short(), training=[left[0], ethanol()[1]])
    with pytest.raises(ValueError, match="all have, or all lack"):
        fit(tmp_path / "run", short(), training=left[:16])
    assert not (tmp_path / "run").exists()


def test_from_the_command_line(ethanol_system, tmp_path, capsys, undrawn):
    (tmp_path / "mm.xml").write_text(openmm.XmlSerializer.serialize(ethanol_system))
    text = training_toml(
        {
            "training": [str(ETHANOL)],
            "test": [str(ETHANOL)],
            "validation_size": 4,
            "baseline": ["mm.xml"],
        },
        {"max_epochs": 1},
    )
    (tmp_path / "config.toml").write_text(text)
    output = tmp_path / "run"
    arguments = ["train", str(tmp_path / "config.toml"), "--output", str(output)]
    assert main(arguments) == 0
    model = load_model(output / "model.safetensors")
    assert model.kind == "delta"
    assert list(model.provenance["baseline_files"]) == ["mm.xml"]
    left = subtract_baseline(ethanol(), ethanol_system)
    expected = evaluate(model, left)["metrics"]["forces_rmse"]
    found = json.loads((output / "test.json").read_text())["forces_rmse"]
    assert found == pytest.approx(expected, rel=1e-5)
    evaluation = ["evaluate", str(output / "model.safetensors"), str(ETHANOL)]
    written = ["--json", str(tmp_path / "again.json")]
    assert main([*evaluation, *written, "--baseline", str(tmp_path / "mm.xml")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())["forces_rmse"]
    assert again == pytest.approx(expected, rel=1e-5)
    capsys.readouterr()
    assert main(evaluation) == 2
    assert "found labels of the whole energy" in capsys.readouterr().err
    (tmp_path / "config.toml").write_text(text.replace("mm.xml", "none.xml"))
    assert main(arguments) == 2
    assert "none.xml" in capsys.readouterr().err


def test_a_liquid_ten_times_as_large():
    """The committed model of EC and EMC beside its own force field, and another one."""
    pytest.importorskip("lightning")
    folder = Path(__file__).parents[2] / "systems" / "ec_emc_delta"
    spec = importlib.util.spec_from_file_location("ec_emc", folder / "baseline.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    parameters = json.loads((folder / "baseline.json").read_text())
    potential = AllegroPotential(folder / "ec_emc_delta.safetensors")
    topology = script.make_topology([("EMC", 80), ("EC", 40)], np.eye(3) * 3.0)
    system = script.make_system(topology, parameters)
    both = potential.add_to_system(topology, system, backend="pythonforce")
    assert both.getNumParticles() == 1600
    parameters["charges"]["EC:CH"] += 0.002
    parameters["charges"]["EC:H"] -= 0.001
    with pytest.raises(ValueError, match="found others, C3H4O3 with other parameters"):
        potential.add_to_system(topology, script.make_system(topology, parameters))
