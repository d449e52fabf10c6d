# SPDX-License-Identifier: MIT
"""Small models, random structures and one way to evaluate them, for all tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openmm_allegro import Model, load_model
from openmm_allegro.model import AllegroConfig, Statistics
from openmm_allegro.structure import Structure

# Without it there are stored models, and what is made of numpy's arrays.
HAS_TORCH = find_spec("torch") is not None
if HAS_TORCH:
    import torch
    from torch import Tensor

    from openmm_allegro.model import AllegroEnergy, forces_from_pairs, virial_from_pairs
    from openmm_allegro.neighbors import PairList, center_blocks

STORED = Path(__file__).parent / "data" / "models"
ELEMENTS = ("H", "O", "Na")
CUTOFF = 3.0

# Å, for CUTOFF: boxes above two cutoffs, under two and under one
CELLS = {
    "large": np.diag([6.3, 6.6, 7.0]),
    "orthorhombic": np.diag([4.6, 5.0, 5.7]),
    "triclinic": np.array([[5.2, 0.0, 0.0], [1.6, 4.9, 0.0], [-1.3, 1.9, 5.1]]),
    "slab": np.array([[4.8, 0.0, 0.0], [-1.1, 5.2, 0.0], [0.0, 0.0, 6.0]]),
    "tiny": np.diag([2.4, 2.6, 2.8]),
    "tiny triclinic": np.array([[2.6, 0.0, 0.0], [0.9, 2.5, 0.0], [-0.7, 1.0, 2.7]]),
    "isolated": np.zeros((3, 3)),
}

# Odd features and both element terms, so that a test sees all of the model.
FULL = {
    "num_layers": 3,
    "zbl": True,
    "pair_cutoffs": {"H-O": 2.4, "Na-Na": 2.7},
}

# Charges that training would start with, of no neutral set of atoms.
CHARGED = {"charges": "learned", "charge_start": {"H": 0.3, "O": -0.7, "Na": 0.9}}


class Atoms(NamedTuple):
    """Input of ``evaluate_structure``; float64, Å."""

    positions: Tensor  # [N, 3]
    cell: Tensor  # [3, 3]
    periodic: Tensor  # [3] bool
    types: Tensor  # [N] int64


class Evaluation(NamedTuple):
    """Per atom energies [N] (eV), forces [N, 3] (eV/Å), dE/d(strain) [3, 3] (eV)."""

    energies: Tensor
    forces: Tensor
    strain: Tensor


def tiny_config(**overrides) -> AllegroConfig:
    """A network that is built and evaluated in milliseconds."""
    small = {
        "elements": ELEMENTS,
        "cutoff": CUTOFF,
        "l_max": 2,
        "num_layers": 2,
        "num_scalar_features": 6,
        "num_tensor_features": 3,
        "num_bessels": 4,
        "two_body_width": 7,
        "latent_width": 9,
        "readout_width": 5,
    }
    return AllegroConfig(**small | overrides)


def tiny_statistics(config: AllegroConfig) -> Statistics:
    """Different for each element, so that a mixed-up index shows."""
    count = len(config.elements)
    return Statistics(
        mean_neighbors=[5.0 + 1.5 * i for i in range(count)],
        scales=[0.7 + 0.4 * i for i in range(count)],
        shifts=[-1.25 * (i + 1) for i in range(count)],
    )


def tiny_energy(config: AllegroConfig | None = None, seed: int = 0) -> AllegroEnergy:
    """Untrained model with a random core; trainable roots are moved off integers."""
    config = config or tiny_config()
    energy = AllegroEnergy(config, tiny_statistics(config), seed)
    if config.bessel_trainable:
        with torch.no_grad():
            energy.network.embedding.roots.mul_(1.07).add_(0.13)
    if config.core_rates:
        strengths = energy.terms["core"].strengths
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(strengths.shape, generator=generator, dtype=torch.float64)
        strengths.copy_(20.0 * (values + values.transpose(0, 1)))
    return energy


def water_model(seed: int = 5) -> Model:
    """H and O, cutoffs that depend on the ordered pair, two layers, l_max 2."""
    if not HAS_TORCH:
        return load_model(STORED / f"water{seed}.safetensors")
    config = AllegroConfig(
        ("H", "O"),
        3.5,
        pair_cutoffs={"H-H": 2.5, "H-O": 3.0},
        num_scalar_features=8,
        num_tensor_features=4,
        two_body_width=8,
        latent_width=8,
        readout_width=4,
    )
    statistics = Statistics((6.0, 12.0), (0.8, 0.8), (-13.0, -400.0))
    energy = AllegroEnergy(config, statistics, seed=seed)
    return Model(config, statistics, energy, "total", "float64")


def random_atoms(kind: str, seed: int = 0, count: int | None = None) -> Atoms:
    """Random atoms no closer than 1.1 Å in one of ``CELLS``.

    Parameters
    ----------
    kind : str
        A key of ``CELLS``. A slab is not periodic along z.
    seed : int
    count : int, optional
        Number of atoms; 3 in a tiny cell, 10 elsewhere.
    """
    generator = np.random.default_rng(seed)
    cell = CELLS[kind]
    if count is None:
        count = 3 if "tiny" in kind else 10
    isolated = kind == "isolated"
    box = np.diag([4.5, 4.5, 4.5]) if isolated else cell
    periodic = np.array([not isolated, not isolated, not isolated and kind != "slab"])
    grid = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)
    images = grid[(periodic | (grid == 0)).all(1)] @ box
    positions = np.empty((0, 3))
    while len(positions) < count:
        trial = generator.random(3) @ box
        distances = np.linalg.norm(
            positions[:, None] + images[None] - trial, axis=-1
        ).ravel()
        if (distances > 1.1).all():
            positions = np.vstack((positions, trial))
    types = generator.permutation(np.arange(count) % len(ELEMENTS))
    return Atoms(*(torch.tensor(x) for x in (positions, cell, periodic, types)))


def as_structure(atoms: Atoms, elements: tuple[str, ...] = ELEMENTS) -> Structure:
    """The same atoms for the parts of the package that take a Structure."""
    return Structure(
        symbols=tuple(elements[t] for t in atoms.types.tolist()),
        positions=atoms.positions.numpy(),
        cell=atoms.cell.numpy(),
        periodic=atoms.periodic.numpy(),
    )


def evaluate_structure(
    energy: torch.nn.Module,
    config: AllegroConfig,
    positions: Tensor,
    cell: Tensor,
    periodic: Tensor,
    types: Tensor,
    *,
    largest_block: int = 8192,
    dtype: torch.dtype | None = None,
) -> Evaluation:
    """Energies of the atoms, forces and strain derivative through pairs and blocks.

    ``dtype`` is that of the network, by default float64; pairs beyond their own cutoff
    but within ``config.cutoff`` are left in.
    """
    centers, neighbors, vectors = PairList(config.cutoff)(positions, cell, periodic)
    count = len(types)
    energies = torch.full((count,), torch.nan, dtype=torch.float64)
    forces = torch.zeros(count, 3, dtype=torch.float64)
    strain = torch.zeros(3, 3, dtype=torch.float64)
    blocks = center_blocks(
        centers,
        neighbors,
        vectors.to(dtype or torch.float64),
        count,
        1.5 * config.cutoff,
        largest_block,
    )
    for atoms, others, r in blocks:
        r = r.detach().requires_grad_(True)
        of_atoms = energy(r, types[atoms], types[others])
        (gradient,) = torch.autograd.grad(of_atoms.sum(), r)
        gradient, r = gradient.double(), r.detach().double()
        energies[atoms] = of_atoms.detach()
        forces += forces_from_pairs(gradient, atoms, others, count)
        strain += virial_from_pairs(gradient, r)
    return Evaluation(energies, forces, strain)


def random_rotation(seed: int = 0) -> Tensor:
    """Proper rotation [3, 3], float64, uniform over all."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(a)
    q = q * r.diagonal().sign()
    return q * torch.linalg.det(q).sign()


def float64(values) -> Tensor:
    """Tensor of the values in float64."""
    return torch.tensor(values, dtype=torch.float64)


def close(a: Tensor, b: Tensor, rtol: float = 1e-10, atol: float = 1e-10) -> None:
    """Assert that two tensors agree, by default to rounding in float64."""
    torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


def sibling(model, seed, **changes):
    """A model of the same elements, with other weights and, if asked, settings."""
    config = tiny_config(elements=model.config.elements, **changes)
    energy = AllegroEnergy(config, model.statistics, seed)
    return Model(config, model.statistics, energy, model.kind, "float64")


def random_ase(kind, calculator=None, seed=0, count=None):
    """The atoms of ``random_atoms`` for ASE, with a calculator."""
    from ase import Atoms as AseAtoms

    structure = as_structure(random_atoms(kind, seed, count))
    atoms = AseAtoms(
        structure.symbols,
        structure.positions,
        cell=structure.cell,
        pbc=structure.periodic,
    )
    atoms.calc = calculator
    return atoms
