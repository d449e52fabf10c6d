# SPDX-License-Identifier: MIT
"""Static structure factors: partial, and as X-rays and neutrons see them."""

from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import periodictable

from ...units import NM_TO_ANGSTROM
from ..defaults import BLOCKS
from ..frames import cell_vectors, chunked, stretch_sums
from ..statistics import (
    ENOUGH,
    Estimate,
    few_factor,
    holds_few,
    independent_values,
    jackknife,
    sum_blocks,
)
from .waves import density_waves, wave_indices, wave_lengths


class StructureFactor(NamedTuple):
    """Structure factors of a trajectory.

    Attributes
    ----------
    q : (n_bins,) array
        Mean length of the wave vectors of each bin in 1/nm.
    partial : dict of str to Estimate
        For each pair of elements, ``"Cl-Na"``, the Faber-Ziman partial, 1 at large q.
    number, xray, neutron : Estimate
        Totals of atoms of equal weight, of X-ray form factors and of neutron scattering
        lengths, 1 + Σ x_a x_b w_a w_b (S_ab - 1) / norm.
    independent : float
        Independent values over time of `number` where it is highest; fewer than 20
        widen all errors.
    few : bool
        Whether they are fewer.
    """

    q: np.ndarray
    partial: dict
    number: Estimate
    xray: Estimate
    neutron: Estimate
    independent: float = np.nan
    few: bool = False


def structure_factor(
    source,
    q_max,
    *,
    bin_width=1.0,
    vectors_per_bin=100,
    isotopes=None,
    norm="mean square",
    seed=0,
    n_blocks=BLOCKS,
):
    r"""Structure factors from the density waves that the cell allows.

    .. math::
        S_{ab}(q) = 1 + \frac{1}{x_a x_b} \left[ \frac{1}{N} \left\langle
        \rho_a(\mathbf q) \rho_b(-\mathbf q) \right\rangle - x_a \delta_{ab} \right],
        \qquad \rho_a(\mathbf q) = \sum_{j \in a} e^{i \mathbf q \cdot \mathbf r_j}

    (Faber and Ziman, Philos. Mag. 11, 153, 1965, doi:10.1080/14786436508211931). X-ray
    form factors are those of Waasmaier and Kirfel (doi:10.1107/S0108767394013292), of
    neutral atoms, and neutron lengths the coherent ones of natural elements, both from
    periodictable. Wave vectors are 2π times integer combinations of the reciprocal cell
    of each frame.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, orthorhombic or triclinic, or a stream of chunks.
    q_max : float
        Largest wave vector in 1/nm.
    bin_width : float, optional
        Width of the bins in 1/nm. Bins without a wave vector are left out.
    vectors_per_bin : int, optional
        Wave vectors used of a bin that has more, chosen at random with `seed`.
    isotopes : dict of str to int, optional
        Mass numbers for neutrons, as ``{"H": 2}`` for deuterium.
    norm : {"mean square", "squared mean"}, optional
        Of the totals: Σ x_a w_a², or (Σ x_a w_a)², as Faber and Ziman. The second is
        near zero for neutrons where lengths of both signs cancel, as in H₂O.
    seed : int, optional
    n_blocks : int, optional
        Blocks of frames that the errors come from.

    Returns
    -------
    StructureFactor
    """
    if norm not in ("squared mean", "mean square"):
        raise ValueError(
            f"expected a norm of 'squared mean' or 'mean square', found {norm!r}"
        )
    if not 0 < bin_width < q_max:
        raise ValueError(
            "expected bins (--bin-width, bin_width) wider than 0 and narrower than the "
            f"largest q (--q-max, q_max), found {bin_width:.6g} and {q_max:.6g} 1/nm"
        )
    first, chunks = chunked(source)
    symbols = np.array([atom.element.symbol for atom in first.topology.atoms])
    elements = _find_elements(symbols)
    n_bins = int(np.ceil(q_max / bin_width * (1 - 1e-9)))
    indices = wave_indices(
        cell_vectors(first)[0], q_max, bin_width, n_bins, vectors_per_bin, seed
    )
    products, lengths, terms = _sum_waves(chunks, elements, indices, bin_width, n_bins)
    every, numbers = products, terms
    products, lengths, terms = (
        sum_blocks(x, n_blocks) for x in (products, lengths, terms)
    )
    used = terms.sum(axis=0) > 0
    q = lengths.sum(axis=0)[used] / terms.sum(axis=0)[used]
    sums = products[..., used] / len(symbols), terms[:, None, used]
    scattering = np.array([_length(name, isotopes) for name in elements.names])
    ones = np.ones((len(elements.names), len(q)))
    number = _total(sums, elements, ones, norm)
    top = np.flatnonzero(used)[np.argmax(number.value)]
    # Like the total of the densities at the highest point, over its mean.
    there = numbers[:, top] > 0
    series = (
        every[there][..., top] @ _multiplicity(elements.pairs) / numbers[there, top]
    )
    few = len(series) >= ENOUGH and holds_few(series)
    factor = few_factor(series) if few else 1.0

    def wide(estimate):
        return Estimate(estimate.value, factor * estimate.error)

    forms = np.array([_form_factor(x, q) for x in elements.names])
    neutron = _total(sums, elements, scattering[:, None] * ones, norm)
    return StructureFactor(
        q=q,
        partial={name: wide(x) for name, x in _partial(sums, elements).items()},
        number=wide(number),
        xray=wide(_total(sums, elements, forms, norm)),
        neutron=wide(neutron),
        independent=independent_values(series),
        few=few,
    )


class _Elements(NamedTuple):
    """Elements of a system, sorted by name.

    Attributes
    ----------
    names : list of str
    atoms : list of (n,) arrays of int
    parts : (n_elements,) array
        Of all atoms.
    pairs : list of (int, int)
        Indices of elements.
    """

    names: list
    atoms: list
    parts: np.ndarray
    pairs: list


def _find_elements(symbols):
    """Sort atoms by element."""
    names = sorted(set(symbols))
    atoms = [np.flatnonzero(symbols == name) for name in names]
    parts = np.array([len(some) for some in atoms]) / len(symbols)
    pairs = list(combinations_with_replacement(range(len(names)), 2))
    return _Elements(names, atoms, parts, pairs)


def _sum_waves(chunks, elements, indices, bin_width, n_bins):
    """Sums of products of waves, lengths and numbers, (n_stretches, ..., n_bins)."""
    return stretch_sums(
        [
            _of_frame(xyz, cell, indices, elements, bin_width, n_bins)
            for xyz, cell in zip(chunk.xyz, cell_vectors(chunk), strict=True)
        ]
        for chunk in chunks
    )


def _partial(sums, elements):
    """Partial structure factors, Estimates by pair of elements, from block sums."""
    partial = jackknife(lambda total, n: _faber_ziman(total / n, elements), *sums)
    return {
        f"{elements.names[a]}-{elements.names[b]}": Estimate(*(x[i] for x in partial))
        for i, (a, b) in enumerate(elements.pairs)
    }


def _total(sums, elements, weights, norm):
    """Structure factor of weights (n_elements, n_bins), an Estimate."""
    parts = elements.parts[:, None]
    scale = np.sum(parts * weights, axis=0) ** 2
    if norm == "mean square":
        scale = np.sum(parts * weights**2, axis=0)

    def estimate(total, n):
        partial = _faber_ziman(total / n, elements)
        return 1 + _weigh(partial - 1, elements.pairs, parts * weights) / scale

    return jackknife(estimate, *sums)


def _of_frame(positions, cell, indices, elements, bin_width, n_bins):
    """Sums over wave vectors per bin: products of densities, lengths, numbers."""
    inverse = np.linalg.inv(cell)
    lengths = wave_lengths(indices, inverse)
    bins = np.minimum((lengths / bin_width).astype(int), n_bins)
    densities = density_waves(
        np.asarray(positions, dtype=float) @ inverse, indices, elements.atoms
    )
    products = np.empty((len(elements.pairs), n_bins))
    for i, (a, b) in enumerate(elements.pairs):
        product = (densities[a] * np.conj(densities[b])).real
        products[i] = np.bincount(bins, product, minlength=n_bins + 1)[:n_bins]
    total = np.bincount(bins, lengths, minlength=n_bins + 1)[:n_bins]
    return products, total, np.bincount(bins, minlength=n_bins + 1)[:n_bins]


def _faber_ziman(products, elements):
    """Partials (n_pairs, n_bins) from products of densities over N."""
    pairs, parts = elements.pairs, elements.parts
    own = np.array([parts[a] if a == b else 0.0 for a, b in pairs])
    scale = np.array([parts[a] * parts[b] for a, b in pairs])
    return 1 + (products - own[:, None]) / scale[:, None]


def _weigh(partial, pairs, weights):
    """Sum of partials (n_pairs, n_bins) by weights (n_elements, n_bins)."""
    products = np.array([weights[a] * weights[b] for a, b in pairs])
    return np.sum(_multiplicity(pairs)[:, None] * products * partial, axis=0)


def _multiplicity(pairs):
    """How often each pair of elements (n_pairs,) counts in a total."""
    return np.array([1 if a == b else 2 for a, b in pairs])


def _form_factor(symbol, q):
    """X-ray form factor (n,) of a neutral atom in electrons."""
    return periodictable.elements.symbol(symbol).xray.f0(q / NM_TO_ANGSTROM)


def _length(symbol, isotopes):
    """Coherent scattering length for neutrons in fm."""
    element = periodictable.elements.symbol(symbol)
    if isotopes and symbol in isotopes:
        number = isotopes[symbol]
        if number not in element.isotopes or element[number].neutron.b_c is None:
            known = [n for n in element.isotopes if element[n].neutron.b_c is not None]
            raise ValueError(
                f"expected isotopes of {symbol} among {', '.join(map(str, known))}, "
                f"found {symbol}={number}"
            )
        element = element[number]
    return element.neutron.b_c
