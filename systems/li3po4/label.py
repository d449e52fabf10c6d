# SPDX-License-Identifier: MIT
"""Label frames by CP2K: energies and forces of PBE, and stresses if wanted.

    python systems/li3po4/label.py frames.extxyz labelled.extxyz --store runs/li3po4_dft

PBE, DZVP-MOLOPT-SR-GTH with GTH pseudopotentials (Li 3, P 5 and O 6 electrons), 400 Ry,
the Γ point. Eleven grids, each a factor of 1.6 coarser, take half the time of CP2K's
four, for the same forces: wide functions are not put on a grid finer than they need.
``--cutoff 300 --finer-grid`` has less noise in forces on oxygen. Each frame is stored
as soon as it is computed, under a digest of its atoms and the settings, so a command
that was killed goes on, and no frame is computed twice. A frame whose density does not
converge is written without an energy, and its ``failed`` says why.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import ase
import ase.io
import ase.units
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

ELECTRONS = {"Li": 3, "P": 5, "O": 6}
FORCE = ase.units.Hartree / ase.units.Bohr  # eV/Å in an atomic unit
NUMBER = r"([-+.\dEe]+)"

INPUT = """\
&GLOBAL
  PROJECT frame
  RUN_TYPE ENERGY_FORCE
  PRINT_LEVEL LOW
&END GLOBAL
&FORCE_EVAL
  METHOD QS
  STRESS_TENSOR {stress}
  &DFT
    BASIS_SET_FILE_NAME BASIS_MOLOPT
    POTENTIAL_FILE_NAME GTH_POTENTIALS
    &MGRID
      CUTOFF [Ry] {cutoff}
      REL_CUTOFF [Ry] 40
      NGRIDS 11
      PROGRESSION_FACTOR 1.6
    &END MGRID
    &QS
      EPS_DEFAULT {precision}
    &END QS
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF 1.0E-4
      MAX_SCF 40
      &DIAGONALIZATION
        ALGORITHM STANDARD
      &END DIAGONALIZATION
      &MIXING
        METHOD BROYDEN_MIXING
        ALPHA 0.4
        BETA 0.5
        NBROYDEN 8
      &END MIXING
    &END SCF
    &XC
      &XC_FUNCTIONAL PBE
      &END XC_FUNCTIONAL
      &XC_GRID
        USE_FINER_GRID {finer}
      &END XC_GRID
    &END XC
  &END DFT
  &PRINT
    &FORCES
      NDIGITS 10
    &END FORCES
    &STRESS_TENSOR
    &END STRESS_TENSOR
  &END PRINT
  &SUBSYS
    &CELL
{cell}
    &END CELL
    &COORD
{coordinates}
    &END COORD
{kinds}
  &END SUBSYS
&END FORCE_EVAL
"""
KIND = """\
    &KIND {0}
      BASIS_SET DZVP-MOLOPT-SR-GTH
      POTENTIAL GTH-PBE-q{1}
    &END KIND"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--store", type=Path, required=True, help="folder of labels")
    parser.add_argument("--cutoff", type=float, default=400.0, help="Ry")
    parser.add_argument("--stress", action="store_true")
    parser.add_argument(
        "--finer-grid", action="store_true", help="for exchange and correlation"
    )
    parser.add_argument("--workers", type=int, default=1, help="frames at once")
    parser.add_argument("--precision", type=float, default=1e-8, help="EPS_DEFAULT")
    parser.add_argument("--cp2k", default="cp2k", help="the program")
    options = parser.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    frames = ase.io.read(options.frames, ":")
    with ThreadPoolExecutor(options.workers) as pool:
        labelled = [*pool.map(partial(stored_label, options=options), frames)]
    ase.io.write(options.output, labelled, format="extxyz")


def stored_label(frame: ase.Atoms, options: argparse.Namespace) -> ase.Atoms:
    """Read the label of a frame, which is computed first if it is not there."""
    path = options.store / f"{name_of(frame, options)}.extxyz"
    if not path.exists():
        begin = time.perf_counter()
        result = label(frame, options)
        result.info["label_seconds"] = round(time.perf_counter() - begin, 1)
        ase.io.write(path.with_suffix(".part"), result, format="extxyz")
        os.replace(path.with_suffix(".part"), path)
        print(path.stem, result.info, flush=True)
    result = ase.io.read(path)
    result.info |= frame.info  # its number and origin
    return result


def name_of(frame: ase.Atoms, options: argparse.Namespace) -> str:
    """Name a frame and its level of theory by a digest."""
    level = f"{options.cutoff} {options.precision} {options.stress}"
    level += " finer" * options.finer_grid
    content = f"{frame.symbols} {level}".encode()
    for array in (frame.cell.array, frame.positions):
        content += np.round(array, 6).tobytes()
    return hashlib.sha256(content).hexdigest()[:24]


def label(frame: ase.Atoms, options: argparse.Namespace) -> ase.Atoms:
    """Compute a frame; of one that fails, say why in ``info["failed"]``."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "frame.inp").write_text(input_of(frame, options))
        done = subprocess.run(
            [options.cp2k, "-i", "frame.inp"],
            cwd=work,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        text = done.stdout
    result = ase.Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True)
    try:
        result.calc = SinglePointCalculator(result, **read_output(text, len(frame)))
    except ValueError as error:
        result.info["failed"] = f"{error}; {done.stderr.strip()[-200:]}".strip("; ")
    return result


def input_of(frame: ase.Atoms, options: argparse.Namespace) -> str:
    """Write CP2K's input for a frame."""
    unknown = {*frame.symbols} - {*ELECTRONS}
    if unknown or not frame.pbc.all():
        sys.exit(f"expected periodic frames of Li, P and O, found {frame}")
    rows = zip("ABC", frame.cell.array, strict=True)
    return INPUT.format(
        stress="ANALYTICAL" if options.stress else "NONE",
        precision=f"{options.precision:.1E}",
        cutoff=f"{options.cutoff:g}",
        finer="T" if options.finer_grid else "F",
        cell="\n".join(
            f"      {n} {x:.10f} {y:.10f} {z:.10f}" for n, (x, y, z) in rows
        ),
        coordinates="\n".join(
            f"      {symbol} {x:.10f} {y:.10f} {z:.10f}"
            for symbol, (x, y, z) in zip(frame.symbols, frame.positions, strict=True)
        ),
        kinds="\n".join(KIND.format(*item) for item in ELECTRONS.items()),
    )


def read_output(text: str, atoms: int) -> dict[str, object]:
    """Read energy (eV), forces (eV/Å) and stress (eV/Å³) from what CP2K prints."""
    if "PROGRAM ENDED" not in text:
        raise ValueError("CP2K ended early")
    if "NOT converged" in text or "did NOT converge" in text:
        raise ValueError("the wave function did not converge")
    energy = re.findall(r"ENERGY\|.*?:\s+" + NUMBER, text)[-1]
    row = re.compile(
        rf"^\s+\d+\s+\d+\s+[A-Z][a-z]?\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}\s*$", re.M
    )
    forces = np.array(row.findall(text.split("ATOMIC FORCES in")[-1]), float)
    if forces.shape != (atoms, 3):
        raise ValueError(f"expected forces on {atoms} atoms, found {len(forces)}")
    labels = {"energy": float(energy) * ase.units.Hartree, "forces": forces * FORCE}
    # STRESS| x 1.0 2.0 3.0, in GPa
    rows = re.findall(
        rf"STRESS\|\s+[xyz]\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}\s*$", text, re.M
    )
    if rows:
        pressure = np.array(rows[:3], float) * ase.units.GPa
        # CP2K's is positive under compression
        labels["stress"] = -pressure[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return labels


if __name__ == "__main__":
    main()
