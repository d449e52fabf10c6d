# SPDX-License-Identifier: MIT
"""A run is resumed as what it was: with its System, its topology and its files."""

import json
import os
import shutil

import numpy as np
import openmm
import pytest
from openmm import app
from openmm_helpers import harmonic_system, make_topology
from run_helpers import (
    INTERVAL,
    STEPS,
    VELOCITIES,
    Killed,
    Killer,
    check_complete,
    final_state,
    start,
    start_killed,
)

from openmm_allegro.reporters.table import TableReporter

pytestmark = pytest.mark.small


def molecules(count=8):
    """Diatomic molecules in a box, with bonds, constraints, charges and a restraint."""
    topology = make_topology(["O", "H"] * count, 3 * np.eye(3))
    atoms = list(topology.atoms())
    system = openmm.System()
    bonds, charges = openmm.HarmonicBondForce(), openmm.NonbondedForce()
    charges.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    for index, atom in enumerate(atoms):
        system.addParticle(atom.element.mass)
        charges.addParticle(0.1 * (-1) ** index, 0.1, 0.0)
    for first in range(0, 2 * count, 2):
        topology.addBond(atoms[first], atoms[first + 1])
        bonds.addBond(first, first + 1, 0.1, 1e5)
        charges.addException(first, first + 1, 0.0, 0.1, 0.0)
    restraint = openmm.CustomExternalForce("k*x^2")
    restraint.addGlobalParameter("k", 10.0)
    restraint.addParticle(0)
    mixture = openmm.CustomCVForce("r/2")
    distance = openmm.CustomBondForce("r")
    distance.addBond(0, 3)
    mixture.addCollectiveVariable("r", distance)
    for force in (bonds, charges, restraint, mixture):
        system.addForce(force)
    system.setDefaultPeriodicBoxVectors(*(3 * np.eye(3)))
    sites = np.stack(np.meshgrid(*[[0.5, 1.5]] * 3), -1).reshape(-1, 3)
    pairs = sites[:, None] + np.array([[0, 0, 0], [0.1, 0, 0]])
    return topology, pairs.reshape(-1, 3), system


def element(topology, _):
    atom = list(topology.atoms())[1]
    atom.element = app.element.fluorine


def residue(topology, _):
    next(topology.residues()).name = "OTHER"


def bond(topology, _):
    first, *_, last = topology.atoms()
    topology.addBond(first, last)


def box(_, system):
    system.setDefaultPeriodicBoxVectors(*(3.1 * np.eye(3)))


def mass(_, system):
    system.setParticleMass(3, 2.014)


def constraint(_, system):
    system.addConstraint(0, 1, 0.1)


def charge(_, system):
    system.getForce(1).setParticleParameters(2, 0.2, 0.1, 0.0)


def stiffness(_, system):
    system.getForce(0).setBondParameters(7, 14, 15, 0.1, 2e5)


def parameter(_, system):
    system.getForce(2).setGlobalParameterDefaultValue(0, 11.0)


def inner(_, system):
    system.getForce(3).getCollectiveVariable(0).setBondParameters(0, 0, 5)


def method(_, system):
    system.getForce(1).setCutoffDistance(0.9)


def missing(_, system):
    system.removeForce(2)


def further(_, system):
    system.addForce(openmm.CMMotionRemover())


CHANGES = {
    element: r"atom 1 H H of X rather than F H of X",
    residue: r"atom 0 O O of X rather than O O of OTHER",
    bond: r"other bonds \(8 rather than 9\)",
    box: r"box \(3, .*\) nm rather than \(3\.1, ",
    mass: r"particle 3: mass 1\.00\S* rather than 2\.014",
    constraint: r"constraint: 0 rather than 1",
    charge: r"NonbondedForce: Particles 2: q \.?0?\.1 rather than \.?0?\.2",
    stiffness: r"HarmonicBondForce: Bonds 7: k 100000 rather than 200000",
    parameter: r"CustomExternalForce: GlobalParameters 0: default 10 rather than 11",
    inner: r"CustomCVForce",
    method: r"NonbondedForce: cutoff 1 rather than \.9",
    missing: r"forces \[.*External.*\] rather than \[",
    further: r"forces \[.*\] rather than \[.*CMMotionRemover",
}
OPTIONS = {"velocity_interval": 0, "platform": "Reference"}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Prefix of a run of these molecules that was killed."""
    prefix = tmp_path_factory.mktemp("stopped") / "x"
    start_killed(molecules(), prefix, 33, **OPTIONS)
    return prefix


@pytest.fixture
def copied(stopped, tmp_path):
    """The same in a folder of its own."""
    for path in stopped.parent.glob("x*"):
        if path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path / "x"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("has_files", [True, False], ids=["files", "record alone"])
def test_another_system_is_named(copied, change, has_files):
    """By its first difference, or by its part where the files are lost."""
    topology, positions, system = molecules()
    change(topology, system)
    words = CHANGES[change]
    if not has_files:
        for suffix in (".pdb", ".system.xml"):
            copied.with_suffix(suffix).unlink()
        words = "found another: "
    before = copied.with_suffix(".xtc").read_bytes()
    with pytest.raises(ValueError, match=words):
        start((topology, positions, system), copied, resume=True, **OPTIONS)
    assert copied.with_suffix(".xtc").read_bytes() == before


def test_what_changes_nothing_is_accepted(copied):
    """Names, force groups, seeds, the platform, where it starts from; more steps."""
    topology, positions, system = molecules()
    for force in system.getForces():
        force.setName("other")
        force.setForceGroup(3)
    run = topology, positions + 0.01, system
    paths = start(
        run, copied, resume=True, **(OPTIONS | {"platform": "CPU", "steps": 100})
    )
    check_complete(paths, 100, INTERVAL)


@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_a_box_is_compared_where_it_is_constant(tmp_path, ensemble):
    options = OPTIONS | {"ensemble": ensemble, "barostat_interval": 5}
    topology, positions, system = molecules()
    start_killed((topology, positions, system), tmp_path / "x", 33, **options)
    box(topology, system)
    again = (topology, positions, system), tmp_path / "x"
    if ensemble == "npt":
        check_complete(start(*again, resume=True, **options), STEPS, INTERVAL)
    else:
        with pytest.raises(ValueError, match=r"box .* rather than"):
            start(*again, resume=True, **options)


def test_another_version_of_openmm(copied, caplog):
    """It may write other XML: the run's own is written anew and compared."""
    path, file = copied.with_suffix(".json"), copied.with_suffix(".system.xml")
    record = json.loads(path.read_text())
    record["openmm_version"] = "8.1"
    record["identity"] |= {"particles": "of", "constraints": "another"}
    record["identity"]["forces"] = [["HarmonicBondForce", "format"]]
    xml = file.read_text().replace('k="100000"', 'k="1.0e5"').replace("\t", " ")
    file.write_text(xml)
    del record["files_sha256"]
    path.write_text(json.dumps(record))
    topology, positions, system = molecules()
    mass(topology, system)
    with pytest.raises(ValueError, match=r"particle 3: mass"):
        start((topology, positions, system), copied, resume=True, **OPTIONS)
    check_complete(start(molecules(), copied, resume=True, **OPTIONS), STEPS, INTERVAL)


def test_a_record_without_hashes(copied, caplog):
    path = copied.with_suffix(".json")
    record = json.loads(path.read_text())
    del record["identity"], record["files_sha256"]
    path.write_text(json.dumps(record))
    paths = start(molecules(), copied, resume=True, **OPTIONS)
    check_complete(paths, STEPS, INTERVAL)
    assert "only the settings are compared" in caplog.text
    assert "identity" in json.loads(path.read_text())


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("suffix", [".xtc", ".csv", ".pdb", ".system.xml"])
@pytest.mark.parametrize("is_finished", [False, True])
def test_a_changed_byte_is_noticed(copied, suffix, is_finished):
    if is_finished:
        start(molecules(), copied, resume=True, **OPTIONS)
    file = copied.with_suffix(suffix)
    flip(file, 120)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=rf"{suffix} as the run wrote it, found"):
        start(molecules(), copied, resume=True, **OPTIONS)
    assert file.read_bytes() == before


@pytest.mark.parametrize("is_finished", [False, True])
def test_missing_files_are_written_anew(copied, caplog, is_finished):
    """Those that can be, and this is said."""
    whole = start(molecules(), copied.with_name("whole"), **OPTIONS)
    if is_finished:
        start(molecules(), copied, resume=True, **OPTIONS)
        copied.with_suffix(".state.xml").unlink()
    for suffix in (".pdb", ".system.xml"):
        copied.with_suffix(suffix).unlink()
    paths = start(molecules(), copied, resume=True, **OPTIONS)
    assert caplog.text.count("written anew") == 2 + is_finished
    np.testing.assert_array_equal(final_state(paths), final_state(whole))
    assert paths["system"].read_bytes() == whole["system"].read_bytes()
    assert app.PDBFile(str(paths["topology"])).topology.getNumAtoms() == 16
    start(molecules(), copied, resume=True, **OPTIONS)


@pytest.mark.parametrize("is_finished", [False, True])
def test_changed_velocities_are_noticed(tmp_path, is_finished):
    system = harmonic_system()
    start_killed(system, tmp_path / "x", 33)
    file = tmp_path / "x.h5.parts" / "00000.h5"
    if is_finished:
        file = start(system, tmp_path / "x", resume=True)["velocities"]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] + b"\0" * (len(whole) // 2))
    with pytest.raises(ValueError, match=r"x\.h5.*(damaged|found \d)"):
        start(system, tmp_path / "x", resume=True)
    file.write_bytes(whole)
    check_complete(
        start(system, tmp_path / "x", resume=True), STEPS, INTERVAL, VELOCITIES
    )


class Steps(TableReporter):
    def values(self, simulation, state):
        return {}


@pytest.mark.parametrize("version", ["this", "0.1.0"])
def test_a_moved_and_renamed_run(tmp_path, version):
    """With a reporter's file that is moved with it; keys of 0.1.0 were names."""
    system, old, new = harmonic_system(), tmp_path / "old", tmp_path / "new" / "run"
    old.mkdir()
    with pytest.raises(Killed):
        start(system, old / "x", reporters=[Steps(old / "s.csv", 5), Killer(33)])
    if version == "0.1.0":
        from openmm_allegro.simulate import checkpoint

        path = old / "x.chk"
        read = checkpoint.read_checkpoint(path)
        sizes = {k.replace("*", "x"): size for k, size in read.sizes.items()}
        read = read._replace(sizes=sizes, blocks={})
        checkpoint.write_checkpoint(path, read)
    new.parent.mkdir()
    for path in sorted(old.iterdir()):
        os.rename(path, new.parent / path.name.replace("x.", "run.", 1))
    assert {path.name for path in new.parent.iterdir()} > {"run.xtc", "s.csv"}
    with pytest.raises(ValueError, match=r"writes s\.csv.*moved or renamed"):
        start(system, new, resume=True)
    reporters = [Steps(new.parent / "s.csv", 5)]
    paths = start(system, new, resume=True, reporters=reporters)
    check_complete(paths, STEPS, INTERVAL, VELOCITIES)
    steps = np.loadtxt(new.parent / "s.csv", delimiter=",")[:, 0]
    np.testing.assert_array_equal(steps, np.arange(5, STEPS + 1, 5))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("identity", "H"),
        ("identity", {"box": [1]}),
        ("identity", []),
        ("files_sha256", 5),
        ("steps", "8"),
        ("completed_steps", None),
        ("resumed_at", {}),
        ("seed", True),
    ],
)
def test_records_of_other_types(copied, key, value):
    path = copied.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ValueError, match=rf"expected .*{key}"):
        start(molecules(), copied, resume=True, **OPTIONS)
