# SPDX-License-Identifier: MIT
"""Systems with native forces are made and run where there is no torch.

A process of its own notes each attempt to import what only training may need, and lets
none succeed.
"""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers import sibling
from mixed_helpers import (
    ACETYL,
    SOLUTE,
    cluster,
    force_field,
    organic_model,
    part,
    solvated,
)
from openmm_helpers import energy_and_forces, skip_without

from openmm_allegro import AllegroPotential, Model, save_model
from openmm_allegro.classical.fingerprint import fingerprint

PROGRAM = """
import pickle, sys

attempts = []
class Absent:
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("torch", "e3nn", "vesin_torch", "ase", "openmmtorch"):
            attempts.append(name)
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())

import numpy as np
import openmm
from openmm_allegro import AllegroPotential
from openmm_allegro.potential.computation import computations, model_particles
from openmm_allegro.reporters import UncertaintyReporter

with open("given.pickle", "rb") as file:
    topology, positions, classical, acetyl = pickle.load(file)
total = AllegroPotential("total.safetensors")
both = AllegroPotential(["total.safetensors", "other.safetensors"])
delta = AllegroPotential("delta.safetensors")
native = {"backend": "native", "precision": "double"}
cut = native | {"link": "cap"}
systems = [
    both.create_system(topology, **native),
    total.create_mixed_system(topology, classical, acetyl, **cut),
    total.create_mixed_system(topology, classical, acetyl, interpolate=True, **cut),
    delta.add_to_system(topology, classical, **native),
]
energies = []
for system in systems:
    text = openmm.XmlSerializer.serialize(system)
    system = openmm.XmlSerializer.deserialize(text)
    integrator = openmm.VerletIntegrator(0.0001)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(positions)
    energies.append(context.getState(energy=True).getPotentialEnergy()._value)
    integrator.step(5)
assert len(model_particles(systems[1])) == len(acetyl)
assert computations(systems[0])[0].number_of_models == 2
deviation = both.uncertainty(topology, positions, **native).energy_std
assert attempts == [], attempts
sys.modules |= {"torch": None, "openmmtorch": None}
(force,) = computations(both.create_system(topology))
assert force.number_of_models == 2
print(*energies, deviation)
"""


def test_no_module_of_torch_is_asked_for(tmp_path):
    skip_without("pythonforce")  # to compare with
    topology, positions, _ = part(cluster(solvated()), range(SOLUTE + 3))
    classical = force_field().createSystem(topology, rigidWater=False)
    model = organic_model()
    symbols = [atom.element.symbol for atom in topology.atoms()]
    baseline = {"baseline": fingerprint(classical, symbols)}
    delta = Model(**vars(model) | {"kind": "delta", "provenance": baseline})
    other = sibling(model, 1)
    for name, each in (("total", model), ("other", other), ("delta", delta)):
        save_model(each, tmp_path / f"{name}.safetensors")
    given = pickle.dumps((topology, positions, classical, ACETYL))
    (tmp_path / "given.pickle").write_bytes(given)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *energies, deviation = map(float, done.stdout.split())
    options = {"backend": "pythonforce", "precision": "double"}
    cut = options | {"link": "cap"}
    total, both = AllegroPotential(model), AllegroPotential([model, other])
    expected = [
        both.create_system(topology, **options),
        *[total.create_mixed_system(topology, classical, ACETYL, **cut)] * 2,
        AllegroPotential(delta).add_to_system(topology, classical, **options),
    ]
    np.testing.assert_allclose(
        energies, [energy_and_forces(s, positions)[0] for s in expected], rtol=1e-9
    )
    spread = both.uncertainty(topology, positions, **options).energy_std
    assert deviation == pytest.approx(spread, rel=1e-9)
