# SPDX-License-Identifier: MIT
"""The force field of a run, in words for a paper."""

from collections.abc import Mapping
from typing import Any

from ..utils.words import listed
from .citations import FORCE_FIELDS, PROTEINS
from .production import Production
from .region import known_topology

_ELECTROSTATICS = {
    "NoCutoff": "All pairs of atoms{its} interacted, without a cutoff",
    "CutoffNonPeriodic": "Electrostatic interactions{its} had a reaction field",
    "CutoffPeriodic": "Electrostatic interactions{its} had a reaction field",
    "Ewald": "Electrostatic interactions{its} were summed by Ewald's method",
    "PME": "Electrostatic interactions{its} were summed by particle mesh Ewald",
    "LJPME": "Electrostatic and dispersion interactions{its} were summed by particle "
    "mesh Ewald",
}
_WORKS = {"Ewald": ("ewald",), "PME": ("mesh",), "LJPME": ("mesh",)}


def force_field_words(
    paper: Any, record: Mapping[str, Any], production: Production
) -> str:
    """Write which force field acted, how pairs were summed, and what was rigid.

    Parameters
    ----------
    paper : Paper
    record : mapping
        Of the run. What records of earlier versions lack is not said.
    production : Production
        Whose molecules say whether works on proteins are cited.
    """
    files = record.get("forcefield") or record.get("baseline") or []
    files = files if isinstance(files, list) else [files]
    names = []
    for name in map(str, files):
        short = name if name in FORCE_FIELDS else name.replace("\\", "/").split("/")[-1]
        names.append(short + paper.cite(*_works(name, production)))
    method = record.get("force_field_nonbonded_method")
    if method not in _ELECTROSTATICS:
        return _as_asked(record, names)
    sentences = [f"The force field was {listed(names)}."] if names else []
    sentences += [
        _sums(paper, record, method, "" if names else " of the force field"),
        _rigid(record),
    ]
    return " ".join(filter(None, sentences))


def _works(name: str, production: Production) -> tuple[str, ...]:
    """Works on one of OpenMM's own files; on proteins only where there are some."""
    topology = known_topology(production)
    proteins = topology is None or any(r.is_protein for r in topology.residues)
    works = FORCE_FIELDS.get(name, ())
    return tuple(work for work in works if proteins or work not in PROTEINS)


def _as_asked(record: Mapping[str, Any], names: list[str]) -> str:
    """Write the settings that are not the defaults, all that older records hold."""
    if not names:
        return ""
    text = f"The force field was {listed(names)}"
    if record.get("nonbonded_cutoff_nm"):
        text += f", with a cutoff of {record['nonbonded_cutoff_nm']:g} nm"
    if record.get("constraints"):
        text += f" and constraints {record['constraints']}"
    return f"{text}."


def _sums(paper: Any, record: Mapping[str, Any], method: str, its: str) -> str:
    text = _ELECTROSTATICS[method].format(its=its)
    text += paper.cite(*_WORKS.get(method, ()))
    tolerance = record.get("force_field_ewald_tolerance")
    text += f" (error tolerance {tolerance:g})" if tolerance else ""
    cutoff = record.get("force_field_cutoff_nm")
    if not cutoff:
        return f"{text}."
    if method == "LJPME":
        return f"{text}, with a cutoff of {cutoff:g} nm in real space."
    switch = record.get("force_field_switch_distance_nm")
    if method.startswith("Cutoff"):
        text += f" beyond a cutoff of {cutoff:g} nm, at which"
    else:
        text += f" with a cutoff of {cutoff:g} nm in real space, at which"
    text += " Lennard-Jones interactions ended"
    text += f", switched off from {switch:g} nm on" if switch else ""
    if record.get("force_field_tail_correction"):
        text += ", with a correction for their energy beyond it"
    return f"{text}."


def _rigid(record: Mapping[str, Any]) -> str:
    """Write what had fixed lengths."""
    waters = record.get("rigid_waters", 0)
    kind = record.get("force_field_constraints", "none")
    held = [f"{waters:,} water{'s' if waters > 1 else ''}"] if waters else []
    text = f"{held[0]} {'were' if waters > 1 else 'was'} rigid" if held else ""
    if kind == "none":
        none = "lengths of other bonds were free"
        return f"{text}; {none}." if text else "No lengths of bonds were fixed."
    others = f"lengths of {'other ' if text else ''}{kind} were fixed"
    if kind == "bonds and angles":
        others = f"{'other ' if text else ''}bonds and angles were fixed"
    return f"{text}, and {others}." if text else f"{others[0].upper()}{others[1:]}."
