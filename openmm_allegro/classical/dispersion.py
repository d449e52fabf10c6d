# SPDX-License-Identifier: MIT
"""DFT-D3 dispersion in OpenMM, by the library of its authors (package ``dftd3``)."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
from openmm import unit

from ..forces import python_force
from ..topology.elements import ATOMIC_NUMBERS
from ..units import (
    ENERGY_UNITS_IN_EV,
    EV_TO_KJ_PER_MOL,
    LENGTH_UNITS_IN_ANGSTROM,
    NM_TO_ANGSTROM,
)

NM_TO_BOHR = NM_TO_ANGSTROM / LENGTH_UNITS_IN_ANGSTROM["bohr"]
HARTREE_TO_KJ_PER_MOL = ENERGY_UNITS_IN_EV["hartree"] * EV_TO_KJ_PER_MOL
DAMPING = {"bj": "RationalDampingParam", "zero": "ZeroDampingParam"}
CN_CUTOFF = 40.0  # bohr, the library's own
SMOOTHING = 2.0  # bohr over which pairs and triples fade out at their cutoff


def d3_force(
    symbols: Sequence[str],
    functional: str,
    *,
    damping: str = "bj",
    three_body: bool = False,
    periodic: bool = True,
    cutoff: float = 3.0,
) -> openmm.Force:
    """Make a force with Grimme's D3 dispersion correction of a density functional.

    S. Grimme et al., doi:10.1063/1.3382344; damping of Becke and Johnson,
    doi:10.1002/jcc.21759. The C6 coefficients follow the coordination of the atoms at
    each step. It is a PythonForce, computed on the CPU. ``nonbonded_system(...,
    d3=...)`` adds it to a baseline of fixed charges.

    Parameters
    ----------
    symbols : sequence of str
        Chemical symbols of all particles of the System.
    functional : str
        The library's name of it, such as "pbe" or "revpbe0".
    damping : str
        "bj" or "zero".
    three_body : bool
        Whether to add the Axilrod-Teller-Muto term.
    periodic : bool
    cutoff : float
        Cutoff of pairs, nm; that of triples is the same, but 2.1 nm at most. The box
        may be smaller.

    Raises
    ------
    ImportError
        If ``dftd3`` is missing.
    ValueError
        If the functional, the damping or an element is unknown, or the cutoff not
        above 0.
    """
    unknown = sorted({s for s in symbols if not 0 < ATOMIC_NUMBERS.get(s, 0) <= 94})
    if unknown or not symbols:
        raise ValueError(
            f"expected elements from H to Pu, found {', '.join(unknown) or 'no atoms'}"
        )
    if damping not in DAMPING:
        raise ValueError(f"expected damping of {tuple(DAMPING)}, found {damping!r}")
    if not 0 < cutoff < float("inf"):
        raise ValueError(f"expected a cutoff above 0 nm, found {cutoff}")
    settings = {
        "functional": functional.lower(),
        "damping": damping,
        "three-body": three_body,
        "cutoff": float(cutoff),
    }
    numbers = [ATOMIC_NUMBERS[s] for s in symbols]
    function = D3(numbers, periodic, settings)
    function.prepare()
    force = python_force(function)
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setName("D3")
    return force


class D3:
    """The function that the PythonForce calls; it pickles without library objects.

    Parameters
    ----------
    numbers : sequence of int
        Atomic numbers.
    periodic : bool
    settings : dict
        ``functional``, ``damping``, ``three-body`` and ``cutoff`` (nm).
    """

    def __init__(
        self, numbers: Sequence[int], periodic: bool, settings: dict[str, Any]
    ) -> None:
        self.numbers, self.periodic = np.array(numbers), periodic
        self.settings = settings
        self._prepared: tuple[Any, Any] | None = None
        self._lock = threading.Lock()

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        model, damping = self.prepare()
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        lattice = None
        if self.periodic:
            box = state.getPeriodicBoxVectors(asNumpy=True)
            lattice = box.value_in_unit(unit.nanometer)
            # The library's lattice sum expects the atoms inside the cell.
            fractions = positions @ np.linalg.inv(lattice)
            positions = positions - np.floor(fractions) @ lattice
            lattice = lattice * NM_TO_BOHR
        with self._lock:  # Contexts of several threads share the library's model
            model.update(positions * NM_TO_BOHR, lattice)
            result = model.get_dispersion(damping, grad=True)
        forces = -result["gradient"] * (HARTREE_TO_KJ_PER_MOL * NM_TO_BOHR)
        return float(result["energy"]) * HARTREE_TO_KJ_PER_MOL, forces

    def prepare(self) -> tuple[Any, Any]:
        """Make the library's model and damping, once.

        Raises
        ------
        ImportError, ValueError
            As ``d3_force``.
        """
        if self._prepared is None:
            try:
                from dftd3 import interface
            except ImportError as error:
                raise ImportError(
                    "d3_force expects the package dftd3, found that it cannot be "
                    f"imported ({error}); pip install 'openmm-allegro[dispersion]'"
                ) from error
            damping = getattr(interface, DAMPING[self.settings["damping"]])
            try:
                parameters = damping(
                    method=self.settings["functional"], atm=self.settings["three-body"]
                )
            except RuntimeError as error:
                raise ValueError(
                    "expected a functional that D3 has parameters for, found "
                    f"{self.settings['functional']!r} ({error})"
                ) from error
            # Any positions will do, apart and in a cell: a State brings the real ones.
            line = np.outer(np.arange(len(self.numbers)) * 5.0, [1.0, 0.0, 0.0])
            cell = np.eye(3) * (5.0 * len(line) + 5.0) if self.periodic else None
            directions = np.full(3, self.periodic)
            model = interface.DispersionModel(self.numbers, line, cell, directions)
            cutoff = self.settings["cutoff"] * NM_TO_BOHR
            near = min(cutoff, CN_CUTOFF)
            model.set_realspace_cutoff(cutoff, near, near, SMOOTHING, SMOOTHING)
            self._prepared = (model, parameters)
        return self._prepared

    def __reduce__(self) -> tuple[Any, ...]:
        return D3, (self.numbers, self.periodic, self.settings)
