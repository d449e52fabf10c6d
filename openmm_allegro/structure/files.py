# SPDX-License-Identifier: MIT
"""Read structures with ab-initio labels from files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .structure import Structure, check_structure

if TYPE_CHECKING:
    import ase


def read_structures(
    path: str | Path | Sequence[str | Path], *, labels: bool = True
) -> list[Structure]:
    """Read all frames of one or more files that ase can read, such as extxyz.

    Parameters
    ----------
    path : path or sequence of paths
    labels : bool
        Require an energy and forces in each frame.

    Returns
    -------
    list of Structure

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file cannot be read, has no frames, or a frame has positions that are not
        finite, a periodic direction without a cell, or lacks labels that were asked
        for.
    """
    from ase.io import iread

    if not isinstance(path, str | Path):
        return [s for p in path for s in read_structures(p, labels=labels)]
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a file of structures, found nothing at {path}"
        )
    structures = []
    frames = iread(path, index=":", do_not_split_by_at_sign=True)
    while True:
        where = f"{path}, frame {len(structures)}"
        try:
            atoms = next(frames)
        except StopIteration:
            break
        except Exception as error:  # ase raises many kinds, some bare
            raise ValueError(
                f"{where}: expected a structure that ase can read, found "
                f"{type(error).__name__}: {error}"
            ) from error
        structures.append(from_ase(atoms, where=where, labels=labels))
    if not structures:
        raise ValueError(f"{path}: expected at least one frame, found none")
    return structures


def from_ase(
    atoms: "ase.Atoms", *, where: str = "structure", labels: bool = False
) -> Structure:
    """Convert an ``ase.Atoms`` with the results that are attached to it.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        Name of the structure in error messages.
    labels : bool
        Require an energy and forces.

    Raises
    ------
    ValueError
        As ``read_structures``.
    """
    results = atoms.calc.results if atoms.calc is not None else {}
    energy = results.get("energy", atoms.info.get("energy"))
    forces = results.get("forces", atoms.arrays.get("forces"))
    stress = results.get("stress")
    if labels and forces is None:
        have = "an energy" if energy is not None else "no energy"
        raise ValueError(
            f"{where}: expected forces (a `forces` column in extxyz), found none and "
            f"{have}; columns are {sorted(atoms.arrays)}"
        )
    if labels and energy is None:
        raise ValueError(
            f"{where}: expected an energy (`energy=` in the comment line), found "
            f"forces without one; keys are {sorted(atoms.info)}"
        )
    if stress is not None and np.shape(stress) == (6,):
        xx, yy, zz, yz, xz, xy = stress
        stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    structure = Structure(
        symbols=tuple(atoms.get_chemical_symbols()),
        positions=np.array(atoms.positions, dtype=float),
        cell=np.array(atoms.cell.array, dtype=float),
        periodic=np.array(atoms.pbc, dtype=bool),
        energy=None if energy is None else float(energy),
        forces=None if forces is None else np.array(forces, dtype=float),
        stress=None if stress is None else np.array(stress, dtype=float),
        source=where,
    )
    check_structure(structure, where)
    return structure
