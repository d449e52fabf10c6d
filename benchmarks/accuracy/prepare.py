# SPDX-License-Identifier: MIT
"""Write the extended XYZ files that the configs beside this script name.

    python benchmarks/accuracy/prepare.py --rmd17 FOLDER --3bpa FOLDER

The first folder holds ``<molecule>_split01.npz`` of revMD17 (energies in eV, forces in
eV/Å: ``z``, ``train_R``, ``train_E``, ``train_F``, ``test_R``, ...), the second
``train_300K.extxyz`` and ``test_300K.extxyz``, ``test_600K.extxyz`` and
``test_1200K.extxyz`` of 3BPA. Writes to ``data/`` beside this script.
"""

import argparse
import shutil
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

HERE = Path(__file__).parent
DATA = HERE / "data"
BPA_PARTS = ("train_300K", "test_300K", "test_600K", "test_1200K")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rmd17", type=Path)
    parser.add_argument("--3bpa", type=Path, dest="bpa")
    options = parser.parse_args()
    if not options.rmd17 and not options.bpa:
        parser.error("expected --rmd17 or --3bpa, found neither")
    DATA.mkdir(exist_ok=True)
    if options.rmd17:
        paths = sorted(options.rmd17.glob("*_split01.npz"))
        if not paths:
            parser.error(f"expected *_split01.npz in {options.rmd17}, found none")
        for path in paths:
            convert(path, path.name.removesuffix("_split01.npz"), DATA)
    if options.bpa:
        for part in BPA_PARTS:
            shutil.copy(options.bpa / f"{part}.extxyz", DATA / f"3bpa_{part}.extxyz")
            print(f"3bpa_{part}.extxyz")


def convert(path: Path, molecule: str, folder: Path) -> None:
    """Write the frames of a molecule to two files."""
    with np.load(path, allow_pickle=False) as arrays:
        for part in ("train", "test"):
            frames = []
            labels = (arrays[f"{part}_{name}"].astype(float) for name in "REF")
            for positions, energy, forces in zip(*labels, strict=True):
                atoms = ase.Atoms(arrays["z"], positions)
                atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
                frames.append(atoms)
            target = folder / f"{molecule}_{part}.extxyz"
            ase.io.write(target, frames)
            print(f"{target.name}: {len(frames)} frames")


if __name__ == "__main__":
    main()
