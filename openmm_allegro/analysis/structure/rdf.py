# SPDX-License-Identifier: MIT
"""Radial distribution functions and coordination numbers of periodic trajectories."""

from typing import NamedTuple

import mdtraj
import numpy as np

from ...utils.config import SettingError
from ..defaults import BIN_WIDTH, BLOCKS
from ..frames import (
    STRETCHES,
    cell_vectors,
    cell_volumes,
    check_radius,
    chunked,
    largest_radius,
    select_atoms,
    stretch_starts,
)
from ..statistics import jackknife, sum_blocks
from .pairs import count_pairs

# Stretches of a chunk, where there are no more than so many chunks: of a short run they
# show whether its structure changes slowly.
_FINE, _FEW_CHUNKS = 50, 4


class RDF(NamedTuple):
    """Radial distribution function; unpacks as ``r, g``.

    Attributes
    ----------
    r : (n_bins,) array
        Bin centres in nm.
    g : (n_bins,) array
        g(r), dimensionless.
    """

    r: np.ndarray
    g: np.ndarray


class RadialDistribution(NamedTuple):
    """Radial distribution function and running coordination number with errors.

    Errors are half-widths of 68 % intervals, see `statistics.jackknife`.

    Attributes
    ----------
    r : (n_bins,) array
        Bin centres in nm.
    g, g_error : (n_bins,) arrays
        g(r), dimensionless.
    number, number_error : (n_bins,) arrays
        Mean number of atoms b closer to an atom a than the outer edge of the bin, half
        a bin beyond `r`.
    """

    r: np.ndarray
    g: np.ndarray
    g_error: np.ndarray
    number: np.ndarray
    number_error: np.ndarray


def rdf(
    trajectory,
    selection_a,
    selection_b,
    *,
    r_max=None,
    bin_width=BIN_WIDTH,
    chunk_frames=100,
):
    r"""Radial distribution function of atoms b around atoms a.

    .. math:: g(r) = \frac{\sum_f n_f(r)}{N_{ab} v(r) \sum_f 1 / V_f}

    with n_f(r) the pairs of frame f in the bin, v(r) the volume of the spherical
    shell, N_ab the number of pairs and V_f the volume of each frame, so that a
    changing cell (NPT) is normalised frame by frame, as mdtraj, GROMACS and cpptraj do.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        Frames with a unit cell, orthorhombic or triclinic; or a stream of chunks, as
        ``mdtraj.iterload`` gives, for what does not fit into memory.
    selection_a, selection_b : str or (n,) array of int
        Atoms, as an mdtraj selection such as ``"element O"`` or
        ``"element Na or element Cl"``, or as indices. An atom is never paired with
        itself.
    r_max : float, optional
        Largest distance in nm. Default and upper limit: half the smallest
        perpendicular width of the cell over all frames, beyond which the minimum image
        misses neighbours. A stream needs it.
    bin_width : float, optional
        Width of the bins in nm; it is adjusted so that a whole number fills `r_max`.
    chunk_frames : int, optional
        Frames handled at a time. Pairs are split too, so memory stays near 100 MB.

    Returns
    -------
    RDF
        Named tuple ``(r, g)``, r in nm. `radial_distributions` gives errors too.

    Examples
    --------
    >>> import mdtraj
    >>> from openmm_allegro.analysis import rdf
    >>> trajectory = mdtraj.load("npt.xtc", top="npt.pdb")  # doctest: +SKIP
    >>> r, g = rdf(trajectory, "element Li", "element O", r_max=0.8)  # doctest: +SKIP
    """
    (counted,) = histograms(
        trajectory, [(selection_a, selection_b)], r_max, bin_width, chunk_frames
    )
    centers = 0.5 * (counted.edges[1:] + counted.edges[:-1])
    return RDF(centers, counted.counts.sum(axis=0) / counted.ideal.sum(axis=0))


def radial_distributions(
    source, pairs, *, r_max=None, bin_width=BIN_WIDTH, n_blocks=BLOCKS, chunk_frames=100
):
    """g(r) and running coordination numbers of several pairs, with errors, in one pass.

    Normalised as in `rdf`. Errors are those of `n_blocks` stretches of the trajectory,
    which must be longer than the structure stays correlated.

    Parameters
    ----------
    source : mdtraj.Trajectory or iterable of mdtraj.Trajectory
        As in `rdf`. Up to ten blocks are cut from a chunk.
    pairs : dict of str to (selection, selection)
        For each label the centres and the neighbours, as in `rdf`. `element_pairs`
        gives all partial functions and the total.
    r_max, bin_width, chunk_frames
        As in `rdf`.
    n_blocks : int, optional
        Blocks that the errors come from.

    Returns
    -------
    dict of str to RadialDistribution
    """
    if not pairs:
        raise ValueError("expected at least one pair of selections, found none")
    counted = histograms(source, list(pairs.values()), r_max, bin_width, chunk_frames)
    return {
        label: distribution_of(histogram, n_blocks)
        for label, histogram in zip(pairs, counted, strict=True)
    }


def element_pairs(trajectory):
    """Selections of each pair of elements and of all atoms, for `radial_distributions`.

    Returns
    -------
    dict of str to (str, str)
        ``{"Na-O": ("element Na", "element O"), ..., "total": ("all", "all")}``. An
        element of a single atom is not paired with itself.
    """
    symbols = [atom.element.symbol for atom in trajectory.topology.atoms]
    elements = sorted(set(symbols))
    pairs = {
        f"{first}-{second}": (f"element {first}", f"element {second}")
        for i, first in enumerate(elements)
        for second in elements[i:]
        if first != second or symbols.count(first) > 1
    }
    return pairs | {"total": ("all", "all")}


class Histogram(NamedTuple):
    """Ordered pairs per distance bin in stretches of frames, and those of an ideal gas.

    Attributes
    ----------
    edges : (n_bins + 1,) array
        Bin edges in nm, from 0 to r_max.
    counts, ideal : (n_stretches, n_bins) arrays
        Numbers of pairs, and those of an ideal gas.
    exposure : (n_stretches,) array
        Atoms a times frames.
    """

    edges: np.ndarray
    counts: np.ndarray
    ideal: np.ndarray
    exposure: np.ndarray


def histograms(
    source, pairs, r_max=None, bin_width=BIN_WIDTH, chunk_frames=100, molecules=None
):
    """Count the pairs of atoms of each pair of selections, in one pass.

    Parameters
    ----------
    source, bin_width, chunk_frames
        As in `rdf`.
    pairs : sequence of (selection, selection)
        Centres and neighbours.
    r_max : float or sequence of float, optional
        As in `rdf`, for all pairs or one for each.
    molecules : (n_atoms,) array of int, optional
        Molecule of each atom; pairs in one molecule are then left out.

    Returns
    -------
    list of Histogram
        One per pair; some ten stretches per chunk, or fifty of few chunks.
    """
    first, chunks = chunked(source, chunk_frames)
    if r_max is None:
        if not isinstance(source, mdtraj.Trajectory):
            raise ValueError("expected r_max with a stream of chunks, found none")
        r_max = largest_radius(cell_vectors(source))
    radii = np.broadcast_to(r_max, len(pairs)).tolist()
    for radius in radii:
        check_radius(radius, cell_vectors(first))
        if not 0 < bin_width <= radius:
            raise SettingError(
                "expected bins (--bin-width, bin_width) wider than 0 and up to "
                f"{radius:.6g} nm, the largest distance, found {bin_width:.6g} nm",
                "bin_width",
                "r_max",
            )
    groups = [tuple(select_atoms(first, s) for s in pair) for pair in pairs]
    n_pairs = [_number_of_pairs(a, b, molecules) for a, b in groups]
    if 0 in n_pairs:
        kind = "atoms" if molecules is None else "molecules"
        raise ValueError(f"expected at least one pair of different {kind}, found none")

    counts, density, frames = [[] for _ in pairs], [], []
    bins = [round(radius / bin_width) for radius in radii]
    most = _FINE
    for n_chunks, chunk in enumerate(chunks):
        check_radius(max(radii), cell_vectors(chunk))
        if n_chunks == _FEW_CHUNKS:  # enough of them; more would take memory
            most = STRETCHES
            for kept in (frames, density, *counts):
                kept[:] = [_coarser(rows) for rows in kept]
        starts = stretch_starts(chunk.n_frames, most)
        frames.append(np.diff(np.append(starts, chunk.n_frames)))
        density.append(np.add.reduceat(1 / cell_volumes(chunk), starts))
        for kept, (a, b), radius, n in zip(counts, groups, radii, bins, strict=True):
            found = count_pairs(chunk, a, b, radius, n, molecules)
            kept.append(np.add.reduceat(found, starts, axis=0))
    frames, density = np.concatenate(frames), np.concatenate(density)
    made = []
    for kept, n, (a, _), radius, n_bins in zip(
        counts, n_pairs, groups, radii, bins, strict=True
    ):
        edges = np.linspace(0.0, radius, n_bins + 1)
        shells = 4 / 3 * np.pi * np.diff(edges**3)
        ideal = n * density[:, None] * shells
        made.append(Histogram(edges, np.concatenate(kept), ideal, len(a) * frames))
    return made


def _number_of_pairs(a, b, molecules):
    """Count ordered pairs of different atoms, or of atoms of different molecules."""
    if molecules is None:
        return len(a) * len(b) - len(np.intersect1d(a, b))
    of_a, of_b = (
        np.bincount(molecules[x], minlength=molecules.max() + 1) for x in (a, b)
    )
    return len(a) * len(b) - int(of_a @ of_b)


def _coarser(rows):
    """Sum successive fine stretches of a chunk."""
    return np.add.reduceat(rows, stretch_starts(len(rows)), axis=0)


def distribution_of(histogram, n_blocks=BLOCKS):
    """Make the RadialDistribution of a Histogram."""
    counts, ideal, exposure = (sum_blocks(x, n_blocks) for x in histogram[1:])
    g = jackknife(np.divide, counts, ideal)
    number = jackknife(lambda near, atoms: np.cumsum(near) / atoms, counts, exposure)
    edges = histogram.edges
    return RadialDistribution(0.5 * (edges[1:] + edges[:-1]), *g, *number)
