# SPDX-License-Identifier: MIT
"""Sentences that a run begins with: its atoms and backend, its steps and ensemble."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from ..potential.description import REASON


def describe_start(
    topology: app.Topology, system: openmm.System, forces: Sequence[dict[str, Any]]
) -> str:
    """Describe what is simulated, and which backends compute the models, and why.

    Parameters
    ----------
    topology, system
        As ``describe_atoms``.
    forces : sequence of dict
        Descriptions of Allegro forces, see ``potential.description``.

    Returns
    -------
    str
        As ``"206 atoms (...), 1.23 g/cm³; backend native, as asked for"``.
    """
    # older forces have no reason
    reasons = (one.get(REASON) or one["backend"] for one in forces)
    backends = (f"backend {reason}" for reason in dict.fromkeys(reasons))
    return "; ".join((describe_atoms(topology, system), *backends))


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
        f"{record['report_interval']:,} steps"
    )
