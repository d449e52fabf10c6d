# SPDX-License-Identifier: MIT
"""Radial distribution functions and coordination numbers of periodic trajectories."""

from typing import NamedTuple

import mdtraj
import numpy as np

# Distances held in memory at a time: 5e6 float32 are 20 MB, a few times that in all.
_BLOCK = 5_000_000
# Width [nm] of the Gaussian that smooths g(r) before its extrema are looked for:
# below the width of the sharpest ion-water peaks, above two default bins.
_SMOOTHING = 0.01


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


class Coordination(NamedTuple):
    """Mean number of neighbours, and the shell in which they were counted.

    Attributes
    ----------
    number : float
        Mean number of atoms b closer than `r_max` to an atom a.
    r_max : float
        Radius of the shell in nm.
    r_peak : float
        Distance in nm of the highest g(r) within `r_max`.
    g_peak : float
        g(r) there, dimensionless.
    """

    number: float
    r_max: float
    r_peak: float
    g_peak: float


def rdf(
    trajectory,
    selection_a,
    selection_b,
    *,
    r_max=None,
    bin_width=0.005,
    chunk_frames=100,
):
    r"""Radial distribution function of atoms b around atoms a.

    .. math:: g(r) = \frac{\sum_f n_f(r)}{N_{ab} v(r) \sum_f 1 / V_f}

    with n_f(r) the pairs of frame f in the bin, v(r) the volume of the spherical
    shell, N_ab the number of pairs and V_f the volume of each frame, so that a
    changing cell (NPT) is normalised frame by frame, as mdtraj, GROMACS and cpptraj do.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Frames with a unit cell, orthorhombic or triclinic.
    selection_a, selection_b : str or (n,) array of int
        Atoms, as an mdtraj selection such as ``"element O"`` or
        ``"element Na or element Cl"``, or as indices. An atom is never paired with
        itself.
    r_max : float, optional
        Largest distance in nm. Default and upper limit: half the smallest
        perpendicular width of the cell over all frames, beyond which the minimum image
        misses neighbours.
    bin_width : float, optional
        Width of the bins in nm; it is adjusted so that a whole number fills `r_max`.
    chunk_frames : int, optional
        Frames handled at a time. Pairs are split too, so memory stays near 100 MB.

    Returns
    -------
    RDF
        Named tuple ``(r, g)``, r in nm.

    Examples
    --------
    >>> import mdtraj
    >>> from openmm_allegro.analysis import rdf
    >>> trajectory = mdtraj.load("npt.xtc", top="npt.pdb")  # doctest: +SKIP
    >>> r, g = rdf(trajectory, "element Li", "element O", r_max=0.8)  # doctest: +SKIP
    """
    a = select_atoms(trajectory, selection_a)
    b = select_atoms(trajectory, selection_b)
    edges, counts, ideal = _histogram(trajectory, a, b, r_max, bin_width, chunk_frames)
    return RDF(0.5 * (edges[1:] + edges[:-1]), counts / ideal)


def coordination_number(
    trajectory, selection_a, selection_b, *, r_max=None, bin_width=0.005
):
    """Mean number of atoms b within `r_max` of an atom a.

    The neighbours are counted, not integrated from a normalised g(r), so the number is
    exact for the frames given, for like species and for a changing cell alike.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        Frames with a unit cell, orthorhombic or triclinic.
    selection_a, selection_b : str or (n,) array of int
        Centres and neighbours, as in `rdf`.
    r_max : float, optional
        Radius of the shell in nm. Default: the first minimum of the smoothed g(r)
        after its first peak; where g(r) is flat there, the middle of the flat part.
    bin_width : float, optional
        Width in nm of the bins in which extrema of g(r) are looked for.

    Returns
    -------
    Coordination
        Number and the radius used [nm], position [nm] and height of the peak.

    Raises
    ------
    ValueError
        If no `r_max` is given and g(r) has no clear first peak and minimum.
    """
    a = select_atoms(trajectory, selection_a)
    b = select_atoms(trajectory, selection_b)
    edges, counts, ideal = _histogram(trajectory, a, b, r_max, bin_width)
    if r_max is None:
        shell = _first_minimum(edges, counts, ideal) + 1
    else:
        shell = len(counts)
    g = counts[:shell] / ideal[:shell]
    peak = int(np.argmax(g))
    return Coordination(
        number=float(counts[:shell].sum() / (len(a) * trajectory.n_frames)),
        r_max=float(edges[shell]),
        r_peak=float(0.5 * (edges[peak] + edges[peak + 1])),
        g_peak=float(g[peak]),
    )


def select_atoms(trajectory, selection):
    """Return the indices (n,) of an mdtraj selection or integer array, checked."""
    if isinstance(selection, str):
        try:
            atoms = trajectory.topology.select(selection)
        except ValueError as error:
            raise ValueError(
                f"expected an mdtraj selection, found {selection!r}"
            ) from error
    else:
        atoms = np.asarray(selection)
        if atoms.size and not np.issubdtype(atoms.dtype, np.integer):
            raise ValueError(
                "expected a selection string or integer atom indices, found an array "
                f"of {atoms.dtype}"
            )
        atoms = atoms.reshape(-1).astype(int)
    if atoms.size == 0:
        raise ValueError(
            f"expected at least one atom, selection {selection!r} is empty"
        )
    if atoms.min() < 0 or atoms.max() >= trajectory.n_atoms:
        raise ValueError(
            f"expected atom indices from 0 to {trajectory.n_atoms - 1}, found "
            f"{atoms.min()} to {atoms.max()}"
        )
    if len(np.unique(atoms)) != len(atoms):
        raise ValueError("expected each atom once, found repeated atom indices")
    return atoms


def cell_vectors(trajectory):
    """Cell vectors as rows, (n_frames, 3, 3) in nm; ValueError where there are none."""
    if trajectory.unitcell_lengths is None:
        raise ValueError("expected a trajectory with a unit cell, found none")
    cells = np.asarray(trajectory.unitcell_vectors, dtype=float)
    flat = ~(np.abs(np.linalg.det(cells)) > 0)
    if flat.any():
        raise ValueError(
            "expected a unit cell with a volume in every frame, found none in frame "
            f"{int(np.argmax(flat))}"
        )
    return cells


def _largest_radius(cells):
    """Half the smallest distance between opposite faces, over all frames, in nm."""
    # Rows of the transposed inverse are normals whose length is 1 / width.
    normals = np.linalg.inv(cells).transpose(0, 2, 1)
    return float(0.5 / np.linalg.norm(normals, axis=-1).max())


def _histogram(trajectory, a, b, r_max, bin_width, chunk_frames=100):
    """Ordered pairs (a, b) per distance bin, and what an ideal gas would have.

    Returns
    -------
    edges : (n_bins + 1,) array
        Bin edges in nm, from 0 to r_max.
    counts, ideal : (n_bins,) arrays
        Found and ideal-gas number of ordered pairs, summed over frames.
    """
    allowed = _largest_radius(cell_vectors(trajectory))
    if r_max is None:
        r_max = allowed
    # Cells are stored in float32, so exactly half a box may come out a little larger.
    if not 0 < r_max <= allowed * (1 + 1e-6):
        raise ValueError(
            f"expected 0 < r_max <= {allowed:.6g} nm, half the smallest perpendicular "
            f"width of the cell over all frames, found {r_max:.6g} nm"
        )
    if not 0 < bin_width <= r_max:
        raise ValueError(
            f"expected 0 < bin_width <= r_max = {r_max:.6g} nm, found {bin_width:.6g}"
        )
    if chunk_frames < 1:
        raise ValueError(f"expected chunk_frames of at least 1, found {chunk_frames}")
    n_bins = round(r_max / bin_width)
    edges = np.linspace(0.0, r_max, n_bins + 1)

    # For like species each pair is measured once and counted in both directions.
    like = np.array_equal(np.sort(a), np.sort(b))
    found = np.zeros(n_bins, dtype=np.int64)
    n_pairs = 0
    frames = min(chunk_frames, trajectory.n_frames)
    for pairs in _pair_blocks(a, b, like, max(1, _BLOCK // frames)):
        n_pairs += len(pairs)
        for start in range(0, trajectory.n_frames, frames):
            distances = mdtraj.compute_distances(
                trajectory[start : start + frames], pairs
            )
            # Of a float32 array only what is strictly inside belongs to the shell.
            inside = distances[distances < r_max]
            found += np.histogram(inside, bins=n_bins, range=(0.0, r_max))[0]
    if n_pairs == 0:
        raise ValueError("expected at least one pair of different atoms, found none")

    ordered = 2 if like else 1
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    density = np.sum(1.0 / np.asarray(trajectory.unitcell_volumes, dtype=float))
    return edges, ordered * found, ordered * n_pairs * density * shells


def _pair_blocks(a, b, like, size):
    """Yield (n, 2) arrays of atom pairs with n near `size`, never an atom with itself.

    All ordered pairs of `a` with `b`, or each unordered pair once when they are `like`.
    """
    rows = max(1, size // len(b))
    for start in range(0, len(a), rows):
        block = a[start : start + rows]
        pairs = np.stack(np.meshgrid(block, b, indexing="ij"), axis=-1).reshape(-1, 2)
        keep = pairs[:, 0] < pairs[:, 1] if like else pairs[:, 0] != pairs[:, 1]
        pairs = pairs[keep]
        # One row against many neighbours can still be longer than a block.
        for first in range(0, len(pairs), size):
            yield pairs[first : first + size]


def _first_minimum(edges, counts, ideal):
    """Bin of the first minimum after the first peak of the smoothed g(r).

    The curve is walked outwards; a peak (minimum) is believed once g has fallen
    (risen) from it by more than its noise and 5 % of the highest g so far, so ripples
    of a few counts are passed over.
    """
    g, noise = _smooth(edges, counts, ideal)
    peak = low = 0
    falling = False
    for i in range(1, len(g)):
        extremum = low if falling else peak
        step = max(0.05 * g[peak], 4 * np.hypot(noise[i], noise[extremum]))
        if not falling:
            if g[i] >= g[peak]:
                peak = i
            elif g[peak] - g[i] > step:
                falling, low = True, i
        elif g[i] < g[low]:
            low = i
        elif g[i] - g[low] > step:
            # Between sharp shells g is zero over a stretch: cut in its middle.
            flat = peak + np.flatnonzero(g[peak:i] <= g[low])
            return int(flat[len(flat) // 2])
    sought = "minimum after the first peak" if falling else "peak"
    raise ValueError(
        f"expected g(r) to have a first peak and a minimum, found no clear {sought} up "
        f"to {edges[-1]:.4g} nm; give r_max, or more frames"
    )


def _smooth(edges, counts, ideal):
    """g(r) smoothed by a Gaussian, and its standard deviation if counts are Poisson."""
    width = edges[1] - edges[0]
    reach = min(int(np.ceil(4 * _SMOOTHING / width)), (len(counts) - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * width / _SMOOTHING) ** 2)
    # Counts are smoothed, not g: bins near r = 0, of few counts, then weigh little.
    expected = np.convolve(ideal, kernel, mode="same")
    g = np.convolve(counts, kernel, mode="same") / expected
    variance = np.convolve(np.maximum(counts, 1), kernel**2, mode="same")
    return g, np.sqrt(variance) / expected
