# SPDX-License-Identifier: MIT
"""Measure the deviation of mixed Systems from the identity that defines them.

E_mixed = E_MM(all) + λ (E_ML(region) - E_MM(region)), and likewise the forces, for
several force-field inputs, each nonbonded method, constraints and lambda_interpolate.
Errors of the energy are relative to the energy, those of forces to the largest force.
The table compares our mixed System with OpenMM-ML's for the same model. Mechanical
embedding, a model of random weights, double precision, OpenMM's Reference platform.

Writes results/mixing_identities.json beside this file; with --inputs, only those inputs
are computed again.

python benchmarks/mixing_identities.py [--inputs Amber14 psf] [--backend auto]
"""

import argparse
import json
import logging
import re
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import openmm
from hardware import add_backend, hardware, use_threads

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from mixed_helpers import SOLUTE, organic_model, solvated
from mixed_identities import (
    CONSTRAINTS,
    LAMBDAS,
    by_openmmml,
    by_us,
    identities,
    inputs,
    methods,
)
from mixed_inputs import Input

from openmm_allegro import AllegroPotential, save_model

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--inputs", nargs="*", help="words in the names of inputs")
parser.add_argument("--threads", type=int, default=1)
add_backend(parser)
parser.add_argument(
    "--results",
    type=Path,
    default=Path(__file__).parent / "results" / "mixing_identities.json",
)
options = parser.parse_args()
use_threads(options.threads)
logging.disable(logging.WARNING)


def table(potential: AllegroPotential, name: str, mixed: Input, theirs) -> list[dict]:
    """Compute a row for each method and kind of constraints."""
    ours = by_us(potential, options.backend)
    rows = []
    for method in methods(name):
        for constraints in CONSTRAINTS:
            row = {"method": method, "constraints": constraints}
            row |= errors(potential, mixed, method, constraints, ours)
            if constraints == "removed":  # the default of OpenMM-ML
                row["openmmml"] = errors(potential, mixed, method, constraints, theirs)
            rows.append(row)
            other = row.get("openmmml", {})
            print(
                f"{method:18}{constraints:9}"
                f"{largest(row, 'energy'):10.0e}{largest(row, 'forces'):10.0e}"
                + (
                    f"{largest(other, 'energy'):10.0e}{largest(other, 'forces'):10.0e}"
                    if other
                    else ""
                ),
                flush=True,
            )
    return rows


def errors(potential, mixed, method, constraints, make) -> dict:
    """Compute the errors for each of LAMBDAS."""
    rows = list(identities(potential, mixed, method, constraints, make=make))
    return {
        "energy": [float(f"{row.energy_error:.1e}") for row in rows],
        "forces": [float(f"{row.force_error:.1e}") for row in rows],
    }


def largest(row: dict, kind: str) -> float:
    """Find the largest error of a kind."""
    return max(row[kind])


def molecules(make, interpolate: bool) -> int:
    """Count OpenMM's molecules if the region is N-methylacetamide and a water."""
    box = solvated()
    mixed = Input(box.topology, box.positions, list(range(SOLUTE + 3)), None, None)
    system = box.system
    if make is not None:
        system = make(mixed, system, interpolate, True)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    return len(context.getMolecules())


result = {}
if options.inputs and options.results.exists():
    result = json.loads(options.results.read_text())
result |= {
    "hardware": hardware(options.threads),
    "backend": options.backend,
    "openmmml": metadata.version("openmmml"),
    "lambda_interpolate": [value if value is not None else "none" for value in LAMBDAS],
    "errors": result.get("errors", {}),
}
with tempfile.TemporaryDirectory() as folder:
    potential = AllegroPotential(organic_model())
    file = save_model(potential.model, Path(folder) / "m.safetensors")
    theirs = by_openmmml(file, options.backend)
    for name, make in inputs(Path(folder)).items():
        if options.inputs and not any(word in name for word in options.inputs):
            continue
        print(f"\n{name}\n{'':27}ours: energy, forces; OpenMM-ML: energy, forces")
        result["errors"][name] = table(potential, name, make(), theirs)
    result["molecules"] = {
        "force field": molecules(None, False),
        "ours": [
            molecules(by_us(potential, options.backend), value)
            for value in (False, True)
        ],
        "OpenMM-ML": [molecules(theirs, value) for value in (False, True)],
    }
print(f"\nmolecules (without, with interpolation): {result['molecules']}")
options.results.parent.mkdir(parents=True, exist_ok=True)
text = json.dumps(result, indent=1)
text = re.sub(r"\[[^\[\]{}]*\]", lambda row: " ".join(row[0].split()), text)
options.results.write_text(text + "\n")
