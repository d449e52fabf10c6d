# SPDX-License-Identifier: MIT
"""Minima, barriers and populations of basins of a free energy surface."""

from typing import NamedTuple

import numpy as np

from .axes import shape_of

# Depth of a basin in R T, and in errors, below which it is taken for noise.
_DEPTH, _ERRORS = 0.5, 2.0


class Basin(NamedTuple):
    """A minimum of a free energy surface, and the bins that drain into it.

    Attributes
    ----------
    place : tuple of float
        The variables at the minimum, middles of a bin.
    minimum : (float, float)
        Free energy there relative to the lowest minimum, and its error, in kJ/mol.
    population : (float, float)
        Free energy of the basin, -R T ln of its population, relative to that of the
        lowest minimum, and its error, in kJ/mol.
    barrier : (float, float) or None
        Lowest saddle on the way to a lower minimum, above this minimum, and its error,
        in kJ/mol; None of the lowest minimum.
    saddle : tuple of float or None
        Where that is.
    members : array of bool
        Bins of the basin.
    """

    place: tuple
    minimum: tuple
    population: tuple
    barrier: tuple | None
    saddle: tuple | None
    members: np.ndarray


def basins(surface, depth=None):
    """Find the basins of a surface, the lowest first.

    Bins are flooded from the lowest up; where two pools meet is a saddle, and the
    shallower pool is a basin of its own if it is deep enough.

    Parameters
    ----------
    surface : Surface
    depth : float, optional
        Least depth in kJ/mol. Default: R T / 2, and twice the error of the depth.

    Returns
    -------
    list of Basin
        Minima that are supported by sampled bins, see `supported_basins`.
    """
    return supported_basins(surface, depth)[0]


def supported_basins(surface, depth=None):
    """Find the basins of a surface, and the minima that too few bins support.

    A bin of a sparse surface that was visited and few around it is no minimum: at least
    half of the bins beside it must have been visited, and its error must be known where
    any is. All but the lowest must have a saddle on the way to a lower one, which no
    island has, and a free energy above the lowest whose error is known.

    Parameters
    ----------
    surface, depth
        As of `basins`.

    Returns
    -------
    list of Basin
        The lowest first; the lowest bin alone where no minimum is supported.
    left_out : list of tuple of float
        The variables at the minima that are not supported, the lowest first, and at
        those of R T / 2 and more whose depth is not known to twice its error.
    """
    labels, saddles, doubtful = _flood(surface, depth)
    flat = surface.values.ravel()
    places = np.stack(np.meshgrid(*(a.centers for a in surface.axes), indexing="ij"))
    places = places.reshape(len(surface.axes), -1).T
    order = sorted(saddles, key=lambda root: flat[root])
    roots: list[int] = []
    for root in order:
        if _is_supported(surface, labels, root) and (
            not roots or _stands_out(surface, saddles[root], root, roots[0])
        ):
            roots.append(root)
    others = sorted({*order, *doubtful} - {*roots}, key=lambda root: flat[root])
    left_out = [tuple(map(float, places[x])) for x in others]
    order = roots or order[:1]
    first, made = order[0], []
    for root in order:
        members, saddle = labels == root, saddles[root]
        barrier = None
        if saddle is not None:
            barrier = _compare(surface, saddle, root)
        made.append(
            Basin(
                tuple(map(float, places[root])),
                _compare(surface, root, first),
                _populations(surface, members, labels == first),
                barrier,
                None if saddle is None else tuple(map(float, places[saddle])),
                members.reshape(surface.values.shape),
            )
        )
    return made, left_out


def basin_difference(surface, first, second):
    """Free energy of one set of bins relative to another, by their populations.

    Parameters
    ----------
    first, second : array of bool
        Of the shape of the surface.

    Returns
    -------
    (float, float)
        -R T ln (p of the second / p of the first), and its error, in kJ/mol.
    """
    return _populations(surface, second.ravel(), first.ravel())


def _compare(surface, here, there):
    """Free energy of a bin relative to another, and its error."""
    if here == there:
        return 0.0, 0.0
    return surface.difference(lambda x: x.ravel()[here] - x.ravel()[there])


def _populations(surface, members, reference):
    if np.array_equal(members, reference):
        return 0.0, 0.0
    thermal = surface.thermal

    def relative(values):
        density = np.nan_to_num(np.exp(-values.ravel() / thermal))
        with np.errstate(divide="ignore"):
            return -thermal * np.log(density[members].sum() / density[reference].sum())

    lowest = np.nanmin(surface.replicates.values)
    return surface.difference(lambda x: relative(x - lowest))


def _flood(surface, depth):
    """Label bins by the lowest of their basin, and find the saddle of each basin.

    The third of the values are minima that are deep, but not beyond their errors.
    """
    flat, shape = surface.values.ravel(), shape_of(surface.axes)
    labels = np.full(flat.size, -1)
    parent, saddles = {}, {}

    def root_of(bin_):
        while parent[bin_] != bin_:
            bin_ = parent[bin_]
        return bin_

    known = np.flatnonzero(np.isfinite(flat))
    merged, doubtful = {}, []
    for place in known[np.argsort(flat[known], kind="stable")]:
        near = [x for x in _neighbors(place, shape, surface.axes) if labels[x] >= 0]
        roots = sorted({root_of(labels[x]) for x in near}, key=lambda x: flat[x])
        if not roots:
            parent[place], labels[place], saddles[place] = place, place, None
            continue
        labels[place] = labels[min(near, key=lambda x: flat[x])]
        for other in roots[1:]:
            saddles[other] = place
            if not _is_deep(surface, place, other, depth):
                merged[other] = roots[0]
                del saddles[other]
                if depth is None and _has_depth(surface, place, other):
                    doubtful.append(other)
            parent[other] = roots[0]
    return _absorb(labels, merged), saddles, doubtful


def _stands_out(surface, saddle, root, first):
    """Tell a minimum above the first from one of which too little is known."""
    return saddle is not None and np.isfinite(_compare(surface, root, first)[1])


def _is_supported(surface, labels, root):
    """Tell a minimum from a bin that was visited and few around it."""
    known = np.isfinite(surface.errors)
    if known.any() and not known.flat[root]:
        return False
    shape = shape_of(surface.axes)
    beside = [labels[x] >= 0 for x in _neighbors(root, shape, surface.axes)]
    return 2 * sum(beside) >= len(beside)


def _is_deep(surface, saddle, lowest, depth):
    """Tell a basin from noise."""
    height = surface.values.flat[saddle] - surface.values.flat[lowest]
    if depth is not None:
        return height >= depth
    if not _has_depth(surface, saddle, lowest):
        return False
    return height >= _ERRORS * _compare(surface, saddle, lowest)[1]  # not NaN


def _has_depth(surface, saddle, lowest):
    """Tell a basin from the roughness of a bin, whatever its error is."""
    height = surface.values.flat[saddle] - surface.values.flat[lowest]
    return height >= _DEPTH * surface.thermal


def _absorb(labels, merged):
    """Give the bins of pools that are too shallow to those that they ran into."""
    final = {}
    for root in np.unique(labels):
        end = root
        while end in merged:
            end = merged[end]
        final[root] = end
    return np.array([final[label] for label in labels])


def _neighbors(place, shape, axes):
    """Bins beside a bin along each axis."""
    index = np.unravel_index(place, shape)
    for k, axis in enumerate(axes):
        for step in (-1, 1):
            moved = index[k] + step
            if axis.periodic:
                moved %= shape[k]
            if 0 <= moved < shape[k]:
                yield np.ravel_multi_index((*index[:k], moved, *index[k + 1 :]), shape)
