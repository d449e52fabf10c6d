# SPDX-License-Identifier: MIT
"""Energies of atoms as a sum of named terms, and forces and virial from them."""

import copy

import torch
from torch import Tensor

from ..topology.elements import ATOMIC_NUMBERS
from .allegro import Allegro, as_blocks, per_pair
from .charges import Charges
from .config import AllegroConfig
from .radial import PairCutoffs, polynomial_envelope
from .statistics import Statistics


class ZBL(torch.nn.Module):
    """Screened nuclear repulsion of Ziegler, Biersack and Littmark, times the envelope.

    J. F. Ziegler, J. P. Biersack, U. Littmark, "The Stopping and Range of Ions in
    Matter", 1985; constants as LAMMPS' ``pair_style zbl``. Half of each pair's energy
    belongs to each ordered pair.

    Parameters
    ----------
    config : AllegroConfig
    """

    def __init__(self, config: AllegroConfig) -> None:
        super().__init__()
        numbers = [float(ATOMIC_NUMBERS[e]) for e in config.elements]
        z = torch.tensor(numbers, dtype=torch.float64)
        self.register_buffer("z", z, persistent=False)
        self.cutoffs = PairCutoffs(torch.from_numpy(config.cutoff_table()))
        self.coulomb: float = config.zbl_coulomb
        self.envelope_p: float = float(config.zbl_envelope_p)

    def forward(
        self, r: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """``r`` [C, K] Å, types [C] and [C, K] → energies of the centres [C], eV."""
        x = self.cutoffs.scaled(r, center_types, neighbor_types)
        z_center = self.z[center_types].unsqueeze(-1)
        z_neighbor = self.z[neighbor_types]
        energy = screened_repulsion(r, z_center, z_neighbor, self.coulomb)
        return (energy * polynomial_envelope(x, self.envelope_p)).sum(-1)


class PairCore(torch.nn.Module):
    """Sum of screened Coulomb terms A exp(-b r) / r, times the envelope of ``ZBL``.

    The rates b are the config's. The strengths A of each pair of elements are fitted to
    the training forces in closed form before a training (``training.core_fit``). Half
    of each pair's energy belongs to each ordered pair.

    Parameters
    ----------
    config : AllegroConfig
    """

    def __init__(self, config: AllegroConfig) -> None:
        super().__init__()
        rates = torch.tensor(config.core_rates, dtype=torch.float64)
        self.register_buffer("rates", rates, persistent=False)
        types = len(config.elements)
        strengths = torch.zeros((types, types, len(rates)), dtype=torch.float64)
        self.register_buffer("strengths", strengths)  # [T, T, K] eV Å
        self.cutoffs = PairCutoffs(torch.from_numpy(config.cutoff_table()))
        self.envelope_p: float = float(config.zbl_envelope_p)

    def forward(
        self, r: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """Same as ``ZBL.forward``."""
        x = self.cutoffs.scaled(r, center_types, neighbor_types)
        strengths = self.strengths[center_types.unsqueeze(-1), neighbor_types]
        decays = torch.exp(-r.unsqueeze(-1) * self.rates)  # [C, K, rates]
        energy = 0.5 * (strengths * decays).sum(-1) / r
        return (energy * polynomial_envelope(x, self.envelope_p)).sum(-1)


def make_terms(config: AllegroConfig) -> torch.nn.ModuleDict:
    """Terms that are added to the network's energy, by name.

    Each is called as ``ZBL.forward``, and the model file holds its weights, if it has
    any. The fused kernel is used where it has all terms
    (``kernels.inference.program.TERMS``).
    """
    terms = torch.nn.ModuleDict()
    if config.zbl:
        terms["zbl"] = ZBL(config)
    if config.core_rates:
        terms["core"] = PairCore(config)
    return terms


class AllegroEnergy(torch.nn.Module):
    """Energy of each atom: scale · Σ_j e_ij / sqrt(2 mean_neighbors) + shift + terms.

    Where the config has charges, ``charges`` makes those of the atoms, and the energy
    of their field is not in these energies.

    Parameters
    ----------
    config : AllegroConfig
    statistics : Statistics
        One entry per element of ``config``.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    ValueError
        If ``statistics`` is not of the length of ``config.elements``.

    Notes
    -----
    Built in float64. ``set_dtype`` changes the network alone: the energies of the
    elements are large (an all-electron oxygen atom has -2000 eV) and stay in float64.
    """

    # constants, so that a scripted energy has no code of charges that it lacks
    charged: torch.jit.Final[bool]
    learned: torch.jit.Final[bool]

    def __init__(
        self, config: AllegroConfig, statistics: Statistics, seed: int = 0
    ) -> None:
        super().__init__()
        statistics.check_elements(config.elements)
        neighbors = torch.tensor(statistics.mean_neighbors, dtype=torch.float64)
        scales = torch.tensor(statistics.scales, dtype=torch.float64)
        shifts = torch.tensor(statistics.shifts, dtype=torch.float64)
        self.network = Allegro(config, neighbors, seed)
        self.terms = make_terms(config)
        self.charged = config.is_charged
        self.learned = config.charges == "learned"
        self.charges = Charges(config, statistics) if config.is_charged else None
        factors = scales * (2.0 * neighbors).rsqrt()
        self.register_buffer("factors", factors, persistent=False)
        self.register_buffer("shifts", shifts, persistent=False)

    def set_dtype(self, dtype: torch.dtype) -> "AllegroEnergy":
        """Evaluate the network in ``dtype``; sums of energies stay in float64."""
        self.network.to(dtype)
        return self

    def with_terms(self, terms: torch.nn.ModuleDict) -> "AllegroEnergy":
        """Make an energy of the same network, not a copy of it, with other terms."""
        other = copy.copy(self)
        other._modules = {**self._modules, "terms": terms}
        other._buffers = dict(self._buffers)
        return other

    def forward(
        self, vectors: Tensor, center_types: Tensor, neighbor_types: Tensor
    ) -> Tensor:
        """Compute the energies of the centres.

        Parameters
        ----------
        vectors : Tensor [C, K, 3]
            From centre to neighbour, Å, in the network's dtype or in float64; a padding
            entry is longer than the cutoff.
        center_types : Tensor [C], int64
        neighbor_types : Tensor [C, K], int64

        Returns
        -------
        Tensor [C], float64, eV
        """
        shape = neighbor_types.shape
        return self.block_energies(
            vectors.flatten(0, 1),
            center_types,
            neighbor_types.flatten(),
            [(shape[0], shape[1])],
        )

    def block_energies(
        self,
        vectors: Tensor,
        center_types: Tensor,
        neighbor_types: Tensor,
        shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Do the same as ``forward`` for several blocks, see ``Allegro.forward``."""
        pairs = self.network(vectors, center_types, neighbor_types, shapes)
        if self.learned:
            pairs = pairs.unbind(-1)[0]
        return self._energies(pairs, vectors, center_types, neighbor_types, shapes)

    def block_outputs(
        self,
        vectors: Tensor,
        center_types: Tensor,
        neighbor_types: Tensor,
        shapes: list[tuple[int, int]],
    ) -> tuple[Tensor, Tensor]:
        """Compute energies and raw charges of the centres; as ``block_energies``.

        Returns
        -------
        energies : Tensor [ΣC], float64, eV
        charges : Tensor [ΣC], float64, e
            What the network adds to the charges of the elements, before atoms get the
            total charge of their frame (``charges.Charges``); zeros if not learned.
        """
        pairs = self.network(vectors, center_types, neighbor_types, shapes)
        charges = torch.zeros_like(center_types, dtype=torch.float64)
        if self.learned:
            parts = pairs.unbind(-1)
            pairs = parts[0]
            sums = torch.cat([q.sum(1) for q in as_blocks(parts[1], shapes)])
            charges = sums.to(torch.float64) * self.charges.factors[center_types]
        energies = self._energies(pairs, vectors, center_types, neighbor_types, shapes)
        return energies, charges

    def _energies(
        self,
        pairs: Tensor,
        vectors: Tensor,
        center_types: Tensor,
        neighbor_types: Tensor,
        shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Sum the energies of pairs [P], dimensionless, and of the terms: [ΣC], eV."""
        energies = torch.cat([e.sum(1) for e in as_blocks(pairs, shapes)])
        energies = energies.to(torch.float64)  # [ΣC]
        energies = energies * self.factors[center_types] + self.shifts[center_types]
        if len(self.terms) > 0:
            r = torch.linalg.vector_norm(
                vectors.to(torch.float64), dim=-1, keepdim=True
            )
            kinds = per_pair(center_types, shapes), neighbor_types.unsqueeze(-1)
            for term in self.terms.values():
                parts = as_blocks(term(r, kinds[0], kinds[1]), shapes)
                energies = energies + torch.cat([e.sum(1) for e in parts])
        return energies


def screened_repulsion(
    r: Tensor, z_center: Tensor, z_neighbor: Tensor, coulomb: float
) -> Tensor:
    """Half of the repulsion of pairs in eV, without the envelope; see ``ZBL``.

    Parameters
    ----------
    r : Tensor, Å
    z_center, z_neighbor : Tensor
        Atomic numbers, of shapes that broadcast with ``r``.
    coulomb : float
        e² / (4 π ε₀) in eV Å.
    """
    a = (z_center.pow(0.23) + z_neighbor.pow(0.23)) * r / 0.46850
    screening = (  # constants as those of ``screening``
        0.02817 * torch.exp(-0.20162 * a)
        + 0.28022 * torch.exp(-0.40290 * a)
        + 0.50986 * torch.exp(-0.94229 * a)
        + 0.18175 * torch.exp(-3.19980 * a)
    )
    return 0.5 * coulomb * z_center * z_neighbor / r * screening


def forces_from_pairs(
    gradient: Tensor, centers: Tensor, neighbors: Tensor, number_of_atoms: int
) -> Tensor:
    """Sum forces from the derivative of the energy by each pair vector.

    Parameters
    ----------
    gradient : Tensor [C, K, 3]
        dE/d(r_neighbor - r_center), eV/Å; zero for padding.
    centers : Tensor [C], int64
    neighbors : Tensor [C, K], int64
    number_of_atoms : int

    Returns
    -------
    Tensor [number_of_atoms, 3], eV/Å
    """
    forces = torch.zeros(
        (number_of_atoms, 3), dtype=gradient.dtype, device=gradient.device
    )
    forces = forces.index_add(0, centers, gradient.sum(1))
    # On the CPU, scatter_add with an expanded index is parallel and index_add is not.
    index = neighbors.reshape(-1, 1).expand(-1, 3)
    return forces.scatter_add(0, index, -gradient.reshape(-1, 3))


def virial_from_pairs(gradient: Tensor, vectors: Tensor) -> Tensor:
    """Sum dE/d(strain) [3, 3] in eV: r ⊗ dE/dr over pairs, made symmetric.

    Divided by the volume it is the stress (ASE's sign: tension is positive);
    its negative is the virial. Thompson et al., doi:10.1063/1.3245303.

    Parameters
    ----------
    gradient, vectors : Tensor [C, K, 3]
    """
    strain = torch.matmul(vectors.reshape(-1, 3).t(), gradient.reshape(-1, 3))
    return 0.5 * (strain + strain.t())
