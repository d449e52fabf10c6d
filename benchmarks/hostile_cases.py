# SPDX-License-Identifier: MIT
"""Good files, and what becomes of them: the inputs of hostile.py, by kind."""

import contextlib
import dataclasses
import io
import json
import os
import pickle
import random
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import ase.io
import mdtraj
import numpy as np
import openmm
import tables
from hostile_values import arguments_of, damaged, damaged_text, values_of
from openmm import app, unit
from toml_helpers import CLASSES, PROTOCOL, TRAINING, allowed, toml

from openmm_allegro.cli.main import main as command
from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.model import AllegroConfig, AllegroEnergy, Statistics
from openmm_allegro.model.file import Model, save_model
from openmm_allegro.model.header import BLANK, with_checksum
from openmm_allegro.utils.settings import settings_of

STRUCTURES = Path(__file__).parents[1] / "tests" / "data" / "ethanol.extxyz"
TRAP = "code_ran"  # folder that code of a file makes
ABSENT = "found nothing at absent"  # a file that is read after the TOML
RUN = ["--steps", "8", "--report-interval", "2", "--checkpoint-interval", "4"]
RUN += ["--backend", "pythonforce", "--no-minimize", "--seed", "1", "--timestep", "0.1"]


@dataclass(frozen=True)
class Case:
    """Arguments for the command, and the files that are not the good ones."""

    name: str
    arguments: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    # what is true of an input that is accepted; None: its result has to be the same
    valid: bool | None = None
    other: bool = False  # it may be another good file
    reached: str = ""  # the error that follows when the hostile file was accepted

    def write(self, folder: Path) -> None:
        """Put the files in a folder of good ones."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


@dataclass(frozen=True)
class Inputs:
    """Folder of good files."""

    folder: Path

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


class Payload:
    """An object whose pickle makes a folder when it is read."""

    def __reduce__(self):
        return os.mkdir, (TRAP,)


def make_inputs(folder: Path) -> Inputs:
    """Make a model, structures, topologies, trajectories, a run and Systems."""
    folder.mkdir()
    config = AllegroConfig(
        ("H", "C", "O"),
        4.0,
        l_max=1,
        num_layers=1,
        num_scalar_features=4,
        num_tensor_features=2,
        two_body_width=8,
        latent_width=8,
        readout_width=8,
    )
    statistics = Statistics((8.0,) * 3, (1.0,) * 3, (-300.0,) * 3)
    model = Model(config, statistics, AllegroEnergy(config, statistics))
    save_model(model, folder / "model.safetensors")
    frames = ase.io.read(STRUCTURES, index=":4")
    for atoms in frames:
        atoms.set_cell(np.eye(3) * 20)
        atoms.pbc = True
        atoms.center()
        atoms.calc = AllegroCalculator(model)
        atoms.get_potential_energy()
    ase.io.write(folder / "mol.extxyz", frames, format="extxyz")
    _write_topologies(folder, frames[0])
    start = folder / "mol.pdb"
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        arguments = ["simulate", "model.safetensors", str(start), "--output", "run"]
        assert command([*arguments, *RUN, "--velocity-interval", "2"]) == 0
    trajectory = mdtraj.load(str(folder / "run.xtc"), top=str(folder / "mol.pdb"))
    for ending in ("dcd", "nc", "trr", "h5"):
        trajectory.save(str(folder / f"t.{ending}"))
    system = openmm.System()
    bonds = openmm.HarmonicBondForce()
    for mass in frames[0].get_masses():
        system.addParticle(mass)
    bonds.addBond(0, 1, 0.15, 1000.0)
    system.addForce(bonds)
    (folder / "mm.xml").write_text(openmm.XmlSerializer.serialize(system))
    return Inputs(folder)


def _write_topologies(folder: Path, atoms: ase.Atoms) -> None:
    topology = app.Topology()
    residue = topology.addResidue("ETH", topology.addChain())
    for number, symbol in enumerate(atoms.get_chemical_symbols(), start=1):
        element = app.Element.getBySymbol(symbol)
        topology.addAtom(f"{symbol}{number}", element, residue)
    for first, second in ((0, 1), (1, 2)):
        listed = list(topology.atoms())
        topology.addBond(listed[first], listed[second])
    topology.setUnitCellDimensions([2.0, 2.0, 2.0] * unit.nanometer)
    positions = atoms.positions * unit.angstrom
    for name, writer in (("mol.pdb", app.PDBFile), ("mol.cif", app.PDBxFile)):
        with open(folder / name, "w") as file:
            writer.writeFile(topology, positions, file, keepIds=True)
    mdtraj.load(str(folder / "mol.pdb")).save(str(folder / "mol.gro"))


def train_toml(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    document = TRAINING | {"data": {"training": ["absent"], "validation_size": 4}}
    yield from _toml_cases(document, ["train", "x.toml"], 4, rng)


def protocol_toml(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    system = PROTOCOL["system"] | {"topology": "absent"}
    arguments = ["simulate", "x.toml", "--output", "out"]
    yield from _toml_cases(PROTOCOL | {"system": system}, arguments, 5, rng)


def _toml_cases(
    document: dict, arguments: list[str], count: int, rng: random.Random
) -> Iterator[Case]:
    """Values of other types and sizes in the place of each key, and of each table."""
    for table in document:
        cls, declared = CLASSES[table], settings_of(CLASSES[table])
        for field_ in dataclasses.fields(cls):
            for value in rng.sample(values_of(rng), count):
                changed = json.loads(json.dumps(document))
                target = changed[table][0] if table == "stages" else changed[table]
                target[field_.name] = value
                meant = value
                if field_.name in ("temperature_k", "model") and not _is_list(value):
                    meant = [value]
                valid = allowed(field_.type, declared[field_.name], meant)
                yield _toml_case(table, field_.name, value, changed, arguments, valid)
        for value in values_of(rng):
            changed = document | {table: value}
            yield _toml_case(table, "", value, changed, arguments, value == {})


def _toml_case(table, key, value, document, arguments, valid) -> Case:
    text = "".join(f"{toml(k)} = {toml(v)}\n" for k, v in document.items())
    name = f"[{table}] {key} = {toml(value)[:40]}"
    files = {"x.toml": text.encode()}
    return Case(name, arguments, files, valid=valid, reached=ABSENT)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def model(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """Flipped bytes, cut files, and headers with a checksum that is right."""
    good = inputs.read("model.safetensors")
    info = ["info", "model.safetensors"]
    for name, content in damaged(good, rng, flips=110, cuts=20):
        yield Case(name, info, {"model.safetensors": content})
    length = 8 + int.from_bytes(good[:8], "little")
    outer, weights = json.loads(good[8:length]), good[length:]
    inner = json.loads(outer["__metadata__"]["openmm_allegro"])
    declared = settings_of(AllegroConfig)
    kinds = {each.name: each.type for each in dataclasses.fields(AllegroConfig)}
    for path in _paths(inner):
        for value in rng.sample(values_of(rng, plain=True), 2):
            changed = json.loads(json.dumps(inner))
            target = changed
            for part in path[:-1]:
                target = target[part]
            target[path[-1]] = value
            content = _model_file(outer, changed, weights)
            name = f"{'.'.join(map(str, path))} = {value!r:.40}"
            valid = path[0] in ("provenance", "sha256") or value == _at(inner, path)
            other = False
            if path[0] == "config" and len(path) == 2 and path[1] in declared:
                other = allowed(kinds[path[1]], declared[path[1]], value)
            files = {"model.safetensors": content}
            yield Case(name, info, files, valid or None, other)
    for name, header in _tricks(outer, inner):
        content = len(header).to_bytes(8, "little") + header + weights
        yield Case(name, info, {"model.safetensors": content})
    for tensor in [name for name in outer if name != "__metadata__"]:
        for change in ({"dtype": "F64"}, {"shape": [1]}, {"data_offsets": [0, 4]}):
            header = outer | {tensor: outer[tensor] | change}
            content = _model_file(header, inner, weights)
            yield Case(f"{tensor}: {change}", info, {"model.safetensors": content})


def _paths(value: object, path: tuple = ()) -> Iterator[tuple]:
    items = value.items() if isinstance(value, dict) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _at(value: dict, path: tuple) -> object:
    for part in path:
        value = value[part]
    return value


def _model_file(outer: dict, inner: dict, weights: bytes) -> bytes:
    """A model file with a header whose checksum is right, if it can have one."""
    inner = inner | {"sha256": inner["sha256"] and BLANK}
    metadata = outer["__metadata__"] | {"openmm_allegro": json.dumps(inner)}
    header = json.dumps(outer | {"__metadata__": metadata}).encode()
    content = len(header).to_bytes(8, "little") + header + weights
    with contextlib.suppress(Exception):
        return with_checksum(content)
    return content


def _tricks(outer: dict, inner: dict) -> Iterator[tuple[str, bytes]]:
    text = json.dumps(outer)
    yield "nested header", b'{"a":' * 100_000
    yield "brackets", b"[" * 50_000
    yield "no JSON", b"openmm_allegro" * 10
    yield "a list", b"[1, 2]"
    yield "twice a tensor", (text[:-1] + ", " + text[1:]).encode()
    yield (
        "twice a key",
        text.replace('\\"kind\\":', '\\"kind\\": 1, \\"kind\\":').encode(),
    )
    yield "NaN", text.replace('\\"cutoff\\": 4.0', '\\"cutoff\\": NaN').encode()
    yield "UTF-16", text.encode("utf-16")
    yield "NUL", text.replace("total", "to\\u0000tal").encode()
    yield (
        "no metadata",
        json.dumps({k: v for k, v in outer.items() if k != "__metadata__"}).encode(),
    )
    yield "large number", text.replace("4.0", "1" + "0" * 5000).encode()


def xml(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """Systems that hide code in all places that read one, and damaged ones."""
    good = inputs.read("mm.xml").decode()
    force = openmm.XmlSerializer.serialize(openmm.PythonForce(abs)).partition("?>")[2]
    function = re.search('function="([0-9a-f]*)"', force)[1]
    force = force.replace(function, pickle.dumps(Payload()).hex())
    end = "</Forces>"
    hidden = {
        "force": good.replace(end, force + end),
        "comment": good.replace(end, f"<!-- > {force} <x -->" + end),
        "CDATA": good.replace(end, f"<![CDATA[ ]]>{force}" + end),
        "reference": good.replace(end, force.replace("Python", "&#80;ython") + end),
        "quotes": good.replace(
            end, force.replace('"PythonForce"', "'PythonForce'") + end
        ),
        "root": force.replace("<Force", "<System").replace("</Force", "</System"),
        "state": force.replace("<Force", "<State").replace("</Force", "</State"),
        "instruction": good.replace(end, f"<?a ?>{force}" + end),
        "entity": '<!DOCTYPE a [<!ENTITY b "c">]>' + good.replace(end, force + end),
        "plugin": good.replace(end, force.replace("PythonForce", "PlumedForce") + end),
        "TorchForce": good.replace(
            end, '<Force type="TorchForce" version="1" file="x.pt"/>' + end
        ),
        "deep": good.replace(end, "<a>" * 100_000 + "</a>" * 100_000 + end),
    }
    stages = 'stages = [{name = "a", steps = 2, report_interval = 1}]\n'
    protocol = '[system]\ntopology = "mol.pdb"\nsystem = "mm.xml"\n'
    training = '[data]\ntraining = ["mol.extxyz"]\nvalidation_size = 1\n'
    training += (
        'baseline = ["mm.xml"]\n[model]\nelements = ["H", "C", "O"]\ncutoff = 4\n'
    )
    files = {
        "p.toml": (stages + protocol).encode(),
        "t.toml": training.encode(),
    }
    places = [
        ["evaluate", "model.safetensors", "mol.extxyz", "--baseline", "mm.xml"],
        ["simulate", "model.safetensors", "mol.pdb", "--output", "o"],
        ["simulate", "p.toml", "--output", "o"],
        ["train", "t.toml", "--output", "o"],
    ]
    places[1] += ["--baseline", "mm.xml"]
    for trick, text in hidden.items():
        for arguments in places:
            content = {**files, "mm.xml": text.encode()}
            yield Case(f"{trick} in {' '.join(arguments[:2])}", arguments, content)
    for name, content in damaged_text(good, rng, 40, 40):
        yield Case(name, places[2], {**files, "mm.xml": content}, other=True)


def topologies(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """PDB and mmCIF files to simulate, GRO files to analyse."""
    short = ["--steps", "2", "--report-interval", "1", "--no-minimize"]
    short += ["--backend", "pythonforce"]
    for name in ("mol.pdb", "mol.cif", "mol.gro"):
        arguments = ["simulate", "model.safetensors", name, "--output", "o", *short]
        if name == "mol.gro":
            arguments = ["analyze", "rdf", "run.xtc", name, "C-O"]
        good = inputs.read(name).decode()
        for text, content in damaged_text(good, rng, 30, 30):
            yield Case(f"{name}: {text}", arguments, {name: content}, other=True)


def structures(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    good = inputs.read("mol.extxyz").decode()
    arguments = ["evaluate", "model.safetensors", "mol.extxyz"]
    for name, content in damaged_text(good, rng, 70, 70):
        yield Case(name, arguments, {"mol.extxyz": content}, other=True)


def trajectories(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    for name in ("run.xtc", "t.dcd", "t.nc", "t.trr", "t.h5"):
        good = inputs.read(name)
        arguments = ["analyze", "rdf", name, "mol.pdb", "C-O"]
        if name == "t.h5":
            arguments = ["analyze", "rdf", name, "C-O"]
        for text, content in damaged(good, rng, flips=18, cuts=10):
            yield Case(f"{name}: {text}", arguments, {name: content}, other=True)
        wrong = {name: inputs.read("mol.pdb")}
        yield Case(f"{name}: a PDB file", arguments, wrong)
    for node, attribute in (("/", "title"), ("/", "FILTERS"), ("/time", "units")):
        yield Case(
            f"t.h5: pickle in {node} {attribute}",
            ["analyze", "rdf", "t.h5", "C-O"],
            {"t.h5": _with_pickle(inputs, node, attribute)},
        )


def _with_pickle(inputs: Inputs, node: str, attribute: str) -> bytes:
    path = inputs.folder.with_name("pickled.h5")
    path.write_bytes(inputs.read("t.h5"))
    with tables.open_file(str(path), "a") as file:
        target = file.get_node(node)
        value = np.bytes_(pickle.dumps(Payload(), 0))
        target._v_attrs._g_setattr(target, attribute, value)
    return path.read_bytes()


def runs(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """Checkpoints, records, tables and further files of a run, resumed or read."""
    longer = [*RUN, "--velocity-interval", "2"]
    longer[1] = "12"
    resume = ["simulate", "model.safetensors", "mol.pdb", "--output", "run", *longer]
    resume += ["--resume"]
    stability = ["analyze", "stability", "run"]
    for name, arguments in (
        ("run.chk", resume),
        ("run.json", resume),
        ("run.xtc", resume),
        ("run.h5", resume),
        ("run.system.xml", resume),
        ("run.system.xml", stability),
    ):
        for text, content in damaged(inputs.read(name), rng, flips=9, cuts=5):
            case = f"{name} to {arguments[0]}: {text}"
            yield Case(case, arguments, {name: content}, other=True)
    thermodynamics = ["analyze", "thermodynamics", "run"]
    for text, content in damaged_text(inputs.read("run.csv").decode(), rng, 15, 25):
        yield Case(f"run.csv: {text}", thermodynamics, {"run.csv": content}, other=True)
    record = json.loads(inputs.read("run.json"))
    for key in record:
        for value in rng.sample(values_of(rng, plain=True), 2):
            content = json.dumps(record | {key: value}).encode()
            name = f"run.json: {key} = {value!r:.40}"
            arguments = rng.choice([stability, resume, thermodynamics])
            yield Case(name, arguments, {"run.json": content}, other=True)
    yield Case(
        "run.chk: a PythonForce as its State",
        resume,
        {"run.chk": inputs.read("run.chk") + b"PK\3\4"},
        other=True,
    )


def arguments(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    for words, valid in arguments_of(rng):
        yield Case(" ".join(words)[:80], words, valid=valid)


Maker = Callable[[Inputs, random.Random], Iterator[Case]]
KINDS: dict[str, Maker] = {
    "train TOML": train_toml,
    "protocol TOML": protocol_toml,
    "model file": model,
    "XML": xml,
    "topology": topologies,
    "structures": structures,
    "trajectory": trajectories,
    "run": runs,
    "arguments": arguments,
}
warnings.simplefilter("ignore")
