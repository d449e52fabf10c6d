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
    series_mean,
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
    unwrap,
)

__all__ = [
    "RDF",
    "Coordination",
    "Diffusion",
    "Estimate",
    "PotentialOfMeanForce",
    "RadialDistribution",
    "block_mean",
    "coordination_number",
    "diffusion",
    "element_pairs",
    "jackknife",
    "mean_square_displacement",
    "plot_msd",
    "plot_rdf",
    "plot_temperature",
    "potential_of_mean_force",
    "radial_distributions",
    "rdf",
    "series_mean",
    "unwrap",
]
