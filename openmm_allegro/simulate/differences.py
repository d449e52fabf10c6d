# SPDX-License-Identifier: MIT
"""Say in words how the run of a record differs from the one that is asked for."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import openmm
from openmm import app

from ..classical.serialized import check_system
from ..inputs.coordinates import read_coordinates
from ..utils.config import brief
from .identity import PLUGINS, Element, atom_names, bond_pairs, hash_element, parse

log = logging.getLogger(__name__)

# Relative, of box vectors: a State that was written and read is rounded.
_BOX = 1e-6


class Asked(NamedTuple):
    """The run that is asked for.

    ``identity`` is from ``identify``; ``prepare`` makes the System as it is simulated.
    """

    identity: dict[str, Any]
    prepare: Callable[[], openmm.System]
    topology: app.Topology


def differences(
    before: dict[str, Any],
    asked: Asked,
    *,
    system_file: Path | None = None,
    topology_file: Path | None = None,
) -> list[str]:
    """List what differs, the run of the record first: ``box A rather than B``.

    Parameters
    ----------
    before : dict
        Record of the run; one without hashes has no differences.
    asked : Asked
    system_file, topology_file : Path, optional
        XML and PDB file of the run, with which the words are exact.
    """
    old, new = before.get("identity"), asked.identity
    if old is None:
        log.warning(
            "the record has no hashes of the System and the topology, as those of "
            "version 0.1.0: only the settings are compared"
        )
        return []
    _check_identity(old, new)
    changed = {name for name in new if old[name] != new[name]}
    if not _box_differs(before, old["box"], new["box"]):
        changed.discard("box")
    words = []
    if changed & {"atoms", "bonds"}:
        words += _topology_words(asked.topology, topology_file)
    if "models" in changed:
        words.append(f"model with weights {old['models']} rather than {new['models']}")
    if changed & {"particles", "constraints", "forces"}:
        words += _system_words(before, asked, changed, system_file)
    if "box" in changed:
        words.append(f"box {_box(old['box'])} rather than {_box(new['box'])}")
    return words


def _check_identity(old: Any, new: dict[str, Any]) -> None:
    """Refuse a part of a record that no run has written."""
    whole = isinstance(old, dict) and set(new) <= set(old)
    if whole and old["box"] is not None:
        with contextlib.suppress(TypeError, ValueError):
            whole = np.shape(np.array(old["box"], dtype=float)) == (3, 3)
    if not whole or not isinstance(old["forces"], list):
        raise ValueError(
            "expected the hashes of System and topology in the record of the run, "
            f"found identity = {brief(old)}"
        )


def _box_differs(before: dict[str, Any], old: Any, new: Any) -> bool:
    if old is None or new is None:
        return old is not new
    # where the volume changes, the box is that of the checkpoint
    has_barostat = "pressure_bar" in before
    return not has_barostat and not np.allclose(old, new, rtol=_BOX, atol=_BOX)


def _box(vectors: Any) -> str:
    if vectors is None:
        return "none"
    return "(" + ", ".join(f"{x:.6g}" for vector in vectors for x in vector) + ") nm"


def _topology_words(topology: app.Topology, path: Path | None) -> list[str]:
    """Name the first atom that differs, or the numbers of bonds."""
    old = None
    with contextlib.suppress(OSError, ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = read_coordinates(path).topology if path is not None else None
    if old is None:
        return ["a topology of other atoms or bonds"]
    atoms = list(zip_longest(atom_names(old), atom_names(topology), fillvalue="none"))
    by_element = [pair for pair in enumerate(atoms) if _elements_differ(*pair[1])]
    for index, (a, b) in by_element or [
        p for p in enumerate(atoms) if len({*p[1]}) > 1
    ]:
        return [f"atom {index} {a} rather than {b}"]
    counts = [len(bond_pairs(each)) for each in (old, topology)]
    return [f"a topology of other bonds ({counts[0]} rather than {counts[1]})"]


def _elements_differ(a: str, b: str) -> bool:
    return a.split()[0] != b.split()[0]


def _system_words(
    before: dict[str, Any], asked: Asked, changed: set[str], path: Path | None
) -> list[str]:
    """Name particles, constraints and forces that differ."""
    old, new = None, parse(openmm.XmlSerializer.serialize(asked.prepare()))
    same_version = before.get("openmm_version") == openmm.version.version
    with contextlib.suppress(OSError, ValueError, openmm.OpenMMException):
        xml = path.read_text() if path is not None else ""
        old = parse(xml if same_version else _in_this_version(xml))
    if not same_version:
        if old is None:
            log.warning(
                "cannot tell if the System is the same: its hashes are of OpenMM %s, "
                "and there is no XML of it to compare",
                before.get("openmm_version"),
            )
            return []
        return _xml_words(old, _without_plugins(new))
    words = [] if old is None else _xml_words(old, new)
    return words or _hash_words(before["identity"], asked.identity, changed)


def _hash_words(
    old: dict[str, Any], new: dict[str, Any], changed: set[str]
) -> list[str]:
    """Name what only the hashes tell."""
    names = {"particles": "masses or virtual sites", "constraints": "constraints"}
    words = [f"other {text}" for name, text in names.items() if name in changed]
    kinds = [[force[0] for force in one["forces"]] for one in (old, new)]
    if kinds[0] != kinds[1]:
        return [*words, f"forces {kinds[0]} rather than {kinds[1]}"]
    for one, other in zip(old["forces"], new["forces"], strict=True):
        if one[1] != other[1]:
            words.append(f"other parameters of {one[0]}")
        elif one != other:
            log.warning("cannot tell if the function of the %s is the same", one[0])
    return words


def _xml_words(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name the first particle and constraint, and what of each force, differs."""
    words = []
    for name in ("particles", "constraints"):
        words += _element_words(name.removesuffix("s"), old[name], new[name])
    kinds = [[force.attrib["type"] for force in one["forces"]] for one in (old, new)]
    # backends are another matter
    plain = [["plugin" if k in PLUGINS else k for k in each] for each in kinds]
    if plain[0] != plain[1]:
        return [*words, f"forces {kinds[0]} rather than {kinds[1]}"]
    for one, other in zip(old["forces"], new["forces"], strict=True):
        if hash_element(one) != hash_element(other):
            words += _force_words(one, other)
    return words


def _force_words(old: Element, new: Element) -> list[str]:
    """Name the first entry of a force that differs."""
    kind = old.attrib["type"]
    own = _attribute_words(old, new, {"name", "version", "randomSeed", "forceGroup"})
    if own:
        return [f"{kind}: {own}"]
    for one, other in zip_longest(old, new):
        if one is None or other is None or hash_element(one) != hash_element(other):
            if one is None or other is None:
                break
            return _element_words(f"{kind}: {one.tag}", one, other)[:1]
    return [f"other parameters of {kind}"]


def _element_words(name: str, old: Element, new: Element) -> list[str]:
    """Name the first child that differs, or the number of them."""
    if hash_element(old) == hash_element(new):
        return []
    if len(old) != len(new):
        return [f"{name}: {len(old)} rather than {len(new)}"]
    for index, (one, other) in enumerate(zip(old, new, strict=True)):
        if hash_element(one) != hash_element(other):
            text = _attribute_words(one, other, set()) or "other"
            return [f"{name} {index}: {text}"]
    return [f"{name}: {_attribute_words(old, new, set()) or 'other'}"]


def _attribute_words(old: Element, new: Element, ignored: Iterable[str]) -> str:
    names = dict.fromkeys([*old.attrib, *new.attrib])
    pairs = [(n, old.get(n), new.get(n)) for n in names if n not in ignored]
    return ", ".join(f"{n} {a} rather than {b}" for n, a, b in pairs if a != b)


def _in_this_version(xml: str) -> str:
    """Write a System's XML as this OpenMM would, without modules and functions."""
    root = ElementTree.fromstring(xml) if xml else None
    if root is None:
        raise ValueError("expected the XML of a System, found nothing")
    for element in list(root.iter()):
        _blank(element)
    blanked = ElementTree.tostring(root, "unicode")
    check_system(blanked, "System of the run")  # there are other plugins
    return openmm.XmlSerializer.serialize(openmm.XmlSerializer.deserialize(blanked))


def _without_plugins(parts: dict[str, Any]) -> dict[str, Any]:
    for force in parts["forces"]:
        for element in list(force.iter()):
            _blank(element)
    return parts


def _blank(element: Element) -> None:
    """Put a force that OpenMM can read without running anything in its place."""
    if element.get("type") in PLUGINS:
        element.clear()
        element.attrib |= {"type": "HarmonicBondForce", "version": "2"}
        element.attrib |= {"forceGroup": "0", "usesPeriodic": "0"}
        ElementTree.SubElement(element, "Bonds")
