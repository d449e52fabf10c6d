# SPDX-License-Identifier: MIT
"""Structure and transport from trajectories: mdtraj and NumPy, no torch, no OpenMM."""

from .plots import plot_msd, plot_rdf, plot_temperature
from .rdf import RDF, Coordination, coordination_number, rdf
from .transport import Diffusion, diffusion, mean_square_displacement, unwrap

__all__ = [
    "RDF",
    "Coordination",
    "Diffusion",
    "coordination_number",
    "diffusion",
    "mean_square_displacement",
    "plot_msd",
    "plot_rdf",
    "plot_temperature",
    "rdf",
    "unwrap",
]
