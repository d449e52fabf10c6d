# SPDX-License-Identifier: MIT
"""Deviations of the native force from TorchForce, for native.py.

Models, structures and boxes are those of the tests. Both forces compute in double; the
deviation of the energy is relative to the energy, that of forces to the largest force.
"""

import itertools
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import (
    ELEMENTS,
    FULL,
    random_atoms,
    sibling,
    tiny_config,
    tiny_energy,
    tiny_statistics,
)
from mixed_helpers import ACETYL, SOLUTE, organic_model, solvated
from openmm_helpers import context_of, evaluate, make_topology

from openmm_allegro import AllegroPotential, Model
from openmm_allegro.units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM

SYSTEM = Path(__file__).parents[1] / "systems" / "nacl_aq"
BACKENDS = ("torchforce", "native")
GROUP = 7
SIZES = {
    f"l_max {l_max}, {layers} layers": {"l_max": l_max, "num_layers": layers}
    for l_max, layers in itertools.product(range(5), (1, 2, 3))
}
OPTIONS = {
    "ZBL": {"zbl": True},
    "ZBL and cutoffs of pairs": FULL,
    "splines": {"radial_embedding": "spline"},
    "trained Bessel roots": {"bessel_trainable": True, "envelope_p": 5.5},
    "no parity": {"parity": False, "num_layers": 3},
    "no parity, uncoupled": {
        "parity": False,
        "path_channel_coupling": False,
        "num_layers": 3,
    },
    "chosen irreps": {
        "edge_irreps": ("0e", "1e", "2e"),
        "tensor_irreps": ("0e", "2e"),
        "num_layers": 3,
    },
    "odd widths": {
        "num_tensor_features": 17,
        "num_scalar_features": 34,
        "latent_width": 33,
    },
}
# the keys of the tests' cells; a slab is no box of OpenMM's
BOXES = {
    "none": "isolated",
    "orthorhombic": "large",
    "orthorhombic, below two cutoffs": "orthorhombic",
    "triclinic, below two cutoffs": "triclinic",
    "orthorhombic, below a cutoff": "tiny",
    "triclinic, below a cutoff": "tiny triclinic",
}


def grid(*, quick: bool = False) -> dict:
    """Compute all deviations: by model and box, and of regions, caps, committees."""
    models = SIZES | OPTIONS
    boxes = BOXES
    if quick:
        models, boxes = dict(list(models.items())[-2:]), {"none": "isolated"}
    rows = {
        f"{model}; {box}": _deviations(_tiny(**changes), kind)
        for model, changes in models.items()
        for box, kind in boxes.items()
    }
    rows |= {name: _difference(systems, x) for name, systems, x in _regions()}
    worst = {key: max(row[key] for row in rows.values()) for key in ("energy", "force")}
    return {"cases": len(rows), "largest": worst, "deviations": rows}


def table_error(*, frames: int) -> dict:
    """Compare forces by the table with exact ones, on frames of aqueous NaCl.

    Frames are those of 0.25 ps each of Langevin dynamics at 300 K.
    """
    pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
    potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
    messages = _Messages()
    logger = logging.getLogger("openmm_allegro")
    logger.addHandler(messages)
    logger.setLevel(logging.INFO)
    system = potential.create_system(pdb.topology, backend="native", two_body="table")
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform)
    logger.removeHandler(messages)
    exact = potential.create_system(
        pdb.topology, backend="native", precision="double", two_body="exact"
    )
    reference = context_of(exact, pdb.positions, "CPU")
    context.setPositions(pdb.positions)
    context.setVelocitiesToTemperature(300.0, 1)
    errors = []
    for _ in range(frames):
        integrator.step(500 if frames > 1 else 10)
        state = context.getState(positions=True)
        reference.setPositions(state.getPositions(asNumpy=True))
        forces = [evaluate(one)[1] for one in (context, reference)]
        errors.append(abs(forces[0] - forces[1]).max())
    (bound,) = re.findall(r"forces within ([\d.e+-]+) eV/Å", " ".join(messages.texts))
    largest = float(max(errors)) / EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM
    return {
        "frames": frames,
        "largest_error_ev_per_angstrom": largest,
        "bound_ev_per_angstrom": float(bound),
    }


class _Messages(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _tiny(**changes) -> Model:
    config = tiny_config(**changes)
    return Model(
        config, tiny_statistics(config), tiny_energy(config), "total", "float64"
    )


def _deviations(model: Model | list[Model], kind: str) -> dict[str, float]:
    """Largest deviations in a random structure in one of the tests' cells."""
    atoms = random_atoms(kind)
    symbols = [ELEMENTS[i] for i in atoms.types.tolist()]
    box = None if kind == "isolated" else atoms.cell.numpy() / 10
    topology = make_topology(symbols, box)
    potential = AllegroPotential(model)
    systems = [
        potential.create_system(topology, backend=backend, precision="double")
        for backend in BACKENDS
    ]
    for system in systems:
        system.getForce(0).setForceGroup(GROUP)
    return _difference(systems, atoms.positions.numpy() / 10)


def _regions() -> Iterator[tuple[str, list[openmm.System], np.ndarray]]:
    """Yield name, both Systems and positions of regions, capped ones, committees."""
    # it warns of simulations near lambda 0, and there are none
    logging.getLogger("openmm_allegro.mixing").setLevel(logging.ERROR)
    one = organic_model()
    models = {"": one, ", committee of three": [one, sibling(one, 4), sibling(one, 5)]}
    box = solvated()
    regions = {
        "a molecule and a water, in another order": list(range(SOLUTE + 3))[::-1],
        "a capped part of a molecule": ACETYL,
    }
    for (end, model), (name, atoms), interpolate in itertools.product(
        models.items(), regions.items(), (False, True)
    ):
        systems = [
            AllegroPotential(model).create_mixed_system(
                box.topology,
                box.system,
                atoms,
                link="cap",
                interpolate=interpolate,
                backend=backend,
                precision="double",
                force_group=GROUP,
            )
            for backend in BACKENDS
        ]
        start = "interpolated, " if interpolate else ""
        yield start + name + end, systems, box.positions


def _difference(
    systems: list[openmm.System], positions: np.ndarray
) -> dict[str, float]:
    """Compare two Systems by the force in their GROUP, an interpolated one half on."""
    results = []
    for system in systems:
        context = context_of(system, positions * unit.nanometer)
        if "lambda_interpolate" in context.getParameters():
            context.setParameter("lambda_interpolate", 0.5)
        results.append(evaluate(context, groups={GROUP}))
    expected, (energy, forces) = results
    return {
        "energy": float(abs(energy - expected[0]) / abs(expected[0])),
        "force": float(abs(forces - expected[1]).max() / abs(expected[1]).max()),
    }
