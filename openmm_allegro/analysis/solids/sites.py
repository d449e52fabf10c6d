# SPDX-License-Identifier: MIT
"""Sites of a crystal in a periodic cell, and which of them is nearest."""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from ...utils.config import SettingError

# Part of half the distance to the nearest other site that a core takes by default.
CORE = 0.6


class Sites(NamedTuple):
    """Sites of mobile ions.

    Attributes
    ----------
    fractional : (n, 3) array
        In the cell, from 0 to 1.
    cell : (3, 3) array
        Vectors, as rows, in nm.
    kinds : tuple of str
        Kind of each site, as the label of a crystal file.
    cages : (n, 3) array or None
        Fractional coordinates of the centre of the cage that each site belongs to, the
        image that is nearest.
    """

    fractional: np.ndarray
    cell: np.ndarray
    kinds: tuple
    cages: np.ndarray | None = None

    @property
    def names(self):
        """Kinds in the order in which they first come."""
        return list(dict.fromkeys(self.kinds))

    @property
    def numbers(self):
        """Number (n,) of each site's kind in `names`."""
        names = self.names
        return np.array([names.index(kind) for kind in self.kinds])


class SiteTree:
    """Search for the site nearest to a point, over all periodic images.

    Parameters
    ----------
    sites : Sites
    """

    def __init__(self, sites):
        self.cell = np.asarray(sites.cell, dtype=float)
        inside = np.asarray(sites.fractional) - np.floor(sites.fractional)
        # The nearest site is no further than half the longest diagonal of the cell.
        corners = np.array(list(product((-1, 1), repeat=3))) @ self.cell
        reach = 0.5 * np.linalg.norm(corners, axis=1).max()
        margin = reach * np.linalg.norm(np.linalg.inv(self.cell), axis=0)
        most = np.ceil(margin).astype(int)
        offsets = np.array(list(product(*(range(-m, m + 1) for m in most))))
        images = (inside[None] + offsets[:, None]).reshape(-1, 3)
        self._sites = np.tile(np.arange(len(inside)), len(offsets))
        near = np.all((images > -margin) & (images < 1 + margin), axis=1)
        self._images, self._sites = images[near], self._sites[near]
        self._tree = cKDTree(self._images @ self.cell)

    def nearest(self, fractional):
        """Find the nearest site of points (..., 3) in fractional coordinates.

        Returns
        -------
        sites : (...,) array of int
        distances : (...,) array
            In nm.
        places : (..., 3) array
            Fractional coordinates of the site's image that is the nearest.
        """
        whole = np.floor(fractional)
        distances, found = self._tree.query((fractional - whole) @ self.cell)
        return self._sites[found], distances, self._images[found] + whole

    def within(self, fractional, radius):
        """List the sites, images included, within a radius in nm of points (n, 3)."""
        inside = (fractional - np.floor(fractional)) @ self.cell
        around = self._tree.query_ball_point(inside, radius)
        return [self._sites[found] for found in around]


def neighbor_distances(sites):
    """Distances (n,) in nm from each site to the nearest other, images included."""
    tree = SiteTree(sites)._tree
    inside = (sites.fractional - np.floor(sites.fractional)) @ sites.cell
    return tree.query(inside, k=2)[0][:, 1]


def core_radii(sites, core=None):
    """Radii (n,) in nm within which an ion is taken to be at a site.

    Parameters
    ----------
    sites : Sites
    core : float, optional
        One radius for all sites in nm. Default: `CORE` times half the distance to the
        nearest other site.

    Raises
    ------
    ValueError
        If cores would touch: nothing would be left between two sites.
    """
    half = 0.5 * neighbor_distances(sites)
    if core is None:
        return CORE * half
    if not 0 < core < half.min():
        raise SettingError(
            f"expected a core below {half.min():.4g} nm, half the smallest distance "
            f"between two sites, found {core:.4g} nm",
            "core",
        )
    return np.full(len(half), float(core))
