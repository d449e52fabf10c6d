# SPDX-License-Identifier: MIT
"""Terms of bonded forces, selected by the particles that they act on."""

import re
import xml.etree.ElementTree as ET

import openmm


def select_terms(
    force: openmm.Force, region: set[int], *, inside: bool
) -> openmm.Force:
    """Copy a bonded force with the terms inside the region alone, or all others."""
    root = ET.fromstring(openmm.XmlSerializer.serialize(force))
    for terms in _lists(root):
        terms[:] = [t for t in terms if region.issuperset(_particles(t)) == inside]
    return openmm.XmlSerializer.deserialize(ET.tostring(root, encoding="unicode"))


def terms_inside(force: openmm.Force, region: set[int]) -> list[tuple[int, ...]]:
    """List the particles of each term of a bonded force that is inside the region."""
    root = ET.fromstring(openmm.XmlSerializer.serialize(force))
    particles = [tuple(_particles(t)) for terms in _lists(root) for t in terms]
    return [term for term in particles if region.issuperset(term)]


def _lists(root: ET.Element) -> list[ET.Element]:
    return [e for name in ("Bonds", "Angles", "Torsions") for e in root.iter(name)]


def _particles(term: ET.Element) -> list[int]:
    """Read the attributes p1, p2, ...; CMAP has a1 to a4 and b1 to b4."""
    return [int(v) for k, v in term.attrib.items() if re.fullmatch(r"[pab]\d+", k)]
