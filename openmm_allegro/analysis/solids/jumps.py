# SPDX-License-Identifier: MIT
"""Stays of ions at sites, and the jumps between them."""

from typing import NamedTuple

import numpy as np

from .sites import SiteTree, core_radii

# Frames whose ions are assigned at a time.
_POSITIONS = 300_000


class Stays(NamedTuple):
    """Stays of ions at sites, one after the other for each ion.

    Attributes
    ----------
    ions : (n,) array of int
        Number of the ion of each stay, ascending, from 0.
    sites : (n,) array of int
    places : (n, 3) array
        Unwrapped position in nm of the site's image.
    starts, stops : (n,) arrays of int
        First frame at the site, and first frame at another one.
    begun, ended : (n,) arrays of bool
        Whether begin and end were seen: the first stay of an ion has no begin, the
        last no end.
    n_frames, n_ions : int
    time_step : float
        In ps.
    inside : float
        Part of the positions that are in a core.
    shared : float
        Part of the positions at a site that another ion holds at that time.
    occupation : (n_sites,) array
        Mean number of ions at each site.
    """

    ions: np.ndarray
    sites: np.ndarray
    places: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    begun: np.ndarray
    ended: np.ndarray
    n_frames: int
    n_ions: int
    time_step: float
    inside: float
    shared: float
    occupation: np.ndarray

    @property
    def jumps(self):
        """Stays (n,) that a jump ends; the next stay is the one that it begins."""
        return np.flatnonzero(self.ended)


def find_stays(paths, sites, *, core=None):
    """Find when each ion is at which site, by cores with memory.

    An ion is at a site from the moment at which it enters its core, until it enters
    the core of another one: between cores it belongs to the last, so that rattling
    across the middle between two sites is no jump (transition-based assignment:
    Buchete and Hummer, J. Phys. Chem. B 112, 6057, 2008, doi:10.1021/jp0761665; core
    sets: Schütte, Noé, Lu, Sarich and Vanden-Eijnden, J. Chem. Phys. 134, 204105, 2011,
    doi:10.1063/1.3590108). Before its first core an ion is nowhere.

    Parameters
    ----------
    paths : HostPaths
    sites : Sites
    core : float, optional
        Radius of the cores in nm, see `core_radii`.

    Returns
    -------
    Stays

    Raises
    ------
    ValueError
        If no ion ever enters a core.
    """
    tree, radii = SiteTree(sites), core_radii(sites, core)
    n_frames, n_ions, _ = paths.fractional.shape
    at = np.empty((n_frames, n_ions), dtype=np.int32)
    images = np.empty((n_frames, n_ions, 3), dtype=np.int16)
    inside = np.empty((n_frames, n_ions), dtype=bool)
    size = max(1, _POSITIONS // n_ions)
    for k in range(0, n_frames, size):
        part = slice(k, k + size)
        at[part], distances, places = tree.nearest(paths.fractional[part])
        images[part] = np.round(places - sites.fractional[at[part]])
        inside[part] = distances < radii[at[part]]
    if not inside.any():
        raise ValueError("expected ions in the cores of sites, found none at any time")
    # The last frame in a core, for each frame.
    last = np.where(inside, np.arange(n_frames)[:, None], -1)
    np.maximum.accumulate(last, axis=0, out=last)
    known = last >= 0
    columns = np.arange(n_ions)
    at = np.where(known, at[last, columns], -1)
    images = images[last, columns]
    new = np.zeros((n_frames, n_ions), dtype=bool)
    new[1:] = (np.diff(at, axis=0) != 0) | np.any(np.diff(images, axis=0), axis=2)
    new[0] = True
    new &= known
    ions, starts = np.nonzero(new.T)
    stops = np.append(starts[1:], n_frames)
    ended = np.append(ions[1:] == ions[:-1], False)
    stops[~ended] = n_frames
    begun = np.append(False, ended[:-1])
    where = at[starts, ions]
    places = (sites.fractional[where] + images[starts, ions]) @ sites.cell
    occupation, shared = _occupation(at, len(sites.kinds))
    return Stays(
        ions,
        where,
        places,
        starts,
        stops,
        begun,
        ended,
        n_frames,
        n_ions,
        paths.time_step,
        float(inside.mean()),
        shared,
        occupation,
    )


def _occupation(at, n_sites):
    """Mean number of ions at each site, and the part that share one."""
    frames = np.repeat(np.arange(len(at)), at.shape[1]) * n_sites
    held = at.ravel() >= 0
    keys = frames[held] + at.ravel()[held]
    numbers = np.bincount(keys, minlength=len(at) * n_sites)
    occupation = numbers.reshape(len(at), n_sites).mean(axis=0)
    return occupation, float((numbers[keys] > 1).mean())
