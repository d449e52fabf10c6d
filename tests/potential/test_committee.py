# SPDX-License-Identifier: MIT
"""A committee is the mean of its members, and knows how much they differ."""

import io

import numpy as np
import openmm
import pytest
import torch
from helpers import sibling
from mixed_helpers import ACETYL, cluster, organic_model, solvated
from openmm import app, unit
from openmm_helpers import (
    context_of,
    energy_and_forces,
    evaluate,
    make_topology,
    water_system,
)

from openmm_allegro import AllegroPotential, Model, save_model
from openmm_allegro.classical.fingerprint import fingerprint
from openmm_allegro.potential.committee_module import committee_module
from openmm_allegro.potential.module import force_module, script_model
from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.reporters import PressureReporter, UncertaintyReporter
from openmm_allegro.units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM as FORCE
from openmm_allegro.units import EV_TO_KJ_PER_MOL

DOUBLE = ForceOptions(precision="double")


@pytest.fixture(scope="module")
def members(model):
    """Three, of which one has a shorter cutoff and one layer."""
    other = sibling(model, 8, cutoff=2.8, num_layers=1)
    return [model, sibling(model, 7, cutoff=3.5, num_layers=1), other]


@pytest.fixture(scope="module")
def water(water_box):
    """Three molecules in a box under two cutoffs wide."""
    symbols, positions, _ = water_box
    return symbols[:9], positions[:9], np.diag([0.45, 0.5, 0.93])


@pytest.fixture(params=["torchforce", "pythonforce", "native"])
def backend(request):
    if request.param == "torchforce":
        pytest.importorskip("openmmtorch")
    return request.param


def systems(members, topology, backend, **options):
    """The committee's System, then one of each member alone."""
    return [
        AllegroPotential(m).create_system(
            topology, backend=backend, precision="double", **options
        )
        for m in (members, *members)
    ]


def through_xml(system):
    return openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))


def spread(forces):
    """sqrt(Σ_m |F_m − mean|² / (M − 1)) of each atom, in a loop, eV/Å."""
    result = []
    for atom in range(forces[0].shape[0]):
        own = [f[atom] / FORCE for f in forces]
        mean = sum(own) / len(own)
        total = sum(((f - mean) ** 2).sum() for f in own)
        result.append((total / (len(own) - 1)) ** 0.5)
    return np.array(result)


def report(reporter, topology, system, positions):
    """The line that a reporter of a new Simulation writes, as an array with names."""
    file = io.StringIO()
    simulation = app.Simulation(
        topology,
        system,
        openmm.VerletIntegrator(0.0005),
        openmm.Platform.getPlatformByName("Reference"),
    )
    simulation.context.setPositions(positions)
    state = simulation.context.getState(positions=True, velocities=True)
    reporter(file, 5).report(simulation, state)
    file.seek(0)
    return np.genfromtxt(file, delimiter=",", names=True)


# test_former_files has a committee in a TorchForce.
@pytest.mark.parametrize(
    "backend",
    [pytest.param("torchforce", marks=pytest.mark.slow), "pythonforce", "native"],
    indirect=True,
)
def test_mean_and_deviation_in_openmm(members, water, backend):
    """Against Systems of each member alone; and after the way through XML."""
    symbols, positions, box = water
    topology = make_topology(symbols, box)
    system, *alone = systems(members[1:], topology, backend)
    energies, forces = zip(
        *(energy_and_forces(s, positions) for s in alone), strict=True
    )
    again = through_xml(system)
    expected = spread(forces)
    assert expected.min() > 0.01
    for one in (system, again):
        energy, force = energy_and_forces(one, positions)
        assert energy == pytest.approx(np.mean(energies), rel=1e-9)
        np.testing.assert_allclose(force, np.mean(forces, axis=0), atol=2e-3)
        line = report(UncertaintyReporter, topology, one, positions)
        _, _, largest, mean, worst = line.item()
        assert worst == np.argmax(expected)
        assert largest == pytest.approx(expected.max(), rel=1e-5)
        assert mean == pytest.approx(expected.mean(), rel=1e-5)


def test_eager_is_scripted_and_reloaded(model, water, tmp_path, profiling):
    from openmm_allegro.potential.committee_module import CommitteeModule

    symbols, positions, box = water
    arguments = torch.tensor(positions), torch.tensor(box)
    small = {"l_max": 1, "num_layers": 1}  # the smaller, the sooner optimised
    members = [sibling(model, 7, **small), sibling(model, 8, cutoff=2.8, **small)]
    scripted = committee_module(members, symbols, DOUBLE, periodic=True)
    torch.jit.save(scripted, str(tmp_path / "module.pt"))
    eager = CommitteeModule(
        [script_model(m, symbols, DOUBLE, periodic=True) for m in members],
        range(len(symbols)),
    )
    expected = [
        eager(*arguments),
        eager.evaluate(*arguments),
        [eager.deviation(*arguments)],
    ]
    reloaded = torch.jit.load(str(tmp_path / "module.pt"))
    for module in (scripted, reloaded, reloaded):  # the second call is optimised
        found = [
            module(*arguments),
            module.evaluate(*arguments),
            [module.deviation(*arguments)],
        ]
        for ours, wanted in zip(found, expected, strict=True):
            for a, b in zip(ours, wanted, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-9)


def test_forces_are_derivatives_of_the_mean_energy(members, water):
    symbols, positions, box = water
    module = committee_module(members, symbols, DOUBLE, periodic=True)
    box = torch.tensor(box)
    forces = module(torch.tensor(positions), box)[1]
    for atom, axis in ((0, 0), (1, 2), (7, 1)):
        energies = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[atom, axis] += sign * 1e-5
            energies.append(module(torch.tensor(moved), box)[0].item())
        slope = (energies[1] - energies[0]) / 2e-5
        assert slope == pytest.approx(forces[atom, axis].item(), abs=2e-3)


def test_order_and_repetition_of_members(members, water):
    """Any order is the same; members that are one model do not deviate."""
    symbols, positions, box = water
    arguments = torch.tensor(positions), torch.tensor(box)

    def module(chosen):
        return committee_module(chosen, symbols, DOUBLE, periodic=True)

    first, second = module(members), module(members[::-1])
    for a, b in zip(first(*arguments), second(*arguments), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(
        first.deviation(*arguments), second.deviation(*arguments)
    )
    same = module([members[0]] * 3)
    assert same.deviation(*arguments).max() < 1e-12
    one = module(members[:1])
    torch.testing.assert_close(same(*arguments), one(*arguments))


@pytest.mark.parametrize("backend", ["pythonforce", "native"])
def test_uncertainty_without_a_context(members, water, backend):
    symbols, positions, box = water
    topology = make_topology(symbols, box)
    alone = [
        force_module(m, symbols, periodic=True).evaluate(
            torch.tensor(positions), torch.tensor(box)
        )
        for m in members
    ]
    energies = np.array([e.numpy() for e, _, _ in alone])
    forces = [f.numpy() * FORCE for _, f, _ in alone]
    found = AllegroPotential(members).uncertainty(
        topology, positions * 10 * unit.angstrom, backend=backend
    )
    assert found.energy == pytest.approx(energies.sum(1).mean(), rel=1e-9)
    assert found.energy_std == pytest.approx(np.std(energies.sum(1), ddof=1), rel=1e-5)
    np.testing.assert_allclose(found.energies, energies.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.energies_std, energies.std(0, ddof=1), rtol=1e-4)
    np.testing.assert_allclose(found.forces, np.mean(forces, axis=0) / FORCE, atol=1e-5)
    np.testing.assert_allclose(found.forces_std, spread(forces), rtol=1e-4)


@pytest.mark.parametrize(
    "backend", [pytest.param("pythonforce", marks=pytest.mark.slow), "native"]
)
def test_pressure_is_the_mean(members, water, backend):
    """The reporter takes the tensor from the virial, also of a System from XML."""
    symbols, positions, box = water
    topology = make_topology(symbols, box)
    lines = [
        report(PressureReporter, topology, through_xml(s), positions)
        for s in systems(members[1:], topology, backend)
    ]
    for name in ("Pressure_bar", "Pxy_bar", "Pyz_bar"):
        mean = np.mean([line[name] for line in lines[1:]])
        assert lines[0][name] == pytest.approx(mean, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(
    ("backend", "interpolate"),
    [
        pytest.param("torchforce", True, marks=pytest.mark.slow),
        ("pythonforce", False),
        ("native", True),
    ],
)
def test_a_capped_region(backend, interpolate):
    """Forces of the cap count on the region's atoms; so do they in each member."""
    if backend == "torchforce":
        pytest.importorskip("openmmtorch")
    droplet = cluster(solvated())
    organic = organic_model()
    both = [organic, sibling(organic, 4, cutoff=4.0, num_layers=1)]
    found = []
    for given in (both, *both):
        system = AllegroPotential(given).create_mixed_system(
            droplet.topology,
            droplet.system,
            ACETYL,
            link="cap",
            backend=backend,
            precision="double",
            interpolate=interpolate,
            force_group=3,
        )
        energy, forces = evaluate(context_of(system, droplet.positions), {3})
        found.append((system, energy, forces))
    (system, energy, forces), *alone = found
    assert energy == pytest.approx(np.mean([e for _, e, _ in alone]), rel=1e-6)
    mean = np.mean([f for _, _, f in alone], axis=0)
    np.testing.assert_allclose(forces, mean, atol=1e-5 * abs(mean).max())
    expected = spread([f for _, _, f in alone])
    line = report(UncertaintyReporter, droplet.topology, system, droplet.positions)
    _, _, largest, mean, worst = line.item()
    assert largest == pytest.approx(expected[ACETYL].max(), rel=1e-3)
    assert mean == pytest.approx(expected[ACETYL].mean(), rel=1e-3)
    assert worst == ACETYL[np.argmax(expected[ACETYL])]


def test_files_and_openmmml(members, water, tmp_path):
    """A path and a Model mix; OpenMM-ML takes a list of files."""
    MLPotential = pytest.importorskip("openmmml").MLPotential
    symbols, positions, box = water
    topology = make_topology(symbols, box)
    paths = [
        save_model(m, tmp_path / f"{i}.safetensors") for i, m in enumerate(members)
    ]
    potential = AllegroPotential([paths[0], *members[1:]])
    assert [type(m) for m in potential.models] == [Model] * 3
    expected = potential.uncertainty(topology, positions, precision="double").energy
    system = MLPotential("allegro", modelPath=paths).createSystem(
        topology, precision="double", backend="pythonforce"
    )
    found = energy_and_forces(system, positions)[0]
    assert found == pytest.approx(expected * EV_TO_KJ_PER_MOL, rel=1e-6)
    assert AllegroPotential(paths[:1]).model.config == members[0].config


def test_correction_to_a_force_field(members, water):
    """E = E_MM + the mean of the members."""
    symbols, positions, box = water
    topology, classical = water_system(symbols, box, cutoff=0.2)
    baseline = {"baseline": fingerprint(classical, symbols)}
    changes = {"kind": "delta", "provenance": baseline}
    both = AllegroPotential([Model(**vars(m) | changes) for m in members[1:]])
    options = {"backend": "pythonforce", "precision": "double"}
    total = energy_and_forces(
        both.add_to_system(topology, classical, **options), positions
    )
    correction = both.uncertainty(topology, positions, precision="double")
    energy, forces = energy_and_forces(classical, positions)
    expected = energy + correction.energy * EV_TO_KJ_PER_MOL
    assert total[0] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        total[1], forces + correction.forces * FORCE, atol=1e-4 * abs(forces).max()
    )


def delta(model, settings="a", molecules=("w",)):
    baseline = {"settings": settings, "molecules": {m: m for m in molecules}}
    changes = {"kind": "delta", "provenance": {"baseline": baseline}}
    return Model(**vars(model) | changes)


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("one kind", lambda m: [m, delta(m)]),
        ("same baseline", lambda m: [delta(m), delta(m, "b")]),
        ("found others, x", lambda m: [delta(m), delta(m, molecules=("w", "x"))]),
        ("found others, x", lambda m: [delta(m, molecules=("w", "x")), delta(m)]),
        ("no baseline", lambda m: [delta(m), Model(**vars(m) | {"kind": "delta"})]),
        ("one model or more", lambda m: []),
    ],
)
def test_members_that_do_not_fit(model, words, make):
    with pytest.raises(ValueError, match=words):
        AllegroPotential(make(model))


def test_bad_input(model, full_model, members, water):
    with pytest.raises(ValueError, match=r"member 1 .* found Na"):
        AllegroPotential([full_model, model]).create_system(make_topology(["O", "Na"]))
    with pytest.raises(ValueError, match="single model, found a committee of 3"):
        _ = AllegroPotential(members).model
    symbols, positions, box = water
    topology = make_topology(symbols, box)
    with pytest.raises(ValueError, match="found a single model"):
        AllegroPotential(model).uncertainty(topology, positions)
    with pytest.raises(ValueError, match=r"\(9, 3\), found \(8, 3\)"):
        AllegroPotential(members).uncertainty(topology, positions[:-1])
    single = AllegroPotential(model).create_system(topology, backend="pythonforce")
    with pytest.raises(ValueError, match="found 0 such forces"):
        report(UncertaintyReporter, topology, single, positions)
    with pytest.raises(ValueError, match="at least 1, found 0"):
        UncertaintyReporter("never.csv", 0)
