# SPDX-License-Identifier: MIT
"""Sentences that a run begins with: its atoms and backend, its steps and ensemble."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..potential.description import EMBEDDING, REASON
from ..utils.ranges import indices_of

# Residues of a region that a sentence lists.
_RESIDUES = 6


def describe_start(
    topology: app.Topology,
    system: openmm.System,
    forces: Sequence[dict[str, Any]],
    forcefield: Sequence[str] = (),
) -> str:
    """Describe what is simulated, where a model acts, and which backends compute it.

    Parameters
    ----------
    topology, system
        As ``describe_atoms``.
    forces : sequence of dict
        Descriptions of Allegro forces, see ``potential.description``.
    forcefield : sequence of str, optional
        Files of the force field around a region, if they are known.

    Returns
    -------
    str
        As ``"206 atoms (...), 1.23 g/cm³; backend native, as asked for"``, and of a
        model in a region as `describe_region`.
    """
    # older forces have no reason
    reasons = (one.get(REASON) or one["backend"] for one in forces)
    backends = (f"backend {reason}" for reason in dict.fromkeys(reasons))
    regions = [describe_region(topology, one, forcefield) for one in forces]
    regions = [text for text in dict.fromkeys(regions) if text]
    return "; ".join((describe_atoms(topology, system), *regions, *backends))


def describe_failures(forces: Sequence[dict[str, Any]]) -> list[str]:
    """Say where the models of a run are known to fail, a sentence for each.

    Parameters
    ----------
    forces : sequence of dict
        As in `describe_start`. A model without a card has no sentence.
    """
    about = (each for one in forces for each in one.get("about", ()))
    fails = (each["fails"] for each in about if each.get("fails"))
    return [f"known to fail: {text}" for text in dict.fromkeys(fails)]


def describe_region(
    topology: app.Topology, force: dict[str, Any], forcefield: Sequence[str] = ()
) -> str:
    """Describe the region of a model and its surroundings, or nothing of all atoms.

    Parameters
    ----------
    topology : openmm.app.Topology
    force : dict
        Description of an Allegro force.
    forcefield : sequence of str, optional
        As in `describe_start`.

    Returns
    -------
    str
        As ``"ML/MM: the model has 22 atoms (ACE 1, ALA 2, NME 3), mechanical embedding,
        no link atoms; the other 1,266 have the force field amber14-all.xml"``.
    """
    region = indices_of(force.get("region", ""))
    if not region:
        return ""
    atoms, caps = list(topology.atoms()), len(force["caps"])
    residues = dict.fromkeys(atoms[index].residue for index in region)
    names = [f"{residue.name} {residue.id}" for residue in residues]
    shown = ", ".join(names[:_RESIDUES])
    if len(names) > _RESIDUES:
        shown += f" and {len(names) - _RESIDUES:,} more residues"
    links = f"{caps} link atom{'s' if caps > 1 else ''}" if caps else "no link atoms"
    field = (
        f"the force field {', '.join(forcefield)}" if forcefield else "a force field"
    )
    return (
        f"ML/MM: the model has {len(region):,} atom{'s' if len(region) > 1 else ''} "
        f"({shown}), {force.get(EMBEDDING, 'mechanical')} embedding, {links}; the "
        f"other {len(atoms) - len(region):,} have {field}"
    )


def describe_atoms(topology: app.Topology, system: openmm.System) -> str:
    """Describe what is simulated, so that a wrong input is seen at once.

    Parameters
    ----------
    topology : openmm.app.Topology
    system : openmm.System
        Its box is used.

    Returns
    -------
    str
        As ``"206 atoms (H 128, O 64, Na 7, Cl 7), box 1.280 x 1.280 x 1.280 nm, 1.23
        g/cm³"``.
    """
    counts: Counter[str] = Counter()
    mass = 0.0
    for atom in topology.atoms():
        counts["no element" if atom.element is None else atom.element.symbol] += 1
        if atom.element is not None:
            mass += atom.element.mass.value_in_unit(unit.dalton)
    parts = [f"{name} {number:,}" for name, number in counts.most_common()]
    text = f"{sum(counts.values()):,} atoms ({', '.join(parts)})"
    if not system.usesPeriodicBoundaryConditions():
        return f"{text}, no box"
    vectors = system.getDefaultPeriodicBoxVectors()
    box = np.array([vector.value_in_unit(unit.nanometer) for vector in vectors])
    lengths = np.linalg.norm(box, axis=1)
    text += ", box " + " x ".join(f"{length:.3f}" for length in lengths) + " nm"
    unit_vectors = box / lengths[:, None]
    cosines = (unit_vectors @ unit_vectors.T)[[1, 0, 0], [2, 2, 1]]
    degrees = np.degrees(np.arccos(cosines))
    if not np.allclose(degrees, 90, atol=0.01):
        text += " (" + ", ".join(f"{angle:.1f}" for angle in degrees) + " degrees)"
    # Da per nm³ in g/cm³
    density = mass * 1.66053907e-3 / abs(np.linalg.det(box))
    return f"{text}, {density:.3g} g/cm³"


def _velocity_words(record: dict[str, Any]) -> str:
    """Say how often velocities are kept, and that their file comes at the end."""
    every = record.get("velocity_interval")
    if not every:
        return ""
    return f"; velocities every {every:,} steps, in one .h5 file when the run ends"


def describe_work(record: dict[str, Any]) -> str:
    """Describe how long and in which ensemble a run simulates.

    Parameters
    ----------
    record : dict
        Of the run, see ``RunSettings.record``, with its ``platform``.

    Returns
    -------
    str
        As ``"40,000 steps of 0.5 fs (20 ps), npt at 300 K and 1 bar by
        langevin-middle, on the CPU platform; a frame every 20 steps"``.
    """
    steps, step = record["steps"], record["timestep_fs"]
    if steps == 0:
        return f"no steps, a minimisation alone, on the {record['platform']} platform"
    kelvin = record["temperature_k"]
    words = " to ".join(
        f"{k:g}" for k in (kelvin if isinstance(kelvin, list) else [kelvin])
    )
    at = "from" if record["ensemble"] == "nve" else "at"
    pressure = (
        f" and {record['pressure_bar']:g} bar" if "pressure_bar" in record else ""
    )
    return (
        f"{steps:,} steps of {step:g} fs ({steps * step * 1e-3:,.6g} ps), "
        f"{record['ensemble']} {at} {words} K{pressure} by {record['integrator']}, on "
        f"the {record['platform']} platform; a frame every "
        f"{record['report_interval']:,} steps" + _velocity_words(record)
    )
