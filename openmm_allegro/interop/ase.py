# SPDX-License-Identifier: MIT
"""ASE calculator of a trained model, by what computes it in OpenMM."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..model.elements import element_types
from ..model.model import Model
from ..modelfile import load_model
from ..plugin.library import plugin
from ..potential.checks import check_charges, check_total, warn_of_vacuum
from ..potential.computation import Computation, model_computation
from ..potential.contents import check_distinct
from ..potential.options import ForceOptions, default_skin
from ..structure import Structure, from_ase
from ..units import NM_TO_ANGSTROM
from ..utils.extras import naming_extras
from ..utils.reasons import reason_of

with naming_extras():
    from ase import Atoms
    from ase.calculators.calculator import (
        Calculator,
        PropertyNotImplementedError,
        all_changes,
    )
    from ase.stress import full_3x3_to_voigt_6_stress

if TYPE_CHECKING:
    import torch

BACKENDS = ("auto", "torch", "native")
_OF_CHARGES = ("charges", "dipole")


class AllegroCalculator(Calculator):
    """Calculator of energies, forces and stress of ``ase.Atoms`` from a model.

    Results are in ASE's units and in float64: ``energy`` and ``free_energy``, which are
    equal, and ``energies`` of the atoms in eV; ``forces`` in eV/Å; ``stress`` in eV/Å³,
    in Voigt order (xx, yy, zz, yz, xz, xy) and positive under tension; ``stresses`` of
    the atoms in the same units, whose sum is the stress, computed where they are asked
    for. They are symmetric, as ASE has them; for a heat flux, which is not, see
    ``plugin.engine.Engine.virials``.

    Atoms may be periodic along any of their cell vectors and lie outside the cell. The
    stress is the derivative of the energy by strain, over the volume of the cell. It
    exists if the three cell vectors span a volume, periodic or not. Initial charges and
    magnetic moments are ignored.

    A model with charges also gives ``charges`` of the atoms (e) and, without periodic
    images, ``dipole`` (e Å; about the origin, where the total charge is not 0), where
    they are asked for. Atoms are then periodic along all cell vectors or none.

    Parameters
    ----------
    model : path or Model
        A model file (``*.safetensors``), or the result of ``load_model`` or ``train``.
    precision : str
        "single", "mixed" or "double", as in ``ForceOptions``.
    device : str or torch.device, optional
        "cpu" or "cuda", of torch; by default, cuda if there is one.
    backend : str
        "torch", or "native": the compiled kernels alone, on the CPU. "auto" is torch
        where it is installed.
    total_charge : float
        Charge of all atoms (e), for a model with charges.

    Attributes
    ----------
    backend : str
        "torch" or "native".

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ImportError
        If the backend cannot be had; the message says what to install.
    ValueError
        If the file is not a model file, the model is a correction to a force field
        (kind delta), or an option is unknown.

    Examples
    --------
    >>> atoms = ase.io.read("systems/nacl_aq/nacl_aq.pdb")
    >>> atoms.calc = AllegroCalculator("systems/nacl_aq/nacl_aq.safetensors")
    >>> energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]
    ignored_changes: ClassVar[set[str]] = {"initial_charges", "initial_magmoms"}

    def __init__(
        self,
        model: str | Path | Model,
        *,
        precision: str = "double",
        device: "str | torch.device | None" = None,
        backend: str = "auto",
        total_charge: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model if isinstance(model, Model) else load_model(model)
        check_total(self.model, "AllegroCalculator")
        self.precision = precision
        self.backend = _backend(backend, device)
        self.options = ForceOptions(
            # either backend of OpenMM that runs torch
            backend="native" if self.backend == "native" else "pythonforce",
            precision=precision,
            total_charge=total_charge,
        )
        check_charges([self.model], total_charge)
        if self.model.config.is_charged:
            self.implemented_properties = [*self.implemented_properties, *_OF_CHARGES]
        self.device = _device(device) if self.backend == "torch" else None
        # The last computation, and the elements and periodicity it was made for.
        self._made: tuple[Any, Computation] | None = None

    def set(self, **options: Any) -> dict[str, Any]:
        """Refuse options, which ASE would keep and nothing would use.

        Raises
        ------
        ValueError
            If there are any.
        """
        if options:
            raise ValueError(
                "AllegroCalculator: expected options in its constructor, found "
                f"set({', '.join(options)})"
            )
        return {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Fill ``results``; ASE calls this when they are out of date.

        Raises
        ------
        ValueError
            If there are no atoms, an element is unknown, positions or cell are not
            finite, a periodic direction has no cell vector or dependent ones, or
            energies or forces come out not finite.
        PropertyNotImplementedError
            If a stress is requested and the cell has no volume; the other results
            are set.
        """
        super().calculate(atoms, properties, system_changes)
        self.results = {}  # so that no earlier results outlive an error
        if not self.atoms:
            raise ValueError("atoms: expected at least one atom, found none")
        # Without info and arrays, which may hold labels.
        structure = from_ase(
            Atoms(
                numbers=self.atoms.numbers,
                positions=self.atoms.positions,
                cell=self.atoms.cell,
                pbc=self.atoms.pbc,
            ),
            where="atoms",
        )
        energies, forces, strain = self._evaluate(structure)
        energy = float(energies.sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies,
            "forces": forces,
        }
        if self.model.config.is_charged and set(_OF_CHARGES) & set(properties):
            self._add_charges(structure)
        # ase's Cell.rank counts vectors that are not zero, parallel ones too.
        if np.linalg.matrix_rank(structure.cell) == 3:
            stress = full_3x3_to_voigt_6_stress(strain / structure.volume)
            self.results["stress"] = stress
            if "stresses" in properties:
                self.results["stresses"] = self._stresses(structure)
            return
        for name in {"stress", "stresses"}.intersection(properties):
            raise PropertyNotImplementedError(
                f"{name}: expected a cell with a volume, found cell vectors "
                f"{structure.cell.tolist()} Å"
            )

    def _evaluate(
        self, structure: Structure
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute energies [N] (eV), forces [N, 3] (eV/Å), dE/d(strain) [3, 3] (eV)."""
        computation = self._find_computation(structure)
        try:
            energies, forces, strain = computation.run(*self._in_nm(structure))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"atoms: {reason_of(error)}") from error
        bad = ~(np.isfinite(energies) & np.isfinite(forces).all(axis=1))
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                "atoms: expected finite energies and forces, found NaN or infinity for "
                f"{bad.sum()} of {len(bad)} atoms, the first being atom {first} "
                f"({structure.symbols[first]}); are two atoms almost at the same "
                "position?"
            )
        return energies, forces, strain

    def _add_charges(self, structure: Structure) -> None:
        """Compute charges of the atoms [N] (e) and their dipole [3] (e Å)."""
        computation = self._find_computation(structure)
        charges = computation.charges(*self._in_nm(structure))
        self.results["charges"] = charges
        if not structure.periodic.any():
            self.results["dipole"] = charges @ structure.positions

    def _stresses(self, structure: Structure) -> np.ndarray:
        """Compute stresses of the atoms [N, 6] (eV/Å³)."""
        virials = self._find_computation(structure).virials(*self._in_nm(structure))
        symmetric = 0.5 * (virials + virials.swapaxes(1, 2))
        return full_3x3_to_voigt_6_stress(symmetric / structure.volume)

    def _in_nm(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        """Positions [N, 3] and box [3, 3] for a computation."""
        box = structure.cell
        if self.backend == "native":
            cutoff = self.model.config.cutoff
            box = _with_vacuum(structure, cutoff + default_skin(self.options, cutoff))
        return structure.positions / NM_TO_ANGSTROM, box / NM_TO_ANGSTROM

    def _find_computation(self, structure: Structure) -> Computation:
        """Make the computation of these elements and this periodicity, once."""
        key = (structure.symbols, tuple(structure.periodic.tolist()))
        if self._made is None or self._made[0] != key:
            # Checked here, for the message of the computation would name a topology.
            element_types(structure.symbols, self.model.config.elements, "atoms")
            check_distinct(structure.positions, range(len(structure)))
            check_charges([self.model], self.options.total_charge, key[1])
            warn_of_vacuum([self.model], structure.periodic.any())
            periodic = any(key[1]) if self.backend == "native" else key[1]
            computation = model_computation(
                self.model,
                key[0],
                self.options,
                periodic=periodic,
                device=self.device,
            )
            self._made = (key, computation)
        return self._made[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the computation, which cannot be pickled or copied."""
        return self.__dict__ | {"_made": None}


def _backend(asked: str, device: object) -> str:
    """Choose the backend; torch takes a device, and comes first as it has others."""
    if asked not in BACKENDS:
        raise ValueError(f"expected backend of {BACKENDS}, found {asked!r}")
    if asked == "native" and device is not None:
        raise ValueError(
            "backend='native': expected no device, because it runs on the CPU, found "
            f"device={str(device)!r}"
        )
    packages = ("torch", "vesin_torch")
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if asked == "native" or (asked == "auto" and missing and device is None):
        plugin()  # says what it lacks
        return "native"
    if missing:
        given = f"device={str(device)!r}" if asked == "auto" else "backend='torch'"
        raise ImportError(
            f"{given} expects {' and '.join(missing)}, found none; pip install "
            "'openmm-allegro[torch]', or leave it out"
        )
    return "torch"


def _with_vacuum(structure: Structure, reach: float) -> np.ndarray:
    """Box [3, 3] (Å) with vacuum along the cell vectors that do not repeat.

    The native force knows boxes that repeat along all vectors, or none.
    """
    repeats = structure.periodic
    if repeats.all() or not repeats.any():
        return structure.cell
    across = np.linalg.svd(structure.cell[repeats])[2][repeats.sum() :]
    extents = np.ptp(structure.positions @ across.T, axis=0)
    # In steps, so that a motion seldom changes it: the pairs would be found anew.
    lengths = 10.0 * np.ceil((extents + reach) / 10.0 + 0.1)
    box = structure.cell.copy()
    box[~repeats] = lengths[:, None] * across
    return box


def _device(device: "str | torch.device | None") -> "torch.device":
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    # A torch without CUDA raises AssertionError, others RuntimeError or TypeError.
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"expected a device that torch can use, found {device!r}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"expected a device of cpu or cuda, found {device!r}")
    return chosen
