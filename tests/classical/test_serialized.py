# SPDX-License-Identifier: MIT
"""XML of Systems and States is read, and no code of it runs unless it is trusted."""

import io
import itertools
import pickle
import re
from pathlib import Path

import openmm
import pytest
import torch
from code_helpers import Payload
from openmm_helpers import make_topology

import openmm_allegro
from openmm_allegro import AllegroPotential, save_model
from openmm_allegro.classical.serialized import check_system, read_state, read_system
from openmm_allegro.cli.main import main
from openmm_allegro.forces import BACKENDS
from openmm_allegro.simulate.checkpoint import Checkpoint, restore
from openmm_allegro.simulate.protocol_file import read_protocol


def python_force(folder):
    """XML of a force whose function does harm as soon as it is read."""
    text = openmm.XmlSerializer.serialize(openmm.PythonForce(abs)).partition("?>")[2]
    return text.replace(force_function(text), pickle.dumps(Payload(folder)).hex())


def force_function(text):
    return text.partition('function="')[2].partition('"')[0]


def system_with(force_xml):
    """XML of a System of one particle with a force given as XML."""
    system = openmm.System()
    system.addParticle(1.0)
    text = openmm.XmlSerializer.serialize(system)
    return text.replace("<Forces/>", f"<Forces>{force_xml}</Forces>")


def nested(force_xml):
    """The same inside a CustomCVForce inside another."""
    for _ in range(2):
        outer = openmm.CustomCVForce("a")
        outer.addCollectiveVariable("a", openmm.CustomExternalForce("x"))
        text = openmm.XmlSerializer.serialize(outer).partition("?>")[2]
        first = text.index("<Force", text.index("<CollectiveVariable name"))
        last = text.index("</Force>", first) + len("</Force>")
        force_xml = text[:first] + force_xml + text[last:]
    return force_xml


@pytest.mark.parametrize("wrap", [str, nested])
def test_a_python_force_is_refused_wherever_it_stands(trap, tmp_path, wrap):
    path = tmp_path / "system.xml"
    path.write_text(system_with(wrap(python_force(trap))))
    with pytest.raises(ValueError, match=r"found a PythonForce, .* --trust"):
        read_system(path)


def test_a_trusted_python_force_is_read(tmp_path):
    system = openmm.System()
    system.addParticle(1.0)
    system.addForce(openmm.PythonForce(abs))
    path = tmp_path / "system.xml"
    path.write_text(openmm.XmlSerializer.serialize(system))
    with pytest.raises(ValueError, match="PythonForce"):
        read_system(path)
    assert read_system(path, trust=True).getNumForces() == 1


# OpenMM ends a comment where its angle brackets balance, other parsers at "-->".
TRICKS = {
    "comment": lambda force: system_with(f"<!-- > {force} <x -->"),
    "CDATA": lambda force: system_with(f"<![CDATA[ ]]>{force}"),
    "entity": lambda force: (
        f'<?xml version="1.0" ?><!DOCTYPE a [<!ENTITY b "{force[:5]}">]>'
        + system_with(force).partition("?>")[2]
    ),
    "reference": lambda force: system_with(force.replace("PythonF", "&#80;ythonF")),
    "root": lambda force: force.replace("<Force", "<System").replace(
        "</Force", "</System"
    ),
    "type of the root": lambda force: system_with("").replace(
        'type="System"', f'type="PythonForce" function="{force_function(force)}"'
    ),
    "quotes": lambda force: system_with(
        force.replace('"PythonForce"', "'PythonForce'")
    ),
    "two types": lambda force: system_with(
        force.replace("type=", 'type="NonbondedForce" type=')
    ),
    "two roots": lambda force: system_with("") + force,
    "another namespace": lambda force: system_with(
        force.replace("<Force ", '<n:Force xmlns:n="x" ').replace("</F", "</n:F")
    ),
    "unknown": lambda force: system_with(force.replace("PythonForce", "PlumedForce")),
    "instruction": lambda force: system_with(f"<?a ?> {force} <?b ?>"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_do_not_hide_a_python_force(trap, tmp_path, trick):
    path = tmp_path / "system.xml"
    path.write_text(TRICKS[trick](python_force(trap)))
    with pytest.raises(ValueError, match=r"system\.xml: expected"):
        read_system(path)


def context_of_one():
    """Context of one particle."""
    system = openmm.System()
    system.addParticle(1.0)
    reference = openmm.Platform.getPlatformByName("Reference")
    integrator = openmm.NoseHooverIntegrator(300, 1, 0.001)
    context = openmm.Context(system, integrator, reference)
    context.setPositions([[1, 2, 3]])
    return context


def test_states_are_states(trap):
    context = context_of_one()
    what = dict.fromkeys(
        ("positions", "velocities", "parameters", "integratorParameters"), True
    )
    text = openmm.XmlSerializer.serialize(context.getState(**what))
    assert read_state(text, "x").getPositions()[0].y == 2
    force = python_force(trap)
    for bad in (
        force,
        force.replace("<Force", "<State").replace("</Force", "</State"),
        text.replace('type="State"', f'type="PythonForce" {force[7:60]}"'),
        text.replace("<Parameters/>", f"<Parameters>{force}</Parameters>"),
        system_with(force),
        text[:200],
        "",
        "<State type='State'/>",
    ):
        with pytest.raises(ValueError, match="x: expected"):
            read_state(bad, "x")


def test_deep_xml_does_not_overflow_the_stack():
    text = system_with("<a>" * 200_000 + "</a>" * 200_000)
    with pytest.raises(ValueError, match="at most 100 elements"):
        check_system(text, "x")


@pytest.mark.parametrize(
    ("backend", "kernel"),
    [*itertools.product(BACKENDS, ["fused", "plain"]), ("native", "fused")],
)
def test_own_systems(model, water_box, tmp_path, backend, kernel):
    """Those with a TorchForce are read without trust, if it is as we wrote it."""
    symbols, _, box = water_box
    topology = make_topology(symbols, box)
    system = AllegroPotential(model).create_system(
        topology, backend=backend, kernel=kernel
    )
    path = tmp_path / "system.xml"
    path.write_text(openmm.XmlSerializer.serialize(system))
    if backend == "pythonforce":
        with pytest.raises(ValueError, match="found a PythonForce"):
            read_system(path)
    assert read_system(path, trust=backend == "pythonforce").getNumForces() == (
        system.getNumForces()
    )


@pytest.mark.parametrize("array", ["integers", "constants", "weights"])
@pytest.mark.parametrize("change", ["cut", "empty", "no number", "double"])
def test_models_of_native_forces_are_checked(model, tmp_path, array, change):
    """A program whose indices lead elsewhere would end the process."""
    topology = make_topology(["O", "H", "H"])
    system = AllegroPotential(model).create_system(topology, backend="native")
    text = openmm.XmlSerializer.serialize(system)
    check_system(text, "x")
    value = re.search(f' {array}="([^"]*)"', text)[1]
    if change == "double":
        damaged = text.replace(' double="0"', ' double="01"')
    else:
        other = {"cut": value[:-12], "empty": "", "no number": "%" + value[1:]}[change]
        damaged = text.replace(value, other, 1)
    assert damaged != text
    with pytest.raises(ValueError, match="x: expected the model of a native force"):
        check_system(damaged, "x")


class Energy(torch.nn.Module):
    def forward(self, positions: torch.Tensor):
        return (positions**2).sum()


class Writing(torch.nn.Module):
    def forward(self, positions: torch.Tensor):
        torch.save(positions, "x")
        return positions.sum()


class Reading(torch.nn.Module):
    def forward(self, positions: torch.Tensor):
        return positions.sum() + torch.from_file("x", shared=True, size=3).sum()


@pytest.mark.parametrize(
    ("module", "words"),
    [(Energy, ""), (Writing, "operator save"), (Reading, "operator from_file")],
)
def test_programs_of_a_torch_force(module, words):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module()), buffer)
    force = '<Force encodedFileContents="{}" type="TorchForce" version="4"/>'
    text = system_with(force.format(buffer.getvalue().hex()))
    if not words:
        check_system(text, "x")
        return
    with pytest.raises(ValueError, match=f"x: .* {words}; .* --trust"):
        check_system(text, "x")
    check_system(text, "x", trust=True)


@pytest.mark.parametrize(
    "attributes",
    [
        'file="module.pt" version="1"',
        'encodedFileContents="" file="module.pt" version="4"',
        'encodedFileContents="504b0304" version=" 1"',
        'encodedFileContents="504b0304" version="4"',
        'encodedFileContents="nonsense" version="4"',
        'version="4"',
    ],
)
def test_torch_forces_without_a_program_that_can_be_read(attributes):
    text = system_with(f'<Force type="TorchForce" {attributes}/>')
    with pytest.raises(ValueError, match="found a TorchForce"):
        check_system(text, "x")


def test_a_state_of_a_checkpoint_is_a_state(trap):
    context = context_of_one()
    values = dict.fromkeys(Checkpoint._fields) | {"state": python_force(trap)}
    checkpoint = Checkpoint(**values)
    with pytest.raises(ValueError, match="checkpoint: expected a serialized State"):
        restore(context, checkpoint, "verlet")


ZERO = f"{0:8.3f}"
SODIUM = f"HETATM    1 NA    NA A   1    {ZERO * 3}  1.00  0.00          NA\n"
PROTOCOL = '[system]\ntopology = "s.pdb"\nsystem = "s.xml"\n'


def test_protocols_do_not_trust_themselves(trap, model, tmp_path):
    (tmp_path / "s.xml").write_text(system_with(python_force(trap)))
    (tmp_path / "s.pdb").write_text(SODIUM)
    stages = '[[stages]]\nname = "a"\nsteps = 1\nreport_interval = 1\n'
    path = tmp_path / "p.toml"
    path.write_text(PROTOCOL + stages)
    with pytest.raises(ValueError, match=r"s\.xml: .* PythonForce.* --trust"):
        read_protocol(path)
    path.write_text(PROTOCOL + "trust = true\n" + stages)
    with pytest.raises(ValueError, match=r"expected keys among .*; found trust"):
        read_protocol(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "m.safetensors", "d.extxyz", "--baseline", "s.xml"],
        ["simulate", "m.safetensors", "s.pdb", "--baseline", "s.xml", "--output", "x"],
        ["simulate", "p.toml", "--output", "x"],
        ["train", "t.toml"],
    ],
)
def test_the_command_asks_for_trust(
    arguments, trap, model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    save_model(model, "m.safetensors")
    Path("s.xml").write_text(system_with(python_force(trap)))
    Path("s.pdb").write_text(SODIUM)
    stages = '[[stages]]\nname = "a"\nsteps = 1\nreport_interval = 1\n'
    Path("p.toml").write_text(PROTOCOL + stages)
    Path("t.toml").write_text(
        '[data]\ntraining = ["d.extxyz"]\nvalidation_size = 1\nbaseline = ["s.xml"]\n'
        '[model]\nelements = ["H"]\ncutoff = 3.0\n'
    )
    Path("d.extxyz").write_text("")
    assert main(arguments) == 2
    assert "expected forces without programs of their own" in capsys.readouterr().err


def test_few_places_read_xml():
    """Whoever reads XML of a file elsewhere has to check it."""
    package = Path(openmm_allegro.__file__).parent
    reading = [
        str(path.relative_to(package))
        for path in sorted(package.rglob("*.py"))
        if "XmlSerializer.deserialize(" in path.read_text(encoding="utf-8")
    ]
    assert reading == [
        "classical/serialized.py",
        "mixing/terms.py",  # of a System in memory
        "plugin/force.py",  # of what it has just written
        "plugin/library.py",  # an empty force, in a process of its own
        "simulate/differences.py",  # after a check
    ]


@pytest.mark.parametrize(
    "value", ["abc", "1,5", "1.2.3", "--1", "", "0x1F", "1e400", "nan", "-inf", "*"]
)
@pytest.mark.parametrize("name", ["mass", "k", "p2"])
def test_numbers_that_are_none(tmp_path, name, value):
    """OpenMM reads them as 0, or up to where they begin to be none."""
    system = openmm.System()
    bonds = openmm.HarmonicBondForce()
    bonds.addBond(0, 1, 0.15, 1e5)
    system.addForce(bonds)
    for _ in range(2):
        system.addParticle(12.0)
    path = tmp_path / "system.xml"
    text = openmm.XmlSerializer.serialize(system)
    path.write_text(re.sub(rf'\b{name}="[^"]*"', f'{name}="{value}"', text, count=1))
    with pytest.raises(ValueError, match=r"expected .*numbers"):
        read_system(path)
    path.write_text(text.replace('"100000"', '"1.0e5"').replace("\t", "\n "))
    assert read_system(path).getNumForces() == 1
    # as an earlier version wrote it
    path.write_text(text.replace('name="HarmonicBondForce" ', ""))
    assert read_system(path).getNumForces() == 1
