# SPDX-License-Identifier: MIT
"""Compute what a native force does without a Context, in eV and Å, for reporters."""

import weakref

import numpy as np
import openmm

from .library import last_error, plugin


def is_native(force: openmm.Force) -> bool:
    """Tell whether a force is an AllegroForce."""
    # No such force exists in a process that has not loaded the plugin.
    if not plugin.cache_info().currsize or type(force) is not openmm.Force:
        return False
    return bool(plugin().allegro_plugin_is_force(int(force.this)))


class Engine:
    """Models of a native force, with threads and a pair list of their own.

    Parameters
    ----------
    force : openmm.Force
        From ``native_force``, or read from XML. It is not kept.
    threads : int, optional
        By default ``OPENMM_CPU_THREADS``, or all cores.

    Attributes
    ----------
    particles : ndarray [n], int64
        Particles that are the models' atoms.
    number_of_caps, number_of_models : int
    is_charged : bool
        Whether the models give charges to atoms.

    Raises
    ------
    ValueError
        If the force is of another kind.
    """

    def __init__(self, force: openmm.Force, threads: int | None = None) -> None:
        if not is_native(force):
            raise ValueError(
                f"expected a native Allegro force, found {type(force).__name__}"
            )
        self._plugin = plugin()
        self._handle = self._plugin.allegro_engine_open(int(force.this), threads or 0)
        if not self._handle:
            raise ValueError(last_error(self._plugin))
        weakref.finalize(self, self._plugin.allegro_engine_close, self._handle)
        sizes = np.zeros(3, dtype=np.int64)
        self._plugin.allegro_engine_sizes(self._handle, sizes.ctypes.data)
        count, self.number_of_caps, self.number_of_models = sizes.tolist()
        self.is_charged = bool(self._plugin.allegro_engine_is_charged(self._handle))
        self.particles = np.zeros(count, dtype=np.int64)
        self._plugin.allegro_engine_particles(self._handle, self.particles.ctypes.data)

    @property
    def rebuilds(self) -> int:
        """Number of times that the list of pairs was built."""
        return self._plugin.allegro_engine_rebuilds(self._handle)

    def run(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute energies, forces and strain derivative, means over the models.

        Parameters
        ----------
        positions : ndarray [N, 3], nm
            Of all particles of the System.
        box : ndarray [3, 3], nm
            Rows are box vectors; needed where the force is periodic.

        Returns
        -------
        energies : ndarray [n + caps], eV
        forces : ndarray [n, 3], eV/Å
        strain : ndarray [3, 3], eV
            Derivative of the energy by the strain.

        Raises
        ------
        ValueError
            If positions or box are not finite, or the System has other particles.
        """
        energies = np.zeros(len(self.particles) + self.number_of_caps)
        forces = np.zeros((len(self.particles), 3))
        strain = np.zeros((3, 3))
        self._call("run", positions, box, energies, forces, strain)
        return energies, forces, strain

    def deviation(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the deviation of the force on each atom over a committee.

        Parameters as ``run``.

        Returns
        -------
        ndarray [n], eV/Å
            As ``potential.committee`` defines it.

        Raises
        ------
        ValueError
            If there is one model alone, or as ``run``.
        """
        deviation = np.zeros(len(self.particles))
        self._call("deviation", positions, box, deviation)
        return deviation

    def virials(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the derivative of the energy by the strain for each atom.

        Parameters as ``run``.

        Returns
        -------
        ndarray [n, 3, 3], eV
            Of atom j the sum of r_ij ⊗ dE_i/dr_ij over the centres i whose neighbour it
            is, r_ij being the vector from i to j. Their sum is the strain derivative of
            ``run``. They are not symmetric, and the heat flux needs all nine
            components: -Σ_j W_j v_j beside convection, doi:10.1103/PhysRevB.92.094301.

        Raises
        ------
        ValueError
            If the force has link atoms or charges, or as ``run``.
        """
        virials = np.zeros((len(self.particles), 3, 3))
        self._call("virials", positions, box, virials)
        return virials

    def charges(
        self, positions: np.ndarray, box: np.ndarray | None = None
    ) -> np.ndarray:
        """Compute the charge of each atom, means over the models.

        Parameters as ``run``.

        Returns
        -------
        ndarray [n], e

        Raises
        ------
        ValueError
            If the models have no charges, or the force has link atoms, or as ``run``.
        """
        charges = np.zeros(len(self.particles))
        self._call("charges", positions, box, charges)
        return charges

    def _call(
        self,
        function: str,
        positions: np.ndarray,
        box: np.ndarray | None,
        *results: np.ndarray,
    ) -> None:
        positions = np.ascontiguousarray(positions, dtype=np.float64)
        box = np.zeros((3, 3)) if box is None else np.ascontiguousarray(box, np.float64)
        if positions.shape != (len(positions), 3) or box.shape != (3, 3):
            raise ValueError(
                "expected positions [N, 3] and box [3, 3], found shapes "
                f"{positions.shape} and {box.shape}"
            )
        call = getattr(self._plugin, f"allegro_engine_{function}")
        arrays = [array.ctypes.data for array in (positions, box, *results)]
        if not call(self._handle, len(positions), *arrays):
            raise ValueError(last_error(self._plugin))
