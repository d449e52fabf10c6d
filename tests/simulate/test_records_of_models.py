# SPDX-License-Identifier: MIT
"""Records name the models of a run from Python, and resuming compares them."""

import json

import openmm
import pytest
from helpers import water_model
from openmm_helpers import BACKEND, make_topology
from run_helpers import INTERVAL, STEPS, check_complete, start, start_killed

from openmm_allegro import AllegroPotential
from openmm_allegro.modelfile import load_model, save_model

pytestmark = pytest.mark.small


@pytest.fixture(scope="module")
def waters(model, water_box, tmp_path_factory):
    """Topology and positions of four molecules, and two model files."""
    symbols, positions, box = water_box
    folder = tmp_path_factory.mktemp("models")
    first = save_model(model, folder / "a.safetensors")
    second = save_model(water_model(seed=1), folder / "b.safetensors")
    topology = make_topology(symbols[:12], box, waters=True)
    return topology, positions[:12], first, second


@pytest.mark.parametrize("backend", ["pythonforce", "native"])
def test_the_record_of_a_run_from_python(waters, tmp_path, backend):
    """It names model, region and options, also of a System that was read from XML."""
    topology, positions, file, _ = waters
    potential = AllegroPotential(file)
    system = potential.create_system(topology, backend=backend, precision="double")
    system = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    paths = start((topology, positions, system), tmp_path / "x", steps=5)
    record = json.loads(paths["record"].read_text())
    assert record["model"] == str(file) and len(record["model_sha256"]) == 64
    assert record["precision"] == "double" and record["backend"] == backend
    assert record["ml_region"] == "all atoms" and record["skin"] is None
    pytest.importorskip("torch")
    model = load_model(file)
    next(model.energy.parameters()).data.mul_(1.01)  # no longer that of the file
    system = AllegroPotential(model).create_system(topology, backend=backend)
    paths = start((topology, positions, system), tmp_path / "y", steps=5)
    record = json.loads(paths["record"].read_text())
    assert "model" not in record and len(record["model_weights_sha256"]) == 64


def test_the_model_is_part_of_what_a_run_is(waters, tmp_path):
    """The same in another file, or computed in another way, is accepted."""
    topology, positions, first, second = waters

    def system(model, **options):
        made = AllegroPotential(model).create_system(
            topology, **({"backend": "native"} | options)
        )
        return topology, positions, made

    options = {"velocity_interval": 0}
    start_killed(system(first), tmp_path / "x", 33, **options)
    for other, words in (
        (system(second), "model_sha256 .*model with weights"),
        (system(first, precision="double"), "precision 'mixed' rather than 'double'"),
        (system(first, periodic=False), "box .* rather than none"),
    ):
        with pytest.raises(ValueError, match=words):
            start(other, tmp_path / "x", resume=True, **options)
    model = load_model(first)
    model.provenance["about"] = "written again"
    again = save_model(model, tmp_path / "again.safetensors")
    pytest.importorskip("torch")
    plain = system(again, backend="pythonforce", kernel="plain", skin=0.2)
    paths = start(plain, tmp_path / "x", resume=True, **options)
    check_complete(paths, STEPS, INTERVAL)
    record = json.loads(paths["record"].read_text())
    assert record["model"] == str(again) and record["kernel"] == "plain"
    del model.provenance["about"]
    start(system(model), tmp_path / "x", resume=True, **options)


def test_the_reason_of_the_backend_may_change(waters, tmp_path, caplog):
    """Or be absent, as from older records; the run is the same."""
    topology, positions, file, _ = waters

    def system(**options):
        made = AllegroPotential(file).create_system(topology, **options)
        return topology, positions, made

    options = {"velocity_interval": 0}
    start_killed(system(backend="native"), tmp_path / "x", 33, **options)
    path = tmp_path / "x.json"
    record = json.loads(path.read_text())
    assert record["backend_reason"] == "native, as asked for"
    path.write_text(json.dumps(record | {"backend_reason": "native: another reason"}))
    start_killed(system(backend="native"), tmp_path / "x", 53, resume=True, **options)
    record = json.loads(path.read_text())
    assert record.pop("backend_reason") == "native, as asked for"
    path.write_text(json.dumps(record))
    caplog.set_level("INFO")
    start(system(backend=BACKEND), tmp_path / "x", resume=True, **options)
    resuming = "resuming after step 40"
    if BACKEND != "native":
        resuming += ", until which backend='native' computed the model"
    assert f"{resuming}\n" in caplog.text
    record = json.loads(path.read_text())
    name = {"pythonforce": "PythonForce"}.get(BACKEND, BACKEND)
    assert record["backend_reason"] == f"{name}, as asked for"


def test_the_region_is_part_of_what_a_run_is(waters, tmp_path):
    topology, positions, file, _ = waters
    mm_system = openmm.System()
    for atom in topology.atoms():
        mm_system.addParticle(atom.element.mass)
    mm_system.addForce(openmm.HarmonicBondForce())

    def system(atoms):
        made = AllegroPotential(file).create_mixed_system(
            topology, mm_system, atoms, backend="native"
        )
        return topology, positions, made

    options = {"velocity_interval": 0}
    start_killed(system(range(3)), tmp_path / "x", 33, **options)
    record = json.loads((tmp_path / "x.json").read_text())
    assert record["ml_region"] == "3 atoms: 0-2"
    words = "ml_region '3 atoms: 0-2' rather than '6 atoms: 0-2, 6-8'"
    with pytest.raises(ValueError, match=words):
        start(system([0, 1, 2, 6, 7, 8]), tmp_path / "x", resume=True, **options)
