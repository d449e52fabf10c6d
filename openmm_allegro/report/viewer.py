# SPDX-License-Identifier: MIT
"""Frames of a trajectory packed for the viewer of the page."""

import base64
import json

import numpy as np

from ..runs.species import bond_pairs, find_kinds
from .html import Markup, join, note, tag

# What a browser draws smoothly without a graphics card; bytes that frames may take.
MAX_ATOMS = 5000
MAX_FRAMES = 120
_BYTES = 2_500_000
# A bond that is drawn longer than this, in nm, crosses the cell.
_LONGEST_BOND = 0.35

# Colours by element, after the habit of chemists; others are grey.
_COLORS = {
    "H": "#f2f2f2", "Li": "#b565d8", "B": "#e8a58a", "C": "#4d4d4d", "N": "#3557d6",
    "O": "#d92b2b", "F": "#5fc27e", "Na": "#7b4fc9", "Mg": "#4f9d2f", "Al": "#a8a3a3",
    "Si": "#d2b48c", "P": "#e67e22", "S": "#d8bf2f", "Cl": "#2fa84f", "K": "#8a3fa0",
    "Ca": "#4a9a62", "Fe": "#c0602a", "Zn": "#7d80b0", "Br": "#8f2f2f", "I": "#7a2a8f",
}  # fmt: skip


def viewer(trajectory):
    """Viewer of a trajectory with controls, as HTML.

    Parameters
    ----------
    trajectory : mdtraj.Trajectory
        With or without a unit cell.
    """
    scene, remark = pack_scene(trajectory)
    # "<" could end the script.
    content = json.dumps(scene, separators=(",", ":")).replace("<", "\\u003c")
    button = {"type": "button"}
    first, last = scene["times"][0], scene["times"][-1]
    return join(
        tag(
            "div",
            tag(
                "canvas",
                f"{len(scene['elements'])} atoms in {len(scene['times'])} frames.",
                role="img",
                aria_label=f"Atoms from {first:.4g} to {last:.4g} ps, to be turned",
            ),
            tag(
                "div",
                tag("button", "Play", class_="play", **button),
                Markup(
                    '<input type="range" class="frame" min="0" value="0" step="1" '
                    f'max="{len(scene["times"]) - 1}" aria-label="Frame">'
                ),
                tag("output", class_="time"),
                tag("button", "Reset view", class_="reset", **button),
                class_="controls",
            ),
            tag("div", class_="legend"),
            tag("script", Markup(content), type="application/json"),
            class_="viewer",
            id="viewer",
        ),
        tag("noscript", note("The viewer needs JavaScript.")),
        tag("p", "Drag to turn, wheel to zoom, press a name to hide it. ", remark),
    )


def pack_scene(trajectory):
    """Pack what the viewer draws, and say what it leaves out.

    Returns
    -------
    scene : dict
        ``elements`` (of each atom an index into ``kinds``), ``kinds`` (name, colour and
        radius in nm), ``bonds``, ``cells`` (rows of cell vectors in nm of each frame,
        or None), ``times`` in ps, ``scale`` and ``positions``: base64 of little-endian
        int16, frame by frame, that times `scale` are nm.
    remark : str
    """
    from ..analysis.frames import cell_vectors

    kinds = find_kinds(trajectory.topology)
    atoms, left_out = _chosen(kinds, trajectory.n_atoms)
    n_frames = min(MAX_FRAMES, trajectory.n_frames, max(1, _BYTES // (6 * len(atoms))))
    frames = np.unique(np.linspace(0, trajectory.n_frames - 1, n_frames).astype(int))
    shown = trajectory[frames]
    cells = None if shown.unitcell_lengths is None else cell_vectors(shown)
    positions = gather(shown, kinds, cells)[:, atoms]
    if cells is None:
        positions -= positions.mean(axis=(0, 1))
    else:  # the origin is the middle of the cell
        positions -= 0.5 * cells.sum(axis=1)[:, None]
    scale = max(float(np.abs(positions).max()), 1e-3) / 32767
    packed = np.round(positions / scale).astype("<i2")
    place = np.full(trajectory.n_atoms, -1)
    place[atoms] = np.arange(len(atoms))
    bonds = place[bond_pairs(trajectory.topology)].reshape(-1, 2)
    topology = trajectory.topology
    elements = [topology.atom(i).element for i in atoms]
    names = sorted({element.symbol for element in elements})
    radii = {element.symbol: element.radius or 0.15 for element in elements}
    scene = {
        "kinds": [[s, _COLORS.get(s, "#9a9a9a"), round(radii[s], 3)] for s in names],
        "elements": [names.index(element.symbol) for element in elements],
        "bonds": bonds[(bonds >= 0).all(axis=1)].tolist(),
        "longest": _LONGEST_BOND,
        "cells": None if cells is None else np.round(cells, 5).tolist(),
        "times": np.round(shown.time.astype(float), 4).tolist(),
        "scale": scale,
        "positions": base64.b64encode(packed.tobytes()).decode(),
    }
    remark = (
        f"Shown are {len(frames)} frames of {trajectory.n_frames}"
        f"{left_out}; positions are rounded to {1e3 * scale / 2:.1g} pm."
    )
    return scene, remark


def gather(trajectory, kinds, cells):
    """Positions (n_frames, n_atoms, 3) in nm of whole molecules, centred in the cell.

    Without a cell they are as they are.
    """
    positions = np.asarray(trajectory.xyz, dtype=float)
    if cells is None:
        return positions.copy()
    if trajectory.topology.n_bonds:
        whole = trajectory.make_molecules_whole(inplace=False)
        positions = np.asarray(whole.xyz, dtype=float)
    inverse = np.linalg.inv(cells)
    gathered = np.empty_like(positions)
    for kind in kinds:
        molecules = np.array(kind.molecules)
        of_kind = positions[:, molecules]
        centers = of_kind.mean(axis=2)
        shift = np.floor(np.einsum("fmx,fxy->fmy", centers, inverse))
        moved = np.einsum("fmx,fxy->fmy", shift, cells)
        gathered[:, molecules] = of_kind - moved[:, :, None]
    return gathered


def _chosen(kinds, n_atoms):
    """Atoms to draw, and what to say of the others."""
    if n_atoms <= MAX_ATOMS:
        return np.arange(n_atoms), f", all {n_atoms:,} atoms"
    room, chosen, parts = MAX_ATOMS, [], []
    # The rare are what one looks for; the most frequent is the solvent.
    for kind in reversed(kinds):
        size, there = len(kind.molecules[0]), len(kind.molecules)
        fit = min(there, room // size)
        picked = np.unique(np.linspace(0, there - 1, fit).astype(int))
        chosen += [kind.molecules[i] for i in picked]
        room -= size * len(picked)
        if len(picked) < there:
            parts.append(f"{len(picked):,} of {there:,} {kind.name}")
    if not chosen:  # a single molecule, larger than can be drawn
        chosen = [np.unique(np.linspace(0, n_atoms - 1, MAX_ATOMS).astype(int))]
    atoms = np.sort(np.concatenate(chosen))
    return atoms, (
        f", and {len(atoms):,} atoms of {n_atoms:,}"
        + (f" ({', '.join(parts)})" if parts else "")
    )
