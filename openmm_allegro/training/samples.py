# SPDX-License-Identifier: MIT
"""Make batches of blocks of centres from reference structures."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..model import AllegroConfig
from ..model.contacts import check_contacts
from ..model.elements import element_types
from ..neighbors import LARGEST_BLOCK, PADDING, PairList, center_blocks
from ..structure import Structure, has_volume
from ..utils.reasons import reason_of
from .electrostatics import Electrostatics, electrostatics_of, join_electrostatics

log = logging.getLogger(__name__)

# Arguments of center_blocks for less padding than by its defaults, since the network
# takes several of these blocks at once.
FILL = {"smallest_fill": 0.75, "smallest_block": 4}
# The network of a training on a CPU takes all blocks in one operation.
FINE_FILL = {"smallest_fill": 0.88, "smallest_block": 4}

Block = tuple[Tensor, Tensor, Tensor]  # centres, neighbours, vectors


class Sample(NamedTuple):
    """A structure ready for the network. P pairs, N atoms."""

    types: Tensor  # [N] int64, index into AllegroConfig.elements
    centers: Tensor  # [P] int64, ascending
    neighbors: Tensor  # [P] int64
    vectors: Tensor  # [P, 3] Å, from centre to neighbour
    energy: float | None  # eV
    forces: Tensor | None  # [N, 3] eV/Å
    stress: Tensor | None  # [3, 3] eV/Å³
    volume: float  # Å³, 0 where there is no stress
    weights: tuple[float, float, float]  # of energy, forces and stress in the loss
    force_weights: Tensor  # [N, 1] that of forces, times those of the elements
    electrostatics: Electrostatics | None = None  # None of a model without charges

    @property
    def is_isolated(self) -> bool:
        """True of one atom without an image within the cutoff."""
        return len(self.types) == 1 and len(self.centers) == 0


class Batch(NamedTuple):
    """Samples joined to one set of N atoms in B frames."""

    types: Tensor  # [N] int64
    frames: Tensor  # [N] int64, the frame of each atom
    sizes: Tensor  # [B] number of atoms
    blocks: list[Block]  # as center_blocks
    energies: Tensor  # [B] float64, eV; NaN where unknown
    forces: Tensor  # [N, 3] eV/Å; NaN where unknown
    stresses: Tensor  # [B, 3, 3] eV/Å³; NaN where unknown
    volumes: Tensor  # [B] Å³, 0 where there is no stress
    energy_weights: Tensor  # [B] float64, in the loss
    force_weights: Tensor  # [N, 1]
    stress_weights: Tensor  # [B, 1, 1]
    electrostatics: Electrostatics | None = None


def make_samples(
    structures: Sequence[Structure],
    config: AllegroConfig,
    dtype: torch.dtype = torch.float32,
    element_weights: Mapping[str, float] | None = None,
) -> list[Sample]:
    """Find the pairs of each structure, once for all epochs.

    Stresses that there cannot be, see ``Structure.known_stress``, are left out, and
    their number is logged. So is that of structures with forces, where some have none.

    Parameters
    ----------
    structures : sequence of Structure
    config : AllegroConfig
        Elements and cutoffs.
    dtype : torch.dtype
        Of vectors, forces and stresses.
    element_weights : mapping, optional
        Factors of the errors of forces by element; 1 without.

    Raises
    ------
    ValueError
        If a structure has an element that the config does not name, two atoms at one
        position, lengths in another unit, or a box that is none; if it is periodic in
        some directions only, and the model has charges; or if the weights name another
        element.
    """
    table = torch.from_numpy(config.cutoff_table())
    factors = _element_factors(config, element_weights or {}).to(dtype)
    pairs = PairList(config.cutoff)
    samples = []
    for index, structure in enumerate(structures):
        where = structure.source or f"structure {index}"
        types = torch.from_numpy(
            element_types(structure.symbols, config.elements, where)
        )
        cell = torch.tensor(structure.cell)
        periodic = torch.tensor(structure.periodic)
        try:
            centers, neighbors, vectors = pairs(
                torch.tensor(structure.positions), cell, periodic
            )
        except RuntimeError as error:
            raise ValueError(f"{where}: {reason_of(error)}") from error
        pair_arrays = (values.numpy() for values in (centers, neighbors, vectors))
        check_contacts(structure.symbols, *pair_arrays, where)
        near = vectors.square().sum(-1) < table[types[centers], types[neighbors]] ** 2
        stress = structure.known_stress()
        has_stress = periodic.any() and has_volume(structure.cell)
        samples.append(
            Sample(
                types=types,
                centers=centers[near],
                neighbors=neighbors[near],
                vectors=vectors[near].to(dtype),
                energy=structure.energy,
                forces=_tensor(structure.forces, dtype),
                stress=_tensor(stress, dtype),
                volume=structure.volume if has_stress else 0.0,
                weights=structure.weights,
                force_weights=structure.weights[1] * factors[types][:, None],
                electrostatics=electrostatics_of(structure, where)
                if config.is_charged
                else None,
            )
        )
    _report_forces(samples)
    _report_stresses(structures, samples)
    return samples


def collate(
    samples: Sequence[Sample], config: AllegroConfig, fill: Mapping[str, Any] = FILL
) -> Batch:
    """Join samples to one batch.

    Parameters
    ----------
    samples : sequence of Sample
    config : AllegroConfig
    fill : mapping
        Arguments of ``center_blocks``.
    """
    sizes = [len(s.types) for s in samples]
    offsets = np.cumsum([0, *sizes[:-1]]).tolist()
    vectors = torch.cat([s.vectors for s in samples])
    blocks = center_blocks(
        torch.cat([s.centers + o for s, o in zip(samples, offsets, strict=True)]),
        torch.cat([s.neighbors + o for s, o in zip(samples, offsets, strict=True)]),
        vectors,
        sum(sizes),
        PADDING * config.cutoff,
        LARGEST_BLOCK,
        **fill,
    )
    return Batch(
        frames=torch.repeat_interleave(torch.tensor(sizes)),
        blocks=blocks,
        **join_fields(samples),
    )


def join_fields(samples: Sequence[Sample]) -> dict[str, Any]:
    """Join all of samples but pairs and numbers of frames, as in ``Batch``."""
    nan, dtype = float("nan"), samples[0].vectors.dtype
    sizes = [len(s.types) for s in samples]
    energies = [nan if s.energy is None else s.energy for s in samples]
    forces = [
        torch.full((n, 3), nan, dtype=dtype) if s.forces is None else s.forces
        for s, n in zip(samples, sizes, strict=True)
    ]
    unknown = torch.full((3, 3), nan, dtype=dtype)
    weights = torch.tensor([s.weights for s in samples], dtype=torch.float64)
    counts = torch.tensor(sizes)
    return {
        "types": torch.cat([s.types for s in samples]),
        "sizes": counts,
        "energies": torch.tensor(energies, dtype=torch.float64),
        "forces": torch.cat(forces),
        "stresses": torch.stack(
            [unknown if s.stress is None else s.stress for s in samples]
        ),
        "volumes": torch.tensor([s.volume for s in samples], dtype=dtype),
        "energy_weights": weights[:, 0],
        "force_weights": torch.cat([s.force_weights for s in samples]),
        "stress_weights": weights[:, 2].to(dtype)[:, None, None],
        "electrostatics": join_electrostatics([s.electrostatics for s in samples]),
    }


def _element_factors(config: AllegroConfig, weights: Mapping[str, float]) -> Tensor:
    unknown = [element for element in weights if element not in config.elements]
    if unknown:
        raise ValueError(
            f"training: expected element_weights of the model's elements "
            f"{', '.join(config.elements)}, found {', '.join(unknown)}"
        )
    return torch.tensor([float(weights.get(e, 1.0)) for e in config.elements])


def _report_forces(samples: Sequence[Sample]) -> None:
    """Log how many structures have forces, where some have none."""
    counted = [s for s in samples if not s.is_isolated]
    labelled = sum(s.forces is not None for s in counted)
    if 0 < labelled < len(counted):
        log.warning(
            "%d of %d structures have forces; the others count for the rest of their "
            "labels",
            labelled,
            len(counted),
        )


def _report_stresses(
    structures: Sequence[Structure], samples: Sequence[Sample]
) -> None:
    """Log how many structures have a stress, where some have none."""
    pairs = zip(structures, samples, strict=True)
    counted = [(a, b) for a, b in pairs if not b.is_isolated]
    left_out = sum(a.stress is not None and b.stress is None for a, b in counted)
    if left_out:
        log.warning(
            "stresses of %d of %d structures are left out: without periodic directions "
            "along x, y or z and a volume there is none",
            left_out,
            len(counted),
        )
    labelled = sum(sample.stress is not None for _, sample in counted)
    if 0 < labelled < len(counted):
        log.warning(
            "%d of %d structures have a stress; the others count for the rest of their "
            "labels",
            labelled,
            len(counted),
        )


def _tensor(array: np.ndarray | None, dtype: torch.dtype) -> Tensor | None:
    return None if array is None else torch.tensor(array, dtype=dtype)
