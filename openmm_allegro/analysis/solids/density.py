# SPDX-License-Identifier: MIT
"""Sites as the maxima of the density of mobile ions."""

import numpy as np
from scipy.ndimage import maximum_filter

from ...utils.config import SettingError
from .sites import Sites, SiteTree

# Width of the points of the density in nm, and their largest number.
_POINT, _MOST_POINTS = 0.02, 4_000_000
# Positions that sites are centred by, and passes.
_POSITIONS, _PASSES = 300_000, 8
# Density, and part of the ions, of the least of sites, relative to the mean of all.
_LEAST = 0.05
KIND = "site"


def density_sites(fractional, cell, *, spread=0.03, separation=0.1):
    """Find sites by clustering positions of ions: the maxima of their density.

    The density on a grid is smoothed by a Gaussian, exactly so in any cell, by Fourier
    transform. Of two maxima that are closer than `separation` the higher one stays, and
    each is moved to the centre of the positions that are nearest to it and closer than
    half of that, as in k-means clustering (Lloyd, IEEE Trans. Inf. Theory 28, 129,
    1982, doi:10.1109/TIT.1982.1056489). Landmarks that are found without a crystal's
    sites are discussed by Kahle, Musaelian, Marzari and Kozinsky, Phys. Rev. Mater. 3,
    055404, 2019, doi:10.1103/PhysRevMaterials.3.055404.

    Parameters
    ----------
    fractional : (n_frames, n_ions, 3) array
        Fractional coordinates, the host at rest, as of `follow_in_host`.
    cell : (3, 3) array
        In nm.
    spread : float, optional
        Standard deviation of the Gaussian in nm.
    separation : float, optional
        Smallest distance between two sites in nm.

    Returns
    -------
    Sites
        All of one kind. Sites that hold less than a twentieth of the ions that the mean
        site does are left out.

    Raises
    ------
    ValueError
        If there are no maxima.
    """
    if not 0 < spread <= separation:
        raise SettingError(
            "expected a spread (--spread) above 0 and up to the separation of sites "
            f"(--separation), found {spread:.4g} and {separation:.4g} nm",
            "spread",
            "separation",
        )
    points = fractional.reshape(-1, 3)
    points = points - np.floor(points)
    density = _density(points, cell, spread)
    places = _maxima(density)
    chosen = _apart(places, cell, separation)
    points = points[:: -(-len(points) // _POSITIONS)]
    for _ in range(_PASSES):
        chosen = _centered(points, chosen, cell, 0.5 * separation)
        chosen = _apart(chosen, cell, separation)
    found, *_ = SiteTree(_sites(chosen, cell)).nearest(points)
    held = np.bincount(found, minlength=len(chosen))
    chosen = chosen[held >= _LEAST * held.mean()]
    return _sites(chosen[np.lexsort(chosen.T[::-1].round(6))], cell)


def _sites(fractional, cell):
    return Sites(fractional - np.floor(fractional), cell, (KIND,) * len(fractional))


def _density(points, cell, spread):
    """Smoothed density on a grid, over its mean."""
    edges = np.linalg.norm(cell, axis=1)
    step = max(_POINT, float(np.cbrt(edges.prod() / _MOST_POINTS)))
    shape = np.maximum(4, np.ceil(edges / step)).astype(int)
    cells = np.minimum((points * shape).astype(int), shape - 1)
    flat = np.ravel_multi_index(tuple(cells.T), shape)
    counts = np.bincount(flat, minlength=shape.prod()).reshape(shape).astype(float)
    waves = [np.fft.fftfreq(n, 1 / n) for n in shape[:2]]
    waves.append(np.fft.rfftfreq(shape[2], 1 / shape[2]))
    numbers = np.stack(np.meshgrid(*waves, indexing="ij"), axis=-1)
    squared = ((2 * np.pi * numbers @ np.linalg.inv(cell).T) ** 2).sum(axis=-1)
    smooth = np.fft.rfftn(counts) * np.exp(-0.5 * spread**2 * squared)
    return np.fft.irfftn(smooth, s=tuple(shape), axes=(0, 1, 2)) / counts.mean()


def _maxima(density):
    """Fractional coordinates (n, 3) of the maxima, the highest first."""
    highest = (maximum_filter(density, size=3, mode="wrap") == density) & (
        density > _LEAST
    )
    where = np.argwhere(highest)
    if len(where) == 0:
        raise ValueError("expected maxima of the density of ions, found none")
    order = np.argsort(-density[highest], kind="stable")
    return (where[order] + 0.5) / density.shape


def _apart(places, cell, separation):
    """Keep those places (n, 3) that no earlier one is closer to than `separation`."""
    tree = SiteTree(_sites(places, cell))
    around = tree.within(places, separation)
    kept = np.zeros(len(places), dtype=bool)
    for i, others in enumerate(around):
        kept[i] = not any(kept[j] for j in others if j < i)
    return places[kept]


def _centered(points, places, cell, reach):
    """Move each place to the mean of the points nearest to it and within `reach`."""
    found, distances, at = SiteTree(_sites(places, cell)).nearest(points)
    near = distances < reach
    offsets = points[near] - at[near]
    number = np.bincount(found[near], minlength=len(places))
    moved = np.stack(
        [np.bincount(found[near], offsets[:, x], len(places)) for x in range(3)], axis=1
    )
    inside = places - np.floor(places)
    return inside + moved / np.maximum(number, 1)[:, None]
