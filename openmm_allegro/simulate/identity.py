# SPDX-License-Identifier: MIT
"""Identify a run: hash its System and topology, part by part, for its record.

Numbers of a seed, names, force groups and versions of OpenMM's format are no part of
it, nor are settings that the record has itself.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import openmm
from openmm import app, unit

from ..forces import FORCE_NAME, python_function, register_torch_force
from ..plugin.force import FORCE_TYPE
from ..potential.description import description

if TYPE_CHECKING:
    import torch

Element = ElementTree.Element

# Types of forces whose parameters are a model, a module or a function.
PLUGINS = ("TorchForce", "PythonForce", FORCE_TYPE)
# Attributes of forces that change nothing of what is simulated.
_IGNORED = frozenset(("version", "randomSeed", "forceGroup"))
# What a force of ours computes; its other options change how that is rounded.
_COMPUTED = ("models", "region", "caps", "periodic", "two_body")


class Identity(NamedTuple):
    """Hashes of a System and its topology, and what its Allegro forces are."""

    parts: dict[str, Any]
    descriptions: list[dict[str, Any]]


def identify(system: openmm.System, topology: app.Topology) -> Identity:
    """Hash a System and its topology part by part.

    Parameters
    ----------
    system : openmm.System
        Without what settings of a run add: barostat, thermostat, heavier hydrogens.
    topology : openmm.app.Topology

    Returns
    -------
    Identity
        Its parts are ``particles`` (masses and virtual sites), ``constraints``,
        ``forces`` (type and hash of each), ``models`` (those of Allegro forces),
        ``box`` (nm; None where the System is not periodic), ``atoms`` and ``bonds`` of
        the topology.
    """
    xml = parse(openmm.XmlSerializer.serialize(system))
    descriptions: list[dict[str, Any]] = []
    forces = zip(xml["forces"], system.getForces(), strict=True)
    hashes = [_hash_force(element, force, descriptions) for element, force in forces]
    parts = {
        "particles": hash_element(xml["particles"]),
        "constraints": hash_element(xml["constraints"]),
        "forces": hashes,
        "models": [model for one in descriptions for model in one["models"]],
        "box": box_of(system) if system.usesPeriodicBoundaryConditions() else None,
        "atoms": _hash(atom_names(topology)),
        "bonds": _hash(bond_pairs(topology)),
    }
    return Identity(parts, descriptions)


def box_of(owner: openmm.System | app.Topology) -> list[list[float]] | None:
    """Vectors of the box of a topology or, by default, a System, in nm."""
    if isinstance(owner, openmm.System):
        vectors = owner.getDefaultPeriodicBoxVectors()
    else:
        vectors = owner.getPeriodicBoxVectors()
    if vectors is None:
        return None
    return [list(vector.value_in_unit(unit.nanometer)) for vector in vectors]


def parse(xml: str) -> dict[str, Any]:
    """Split the XML of a System: ``particles``, ``constraints``, a list ``forces``.

    Nothing in it is run.

    Raises
    ------
    ValueError
        If it is no System.
    """
    try:
        root = ElementTree.fromstring(xml)
        children = {child.tag: child for child in root}
        return {
            "particles": children["Particles"],
            "constraints": children["Constraints"],
            "forces": list(children["Forces"]),
        }
    except (ElementTree.ParseError, KeyError) as error:
        raise ValueError(f"expected the XML of a System, found {error!r}") from error


def hash_element(element: Element) -> str:
    """Hash an XML element but for what ``identify`` leaves out."""
    return _hash(_lines(element))


def atom_names(topology: app.Topology) -> Iterator[str]:
    """Write each atom as ``Na NA of NA``: its element, name and residue."""
    for atom in topology.atoms():
        symbol = atom.element.symbol if atom.element is not None else "no element"
        yield f"{symbol} {atom.name} of {atom.residue.name}"


def bond_pairs(topology: app.Topology) -> list[str]:
    """Write each bond as the sorted indices of its atoms, in order."""
    pairs = (sorted(atom.index for atom in bond) for bond in topology.bonds())
    return [f"{first}-{second}" for first, second in sorted(pairs)]


def _hash_force(
    element: Element, force: openmm.Force, descriptions: list[dict[str, Any]]
) -> list[str]:
    """Type and hash of a force; apart, that of a function, which may vary.

    What our forces are is added to ``descriptions``.
    """
    sha = hashlib.sha256(hash_element(element).encode())
    name, functions = element.attrib["type"], []
    for inner, plugin in _plugins(element, force):
        module = _module(inner.attrib["type"], plugin)
        about = description(inner.get("about", "") if module is None else module)
        if about is not None:
            descriptions.append(about)
            computed = {key: about[key] for key in _COMPUTED}
            sha.update(json.dumps(computed, sort_keys=True).encode())
            name = name if name == "CustomCVForce" else FORCE_NAME  # of any backend
        elif module is not None:
            sha.update(_hash_tensors(module).encode())
        else:
            functions.append(openmm.XmlSerializer.serialize(plugin))
    parts = [name, sha.hexdigest()]
    return [*parts, _hash(functions)] if functions else parts


def _plugins(
    element: Element, force: openmm.Force
) -> Iterator[tuple[Element, openmm.Force]]:
    """Elements and forces of PLUGINS, also those in a CustomCVForce."""
    kind = element.attrib["type"]
    if kind == "CustomCVForce":
        for index, child in enumerate(element.iterfind("CollectiveVariables/*/Force")):
            yield from _plugins(child, force.getCollectiveVariable(index))
    elif kind in PLUGINS:
        yield element, force


def _module(kind: str, force: openmm.Force) -> "torch.jit.ScriptModule | None":
    if kind == "TorchForce":
        return register_torch_force().cast(force).getModule()
    if kind == FORCE_TYPE:
        return None
    module = getattr(python_function(force), "module", None)
    torch = sys.modules.get("torch")  # without it, nothing is its module
    is_script = torch is not None and isinstance(module, torch.jit.ScriptModule)
    return module if is_script else None


def _hash_tensors(module: "torch.jit.ScriptModule") -> str:
    """Hash parameters and buffers; lists of pairs, which change, are none."""
    sha = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = value.detach().cpu().contiguous().numpy()
        sha.update(f"{name} {array.dtype} {array.shape} ".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _lines(element: Element) -> Iterator[str]:
    """Tags and attributes of an element and all in it, but for PLUGINS."""
    attributes: dict[str, str] = element.attrib
    if "type" in attributes:  # the name of a force is no parameter
        if attributes["type"] in PLUGINS:
            return
        attributes = {k: v for k, v in attributes.items() if k != "name"}
    if not _IGNORED.isdisjoint(attributes):
        attributes = {k: v for k, v in attributes.items() if k not in _IGNORED}
    yield f"{element.tag} {attributes} {element.text}"
    for child in element:
        if len(child):
            yield from _lines(child)
        else:
            yield f"{child.tag} {child.attrib} {child.text}"


def _hash(lines: Iterable[str]) -> str:
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line.encode() + b"\n")
    return sha.hexdigest()
