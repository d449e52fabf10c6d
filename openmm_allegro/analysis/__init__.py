# SPDX-License-Identifier: MIT
"""Structure and transport from trajectories: mdtraj and NumPy, no torch, no OpenMM."""

from .coordination import (
    Coordination,
    PotentialOfMeanForce,
    coordination_number,
    potential_of_mean_force,
)
from .errors import (
    Estimate,
    block_mean,
    jackknife,
    replica_mean,
    series_mean,
)
from .extrapolation import (
    Arrhenius,
    InfiniteBox,
    arrhenius,
    infinite_box,
    yeh_hummer_correction,
)
from .plots import (
    plot_msd,
    plot_rdf,
    plot_temperature,
)
from .rdf import (
    RDF,
    RadialDistribution,
    element_pairs,
    radial_distributions,
    rdf,
)
from .transport import (
    Diffusion,
    diffusion,
    mean_square_displacement,
)
from .unwrap import (
    Paths,
    follow,
    unwrap,
    unwrap_molecules,
)

__all__ = [
    "RDF",
    "Arrhenius",
    "Coordination",
    "Diffusion",
    "Estimate",
    "InfiniteBox",
    "Paths",
    "PotentialOfMeanForce",
    "RadialDistribution",
    "arrhenius",
    "block_mean",
    "coordination_number",
    "diffusion",
    "element_pairs",
    "follow",
    "infinite_box",
    "jackknife",
    "mean_square_displacement",
    "plot_msd",
    "plot_rdf",
    "plot_temperature",
    "potential_of_mean_force",
    "radial_distributions",
    "rdf",
    "replica_mean",
    "series_mean",
    "unwrap",
    "unwrap_molecules",
    "yeh_hummer_correction",
]
