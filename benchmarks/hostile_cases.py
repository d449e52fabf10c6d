# SPDX-License-Identifier: MIT
"""Inputs of hostile.py, by kind: good files with values, bytes and lines changed."""

import contextlib
import dataclasses
import io
import json
import pickle
import random
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import openmm
import tables
from hostile_inputs import (
    ABSENT,
    PROTOCOL_OF_RUN,
    RUN,
    Case,
    Inputs,
    Payload,
)
from hostile_values import arguments_of, damaged, damaged_text, values_of
from toml_helpers import CLASSES, PROTOCOL, TRAINING, allowed, toml

from openmm_allegro.model import AllegroConfig
from openmm_allegro.modelfile.header import BLANK, with_checksum
from openmm_allegro.utils.settings import settings_of


def train_toml(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    document = TRAINING | {"data": {"training": ["absent"], "validation_size": 4}}
    yield from _toml_cases(document, ["train", "x.toml"], 2, rng)


def protocol_toml(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    system = PROTOCOL["system"] | {"topology": "absent"}
    arguments = ["simulate", "x.toml", "--output", "out"]
    yield from _toml_cases(PROTOCOL | {"system": system}, arguments, 3, rng)


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
        for value in rng.sample(values_of(rng), 12):
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
            if path == ("programs", "format"):  # programs of another one are not used
                other = type(value) is int and value > 0
            files = {"model.safetensors": content}
            yield Case(name, info, files, valid or None, other)
    for name, header in _tricks(outer, inner):
        content = len(header).to_bytes(8, "little") + header + weights
        yield Case(name, info, {"model.safetensors": content})
    for tensor in [name for name in outer if name != "__metadata__"]:
        for change in ({"dtype": "F64"}, {"shape": [1]}, {"data_offsets": [0, 4]}):
            header = outer | {tensor: outer[tensor] | change}
            if header == outer:
                continue
            content = _model_file(header, inner, weights)
            yield Case(f"{tensor}: {change}", info, {"model.safetensors": content})
    for tensor in ("folded.single.integers", "folded.double.integers"):
        yield from _damaged_programs(outer, inner, weights, tensor, rng)


def _damaged_programs(
    outer: dict, inner: dict, weights: bytes, tensor: str, rng: random.Random
) -> Iterator[Case]:
    """One integer of a program changed, in a file that ``info`` runs it from."""
    begin, end = outer[tensor]["data_offsets"]
    for _ in range(60):
        place = rng.randrange(begin, end, 8)
        value = rng.choice([-1, 1, 2**15, 2**31, 2**62, rng.randrange(10_000)])
        changed = weights[:place] + value.to_bytes(8, "little", signed=True)
        content = _model_file(outer, inner, changed + weights[place + 8 :])
        name = f"{tensor} {(place - begin) // 8} = {value}"
        files = {"model.safetensors": content}
        # what leads nowhere else is another program, which anybody may write
        yield Case(name, ["info", "model.safetensors"], files, other=True)


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
    force = _python_force()
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
    training = '[data]\ntraining = ["mol.extxyz"]\nvalidation_size = 1\n'
    training += (
        'baseline = ["mm.xml"]\n[model]\nelements = ["H", "C", "O"]\ncutoff = 4\n'
    )
    files = {"t.toml": training.encode()}
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


def _python_force() -> str:
    """XML of a force that runs code when it is read."""
    force = openmm.XmlSerializer.serialize(openmm.PythonForce(abs)).partition("?>")[2]
    function = re.search('function="([0-9a-f]*)"', force)[1]
    return force.replace(function, pickle.dumps(Payload()).hex())


def topologies(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    """PDB and mmCIF files to simulate, GRO files to analyse."""
    short = ["--steps", "2", "--report-interval", "1", "--no-minimize"]
    short += ["--backend", "pythonforce", "--seed", "1"]
    for name in ("mol.pdb", "mol.cif", "mol.gro"):
        protocol = PROTOCOL_OF_RUN.format(steps=8).replace("mol.pdb", name).encode()
        run = ["simulate", f"{name}.toml", "--output", "o", "--seed", "1"]
        full = ["simulate", "model.safetensors", name, "--output", "o", *short]
        if name == "mol.gro":
            run = full = ["analyze", "rdf", "t.xtc", name, "C-O"]
        good = inputs.read(name).decode()
        for number, (text, content) in enumerate(damaged_text(good, rng, 22, 22)):
            # what a model makes of it takes a second: some only
            arguments = full if number % 5 == 0 else run
            files = {name: content, f"{name}.toml": protocol}
            yield Case(f"{name}: {text}", arguments, files, other=True)


def structures(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    good = inputs.read("mol.extxyz").decode()
    arguments = ["evaluate", "model.safetensors", "mol.extxyz"]
    for name, content in damaged_text(good, rng, 70, 70):
        yield Case(name, arguments, {"mol.extxyz": content}, other=True)


def trajectories(inputs: Inputs, rng: random.Random) -> Iterator[Case]:
    for name in ("t.xtc", "t.dcd", "t.nc", "t.trr", "t.h5"):
        good = inputs.read(name)
        arguments = ["analyze", "rdf", name, "mol.pdb", "C-O"]
        if name == "t.h5":
            arguments = ["analyze", "rdf", name, "C-O"]
        for text, content in damaged(good, rng, flips=12, cuts=7):
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
    resume = ["simulate", "longer.toml", "--output", "p", "--resume"]
    stability = ["analyze", "stability", RUN]
    for name, arguments in (
        (f"{RUN}.chk", resume),
        (f"{RUN}.json", resume),
        (f"{RUN}.xtc", resume),
        (f"{RUN}.h5", resume),
        (f"{RUN}.system.xml", resume),
        (f"{RUN}.system.xml", stability),
    ):
        for text, content in damaged(inputs.read(name), rng, flips=8, cuts=5):
            case = f"{name} to {arguments[0]}: {text}"
            yield Case(case, arguments, {name: content}, other=True)
    thermodynamics = ["analyze", "thermodynamics", RUN]
    table = inputs.read(f"{RUN}.csv").decode()
    for text, content in damaged_text(table, rng, 15, 25):
        files = {f"{RUN}.csv": content}
        yield Case(f"energies: {text}", thermodynamics, files, other=True)
    record = json.loads(inputs.read(f"{RUN}.json"))
    for key in record:
        for value in rng.sample(values_of(rng, plain=True), 2):
            content = json.dumps(record | {key: value}).encode()
            name = f"record: {key} = {value!r:.40}"
            arguments = rng.choice([stability, resume, thermodynamics])
            yield Case(name, arguments, {f"{RUN}.json": content}, other=True)
    state = _python_force().replace("<Force", "<State").replace("</Force", "</State")
    for text in (_python_force(), state):
        files = {f"{RUN}.chk": _checkpoint(inputs, text.encode())}
        yield Case("a PythonForce as State of a checkpoint", resume, files)
        again = ["simulate", "p.toml", "--output", "p", "--resume"]
        files = {f"{RUN}.state.xml": text.encode()}
        yield Case("a PythonForce as State of a stage", again, files)


def _checkpoint(inputs: Inputs, state: bytes) -> bytes:
    """A checkpoint of another platform, so that its State is read."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(inputs.read(f"{RUN}.chk"))) as good,
        zipfile.ZipFile(content, "w") as bad,
    ):
        for name in good.namelist():
            data = state if name == "state.xml" else good.read(name)
            if name == "checkpoint.json":
                data = json.dumps(json.loads(data) | {"platform": "CUDA"}).encode()
            bad.writestr(name, data)
    return content.getvalue()


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
