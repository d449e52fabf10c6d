# SPDX-License-Identifier: MIT
"""Put the sites of a crystal's cell into the cell of a run."""

from itertools import product

import numpy as np

from ...utils.config import SettingError
from .sites import Sites, SiteTree

# Strain of the run's cell relative to the crystal's that is looked for.
_STRAIN = 0.08
# Distance in nm of the run's host from the crystal's that is allowed, a mean square.
_FAR = 0.08
# Orientations whose strains are as small as the least, and their largest number.
_ALIKE, _MOST = 0.01, 200
# Distance in nm that counts as much as another element in the place of an atom.
_OTHER = 0.05


def place_sites(crystal, mobile, paths, symbols, *, labels=None, cage=None):
    """Put sites of a crystal into the cell of a run, wherever its origin may be.

    The run's cell is a supercell of the crystal's up to strain and rotation. Of the
    ways in which it can be one, and of all origins, that one is taken whose host atoms
    are closest to the mean positions of the run's.

    Parameters
    ----------
    crystal : Crystal
        Sites, and the host's atoms by which they are placed.
    mobile : str
        Element of the mobile ions.
    paths : HostPaths
    symbols : sequence of str
        Elements of the atoms of ``paths.host``.
    labels : sequence of str, optional
        Labels of the sites. Default: all of the mobile element.
    cage : str, optional
        Label of the crystal's atoms around which sites form cages.

    Returns
    -------
    sites : Sites
    distance : float
        Root mean square distance in nm of the run's host from the crystal's; NaN if
        the crystal has no host.

    Raises
    ------
    ValueError
        If there are no sites, or the cells or the hosts do not fit.
    """
    chosen = _chosen(crystal, mobile, labels)
    is_host = (crystal.symbols != mobile) & ~chosen
    best = None
    for matrix in _supercells(crystal.cell, paths.cell):
        cells = crystal.fractional @ np.linalg.inv(matrix), matrix
        if not is_host.any():
            best = (0.0, np.nan, np.zeros(3)), cells
            break
        found = _align(cells, crystal, is_host, paths, np.array(symbols))
        if best is None or found[0] < best[0][0]:
            best = found, cells
    (_, distance, shift), (fractional, matrix) = best
    if distance > _FAR:
        raise ValueError(
            "expected the atoms of the sites' file other than the mobile ones on those "
            f"of the run, found them {distance:.3g} nm away (root mean square) at best"
        )

    def repeated(which):
        return _repeated(fractional[which] + shift, matrix)

    copies = round(abs(np.linalg.det(matrix)))
    sites = Sites(
        repeated(chosen), paths.cell, tuple(np.repeat(crystal.labels[chosen], copies))
    )
    if cage is not None:
        sites = sites._replace(cages=_cages(sites, crystal, cage, repeated))
    return sites, float(distance)


def _chosen(crystal, mobile, labels):
    """Mark the sites (n,) of a crystal by label, or by the mobile element."""
    if labels is None:
        chosen = crystal.symbols == mobile
        if not chosen.any():
            raise SettingError(
                f"expected sites of {mobile} in the file of sites, found "
                f"{', '.join(sorted(set(crystal.symbols)))}; --labels names others",
                "sites",
            )
        return chosen
    known = sorted(set(crystal.labels))
    if missing := [label for label in labels if label not in known]:
        raise SettingError(
            f"expected labels of {', '.join(known)}, found {', '.join(missing)}",
            "labels",
        )
    return np.isin(crystal.labels, list(labels))


def _cages(sites, crystal, label, repeated):
    """Find the nearest image (n, 3) of an atom of a label for each site."""
    centers = crystal.labels == label
    if not centers.any():
        raise SettingError(
            f"expected a label of {', '.join(sorted(set(crystal.labels)))} as centre "
            f"of cages, found {label!r}",
            "cages",
        )
    places = repeated(centers)
    tree = SiteTree(Sites(places, sites.cell, ("",) * len(places)))
    return tree.nearest(sites.fractional)[2]


def _supercells(small, large):
    """List integer matrices N with N·small as long and as wide as `large`.

    Those whose shape is as good as the best one's, all orientations of a symmetric
    crystal among them.
    """
    lengths = np.linalg.norm(large, axis=1)
    reach = lengths.max() * (1 + _STRAIN)
    most = np.ceil(reach * np.linalg.norm(np.linalg.inv(small), axis=0)).astype(int)
    rows = np.array(list(product(*(range(-m, m + 1) for m in most))))
    vectors = rows @ small
    sizes = np.linalg.norm(vectors, axis=1)
    a, b, c = (
        np.flatnonzero(np.abs(sizes - length) < _STRAIN * length) for length in lengths
    )
    metric = large @ large.T / np.outer(lengths, lengths)
    volume = np.linalg.det(large)
    units = vectors / np.maximum(sizes, 1e-9)[:, None]
    found = []
    for i in a:
        # Only vectors at about the right angle are looked at in full.
        cosines = units @ units[i]
        second = b[np.abs(cosines[b] - metric[0, 1]) < 4 * _STRAIN]
        third = c[np.abs(cosines[c] - metric[0, 2]) < 4 * _STRAIN]
        volumes = np.cross(vectors[i], vectors[second]) @ vectors[third].T
        # Thermal expansion, and another functional, are much the same along all axes.
        flat = volumes * volume <= 0
        scale = np.cbrt(volume / np.where(flat, -volume, volumes))
        strain = np.zeros(volumes.shape)
        for (p, q), values in (
            ((0, 0), sizes[i] ** 2),
            ((1, 1), sizes[second, None] ** 2),
            ((2, 2), sizes[third] ** 2),
            ((0, 1), (vectors[second] @ vectors[i])[:, None]),
            ((0, 2), vectors[third] @ vectors[i]),
            ((1, 2), vectors[second] @ vectors[third].T),
        ):
            own = scale**2 * values / (lengths[p] * lengths[q])
            strain = np.fmax(strain, np.abs(own - metric[p, q]))
        fit = (np.abs(scale - 1) < _STRAIN) & (strain < 2 * _STRAIN)
        found += [
            (float(strain[j, k]), rows[[i, second[j], third[k]]])
            for j, k in np.argwhere(fit)
        ]
    if not found:
        raise ValueError(
            "expected a run's cell that is a supercell of the sites' cell, within "
            f"{_STRAIN:.0%}, found lengths of "
            f"{', '.join(f'{x:.4g}' for x in lengths)} nm and "
            f"{', '.join(f'{x:.4g}' for x in np.linalg.norm(small, axis=1))} nm"
        )
    found.sort(key=lambda one: one[0])
    least = found[0][0]
    return [matrix for strain, matrix in found[:_MOST] if strain < least + _ALIKE]


def _repeated(fractional, matrix):
    """All translations of points (n, 3), fractional in a supercell, within it.

    Those of the first point come first.
    """
    inverse = np.linalg.inv(matrix)
    corners = np.array(list(product((0, 1), repeat=3))) @ matrix
    spans = map(range, corners.min(axis=0), corners.max(axis=0) + 1)
    cells = np.array(list(product(*spans))) @ inverse
    # Translations of the lattice whose own corner lies in the supercell, each once.
    cells = cells - np.floor(cells + 1e-6)
    cells = np.unique(np.round(cells, 6) % 1.0, axis=0)
    points = fractional[:, None] + cells[None]
    return (points - np.floor(points)).reshape(-1, 3)


def _align(cells, crystal, is_host, paths, symbols):
    """Find the shift that brings the crystal's host to the run's.

    Returns
    -------
    score : float
        Mean square distance in nm², more where elements differ.
    distance : float
        Root mean square, in nm.
    shift : (3,) array
        Fractional, in the run's cell.
    """
    fractional, matrix = cells
    host = _repeated(fractional[is_host], matrix)
    elements = np.repeat(crystal.symbols[is_host], len(host) // is_host.sum())
    tree = SiteTree(Sites(host, paths.cell, ("",) * len(host)))
    best = np.inf, np.inf, np.zeros(3)
    for start in fractional[is_host]:
        shift = paths.host_fractional[0] - start
        for _ in range(2):  # the second time about the mean of all
            at, distances, places = tree.nearest(paths.host_fractional - shift)
            square = float((distances**2).mean())
            score = square + _OTHER**2 * float((elements[at] != symbols).mean())
            if score < best[0]:
                best = score, float(np.sqrt(square)), shift
            offsets = paths.host_fractional - shift - places
            shift = shift + offsets.mean(axis=0)
    return best
