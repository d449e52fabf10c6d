# SPDX-License-Identifier: MIT
"""Compute radial distribution functions of reference frames, averaged over frames.

python systems/nacl_aq/reference_rdf.py data/test.extxyz reference_rdf.csv
"""

import argparse
from pathlib import Path

import mdtraj
import numpy as np

from openmm_allegro import read_structures
from openmm_allegro.analysis import rdf

PAIRS = (("Na", "O"), ("Cl", "O"), ("O", "O"))
R_MAX, BIN = 0.62, 0.01  # nm; half the cubic cell of 12.42 Å

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("frames", type=Path)
parser.add_argument("output", type=Path)
options = parser.parse_args()

curves = {pair: [] for pair in PAIRS}
weights = {pair: [] for pair in PAIRS}
used = 0
for structure in read_structures(options.frames):
    widths = np.linalg.norm(structure.cell, axis=1)
    if widths.min() / 20 < R_MAX:  # an elongated cell, too narrow for R_MAX
        continue
    used += 1
    topology = mdtraj.Topology()
    residue = topology.add_residue("X", topology.add_chain())
    for symbol in structure.symbols:
        element = mdtraj.element.Element.getBySymbol(symbol)
        topology.add_atom(symbol, element, residue)
    frame = mdtraj.Trajectory(
        structure.positions / 10,
        topology,
        unitcell_lengths=widths / 10,
        unitcell_angles=[90.0, 90.0, 90.0],
    )
    for pair in PAIRS:
        r, g = rdf(frame, *(f"element {e}" for e in pair), r_max=R_MAX, bin_width=BIN)
        curves[pair].append(g)
        counts = [structure.symbols.count(e) for e in pair]
        weights[pair].append(counts[0] * counts[1])  # every pair counts the same
table = np.column_stack(
    [r] + [np.average(curves[p], axis=0, weights=weights[p]) for p in PAIRS]
)
header = ",".join(["r_nm"] + ["".join(pair) for pair in PAIRS])
np.savetxt(options.output, table, "%.5g", delimiter=",", header=header, comments="")
print(f"{options.output}: {used} frames")
