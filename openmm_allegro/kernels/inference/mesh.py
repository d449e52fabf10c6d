# SPDX-License-Identifier: MIT
"""The compiled sums over charges called with arrays of numpy."""

import ctypes
import weakref

import numpy as np

from ... import units
from .. import header
from ..header import filled
from ..library import Outcome, check_outcome

SPACING = 0.0  # as ``alpha`` needs it
ORDER = header.constant("ALLEGRO_USUAL_ORDER")  # of its splines


class Mesh:
    """A mesh that is kept between sums, for one thread at a time.

    Parameters
    ----------
    kernels : CDLL
        From ``library.library``.
    """

    def __init__(self, kernels: ctypes.CDLL) -> None:
        self._kernels = kernels
        self._handle = kernels.allegro_mesh_open()
        if self._handle is None:
            check_outcome("long_range", Outcome.NO_MEMORY)
        weakref.finalize(self, kernels.allegro_mesh_close, self._handle)

    def sum(
        self,
        positions: np.ndarray,
        cell: np.ndarray,
        charges: np.ndarray,
        alpha: float,
        spacing: float = SPACING,
        order: int = ORDER,
        threads: int = 1,
        *,
        only_energy: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Sum over charges.

        Parameters as ``long_range_twin.long_range``; they must have been checked.

        Returns
        -------
        energy : ndarray [], eV
        potentials : ndarray [N], V
        forces : ndarray [N, 3], eV/Å
        strain : ndarray [3, 3], eV
            Zeros with ``only_energy``, but for the energy.

        Raises
        ------
        ValueError
            If the mesh would have too many points.
        MemoryError
        """
        given = _charges(positions, cell, charges, alpha, spacing, order)
        count = len(positions)
        energy, potentials = np.zeros(()), np.zeros(count)
        forces, strain = np.zeros((count, 3)), np.zeros((3, 3))
        field = filled(
            "allegro_field",
            energy=energy,
            potentials=None if only_energy else potentials,
            forces=None if only_energy else forces,
            strain=None if only_energy else strain,
        )
        outcome = self._kernels.allegro_mesh_sum(self._handle, given, threads, field)
        _check(outcome, cell, spacing)
        return energy, potentials, forces, strain


def mesh_points(
    kernels: ctypes.CDLL, cell: np.ndarray, alpha: float, spacing: float = SPACING
) -> list[int]:
    """Numbers of points along each box vector.

    Raises
    ------
    ValueError
        As ``Mesh.sum``.
    """
    points = np.zeros(3, dtype=np.int64)
    given = _charges(np.zeros((0, 3)), cell, np.zeros(0), alpha, spacing, ORDER)
    _check(kernels.allegro_mesh_points(given, points.ctypes.data), cell, spacing)
    return points.tolist()


def _charges(
    positions: np.ndarray,
    cell: np.ndarray,
    charges: np.ndarray,
    alpha: float,
    spacing: float,
    order: int,
) -> ctypes.Structure:
    return filled(
        "allegro_charges",
        count=len(positions),
        positions=np.ascontiguousarray(positions),
        cell=np.ascontiguousarray(cell),
        charges=np.ascontiguousarray(charges),
        coulomb=units.COULOMB_EV_ANGSTROM_CODATA,
        alpha=alpha,
        spacing=spacing,
        order=order,
    )


def _check(outcome: int, cell: np.ndarray, spacing: float) -> None:
    """Raise an error where a sum was not made."""
    check_outcome("long_range", outcome)
    lengths = np.linalg.norm(cell, axis=-1)
    if outcome == Outcome.TOO_LARGE:
        raise ValueError(
            "long_range: expected a box for a mesh of at most 2^28 points, found "
            f"vectors of {lengths.tolist()} Å at a spacing of {spacing} Å (0: by alpha)"
        )
    if outcome == Outcome.REFUSED:
        raise ValueError(
            "long_range: expected a box with a volume, and alpha, spacing and order in "
            f"range, found vectors of {lengths.tolist()} Å and a spacing of {spacing} Å"
        )
