# SPDX-License-Identifier: MIT
"""Report charges for ``evaluate``: of elements, of molecules, and of polarised frames.

A frame whose charges have a long wave is polarised, and has an electric field that no
local model sees.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..topology.elements import covalent_radii
from .frames import formula
from .predict import Prediction
from .samples import Batch, Sample

# Arrays of models with charges that a committee has the means of.
CHARGE_PREDICTIONS = ("atom_charge_prediction", "dipole_prediction", "waves")
# Sums of covalent radii up to which two atoms are bonded.
BONDED = 1.2
# Elements that form ions, not molecules: their radii reach the water around them.
_ALONE = frozenset("Li Na K Rb Cs Be Mg Ca Sr Ba Zn F Cl Br I".split())
_MOST_KINDS = 6


def charge_arrays(
    batches: Sequence[Batch], predictions: Sequence[Prediction]
) -> dict[str, np.ndarray]:
    """Charges and dipoles of predictions and labels; none of a model without charges.

    ``atom_charge_…`` (e) have an entry for each atom, ``dipole_…`` (e Å) one for each
    frame; NaN where unknown. ``waves`` [B, 3] are those of ``longest_waves``.
    """
    if predictions[0].charges is None:
        return {}
    known = [batch.electrostatics for batch in batches]

    def joined(values: list[torch.Tensor]) -> np.ndarray:
        return torch.cat([v.detach().cpu().double() for v in values]).numpy()

    labels = joined([k.dipoles for k in known])
    dipoles = joined([p.dipoles for p in predictions])
    return {
        "atom_charge_reference": joined([k.charges for k in known]),
        "atom_charge_prediction": joined([p.charges for p in predictions]),
        "dipole_reference": labels,
        "dipole_prediction": np.where(np.isfinite(labels), dipoles, np.nan),
        "waves": joined([*map(longest_waves, batches, predictions)]),
    }


def longest_waves(batch: Batch, prediction: Prediction) -> torch.Tensor:
    """Longest wave |Σ q exp(i k·r)| (e) along each reciprocal vector of a box [B, 3].

    NaN of frames without images. A dipole moment M of the box along k gives about
    k·M; charges at random places, sqrt(Σ q²).
    """
    known = batch.electrostatics
    periodic = known.cells.flatten(1).any(1)
    unit = torch.eye(3, dtype=known.cells.dtype, device=known.cells.device)
    cells = torch.where(periodic[:, None, None], known.cells, unit)
    # rows of the inverse's transpose are reciprocal vectors over 2π
    reciprocal = 2 * torch.pi * torch.linalg.inv(cells).transpose(1, 2)
    vectors = reciprocal[batch.frames]  # [N, 3, 3]
    phases = torch.einsum("nkx,nx->nk", vectors, known.positions)
    charges = prediction.charges.detach()[:, None]
    zeros = charges.new_zeros((len(batch.sizes), 3))
    real = zeros.index_add(0, batch.frames, charges * torch.cos(phases))
    imaginary = zeros.index_add(0, batch.frames, charges * torch.sin(phases))
    waves = (real.square() + imaginary.square()).sqrt()
    return waves.masked_fill(~periodic[:, None], torch.nan)


def molecule_charges(
    samples: Sequence[Sample], charges: np.ndarray, elements: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Charges of bonded molecules and of single atoms, by formula.

    Atoms are bonded within 1.2 times the sum of their covalent radii; halogens and
    alkaline metals are not, so that ions stay apart.

    Parameters
    ----------
    samples : sequence of Sample
    charges : ndarray [N], e
        Of the atoms of all samples.
    elements : sequence of str

    Returns
    -------
    dict
        ``count``, ``mean`` and ``deviation`` of the charges (e) of the commonest kinds.
    """
    radii = np.array(covalent_radii(elements))
    alone = np.array([element in _ALONE for element in elements])
    found: dict[str, list[float]] = defaultdict(list)
    begin = 0
    for sample in samples:
        types, count = sample.types.numpy(), len(sample.types)
        first, second = sample.centers.numpy(), sample.neighbors.numpy()
        r = sample.vectors.double().norm(dim=-1).numpy()
        bonded = r < BONDED * (radii[types[first]] + radii[types[second]])
        bonded &= ~(alone[types[first]] | alone[types[second]])
        ones = np.ones(np.count_nonzero(bonded))
        graph = coo_array((ones, (first[bonded], second[bonded])), (count, count))
        number, labels = connected_components(graph, directed=False)
        sums = np.bincount(labels, charges[begin : begin + count], minlength=number)
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=number))[:-1]
        for atoms, charge in zip(np.split(order, ends), sums, strict=True):
            found[formula([elements[t] for t in types[atoms]])].append(float(charge))
        begin += count
    counts = Counter({name: len(values) for name, values in found.items()})
    return {
        name: {
            "count": count,
            "mean": float(np.mean(found[name])),
            "deviation": float(np.std(found[name])),
        }
        for name, count in counts.most_common(_MOST_KINDS)
    }
