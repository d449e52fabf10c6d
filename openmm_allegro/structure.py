# SPDX-License-Identifier: MIT
"""Structures with ab-initio labels from files, and elements of OpenMM topologies."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import ase
    from openmm import app


@dataclass(frozen=True)
class Structure:
    """One configuration with its energy, forces and stress, if they are known.

    Parameters
    ----------
    symbols : tuple of str, N
        Chemical symbols.
    positions : ndarray [N, 3]
        Å.
    cell : ndarray [3, 3]
        Rows are cell vectors, Å; zeros where there is no cell.
    periodic : ndarray [3], bool
    energy : float or None
        eV.
    forces : ndarray [N, 3] or None
        eV/Å.
    stress : ndarray [3, 3] or None
        eV/Å³, positive under tension (ASE's sign).
    source : str
        Where it was read, for messages.
    baseline : dict or None
        Force field that was subtracted from the labels, see ``fingerprint``.
    """

    symbols: tuple[str, ...]
    positions: np.ndarray
    cell: np.ndarray
    periodic: np.ndarray
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    source: str = ""
    baseline: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def volume(self) -> float:
        """Volume of the cell, Å³."""
        return float(abs(np.linalg.det(self.cell)))


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
    _check(structure, where)
    return structure


def topology_symbols(
    topology: "app.Topology", atoms: Sequence[int] | None = None
) -> tuple[str, ...]:
    """List the chemical symbols of the atoms of an OpenMM topology.

    Parameters
    ----------
    topology : openmm.app.Topology
    atoms : sequence of int, optional
        Indices of atoms, in the order of the result; all by default.

    Raises
    ------
    ValueError
        If there is no atom, or one of them has no element (a virtual site).
    """
    chosen = list(topology.atoms())
    if atoms is not None:
        chosen = [chosen[i] for i in atoms]
    if not chosen:
        raise ValueError("topology: expected at least one atom, found none")
    for atom in chosen:
        if atom.element is None:
            raise ValueError(
                f"topology: expected an element for each atom, found none for atom "
                f"{atom.index} ({atom.name} of {atom.residue.name} {atom.residue.id}); "
                "virtual sites cannot be part of a machine-learned potential"
            )
    return tuple(atom.element.symbol for atom in chosen)


def check_atoms(atoms: Iterable[int], count: int) -> list[int]:
    """Return a region's atoms as a list of different indices below ``count``.

    Raises
    ------
    ValueError
    """
    try:
        atoms = list(atoms)
        if any(isinstance(i, bool) for i in atoms):
            raise TypeError("booleans")
        indices = [operator.index(i) for i in atoms]
    except TypeError as error:
        raise ValueError(f"atoms: expected indices of atoms, found {error}") from error
    if not indices:
        # createMixedSystem of OpenMM-ML 1.7 uses up a generator before it gets here
        raise ValueError(
            "atoms: expected a sequence of at least one index, found none (or a "
            "generator, which can be read only once)"
        )
    outside = [i for i in indices if not 0 <= i < count]
    if outside:
        raise ValueError(
            f"atoms: expected indices 0 to {count - 1}, found {outside[0]}"
        )
    repeated = len(indices) - len(set(indices))
    if repeated:
        raise ValueError(f"atoms: expected each index once, found {repeated} repeated")
    return indices


def check_cell(cell: np.ndarray, where: str) -> None:
    """Refuse cell vectors that span no volume.

    Parameters
    ----------
    cell : ndarray [3, 3]
        Å.
    where : str
        Name for the error message.

    Raises
    ------
    ValueError
        If an entry is not finite or the volume is below 1e-6 of a cube of the longest
        vector.
    """
    cell = np.asarray(cell, dtype=float)
    longest = np.linalg.norm(cell, axis=1).max(initial=0.0)
    if not np.isfinite(cell).all() or (
        abs(np.linalg.det(cell)) <= 1e-6 * max(longest, 1e-3) ** 3
    ):
        raise ValueError(
            f"{where}: expected three independent box vectors, found a degenerate box "
            f"{cell.tolist()} Å"
        )


def _check(structure: Structure, where: str) -> None:
    if len(structure) == 0:
        raise ValueError(f"{where}: expected at least one atom, found none")
    for name in ("positions", "cell", "energy", "forces", "stress"):
        value = getattr(structure, name)
        if value is not None and not np.isfinite(value).all():
            raise ValueError(f"{where}: expected finite {name}, found NaN or infinity")
    if structure.periodic.any():
        used = structure.cell[structure.periodic]
        lengths = np.linalg.norm(used, axis=1, keepdims=True)
        if not lengths.all():
            raise ValueError(
                f"{where}: expected a cell vector in each periodic direction, found "
                f"{structure.cell.tolist()} with periodicity "
                f"{structure.periodic.tolist()}"
            )
        if structure.periodic.all():
            check_cell(structure.cell, where)
        elif np.linalg.matrix_rank(used / lengths, tol=1e-6) < len(used):
            raise ValueError(
                f"{where}: expected independent cell vectors in the periodic "
                f"directions, found a degenerate box {used.tolist()} Å"
            )
